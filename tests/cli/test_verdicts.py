"""What `compare` concludes from paired seeds, against scipy's tests, closed testing and published sample sizes."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from app.training.seeds import words_of
from hnm_core.cli import comparison
from hnm_core.errors import InputError
from hnm_core.run.events import RunFinished
from hnm_core.run.results import LaneResult
from hnm_core.spec.config import ExperimentConfig
from hnm_core.studies.comparing import Trial, run_seeds, summary
from hnm_core.studies.verdicts import holm, judge, p_different, p_smaller, seeds_to_tell


def trials_of(**scores: list[float]) -> list[Trial]:
    """One lane for each name, its MAP@R by seed."""
    return [
        Trial(seed, tuple(LaneResult(lane, 10, 0.1, some[seed], 0.5, 0.5, math.nan, 1.0, 2.0, 3.0)
                          for lane, some in scores.items()), {})
        for seed in range(len(next(iter(scores.values()))))
    ]  # fmt: skip


def results_of(lanes: list[LaneResult], ended: RunFinished) -> SimpleNamespace:
    """Of a run without curves."""
    nothing = lambda *_: []  # noqa: E731
    return SimpleNamespace(lanes=lambda: lanes, curve=nothing, seconds=nothing, history=SimpleNamespace(ended=ended))


def one(**scores: list[float]):
    (line,) = judge(trials_of(**scores), list(scores), next(iter(scores)))
    return line


def test_that_p_values_are_those_of_scipys_paired_tests() -> None:
    draw = np.random.default_rng(1)
    for shift, n in ((0.0, 5), (0.02, 10), (-0.05, 7)):
        a, b = draw.normal(0.7, 0.03, n), draw.normal(0.7 + shift, 0.03, n)
        assert p_different(b - a) == pytest.approx(stats.ttest_rel(b, a).pvalue)
        below, above = (
            stats.ttest_1samp(b - a, side, alternative=way) for side, way in ((-0.03, "greater"), (0.03, "less"))
        )
        assert p_smaller(b - a, 0.03) == pytest.approx(max(below.pvalue, above.pvalue))


def test_that_holms_correction_is_the_closed_test_of_bonferronis() -> None:
    draw = np.random.default_rng(2)
    for _ in range(20):
        p = draw.uniform(0, 0.3, 5) ** 2
        every = [s for size in range(1, 6) for s in itertools.combinations(range(5), size)]
        closed = [max(min(1.0, len(s) * p[list(s)].min()) for s in every if place in s) for place in range(5)]
        assert holm(p) == pytest.approx(closed)
    assert holm([0.04, math.nan]) == [0.08, 1.0]
    assert holm([]) == []


def test_that_the_seeds_needed_are_the_published_sample_sizes_of_a_paired_t_test() -> None:
    """G*Power, two-sided, level .05, power .8, for effects of Cohen's small, medium and large size."""
    assert [seeds_to_tell(1.0, effect) for effect in (0.2, 0.5, 0.8)] == [199, 34, 15]
    assert seeds_to_tell(1.0, 0.5, lines=5) > 34
    assert (seeds_to_tell(0.0, 0.1), seeds_to_tell(1.0, 1e6), seeds_to_tell(1.0, 1e-4)) == (2, 2, None)


def test_that_only_what_is_shown_to_be_small_is_no_difference() -> None:
    base = [0.70, 0.71, 0.72, 0.69, 0.70, 0.73]
    moved = [value + by for value, by in zip(base, (0.05, 0.06, 0.04, 0.05, 0.055, 0.045), strict=True)]
    equal = [value + by for value, by in zip(base, (0.001, -0.001, 0.002, -0.002, 0.001, 0.0), strict=True)]
    vague = [value + by for value, by in zip(base, (0.04, -0.05, 0.02, -0.03, 0.06, -0.01), strict=True)]
    slight = [value + by for value, by in zip(base, (0.002, 0.003, 0.0025, 0.002, 0.003, 0.0024), strict=True)]
    assert [one(base=base, other=some).words for some in (moved, equal, slight)] == [
        "better", "no difference", "better, by less than 0.01",
    ]  # fmt: skip
    assert one(moved=moved, base=base).verdict == "worse"
    line = one(base=base, vague=vague)
    assert line.verdict == "not told apart"
    assert line.seeds_needed == seeds_to_tell(float(np.std(np.subtract(vague, base), ddof=1)), 0.01)
    assert line.words == f"not told apart; {line.seeds_needed} seeds would"
    (wider,) = judge(trials_of(base=base, vague=vague), ["base", "vague"], "base", margin=0.2)
    assert wider.verdict == "no difference", "the margin is stated, and wide"


