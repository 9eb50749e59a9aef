from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from app.picture import raster
from app.picture.camera import Camera, fit
from app.picture.class_labels import MOST_NAMES, Cluster, clusters, placed
from app.picture.scene import Scene, build_scene
from app.picture.selection import Selection
from app.picture.theme import DARK
from app.picture.trails import MOST_CORNERS, NEWEST_ALPHA, OLDEST_ALPHA, with_trails
from tests.app import runs


def scene(selection: Selection | None = None) -> Scene:
    return build_scene(
        runs.started(runs.config()), runs.frame("one", 10), DARK, show_edges=(), selection=selection or Selection()
    )


def test_that_a_trail_goes_through_the_frames_to_the_point_and_fades_into_the_past():
    whole, rng = scene(), np.random.default_rng(1)
    paths = rng.normal(size=(3, 2, 3)).astype(np.float32)
    with_two = with_trails(whole, np.array([105, 110]), paths)
    assert with_two.trails.shape == (6, 6)
    corners = [*paths[:, 1], whole.positions[10]]
    for line, (begin, end) in zip(with_two.trails[3:], itertools.pairwise(corners), strict=True):
        np.testing.assert_allclose(line, [*begin, *end])
    np.testing.assert_array_equal(with_two.trail_colors[3:, :3], np.tile(whole.colors[10], (3, 1)))
    np.testing.assert_allclose(
        with_two.trail_colors[:3, 3:].ravel(),
        np.repeat(np.linspace(OLDEST_ALPHA, NEWEST_ALPHA, 4), 2)[1:-1],
    )


def test_that_what_is_not_drawn_or_has_not_moved_yet_has_no_trail():
    hidden = scene(Selection().hide(np.array([105])))
    one = np.zeros((3, 1, 3), np.float32)
    assert with_trails(hidden, np.array([105]), one) is hidden
    assert with_trails(hidden, np.array([7]), one) is hidden
    assert with_trails(hidden, np.array([110]), one[:0]) is hidden


def test_that_a_long_way_keeps_its_ends_and_few_corners():
    paths = np.arange(3000, dtype=np.float32).reshape(1000, 1, 3)
    trails = with_trails(scene(), np.array([110]), paths).trails
    assert len(trails) == MOST_CORNERS
    np.testing.assert_array_equal(trails[0, :3], paths[0, 0])
    np.testing.assert_array_equal(trails[-1, :3], paths[-1, 0])


@pytest.mark.usefixtures("raster_kernels")
def test_that_a_trail_is_seen_in_the_picture_where_it_lies():
    whole = scene()
    camera = fit(whole.positions, 1.5, Camera())
    far = np.array(camera.center, np.float32) + np.array((0, 0, camera.radius), np.float32)
    plain = raster.render(whole, camera, 300, 200, DARK).pixels.copy()
    drawn = raster.render(with_trails(whole, np.array([110]), far[None, None]), camera, 300, 200, DARK).pixels
    ys, xs = np.nonzero((plain != drawn).any(2))
    assert len(xs) > 20
    ends = np.stack((far, whole.positions[10])).astype(float)
    x, y, _ = camera.project(ends, 300, 200)
    normal = np.array((y[1] - y[0], x[0] - x[1])) / np.hypot(x[1] - x[0], y[1] - y[0])
    off = np.abs((xs + 0.5 - x[0]) * normal[0] + (ys + 0.5 - y[0]) * normal[1])
    assert off.max() < 3


def test_that_classes_are_named_at_the_median_of_their_drawn_points():
    whole = scene()
    found = clusters(whole, ("red", "green", "blue"))
    assert [cluster.name for cluster in found] == ["red", "green", "blue"]
    for label, cluster in enumerate(found):
        np.testing.assert_allclose(cluster.center, np.median(whole.positions[whole.strata == label], axis=0))
    alone = clusters(scene(Selection().isolate_class(1)), ("red", "green", "blue"))
    assert [cluster.name for cluster in alone] == ["green"]
    many = replace(whole, strata=np.arange(len(whole.ids)))
    assert len(whole.ids) > MOST_NAMES and clusters(many, ()) == []
    grouped = replace(many, groups=np.arange(len(whole.ids)) % 2)
    assert [cluster.name for cluster in clusters(grouped, ())] == ["group 0", "group 1"]


def test_that_names_stand_clear_of_each_other_and_fade_behind():
    camera = Camera(azimuth=0.0, elevation=0.0, distance=10.0, radius=2.0)
    one_line = [Cluster(name, (-float(depth), 0.0, 0.0)) for depth, name in enumerate("abc")]  # one behind the other
    names = placed([*one_line, Cluster("away", (0.0, 99.0, 0.0))], camera, 300, 200, lambda text: (30.0, 14.0))
    assert [name.text for name in names] == ["a", "b", "c"], "what is out of the picture has no name"
    assert names[0].alpha > names[1].alpha > names[2].alpha > 0.3
    boxes = sorted(name.y for name in names)
    assert min(np.diff(boxes)) >= 14
    assert placed([], camera, 300, 200, lambda text: (30.0, 14.0)) == []
