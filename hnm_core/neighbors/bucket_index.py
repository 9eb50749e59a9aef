"""Hash tables of the rows of a bank: rows with equal keys share a bucket, and only those are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.launching import launching
from hnm_core.neighbors.euclidean import EuclideanForm, euclidean_form, with_vectors
from hnm_core.neighbors.hashing import Hash
from hnm_core.neighbors.options import LshBucketsOptions
from hnm_core.neighbors.probing import padded
from hnm_core.neighbors.selection import by_score_then_row
from hnm_core.relevance import Placed

_PROJECTIONS = 1 << 22
"""Margins held at once."""
_MIXED = 0x9E3779B97F4A7C15 - 2**64
"""The golden ratio in 64 bits, and odd: joins the keys of all tables to one number that few others have."""


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
class Asked:
    """What the tables have to know of their anchors: all rows, by place, or all vectors of a query."""

    points: Tensor
    """(A, D) float32, prepared for the distance."""
    form: EuclideanForm | None
    """None for the inner product."""
    queries: NDArray[np.float32]
    """(A, D') float32, what is measured, filled up."""
    keys: NDArray[np.int32]
    """(L, A)."""
    chance: Tensor
    """(A,) int64, what decides which rows a bucket over the cap gives: of a row its place, so that neighbours do not
    all get the same, of a vector its keys."""


class BucketIndex:
    """Rows stand in the tables by key and inside a bucket by place, so an anchor steps over what is relevant to it.

    Attributes:
        bits: of a key.
        points: (N, D) float32 by sorted place, prepared for the distance.
        hashed: what gives the keys, table after table.
        own: the rows as anchors.
    """

    def __init__(
        self, bank: Bank, points: Tensor, hashed: Hash, distance: Distance, options: LshBucketsOptions
    ) -> None:
        """Sort the rows into the tables.

        Args:
            bank: on the CPU.
            points: (N, D) float32, its sorted embeddings, prepared for the distance.
            hashed: fitted to them; its bits are those of all tables.
            distance: what orders candidates.
            options: tables, probes, cap and seed.
        """
        self._options, self._order, self._distance = options, bank.order, distance
        self.points, self.hashed, self.bits = points, hashed, hashed.bits // options.tables
        self._form: EuclideanForm | None = None
        if distance.metric != "inner-product":
            self._form = euclidean_form(distance, bank.sorted_embeddings)
        form = self._form
        self._points = padded(form.points if form else points)
        queries = self._points if form is None or form.queries is form.points else padded(form.queries)
        self._tables = self._sorted(self._keys(points))
        self.own = Asked(points, form, queries, self._tables.key, torch.arange(len(bank)))

    def asked(self, vectors: Tensor) -> Asked:
        """What has to be known of vectors (A, D) float32. Raises `InputError` as `EuclideanForm.with_vectors` does."""
        points = self._distance.prepare_exactly(vectors)
        form, queries = with_vectors(self._form, self._distance, vectors)
        keys = self._keys(points)
        chance = torch.zeros(len(vectors), dtype=torch.int64)
        for key in torch.from_numpy(keys):
            chance = chance * _MIXED + key
        return Asked(points, form, padded(queries), keys, chance)

    def at_once(self, k: int) -> int:
        """How many anchors to ask together for k rows each."""
        return max(64, min(_PROJECTIONS // self.hashed.bits, (1 << 22) // k))

    def nearest(self, asked: Asked, anchors: Placed, k: int) -> tuple[Tensor, Tensor, NDArray[np.int64]]:
        """The k nearest of what the buckets of R anchors hold.

        Returns:
            (R, k) distances and rows, inf and -1 where there are fewer; and (R, 2) how many rows an anchor was compared
            with, and how many of its buckets were cut down to `cap`.
        """
        from hnm_core.neighbors.cpu.bucket_kernels import collect

        here = anchors.line
        margin = self._margin(asked.points[here])
        scores, found = np.empty((len(here), k), np.float32), np.empty((len(here), k), np.int64)
        counts = np.zeros((len(here), 2), np.int64)
        with launching():
            collect(
                self._tables,
                margin,
                asked.keys,
                here.numpy(),
                asked.chance[here].numpy(),
                anchors.low.numpy(),
                anchors.high.numpy(),
                self._options.probes,
                min(self._options.cap, len(self._order)),
                self._options.seed,
                self._points,
                asked.queries,
                self._form is None,
                torch.get_num_threads(),
                scores,
                found,
                counts,
            )
        which = torch.from_numpy(found)
        best, rows = by_score_then_row(torch.from_numpy(scores), self._order[which.clamp_min(0)].where(which >= 0, -1))
        return (best / 2 if asked.form is None else asked.form.distance(best, here)), rows, counts

    def meetings(self, asked: Asked, lines: Tensor, others: Tensor) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Whether an anchor looks into the bucket of another row, table by table.

        Args:
            asked: rows or vectors.
            lines: (M,) lines of them, the anchors.
            others: (M,) sorted places of the other rows.

        Returns:
            (M, tables) whether the bucket is searched, and (M, tables) in how many bits the keys differ.
        """
        from hnm_core.neighbors.cpu.bucket_kernels import probe_masks

        margin = self._margin(asked.points[lines])
        apart = (asked.keys[:, lines.numpy()] ^ self._tables.key[:, others.numpy()]).T.astype(np.int64)
        masks = np.zeros(self._options.probes + 1, np.int64)
        searched = np.zeros(apart.shape, np.bool_)
        for row, table in np.ndindex(apart.shape):
            used = probe_masks(margin[row, table * self.bits : (table + 1) * self.bits], masks)
            searched[row, table] = (masks[:used] == apart[row, table]).any()
        return searched, (apart[..., None] >> np.arange(self.bits) & 1).sum(-1)

    def _margin(self, points: Tensor) -> NDArray[np.float32]:
        """(M, bits of all tables) how far each projection of points (M, D) is from its threshold."""
        margin: NDArray[np.float32] = (self.hashed.project(points) - self.hashed.thresholds).abs().float().numpy()
        return margin

    def bucket_of_place(self, table: int) -> Tensor:
        """(N,) number of the bucket of each sorted place; buckets are numbered by key."""
        tables = self._tables
        part = slice(tables.table_start[table], tables.table_start[table + 1])
        return torch.from_numpy(np.searchsorted(tables.bucket_key[part], tables.key[table]))

    def occupancy(self, table: int) -> Occupancy:
        """How full the buckets of a table are."""
        tables = self._tables
        part = slice(tables.table_start[table], tables.table_start[table + 1])
        sizes = np.diff(tables.bucket_start[part].astype(np.int64), append=len(self._order))
        histogram = np.bincount(np.log2(sizes).astype(np.int64))
        return Occupancy(1 << tables.bits, len(sizes), int(sizes.max()), histogram)

    def _keys(self, points: Tensor) -> NDArray[np.int32]:
        """(L, A) keys of points (A, D)."""
        from hnm_core.neighbors.cpu.bucket_kernels import bucket_keys

        key = np.empty((self._options.tables, len(points)), np.int32)
        step, thresholds = self.hashed.chunk(), self.hashed.thresholds.numpy()
        for start in range(0, len(points), step):
            projected = self.hashed.project(points[start : start + step]).numpy()
            with launching():
                bucket_keys(projected, thresholds, self.bits, start, key)
        return key

    def _sorted(self, key: NDArray[np.int32]) -> Any:
        from hnm_core.neighbors.cpu.bucket_kernels import Tables

        (count, rows_count), bits = key.shape, self.bits
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
