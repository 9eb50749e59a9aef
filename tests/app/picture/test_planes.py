"""Where planes cut the box round a cloud."""

from __future__ import annotations

import numpy as np

from app.picture.planes import outlines

BOX = np.array([[0, 0, 0], [1, 2, 4], [0.5, 1, 1], [np.nan, 9, 9]], np.float32)


def test_that_a_plane_along_a_side_cuts_a_rectangle() -> None:
    (polygon,) = outlines(np.array([1.0, 0, 0, 0.25]), BOX)
    assert {tuple(corner) for corner in polygon.tolist()} == {
        (0.25, 0, 0), (0.25, 2, 0), (0.25, 2, 4), (0.25, 0, 4),
    }  # fmt: skip
    sides = np.abs(np.roll(polygon, -1, 0) - polygon)
    assert ((sides > 0).sum(1) == 1).all(), "corners follow each other round the outline"


def test_that_a_plane_through_the_middle_may_cut_six_edges_and_lies_in_the_box() -> None:
    cube = np.array([[0, 0, 0], [1, 1, 1]], np.float32)
    (polygon,) = outlines(np.array([1.0, 1, 1, 1.5]), cube)
    assert polygon.shape == (6, 3)
    np.testing.assert_allclose(polygon.sum(1), 1.5)
    assert (polygon >= 0).all() and (polygon <= 1).all()
    lengths = np.linalg.norm(np.roll(polygon, -1, 0) - polygon, axis=1)
    np.testing.assert_allclose(lengths, np.sqrt(0.5)), "a regular hexagon, its corners in order"


def test_that_a_plane_outside_the_cloud_and_a_cloud_without_points_have_no_outline() -> None:
    planes = np.array([1.0, 0, 0, 7, 0, 0, 1, 2])
    assert len(outlines(planes, BOX)) == 1
    assert outlines(planes, BOX[3:]) == []
    assert outlines(np.empty(0), BOX) == []
