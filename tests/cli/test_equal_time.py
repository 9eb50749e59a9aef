"""What `compare` says of lanes at equal training time."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.training.seeds import words_of
from hnm_core.cli import comparison
from hnm_core.studies.comparing import Trial, estimate
from hnm_core.studies.equal_time import (
    at_equal_time,
    equal_seconds,
    is_timed,
    judge_at_equal_time,
    seconds_to,
    value_at,
)
from hnm_core.studies.plots import plot_over_time

CURVES = {"quick": [(10, 0.2), (20, 0.5), (30, 0.6)], "slow": [(10, 0.4), (20, 0.8), (30, 0.9)]}
QUICK, SLOW = [1.0, 2.0, 3.0], [2.0, 4.0, 6.0]


def trial(seed: int = 0, quick: list[float] = QUICK, slow: list[float] = SLOW, failed: tuple[str, ...] = ()) -> Trial:
    return Trial(seed, (), CURVES, failed, {"quick": quick, "slow": slow})


def test_that_lanes_are_compared_when_the_quickest_was_through() -> None:
    assert equal_seconds(trial()) == 3
    assert value_at(trial(), "quick", 3) == 0.6
    assert value_at(trial(), "slow", 3) == pytest.approx(0.6), "half way from 0.4 at 2 s to 0.8 at 4 s"
    assert value_at(trial(), "slow", 100) == 0.9, "what it ended with"


def test_that_a_lane_has_no_figure_before_it_was_first_measured_or_where_it_failed() -> None:
    late = trial(slow=[3.5, 7, 10])
    assert math.isnan(value_at(late, "slow", equal_seconds(late)))
    (line,) = judge_at_equal_time([late, trial(1)], ["quick", "slow"], "quick", "map_at_r")
    assert (line.verdict, line.unpaired) == ("not told apart", (0,))
    broken = trial(failed=("quick",))
    assert math.isnan(value_at(broken, "quick", 3))
    assert equal_seconds(broken) == 6, "what a lane spent until it failed is nobody's measure"
    assert math.isnan(equal_seconds(trial(failed=("quick", "slow"))))


def test_that_lanes_that_ended_within_two_steps_of_each_other_are_told_by_their_ends() -> None:
    """As lanes with a limit of seconds do, some of them measured once alone."""
    curves = {"quick": [(100, 0.5), (200, 0.6)], "slow": [(5, 0.4)]}
    ended = Trial(0, (), curves, (), {"quick": [15.1, 30.05], "slow": [34.0]})
    assert [value_at(ended, lane, equal_seconds(ended)) for lane in curves] == [0.6, 0.4]
    later = replace(ended, seconds={"quick": [15.1, 30.05], "slow": [60.0]})
    assert math.isnan(value_at(later, "slow", equal_seconds(later))), "30 s later, and a step took 12"


def test_that_differences_at_equal_time_are_paired_by_seed() -> None:
    trials = [trial(0), trial(1, slow=[1.0, 2.0, 3.0]), trial(2, slow=[1.5, 3.0, 4.5])]
    expected = [0.0, 0.3, 0.2]
    (line,) = judge_at_equal_time(trials, ["quick", "slow"], "quick", "map_at_r")
    wanted = estimate(expected)
    assert (line.difference.mean, line.difference.half_width) == pytest.approx((wanted.mean, wanted.half_width))
    assert at_equal_time(trials, "slow").mean == pytest.approx(0.6 + wanted.mean)


def test_that_seconds_to_a_level_are_read_where_the_curve_first_has_it() -> None:
    trials = [trial(0), trial(1, quick=[2.0, 4.0, 6.0])]
    assert seconds_to(trials, "slow", "quick") == estimate([4.0, 4.0]), "0.8 is the first above 95 % of 0.6"
    assert seconds_to(trials, "quick", "quick") == estimate([3.0, 6.0])
    assert seconds_to(trials, "quick", "slow").seeds == 0
    assert seconds_to([trial(failed=("slow",))], "slow", "quick").seeds == 0


def test_that_nothing_is_said_of_time_where_older_results_do_not_tell_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    timed = [trial(0), trial(1)]
    older = [timed[0], replace(timed[1], seconds={})]
    lanes = ["quick", "slow"]
    assert (is_timed(timed), is_timed(older)) == (True, False)
    for trials, told in ((timed, True), (older, False)):
        lines = judge_at_equal_time(timed, lanes, "quick", "map_at_r")
        comparison.show(trials, lanes, "quick", lines, 0.01)
        said = capsys.readouterr().out
        assert ("at equal time" in said, "s of training" in said) == (told, told)
        document = json.loads(json.dumps(comparison.document(trials, lanes, "quick", lines, 0.01), allow_nan=False))
        assert (document["equal_seconds"] is not None) == told
        assert any("At equal time, 3 s of training" in words for words in words_of(trials, lanes)) == told
    plot_over_time(timed, "t", [tmp_path / "t.png"])
    assert (tmp_path / "t.png").read_bytes().startswith(b"\x89PNG")


def test_that_the_curve_over_time_is_the_mean_of_the_seeds_while_all_of_them_train(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    figures = []
    monkeypatch.setattr("hnm_core.studies.plots._save", lambda figure, paths: figures.append(figure))
    plot_over_time([trial(0), trial(1, quick=[1.5, 3.0, 4.5])], "t", [tmp_path / "t.png"])
    (axes,) = figures[0].axes
    (mean,) = (line for line in axes.lines if line.get_label() == "quick")
    at, values = mean.get_data()
    assert (at[0], at[-1]) == (1.5, 3.0)
    assert values[-1] == pytest.approx((0.6 + 0.5) / 2)
    assert np.all(np.diff(values) > 0)


def test_that_lanes_that_never_trained_at_one_time_are_drawn_by_their_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    figures = []
    monkeypatch.setattr("hnm_core.studies.plots._save", lambda figure, paths: figures.append(figure))
    once = [Trial(seed, (), {"slow": [(5, 0.4 + seed / 10)]}, (), {"slow": [30.0 + seed]}) for seed in range(2)]
    plot_over_time(once, "t", [tmp_path / "t.png"])
    (point,) = (line for line in figures[0].axes[0].lines if line.get_label() == "slow")
    assert [float(value) for value in (*point.get_xdata(), *point.get_ydata())] == pytest.approx([30.5, 0.45])
