"""What a step costs: the one definition behind every figure of time in tables, chips, bars, videos and exports.

A bank that is embedded and indexed in one step serves the steps up to the next one, and so do the batches that a
sampler mines for an epoch. A median over steps would call them free, and a plain quantile would see most steps pay
nothing. So what serves several steps is spread evenly over them, and every figure is of that. Loads no torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hnm_core.run.history import LaneHistory, summed, taken
from hnm_core.run.series import Floats
from hnm_core.run.timing import MINING_COLUMNS, PHASES, STEP_COLUMNS, Phase

MOST_STEPS = 50_000
"""Figures are of no more steps than these, the last ones: of so many a mean and a p95 are as sure as anybody reads
them, and of a run of millions they are worked out again whenever somebody looks."""
KEPT_COSTS = 4
"""Of a lane: figures of a moment are asked for by several views, and again and again while nothing changes."""
_BUILD = PHASES.index(Phase.BUILD)
_MAKES = [PHASES.index(phase) for phase in (Phase.EMBED, Phase.BUILD, Phase.BACKGROUND)]
_USES = [PHASES.index(phase) for phase in (Phase.SEARCH, Phase.SELECT)]


@dataclass(frozen=True, eq=False)
class StepCost:
    """Milliseconds a step, what serves several steps spread over them; first calls left out."""

    steps: int
    """Steps that the figures are of."""
    phase_ms: Floats
    """(len(PHASES),) the mean of each phase; 0 where there are no steps."""
    mining_p95: float
    """95 of 100 steps mine for so long or less, with their share of what serves several; NaN where there are none."""
    step_p95: float
    """Likewise of whole steps."""
    first_calls: int
    """Steps left out, in which something was compiled or set up: of all that were alike."""
    first_ms: float
    """What these took together."""

    @property
    def mining_ms(self) -> float:
        """The mean of all that mining takes, also in the background; NaN where there are no steps."""
        return float(self.phase_ms[MINING_COLUMNS].sum()) if self.steps else math.nan

    @property
    def background_ms(self) -> float:
        """The mean of what was made on another thread meanwhile: mining that holds no step up."""
        return float(self.phase_ms[PHASES.index(Phase.BACKGROUND)])

    @property
    def step_ms(self) -> float:
        """The mean of whole steps, by the training clock; NaN where there are no steps."""
        return float(self.phase_ms[STEP_COLUMNS].sum()) if self.steps else math.nan


def step_cost(lane: LaneHistory, upto_step: int | None = None) -> StepCost:
    """What the steps of a lane cost that were like the last one up to a step, None for now: with its miner, loss and
    sampler, and in or after the warm-up as it was; of more than `MOST_STEPS` so many at the end, and before them those
    that the same bank served. A bank that a lane was forked off with serves it and its parent. Asked again of the same
    steps it costs nothing."""
    count = lane.rows(upto_step)
    key = count, len(lane.turns)
    if key not in lane.costs:
        if len(lane.costs) == KEPT_COSTS:
            lane.costs.clear()
        lane.costs[key] = _step_cost(lane, count)
    cost: StepCost = lane.costs[key]
    return cost


def _step_cost(lane: LaneHistory, count: int) -> StepCost:
    calls = lane.first_calls_alike(count)
    with np.errstate(invalid="ignore", over="ignore"):  # times from a file may be anything
        first = summed(lane.phase_ms[calls], STEP_COLUMNS)
        kept, columns = _spread_over(lane, count, MOST_STEPS)
        steps = int(np.count_nonzero(kept))
        if not steps:
            return StepCost(0, np.zeros(len(PHASES)), math.nan, math.nan, len(first), float(first.sum()))
        phase_ms, (mining, step) = np.zeros(len(PHASES)), np.zeros((2, steps))
        for phase, ms in enumerate(columns):
            if not ms.any():
                continue
            phase_ms[phase] = ms.mean()
            for total, parts in ((mining, MINING_COLUMNS), (step, STEP_COLUMNS)):
                if phase in parts:
                    total += ms
        return StepCost(
            steps=steps,
            phase_ms=phase_ms,
            mining_p95=float(np.percentile(mining, 95, overwrite_input=True)),
            step_p95=float(np.percentile(step, 95, overwrite_input=True)),
            first_calls=len(first),
            first_ms=float(first.sum()),
        )


def mining_ms(lane: LaneHistory) -> Floats:
    """(n,) what mining took of each step of a lane, what serves several spread over them; NaN of first calls and of
    steps that nobody timed."""
    spent = np.full(len(lane), np.nan)
    turns = np.searchsorted(lane.steps, np.array(lane.turns, np.int64)).tolist()
    flips = (np.flatnonzero(np.diff(lane.mining)) + 1).tolist()
    for end in sorted({*turns, *flips, len(lane)} - {0}):
        kept, columns = _spread_over(lane, end)
        row = lane.alike(end)
        spent[row] = np.nan
        spent[row[kept]] = sum((ms for phase, ms in enumerate(columns) if phase in MINING_COLUMNS), np.zeros(1))
    return spent


def spread(phase_ms: NDArray[np.float32], first_call: NDArray[np.bool_]) -> Iterator[Floats]:
    """Phase by phase, (n,) milliseconds of n steps in a row, each with its share of what serves it.

    What embeds and builds in a step is spread over it and the steps up to the next that does, and so are search and
    selection in a step that builds: they do what the index had put off, or mine the batches of an epoch. The sum stays
    the same, but for what a first call made: that is priced as the mean of what other steps made; where none did, as
    it was measured, unless it is a search such as every step has.

    Args:
        phase_ms: (n, len(PHASES)), 0 where a phase did not run.
        first_call: (n,) see `hnm_core.run.events.StepRecord`.

    Yields:
        Always the same array, as the room of one for each phase would be several times that of the history.
    """
    ms, room = np.empty(len(phase_ms)), (np.empty(len(phase_ms)), np.empty(len(phase_ms), np.int64))
    built = phase_ms[:, _BUILD] > 0
    building = np.flatnonzero(built)
    for phase in range(len(PHASES)):
        ms[:] = phase_ms[:, phase]
        if phase in _USES:
            _spread_one(ms, building, first_call, room, alone=bool(((ms > 0) & ~built).any()))
        elif phase in _MAKES:
            _spread_one(ms, building if phase == _BUILD else np.flatnonzero(ms > 0), first_call, room, alone=False)
        yield ms


def _spread_one(
    ms: Floats,
    made: NDArray[np.int64],
    first_call: NDArray[np.bool_],
    room: tuple[Floats, NDArray[np.int64]],
    *,
    alone: bool,
) -> None:
    """Spread what some steps made over those that they serve, each up to the next of them; `alone`: others do the same
    for themselves. `room`: as much as `ms` twice, for what is worked out, as new memory costs more than the work."""
    if not len(made):
        return
    price, served = room[0][: len(made)], room[1][: len(made)]
    np.take(ms, made, out=price)
    first = first_call[made]
    if first.any() and not first.all():
        price[first] = price[~first].mean()
    elif first.any() and alone:
        price[first] = 0  # a search for the step alone, as others have one, and most of it compiling
    if len(made) == len(ms) - made[0]:  # every step from there on is served by itself alone
        ms[made] = price
        return
    ms[made] = 0
    np.subtract(made[1:], made[:-1], out=served[:-1])
    served[-1] = len(ms) - made[-1]
    price /= served
    ms[made[0] :] += np.repeat(price, served)


def _spread_over(lane: LaneHistory, count: int, most: int | None = None) -> tuple[NDArray[np.bool_], Iterator[Floats]]:
    """Which rows of `lane.alike(count)` were timed and are no first calls, and of these what `spread` makes of their
    times, phase by phase. `most`: of so many rows at the end, from the one on that made what serves the first."""
    phase_ms, first_call, rows = _stretch(lane, count, None if most is None else 2 * most)
    if most is not None and len(phase_ms) > most:
        start = _made_for(phase_ms, len(phase_ms) - most)
        phase_ms, first_call = phase_ms[start:], first_call[start:]
        rows = min(rows, len(phase_ms))
    timed = np.zeros(len(phase_ms), np.bool_)
    for phase in range(len(PHASES)):  # so few columns are looked at faster one by one than row by row
        timed |= phase_ms[:, phase] != 0
    own = len(phase_ms) - rows
    kept = timed & ~first_call
    kept[:own] = False
    columns = spread(phase_ms, first_call) if timed.all() else spread(phase_ms[timed], first_call[timed])
    wanted = _where(kept[timed])
    return kept[own:], (ms[wanted] for ms in columns)


def _where(flags: NDArray[np.bool_]) -> slice | NDArray[np.bool_]:
    """An index of what is flagged, which copies nothing where that is all behind a first part, as first calls are."""
    first = int(flags.argmax()) if len(flags) else 0
    return slice(first, None) if flags[first:].all() else flags


def _made_for(phase_ms: NDArray[np.float32], row: int) -> int:
    """The row that made what serves this one; the row itself where none before it did."""
    for phase in (_BUILD, *_MAKES):
        made = np.flatnonzero(phase_ms[: row + 1, phase])
        if len(made):
            return int(made[-1])
    return row


def _stretch(lane: LaneHistory, count: int, most: int | None) -> tuple[NDArray[np.float32], NDArray[np.bool_], int]:
    """Times and first calls of the rows of `lane.alike(count)`, after those of the parent that they go on from; and how
    many of them are the lane's own. `most`: no more rows than these, the last."""
    row = lane.alike(count, most)
    phase_ms, first_call = taken(lane.phase_ms, row), taken(lane.first_call, row)
    left = None if most is None else most - len(row)
    if lane.parent is None or not lane.begun_by_parent(count) or left == 0:
        return phase_ms, first_call, len(row)
    then = lane.parent.rows(lane.forked_at)
    if not then or not count or lane.parent.mining[then - 1] != lane.mining[count - 1]:
        return phase_ms, first_call, len(row)
    before, calls, _ = _stretch(lane.parent, then, left)
    return np.concatenate((before, phase_ms)), np.concatenate((calls, first_call)), len(row)
