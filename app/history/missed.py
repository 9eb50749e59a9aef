"""What approximate searches missed at a step, lane by lane, and why, in words. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from hnm_core.miners.whole_set.options import SearchingOptions
from hnm_core.run.events import Misses, RunStarted
from hnm_core.run.history import LaneHistory, RunHistory
from hnm_core.run.misses import Buckets, CellUnvisited, CodesDiffer, Reason, TablesPart, unpacked
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.registry import NEIGHBORS, OVER_DOCUMENTS, is_over_documents
from hnm_core.words import significant

MOST_BITS_NAMED = 24
NOT_LISTED = "tells its recall alone: what it missed was not listed when this was recorded"


@dataclass(frozen=True)
class Missed:
    """One true nearest negative that was not returned; ids are those of the data set."""

    anchor: int
    nearest: int
    nearest_distance: float
    found: int
    """-1 for nothing"""
    found_distance: float
    """NaN for nothing"""
    why: str
    """In a few words; empty where the search cannot tell."""
    details: str = ""
    """What there is to say of it beside `why`."""

    @property
    def farther(self) -> str:
        """By how much what was returned is farther, in words."""
        if self.found < 0:
            return "nothing returned"
        excess = self.found_distance - self.nearest_distance
        share = f" ({100 * excess / self.nearest_distance:.0f} %)" if self.nearest_distance > 0 else ""
        return f"{significant(excess)}{share}"


@dataclass(frozen=True, eq=False)
class LaneMissed:
    """What there is to say of one lane at a step."""

    lane: str
    place: int
    """In lane order."""
    note: str
    """Why nothing is listed; empty where something is, or could be."""
    tag: str = ""
    """That in a word."""
    step: int = 0
    """When it was measured."""
    probed: int = 0
    total: int = 0
    rows: tuple[Missed, ...] = ()
    """The worst first; fewer than `total` where there are many."""
    recall: NDArray[np.float64] | None = None
    """(n,) of each measurement so far"""
    regret: NDArray[np.float64] | None = None
    buckets: Buckets | None = None
    search: str = ""
    """How the lane searches, in words."""
    used: NDArray[np.float64] | None = None
    """(n,) of each measurement so far the share of the negatives handed out that were among the nearest by then"""
    used_of: int = 0
    """how many nearest"""

    @property
    def used_words(self) -> str:
        """How much of what was handed out was worth it by the weights of its step; empty where nobody measured."""
        if self.used is None or not len(self.used):
            return ""
        return f"still nearest {self.used[-1]:.1%}: so many of those handed out were among the {self.used_of:,} nearest"

    @property
    def how(self) -> str:
        """How good what it handed out was and, where the note does not tell it, how it searches."""
        return " · ".join(filter(None, (self.used_words, "" if self.note else self.search)))

    @property
    def short(self) -> str:
        """For a tab: how many are missed, or why none are."""
        return self.tag if self.note else f"{self.total:,}"

    @property
    def summary(self) -> str:
        """For example "missed 240 of 512 at step 500, the worst 64 listed"."""
        return self.note or f"{self.count} {self.when}"

    @property
    def count(self) -> str:
        """How many of how many."""
        return f"missed {self.total:,} of {self.probed:,}"

    @property
    def when(self) -> str:
        """When that was measured, and how much of it is listed."""
        listed = f", the worst {len(self.rows)} listed" if len(self.rows) < self.total else ""
        return f"at step {self.step:,}{listed}"


def missed(
    history: RunHistory, upto_step: int | None = None, step_of: Mapping[str, int] = MappingProxyType({})
) -> list[LaneMissed]:
    """Every lane of a run as it was measured last up to its step in `step_of`, or up to a step; None is now."""
    started = history.started
    if started is None:
        return []
    lanes = []
    for place, (name, lane) in enumerate(history.lanes.items()):
        upto = step_of.get(name, upto_step)
        config = history.lane_configs(upto).get(name, started.config)
        lanes.append(_of_lane(place, lane, config, started, upto))
    return lanes


def _of_lane(
    place: int, lane: LaneHistory, config: ExperimentConfig, started: RunStarted, upto_step: int | None
) -> LaneMissed:
    lately = LaneMissed(
        lane.name,
        place,
        note="",
        search=lane.search_words(upto_step),
        used=lane.metric("used_recall", upto_step)[1],
        used_of=int(np.nan_to_num(lane.latest("used_of", upto_step))),
    )
    without = without_misses(config)
    if without:
        return replace(lately, note=without[0], tag=without[1])
    misses, recall = lane.misses_at(upto_step), lane.metric("mining_recall", upto_step)[1]
    if misses is None and len(recall) and is_over_documents(config.data.name):
        return replace(lately, note=NOT_LISTED, tag="recall only")
    turn = max((step for step in lane.turns if upto_step is None or step <= upto_step), default=0)
    if misses is None or misses.step < turn:
        done = lane.rows(upto_step)
        return replace(lately, note=_when(int(lane.steps[done - 1]) if done else 0, config), tag="...")
    return replace(
        lately,
        step=misses.step,
        probed=misses.probed,
        total=misses.total,
        rows=rows_of(misses, started),
        recall=recall,
        regret=lane.metric("hardness_regret", upto_step)[1],
        buckets=misses.buckets,
    )


def without_misses(config: ExperimentConfig) -> tuple[str, str] | None:
    """Why the one lane of a configuration misses nothing, whatever is measured, in words and in one; None where it
    may."""
    lane = config.lanes[0]
    options = lane.miner_part.options
    if not lane.mines or lane.miner == f"random{OVER_DOCUMENTS}":
        return "draws at random, without a search", "random"
    if lane.miner == f"bm25{OVER_DOCUMENTS}":
        return "finds negatives by the words they share with a query, in no embedding, so it misses nothing", "words"
    if lane.in_batch:
        return "mines inside the batch, without a search", "in batch"
    if isinstance(options, SearchingOptions) and not NEIGHBORS.entry(options.search).options.approximate:
        return "searches exactly, so it misses nothing", "exact"
    return None


def _when(step: int, config: ExperimentConfig) -> str:
    if step >= config.steps:
        return "was not measured"
    next_step = min((step // config.eval_every + 1) * config.eval_every, config.steps)
    return f"is measured at step {next_step:,}; what it missed is listed then"


def rows_of(misses: Misses, started: RunStarted) -> tuple[Missed, ...]:
    """The misses one by one."""
    classes = () if is_over_documents(started.config.data.name) else started.class_names
    why = _words(misses.reason, classes)
    rows = []
    for row in range(len(misses)):
        words, details = why(row)
        rows.append(
            Missed(
                int(misses.anchors[row]),
                int(misses.nearest[row]),
                float(misses.nearest_distance[row]),
                int(misses.found[row]),
                float(misses.found_distance[row]),
                words,
                details,
            )
        )
    return tuple(rows)


def _words(reason: Reason | None, class_names: tuple[str, ...]) -> Callable[[int], tuple[str, str]]:
    """What tells why, in a few words and in more, for a row; of queries and documents there are no `class_names`."""
    match reason:
        case CodesDiffer():
            return lambda row: _codes(reason, row)
        case TablesPart():
            return lambda row: _tables(reason, row)
        case CellUnvisited():
            return lambda row: _cell(reason, row, class_names)
        case None:
            return lambda row: ("", "")


def _codes(reason: CodesDiffer, row: int) -> tuple[str, str]:
    differing, rank, negatives = (int(each[row]) for each in (reason.differing, reason.rank, reason.negatives))
    words = f"differs in {differing} of {reason.bits} bits; rank {rank:,} of {negatives:,}"
    bits = np.flatnonzero(unpacked(reason.mask[row : row + 1], reason.bits)[0])
    named = ", ".join(map(str, bits[:MOST_BITS_NAMED].tolist()))
    more = f" and {len(bits) - MOST_BITS_NAMED} more" if len(bits) > MOST_BITS_NAMED else ""
    measured = f"The {reason.candidates:,} most similar codes were measured exactly."
    return words, f"{measured}\nBits that differ: {named}{more}." if len(bits) else measured


def _tables(reason: TablesPart, row: int) -> tuple[str, str]:
    tables = "1 table" if reason.tables == 1 else f"{reason.tables} tables"
    searched = np.flatnonzero(unpacked(reason.probed[row : row + 1], reason.tables)[0])
    keys = f"Keys have {reason.bits} bits; {reason.probes} further buckets are searched in each table."
    if len(searched):
        where = f"in {len(searched)} of {tables}"
        return f"in a searched bucket {where}, cut down to {reason.cap:,} rows", keys
    bits = int(reason.differing[row])
    return f"shares no bucket in {tables}; keys differ in {bits} bit{'s' if bits != 1 else ''} or more", keys


def _cell(reason: CellUnvisited, row: int, class_names: tuple[str, ...]) -> tuple[str, str]:
    label, rank = int(reason.label[row]), int(reason.rank[row])
    nearest = f"({ordinal(rank)} nearest, {reason.visited:,} visited)"
    if not class_names:
        return f"its cell was not visited {nearest}", f"{reason.cells:,} cells in all."
    name = class_names[label] if 0 <= label < len(class_names) else str(label)
    what = f"class {name}" if name.isdigit() else name
    return (
        f"not visited: {what} {nearest}",
        f"{reason.cells:,} cells in all: classes, parts of wide ones, or several small ones.",
    )


def filling_words(buckets: Buckets) -> tuple[str, str]:
    """How buckets are filled and what is compared, in a line; and the histogram."""
    mean, p95 = (f"{value:,.0f}" for value in (buckets.compared_mean, buckets.compared_p95))
    line = f"{buckets.used:,} buckets, up to {buckets.largest:,} rows; {mean} compared (p95 {p95})"
    sizes = [f"{_range(place)}: {count:,}" for place, count in enumerate(buckets.histogram.tolist()) if count]
    return line, f"buckets by how many rows they hold: {', '.join(sizes)}"


def _range(place: int) -> str:
    """Which sizes a bar of the histogram counts: 1, 2, 3-4, 5-8, ..."""
    low, high = (1 << place - 1) + 1 if place else 1, 1 << place
    return f"{low:,}" if low == high else f"{low:,}-{high:,}"


def ordinal(number: int) -> str:
    """1st, 2nd, 3rd, 4th, ... 11th, ... 21st."""
    if number % 100 in (11, 12, 13):
        return f"{number:,}th"
    return f"{number:,}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
