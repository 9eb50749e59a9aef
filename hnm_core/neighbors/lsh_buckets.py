"""Approximate search by hash tables: only rows that share a bucket are compared, so never all pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.isolation import isolated
from hnm_core.neighbors import theory
from hnm_core.neighbors.base import QuerySearch
from hnm_core.neighbors.bucket_index import BucketIndex, Occupancy
from hnm_core.neighbors.exact import Exact
from hnm_core.neighbors.found import Neighbors, SearchProgress, none_found, report
from hnm_core.neighbors.hashing import Family, Hash, family_for
from hnm_core.neighbors.options import LshBucketsOptions
from hnm_core.neighbors.probing import Kept, Probe, compiled, probe_of, probe_places, recall
from hnm_core.relevance import Query, RowQuery, SameClass, VectorQuery
from hnm_core.run.events import frozen
from hnm_core.run.misses import TablesPart, packed

_PAIRS = 2_048
_NEAREST = 10
"""Nearest negatives that the number of bits is chosen for."""
_MOST_BITS = 30
_TRIAL_BITS = 64
"""Bits of the hash that tells how often bits of the nearest negatives differ."""
_COMPARED = 2_000
"""Rows an anchor may be compared with on average to reach a recall; each costs a random access to memory."""
_DRAWN = 5
"""Projections of which the median is a cut of the affine family: single ones leave a sixth of all rows together."""


@dataclass(frozen=True)
class Prediction:
    """What the theory of hashing says of a search, beside what it did, on one probe."""

    recall: float
    """Predicted share of the true nearest negatives among the candidates."""
    measured_recall: float
    candidate_rate: float
    """Predicted share of the bank that an anchor is compared with."""
    measured_candidate_rate: float


class _Choice(NamedTuple):
    """Bits that were chosen, and what theory expects of them."""

    bits: int
    recall: float


@dataclass(frozen=True)
class _Pairs:
    """Pairs of places: probe anchors with their nearest negatives, and any rows."""

    exact: Neighbors
    """The nearest negatives of the probe, as an exact search gives them."""
    anchor: Tensor
    negative: Tensor
    left: Tensor
    right: Tensor
    other: Tensor
    """Whether right is not relevant to left."""


class LshBuckets(QuerySearch):
    """L tables of r-bit keys (Indyk and Motwani 1998; Charikar 2002), multi-probe (Lv et al. 2007), exact re-scoring.

    The answer is the k nearest of all candidates; an anchor without candidates gets -1. Bits are chosen for the nearest
    negatives of rows. Vectors to which no class is relevant have nearer rows, which share more of their buckets.

    On other devices than the CPU, and where the kernels cannot be compiled, `exact` answers.

    Attributes, None before a search:
        compared: (Q,) rows that each anchor was compared with.
        candidate_rate: mean share of the bank an anchor was compared with.
        without_candidate: share of anchors that shared no bucket with another class.
        capped: share of anchors for which a bucket was cut down to `cap` rows.
    """

    approximate = True

    def __init__(self, options: LshBucketsOptions | None = None, distance: Distance | None = None) -> None:
        self._options = options or LshBucketsOptions()
        self._distance = distance or Distance()
        self._exact: Exact | None = None
        self._index: BucketIndex | None = None
        self._choice: _Choice | None = None
        self._kept: Kept[_Choice] = Kept()
        self.bits: int | None = None
        self.compared: Tensor | None = None
        self.candidate_rate: float | None = None
        self.without_candidate: float | None = None
        self.capped: float | None = None

    @property
    def family(self) -> Family:
        """The hash family in use: `auto` is sign on unit vectors, affine otherwise."""
        return family_for(self._options.family, self._distance)

    @property
    def description(self) -> str:
        """How it searches and why, in words."""
        if self._bank is not None and self._index is None:
            return f"{self._exact_search(self._bank).description}; hash tables are for the CPU, with compiled kernels"
        bits = "" if self.bits is None else f" of {self.bits} bits"
        if self._choice is not None:
            bits += f" (predicted recall {self._choice.recall:.2f}, target {self._options.recall:g}"
            if self._choice.recall < self._options.recall:
                bits += f"; fewer bits find more, but compare over {_COMPARED:,} rows: exact or routed may suit better"
            bits += ")"
        text = f"approximate, by {self._options.tables} hash tables{bits}, {self.family} family, "
        text += f"{self._options.probes} further probes"
        if self.candidate_rate is not None and self.without_candidate is not None:
            text += f", {self.candidate_rate:.2%} of the bank compared"
            if self.without_candidate:
                text += f", {self.without_candidate:.1%} of the anchors without a candidate"
        if self.capped:
            text += f", {self.capped:.1%} of the anchors with a bucket over {self._options.cap:,} rows"
        return text

    @property
    def hashes(self) -> bool:
        """Whether there are tables to search; else the search is exact, and its description says why."""
        return self._index is not None

    def _build(self, bank: Bank) -> None:
        """Hash the bank and sort its rows into the tables."""
        self._bank, self._exact, self._index = bank, None, None
        self.compared = self.candidate_rate = self.without_candidate = self.capped = None
        if bank.device.type != "cpu" or not compiled():
            self._exact_search(bank)
            return
        points = self._distance.prepare_exactly(bank.sorted_embeddings)
        self._kept.built()
        if self._options.bits != "auto":
            self.bits = self._options.bits
        else:
            self._choice = self._kept.get(partial(self._chosen, bank, points), len(bank), bank.dim)
            self.bits = self._choice.bits
        hashed = Hash(self.family, self._options.tables * self.bits, bank.dim, self._options.seed, drawn=_DRAWN)
        hashed.fit(points, center=self._options.center)
        self._index = BucketIndex(bank, points, hashed, self._distance, self._options)

    def state(self) -> dict[str, Any]:
        """See `KeepsState`."""
        return {"seed": self._options.seed, "kept": self._kept.state()}

    def restore(self, state: Mapping[str, Any], bank: Bank | None) -> None:
        """See `KeepsState`. The build that is repeated takes what it took before, and is not counted twice."""
        self._options = self._options.model_copy(update={"seed": int(state["seed"])})
        if bank is not None:
            self._kept.restore(state["kept"], _Choice, builds=-1)
            self.build(bank)
        self._kept.restore(state["kept"], _Choice)

    def _nearest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        """-1 also where the buckets of an anchor hold fewer than k rows that are not relevant."""
        bank = query.bank
        if self._index is None:
            return self._exact_search(bank).nearest(query, k, progress)
        found, counts = self._look_up(self._index, query, k, progress)
        if len(query):
            self.compared = torch.from_numpy(counts[:, 0])
            self.candidate_rate = float(counts[:, 0].mean() / len(bank))
            self.without_candidate = float((counts[:, 0] == 0).mean())
            self.capped = float((counts[:, 1] > 0).mean())
        return found

    def _farthest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        """Exact: inside a class there is little to search."""
        return self._exact_search(query.bank).farthest(query, k, progress)

    @isolated
    def why_missed(self, query: Query, negatives: Tensor) -> TablesPart | None:
        """See `ExplainsMisses`."""
        if self._bank is None or self._index is None:
            return None
        if isinstance(query, VectorQuery):
            asked, lines = self._index.asked(query.vectors), torch.arange(len(query))
        else:
            asked, lines = self._index.own, query.place
        searched, differing = self._index.meetings(asked, lines, self._bank.place[negatives])
        return TablesPart(
            tables=self._options.tables,
            probes=self._options.probes,
            bits=self._index.bits,
            cap=self._options.cap,
            shared=frozen(packed(differing == 0)),
            probed=frozen(packed(searched)),
            differing=frozen(differing.min(1, initial=self._index.bits)),
        )

    @isolated
    def bucket_of_row(self, table: int) -> Tensor:
        """(N,) number of the bucket of each row of the bank, in the caller's order; buckets are numbered by key.

        Raises:
            InputError: there is no such table, or none was built.
        """
        bank, index = self._checked(table)
        return index.bucket_of_place(table)[bank.place]

    def cuts(self, most: int) -> Tensor:
        """See `Hashing`."""
        _, index = self._checked(0)
        return index.hashed.cuts(min(most, index.bits))

    def occupancy(self, table: int) -> Occupancy:
        """How full the buckets of a table are. Raises `InputError` as `bucket_of_row` does."""
        return self._checked(table)[1].occupancy(table)

    @isolated
    def predict(self, k: int) -> Prediction:
        """Recall and candidates of negatives of classes, as the theory has them and as measured on up to 512 anchors.

        Theory takes bits as independent and a probe as any set of flips of the same size; probing the smallest margins
        first does better, structure in the data may do better or worse.

        Raises:
            InputError: k < 1, or no tables were built.
        """
        bank, index = self._checked(0)
        probe = _probe(bank, k)
        pairs = self._pairs(probe)
        near, far = (
            theory.bucket_hit(differs, index.bits, self._options.tables, self._options.probes)
            for differs in self._differs(index.hashed, index.points, pairs)
        )
        found, counts = self._look_up(index, probe.query, probe.k, None)
        rate = float((far * pairs.other).mean())
        measured = float(counts[:, 0].mean() / len(bank))
        return Prediction(
            float(near.mean()) if len(near) else 1.0, recall(found.distance, pairs.exact.distance), rate, measured
        )

    def predicted_recall(self, k: int) -> float | None:
        """See `PredictsRecall`: by theory, see `predict`."""
        return self.predict(k).recall if self.hashes else None

    def _pairs(self, probe: Probe) -> _Pairs:
        query, bank = probe.query, probe.query.bank
        exact = probe.others(self._exact_search(bank).nearest(query, probe.k))
        anchor, rank = (exact.row >= 0).nonzero().unbind(1)
        generator = torch.Generator().manual_seed(0)
        left, right = (torch.randint(len(bank), (_PAIRS,), generator=generator) for _ in range(2))
        left_anchors = RowQuery(query.relevance, bank.order[left])
        other = ~left_anchors.ranges.hold(right) | query.unrestricted
        return _Pairs(exact, bank.place[probe.row[anchor]], bank.place[exact.row[anchor, rank]], left, right, other)

    @staticmethod
    def _differs(hashed: Hash, points: Tensor, pairs: _Pairs) -> tuple[Tensor, Tensor]:
        """The probability that one bit differs, for the nearest negatives and for any pair."""
        near = hashed.differs(points[pairs.anchor], points[pairs.negative], points)
        return near, hashed.differs(points[pairs.left], points[pairs.right], points)

    def _chosen(self, bank: Bank, points: Tensor) -> _Choice:
        """The most bits that reach the recall by theory; where those compare too much, the fewest that do not."""
        pairs = self._pairs(_probe(bank, _NEAREST))
        trial = Hash(self.family, _TRIAL_BITS, bank.dim, self._options.seed, drawn=_DRAWN)
        trial.fit(points, center=self._options.center)
        found, compared = {}, {}
        near, far = self._differs(trial, points, pairs)
        for bits in range(1, _MOST_BITS + 1):
            hit, met = (theory.bucket_hit(p, bits, self._options.tables, self._options.probes) for p in (near, far))
            found[bits] = float(hit.mean()) if len(hit) else 1.0
            compared[bits] = float((met * pairs.other).mean()) * len(bank)
        bits = max((bits for bits in found if found[bits] >= self._options.recall), default=1)
        if compared[bits] > _COMPARED:
            bits = min((bits for bits in compared if compared[bits] <= _COMPARED), default=_MOST_BITS)
        return _Choice(bits, found[bits])

    def _checked(self, table: int) -> tuple[Bank, BucketIndex]:
        if self._bank is None or self._index is None:
            raise InputError("There are no hash tables; build the search on a bank on the CPU, with compiled kernels.")
        if not 0 <= table < self._options.tables:
            raise InputError(f"There is no table {table}; tables are 0 to {self._options.tables - 1}.")
        return self._bank, self._index

    def _exact_search(self, bank: Bank) -> Exact:
        if self._exact is None:
            exact = Exact(distance=self._distance)
            exact.build(bank)
            self._exact = exact  # no sooner: several threads may ask
        return self._exact

    def _look_up(
        self, index: BucketIndex, query: Query, k: int, progress: SearchProgress | None
    ) -> tuple[Neighbors, NDArray[np.int64]]:
        found, counts = none_found(query.bank, len(query), k), np.zeros((len(query), 2), np.int64)
        asked = index.asked(query.vectors) if isinstance(query, VectorQuery) else index.own
        anchors, slots = query.by_place()
        step = index.at_once(k)
        report(progress, 0, len(query))
        for start in range(0, len(query), step):
            part = slice(start, start + step)
            where = slots[part]
            found.distance[where], found.row[where], counts[where.numpy()] = index.nearest(asked, anchors.at(part), k)
            report(progress, min(start + step, len(query)), len(query))
        return found, counts


def _probe(bank: Bank, k: int) -> Probe:
    """Rows of a bank of classes, evenly spread over its places. Where there is but one class, nobody can be asked for
    anything but the nearest of all rows."""
    rows = bank.order[probe_places(len(bank))]
    return probe_of(SameClass(bank), rows, k, unrestricted=len(bank.classes) == 1)
