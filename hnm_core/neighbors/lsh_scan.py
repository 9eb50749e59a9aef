"""Approximate search: hash to bits, scan all codes of other classes by Hamming distance, re-score the best exactly."""

from __future__ import annotations

import torch
from torch import Tensor

from hnm_core.bank import Bank, check_bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.neighbors import theory
from hnm_core.neighbors.base import Neighbors, QuerySearch, SearchProgress, built, check_query, none_found, report
from hnm_core.neighbors.code_index import CodeIndex
from hnm_core.neighbors.cuda import kernels as cuda_kernels
from hnm_core.neighbors.exact import Exact
from hnm_core.neighbors.hashing import Family, Hash, family_for
from hnm_core.neighbors.options import LshScanOptions
from hnm_core.neighbors.probing import Due, probe_places, recall
from hnm_core.relevance import Placed, Query, Relevance, SameClass
from hnm_core.run.events import frozen
from hnm_core.run.misses import CodesDiffer, packed

TARGET_RECALL = 0.95
"""Share of the true nearest negatives that `rescore="auto"` is to find."""
PREFIX_BITS = 8
"""Codes that agree in so many first bits count as one bucket for the eye; nothing is searched by them."""
_SURE = 3.0
"""Standard errors of a probe's recall above the target: with three the whole set almost surely reaches it."""
_PREDICTED = 1 << 22
"""Bits of pairs that are predicted at once."""


