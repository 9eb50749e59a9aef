"""A curve as small as a word: where its points lie."""

from __future__ import annotations

import numpy as np

from app.views.sparkline import MOST_POINTS, spark_points


def test_that_values_fill_their_box_from_the_lowest_at_the_bottom_to_the_highest_at_the_top() -> None:
    points = spark_points(np.array([1.0, np.nan, 3.0, 2.0]), 10, 4)
    assert points.tolist() == [[0, 4], [5, 0], [10, 2]]


def test_that_equal_values_lie_in_the_middle_one_alone_at_the_end_and_none_nowhere() -> None:
    assert spark_points(np.array([7.0, 7.0]), 10, 4).tolist() == [[0, 2], [10, 2]]
    assert spark_points(np.array([7.0]), 10, 4).tolist() == [[10, 2]]
    assert spark_points(np.array([np.inf]), 10, 4).shape == (0, 2)


def test_that_of_many_values_the_first_and_the_last_are_kept() -> None:
    points = spark_points(np.arange(10_000.0), 10, 4)
    assert len(points) == MOST_POINTS and points[0].tolist() == [0, 4] and points[-1].tolist() == [10, 0]
