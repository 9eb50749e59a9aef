"""Codes of the rows of a bank: a scan finds those that differ least from an anchor's, exact distances order them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.launching import launching
from hnm_core.neighbors.cuda import best, launches
from hnm_core.neighbors.cuda import kernels as cuda_kernels
from hnm_core.neighbors.cuda.codes import CudaCodes
from hnm_core.neighbors.euclidean import EuclideanForm, euclidean_form, with_vectors
from hnm_core.neighbors.hashing import Hash
from hnm_core.neighbors.likeness import alike_together, as_sorted
from hnm_core.neighbors.probing import compiled, padded
from hnm_core.neighbors.selection import by_score_then_row, smallest
from hnm_core.relevance import Placed, Ranges

_FOUND_AT_ONCE = 1 << 23
"""Candidates held at once, over all anchors of a chunk."""
_FAR_AT_ONCE = 1 << 26
"""Pairs whose differing bits are held at once."""
_COLUMNS = 16_384
_WORTH_ORDER = 8_192
"""Rows from which on it pays to bring classes that are alike together."""
_WORTH_CLASS = 4
"""Rows that a class holds then, at least, on average: ordering more classes takes longer than it saves."""
_COORDINATES = 32
"""Numbers that tell which rows are alike."""


@dataclass(frozen=True)
class Asked:
    """What a scan has to know of its anchors: all rows, by places of the arrangement, or all vectors of a query."""

    points: Tensor
    """(A, D) float32, prepared for the distance."""
    form: EuclideanForm | None
    """None for the inner product."""
    queries: Tensor
    """(A, D') float32, what is measured: those of the form, or the points."""
    codes: NDArray[np.uint64] | Tensor
    """Packed as kernels of the CPU have them, (W, A) int64 as those of a device do, or (A, bits) int8."""
    padded: NDArray[np.float32] | None
    """The queries for kernels of the CPU."""


class CodeIndex:
    """Codes stand in places of an arrangement, and beside them the rows that they are of.

    On the CPU kernels compare packed codes, and leave out blocks of codes that cannot hold a candidate, which changes
    nothing of what is found; on a CUDA device our kernels do where they are. Elsewhere, and where they cannot be
    compiled, products of +-1 codes differ in (b - s s') / 2 bits.

    Attributes:
        rows: N.
        arranged: where the rows stand.
        points: (N, D) float32 by place, prepared for the distance.
        form: for the distance of scores; None for the inner product.
        own: the rows as anchors.
    """

    def __init__(
        self,
        bank: Bank,
        points: Tensor,
        hashed: Hash,
        distance: Distance,
        device_kernels: cuda_kernels.Kernels | None = None,
    ) -> None:
        """Hash the rows.

        Args:
            bank: the rows.
            points: (N, D) float32, its sorted embeddings, prepared for the distance.
            hashed: fitted to them.
            distance: what orders candidates.
            device_kernels: those of the bank's device unless given.
        """
        self.rows, self._device, self._hash, self._distance = len(bank), bank.device, hashed, distance
        if device_kernels is None and bank.device.type == "cuda" and not cuda_kernels.why_absent(bank.device):
            device_kernels = cuda_kernels.of(bank.device)
        self._device_kernels = device_kernels
        self._packed = bank.device.type == "cpu" and device_kernels is None and compiled()
        self.arranged, embeddings = as_sorted(bank), bank.sorted_embeddings
        if self._packed and len(bank) >= max(_WORTH_ORDER, _WORTH_CLASS * len(bank.classes)):
            self.arranged = alike_together(bank, hashed.principal(points, _COORDINATES))
            embeddings = bank.embeddings.index_select(0, self.arranged.rows)
            points = distance.prepare_exactly(embeddings)
        self.points = points
        self.form: EuclideanForm | None = None
        if distance.metric != "inner-product":
            self.form = euclidean_form(distance, embeddings)
        self._device_codes: CudaCodes | None = None
        if device_kernels is not None:
            self._device_codes = CudaCodes(self._bits(points), self.rows, device_kernels=device_kernels)
            self._row_of_place = self.arranged.rows.to(torch.int32)
            self._codes: NDArray[np.uint64] | Tensor = self._device_codes.codes
        else:
            self._codes = self._coded(points)
        queries = self.form.queries if self.form else points
        wide = None
        if self._packed:
            self._padded_points = padded(self.form.points if self.form else points)
            same = self.form is None or self.form.queries is self.form.points
            wide = self._padded_points if same else padded(queries)
        self.own = Asked(points, self.form, queries, self._codes, wide)

    def asked(self, vectors: Tensor) -> Asked:
        """What has to be known of vectors (A, D) float32. Raises `InputError` as `EuclideanForm.with_vectors` does."""
        points = self._distance.prepare_exactly(vectors)
        form, queries = with_vectors(self.form, self._distance, vectors)
        return Asked(points, form, queries, self._coded(points), padded(queries) if self._packed else None)

    def at_once(self, candidates: int) -> int:
        """About how many anchors to ask together for so many candidates each."""
        fit = max(16, _FOUND_AT_ONCE // candidates)
        return fit if self._packed or self._device_codes is not None else min(fit, 256)

    @property
    def description(self) -> str:
        """By what codes are compared, in words; empty for the kernels of the CPU."""
        if self._device_codes is not None:
            return "by kernels of the device"
        if self._packed:
            return ""
        why = "as its kernels cannot be compiled" if self._device.type == "cpu" else f"on {self._device.type}"
        return f"by products of codes {why}"

    def best(self, asked: Asked, anchors: Placed, candidates: int, k: int) -> tuple[Tensor, Tensor]:
        """(R, <= k) exact scores and rows of the k best of so many candidates, by score, then row; inf and -1 where
        there are fewer. Scores are squared distances, or negative products."""
        if self._packed:
            return self._best_packed(asked, anchors, candidates, k)
        scores, found = self._scan(asked, anchors, candidates)
        scores, which = smallest(scores, k)
        found = found.gather(1, which)
        return by_score_then_row(scores, self.arranged.rows[found.clamp_min(0)].where(found >= 0, -1))

    def differing(self, asked: Asked, anchors: Placed) -> Tensor:
        """(R, N) int16 bits that differ between anchors and all rows; one more than there are for what is relevant."""
        own = self._hash.bits_of(asked.points[anchors.line]).float() * 2 - 1
        far = torch.empty((len(own), self.rows), dtype=torch.int16, device=self._device)
        step = self._hash.chunk()
        for start in range(0, self.rows, step):
            codes = self._hash.bits_of(self.points[start : start + step]).float() * 2 - 1
            far[:, start : start + step] = ((self._hash.bits - own @ codes.T) / 2).round().short()
        column = torch.arange(self.rows, device=self._device)[None]
        return far.masked_fill_(Ranges(anchors.low, anchors.high).hold(column), self._hash.bits + 1)

    def parting_bits(self, points: Tensor, places: Tensor) -> NDArray[np.bool_]:
        """(M, bits) whether each bit of points (M, D), prepared for the distance, differs from that of the rows at
        places (M,)."""
        bits = (self._hash.bits_of(side) for side in (points, self.points[places]))
        parting: NDArray[np.bool_] = torch.bitwise_xor(*bits).cpu().numpy()
        return parting

    def prefixes(self, bits: int) -> Tensor:
        """(N,) int64, the first so many bits, at most 32, of the code of each row of the bank, the first the lowest."""
        bits = min(bits, self._hash.bits)
        if self._packed:
            assert not isinstance(self._codes, Tensor)
            first = self._codes[:, 0].reshape(-1)[: self.rows] & np.uint64((1 << bits) - 1)
            return torch.from_numpy(first.astype(np.int64))[self.arranged.places]
        parts = self.points.split(self._hash.chunk())
        first_bits = torch.cat([self._hash.bits_of(part)[:, :bits] for part in parts]).long()
        return (first_bits << torch.arange(bits, device=self._device)).sum(1)[self.arranged.places]

    def ranks(self, asked: Asked, anchors: Placed, targets: Tensor) -> Tensor:
        """(R, k) how many negatives of the anchors differ in fewer bits than the targets (R, k), -1 for none, do."""
        if self._packed:
            from hnm_core.neighbors.cpu import hamming_kernels

            line, low, high = _in_32_bits(anchors)
            before = np.empty(targets.shape, np.int64)
            with launching():
                rows, bits, target = len(self.points), self._hash.bits, targets.numpy().astype(np.int32)
                hamming_kernels.ranks(self._codes, rows, bits, asked.codes, line, low, high, target, before)
            return torch.from_numpy(before)
        parts, column = [], torch.arange(self.rows, device=self._device)
        step = max(1, _FAR_AT_ONCE // self.rows)
        for start in range(0, len(targets), step):
            wanted = targets[start : start + step]
            far = self.differing(asked, anchors.at(slice(start, start + step)))
            at = far.gather(1, wanted.clamp_min(0))
            each = [
                ((far < at[:, [j]]) | ((far == at[:, [j]]) & (column < wanted[:, [j]]))).sum(1)
                for j in range(targets.shape[1])
            ]
            parts.append(torch.stack(each, 1))
        return torch.cat(parts)

    def _best_packed(self, asked: Asked, anchors: Placed, candidates: int, k: int) -> tuple[Tensor, Tensor]:
        """(R, k) exact scores and rows, by score, then row; inf and -1 where there are fewer."""
        from hnm_core.neighbors.cpu.rescore_kernels import rescore

        found = self._scan_packed(asked, anchors, candidates)
        scores = np.empty((len(found), min(k, candidates)), np.float32)
        rows = np.empty(scores.shape, np.int64)
        line, order, product = anchors.line.numpy(), self.arranged.rows.numpy(), self.form is None
        with launching():
            rescore(self._padded_points, asked.padded, line, found, product, order, scores, rows)
        return torch.from_numpy(scores), torch.from_numpy(rows)

    def _scan_packed(self, asked: Asked, anchors: Placed, candidates: int) -> NDArray[np.int32]:
        """(R, candidates) sorted places with the fewest differing bits, -1 where there are fewer."""
        from hnm_core.neighbors.cpu import hamming_kernels

        line, low, high = _in_32_bits(anchors)
        found = np.empty((len(line), candidates), np.int32)
        rows, bits = len(self.points), self._hash.bits
        with launching():
            hamming_kernels.nearest_codes(self._codes, rows, bits, asked.codes, line, low, high, candidates, found)
        return found

    def _scan(self, asked: Asked, anchors: Placed, candidates: int) -> tuple[Tensor, Tensor]:
        """The same on any device: by our kernels where they are, else by products of +-1 codes, which differ in
        (b - s s') / 2 bits."""
        assert isinstance(self._codes, Tensor)
        assert isinstance(asked.codes, Tensor)
        if self._device_codes is not None:
            found = self._device_codes.nearest(anchors, candidates, asked.codes)
            return self._rescore(asked, anchors, found), found
        own, relevant = asked.codes[anchors.line].float(), Ranges(anchors.low, anchors.high)
        scores = own.new_empty((len(own), 0))
        found = anchors.place.new_empty((len(own), 0))
        for start in range(0, len(self._codes), _COLUMNS):
            tile = -(own @ self._codes[start : start + _COLUMNS].float().T)
            column = torch.arange(start, start + tile.shape[1], device=tile.device)
            tile.masked_fill_(relevant.hold(column[None]), torch.inf)
            best, which = smallest(tile, candidates)
            scores, found = torch.cat([scores, best], 1), torch.cat([found, which + start], 1)
            scores, which = smallest(scores, candidates)
            found = found.gather(1, which)
        found = found.masked_fill(scores.isinf(), -1)
        return self._rescore(asked, anchors, found), found

    def _rescore(self, asked: Asked, anchors: Placed, found: Tensor) -> Tensor:
        points, queries = self.form.points if self.form else self.points, asked.queries
        if self._device_kernels is not None:
            keys = launches.measure(
                self._device_kernels,
                points,
                queries,
                self._row_of_place,
                launches.anchors(anchors),
                found,
                product=self.form is None,
                farthest=False,
            )
            return best.float_scores(keys)
        scores = torch.empty(found.shape, dtype=torch.float32, device=found.device)
        step = max(1, (1 << 24) // (found.shape[1] * points.shape[1]))
        for start in range(0, len(found), step):
            part = slice(start, start + step)
            chosen, own = points[found[part].clamp_min(0)], queries[anchors.line[part], None]
            if self.form is None:
                scores[part] = -(chosen * own).sum(-1)
            else:
                scores[part] = (chosen - own).square_().sum(-1)
        return scores.masked_fill_(found < 0, torch.inf)

    def _bits(self, points: Tensor) -> Iterator[Tensor]:
        """(n, bits) bool, one piece of the points (A, D) after the other; at least one, be it empty."""
        step = self._hash.chunk()
        for start in range(0, max(1, len(points)), step):
            yield self._hash.bits_of(points[start : start + step])

    def _coded(self, points: Tensor) -> NDArray[np.uint64] | Tensor:
        """The codes of points (A, D), see `Asked`."""
        if self._packed:
            return self._pack(points)
        if self._device_codes is not None:
            return self._device_codes.coded(self._bits(points))
        return torch.cat([bits.to(torch.int8).mul_(2).sub_(1) for bits in self._bits(points)])

    def _pack(self, points: Tensor) -> NDArray[np.uint64]:
        from hnm_core.neighbors.cpu import hamming_kernels

        thresholds = self._hash.thresholds.numpy()
        step = max(hamming_kernels.BLOCK, self._hash.chunk() // hamming_kernels.BLOCK * hamming_kernels.BLOCK)
        parts = []
        for start in range(0, max(1, len(points)), step):
            projected = self._hash.project(points[start : start + step]).numpy()
            with launching():
                parts.append(hamming_kernels.pack_bits(projected, thresholds))
        return np.concatenate(parts) if len(parts) > 1 else parts[0]


def _in_32_bits(anchors: Placed) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Lines of the anchors and their ranges as kernels take them."""
    line, low, high = (values.numpy().astype(np.int32) for values in (anchors.line, anchors.low, anchors.high))
    return line, low, high
