"""FAISS behind the same protocol, for comparison: it knows no labels, so it is asked for ever more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.neighbors.base import QuerySearch
from hnm_core.neighbors.euclidean import EuclideanForm, euclidean_form, with_vectors
from hnm_core.neighbors.exact import Exact
from hnm_core.neighbors.found import Neighbors, SearchProgress, report
from hnm_core.neighbors.hashing import Hash, family_for
from hnm_core.neighbors.options import FaissOptions
from hnm_core.neighbors.selection import by_score_then_row
from hnm_core.relevance import Query, VectorQuery

_CHUNK = 4_096
_ENTRIES = 1 << 22
"""Found rows held at once."""
_GROWTH = 4
"""How much more is asked for where negatives are missing."""
_TRAINED = 64
"""Rows to a list that the inverted file is trained on."""
_BITS = 256
_RESCORED = 8
"""Negatives to a neighbour that a search of codes fetches at least."""


@dataclass(frozen=True)
class _Asked:
    """What is known of anchors: all rows, or all vectors of a query."""

    form: EuclideanForm | None
    queries: NDArray[np.float32]
    """(A, D'), what is measured."""
    codes: NDArray[np.uint8] | None
    """(A, bytes) for the binary index."""
    line: Tensor
    """(Q,) int64, the lines of the anchors of a query, on the CPU."""

    def at(self, part: slice) -> _Asked:
        """Some of the query's anchors."""
        return replace(self, line=self.line[part])


class Faiss(QuerySearch):
    """Over-fetching in growing steps: k' = 2k, then four times as many for the anchors that still lack negatives.

    An anchor is done when it has k negatives, or the index has nothing more to give. flat is exact, up to the rounding
    of its products; ivf (sqrt(N) lists or so), hnsw (32 links) and binary (256-bit codes, the fetched rows re-scored)
    are approximate. The index is single-threaded where torch is.
    """

    approximate = True

    def __init__(self, options: FaissOptions | None = None, distance: Distance | None = None) -> None:
        """Raises `InputError` where the optional package is not installed."""
        if find_spec("faiss") is None:
            raise InputError(
                "The search 'faiss' needs the optional package faiss; install it by: pip install faiss-cpu"
            )
        self._options = options or FaissOptions()
        self._distance = distance or Distance()
        self._exact: Exact | None = None
        self.fetched: int | None = None
        """Rows fetched for the most demanding anchor of the last search."""

    @property
    def description(self) -> str:
        """How it searches, in words."""
        kind = {"flat": "IndexFlat", "ivf": "IndexIVFFlat", "hnsw": "IndexHNSWFlat", "binary": "IndexBinaryFlat"}
        text = f"approximate, by FAISS {kind[self._options.index]}"
        if self._options.index == "ivf" and self._bank is not None:
            text += f" ({self._lists(len(self._bank))} lists, {self._options.probes} probed)"
        text += ", fetching more until enough are of other classes"
        return text + (f" (up to {self.fetched:,} fetched)" if self.fetched else "")

    def _build(self, bank: Bank) -> None:
        """Index the bank, on the CPU."""
        self._bank, self._exact, self.fetched = bank, None, None
        self._product = self._distance.metric == "inner-product"
        self._form = None if self._product else euclidean_form(self._distance, bank.embeddings)
        prepared = self._distance.prepare_exactly(bank.embeddings) if self._form is None else self._form.points
        self._points = np.ascontiguousarray(prepared.cpu().numpy())
        same = self._form is None or self._form.queries is self._form.points
        self._queries = self._points if same or self._form is None else np.ascontiguousarray(self._form.queries.cpu())
        self._hash: Hash | None = None
        self._codes: NDArray[np.uint8] | None = None
        self._index = self._indexed(bank)

    def state(self) -> dict[str, Any]:
        """See `KeepsState`."""
        return {"seed": self._options.seed}

    def restore(self, state: Mapping[str, Any], bank: Bank | None) -> None:
        """See `KeepsState`."""
        self._options = self._options.model_copy(update={"seed": int(state["seed"])})
        if bank is not None:
            self.build(bank)

    def _nearest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        """-1 also where the index gives no more although there would be negatives."""
        bank = query.bank
        k = int(k)  # FAISS takes no integer of numpy
        report(progress, 0, len(query))
        distance = torch.full((len(query), k), torch.inf, dtype=torch.float32)
        row = torch.full((len(query), k), -1, dtype=torch.int64)
        self.fetched = 0
        asked = self._asked(query)
        for start in range(0, len(query), _CHUNK):
            part = slice(start, min(start + _CHUNK, len(query)))
            anchors = asked.at(part)
            scores, found = self._fetch(query.at(part), anchors, k)
            here, rows = by_score_then_row(torch.from_numpy(scores), torch.from_numpy(found))
            distance[part] = here if asked.form is None else asked.form.distance(here, anchors.line)
            row[part] = rows
            report(progress, part.stop, len(query))
        return Neighbors(distance.to(bank.device), row.to(bank.device))

    def _farthest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        """Exact, by our own search: FAISS finds no farthest rows."""
        bank = query.bank
        if self._exact is None:
            exact = Exact(distance=self._distance)
            exact.build(bank)
            self._exact = exact  # no sooner: several threads may ask
        return self._exact.farthest(query, k, progress)

    def __deepcopy__(self, memo: dict[int, Any]) -> Faiss:
        """A twin that shares the index, which a new build replaces and nothing changes."""
        twin = Faiss(self._options, self._distance)
        vars(twin).update(vars(self))
        return twin

    def _asked(self, query: Query) -> _Asked:
        if not isinstance(query, VectorQuery):
            return _Asked(self._form, self._queries, self._codes, query.row.cpu())
        vectors = query.vectors.cpu()
        form, queries = with_vectors(self._form, self._distance, vectors)
        codes = None if self._hash is None else _coded(self._hash, self._distance.prepare_exactly(vectors))
        return _Asked(form, np.ascontiguousarray(queries.numpy()), codes, torch.arange(len(query)))

    def _fetch(self, query: Query, asked: _Asked, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(Q, k) exact scores and rows that are not relevant, inf and -1 where none came."""
        anchors, others, bank = asked.line.numpy(), query.negatives.cpu().numpy(), query.bank
        scores = np.full((len(anchors), k), np.inf, np.float32)
        found = np.full((len(anchors), k), -1, np.int64)
        enough = k * (_RESCORED if self._options.index == "binary" else 1)
        open_rows, wanted, total = np.arange(len(anchors)), 2 * enough, len(self._points)
        while len(open_rows):
            wanted = min(wanted, total)
            self.fetched = max(self.fetched or 0, wanted)
            step = max(1, _ENTRIES // wanted)
            still = []
            for start in range(0, len(open_rows), step):
                at = open_rows[start : start + step]
                rows = self._search(asked, anchors[at], wanted)
                place = bank.place[torch.from_numpy(rows).clamp_min(0).to(bank.device)]
                relevant = query.at(torch.from_numpy(at).to(bank.device)).ranges.hold(place)
                good = (rows >= 0) & ~relevant.cpu().numpy()
                self._keep(asked.queries[anchors[at]], rows, good, at, scores, found)
                exhausted = (rows < 0).any(1) | (wanted == total)
                still.append(at[(good.sum(1) < np.minimum(enough, others[at])) & ~exhausted])
            open_rows, wanted = np.concatenate(still), wanted * _GROWTH
        return scores, found

    def _keep(
        self,
        queries: NDArray[np.float32],
        rows: NDArray[np.int64],
        good: NDArray[np.bool_],
        at: NDArray[np.int64],
        scores: NDArray[np.float32],
        found: NDArray[np.int64],
    ) -> None:
        """Measure the negatives again, the first few of each line where FAISS measured them, and keep the k best."""
        k = scores.shape[1]
        width = rows.shape[1] if self._options.index == "binary" else min(rows.shape[1], k)
        first = np.argsort(~good, axis=1, kind="stable")[:, :width]
        rows, good = np.take_along_axis(rows, first, 1), np.take_along_axis(good, first, 1)
        for line in range(len(rows)):
            candidates = rows[line][good[line]]
            chosen, own = self._points[candidates], queries[line]
            value = -(chosen @ own) if self._product else np.square(chosen - own).sum(1)
            best = np.argsort(value, kind="stable")[:k]
            scores[at[line], : len(best)], found[at[line], : len(best)] = value[best], candidates[best]

    def _search(self, asked: _Asked, anchors: NDArray[np.int64], wanted: int) -> NDArray[np.int64]:
        import faiss

        faiss.omp_set_num_threads(torch.get_num_threads())
        if self._options.index == "hnsw":
            self._index.hnsw.efSearch = max(self._options.effort, wanted)
        queries = asked.queries[anchors] if asked.codes is None else asked.codes[anchors]
        rows: NDArray[np.int64] = self._index.search(queries, wanted)[1]
        return rows

    def _indexed(self, bank: Bank) -> Any:
        import faiss

        faiss.omp_set_num_threads(torch.get_num_threads())
        dim = self._points.shape[1]
        metric = faiss.METRIC_INNER_PRODUCT if self._product else faiss.METRIC_L2
        index: Any
        match self._options.index:
            case "flat":
                index = faiss.IndexFlat(dim, metric)
            case "hnsw":
                index = faiss.IndexHNSWFlat(dim, 32, metric)
            case "ivf":
                lists = self._lists(len(bank))
                self._quantizer = faiss.IndexFlat(dim, metric)
                index = faiss.IndexIVFFlat(self._quantizer, dim, lists, metric)
                index.cp.seed = 1 + self._options.seed % (2**31 - 2)
                index.cp.min_points_per_centroid = 1
                source = np.random.default_rng(self._options.seed)
                index.train(self._points[np.sort(source.permutation(len(bank))[: _TRAINED * lists])])
                index.nprobe = self._options.probes
            case "binary":
                prepared = self._distance.prepare_exactly(bank.embeddings)
                self._hash = Hash(family_for("auto", self._distance), _BITS, bank.dim, self._options.seed)
                self._hash.fit(prepared, center=True)
                self._codes = _coded(self._hash, prepared)
                index = faiss.IndexBinaryFlat(_BITS)
                index.add(self._codes)
                return index
        index.add(self._points)
        return index

    def _lists(self, rows: int) -> int:
        """Lists of the inverted file: 4 sqrt(N), as FAISS advises, but 39 rows to a list."""
        lists: int = max(1, min(round(4 * rows**0.5), rows // 39))
        return lists


def _coded(hashed: Hash, points: Tensor) -> NDArray[np.uint8]:
    """(A, bytes) codes of points (A, D)."""
    step = hashed.chunk()
    bits = [hashed.bits_of(points[i : i + step]).cpu().numpy() for i in range(0, max(1, len(points)), step)]
    return np.packbits(np.concatenate(bits), axis=1, bitorder="little")
