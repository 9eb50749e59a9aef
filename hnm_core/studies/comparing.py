"""The lanes of an experiment over several seeds: means with intervals, and how soon each gets somewhere."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import scipy
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.recording.checksums import is_marked, is_sealed, sealed_line
from hnm_core.run.events import RunFinished
from hnm_core.run.results import DOCUMENTS, LEVEL, LaneResult, Results
from hnm_core.spec.config import ExperimentConfig
from hnm_core.studies.folder import LOOK_AGAIN_S, alone_at, claim_folder, read_text, write_text

if TYPE_CHECKING:
    from hnm_core.training.retrieval_config import RetrievalConfig

METRICS = ("map_at_r", "precision_at_1", "knn_accuracy", "loss", "mining_ms_mean", "step_ms_mean")
"""What is compared: fields of `LaneResult`."""

DOCUMENT_METRICS = (*DOCUMENTS[:4], "loss", "mining_ms_mean", "step_ms_mean")
"""The same, of runs over queries and documents."""

OF_SOME = ("mining_recall", "false_share", "accuracy")
"""The same, of lanes that search approximately, of data whose true labels are known, and of lanes that train a
classifier."""

CONFIDENCE = 0.95

_SEAL = ("result", "", 0)
SEEDS = 2**63
"""So many seeds there are, from 0."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds and half the width of its confidence interval (Student's t); NaN below two seeds."""

    mean: float
    half_width: float
    seeds: int


@dataclass(frozen=True)
class Trial:
    """The result of one seed."""

    seed: int
    lanes: tuple[LaneResult, ...]
    curves: dict[str, list[tuple[int, float]]]
    """MAP@R of each lane as (step, value); over queries and documents MRR@10"""
    failed: tuple[str, ...] = ()
    """lanes that broke off; what they had come to is kept, and counts nowhere"""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    """the training clock of each lane at each point of its curve; not in results that earlier versions wrote"""


ConfigT = TypeVar("ConfigT", "ExperimentConfig", "RetrievalConfig")


def estimate(values: Sequence[float] | NDArray[np.float64]) -> Estimate:
    """Mean and 95 % interval, mean +- t * s / sqrt(n), of what was measured; NaNs are left out."""
    known = np.array([value for value in values if math.isfinite(value)])
    if len(known) < 2:
        return Estimate(float(known.mean()) if len(known) else math.nan, math.nan, len(known))
    t = float(scipy.stats.t.ppf((1 + CONFIDENCE) / 2, len(known) - 1))
    return Estimate(float(known.mean()), t * float(known.std(ddof=1)) / math.sqrt(len(known)), len(known))


def figure(trial: Trial, lane: str, metric: str) -> float:
    """A lane's metric with one seed; NaN where it was not measured, or the lane failed."""
    if lane in trial.failed:
        return math.nan
    return next((float(getattr(result, metric)) for result in trial.lanes if result.lane == lane), math.nan)


def summary(trials: Sequence[Trial], lane: str, metric: str) -> Estimate:
    """A lane's metric over the seeds with which it did not fail."""
    return estimate([figure(trial, lane, metric) for trial in trials])


def entanglement(trials: Sequence[Trial]) -> dict[str, dict[str, Estimate]]:
    """By lane whose loss looks at layers, and by layer: entanglement in the last batch that was measured, and, as the
    layer "chance", what it is when every neighbour looks alike."""
    found: dict[str, dict[str, list[float]]] = {}
    for result in (result for trial in trials for result in trial.lanes if result.entanglement):
        values = found.setdefault(result.lane, {})
        for layer, value in [*result.entanglement.items(), ("chance", result.entanglement_chance)]:
            values.setdefault(layer, []).append(value)
    return {lane: {layer: estimate(some) for layer, some in values.items()} for lane, values in found.items()}


REACHED = 0.95
"""Share of what the first lane ends with, at which `steps_to` stops counting."""


def steps_to(trials: Sequence[Trial], lane: str, base: str) -> Estimate:
    """Steps after which `lane` first had 95 % of what `base` ends with in `Trial.curves`, seed by seed.

    The speed of learning, whatever else the machine does. Seeds in which it never got there are left out, which
    `Estimate.seeds` tells.
    """
    found = ((trial, reached(trial, lane, base)) for trial in trials)
    return estimate([trial.curves[lane][place][0] for trial, place in found if place is not None])


def reached(trial: Trial, lane: str, base: str) -> int | None:
    """The first point of a lane's curve with 95 % of what `base` ends with; None where there is none."""
    ends = trial.curves.get(base) or [(0, math.nan)]
    enough = REACHED * ends[-1][1]
    return next((place for place, (_, value) in enumerate(trial.curves.get(lane, ())) if value >= enough), None)


