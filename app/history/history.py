"""What a run has told so far, as numpy columns: what curves, bars, chips and the timeline are drawn from. No Qt.

Everything can be asked as it stood at an earlier step, by binary search, so that scrubbing through a run is as cheap
as watching it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from app.history.series import Floats, decimate, late_quantile, memory, smoothed
from hnm_core.evaluation.chance import chance_levels
from hnm_core.run import changeable
from hnm_core.run.events import (
    TUPLE_COUNTS,
    Alarm,
    Event,
    LaneForked,
    OptionChanged,
    RunFailed,
    RunFinished,
    RunStarted,
    StepRecord,
    begins_anew,
    change_text,
    layer_metric,
)
from hnm_core.run.timing import MINING_PHASES, Phase
from hnm_core.spec.config import ExperimentConfig
from hnm_core.words import significant

PHASES = tuple(Phase)
MINING_COLUMNS = [PHASES.index(phase) for phase in MINING_PHASES]
TIMING_WINDOW = 200
"""Steps that medians of times look back on."""
CHIP_WINDOW = 20
"""Steps that a status chip averages the loss and the tuple counts over."""
HINTS = frozenset(
    (
        *("all-easy", "tiny-signal", "chance", "false-negatives", "low-recall", "stale-bank", "usual-lead"),
        *("C22", "C26", "C27", "C35"),
    )
)
"""Alarms that say how a lane could learn more; the others say that something goes wrong."""
OPTION_NAMES = {
    "optimizer.lr": "learning rate",
    "sampler.name": "sampler",
    "miner_options.margin": "margin of the miner",
    "loss_options.margin": "margin",
}
COUNT_COLUMN = {name: column for column, name in enumerate(TUPLE_COUNTS)}
BANDS = [COUNT_COLUMN[name] for name in ("hard", "semi_hard", "easy")]

__all__ = ["Chip", "LaneHistory", "Marker", "PhaseSummary", "RunHistory", "chip_details", "chip_text", "decimate"]


def option_in_words(option: str) -> str:
    """An option as the form calls it."""
    return OPTION_NAMES.get(option, option.split(".")[-1].replace("_", " "))


def in_words(change: OptionChanged | LaneForked) -> str:
    """What happened to the lane, with options called as in the form."""
    if isinstance(change, OptionChanged) and change.asked:
        return change_text(replace(change, option=option_in_words(change.option)))
    return change_text(change)


def changes_in_words(changes: Sequence[OptionChanged]) -> str:
    """What lanes have taken up together, each thing once with the lanes that it holds for."""
    lanes: dict[str, list[str]] = {}
    for change in changes:
        lanes.setdefault(in_words(change), []).append(change.lane)
    what = "; ".join(f"{', '.join(names)}: {text}" for text, names in lanes.items())
    return f"{what}, from step {changes[0].step:,} on"


class Column:
    """A numpy array that grows at its end; appending is amortised O(1)."""

    def __init__(self, dtype: DTypeLike, width: int | None = None) -> None:
        self._buffer = np.empty((64,) if width is None else (64, width), dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, value: Any) -> None:
        """Add one row."""
        if self._length == len(self._buffer):
            grown = np.empty((2 * self._length, *self._buffer.shape[1:]), self._buffer.dtype)
            grown[: self._length] = self._buffer
            self._buffer = grown
        self._buffer[self._length] = value
        self._length += 1

    @property
    def values(self) -> NDArray[Any]:
        """The rows so far: a view nobody may write to, untouched by later growth."""
        view = self._buffer[: self._length]
        view.flags.writeable = False
        return view


@dataclass(frozen=True)
class Marker:
    """Something that happened to a lane at a step."""

    lane: str
    step: int
    text: str
    kind: str
    """`option`, `warm-up`, `fork`, `hint`, `alarm` or `fatal`"""
    code: str = ""
    """of an alarm"""


@dataclass(frozen=True, eq=False)
class PhaseSummary:
    """Times of recent steps, one number per `Phase`, in milliseconds; first calls left out.

    Some phases run only now and then: a miner embeds the set every tenth step, say. A plain median would call them
    free. So `median` and `p95` are over the steps in which the phase ran, and `share` says how many those were.
    """

    steps: int
    """Steps looked at."""
    median: Floats
    p95: Floats
    share: Floats
    total_p95: float
    """p95 of a whole step."""
    mining_median: float
    """Median of what mining took in one step, over all steps looked at."""
    mining_p95: float

    @property
    def per_step(self) -> Floats:
        """What a phase costs a step: its median, times the share of steps in which it ran."""
        return self.median * self.share

    @property
    def total(self) -> float:
        """Milliseconds a step: the sum of `per_step`."""
        return float(self.per_step.sum())


@dataclass(frozen=True)
class Chip:
    """The state of a lane in a few numbers. What was never measured is NaN."""

    step: int
    loss: float
    """Mean of the last `CHIP_WINDOW` steps."""
    hard: float
    """Share of the tuples with a margin that are hard; likewise `semi_hard` and `easy`."""
    semi_hard: float
    easy: float
    mining_ms: float
    """What mining costs a step, see `PhaseSummary.per_step`."""
    mining_ms_p95: float
    map_at_r: float
    precision_at_1: float
    mining_recall: float
    warming_up: bool
    false: float = math.nan
    """Share of the mined negatives that truly are of the anchor's class, where the truth is known."""
    missing: float = math.nan
    """Anchors a step without a negative; likewise negatives filled in at random, and candidates filtered out."""
    filled: float = math.nan
    filtered: float = math.nan
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The newest of each other metric, by name."""


class LaneHistory:
    """The steps of one lane. All columns are row for row; rows are in step order."""

    def __init__(self, name: str, parent: LaneHistory | None = None, forked_at: int = 0) -> None:
        """`parent`: the lane from which this one goes on after step `forked_at`."""
        self.name, self.parent, self.forked_at = name, parent, forked_at
        self.turns: list[int] = []
        """First steps with another miner, loss or sampler, by request."""
        self._steps = Column(np.int64)
        self._loss = Column(np.float64)
        self._seconds = Column(np.float64)
        self._phase_ms = Column(np.float32, len(PHASES))
        self._tuples = Column(np.int64, len(TUPLE_COUNTS))
        self._mining = Column(np.bool_)
        self._first_call = Column(np.bool_)
        self._metrics: dict[str, tuple[Column, Column]] = {}
        self.counted: set[str] = set()
        """Names of the tuple counts that were ever told; the others are 0 in `tuples` because nobody counted."""
        self._smooth: tuple[float, Floats] = (0.0, np.empty(0))

    def __len__(self) -> int:
        return len(self._steps)

    def add(self, record: StepRecord) -> None:
        """Take one step in. One that is not after the last is known already and left out."""
        if len(self) and record.step <= self._steps.values[-1]:
            return
        ms = [record.phase_ms.get(phase, 0.0) for phase in PHASES]
        before = self._seconds.values[-1] if len(self) else self._seconds_before
        self._steps.append(record.step)
        self._loss.append(record.loss)
        self._seconds.append(before + sum(ms) / 1e3)
        self._phase_ms.append(ms)
        self._tuples.append([record.tuples.get(name, 0) for name in TUPLE_COUNTS])
        self.counted.update(record.tuples)
        self._mining.append(record.mining)
        self._first_call.append(record.first_call)
        for name, value in record.metrics.items():
            if name not in self._metrics:
                self._metrics[name] = (Column(np.int64), Column(np.float64))
            self._metrics[name][0].append(record.step)
            self._metrics[name][1].append(value)

    @property
    def _seconds_before(self) -> float:
        """The training clock before the first step: a lane that was forked off has its parent's time behind it."""
        return 0.0 if self.parent is None else float(self.parent.seconds_at(np.array([self.forked_at]))[0])

    @property
    def steps(self) -> NDArray[np.int64]:
        """(n,) step numbers, ascending."""
        return self._steps.values

    @property
    def loss(self) -> Floats:
        """(n,)"""
        return self._loss.values

    @property
    def seconds(self) -> Floats:
        """(n,) the training clock: seconds this lane had spent in its phases after each step."""
        return self._seconds.values

    @property
    def phase_ms(self) -> NDArray[np.float32]:
        """(n, len(Phase)) milliseconds, columns in `Phase` order."""
        return self._phase_ms.values

    @property
    def tuples(self) -> NDArray[np.int64]:
        """(n, len(TUPLE_COUNTS)) counts, columns in that order."""
        return self._tuples.values

    @property
    def mining(self) -> NDArray[np.bool_]:
        """(n,) False while the lane warmed up."""
        return self._mining.values

    @property
    def first_call(self) -> NDArray[np.bool_]:
        """(n,) True where something was compiled or set up in the step."""
        return self._first_call.values

    @property
    def metrics(self) -> dict[str, tuple[NDArray[np.int64], Floats]]:
        """By name: the steps that measured it, and the values."""
        return {name: (steps.values, values.values) for name, (steps, values) in self._metrics.items()}

    def rows(self, upto_step: int | None = None) -> int:
        """How many rows belong to steps up to and with `upto_step`; all of them for None."""
        if upto_step is None:
            return len(self)
        return int(np.searchsorted(self.steps, upto_step, side="right"))

    def metric(self, name: str, upto_step: int | None = None) -> tuple[NDArray[np.int64], Floats]:
        """Steps and values of one metric, both empty when it was never measured."""
        if name not in self._metrics:
            return np.empty(0, np.int64), np.empty(0)
        steps, values = (column.values for column in self._metrics[name])
        count = len(steps) if upto_step is None else int(np.searchsorted(steps, upto_step, side="right"))
        return steps[:count], values[:count]

    def layers(self, metric: str) -> tuple[str, ...]:
        """The layers that have such a metric each, from the first of the network to the last; see `LAYER_METRICS`."""
        named = filter(None, map(layer_metric, self._metrics))
        return tuple(layer for known, layer in named if known == metric)

    def latest(self, name: str, upto_step: int | None = None) -> float:
        """The newest value of a metric, NaN when there is none yet."""
        _, values = self.metric(name, upto_step)
        return float(values[-1]) if len(values) else float("nan")

    def seconds_at(self, steps: NDArray[np.int64]) -> Floats:
        """The training clock at these steps; 0 before the first."""
        row = np.searchsorted(self.steps, steps, side="right")
        return np.concatenate(([self._seconds_before], self.seconds))[row]

    def smoothed_loss(self, factor: float) -> Floats:
        """(n,) the loss as a debiased exponential moving average: see `smoothed`. New rows cost only themselves."""
        known_factor, known = self._smooth
        if known_factor != factor:
            known = np.empty(0)
        if len(known) < len(self):
            start = max(0, len(known) - memory(factor))
            tail = smoothed(self.loss[start:], factor)
            known = np.concatenate((known, tail[len(known) - start :]))
            self._smooth = (factor, known)
        return known

    def phase_summary(self, window: int = TIMING_WINDOW, upto_step: int | None = None) -> PhaseSummary:
        """Times of the last `window` steps, without first calls, without warm-up steps once mining has begun, and
        without those before another miner, loss or sampler was taken up."""
        count = self.rows(upto_step)
        wanted = ~self.first_call[:count]
        if count:
            wanted &= self.mining[:count] == self.mining[count - 1]
            wanted &= self.of_now(count)  # the times of another miner are not this one's
        ms = self.phase_ms[:count][np.flatnonzero(wanted)[-window:]].astype(np.float64)
        whole = np.stack((ms.sum(1), ms[:, MINING_COLUMNS].sum(1)), axis=1)
        ran = (ms > 0).sum(0)
        everywhere = np.full(2, len(ms))
        ms.sort(axis=0)
        whole.sort(axis=0)
        return PhaseSummary(
            steps=len(ms),
            median=late_quantile(ms, ran, 0.5),
            p95=late_quantile(ms, ran, 0.95),
            share=ran / max(len(ms), 1),
            total_p95=float(late_quantile(whole, everywhere, 0.95)[0]),
            mining_median=float(late_quantile(whole, everywhere, 0.5)[1]),
            mining_p95=float(late_quantile(whole, everywhere, 0.95)[1]),
        )

    def of_now(self, count: int) -> NDArray[np.bool_]:
        """(count,) which of the first `count` steps had the miner, loss and sampler of the last of them."""
        steps = self.steps[:count]
        return steps >= max((step for step in self.turns if count and step <= steps[-1]), default=0)

    def rate(self, window: int = TIMING_WINDOW, upto_step: int | None = None) -> float:
        """Steps a second of the training clock over the last `window` steps; NaN before there are two."""
        count = self.rows(upto_step)
        first = max(0, count - window - 1)
        if count - first < 2:
            return float("nan")
        spent = self.seconds[count - 1] - self.seconds[first]
        return float((self.steps[count - 1] - self.steps[first]) / spent) if spent > 0 else float("nan")

    def chip(self, upto_step: int | None = None) -> Chip | None:
        """The lane in a few numbers; None before its first step."""
        count = self.rows(upto_step)
        if count == 0:
            return None
        recent = slice(max(0, count - CHIP_WINDOW), count)
        loss = self.loss[recent]
        finite = loss[np.isfinite(loss)]
        counts = self.tuples[recent].sum(0)
        bands = counts[BANDS]
        shares = bands / bands.sum() if bands.sum() else np.full(3, np.nan)
        times = self.phase_summary(upto_step=upto_step)
        per_step = {
            name: counts[COUNT_COLUMN[name]] / len(loss) if name in self.counted else math.nan
            for name in ("missing", "filled", "filtered")
        }
        mined = counts[COUNT_COLUMN["mined"]]
        knows_truth = "false_negative" in self.counted and mined > 0
        return Chip(
            step=int(self.steps[count - 1]),
            loss=float(finite.mean()) if len(finite) else math.nan,
            hard=float(shares[0]),
            semi_hard=float(shares[1]),
            easy=float(shares[2]),
            mining_ms=float(times.per_step[MINING_COLUMNS].sum()) if times.steps else math.nan,
            mining_ms_p95=times.mining_p95 if times.steps else math.nan,
            map_at_r=self.latest("map_at_r", upto_step),
            precision_at_1=self.latest("precision_at_1", upto_step),
            mining_recall=self.latest("mining_recall", upto_step),
            warming_up=not bool(self.mining[count - 1]),
            false=float(counts[COUNT_COLUMN["false_negative"]] / mined) if knows_truth else math.nan,
            metrics={name: value for name in DETAILS if np.isfinite(value := self.latest(name, upto_step))},
            **per_step,
        )


