"""Approximate search by hash tables: only rows that share a bucket are compared, so never all pairs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core import kernels
from hnm_core.bank import Bank, check_bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.neighbors import theory
from hnm_core.neighbors.base import Neighbors, SearchProgress, check_query, report
from hnm_core.neighbors.euclidean import EuclideanForm, euclidean_form
from hnm_core.neighbors.exact import Exact
from hnm_core.neighbors.hashing import Family, Hash, family_for
from hnm_core.neighbors.kdtree import use_torch_threads
from hnm_core.neighbors.options import LshBucketsOptions
from hnm_core.neighbors.probing import Due, compiled, padded, probe_places, recall
from hnm_core.neighbors.selection import by_score_then_row

_PROJECTIONS = 1 << 22
"""Margins held at once."""
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
class Occupancy:
    """How the rows fill the buckets of one table."""

    buckets: int
    """Possible keys, 2^bits."""
    used: int
    """Buckets that hold a row."""
    largest: int
    """Rows in the fullest."""
    histogram: NDArray[np.int64]
    """Number of buckets with 1, 2-3, 4-7, 8-15, ... rows."""

    @property
    def empty_share(self) -> float:
        """Share of the keys that no row has."""
        return 1 - self.used / self.buckets


@dataclass(frozen=True)
class Prediction:
    """What the theory of hashing says of a search, beside what it did, on one probe."""

    recall: float
    """Predicted share of the true nearest negatives among the candidates."""
    measured_recall: float
    candidate_rate: float
    """Predicted share of the bank that an anchor is compared with."""
    measured_candidate_rate: float


@dataclass(frozen=True)
class _Choice:
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
    """Whether left and right are of different classes."""


class LshBuckets:
    """L tables of r-bit keys (Indyk and Motwani 1998; Charikar 2002), multi-probe (Lv et al. 2007), exact re-scoring.

    Rows stand in the tables by key and inside a bucket by class, so an anchor steps over its own class. The answer is
    the k nearest of all candidates; an anchor without candidates gets -1.

    On other devices than the CPU and until the kernels are compiled, `exact` answers.

    Attributes, None before a search:
        candidate_rate: mean share of the bank an anchor was compared with.
        without_candidate: share of anchors that shared no bucket with another class.
        capped: share of anchors for which a bucket was cut down to `cap` rows.
    """

    approximate = True

    def __init__(self, options: LshBucketsOptions | None = None, distance: Distance | None = None) -> None:
        self._options = options or LshBucketsOptions()
        self._distance = distance or Distance()
        self._bank: Bank | None = None
        self._exact: Exact | None = None
        self._tables: Any = None
        self._choice: _Choice | None = None
        self._due = Due()
        self.bits: int | None = None
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
        if self._bank is not None and self._tables is None:
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
        return self._tables is not None

    def build(self, bank: Bank) -> None:
        """Hash the bank and sort its rows into the tables."""
        check_bank(bank)
        self._bank, self._exact, self._tables = bank, None, None
        self.candidate_rate = self.without_candidate = self.capped = None
        if bank.device.type != "cpu" or not compiled():
            self._exact_search(bank)
            return
        points = self._distance.prepare(bank.sorted_embeddings)
        self._due.built()
        if self._options.bits != "auto":
            self.bits = self._options.bits
        elif self._due.now(len(bank), bank.dim) or self._choice is None:
            self._choice = self._chosen(bank, points)
            self.bits = self._choice.bits
        assert self.bits is not None
        bits = self.bits
        self._hash = Hash(self.family, self._options.tables * bits, bank.dim, self._options.seed, drawn=_DRAWN)
        self._hash.fit(points, center=self._options.center)
        self._prepared = points
        self._form: EuclideanForm | None = None
        if self._distance.metric != "inner-product":
            self._form = euclidean_form(self._distance, bank.sorted_embeddings)
        form = self._form
        self._points = padded(form.points if form else points)
        self._queries = self._points if form is None or form.queries is form.points else padded(form.queries)
        self._tables = self._sorted(self._keys(points, bits), bits)
        own = bank.class_of_row[bank.order]
        self._low, self._high = bank.offsets[own].numpy(), bank.offsets[own + 1].numpy()

    def nearest_negatives(self, anchors: Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """See `NeighborSearch`; -1 also where the buckets of an anchor hold fewer than k rows of other classes."""
        bank, anchors = check_query(self._bank, anchors, k)
        if self._tables is None:
            return self._exact_search(bank).nearest_negatives(anchors, k, progress)
        found, counts = self._nearest(bank, anchors, k, progress)
        if len(anchors):
            self.candidate_rate = float(counts[:, 0].mean() / len(bank))
            self.without_candidate = float((counts[:, 0] == 0).mean())
            self.capped = float((counts[:, 1] > 0).mean())
        return found

    def farthest_positives(self, anchors: Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """See `NeighborSearch`. Exact: inside a class there is little to search."""
        bank, anchors = check_query(self._bank, anchors, k)
        return self._exact_search(bank).farthest_positives(anchors, k, progress)

    def bucket_of_row(self, table: int) -> Tensor:
        """(N,) number of the bucket of each row of the bank, in the caller's order; buckets are numbered by key.

        Raises:
            InputError: there is no such table, or none was built.
        """
        bank, tables = self._checked(table)
        part = slice(tables.table_start[table], tables.table_start[table + 1])
        bucket = np.searchsorted(tables.bucket_key[part], tables.key[table])
        return torch.from_numpy(bucket)[bank.place]

    def occupancy(self, table: int) -> Occupancy:
        """How full the buckets of a table are. Raises `InputError` as `bucket_of_row` does."""
        bank, tables = self._checked(table)
        part = slice(tables.table_start[table], tables.table_start[table + 1])
        sizes = np.diff(tables.bucket_start[part].astype(np.int64), append=len(bank))
        histogram = np.bincount(np.log2(sizes).astype(np.int64))
        return Occupancy(1 << tables.bits, len(sizes), int(sizes.max()), histogram)

    def predict(self, k: int) -> Prediction:
        """Recall and candidates as the theory has them, and as measured on up to 512 anchors by an exact search.

        Theory takes bits as independent and a probe as any set of flips of the same size; probing the smallest margins
        first does better, structure in the data may do better or worse.

        Raises:
            InputError: k < 1, or no tables were built.
        """
        bank, _ = self._checked(0)
        pairs = self._pairs(bank, k)
        near, far = (
            theory.bucket_hit(differs, self._tables.bits, self._options.tables, self._options.probes)
            for differs in self._differs(self._hash, self._prepared, pairs)
        )
        found, counts = self._nearest(bank, bank.order[probe_places(len(bank))], k, None)
        rate = float((far * pairs.other).mean())
        measured = float(counts[:, 0].mean() / len(bank))
        return Prediction(
            float(near.mean()) if len(near) else 1.0, recall(found.distance, pairs.exact.distance), rate, measured
        )

    def _pairs(self, bank: Bank, k: int) -> _Pairs:
        places = probe_places(len(bank))
        exact = self._exact_search(bank).nearest_negatives(bank.order[places], k)
        anchor, rank = (exact.row >= 0).nonzero().unbind(1)
        generator = torch.Generator().manual_seed(0)
        left, right = (torch.randint(len(bank), (_PAIRS,), generator=generator) for _ in range(2))
        other = bank.class_of_row[bank.order[left]] != bank.class_of_row[bank.order[right]]
        return _Pairs(exact, places[anchor], bank.place[exact.row[anchor, rank]], left, right, other)

    @staticmethod
    def _differs(hashed: Hash, points: Tensor, pairs: _Pairs) -> tuple[Tensor, Tensor]:
        """The probability that one bit differs, for the nearest negatives and for any pair."""
        near = hashed.differs(points[pairs.anchor], points[pairs.negative], points)
        return near, hashed.differs(points[pairs.left], points[pairs.right], points)

    def _chosen(self, bank: Bank, points: Tensor) -> _Choice:
        """The most bits that reach the recall by theory; where those compare too much, the fewest that do not."""
        pairs = self._pairs(bank, _NEAREST)
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

    def _checked(self, table: int) -> tuple[Bank, Any]:
        if self._bank is None or self._tables is None:
            raise InputError("There are no hash tables; build the search on a bank on the CPU, with compiled kernels.")
        if not 0 <= table < self._options.tables:
            raise InputError(f"There is no table {table}; tables are 0 to {self._options.tables - 1}.")
        return self._bank, self._tables

    def _exact_search(self, bank: Bank) -> Exact:
        if self._exact is None:
            self._exact = Exact(distance=self._distance)
            self._exact.build(bank)
        return self._exact

    def _nearest(
        self, bank: Bank, anchors: Tensor, k: int, progress: SearchProgress | None
    ) -> tuple[Neighbors, NDArray[np.int64]]:
        from hnm_core.neighbors.cpu.bucket_kernels import collect

        tables, bits = self._tables, self._options.tables * self._tables.bits
        distance = torch.full((len(anchors), k), torch.inf)
        row = torch.full((len(anchors), k), -1, dtype=torch.int64)
        counts = np.zeros((len(anchors), 2), np.int64)
        places, slots = bank.place[anchors].sort()
        step = max(64, min(_PROJECTIONS // bits, (1 << 22) // k))
        report(progress, 0, len(anchors))
        for start in range(0, len(anchors), step):
            here, where = places[start : start + step], slots[start : start + step]
            margin = (self._hash.project(self._prepared[here]) - self._hash.thresholds).abs().float().numpy()
            scores, found = np.empty((len(here), k), np.float32), np.empty((len(here), k), np.int64)
            part = np.zeros((len(here), 2), np.int64)
            place = here.numpy()
            with kernels.launch_lock:
                use_torch_threads()
                collect(
                    tables,
                    margin,
                    place,
                    self._low[place],
                    self._high[place],
                    self._options.probes,
                    min(self._options.cap, len(bank)),
                    self._options.seed,
                    self._points,
                    self._queries,
                    self._form is None,
                    torch.get_num_threads(),
                    scores,
                    found,
                    part,
                )
            counts[where.numpy()] = part
            which = torch.from_numpy(found)
            best, rows = by_score_then_row(
                torch.from_numpy(scores), bank.order[which.clamp_min(0)].where(which >= 0, -1)
            )
            distance[where] = best / 2 if self._form is None else self._form.distance(best, here)
            row[where] = rows
            report(progress, min(start + step, len(anchors)), len(anchors))
        return Neighbors(distance, row), counts

    def _keys(self, points: Tensor, bits: int) -> NDArray[np.int32]:
        from hnm_core.neighbors.cpu.bucket_kernels import bucket_keys

        key = np.empty((self._options.tables, len(points)), np.int32)
        step, thresholds = self._hash.chunk(), self._hash.thresholds.numpy()
        for start in range(0, len(points), step):
            projected = self._hash.project(points[start : start + step]).numpy()
            with kernels.launch_lock:
                use_torch_threads()
                bucket_keys(projected, thresholds, bits, start, key)
        return key

    def _sorted(self, key: NDArray[np.int32], bits: int) -> Any:
        from hnm_core.neighbors.cpu.bucket_kernels import Tables

        count, rows_count = key.shape
        prefix = min(bits, max(1, int(np.log2(rows_count))))
        rows = np.empty(key.shape, np.int32)
        directory = np.empty((count, (1 << prefix) + 1), np.int32)
        keys, starts, table_start = [], [], np.zeros(count + 1, np.int64)
        for table in range(count):
            rows[table] = np.argsort(key[table], kind="stable")
            own, start = np.unique(key[table][rows[table]], return_index=True)
            directory[table] = np.searchsorted(own, np.arange((1 << prefix) + 1, dtype=np.int64) << (bits - prefix))
            keys.append(own)
            starts.append(start.astype(np.int32))
            table_start[table + 1] = table_start[table] + len(own)
        joined = np.concatenate(keys), np.concatenate(starts)
        return Tables(rows, key, *joined, table_start, directory, bits, bits - prefix)
