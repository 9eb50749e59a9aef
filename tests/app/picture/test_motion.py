"""Clouds on their way from frame to frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.picture.motion import LONGEST_S, SHORTEST_S, motion
from app.picture.scene import Scene, build_scene
from app.picture.theme import DARK
from tests.app.picture.test_scene import IDS, frame, started, with_guests


def scene(offset: float = 0.0, triplets=()) -> Scene:
    told = frame(list(triplets))
    return build_scene(started(), replace(told, positions=told.positions + np.float32(offset)), DARK)


def test_that_points_and_colours_go_straight_to_their_goal_and_stay_there():
    shown, goal = scene(), scene(4.0)
    goal = replace(goal, colors=np.full_like(goal.colors, 200))
    way = motion(shown, goal, 0.2)
    for share in (0.25, 0.5, 0.75):
        now = way.at(share * 0.2)
        np.testing.assert_allclose(now.positions, shown.positions + 4 * share, rtol=1e-5)
        expected = shown.colors + (200.0 - shown.colors) * share
        assert np.abs(now.colors - expected).max() <= 1
        assert now.edges is goal.edges and now.ids is goal.ids
    assert way.at(0.2) is goal and way.at(9) is goal
    assert (way.at(-1).positions == shown.positions).all()


def test_that_the_goal_and_what_was_shown_are_left_as_they_are():
    shown, goal = scene(), scene(1.0)
    before, after = shown.positions.copy(), goal.positions.copy()
    motion(shown, goal, 0.1).at(0.05)
    assert (shown.positions == before).all() and (goal.positions == after).all()


@pytest.mark.parametrize(("came", "takes"), [(1e-6, SHORTEST_S), (0.2, 0.2), (1e9, LONGEST_S)])
def test_that_the_way_takes_as_long_as_the_next_frame_is_awaited_within_bounds(came: float, takes: float):
    assert motion(scene(), scene(1.0), came).seconds == takes


def test_that_points_that_were_lost_or_are_lost_now_jump():
    shown, goal = scene(), scene(2.0)
    lost = replace(shown, positions=np.where(np.arange(6)[:, None] == 1, np.nan, shown.positions).astype(np.float32))
    now = motion(lost, goal, 0.4).at(0.2)
    assert (now.positions[1] == goal.positions[1]).all() and np.isfinite(now.positions).all()
    np.testing.assert_allclose(now.positions[0], shown.positions[0] + 1, rtol=1e-5)
    gone = replace(goal, positions=np.where(np.arange(6)[:, None] == 2, np.nan, goal.positions).astype(np.float32))
    assert np.isnan(motion(shown, gone, 0.4).at(0.2).positions[2]).all()


def test_that_guests_are_where_they_belong_at_once():
    shown, goal = scene(), build_scene(started(), with_guests([(3, 50, 5)]), DARK)
    now = motion(shown, goal, 1.0).at(0.3)
    assert (now.positions[6:] == goal.positions[6:]).all() and len(now.positions) == 8
    back = motion(goal, shown, 1.0).at(0.3)
    assert len(back.positions) == 6


def test_that_there_is_no_way_from_nothing_or_from_other_points():
    other = build_scene(started(ids=IDS + 1), frame([]), DARK)
    assert motion(None, scene(), 0.1) is None and motion(other, scene(), 0.1) is None
