"""Every way to mine a set, side by side: how hard the negatives are, how many are false, what finding them takes.

A row is what `hnm_core.mine` would hand out for a sample of the anchors. Hardness kept is measured between two levels
of the same anchors: 0 is what chance draws, 1 the exact nearest.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from hnm_core.data.base import Progress, generator, report
from hnm_core.data.judged import JudgedSet
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.mining_quality import compare
from hnm_core.evaluation.suspects import voted
from hnm_core.isolation import isolated
from hnm_core.negatives.anchors import Anchors
from hnm_core.negatives.by_chance import ChanceFinder
from hnm_core.negatives.choosing import NO_POSITIVE
from hnm_core.negatives.mining import Finder, Mined, Miner, SearchFinder, blocks_of, joined
from hnm_core.negatives.options import MineOptions, checked
from hnm_core.negatives.to_file import LabelledSet, anchors_of
from hnm_core.neighbors.found import Neighbors
from hnm_core.spec.registry import NEIGHBORS, Part, SearchOptions
from hnm_core.system.peak import Peak
from hnm_core.words import percent

SEARCHES = ("exact", "routed", "lsh-scan", "lsh-buckets")
WAYS: Mapping[str, Mapping[str, Any]] = {
    "nearest": {},
    "rank window 10 to 40": {"select": "rank-window", "rank_min": 10, "rank_max": 40},
    "relative margin 0.05": {"relative_margin": 0.05},
    "relative margin 0.1": {"relative_margin": 0.1},
    "semi-hard": {"select": "semi-hard"},
}
"""Ways to choose among what a search finds, as options of `hnm_core.mine`."""
CHANCE = "random"
MOST_ANCHORS = 2_000
"""Unless asked for otherwise, no more anchors than this."""
OF_AUDIT = ("negatives", "num_negatives", "seed", "like", "keep_positives")
"""Options that are the same for all ways."""
CLOSE = 0.95
"""A search comes as far as the best where it gets this share of its worth."""
WORTH_THE_LOSS = 0.5
"""An approximate search has to take less than this share of the exact one's time to be advised."""
_WARMED_UP = 64
_MOST_WARMED = 100_000
"""Rows of a bank up to which loading a search's kernels would show in its time."""

_NEARER = "nearer to their anchor than every positive it stands with"
_VOTE = "of the anchor's class by the vote of their neighbours' labels"


@dataclass(frozen=True)
class AuditRequest:
    """What is compared."""

    searches: Mapping[str, Part[SearchOptions]]
    """By the name that it has in the table; `exact` is compared in any case."""
    ways: Mapping[str, MineOptions]
    """By name; the number of negatives and the seed are those of all."""
    distance: Distance
    anchors: int = MOST_ANCHORS
    """At most; of more a sample is drawn."""
    seed: int = 0


@dataclass(frozen=True)
class Row:
    """A way to mine. Shares and means are NaN where there is nothing to divide by, or nothing is known."""

    search: str
    way: str
    similarity: float
    """mean score of the negatives: a similarity, of Euclidean distances the negative; the higher the harder"""
    lead: float
    """mean of the negatives' score less that of the anchor's positive, of several the nearest"""
    kept: float
    """hardness: how far the mean score is from that of random negatives (0) to that of the exact nearest (1), of the
    anchors that got some here"""
    suspected: float
    """share of the negatives that are suspected to be false, by `Audit.evidence`"""
    known: float
    """share of the negatives that truly are of the anchor's class"""
    recall: float
    """share of the candidates looked at by an exact search that this one finds too"""
    negatives: int
    filled: float
    """share of the negatives asked for that were found, of anchors with a positive"""
    fewer: int
    """anchors with some negatives, but fewer than asked for"""
    without: int
    """anchors with none"""
    build_s: float
    """seconds of indexing, once for all ways of the search"""
    search_s: float
    choose_s: float
    megabytes: float
    """growth of the process to its peak while the search was built and asked, all its ways together"""
    front: bool = False
    """no other row has as much `hardness` with a smaller share of false negatives, or more with no larger share"""

    @property
    def name(self) -> str:
        """Of search and way."""
        return f"{self.search}, {self.way}" if self.search else self.way

    @property
    def false(self) -> float:
        """The share of false negatives: the known one where the truth is known, else the suspected one."""
        return self.suspected if math.isnan(self.known) else self.known

    @property
    def hardness(self) -> float:
        """Kept, of all negatives asked for: one that was not found keeps nothing."""
        return self.kept * self.filled

    @property
    def worth(self) -> float:
        """Hardness x share of the negatives that are true."""
        return self.hardness * (1 - self.false)


