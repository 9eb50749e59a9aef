"""What happened to lanes, as marks and in words."""

from __future__ import annotations

import numpy as np

from app.history.chance import chance_of
from app.history.markers import markers
from app.history.words import changes_in_words
from hnm_core.evaluation.chance import chance_levels
from hnm_core.run.events import Alarm, Frame, OptionChanged, RunFinished, WarmupEnded
from hnm_core.run.history import RunHistory
from tests.run.lanes import record, started


def test_that_what_several_lanes_have_taken_up_is_told_once():
    changes = [
        OptionChanged(lane, 5, option, value, before, asked=True)
        for lane in ("knn", "lsh")
        for option, before, value in (("sampler.batch", "64", "32"), ("optimizer.lr", "0.1", "0.2"))
    ]
    assert changes_in_words(changes) == "knn, lsh: batch 64 → 32; knn, lsh: learning rate 0.1 → 0.2, from step 5 on"
    new = [
        OptionChanged("knn", 1200, "miner", "lsh", "knn", asked=True),
        OptionChanged("knn", 1200, "miner_options.pool", "5", asked=True),
    ]
    assert changes_in_words(new) == "knn: miner knn → lsh; knn: pool = 5, from step 1,200 on"


def test_that_a_run_keeps_its_lanes_in_order_and_its_markers_in_words():
    history = RunHistory()
    history.add(started("random", "knn"))
    history.add(record(1, lane="knn"))
    history.add(record(1, lane="random"))
    history.add(record(2, lane="random"))
    history.add(WarmupEnded("knn", 2, "knn"))
    history.add(OptionChanged("knn", 3, "lr", "0.001"))
    history.add(Alarm("random", 4, "collapse", "All points have moved to one spot."))
    history.add(Alarm("random", 5, "non-finite", "The loss became nan.", "fatal"))
    frame = Frame("knn", 1, np.zeros((4, 3), np.float32), np.zeros((0, 3), np.int32), 0)
    history.add(frame)
    history.add(RunFinished({"knn": 1, "random": 2}, 0.5))
    assert list(history.lanes) == ["random", "knn"]
    assert history.last_step == 2
    assert [(m.lane, m.step, m.text, m.kind) for m in markers(history)] == [
        ("knn", 2, "warm-up over, knn mines", "warm-up"),
        ("knn", 3, "lr = 0.001", "option"),
        ("random", 4, "All points have moved to one spot.", "warning"),
        ("random", 5, "The loss became nan.", "fatal"),
    ]
    assert isinstance(history.ended, RunFinished)


def test_that_alarms_are_hints_warnings_or_fatal():
    history = RunHistory()
    for alarm in (
        Alarm("knn", 0, "C25", "may collapse"),
        Alarm("knn", 5, "all-easy", "nothing to learn", "hint"),
        Alarm("knn", 9, "non-finite", "it broke", "fatal"),
    ):
        history.add(alarm)
    assert [(marker.kind, marker.code) for marker in markers(history)] == [
        ("warning", "C25"),
        ("hint", "all-easy"),
        ("fatal", "non-finite"),
    ]


def test_that_chance_is_of_the_held_out_items_and_unknown_when_not_all_are_shown():
    labels = [0, 1, 2, 0, 0, 1]
    assert chance_of(started("knn", labels=labels, held_out=[0, 3, 5])) == chance_levels(np.array([0, 0, 1]))
    assert chance_of(started("knn", labels=labels)) == chance_levels(np.array(labels))
    assert chance_of(started("knn", labels=labels, held_out=[0, 3, 5], total=600)) == {}
    assert chance_of(None) == {}