def test_that_a_line_has_to_hold_among_all_lines_of_its_table() -> None:
    base = [0.70, 0.71, 0.72, 0.69, 0.70]
    close = [value + by for value, by in zip(base, (0.03, 0.01, 0.035, 0.005, 0.02), strict=True)]
    assert one(base=base, close=close).verdict == "better"
    others = {f"lane {place}": [0.7 + 0.03 * place * (-1) ** seed for seed in range(5)] for place in range(1, 5)}
    lines = judge(trials_of(base=base, close=close, **others), ["base", "close", *others], "base")
    assert lines[0].p < 0.05 < lines[0].p_corrected
    assert lines[0].verdict == "not told apart"


def test_that_what_cannot_be_judged_is_not_judged() -> None:
    base = [0.5, 0.6, 0.7]
    assert one(base=base, same=base).verdict == "no difference"
    assert one(base=base, apart=[0.75, 0.85, 0.95]).verdict == "better", "the same step with every seed"
    alone = one(base=[0.5], other=[0.6])
    assert (alone.verdict, alone.words, alone.seeds_needed) == ("not told apart", "not told apart", None)
    gone = one(base=base, other=[math.nan] * 3)
    assert gone.verdict == "not told apart" and math.isnan(gone.difference.mean)
    broken = [
        Trial(t.seed, t.lanes, {}, ("other",) if t.seed == 1 else ())
        for t in trials_of(base=base, other=[0.8, 0.9, 1.0])
    ]
    (line,) = judge(broken, ["base", "other"], "base")
    assert line.words == "not told apart: no figures with seed 1", "the other two would favour whoever fails"
    json.dumps(comparison.document(broken, ["base", "other"], "base", [line, gone, alone], 0.01), allow_nan=False)
    assert words_of(broken, ["base", "other"])[1].endswith("not told apart: no figures with seed 1")
    assert judge(broken, ["base"], "base") == []


def test_that_less_of_a_ratio_of_distances_is_better_and_more_of_an_accuracy() -> None:
    def made(lane: str, ratio: float, accuracy: float) -> LaneResult:
        unknown = (math.nan,) * 7
        return LaneResult(lane, 10, 0.1, *unknown, class_distance_ratio=ratio, accuracy=accuracy)

    trials = [
        Trial(seed, (made("a", 0.5 + seed / 1e3, 0.7), made("b", 0.3 - seed / 1e3, 0.8 + seed / 1e3)), {})
        for seed in range(5)
    ]
    lines = judge(trials, ["a", "b"], "a", ("class_distance_ratio", "accuracy"))
    assert [line.verdict for line in lines] == ["better", "better"]
    lines = judge(trials, ["b", "a"], "b", ("class_distance_ratio", "accuracy"))
    assert [line.verdict for line in lines] == ["worse", "worse"]


def test_that_a_digit_of_a_kept_result_that_was_damaged_counts_nowhere(tmp_path: Path) -> None:
    lanes = list(trials_of(a=[0.8125])[0].lanes)
    ended = RunFinished({"a": 10}, 1.0)
    results = results_of(lanes, ended)
    run_seeds(ExperimentConfig(), 1, tmp_path, lambda _: results, print)
    path = tmp_path / "seed-0.json"
    whole = path.read_text()
    assert whole.count("0.8125") == 1
    path.write_text(whole.replace("0.8125", "0.8129"))
    with pytest.raises(InputError, match=r"seed-0\.json' is damaged .* Remove it, and that seed is trained again"):
        run_seeds(ExperimentConfig(), 1, tmp_path, pytest.fail, print)
    told = {name: value for name, value in json.loads(whole).items() if name != "checksum"}
    path.write_text(json.dumps(told))  # as versions before checksums wrote it
    (kept,) = run_seeds(ExperimentConfig(), 1, tmp_path, pytest.fail, print)
    assert kept.lanes == tuple(lanes)


def test_that_a_lane_that_failed_stays_failed_when_results_are_taken_up_again(tmp_path: Path) -> None:
    ended = RunFinished({"a": 3, "b": 10}, 1.0, failed_lanes=("a",))
    lanes = list(trials_of(a=[0.9], b=[0.5])[0].lanes)
    results = results_of(lanes, ended)
    run_seeds(ExperimentConfig(), 2, tmp_path / "out", lambda _: results, print)
    kept = run_seeds(ExperimentConfig(), 2, tmp_path / "out", pytest.fail, print)
    assert [trial.failed for trial in kept] == [("a",), ("a",)]
    assert math.isnan(summary(kept, "a", "map_at_r").mean) and summary(kept, "b", "map_at_r").mean == 0.5
