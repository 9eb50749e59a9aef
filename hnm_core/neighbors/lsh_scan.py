"""Approximate search: hash to bits, scan all codes of other classes by Hamming distance, re-score the best exactly."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.isolation import isolated
from hnm_core.neighbors import theory
from hnm_core.neighbors.base import QuerySearch, built, check_query
from hnm_core.neighbors.code_index import Asked, CodeIndex
from hnm_core.neighbors.cuda import kernels as cuda_kernels
from hnm_core.neighbors.exact import Exact
from hnm_core.neighbors.found import Neighbors, SearchProgress, none_found, report
from hnm_core.neighbors.hashing import Family, Hash, family_for
from hnm_core.neighbors.options import LshScanOptions
from hnm_core.neighbors.probing import Numbers, Probe, apart, mixed, probe_of, probe_places, recall
from hnm_core.relevance import Placed, Query, Relevance, RowQuery, SameClass, VectorQuery
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
    chosen at the first search, kept while k and the bank's shape stay the same, and chosen again every 20 builds, apart
    for vectors to which no class is relevant; the choice depends on the sequence of builds and searches only, not on
    time.

    Attributes:
        candidates: how many rows are re-scored for an anchor; None before it was chosen.
        probe_recall: recall on the probe when it was chosen; None where `rescore` is a number.
        compared: (Q,) candidates of each anchor of the last search; None before one. Codes are compared with all.
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
        self._chosen = Numbers()
        self._prefix: Tensor | None = None
        self.compared: Tensor | None = None
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

    def _build(self, bank: Bank) -> None:
        """Hash the bank."""
        points = self._distance.prepare_exactly(bank.sorted_embeddings)
        if self._hash is None or self._dim != bank.dim:
            self._hash = Hash(self.family, self._options.bits, bank.dim, self._options.seed)
        self._dim = bank.dim
        self._hash.fit(points, center=self._options.center)
        self._index = CodeIndex(bank, points, self._hash, self._distance, self._given_kernels)
        self._bank = bank
        self._exact = self._prefix = self.compared = None
        self._chosen.built()

    def state(self) -> dict[str, Any]:
        """See `KeepsState`."""
        return {"seed": self._options.seed, "kept": self._chosen.state()}

    def restore(self, state: Mapping[str, Any], bank: Bank | None) -> None:
        """See `KeepsState`."""
        self._options = self._options.model_copy(update={"seed": int(state["seed"])})
        if bank is not None:
            self.build(bank)
        self._chosen.restore(state["kept"])

    def _nearest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        """The first call chooses the number of candidates, see the class."""
        if self._options.rescore == "auto" and mixed(query):
            compared, free = query.classes.new_empty(len(query)), query.classes < 0

            def ask(part: Query, k: int, progress: SearchProgress | None) -> Neighbors:
                found, candidates = self._found(part, k, progress)
                compared[free == part.unrestricted] = candidates
                return found

            found, self.compared = apart(ask, query, k, progress), compared
            return found
        found, candidates = self._found(query, k, progress)
        self.compared = torch.full((len(query),), candidates)
        return found

    def _found(self, query: Query, k: int, progress: SearchProgress | None) -> tuple[Neighbors, int]:
        """The neighbours, and how many candidates each anchor had."""
        report(progress, 0, len(query))
        candidates = self._choose_candidates(query, k) if len(query) else k
        return self._scan(query, k, candidates, progress), min(candidates, len(query.bank))

    def _farthest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        """Exact: inside a class there is little to search."""
        return self._exact_search(query.bank).farthest(query, k, progress)

    @property
    def hashes(self) -> bool:
        """Whether a bank was built."""
        return self._index is not None

    @isolated
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

    @isolated
    def why_missed(self, query: Query, negatives: Tensor) -> CodesDiffer:
        """See `ExplainsMisses`."""
        bank, index = built(self._bank), self._index
        assert index is not None
        asked, placed, slots = self._asked(query), *index.arranged.by_place(query)
        targets = index.arranged.places[negatives]
        back = slots.argsort()
        before = index.ranks(asked, placed, targets[slots, None])[back, 0]
        parting = index.parting_bits(asked.points[placed.line[back]], targets)
        return CodesDiffer(
            bits=self._options.bits,
            candidates=min(self.candidates or 0, len(bank)),
            differing=frozen(parting.sum(1)),
            rank=frozen((before + 1).cpu().numpy()),
            negatives=frozen(query.negatives.cpu().numpy()),
            mask=frozen(packed(parting)),
        )

    @isolated
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
        query = RowQuery(SameClass(bank), probe_places(len(bank), bank.device))
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
        far = index.differing(index.own, anchors)
        negatives = (far <= self._options.bits).sum(1).clamp(max=candidates)
        return far.sort(1).values.gather(1, (negatives - 1).clamp_min(0)[:, None])[:, 0]

    def _exact_search(self, bank: Bank) -> Exact:
        if self._exact is None:
            exact = Exact(distance=self._distance)
            exact.build(bank)
            self._exact = exact  # no sooner: several threads may ask
        return self._exact

    def _choose_candidates(self, query: Query, k: int) -> int:
        bank = query.bank
        if self._options.rescore != "auto":
            self.candidates = candidates = max(k, self._options.rescore)
            return candidates
        free = query.unrestricted
        choose = partial(self._fewest, query.relevance, k, unrestricted=free)
        candidates, reached = self._chosen[free].get(choose, len(bank), bank.dim, k)
        self.candidates, self.probe_recall = candidates, reached
        return candidates

    def _fewest(self, relevance: Relevance, k: int, *, unrestricted: bool) -> tuple[int, float]:
        """The fewest candidates that reach the target on the probe, and the recall there."""
        bank = relevance.bank
        probe = probe_of(relevance, probe_places(len(bank), bank.device), k, unrestricted=unrestricted)
        exact = probe.others(self._exact_search(bank).nearest(probe.query, probe.k))

        def reached(candidates: int) -> float:
            return recall(self._scan(probe.query, probe.k, candidates, None).distance, exact.distance)

        candidates = self._needed(probe, exact)
        best = reached(candidates)
        while candidates > probe.k:  # fewer do where other rows are as near as the exact ones
            half = max(probe.k, candidates // 2)
            there = reached(half)
            if there < best:
                break
            candidates, best = half, there
        while best < TARGET_RECALL and candidates < len(bank):  # where codes as near stand in no certain order
            candidates = min(candidates + (candidates + 1) // 2, len(bank))
            best = reached(candidates)
        return candidates, best

    def _needed(self, probe: Probe, exact: Neighbors) -> int:
        """The fewest candidates that hold the target's share of the exact neighbours, so far as the probe can tell."""
        assert self._index is not None
        index, rows = self._index, len(probe.query.bank)
        exists, k = exact.row >= 0, min(probe.k, rows)
        if not exists.any():
            return k
        targets = index.arranged.places[exact.row.clamp_min(0)].masked_fill(~exists, -1).sort(1).values
        anchors, slots = index.arranged.by_place(probe.query)
        ranks = index.ranks(self._asked(probe.query), anchors, targets[slots])
        before = ranks[slots.argsort()].masked_fill_(targets < 0, rows)
        before, exist = before[exists.any(1)], (targets >= 0).sum(1)[exists.any(1)]
        unseen = (1 - len(probe.query) / rows) / len(before)
        too_few, enough = k - 1, rows
        while enough - too_few > 1:
            between = (too_few + enough) // 2
            found = (before < between).sum(1).double() / exist
            error = float((found.var(correction=0) * unseen).sqrt())
            if float(found.mean()) - _SURE * error >= TARGET_RECALL:
                enough = between
            else:
                too_few = between
        return enough

    def _asked(self, query: Query) -> Asked:
        assert self._index is not None
        return self._index.asked(query.vectors) if isinstance(query, VectorQuery) else self._index.own

    def _scan(self, query: Query, k: int, candidates: int, progress: SearchProgress | None) -> Neighbors:
        index, found, asked = self._index, none_found(query.bank, len(query), k), self._asked(query)
        assert index is not None
        candidates = min(candidates, index.rows)
        anchors, slots = index.arranged.by_place(query)
        step = index.at_once(candidates)
        for start in range(0, len(query), step):
            part = slice(start, start + step)
            here = anchors.at(part)
            scores, rows = index.best(asked, here, candidates, k)
            distance = scores if asked.form is None else asked.form.distance(scores, here.line)
            found.distance[slots[part], : rows.shape[1]] = distance
            found.row[slots[part], : rows.shape[1]] = rows
            report(progress, min(start + step, len(query)), len(query))
        return found