@dataclass(frozen=True, eq=False)
class Audit:
    """What came of it."""

    rows: Sequence[Row]
    anchors: int
    """looked at,"""
    of_anchors: int
    """of so many."""
    candidates: int
    """Rows that are searched."""
    per_anchor: int
    """Negatives asked for."""
    evidence: str
    """By what a negative is suspected, in words."""
    truth: bool
    """Whether the share of false negatives is known."""
    skipped: Mapping[str, str]
    """Searches that cannot search this set, and why."""

    def seconds(self, row: Row) -> float:
        """What the index and searching for all anchors take, estimated from those looked at."""
        return row.build_s + row.search_s * self.of_anchors / self.anchors

    @property
    def evidence_is_filter(self) -> bool:
        """Whether what is suspected is what margins and semi-hard leave out anyway."""
        return self.evidence == _NEARER

    @property
    def advice(self) -> str:
        """One sentence: what to take, and why."""
        return _advice(self)


class _Way(NamedTuple):
    mined: Mined
    found: Neighbors
    search_s: float
    choose_s: float


class _Watched:
    """A `Finder` over one that is prepared already, which keeps what it found."""

    def __init__(self, inner: Finder) -> None:
        self._inner = inner
        self.found: list[Neighbors] = []

    @property
    def description(self) -> str:
        return self._inner.description

    def prepare(self, anchors: Anchors) -> None:
        pass

    def find(self, anchors: Anchors, part: slice, k: int, *, all_rows: bool) -> Neighbors:
        found = self._inner.find(anchors, part, k, all_rows=all_rows)
        self.found.append(found)
        return found


def request(
    searches: Mapping[str, tuple[str, Mapping[str, Any]]] | None = None,
    ways: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    negatives: int = 3,
    distance: Distance | None = None,
    anchors: int = MOST_ANCHORS,
    seed: int = 0,
) -> AuditRequest:
    """What to compare, checked.

    Args:
        searches: registered name and options by the name in the table, beside `exact`; None takes `SEARCHES`.
        ways: options of `hnm_core.mine` by name, beside the nearest; None takes `WAYS`.
        negatives: for each anchor.
        distance: what near means; None is the cosine.
        anchors: how many to look at, at most.
        seed: of what is drawn.

    Raises:
        InputError: an unknown search or option, one that is not a way's own, or numbers out of range.
    """
    if not 1 <= negatives <= 100:
        raise InputError(f"negatives = {negatives} is not allowed: 1 to 100 for each anchor.")
    if anchors < 1:
        raise InputError(f"anchors = {anchors} is not allowed: at least 1 has to be looked at.")
    for name, options in (ways or {}).items():
        shared = [option for option in OF_AUDIT if option in options]
        if shared:
            raise InputError(f"The way '{name}' sets {shared[0]}, which is the same for all ways of an audit.")
    by_search: dict[str, tuple[str, Mapping[str, Any]]] = {"exact": ("exact", {})}
    by_search.update(searches if searches is not None else {name: (name, {}) for name in SEARCHES})
    by_way: dict[str, Mapping[str, Any]] = {"nearest": {}}
    by_way.update(ways if ways is not None else WAYS)
    return AuditRequest(
        {name: NEIGHBORS.part(search, options) for name, (search, options) in by_search.items()},
        {name: checked({**options, "negatives": negatives, "seed": seed}) for name, options in by_way.items()},
        distance or Distance("cosine"),
        anchors,
        seed,
    )