class LshScan(QuerySearch):
    """The paper's method: orthonormal directions, packed codes, exhaustive Hamming scan, then exact re-scoring.

    With `rescore="auto"` the number of candidates is the smallest that a probe of up to 512 anchors is sure enough
    about: recall 0.95 after three standard errors of the probe (up to twice as many where rows are equally far). It is
    chosen at the first search, kept while k and the bank's shape stay the same, and chosen again every 20 builds; the
    choice depends on the sequence of builds and searches only, not on time.

    Attributes:
        candidates: how many rows are re-scored for an anchor; None before it was chosen.
        probe_recall: recall on the probe when it was chosen; None where `rescore` is a number.
    """

    approximate = True

    def __init__(
        self,
        options: LshScanOptions | None = None,
        distance: Distance | None = None,
        *,
        device_kernels: cuda_kernels.Kernels | None = None,
    ) -> None:
        """`device_kernels`: those of the bank's device unless given."""
        self._given_kernels = device_kernels
        self._options = options or LshScanOptions()
        self._distance = distance or Distance()
        self._hash: Hash | None = None
        self._index: CodeIndex | None = None
        self._dim = 0
        self._exact: Exact | None = None
        self._due = Due()
        self._prefix: Tensor | None = None
        self._asked = 0
        self.candidates: int | None = None
        self.probe_recall: float | None = None

    @property
    def family(self) -> Family:
        """The hash family in use: `auto` is sign on unit vectors, affine otherwise."""
        return family_for(self._options.family, self._distance)

    @property
    def description(self) -> str:
        """How it searches, in words."""
        text = f"approximate, by a scan of {self._options.bits}-bit codes ({self.family} family)"
        if self.candidates is not None:
            text += f", {self.candidates} candidates re-scored"
        if self.probe_recall is not None:
            text += f" (recall {self.probe_recall:.3f} on the probe)"
        how = "" if self._index is None else self._index.description
        if how:
            text += f", {how}"
        return text

    def build(self, bank: Bank) -> None:
        """Hash the bank."""
        check_bank(bank)
        points = self._distance.prepare(bank.sorted_embeddings)
        if self._hash is None or self._dim != bank.dim:
            self._hash = Hash(self.family, self._options.bits, bank.dim, self._options.seed)
        self._dim = bank.dim
        self._hash.fit(points, center=self._options.center)
        self._index = CodeIndex(bank, points, self._hash, self._distance, self._given_kernels)
        self._bank = bank
        self._exact, self._prefix, self._asked = None, None, 0
        self._due.built()

    def nearest(self, query: Query, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """See `QuerySearch`. The first call chooses the number of candidates, see the class."""
        check_query(self._bank, query, k)
        report(progress, 0, len(query))
        self._asked = len(query)
        if len(query):
            self._choose_candidates(query.relevance, k)
        return self._nearest(query, k, self.candidates or k, progress)

    def farthest(self, query: Query, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """See `QuerySearch`. Exact: inside a class there is little to search."""
        bank = check_query(self._bank, query, k)
        return self._exact_search(bank).farthest(query, k, progress)

    @property
    def hashes(self) -> bool:
        """Whether a bank was built."""
        return self._index is not None

    def bucket_of_row(self, table: int) -> Tensor:
        """See `Hashing`: one table, of the first `PREFIX_BITS` bits."""
        built(self._bank)
        index = self._index
        if table:
            raise InputError(
                f"There is no table {table}; a scan of codes has table 0 alone, the first bits of the codes."
            )
        assert index is not None
        if self._prefix is None:
            self._prefix = index.prefixes(PREFIX_BITS)
        return self._prefix

    def cuts(self, most: int) -> Tensor:
        """See `Hashing`."""
        built(self._bank)
        assert self._hash is not None
        return self._hash.cuts(most)

    @property
    def compared(self) -> Tensor | None:
        """See `Hashing`: the candidates that are re-scored; their codes are compared with all."""
        if self._bank is None or self.candidates is None:
            return None
        return torch.full((self._asked,), min(self.candidates, len(self._bank)))

    def why_missed(self, anchors: Tensor, negatives: Tensor) -> CodesDiffer:
        """See `ExplainsMisses`."""
        bank, index = built(self._bank), self._index
        assert index is not None
        query = SameClass(bank).query(anchors)
        placed, slots = index.arranged.by_place(query)
        before = index.ranks(placed, index.arranged.places[negatives][slots, None])[slots.argsort(), 0]
        parting = index.parting_bits(query.row, negatives)
        return CodesDiffer(
            bits=self._options.bits,
            candidates=min(self.candidates or 0, len(bank)),
            differing=frozen(parting.sum(1)),
            rank=frozen((before + 1).cpu().numpy()),
            negatives=frozen(query.negatives.cpu().numpy()),
            mask=frozen(packed(parting)),
        )

    def predicted_recall(self, k: int, candidates: int | None = None) -> float:
        """Share of the k true nearest negatives of classes that the theory of hashing expects among the candidates.

        The mean, over the neighbours of up to 512 anchors, of the probability that their Hamming distance is at most
        that of the anchor's last candidate: see `theory.scan_recall`. Measured recall beside it tells what the
        theory leaves out; orthonormal directions do a little better.

        Args:
            k: neighbours.
            candidates: how many are re-scored; None takes what the last search did, or k before one.

        Raises:
            InputError: no bank was built, or k < 1.
        """
        bank = built(self._bank)
        query = Query(SameClass(bank), probe_places(len(bank), bank.device))
        check_query(bank, query, k)
        assert self._hash is not None and self._index is not None
        arranged, points = self._index.arranged, self._index.points
        exact = self._exact_search(bank).nearest(query, k)
        exists = exact.row >= 0
        if not exists.any():
            return 1.0
        wanted = max(k, candidates or self.candidates or k)
        bits = self._options.bits
        chances = torch.empty(exists.shape, dtype=torch.float64, device=bank.device)
        step = max(1, _PREDICTED // (k * bits))
        anchors = arranged.placed(query)
        for start in range(0, len(query), step):
            part = slice(start, start + step)
            here, rows = anchors.at(part), exact.row[part]
            last = self._last_candidate(self._index, here, wanted)
            left = points[here.place].repeat_interleave(k, 0)
            right = points[arranged.places[rows.clamp_min(0)].flatten()]
            if self.family == "sign":
                p = self._hash.differs(left, right, points)
                mean, variance = bits * p, bits * p * (1 - p)
            else:
                each = self._hash.bits_differ(left, right, points)
                mean, variance = each.sum(1), (each * (1 - each)).sum(1)
            chances[part] = theory.scan_recall(mean.view(-1, k), variance.view(-1, k), last)
        return float(chances[exists].mean())

    def _last_candidate(self, index: CodeIndex, anchors: Placed, candidates: int) -> Tensor:
        """(R,) Hamming distance of the last of so many candidates of each anchor."""
        far = index.differing(anchors)
        negatives = (far <= self._options.bits).sum(1).clamp(max=candidates)
        return far.sort(1).values.gather(1, (negatives - 1).clamp_min(0)[:, None])[:, 0]

    def _exact_search(self, bank: Bank) -> Exact:
        if self._exact is None:
            self._exact = Exact(distance=self._distance)
            self._exact.build(bank)
        return self._exact

    def _choose_candidates(self, relevance: Relevance, k: int) -> None:
        bank = relevance.bank
        if self._options.rescore != "auto":
            self.candidates = max(k, self._options.rescore)
            return
        if not self._due.now(len(bank), bank.dim, k):
            return
        probe = Query(relevance, probe_places(len(bank), bank.device))
        exact = self._exact_search(bank).nearest(probe, k)

        def reached(candidates: int) -> float:
            return recall(self._nearest(probe, k, candidates, None).distance, exact.distance)

        candidates = self._needed(probe, exact)
        best = reached(candidates)
        while candidates > k:  # fewer do where other rows are as near as the exact ones
            half = max(k, candidates // 2)
            there = reached(half)
            if there < best:
                break
            candidates, best = half, there
        while best < TARGET_RECALL and candidates < len(bank):  # where codes as near stand in no certain order
            candidates = min(candidates + (candidates + 1) // 2, len(bank))
            best = reached(candidates)
        self.candidates, self.probe_recall = candidates, best

    def _needed(self, probe: Query, exact: Neighbors) -> int:
        """The fewest candidates that hold the target's share of the exact neighbours, so far as the probe can tell."""
        assert self._index is not None
        bank, arranged = probe.bank, self._index.arranged
        exists, k = exact.row >= 0, min(exact.row.shape[1], len(bank))
        if not exists.any():
            return k
        targets = arranged.places[exact.row.clamp_min(0)].masked_fill(~exists, -1).sort(1).values
        anchors, slots = arranged.by_place(probe)
        before = self._index.ranks(anchors, targets[slots])[slots.argsort()].masked_fill_(targets < 0, len(bank))
        before, exist = before[exists.any(1)], (targets >= 0).sum(1)[exists.any(1)]
        unseen = (1 - len(probe) / len(bank)) / len(before)
        too_few, enough = k - 1, len(bank)
        while enough - too_few > 1:
            between = (too_few + enough) // 2
            found = (before < between).sum(1).double() / exist
            error = float((found.var(correction=0) * unseen).sqrt())
            if float(found.mean()) - _SURE * error >= TARGET_RECALL:
                enough = between
            else:
                too_few = between
        return enough

    def _nearest(self, query: Query, k: int, candidates: int, progress: SearchProgress | None) -> Neighbors:
        index, found = self._index, none_found(query.bank, len(query), k)
        assert index is not None
        candidates = min(candidates, index.rows)
        anchors, slots = index.arranged.by_place(query)
        step = index.at_once(candidates)
        for start in range(0, len(query), step):
            part = slice(start, start + step)
            here = anchors.at(part)
            scores, rows = index.best(here, candidates, k)
            distance = scores if index.form is None else index.form.distance(scores, here.place)
            found.distance[slots[part], : rows.shape[1]] = distance
            found.row[slots[part], : rows.shape[1]] = rows
            report(progress, min(start + step, len(query)), len(query))
        return found