@dataclass(eq=False)
class RunHistory:
    """All lanes of a run, and what happened to them."""

    started: RunStarted | None = None
    ended: RunFinished | RunFailed | None = None
    lanes: dict[str, LaneHistory] = field(default_factory=dict)
    """By name, in lane order."""
    markers: list[Marker] = field(default_factory=list)
    changes: list[OptionChanged | LaneForked] = field(default_factory=list)
    chance: dict[str, float] = field(default_factory=dict)
    """What a random ranking scores, by metric; empty when the evaluated items are not all known here."""

    def add(self, event: Event) -> None:
        """Take one event in. A `RunStarted` begins everything anew."""
        match event:
            case StepRecord():
                self._lane(event.lane).add(event)
            case OptionChanged():
                kind = "warm-up" if event.value.startswith("warm-up") else "option"
                self.markers.append(Marker(event.lane, event.step, in_words(event), kind))
                self.changes.append(event)
                if begins_anew(event):
                    self._lane(event.lane).turns.append(event.step)
            case LaneForked():
                self.markers.append(Marker(event.lane, event.step, in_words(event), "fork"))
                self.changes.append(event)
                self.lanes[event.lane] = LaneHistory(event.lane, self._lane(event.parent), event.step)
            case Alarm():
                kind = "fatal" if event.fatal else "hint" if event.code in HINTS else "alarm"
                self.markers.append(Marker(event.lane, event.step, event.message, kind, event.code))
            case RunStarted():
                self.started, self.ended = event, None
                self.lanes = {lane.name: LaneHistory(lane.name) for lane in event.config.lanes}
                self.markers, self.changes = [], []
                self.chance = _chance_of(event)
            case RunFinished() | RunFailed():
                self.ended = event
            case _:
                pass  # frames and phases are for the clouds

    def _lane(self, name: str) -> LaneHistory:
        if name not in self.lanes:
            self.lanes[name] = LaneHistory(name)
        return self.lanes[name]

    @property
    def last_step(self) -> int:
        """The last step of the lane that is farthest; 0 before the first."""
        return max((int(lane.steps[-1]) for lane in self.lanes.values() if len(lane)), default=0)

    def lane_configs(self, upto_step: int | None = None) -> dict[str, ExperimentConfig]:
        """Every lane's configuration alone, after what was changed up to and with a step; see `run.changeable`."""
        if self.started is None:
            return {}
        known = [change for change in self.changes if upto_step is None or change.step <= upto_step]
        return changeable.at_the_end(self.started.config, known)

    def title(self, lane: str, upto_step: int | None = None) -> str:
        """The lane's name, and its miner where that was changed."""
        now = next(
            (
                change.value
                for change in reversed(self.changes)
                if isinstance(change, OptionChanged)
                and (change.lane, change.option, change.asked) == (lane, "miner", True)
                and (upto_step is None or change.step <= upto_step)
            ),
            None,
        )
        return lane if now is None or now == re.sub(r"-\d+$", "", lane) else f"{lane} → {now}"

    @property
    def running(self) -> list[str]:
        """Names of the lanes that have not ended."""
        over = {marker.lane for marker in self.markers if marker.kind == "fatal"}
        steps = None if self.started is None else self.started.config.steps
        return [
            name
            for name, lane in self.lanes.items()
            if self.ended is None and name not in over and not (len(lane) and lane.steps[-1] == steps)
        ]

    def markers_upto(self, step: int | None = None) -> Iterator[Marker]:
        """The markers up to and with a step; all for None."""
        return (marker for marker in self.markers if step is None or marker.step <= step)

    @property
    def audits(self) -> bool:
        """Whether nothing is trained: the run only shows what would be mined of items as they are."""
        return self.started is not None and self.started.config.model.name == "identity"