@isolated
def audit(given: JudgedSet | LabelledSet, asked: AuditRequest, progress: Progress | None = None) -> Audit:
    """Mine a sample of the anchors in every way.

    Args:
        given: a set with embeddings.
        asked: see `request`.
        progress: called as progress(done, total, what).

    Raises:
        InputError: what `hnm_core.mine` refuses; a search other than `exact` that refuses the set is left out.
        LoadCancelled: the progress callback returned False.
    """
    count = next(iter(asked.ways.values())).negatives
    everybody = anchors_of(given, next(iter(asked.ways.values())))
    total = len(everybody.anchor)
    drawn = generator(asked.seed, "anchors").permutation(total)[: asked.anchors] if total > asked.anchors else None
    anchors = everybody if drawn is None else everybody.some(torch.from_numpy(np.sort(drawn)))

    steps = itertools.count(1)
    all_steps = len(asked.searches) * len(asked.ways) + 1

    def step() -> None:
        report(progress, next(steps), all_steps, "ways")

    report(progress, 0, all_steps, "ways")
    by_chance = _by_chance(anchors, count, asked)
    step()
    exact, exact_build, exact_peak = _searched(anchors, asked.searches["exact"], asked, step)
    tried = [("exact", exact, exact_build, exact_peak)]
    skipped = {}
    for name, part in asked.searches.items():
        if name == "exact":
            continue
        try:
            tried.append((name, *_searched(anchors, part, asked, step)))
        except InputError as error:
            skipped[name] = str(error)
    report(progress, all_steps, all_steps, "ways")

    judge = _Judge(given, anchors, asked.distance, by_chance.mined, exact["nearest"].mined, progress)
    judge.look_at([by_chance.mined, *(way.mined for _, ways, _, _ in tried for way in ways.values())])
    rows = [
        replace(
            judge.row(name, choice, way),
            recall=compare(way.found, exact[choice].found).recall,
            build_s=build_s,
            megabytes=megabytes,
        )
        for name, ways, build_s, megabytes in tried
        for choice, way in ways.items()
    ]
    rows.append(judge.row("", CHANCE, by_chance))
    return Audit(
        with_front(rows),
        len(anchors.anchor),
        total,
        len(anchors.bank),
        count,
        _VOTE if isinstance(given, LabelledSet) and given.several is None else _NEARER,
        judge.truth is not None,
        skipped,
    )


def _by_chance(anchors: Anchors, count: int, asked: AuditRequest) -> _Way:
    """As many as are asked for, all of them taken."""
    options = checked({"negatives": count, "select": "rank-window", "rank_max": count, "seed": asked.seed})
    return _mined(anchors, options, ChanceFinder(asked.distance, asked.seed), asked.distance)


def _searched(
    anchors: Anchors, part: Part[SearchOptions], asked: AuditRequest, step: Callable[[], None]
) -> tuple[dict[str, _Way], float, float]:
    """What each way makes of a search, seconds of building it, and megabytes."""
    if len(anchors.bank) <= _MOST_WARMED:
        first = SearchFinder(part, asked.distance)  # another one: what it learns of the set is no gift to that below
        first.prepare(anchors)
        first.find(anchors, slice(0, _WARMED_UP), 1, all_rows=False)
    with Peak() as peak:
        finder = SearchFinder(part, asked.distance)
        begun = time.perf_counter()
        finder.prepare(anchors)
        build_s = time.perf_counter() - begun
        ways = {}
        for name, options in asked.ways.items():
            ways[name] = _mined(anchors, options, finder, asked.distance)
            step()
    return ways, build_s, math.nan if peak.megabytes is None else peak.megabytes


def _mined(anchors: Anchors, options: MineOptions, finder: Finder, distance: Distance) -> _Way:
    watched = _Watched(finder)
    blocks = list(blocks_of(Miner(anchors, options, distance, watched)))
    found = Neighbors(*(torch.cat(values) for values in zip(*watched.found, strict=True)))
    spent = {phase: sum(block.seconds[phase] for block in blocks) for phase in ("search", "choose")}
    return _Way(joined([block.mined for block in blocks]), found, spent["search"], spent["choose"])