def run_seeds(
    config: ConfigT,
    seeds: int,
    folder: Path,
    train: Callable[[ConfigT], Results],
    say: Callable[[str], object],
    level: str = LEVEL,
    again: Sequence[int] = (),
) -> list[Trial]:
    """Train `config` with the seeds config.seed, config.seed + 1, ... and as many from each of `again` on; `train`
    trains one to its end. Each result, with curves of the metric `level`, is kept in `folder`.

    What `folder` holds already, of the same configuration, is not trained again, so a comparison that was broken off
    goes on where it was. Several programs can be at one folder: each trains the seeds that no other one does, and waits
    in the end for what others still train. `say` is told in a sentence where another version of the program has begun
    it, and for whom it waits.

    Raises:
        InputError: the folder belongs to another configuration or other data, is damaged, or cannot be written; or as
            `series` does.
    """
    wanted = [seed for row in series(config.seed, seeds, again) for seed in row]
    claim_folder(folder, json.dumps(config.to_dict(), indent=1), config, say)
    trials: dict[int, Trial] = {}
    left, told = wanted, False
    while left:
        for seed in left:
            path = folder / f"seed-{seed}.json"
            trial = _read(path)
            if trial is None:
                with alone_at(folder / f"seed-{seed}.lock") as ours:
                    trial = _read(path)  # whoever had it may have ended just now
                    if ours and trial is None:
                        trial = _trained(seed, train(config.model_copy(update={"seed": seed})), level)
                        write_text(path, sealed_line(json.dumps(_to_json(trial)), *_SEAL).decode())
            if trial is not None:
                trials[seed] = trial
        left = [seed for seed in left if seed not in trials]
        if left:
            if not told:
                which = f"seed{'s' * (len(left) > 1)} {', '.join(map(str, left))}"
                say(f"Another program trains {which} in '{folder}'; waiting for what it comes to.")
            told = True
            time.sleep(LOOK_AGAIN_S)
    return [trials[seed] for seed in sorted(trials)]


def series(first: int, seeds: int, again: Sequence[int] = ()) -> list[range]:
    """The seeds from `first` on, and as many from each of `again` on.

    Raises:
        InputError: a seed would be in two of them, or be larger than a seed can be.
    """
    for begin in (first, *again):
        if begin > SEEDS - seeds:
            raise InputError(f"seed = {begin} is too large for {seeds} seeds in a row: take {SEEDS - seeds} or less.")
        if begin < 0:
            raise InputError(f"seed = {begin} is no seed: take 0 or more.")
    for one, other in pairwise(sorted((first, *again))):
        if other < one + seeds:
            raise InputError(f"--again: {seeds} seeds from {one} and from {other} on overlap; take others.")
    return [range(begin, begin + seeds) for begin in (first, *again)]


def _trained(seed: int, results: Results, level: str) -> Trial:
    lanes, ended = tuple(results.lanes()), results.history.ended
    curves = {lane.lane: results.curve(lane.lane, level) for lane in lanes}
    seconds = {lane.lane: results.seconds(lane.lane, level) for lane in lanes}
    failed = ended.failed_lanes if isinstance(ended, RunFinished) else ()
    return Trial(seed, lanes, curves, failed, seconds)


def finished_trials(folder: Path) -> tuple[Trial, ...]:
    """What a folder of `run_seeds` holds by now, by seed; nothing where there is no such folder.

    Raises:
        InputError: a result is damaged.
    """
    found = (trial for path in folder.glob("seed-*.json") if (trial := _read(path)) is not None)
    return tuple(sorted(found, key=lambda trial: trial.seed))


def _to_json(trial: Trial) -> dict[str, object]:
    lanes = [
        {name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in row.items()}
        for row in map(asdict, trial.lanes)
    ]
    return {
        "seed": trial.seed,
        "lanes": lanes,
        "curves": trial.curves,
        "seconds": trial.seconds,
        "failed": list(trial.failed),
    }


def _lane_result(row: dict[str, Any]) -> LaneResult:
    row.pop("mining_ms_median", None)  # which versions before told, another figure than the mean
    values: dict[str, Any] = {name: math.nan if value is None else value for name, value in row.items()}
    return LaneResult(**{"mining_ms_mean": math.nan} | values)


def _read(path: Path) -> Trial | None:
    """A result; None where there is none yet."""
    try:
        text = read_text(path)
        if text is None:
            return None
        line = text.encode().rstrip(b"\n")
        if is_marked(line) and not is_sealed(line, *_SEAL):  # earlier versions wrote none
            raise ValueError("its checksum is another")
        values = json.loads(line)
        rows: list[dict[str, Any]] = values["lanes"]
        lanes = tuple(_lane_result(row) for row in rows)
        curves = {
            str(lane): [(int(step), float(value)) for step, value in points]
            for lane, points in values["curves"].items()
        }
        seconds = {str(lane): [float(at) for at in clock] for lane, clock in values.get("seconds", {}).items()}
        if any(len(clock) != len(curves.get(lane, ())) for lane, clock in seconds.items()):
            raise ValueError("a curve has other points than its clock")
        return Trial(int(values["seed"]), lanes, curves, tuple(map(str, values.get("failed", ()))), seconds)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise InputError(f"'{path}' is damaged ({error}). Remove it, and that seed is trained again.") from None
