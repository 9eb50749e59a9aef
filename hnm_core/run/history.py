"""What a run has told so far, lane by lane, as numpy columns: the one fold of its events.

Tables, chips, curves, timelines and videos are all read off it, of a run that is on and of a recording alike. What a
lane was at an earlier step is found by binary search, so scrubbing through a run is as cheap as watching it. Loads no
torch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from hnm_core.run import changeable
from hnm_core.run.events import (
    TUPLE_COUNTS,
    Alarm,
    Event,
    LaneForked,
    Misses,
    OptionChanged,
    RunFailed,
    RunFinished,
    RunStarted,
    SearchUsed,
    StepRecord,
    WarmupEnded,
    begins_anew,
    layer_metric,
)
from hnm_core.run.kept_misses import KeptMisses
from hnm_core.run.series import Floats, last_rows, memory, smoothed
from hnm_core.run.timing import PHASES, STEP_COLUMNS
from hnm_core.spec.config import ExperimentConfig

RECENT_STEPS = 100
"""The loss of a lane is its mean over so many last steps, wherever it is shown; recent tuples are counted over them."""
RATE_STEPS = 200
"""Steps that the rate of steps looks back on."""
_SMOOTHED_TOGETHER = 1 << 14
_LOWEST, _HIGHEST = -(1 << 31), (1 << 31) - 1
_PHASE_PLACE = {phase: place for place, phase in enumerate(PHASES)}
_COUNT_PLACE = {name: place for place, name in enumerate(TUPLE_COUNTS)}


class Column:
    """A numpy array that grows at its end; appending is amortised O(1)."""

    def __init__(self, dtype: DTypeLike, row: tuple[int, ...] = ()) -> None:
        """`row`: the shape of a row; a number each for the empty one."""
        self._buffer: NDArray[Any] = np.empty((64, *row), dtype)
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def reserve(self, rows: int) -> None:
        """Have room for so many rows, so that growing up to them copies nothing."""
        if rows > len(self._buffer):
            grown = np.empty((rows, *self._buffer.shape[1:]), self._buffer.dtype)
            grown[: self._length] = self._buffer[: self._length]
            self._buffer = grown

    def append(self, value: Any) -> None:
        """Add one row."""
        if self._length == len(self._buffer):
            self.reserve(2 * self._length)
        self._buffer[self._length] = value
        self._length += 1

    def extend(self, values: NDArray[Any]) -> None:
        """Add rows."""
        length = self._length + len(values)
        if length > len(self._buffer):
            self.reserve(max(length, 2 * self._length))
        self._buffer[self._length : length] = values
        self._length = length

    def cut(self, length: int) -> None:
        """Leave out the rows from `length` on; what is added next takes their place, also in views of them."""
        self._length = min(length, self._length)

    @property
    def values(self) -> NDArray[Any]:
        """The rows so far: a view nobody may write to, untouched by later growth."""
        view = self._buffer[: self._length]
        view.flags.writeable = False
        return view


class Table:
    """Columns that grow together, most of whose cells are 0: a column in which nothing else stood so far takes no
    memory. Each lies in one piece, because they are read one by one, and a row is short. Whole numbers take 4 bytes, or
    8 from the first on that needs them."""

    def __init__(self, dtype: DTypeLike, width: int) -> None:
        self._buffer: NDArray[Any] = _by_columns(64, width, np.dtype(dtype))
        self._length = 0
        self._narrow = self._buffer.dtype == np.int32
        self._used: set[int] = set()
        """Columns in which something else than 0 stands."""

    def __len__(self) -> int:
        return self._length

    def reserve(self, rows: int) -> None:
        """Have room for so many rows, so that growing up to them copies nothing."""
        if rows > len(self._buffer):
            self._move(rows, self._buffer.dtype)

    def append(self, cells: Iterable[tuple[int, float]]) -> None:
        """Add one row: these cells, each after its column, and 0 in all others."""
        if self._length == len(self._buffer):
            self.reserve(2 * self._length)
        for column, value in cells:
            if value:
                if self._narrow:
                    self._fit(value, value)
                self._buffer[self._length, column] = value
                self._used.add(column)
        self._length += 1

    def extend(self, values: NDArray[Any]) -> None:
        """Add rows of (n, width)."""
        length = self._length + len(values)
        if length > len(self._buffer):
            self.reserve(max(length, 2 * self._length))
        for column in range(values.shape[1]):
            cells = values[:, column]
            if column in self._used or cells.any():
                if self._narrow:
                    self._fit(cells.min(initial=0), cells.max(initial=0))
                self._buffer[self._length : length, column] = cells
                self._used.add(column)
        self._length = length

    @property
    def values(self) -> NDArray[Any]:
        """(n, width) so far: a view nobody may write to, untouched by later growth."""
        view = self._buffer[: self._length]
        view.flags.writeable = False
        return view

    def has_any(self, column: int) -> bool:
        """Whether anything else than 0 stands in a column."""
        return column in self._used

    def _fit(self, lowest: float, highest: float) -> None:
        """Have cells that hold these."""
        if lowest < _LOWEST or highest > _HIGHEST:
            self._narrow = False
            self._move(len(self._buffer), np.dtype(np.int64))

    def _move(self, rows: int, dtype: np.dtype[Any]) -> None:
        moved = _by_columns(rows, self._buffer.shape[1], dtype)
        for column in self._used:
            moved[: self._length, column] = self._buffer[: self._length, column]
        self._buffer = moved


def _by_columns(rows: int, width: int, dtype: np.dtype[Any]) -> NDArray[Any]:
    return np.zeros((rows, width), dtype, order="F")  # what is never written to takes no memory


@dataclass(frozen=True, eq=False)
class StepColumns:
    """n steps of one lane, column by column."""

    step: NDArray[np.int64]
    """(n,)"""
    loss: Floats
    """(n,)"""
    phase_ms: NDArray[np.float32]
    """(n, len(PHASES)) milliseconds, columns in `PHASES` order; 0 where a phase did not run."""
    tuples: NDArray[np.integer[Any]]
    """(n, len(TUPLE_COUNTS)) counts, columns in that order; 0 where nobody counted."""
    counted: frozenset[str]
    """Names of the tuple counts that any of these steps told."""
    mining: NDArray[np.bool_]
    """(n,)"""
    first_call: NDArray[np.bool_]
    """(n,)"""
    metrics: Mapping[str, tuple[NDArray[np.int64], Floats]]
    """By name: the rows, 0..n - 1, of the steps that measured it, and the values."""


@dataclass(frozen=True)
class Tally:
    """The tuples of some steps, added up."""

    steps: int
    counts: Mapping[str, int]
    """By name, those that the lane ever counted; see `hnm_core.run.events.TUPLE_COUNTS`."""

    def count(self, name: str) -> int:
        """A count, 0 where nobody counted."""
        return self.counts.get(name, 0)

    def share(self, band: str) -> float:
        """Share of `hard`, `semi_hard` or `easy` tuples among the three; NaN where there are none."""
        parted = sum(map(self.count, ("hard", "semi_hard", "easy")))
        return self.count(band) / parted if parted else math.nan

    @property
    def false_share(self) -> float:
        """Share of the mined negatives that truly are of the anchor's class; NaN where the truth is not known."""
        known = "false_negative" in self.counts and self.count("mined")
        return self.count("false_negative") / self.count("mined") if known else math.nan

    def per_step(self, name: str) -> float:
        """A count a step; NaN where nobody counted."""
        return self.counts[name] / self.steps if name in self.counts and self.steps else math.nan


