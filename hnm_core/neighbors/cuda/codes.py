"""Hamming search on a CUDA device: see hamming.cu, and select.cu for products of codes."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import torch
from torch import Tensor

from hnm_core.errors import InputError
from hnm_core.neighbors.cuda import best, kernels, launches
from hnm_core.neighbors.cuda.launches import WIDE, Anchors
from hnm_core.relevance import Placed

_ROWS = 16_384
_COLUMNS = 4_096
"""A tile of products is at most 16,384 x 4,096 numbers of 4 bytes, 256 MiB, whatever the size of the bank."""
_PRODUCT_BITS = 512
"""From so many bits on products take less time than popcount, tiles written and read included (measured on an H100)."""
_PRODUCT_BYTES = 1 << 30
"""Signs take eight times the memory of packed codes; they may take this much."""

_MOST_WORDS = 64
"""Then a tile of 64 columns and the codes of the anchors still fit into shared memory."""


class CudaCodes:
    """Packed codes on a device, and the rows of other classes whose codes differ least from an anchor's.

    Attributes:
        codes: of the rows, see `coded`.
    """

    def __init__(
        self,
        bits: Iterable[Tensor],
        rows: int,
        *,
        device_kernels: kernels.Kernels,
        product: bool | None = None,
    ) -> None:
        """Pack the codes.

        Args:
            bits: pieces (n, B) bool, one after the other all rows in the bank's class-sorted order.
            rows: how many they are.
            device_kernels: those of the device that the codes are on.
            product: compare by int8 products of +-1 codes on the matrix units, H = (B - s s') / 2, in place of
                popcount. It writes and reads tiles of products, so it pays for wide codes only; None takes it there.

        Raises:
            InputError: codes have more than 4,096 bits.
        """
        self._kernels = device_kernels
        self._count = rows
        pieces = iter(bits)
        first = next(pieces)
        if product is None:
            product = first.device.type == "cuda" and _products_pay(rows, first.shape[1])
        self._product = product
        self.codes = self.coded(chain([first], pieces))
        if product:
            self.codes = torch.nn.functional.pad(self.codes, (0, 0, 0, -rows % WIDE))
        elif len(self.codes) > _MOST_WORDS:
            raise InputError(f"Codes of {64 * len(self.codes)} bits are too long; the kernel takes up to 4,096.")

    def coded(self, bits: Iterable[Tensor]) -> Tensor:
        """The codes of pieces (n, B) bool as they are compared: (W, A) int64 words, or (A, B') int8 signs."""
        if self._product:
            # The library's sizes are multiples of 8; zeros add nothing to a product.
            return torch.cat([_padded(piece.to(torch.int8).mul_(2).sub_(1)) for piece in bits])
        return torch.cat([pack(piece) for piece in bits], 1)

    def nearest(self, anchors: Placed, candidates: int, asked: Tensor | None = None) -> Tensor:
        """(Q, candidates) int64 places of the rows with the fewest differing bits that are not relevant.

        Fewest first; ties go to the first places; -1 where there are fewer. `asked` are the codes of the anchors, see
        `coded`; None where they are rows.
        """
        own = self.codes if asked is None else asked
        kept = min(candidates, self._count)
        count = len(anchors.place)
        found = anchors.place.new_full((count, candidates), -1)
        step = launches.at_once(kept)
        if self._product:
            step = min(step, _ROWS)
        for start in range(0, count, step):
            here = launches.anchors(anchors.at(slice(start, start + step)))
            if self._product:
                keys = self._products_best(own, here, kept)
            else:
                keys = launches.codes_best(self._kernels, self.codes, own, here, kept)
            found[start : start + step, :kept] = best.rows(keys)
        return found

    def _products_best(self, asked: Tensor, anchors: Anchors, kept: int) -> Tensor:
        count = len(anchors.place)
        own = asked[anchors.line.long()]
        own = torch.nn.functional.pad(own, (0, 0, 0, max(0, 32 - count)))  # the library takes no fewer than 17 rows
        select = launches.TileSelect(self._kernels, anchors, kept, _COLUMNS, farthest=False)
        for start in range(0, self._count, _COLUMNS):
            width = min(_COLUMNS, self._count - start)
            tile = torch._int_mm(own, self.codes[start : start + width + -width % WIDE].T)
            ends = start + _COLUMNS >= self._count
            select.add(tile, width, None, -1, start, begins=start == 0, ends=ends)
        return select.best()


def _products_pay(rows: int, bits: int) -> bool:
    return bits >= _PRODUCT_BITS and rows * bits <= _PRODUCT_BYTES


def pack(bits: Tensor) -> Tensor:
    """(W, n) int64 words of bits (n, B) bool; bit j of a row is bit j % 64 of its word j // 64."""
    words = -(-bits.shape[1] // 64)
    padded = torch.nn.functional.pad(bits, (0, words * 64 - bits.shape[1]))
    weight = torch.ones(64, dtype=torch.int64, device=bits.device) << torch.arange(64, device=bits.device)
    return torch.stack([(padded[:, 64 * w : 64 * w + 64] * weight).sum(1) for w in range(words)])


def _padded(signs: Tensor) -> Tensor:
    return torch.nn.functional.pad(signs, (0, -signs.shape[1] % WIDE))
