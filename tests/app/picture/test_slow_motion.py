"""One step phase by phase, by what a frame tells."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.picture.edges import EDGE_KINDS, LOOKS
from app.picture.scene import Scene, build_scene
from app.picture.slow_motion import ACTS, EMBED, LOSS, SEARCH, SECONDS, SELECT, STEP, last_step_of, slow_motion
from app.picture.theme import DARK
from hnm_core.run.timing import Phase
from tests.app.picture.test_edges import frame, started


def scenes() -> tuple[Scene, Scene]:
    told = last_step_of(frame())
    before = build_scene(started(), replace(told, triplets=told.triplets[:0], separation=None, age=None), DARK)
    goal = build_scene(started(), replace(told, positions=told.positions + np.float32(2)), DARK)
    return before, goal


def middle_of(act) -> float:
    begin = sum(other.share for other in ACTS[: ACTS.index(act)])
    return SECONDS * (begin + act.share / 2)


def test_that_the_acts_are_a_step_from_its_beginning_to_its_end():
    assert sum(act.share for act in ACTS) == pytest.approx(1)
    assert frozenset.union(*(act.phases for act in ACTS)) == frozenset(Phase) - {Phase.OTHER}
    way = slow_motion(*scenes(), DARK, None)
    for act in ACTS:
        assert way.act_at(middle_of(act)) == (act, pytest.approx(0.5))
    assert way.act_at(0)[0] is EMBED and way.act_at(99) == (STEP, pytest.approx(1))


def test_that_points_move_in_the_last_act_alone():
    before, goal = scenes()
    way = slow_motion(before, goal, DARK, None)
    for act in (EMBED, SEARCH, SELECT, LOSS):
        assert (way.at(middle_of(act)).positions == before.positions).all()
    np.testing.assert_allclose(way.at(middle_of(STEP)).positions, before.positions + 1, rtol=1e-4, atol=1e-5)
    assert way.at(SECONDS) is goal


def test_that_anchors_are_ringed_while_they_search_and_edges_come_hardest_first():
    before, goal = scenes()
    way = slow_motion(before, goal, DARK, None)
    assert not len(way.at(middle_of(EMBED)).edges) and not len(way.at(middle_of(EMBED)).halos)
    searching = way.at(middle_of(SEARCH))
    assert set(searching.halos.tolist()) == set(goal.edges[:, 0].tolist()) and not len(searching.edges)
    half = way.at(middle_of(SELECT))
    assert len(half.edges) == pytest.approx(len(goal.edges) / 2, abs=1)
    assert half.edge_kinds.min() >= np.sort(goal.edge_kinds)[len(goal.edges) // 2 - 1]
    assert set(half.halos.tolist()) <= set(half.edges[:, 1].tolist())


def test_that_the_loss_feels_what_lies_within_the_margin_and_the_positives_of_its_anchors():
    before, goal = scenes()
    felt = slow_motion(before, goal, DARK, None).at(middle_of(LOSS))
    names = [EDGE_KINDS[kind] for kind in felt.edge_kinds]
    assert "easy" not in names and {"hard", "semi_hard", "positive"} == set(names)
    pushed = {anchor for (anchor, _), name in zip(felt.edges.tolist(), names, strict=True) if name != "positive"}
    pulled = {anchor for (anchor, _), name in zip(felt.edges.tolist(), names, strict=True) if name == "positive"}
    assert pulled == pushed
    assert (felt.edge_kinds == EDGE_KINDS.index("hard")).sum() == (goal.edge_kinds == EDGE_KINDS.index("hard")).sum()
    assert len(LOOKS) == len(EDGE_KINDS)


def test_that_of_a_frame_only_its_last_step_is_shown():
    told = frame()
    last = last_step_of(told)
    assert 0 < len(last.triplets) == (told.age == 0).sum() < len(told.triplets)
    assert (last.triplets == told.triplets[told.age == 0]).all()
    older = replace(told, age=None)
    assert last_step_of(older) is older