class LaneHistory:
    """The steps of one lane. All columns are row for row; rows are in step order."""

    def __init__(
        self,
        name: str,
        parent: LaneHistory | None = None,
        forked_at: int = 0,
        misses: KeptMisses | None = None,
    ) -> None:
        """`parent`: the lane from which this one goes on after step `forked_at`."""
        self.name, self.parent, self.forked_at = name, parent, forked_at
        self.costs: dict[tuple[int, int], Any] = {}
        """What `hnm_core.run.cost.step_cost` said last, by the rows and the turns that it was of."""
        self.turns: list[int] = []
        """First steps with another miner, loss or sampler, by request."""
        self._last_step = int(np.iinfo(np.int64).min)
        self._steps = Column(np.int64)
        self._loss = Column(np.float64)
        self._phase_ms = Table(np.float32, len(PHASES))
        self._tuples = Table(np.int32, len(TUPLE_COUNTS))
        self._mining = Column(np.bool_)
        self._first_call = Column(np.bool_)
        self._metrics: dict[str, tuple[Column, Column]] = {}
        self.counted: set[str] = set()
        """Names of the tuple counts that were ever told; the others are 0 in `tuples` because nobody counted."""
        self.misses = KeptMisses() if misses is None else misses
        """What each measurement of an approximate search missed, by step."""
        self.searches: list[SearchUsed] = []
        """How its searches said that they search, oldest first."""
        self._seconds = Column(np.float64)
        """As many rows as were asked for so far."""
        self._smooth = (0.0, Column(np.float64))
        """The factor that was asked for last, and as many smoothed losses as were asked for so far."""

    def __len__(self) -> int:
        return len(self._steps)

    def reserve(self, steps: int) -> None:
        """Have room for so many steps, where it is known how many there are."""
        for column in (self._steps, self._loss, self._phase_ms, self._tuples, self._mining, self._first_call):
            column.reserve(steps)

    def add(self, record: StepRecord) -> None:
        """Take one step in. One that is not after the last is known already and left out."""
        if record.step <= self._last_step:
            return
        self._last_step = record.step
        self._steps.append(record.step)
        self._loss.append(record.loss)
        self._phase_ms.append((_PHASE_PLACE[phase], ms) for phase, ms in record.phase_ms.items())
        counts = record.tuples.items()
        self._tuples.append((_COUNT_PLACE[name], count) for name, count in counts if name in _COUNT_PLACE)
        self.counted.update(record.tuples)
        self._mining.append(record.mining)
        self._first_call.append(record.first_call)
        for name, value in record.metrics.items():
            steps, values = self._measured(name)
            steps.append(record.step)
            values.append(value)

    def extend(self, columns: StepColumns) -> None:
        """Take many steps in, as `add` takes one after the other."""
        if not len(columns.step):
            return
        before = np.concatenate(([self._last_step], columns.step[:-1]))
        new = columns.step > np.maximum.accumulate(before)
        self._last_step = max(self._last_step, int(columns.step.max()))
        taken: slice | NDArray[np.bool_] = slice(None) if new.all() else new
        self._steps.extend(columns.step[taken])
        self._loss.extend(columns.loss[taken])
        self._phase_ms.extend(columns.phase_ms[taken])
        self._tuples.extend(columns.tuples[taken])
        self.counted |= columns.counted
        self._mining.extend(columns.mining[taken])
        self._first_call.extend(columns.first_call[taken])
        for name, (row, measured) in columns.metrics.items():
            steps, values = self._measured(name)
            steps.extend(columns.step[row[new[row]]])
            values.extend(measured[new[row]])

    def measure(self, name: str, steps: NDArray[np.int64], values: Floats) -> None:
        """Take in what a metric was at these steps, which ascend; those that the lane does not have are left out."""
        if not len(self):
            return
        row = np.minimum(np.searchsorted(self.steps, steps), len(self) - 1)
        known = self.steps[row] == steps
        if known.any():
            own_steps, own_values = self._measured(name)
            own_steps.extend(steps[known])
            own_values.extend(values[known])

    def _measured(self, name: str) -> tuple[Column, Column]:
        if name not in self._metrics:
            self._metrics[name] = (Column(np.int64), Column(np.float64))
        return self._metrics[name]

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
        known = len(self._seconds)
        if known < len(self):
            before = self._seconds.values[-1] if known else self._seconds_before
            spent = summed(self.phase_ms[known:], STEP_COLUMNS)
            with np.errstate(invalid="ignore", over="ignore"):  # times from a file may be anything
                self._seconds.extend(np.cumsum(np.concatenate(([before], spent / 1e3)))[1:])
        return self._seconds.values

    @property
    def _seconds_before(self) -> float:
        """The training clock before the first step: a lane that was forked off has its parent's time behind it."""
        return 0.0 if self.parent is None else float(self.parent.seconds_at(np.array([self.forked_at]))[0])

    @property
    def phase_ms(self) -> NDArray[np.float32]:
        """(n, len(PHASES)) milliseconds, columns in `PHASES` order."""
        return self._phase_ms.values

    @property
    def tuples(self) -> NDArray[np.integer[Any]]:
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
        return float(values[-1]) if len(values) else math.nan

    def misses_at(self, upto_step: int | None = None) -> Misses | None:
        """What the last measurement up to and with a step told of missed negatives; None where there is none."""
        step = self.misses.step_upto(upto_step)
        return None if step is None else self.misses[step]

    def search_words(self, upto_step: int | None = None) -> str:
        """How the lane searched when it told so last, in words; empty where it does not search or has not told."""
        count = self.rows(upto_step)
        since = self._turn(count) or 0
        parts = {
            told.part: told.words
            for told in self.searches
            if told.step >= since and (upto_step is None or told.step <= upto_step)
        }
        return "; ".join(words if part == "miner" else f"batches: {words}" for part, words in parts.items())

    def seconds_at(self, steps: NDArray[np.int64]) -> Floats:
        """The training clock at these steps; before the first, what a parent had spent by the fork, else 0."""
        row = np.searchsorted(self.steps, steps, side="right")
        seconds = np.full(len(steps), self._seconds_before)
        seconds[row > 0] = self.seconds[row[row > 0] - 1]
        return seconds

    def smoothed_loss(self, factor: float) -> Floats:
        """(n,) the loss as a debiased exponential moving average: see `smoothed`. New rows cost only themselves."""
        if self._smooth[0] != factor:
            self._smooth = (factor, Column(np.float64))
        known, reach = self._smooth[1], memory(factor)
        while len(known) < len(self):  # in pieces that stay in the cache of a core, which is several times faster
            start = max(0, len(known) - reach)
            stop = len(known) + max(_SMOOTHED_TOGETHER, 2 * reach)
            known.extend(smoothed(self.loss[start:stop], factor)[len(known) - start :])
        return known.values

    def mean_loss(self, upto_step: int | None = None) -> float:
        """The mean over the last `RECENT_STEPS` steps that had a finite loss; NaN where none had."""
        row = last_rows(lambda part: np.isfinite(self.loss[part]), RECENT_STEPS, self.rows(upto_step))
        with np.errstate(over="ignore"):
            return float(self.loss[row].mean()) if len(row) else math.nan

    def tally(self, upto_step: int | None = None) -> Tally:
        """All tuples mined since the warm-up, and since the lane was last given another miner, loss or sampler."""
        return self._tally(self.counted_rows(upto_step))

    def recent_tally(self, upto_step: int | None = None) -> Tally:
        """The tuples of the last `RECENT_STEPS` steps that were like the last one: with the miner, loss and sampler it
        had, and in or after the warm-up as it was."""
        return self._tally(self._alike(RECENT_STEPS, self.rows(upto_step)))

    def counted_rows(self, upto_step: int | None = None) -> NDArray[np.int64]:
        """The rows that a result speaks of, see `tally`."""
        count = self.rows(upto_step)
        first = self._first_of_now(count)
        return first + np.flatnonzero(self.mining[first:count])

    def _tally(self, row: NDArray[np.int64]) -> Tally:
        def total(place: int) -> int:
            known = self._tuples.has_any(place)
            return int(taken(self.tuples[:, place], row).sum(dtype=np.int64)) if known else 0

        counted = (name for name in TUPLE_COUNTS if name in self.counted)
        return Tally(len(row), {name: total(_COUNT_PLACE[name]) for name in counted})

    def alike(self, count: int, most: int | None = None) -> NDArray[np.int64]:
        """The first `count` rows, but of these only those with the miner, loss and sampler of the last one, and that
        warmed up or not as it did; at most `most` of them, the last."""
        return self._alike(count if most is None else most, count)

    def first_calls_alike(self, count: int) -> NDArray[np.int64]:
        """The rows of `alike(count)` in which something was compiled or set up."""
        calls = np.flatnonzero(self.first_call[:count])
        calls = calls[calls >= self._first_of_now(count)]
        return calls[self.mining[calls] == self.mining[count - 1]] if len(calls) else calls

    def begun_by_parent(self, count: int) -> bool:
        """Whether row `count` - 1 still goes on with the miner, loss and sampler that the lane was forked off with."""
        return self.parent is not None and self._turn(count) is None

    def _alike(self, most: int, count: int) -> NDArray[np.int64]:
        if not count:
            return np.empty(0, np.int64)
        mining = self.mining
        now = mining[count - 1]

        def like(part: slice) -> NDArray[np.bool_]:
            same: NDArray[np.bool_] = mining[part] == now
            return same

        return last_rows(like, most, count, self._first_of_now(count))

    def _turn(self, count: int) -> int | None:
        """The last step up to row `count` - 1 with another miner, loss or sampler; None where there was none."""
        return max((step for step in self.turns if count and step <= self.steps[count - 1]), default=None)

    def _first_of_now(self, count: int) -> int:
        """The first row with the miner, loss and sampler of row `count` - 1."""
        turn = self._turn(count)
        return 0 if turn is None else int(np.searchsorted(self.steps[:count], turn))

    def rate(self, window: int = RATE_STEPS, upto_step: int | None = None) -> float:
        """Steps a second of the training clock over the last `window` steps; NaN before there are two."""
        count = self.rows(upto_step)
        first = max(0, count - window - 1)
        if count - first < 2:
            return math.nan
        spent = self.seconds[count - 1] - self.seconds[first]
        return float((self.steps[count - 1] - self.steps[first]) / spent) if spent > 0 else math.nan


