from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.picture.camera import Camera
from app.picture.scene import Scene
from app.picture.sketch import sketch
from app.picture.theme import DARK

AHEAD = Camera(azimuth=0, elevation=0, target=(0, 0, 0), distance=10)
"""Looks along -x: y is to the right, z is up."""


def scene(positions, **other) -> Scene:
    count = len(positions)
    given = {
        "positions": np.array(positions, np.float32),
        "colors": np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255)], np.uint8)[np.arange(count) % 3],
        "radii": np.ones(count, np.float32),
        "edges": np.empty((0, 2), np.int32),
        "edge_colors": np.empty((0, 4), np.uint8),
        "edge_shapes": np.empty((0, 2), np.float32),
        "edge_kinds": np.empty(0, np.int8),
        "ids": np.arange(count),
        "strata": np.zeros(count, np.int64),
        "mined": np.zeros(count, np.bool_),
        "halos": np.empty(0, np.int32),
        "halo_colors": np.empty((0, 4), np.uint8),
    }
    return Scene(**(given | other))


def test_that_each_point_is_a_disc_where_the_camera_sees_it_in_its_colour():
    made = sketch(scene([(0, 0, 0), (0, 2, 0)]), AHEAD, 120, 80, DARK)
    x, y, _ = AHEAD.project(np.array([(0.0, 2.0, 0.0)]), 120, 80)
    assert made.rows[40, 60] == 0 and made.rows[int(y[0]), int(x[0])] == 1
    assert tuple(made.pixels[40, 60]) == (0, 0, 255, 255)  # blue, green, red
    ys, xs = np.nonzero(made.rows == 0)
    assert ys.min() + ys.max() == 2 * 40 and xs.min() + xs.max() == 2 * 60
    assert np.ptp(ys) == np.ptp(xs) > 1
    assert made.points_in_view == 2


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_that_the_nearer_of_two_points_is_seen_whichever_comes_first(order):
    near_and_far = np.array([(1.0, 0, 0), (-1.0, 0, 0)])[list(order)]
    assert sketch(scene(near_and_far), AHEAD, 120, 80, DARK).rows[40, 60] == order.index(0)


def test_that_hidden_unseen_and_broken_points_and_those_behind_the_eye_are_left_out():
    positions = [(0, 0, 0), (np.nan, 0, 0), (20, 0, 0), (0, 90, 0), (0, 1, 0)]
    made = sketch(scene(positions, radii=np.array([0, 1, 1, 1, 1], np.float32)), AHEAD, 120, 80, DARK)
    assert made.points_in_view == 1 and set(np.unique(made.rows)) == {-1, 4}


def test_that_an_edge_is_a_line_of_its_colour_as_strong_as_it_is_opaque():
    ends = scene(
        [(0, -2, 0), (0, 2, 0), (np.nan, 0, 0)],
        radii=np.zeros(3, np.float32),
        edges=np.array([(0, 1), (0, 2)], np.int32),
        edge_colors=np.array([(250, 250, 250, 255), (9, 9, 9, 255)], np.uint8),
    )
    line = sketch(ends, AHEAD, 120, 80, DARK)
    lit = (line.pixels[:, :, :3] == 250).all(-1)
    assert lit.sum() > 20 and set(np.nonzero(lit)[0]) == {40}
    faint = sketch(replace(ends, edge_colors=np.array([(250, 250, 250, 25)] * 2, np.uint8)), AHEAD, 120, 80, DARK)
    assert faint.pixels[lit].max(initial=0) == 255 and faint.pixels[lit][:, :3].max() < 70


def test_that_a_picture_without_pixels_is_refused():
    with pytest.raises(ValueError, match="0 x 80"):
        sketch(scene([(0, 0, 0)]), AHEAD, 0, 80, DARK)


def test_that_a_point_of_the_class_of_diamonds_is_a_square_on_its_tip():
    rows = sketch(replace(scene([(0, 0, 0)]), diamond_class=0), AHEAD, 800, 600, DARK).rows
    down, across = np.nonzero(rows == 0)
    reach = down.max() - 300
    assert reach >= 3
    assert set(zip(down - 300, across - 400, strict=True)) == {
        (y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1) if abs(y) + abs(x) <= reach
    }