class _Judge:
    """Says of mined negatives how hard and how false they are."""

    def __init__(
        self,
        given: JudgedSet | LabelledSet,
        anchors: Anchors,
        distance: Distance,
        by_chance: Mined,
        nearest: Mined,
        progress: Progress | None,
    ) -> None:
        self._given, self._anchors, self._distance, self._progress = given, anchors, distance, progress
        self._low, self._high = _means(by_chance), _means(nearest)
        self.truth = given.true_labels if isinstance(given, LabelledSet) else None
        self._voted: NDArray[np.int64] | None = None

    def look_at(self, mined: Sequence[Mined]) -> None:
        """Have the labels voted on of all items of classes that occur."""
        if not isinstance(self._given, LabelledSet) or self._given.several is not None:  # there is no class to vote on
            return
        rows = np.unique(np.concatenate([np.concatenate((one.anchor, one.negative.ravel())) for one in mined]))
        rows = rows[rows >= 0]

        def searched(done: int, total: int) -> bool:
            report(self._progress, done, total, "vote")
            return True

        labels = torch.from_numpy(np.array(self._given.labels))
        bank = self._anchors.bank
        vote = voted(bank.embeddings, labels, torch.from_numpy(rows), self._distance, progress=searched)
        self._voted = np.full(len(labels), -1, np.int64)
        self._voted[rows] = vote.numpy()

    def row(self, search: str, name: str, way: _Way) -> Row:
        """The figures of a way."""
        mined = way.mined
        there = mined.negative >= 0
        at = np.nonzero(there)[0]
        anchor, negative = mined.anchor[at], mined.negative[there]
        score, positive = mined.score[there].astype(np.float64), _nearest_positives(mined)[at]
        vote = self._voted
        suspected = score > positive if vote is None else vote[anchor] == vote[negative]
        known = np.zeros(0, bool) if self.truth is None else self.truth[anchor] == self.truth[negative]
        usable = mined.why != NO_POSITIVE
        own, some = _means(mined), there.any(1)
        kept = _share((own - self._low)[some].sum(), (self._high - self._low)[some].sum())
        return Row(
            search,
            name,
            _mean(score),
            _mean(score - positive),
            kept,
            _mean(suspected),
            _mean(known),
            math.nan,
            len(negative),
            _share(len(negative), int(usable.sum()) * there.shape[1]),
            mined.some,
            int((~some).sum()),
            math.nan,
            way.search_s,
            way.choose_s,
            math.nan,
        )


def _means(mined: Mined) -> NDArray[np.float64]:
    """(Q,) the mean score of an anchor's negatives; 0 without any."""
    there = mined.negative >= 0
    total = np.where(there, mined.score, 0).sum(1, dtype=np.float64)
    mean: NDArray[np.float64] = total / there.sum(1).clip(1)
    return mean


def _nearest_positives(mined: Mined) -> NDArray[np.float64]:
    """(Q,) the highest score of an anchor's positives; NaN without any."""
    found = np.full(len(mined), -np.inf)
    owner = np.repeat(np.arange(len(mined)), np.diff(mined.offsets))
    np.maximum.at(found, owner, mined.positive_score.astype(np.float64))
    return np.where(np.isinf(found), np.nan, found)


def _mean(values: NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else math.nan


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def with_front(rows: Sequence[Row]) -> list[Row]:
    """The rows, with those marked that are on the front, see `Row.front`."""

    def beaten(row: Row) -> bool:
        return any(
            other.hardness >= row.hardness
            and other.false <= row.false
            and (other.hardness > row.hardness or other.false < row.false)
            for other in rows
        )

    return [replace(row, front=not math.isnan(row.worth) and not beaten(row)) for row in rows]


def _advice(made: Audit) -> str:
    worth = [row for row in made.rows if row.search and not math.isnan(row.worth)]
    if not worth:
        return "No advice: no way found negatives that differ from random ones in hardness."
    best = max(worth, key=lambda row: row.worth)
    alike = [row for row in worth if row.way == best.way and row.worth >= CLOSE * best.worth]
    quickest = min(alike, key=made.seconds)
    exact = [
        row for row in alike if row.search == "exact" and made.seconds(quickest) > WORTH_THE_LOSS * made.seconds(row)
    ]
    taken = exact[0] if exact else quickest
    nearest = next(row for row in made.rows if (row.search, row.way) == ("exact", "nearest"))
    kind = "known" if made.truth else "suspected"
    beside = "" if taken.way == nearest.way else f" (the nearest: {percent(nearest.false)})"
    if made.evidence_is_filter and not taken.suspected:
        beside = f", as it leaves out what is nearer than the positive,{beside}"
    time_of = "the time" if made.anchors == made.of_anchors else "the time that all anchors should take"
    if exact:
        why = f"no search that comes as far takes less than half of {time_of}"
    elif len(alike) == 1:
        why = "no other search comes as far"
    else:
        why = f"of the {len(alike)} searches that come as far it takes the least of {time_of}"
    return (
        f"Take '{taken.way}' with {taken.search}: it leaves most hardness in true negatives, keeping "
        f"{percent(taken.kept)} with {percent(taken.false)} {kind} false negatives{beside} and "
        f"{percent(taken.filled)} of the negatives asked for; {why}."
    )