def taken(values: NDArray[Any], row: NDArray[np.int64]) -> NDArray[Any]:
    """`values[row]` of ascending rows; where they follow one another, as after every warm-up, nothing is copied."""
    together = len(row) and row[-1] - row[0] + 1 == len(row)
    return values[row[0] : row[-1] + 1] if together else values[row]


def summed(phase_ms: NDArray[np.floating[Any]], phases: Iterable[int]) -> Floats:
    """(n,) milliseconds of some phases together, of (n, len(PHASES)) as in `LaneHistory.phase_ms`."""
    total = np.zeros(len(phase_ms))
    with np.errstate(invalid="ignore"):
        for phase in phases:  # so few columns are added up faster one by one than row by row
            total += phase_ms[:, phase]
    return total


@dataclass(eq=False)
class RunHistory:
    """All lanes of a run, and what happened to them. Takes the steps of each lane in order; what else is told of a step
    may come before or together with the steps before it."""

    started: RunStarted | None = None
    ended: RunFinished | RunFailed | None = None
    lanes: dict[str, LaneHistory] = field(default_factory=dict)
    """By name, in lane order, forked ones last."""
    told: list[OptionChanged | WarmupEnded | LaneForked | Alarm] = field(default_factory=list)
    """What happened to lanes, in the order in which it was told."""
    read_misses: Callable[[str, int], Misses] | None = None
    """Reads back what a lane missed at a step, where that can be done; see `KeptMisses`."""
    missed_steps: Mapping[str, Iterable[int]] = field(default_factory=dict)
    """By lane, the steps of which it can do so before anything was told."""

    def add(self, event: Event) -> None:
        """Take one event in. A `RunStarted` begins everything anew."""
        match event:
            case StepRecord():
                self.lane(event.lane).add(event)
            case Misses():
                self.lane(event.lane).misses.add(event)
            case SearchUsed():
                self.lane(event.lane).searches.append(event)
            case OptionChanged():
                self.told.append(event)
                if begins_anew(event):
                    self.lane(event.lane).turns.append(event.step)
            case LaneForked():
                self.told.append(event)
                self.lanes[event.lane] = self._begun(event.lane, self.lane(event.parent), event.step)
            case WarmupEnded() | Alarm():
                self.told.append(event)
            case RunStarted():
                self.started, self.ended, self.told = event, None, []
                self.lanes = {lane.name: self._begun(lane.name) for lane in event.config.lanes}
            case RunFinished() | RunFailed():
                self.ended = event
            case _:
                pass  # frames are for the clouds, weights for files

    def lane(self, name: str) -> LaneHistory:
        """The history of a lane; one that nobody spoke of before is a new one."""
        if name not in self.lanes:
            self.lanes[name] = self._begun(name)
        return self.lanes[name]

    def _begun(self, name: str, parent: LaneHistory | None = None, forked_at: int = 0) -> LaneHistory:
        read = None if self.read_misses is None else partial(self.read_misses, name)
        return LaneHistory(name, parent, forked_at, KeptMisses(read, self.missed_steps.get(name, ())))

    @property
    def last_step(self) -> int:
        """The last step of the lane that is farthest; 0 before the first."""
        return max((int(lane.steps[-1]) for lane in self.lanes.values() if len(lane)), default=0)

    @property
    def changes(self) -> list[OptionChanged | LaneForked]:
        """Changes of options and forks, oldest first."""
        return [event for event in self.told if isinstance(event, OptionChanged | LaneForked)]

    def lane_configs(self, upto_step: int | None = None) -> dict[str, ExperimentConfig]:
        """Every lane's configuration alone, after what was changed up to and with a step; see `run.changeable`."""
        if self.started is None:
            return {}
        known = [change for change in self.changes if upto_step is None or change.step <= upto_step]
        return changeable.at_the_end(self.started.config, known)

    @property
    def running(self) -> list[str]:
        """Names of the lanes that have not ended."""
        over = {event.lane for event in self.told if isinstance(event, Alarm) and event.fatal}
        steps = None if self.started is None else self.started.config.steps
        return [
            name
            for name, lane in self.lanes.items()
            if self.ended is None and name not in over and not (len(lane) and lane.steps[-1] == steps)
        ]

    @property
    def audits(self) -> bool:
        """Whether nothing is trained: the run only shows what would be mined of items as they are."""
        return self.started is not None and self.started.config.model.name == "identity"
