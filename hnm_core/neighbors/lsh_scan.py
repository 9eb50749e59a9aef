"""Approximate search: hash to bits, scan all codes of other classes by Hamming distance, re-score the best exactly."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core import kernels
from hnm_core.bank import Bank, check_bank
from hnm_core.distances import Distance
from hnm_core.neighbors import theory
from hnm_core.neighbors.base import Neighbors, SearchProgress, check_query, report
from hnm_core.neighbors.cuda import best, launches
from hnm_core.neighbors.cuda import kernels as cuda_kernels
from hnm_core.neighbors.cuda.codes import CudaCodes
from hnm_core.neighbors.cuda.placed import Placed
from hnm_core.neighbors.euclidean import EuclideanForm, euclidean_form
from hnm_core.neighbors.exact import Exact
from hnm_core.neighbors.hashing import Family, Hash, family_for
from hnm_core.neighbors.kdtree import use_torch_threads
from hnm_core.neighbors.likeness import alike_together, as_sorted
from hnm_core.neighbors.options import LshScanOptions
from hnm_core.neighbors.probing import Due, compiled, padded, probe_places, recall
from hnm_core.neighbors.selection import by_score_then_row, smallest

TARGET_RECALL = 0.95
"""Share of the true nearest negatives that `rescore="auto"` is to find."""
_SURE = 3.0
"""Standard errors of a probe's recall above the target: with three the whole set almost surely reaches it."""
_FAR_AT_ONCE = 1 << 26
"""Pairs whose differing bits are held at once."""
_FOUND_AT_ONCE = 1 << 23
"""Candidates held at once, over all anchors of a chunk."""
_COLUMNS = 16_384
_WORTH_ORDER = 8_192
"""Rows from which on it pays to bring classes that are alike together."""
_WORTH_CLASS = 4
"""Rows that a class holds then, at least, on average: ordering more classes takes longer than it saves."""
_COORDINATES = 32
"""Numbers that tell which rows are alike."""
_PREDICTED = 1 << 22
"""Bits of pairs that are predicted at once."""


