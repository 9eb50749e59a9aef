"""Nearest negatives in many dimensions on the CPU: coarse products choose, exact differences decide."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core import kernels
from hnm_core.bank import Bank
from hnm_core.neighbors.base import SearchProgress, report
from hnm_core.neighbors.euclidean import EuclideanForm
from hnm_core.neighbors.kdtree import use_torch_threads

if TYPE_CHECKING:
    from hnm_core.neighbors.filtering import Rows, Waiting

_ROWS = 512
_COLUMNS = 4_096
"""A tile of products is 4 MiB in bfloat16 and stays in the cache until it is filtered."""
_BFLOAT16_DIM = 32
"""From this dimension on products cost more than filtering them."""
_WAITING = 1 << 17
"""Anchors of a tile times k, at most, which bounds the lists of what waits to be measured."""
_CHUNK = 65_536
"""Rows that are prepared in float64 at once."""
_SAMPLE = 4_096
"""Rows from which a first limit is taken."""
_LANES = 16


class FilteredProducts:
    """Squared distances about the mean from products, in bfloat16 where the processor multiplies it natively.

    Every product comes with a bound of its rounding, so the answer is that of exact differences, see `filtering`.
    """

    def __init__(self, form: EuclideanForm, bank: Bank) -> None:
        """Prepare the rows of `form`, which are sorted by class as in the bank."""
        from hnm_core.neighbors.filtering import Rows

        dim = bank.dim
        self.coarse = dim >= _BFLOAT16_DIM and native_bfloat16()
        kind = torch.bfloat16 if self.coarse else torch.float32
        center = form.points[:, :dim].mean(0, dtype=torch.float64)
        # One more block of zero rows, so that the last columns can be multiplied sixteen at a time.
        self._points = torch.zeros((len(bank) + _LANES, dim), dtype=kind)
        norm, lost, rest = (torch.zeros(len(bank), dtype=torch.float64) for _ in range(3))
        for start in range(0, len(bank), _CHUNK):
            part = slice(start, min(start + _CHUNK, len(bank)))
            exact = form.points[part].double()
            centered = exact[:, :dim] - center
            self._points[part] = centered.to(kind)
            norm[part] = centered.norm(dim=1)
            lost[part] = (centered - self._points[part]).norm(dim=1)
            rest[part] = exact[:, dim:].square().sum(1)
        share = float((lost / norm.clamp_min(torch.finfo(torch.float64).tiny)).max())
        # Rounding of one product: of either factor, of adding up in float32, and of the bfloat16 result.
        share += (dim + 4) * 2.0**-24 + (2.0**-9 * 1.02 if self.coarse else 0.0)
        self._anchor_slack = _array(2.02 * (lost + (norm + lost) * share))
        # A little too small, by what rounding the sum of the three terms can add; `filtering` knows it.
        square = norm.square() * (1 - 2.0**-21)
        self._anchor_square = _array(square)
        points = _wide(form.points)
        self._rows = Rows(
            points,
            points if form.queries is form.points else _wide(form.queries),
            _array(torch.nn.functional.pad(square + rest * (1 - 2.0**-21), (0, _LANES))),
            _array(torch.nn.functional.pad(norm, (0, _LANES))),
            np.ascontiguousarray(bank.order.numpy()),
        )
        self._sampled: tuple[Rows, Tensor] | None = None
        self._buffer = torch.empty(_ROWS * _COLUMNS, dtype=kind)
        self._class_of_place = bank.class_of_row[bank.order].numpy()
        self._offsets = bank.offsets.numpy()

    def nearest_negatives(self, places: Tensor, k: int, progress: SearchProgress | None) -> tuple[Tensor, Tensor]:
        """(Q, k) squared distances and rows of the caller for anchors at ascending places (Q,); inf and -1 if none."""
        from hnm_core.neighbors.filtering import settle

        scores = np.empty((len(places), k), np.float32)
        found = np.empty((len(places), k), np.int64)
        step = max(16, min(_ROWS, _WAITING // k))
        report(progress, 0, len(places))
        for start in range(0, len(places), step):
            end = min(start + step, len(places))
            waiting = self._wait(places[start:end], k)
            with kernels.launch_lock:
                use_torch_threads()
                settle(k, self._rows, waiting, scores[start:end], found[start:end])
            report(progress, end, len(places))
        return torch.from_numpy(scores), torch.from_numpy(found)

    def _wait(self, places: Tensor, k: int) -> Waiting:
        """The rows that may be among the k nearest negatives of each anchor of one tile."""
        from hnm_core.neighbors.filtering import waiting_list

        count = len(self._class_of_place)
        place = places.numpy()
        label = self._class_of_place[place]
        low, high = self._offsets[label], self._offsets[label + 1]
        square, slack = self._anchor_square[place], self._anchor_slack[place]
        anchors = self._points[places]
        waiting = waiting_list(place, low, high, square, slack, k)
        if count >= 2 * _SAMPLE:
            # Rows come sorted by class, so the nearest may come last. A limit from a sample keeps the others out.
            stride = -(-count // _SAMPLE)
            sampled = waiting_list(place, -(-low // stride), -(-high // stride), square, slack, k)
            rows, points = self._sample(stride)
            self._filter(anchors, points, 0, len(points) - _LANES, k, rows, sampled, keep=False)
            limit = sampled.upper[:, _LANES + k - 1, None]
            waiting.upper[:, _LANES:] = limit * np.float32(1 + 1e-6) + np.finfo(np.float32).tiny  # itself passes
        spans = [(0, int(low[0])), (int(high[0]), count)] if label[0] == label[-1] else [(0, count)]
        for first, last in spans:
            self._filter(anchors, self._points, first, last, k, self._rows, waiting, keep=True)
        return waiting

    def _filter(
        self,
        anchors: Tensor,
        points: Tensor,
        first: int,
        last: int,
        k: int,
        rows: Rows,
        waiting: Waiting,
        *,
        keep: bool,
    ) -> None:
        """Pass the rows first .. last - 1 through the filter."""
        from hnm_core.neighbors.filtering import filter_tile

        for column in range(first, last, _COLUMNS):
            count = min(_COLUMNS, last - column)
            width = count + -count % _LANES
            tile = self._buffer[: len(anchors) * width].view(len(anchors), width)
            torch.mm(anchors, points[column : column + width].T, out=tile)
            bits = tile.view(torch.int16) if self.coarse else tile
            with kernels.launch_lock:
                use_torch_threads()
                filter_tile(bits.numpy(), self.coarse, count, column, k, rows, waiting, keep)

    def _sample(self, stride: int) -> tuple[Rows, Tensor]:
        """Every `stride`-th row, made once."""
        if self._sampled is None:
            rows, points = self._rows, self._points[:-_LANES:stride]
            end = len(rows.row)
            self._sampled = (
                rows._replace(
                    points=np.ascontiguousarray(rows.points[::stride]),
                    square=np.pad(rows.square[:end:stride], (0, _LANES)),
                    slack=np.pad(rows.slack[:end:stride], (0, _LANES)),
                    row=np.ascontiguousarray(rows.row[::stride]),
                ),
                torch.nn.functional.pad(points, (0, 0, 0, _LANES)),
            )
        return self._sampled


@lru_cache(maxsize=1)
def native_bfloat16() -> bool:
    """Whether the processor has matrix units for bfloat16 (AMX)."""
    try:
        return "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def _array(values: Tensor) -> NDArray[np.float32]:
    return np.ascontiguousarray(values.float().numpy())


def _wide(points: Tensor) -> NDArray[Any]:
    """(N, D) float32 with D filled up with zeros to a multiple of 16."""
    missing = -points.shape[1] % _LANES
    return np.ascontiguousarray((torch.nn.functional.pad(points, (0, missing)) if missing else points).numpy())
