"""What a panel of histograms tells of a lane: of which steps, who chose the negatives, and whether its margin moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.history import hardness_words as words
from app.history.hardness import Moment, lane_hardness, mined_share, told_steps
from hnm_core.run.changeable import alone
from hnm_core.run.events import StepRecord, frozen
from hnm_core.run.hardness import Hardness
from hnm_core.run.history import LaneHistory
from hnm_core.spec.config import ExperimentConfig, from_dict
from tests.app import runs

NOW = Moment(running=("knn",))


def experiment(**lane: object) -> ExperimentConfig:
    return from_dict({"lanes": [{"name": "knn", "miner": "knn", "loss_options": {"margin": 0.4}, **lane}]})


def history(mining: list[bool]) -> LaneHistory:
    lane = LaneHistory("knn")
    for step, own in enumerate(mining, 1):
        lane.add(StepRecord("knn", step, 1.0, tuples={"mined": 9, "hard": 2, "semi_hard": 3, "easy": 4}, mining=own))
    return lane


def frame(step: int, steps: int, margin: float = 0.4):
    bins = frozen(np.array([2, 3, 4]) * steps)
    told = Hardness(margin, 2 * steps, 3 * steps, 4 * steps, 0.4, -1, bins)
    return replace(
        runs.frame("knn", step), hardness=told, mined_total=9 * steps, separation=frozen(np.zeros(2, np.float32))
    )


@pytest.mark.parametrize("steps", [1, 8, 10])
def test_that_the_steps_of_a_frame_are_those_whose_tuples_add_up_to_it(steps):
    lane = history([True] * 30)
    assert told_steps(lane, frame(20, steps)) == steps


def test_that_steps_are_not_told_where_no_number_of_them_adds_up():
    odd = replace(frame(20, 2), hardness=Hardness(0.4, 1, 3, 4, 0.4, -1, frozen(np.array([1, 3, 4]))))
    shown = lane_hardness(history([True] * 30), odd, experiment(), NOW)
    assert shown.steps == 0
    assert words.counted_text(shown) == "8 tuples"


def test_that_the_mined_share_is_the_hard_share_of_the_steps_in_which_the_miner_worked():
    lane = history([False] * 16 + [True] * 4)
    shown = lane_hardness(lane, frame(20, 8), experiment(hard_share=0.5), NOW)
    assert shown.mined == 0.25
    assert words.mined_text(shown) == "25 % mined"
    warm = lane_hardness(lane, frame(16, 8), experiment(hard_share=0.5), NOW)
    assert warm.warming_up
    assert words.mined_text(warm) == "warming up: random pairs"


def test_that_random_lanes_mine_nothing_and_miners_of_the_batch_all():
    random = alone(from_dict({"lanes": [{"name": "random", "miner": "random"}]}), "random").lanes[0]
    assert mined_share(random, 1.0) == 0.0
    batch = {"name": "batch", "miner": "triplet-margin", "hard_share": 0.1}
    assert mined_share(from_dict({"lanes": [batch]}).lanes[0], 1.0) == 1.0


def test_that_the_line_stands_at_the_margin_of_the_loss_now_and_at_that_of_the_frame_where_it_cannot_move():
    lane = history([True] * 30)
    changed = experiment(loss_options={"margin": 0.7})
    assert lane_hardness(lane, frame(20, 8), changed, NOW).margin == 0.7
    assert lane_hardness(lane, frame(20, 8), changed, Moment(replaying=True)).margin == 0.4


def test_that_it_says_why_a_margin_cannot_be_moved():
    lane, shown = history([True] * 30), frame(20, 8)

    def why(config: ExperimentConfig, moment: Moment) -> str:
        return lane_hardness(lane, shown, config, moment).fixed

    assert why(experiment(), NOW) == ""
    assert "recording" in why(experiment(), Moment(NOW.running, replaying=True))
    assert "End" in why(experiment(), Moment(NOW.running, live=False))
    assert "does not train" in why(experiment(), Moment(("other",)))
    without = experiment(loss="hoffer-ailon", loss_options={})
    assert why(without, NOW) == "The loss 'hoffer-ailon' has no margin over triplets that could be moved."


def test_that_a_lane_without_triplets_says_so():
    lane, none = history([True] * 30), replace(frame(20, 8), hardness=None)

    def message(of) -> str:
        return lane_hardness(lane, of, experiment(), NOW).message

    assert "pairs, not triplets" in message(none)
    assert "looks at the whole batch" in message(replace(none, mined_total=0))
    assert "does not tell" in message(replace(none, separation=None))
    assert "Nothing is mined yet" in message(replace(none, step=0))
    assert "No picture" in message(None)


def test_that_bands_are_told_in_words_and_marked_where_they_are_estimates():
    told = frame(20, 8).hardness
    assert words.bands_shown(told, 0.4) == ((16, 24, 32), False)
    bands, about = words.bands_shown(told, 0.2)
    assert (bands, about) == ((16, 12, 44), True)
    texts = words.band_texts(bands, about=about)
    assert texts[0] == ["hard 16 (22 %)", "semi-hard ≈12 (17 %)", "easy ≈44 (61 %)"]
    assert texts[-1] == ["22 %", "17 %", "61 %"]
    assert words.bin_text("knn", told, 0.3, 0.2) == (
        "knn, semi-hard and easy\nd(a,n) − d(a,p) from 0 to 0.4: 24 tuples, 33 %"
    )
    assert words.bin_text("knn", told, 9.0, 0.2) == ""


def test_that_what_a_lane_tells_is_of_the_steps_before_its_frame():
    lane = history([True] * 8)
    lane.add(StepRecord("knn", 9, 1.0, tuples={"mined": 1, "hard": 1, "semi_hard": 0, "easy": 0}))
    assert told_steps(lane, frame(8, 8)) == 8