class LshScan:
    """The paper's method: orthonormal directions, packed codes, exhaustive Hamming scan, then exact re-scoring.

    On the CPU the scan leaves out blocks of codes that cannot hold a candidate, which changes nothing of what it finds.
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
        self._dim = 0
        self._bank: Bank | None = None
        self._exact: Exact | None = None
        self._due = Due()
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
        if self._bank is not None and self._device_codes is not None:
            text += ", by kernels of the device"
        elif self._bank is not None and not self._packed:
            why = (
                "until its kernels are compiled" if self._bank.device.type == "cpu" else f"on {self._bank.device.type}"
            )
            text += f", by products of codes {why}"
        return text

    def build(self, bank: Bank) -> None:
        """Hash the bank."""
        check_bank(bank)
        points = self._distance.prepare(bank.sorted_embeddings)
        if self._hash is None or self._dim != bank.dim:
            self._hash = Hash(self.family, self._options.bits, bank.dim, self._options.seed)
        self._dim = bank.dim
        self._hash.fit(points, center=self._options.center)
        self._device_kernels = self._given_kernels
        if self._device_kernels is None and bank.device.type == "cuda" and not cuda_kernels.why_absent(bank.device):
            self._device_kernels = cuda_kernels.of(bank.device)
        self._packed = bank.device.type == "cpu" and self._device_kernels is None and compiled()
        self._arranged, embeddings = as_sorted(bank), bank.sorted_embeddings
        if self._packed and len(bank) >= max(_WORTH_ORDER, _WORTH_CLASS * len(bank.classes)):
            self._arranged = alike_together(bank, self._hash.principal(points, _COORDINATES))
            embeddings = bank.embeddings[self._arranged.rows]
            points = self._distance.prepare(embeddings)
        self._points = points
        self._form: EuclideanForm | None = None
        if self._distance.metric != "inner-product":
            self._form = euclidean_form(self._distance, embeddings)
        self._device_codes = None if self._device_kernels is None else self._pack_on_device(bank, points)
        if self._device_codes is not None:
            self._placed, self._row_of_place = Placed(bank), self._arranged.rows.to(torch.int32)
        else:
            self._codes: Tensor | NDArray[np.uint64] = self._pack(points) if self._packed else self._signs(points)
        if self._packed:
            self._padded_points = padded(self._form.points if self._form else points)
            same = self._form is None or self._form.queries is self._form.points
            self._padded_queries = self._padded_points if same else padded(self._form.queries if self._form else points)
        self._bank = bank
        self._exact = None
        self._due.built()

    def nearest_negatives(self, anchors: Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """See `NeighborSearch`. The first call chooses the number of candidates, see the class."""
        bank, anchors = check_query(self._bank, anchors, k)
        report(progress, 0, len(anchors))
        if len(anchors):
            self._choose_candidates(bank, k)
        return self._nearest(bank, anchors, k, self.candidates or k, progress)

    def farthest_positives(self, anchors: Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        """See `NeighborSearch`. Exact: inside a class there is little to search."""
        bank, anchors = check_query(self._bank, anchors, k)
        return self._exact_search(bank).farthest_positives(anchors, k, progress)

    def predicted_recall(self, k: int, candidates: int | None = None) -> float:
        """Share of the k true nearest negatives that the theory of hashing expects among the candidates.

        The mean, over the neighbours of up to 512 anchors, of the probability that their Hamming distance is at most
        that of the anchor's last candidate: see `theory.scan_recall`. Measured recall beside it tells what the
        theory leaves out; orthonormal directions do a little better.

        Args:
            k: neighbours.
            candidates: how many are re-scored; None takes what the last search did, or k before one.

        Raises:
            InputError: no bank was built, or k < 1.
        """
        bank, probe = check_query(self._bank, probe_places(0 if self._bank is None else len(self._bank)), k)
        assert self._hash is not None
        exact = self._exact_search(bank).nearest_negatives(probe, k)
        exists = exact.row >= 0
        if not exists.any():
            return 1.0
        wanted = max(k, candidates or self.candidates or k)
        bits = self._options.bits
        chances = []
        step = max(1, _PREDICTED // (k * bits))
        for start in range(0, len(probe), step):
            here, rows = self._arranged.places[probe[start : start + step]], exact.row[start : start + step]
            last = self._last_candidate(bank, here, wanted)
            left = self._points[here].repeat_interleave(k, 0)
            right = self._points[self._arranged.places[rows.clamp_min(0)].flatten()]
            if self.family == "sign":
                p = self._hash.differs(left, right, self._points)
                mean, variance = bits * p, bits * p * (1 - p)
            else:
                each = self._hash.bits_differ(left, right, self._points)
                mean, variance = each.sum(1), (each * (1 - each)).sum(1)
            chance = theory.scan_recall(mean.view(-1, k), variance.view(-1, k), last)
            chances.append(chance[exists[start : start + step]])
        return float(torch.cat(chances).mean())

    def _last_candidate(self, bank: Bank, places: Tensor, candidates: int) -> Tensor:
        """(R,) Hamming distance of the last of so many candidates of each anchor."""
        far = self._differing(bank, places)
        negatives = (far <= self._options.bits).sum(1).clamp(max=candidates)
        return far.sort(1).values.gather(1, (negatives - 1).clamp_min(0)[:, None])[:, 0]

    def _differing(self, bank: Bank, places: Tensor) -> Tensor:
        """(R, N) int16 bits that differ between places and all rows; one more than there are for rows of one class."""
        assert self._hash is not None
        own = self._hash.bits_of(self._points[places]).float() * 2 - 1
        far = torch.empty((len(places), len(bank)), dtype=torch.int16, device=bank.device)
        step = self._hash.chunk()
        for start in range(0, len(bank), step):
            codes = self._hash.bits_of(self._points[start : start + step]).float() * 2 - 1
            far[:, start : start + step] = ((self._options.bits - own @ codes.T) / 2).round().short()
        column = torch.arange(len(bank), device=bank.device)
        same = (column >= self._arranged.low[places, None]) & (column < self._arranged.high[places, None])
        return far.masked_fill_(same, self._options.bits + 1)

    def _exact_search(self, bank: Bank) -> Exact:
        if self._exact is None:
            self._exact = Exact(distance=self._distance)
            self._exact.build(bank)
        return self._exact

    def _choose_candidates(self, bank: Bank, k: int) -> None:
        if self._options.rescore != "auto":
            self.candidates = max(k, self._options.rescore)
            return
        if not self._due.now(len(bank), bank.dim, k):
            return
        probe = probe_places(len(bank), bank.device)
        exact = self._exact_search(bank).nearest_negatives(probe, k)

        def reached(candidates: int) -> float:
            return recall(self._nearest(bank, probe, k, candidates, None).distance, exact.distance)

        candidates = self._needed(bank, probe, exact)
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

    def _needed(self, bank: Bank, anchors: Tensor, exact: Neighbors) -> int:
        """The fewest candidates that hold the target's share of the exact neighbours, so far as the probe can tell."""
        exists, k = exact.row >= 0, min(exact.row.shape[1], len(bank))
        if not exists.any():
            return k
        targets = self._arranged.places[exact.row.clamp_min(0)].masked_fill(~exists, -1).sort(1).values
        before = self._ranks(bank, self._arranged.places[anchors], targets).masked_fill_(targets < 0, len(bank))
        before, exist = before[exists.any(1)], (targets >= 0).sum(1)[exists.any(1)]
        unseen = (1 - len(anchors) / len(bank)) / len(before)
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

    def _ranks(self, bank: Bank, places: Tensor, targets: Tensor) -> Tensor:
        """(R, k) how many negatives of the places differ in fewer bits than the targets (R, k), -1 for none, do."""
        if self._packed:
            from hnm_core.neighbors.cpu import hamming_kernels

            anchors, low, high = self._with_class(places)
            before = np.empty(targets.shape, np.int64)
            with kernels.launch_lock:
                use_torch_threads()
                rows, bits, wanted = len(self._points), self._options.bits, targets.numpy().astype(np.int32)
                hamming_kernels.ranks(self._codes, rows, bits, anchors, low, high, wanted, before)
            return torch.from_numpy(before)
        parts, column = [], torch.arange(len(bank), device=bank.device)
        step = max(1, _FAR_AT_ONCE // len(bank))
        for here, wanted in zip(places.split(step), targets.split(step), strict=True):
            far = self._differing(bank, here)
            at = far.gather(1, wanted.clamp_min(0))
            each = [
                ((far < at[:, [j]]) | ((far == at[:, [j]]) & (column < wanted[:, [j]]))).sum(1)
                for j in range(targets.shape[1])
            ]
            parts.append(torch.stack(each, 1))
        return torch.cat(parts)

    def _nearest(
        self, bank: Bank, anchors: Tensor, k: int, candidates: int, progress: SearchProgress | None
    ) -> Neighbors:
        distance = torch.full((len(anchors), k), torch.inf, device=bank.device)
        row = torch.full((len(anchors), k), -1, dtype=torch.int64, device=bank.device)
        candidates = min(candidates, len(bank))
        places, slots = self._arranged.places[anchors].sort()
        step = max(16, _FOUND_AT_ONCE // candidates)
        if not self._packed and self._device_codes is None:
            step = min(step, 256)
        for start in range(0, len(anchors), step):
            here = places[start : start + step]
            if self._packed:
                best, rows = self._best_packed(here, candidates, k)
            else:
                scores, found = self._scan(here, candidates)
                best, which = smallest(scores, k)
                found = found.gather(1, which)
                best, rows = by_score_then_row(best, self._arranged.rows[found.clamp_min(0)].where(found >= 0, -1))
            if self._form is not None:
                best = self._form.distance(best, here)
            distance[slots[start : start + step], : best.shape[1]] = best
            row[slots[start : start + step], : best.shape[1]] = rows
            report(progress, min(start + step, len(anchors)), len(anchors))
        return Neighbors(distance, row)

    def _best_packed(self, places: Tensor, candidates: int, k: int) -> tuple[Tensor, Tensor]:
        """(R, k) exact scores and rows, by score, then row; inf and -1 where there are fewer."""
        from hnm_core.neighbors.cpu.rescore_kernels import rescore

        found = self._scan_packed(places, candidates)
        scores = np.empty((len(found), min(k, candidates)), np.float32)
        rows = np.empty(scores.shape, np.int64)
        anchors, order, product = places.numpy(), self._arranged.rows.numpy(), self._form is None
        with kernels.launch_lock:
            use_torch_threads()
            rescore(self._padded_points, self._padded_queries, anchors, found, product, order, scores, rows)
        return torch.from_numpy(scores), torch.from_numpy(rows)

    def _scan_packed(self, places: Tensor, candidates: int) -> NDArray[np.int32]:
        """(R, candidates) sorted places with the fewest differing bits, -1 where there are fewer."""
        from hnm_core.neighbors.cpu import hamming_kernels

        anchors, low, high = self._with_class(places)
        found = np.empty((len(anchors), candidates), np.int32)
        rows, bits = len(self._points), self._options.bits
        with kernels.launch_lock:
            use_torch_threads()
            hamming_kernels.nearest_codes(self._codes, rows, bits, anchors, low, high, candidates, found)
        return found

    def _with_class(self, places: Tensor) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
        """Places, the first ones of their classes, those behind the last ones; as kernels take them."""
        low, high = self._arranged.low[places], self._arranged.high[places]
        return places.numpy().astype(np.int32), low.numpy().astype(np.int32), high.numpy().astype(np.int32)

    def _scan(self, places: Tensor, candidates: int) -> tuple[Tensor, Tensor]:
        """The same on any device: by our kernels where they are, else by products of +-1 codes, which differ in
        (b - s s') / 2 bits."""
        if self._device_codes is not None:
            found = self._device_codes.nearest(places, candidates)
            return self._rescore(places, found), found
        assert isinstance(self._codes, Tensor)
        own = self._codes[places].float()
        low, high = self._arranged.low[places, None], self._arranged.high[places, None]
        scores = own.new_empty((len(places), 0))
        found = places.new_empty((len(places), 0))
        for start in range(0, len(self._codes), _COLUMNS):
            tile = -(own @ self._codes[start : start + _COLUMNS].float().T)
            column = torch.arange(start, start + tile.shape[1], device=places.device)
            tile.masked_fill_((column >= low) & (column < high), torch.inf)
            best, which = smallest(tile, candidates)
            scores, found = torch.cat([scores, best], 1), torch.cat([found, which + start], 1)
            scores, which = smallest(scores, candidates)
            found = found.gather(1, which)
        found = found.masked_fill(scores.isinf(), -1)
        return self._rescore(places, found), found

    def _rescore(self, places: Tensor, found: Tensor) -> Tensor:
        points = self._form.points if self._form else self._points
        queries = self._form.queries if self._form else self._points
        if self._device_kernels is not None:
            keys = launches.measure(
                self._device_kernels,
                points,
                queries,
                self._row_of_place,
                self._placed.anchors(places),
                found,
                product=self._form is None,
                farthest=False,
            )
            return best.float_scores(keys)
        scores = torch.empty(found.shape, device=found.device)
        step = max(1, (1 << 24) // (found.shape[1] * points.shape[1]))
        for start in range(0, len(places), step):
            part = slice(start, start + step)
            chosen, anchors = points[found[part].clamp_min(0)], queries[places[part], None]
            if self._form is None:
                scores[part] = -(chosen * anchors).sum(-1)
            else:
                scores[part] = (chosen - anchors).square_().sum(-1)
        return scores.masked_fill_(found < 0, torch.inf)

    def _pack(self, points: Tensor) -> NDArray[np.uint64]:
        from hnm_core.neighbors.cpu import hamming_kernels

        assert self._hash is not None
        thresholds = self._hash.thresholds.numpy()
        step = max(hamming_kernels.BLOCK, self._hash.chunk() // hamming_kernels.BLOCK * hamming_kernels.BLOCK)
        parts = []
        for start in range(0, len(points), step):
            projected = self._hash.project(points[start : start + step]).numpy()
            with kernels.launch_lock:
                use_torch_threads()
                parts.append(hamming_kernels.pack_bits(projected, thresholds))
        return np.concatenate(parts) if len(parts) > 1 else parts[0]

    def _pack_on_device(self, bank: Bank, points: Tensor) -> CudaCodes:
        assert self._hash is not None
        step = self._hash.chunk()
        pieces = (self._hash.bits_of(points[start : start + step]) for start in range(0, len(points), step))
        return CudaCodes(pieces, bank, device_kernels=self._device_kernels)

    def _signs(self, points: Tensor) -> Tensor:
        """(N, bits) int8, +1 and -1."""
        assert self._hash is not None
        step = self._hash.chunk()
        parts = [self._hash.bits_of(points[start : start + step]) for start in range(0, len(points), step)]
        return torch.cat(parts).to(torch.int8).mul_(2).sub_(1)