def _chance_of(started: RunStarted) -> dict[str, float]:
    if started.items_total > len(started.ids):
        return {}  # metrics are measured on items that are not shown, and whose labels are not here
    evaluated = started.labels[started.held_out] if started.held_out.any() else started.labels
    return chance_levels(evaluated)


def chip_text(chip: Chip | None, *, audit: bool = False) -> str:
    """A chip in two short lines; of an audit, without the loss and the retrieval, which never change."""
    if chip is None:
        return "no step yet"
    first = [f"step {chip.step:,}"]
    if not audit:
        first.append(f"loss {significant(chip.loss)}")
        if np.isfinite(chip.map_at_r):
            first.append(f"MAP@R {chip.map_at_r:.3f}")
        if np.isfinite(chip.precision_at_1):
            first.append(f"P@1 {chip.precision_at_1:.3f}")
    second = []
    if np.isfinite(chip.hard):
        second.append(f"hard {chip.hard:.0%}, semi {chip.semi_hard:.0%}, easy {chip.easy:.0%}")
    if np.isfinite(chip.false):
        (first if audit else second).append(f"false {chip.false:.1%}")
    if chip.warming_up:
        second.append("warming up")
    elif not audit and np.isfinite(chip.mining_ms):
        second.append(f"mining {chip.mining_ms:.2f} ms (p95 {chip.mining_ms_p95:.2f})")
    if np.isfinite(chip.mining_recall):
        second.append(f"recall {chip.mining_recall:.3f}")
    return " · ".join(first) + ("\n" + " · ".join(second) if second else "")


DETAILS = {
    "distance_ratio": "distance found over exact {}",
    "hardness_regret": "hardness regret {}",
    "no_candidate": "anchors without a candidate {}",
    "bank_age": "bank {} steps old",
    "drift": "drift {} of what makes a bank stale",
    "temperature": "temperature {}",
    "chance": "loss at chance {}",
}
"""What the tooltip of a chip says of further metrics."""


def chip_details(chip: Chip | None) -> str:
    """Everything else that is known of a lane, a line each."""
    if chip is None:
        return ""
    lines = []
    counts = {"missing": "anchors without a negative", "filled": "random in place of mined", "filtered": "filtered out"}
    for name, words in counts.items():
        value = getattr(chip, name)
        if np.isfinite(value) and (value or name == "filled"):
            lines.append(f"{words}: {value:,.1f} a step")
    for name, words in DETAILS.items():
        if name in chip.metrics:
            value = chip.metrics[name]
            shown = (
                f"{value:.1%}"
                if name == "no_candidate"
                else f"{value:,.0f}"
                if name == "bank_age"
                else significant(value)
            )
            lines.append(words.format(shown))
    return "\n".join(lines)
