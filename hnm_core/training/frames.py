"""Makes the frames of a lane: where every shown item is, what was mined since the last frame, who carries the loss.

Of a set too large to show, a frame also brings the mined items that are not among the shown ones, as its guests."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.evaluation.projection import AlignedPca
from hnm_core.losses.base import Part, Terms
from hnm_core.run.events import MAX_DRAWN_TRIPLETS, MAX_GUESTS, Frame, Guests, frozen
from hnm_core.spec.config import LaneConfig
from hnm_core.training.setup import Shared

GATHER_STEPS = 64
"""Steps that wait to be counted together: counting costs about the same for one as for many."""

GATHER_ENTRIES = 500_000
"""So many tuples and terms do not wait any longer: a batch may hold that many."""


class _Step(NamedTuple):
    """What one step leaves behind; rows of the training set."""

    tuples: Sequence[Tensor]
    parts: Sequence[Part]
    embedded_row: Tensor
    separation: Tensor | None


class FrameMaker:
    """Gathers, step by step, what the next frame shows. Frames speak in dataset ids; nothing in training changes."""

    def __init__(self, lane: LaneConfig, shared: Shared, distance: Distance, embed: Callable[[Tensor], Tensor]) -> None:
        self.lane, self._shared, self._distance, self._embed = lane.name, shared, distance, embed
        self._project = AlignedPca()
        trained, device = shared.trained, shared.device
        # Counted for every row of the training set; the spare last row stands for shown items that are held out.
        self._loss = torch.zeros(trained + 1, device=device)
        self._mined = torch.zeros(trained + 1, device=device)
        self._hardness = torch.full((trained + 1,), torch.nan, device=device)
        self._shown_row = shared.shown_row.clamp(max=trained)
        self._hidden = torch.ones(trained + 1, dtype=torch.bool, device=device)
        self._hidden[self._shown_row] = False
        self._hidden[trained] = False
        self._hidden_row = self._hidden.nonzero()[:, 0]
        self._waiting: list[_Step] = []
        self._entries = 0
        self._recent: deque[Tensor] = deque(maxlen=GATHER_STEPS)
        self._mined_total = 0

    def add(self, tuples: Sequence[Tensor], terms: Terms, embedded_row: Tensor, separation: Tensor | None) -> None:
        """Remember one step.

        Args:
            tuples: mined rows of the training set, three vectors or four.
            terms: of the loss.
            embedded_row: (U,) row of the training set of each embedding that the terms' anchors point into.
            separation: (T,) d_an - d_ap of each triplet, if known.
        """
        parts = [Part(part.value.detach(), part.anchor) for part in terms.parts]
        self._waiting.append(_Step(tuples, parts, embedded_row, separation))
        self._entries += sum(len(vector) for vector in tuples) + sum(len(part.value) for part in parts)
        if len(self._waiting) == GATHER_STEPS or self._entries > GATHER_ENTRIES:
            self._gather()

    def make(self, step: int) -> Frame:
        """The frame now, with what was mined since the last one, at most `GATHER_STEPS` steps back; then start over."""
        self._gather()
        shared = self._shared
        positions, projection = self._project(self._prepared(shared.shown_row))
        mined, guest_row = self._drawn()
        shown_loss, hidden_loss = self._loss[self._shown_row], self._loss[self._hidden_row].sum()
        total = float(torch.cat((shown_loss, hidden_loss[None])).sum())
        frame = Frame(
            self.lane,
            step,
            positions=_array(positions),
            triplets=_array(torch.where(mined < 0, -1, shared.ids[mined]).to(torch.int32)),
            mined_total=self._mined_total,
            columns=self._columns(self._shown_row, total),
            projection=projection,
            guests=self._guests(guest_row, total) if len(guest_row) else None,
        )
        self._recent.clear()
        self._mined_total = 0
        self._loss.zero_()
        return frame

    def _drawn(self) -> tuple[Tensor, Tensor]:
        """(M, 3) rows of mined triplets to draw, a fair part of all, and the (G,) rows in them that are not shown."""
        mined = torch.cat(tuple(self._recent)) if self._recent else self._shown_row.new_zeros((0, 3))
        mined = _thinned(mined, MAX_DRAWN_TRIPLETS)
        guest_row = self._guest_row(mined)
        if len(guest_row) > MAX_GUESTS:
            mined = _thinned(mined, MAX_GUESTS // 3)  # a triplet brings three guests at most
            guest_row = self._guest_row(mined)
        return mined, guest_row

    def _guest_row(self, mined: Tensor) -> Tensor:
        if not len(self._hidden_row):
            return self._hidden_row
        row: Tensor = torch.unique(mined[mined >= 0])
        return row[self._hidden[row]]

    def _guests(self, row: Tensor, total: float) -> Guests:
        shared = self._shared
        return Guests(
            ids=_array(shared.ids[row]),
            labels=_array(shared.y[row]),
            positions=_array(self._project.further(self._prepared(row))),
            columns=self._columns(row, total),
            groups=None if shared.groups is None else _array(shared.groups[row]),
            true_labels=None if shared.y_true is None else _array(shared.y_true[row]),
        )

    def _prepared(self, row: Tensor) -> Tensor:
        """Embeddings of rows of all items, as the lane's distance sees them."""
        return self._distance.prepare(self._embed(self._shared.x[row]))

    def _columns(self, row: Tensor, total: float) -> dict[str, NDArray[np.float32]]:
        """The point columns of rows of the counters, see `hnm_core.run.events.POINT_COLUMNS`."""
        loss = self._loss[row]
        return {
            "loss_share": _array(loss / total if total > 0 else loss),
            "times_mined": _array(self._mined[row]),
            "hardness": _array(self._hardness[row]),
        }

    def _gather(self) -> None:
        """Count the steps that wait."""
        steps, self._waiting, self._entries = self._waiting, [], 0
        if not steps:
            return
        anchor_row = torch.cat([step.embedded_row[part.anchor] for step in steps for part in step.parts])
        value = torch.cat([part.value for step in steps for part in step.parts])
        self._loss.index_add_(0, anchor_row, value.to(self._loss.dtype))
        steps = [step for step in steps if step.tuples]
        for step in steps:
            negative_row = step.tuples[-1]
            self._mined.index_add_(0, negative_row, torch.ones_like(negative_row, dtype=self._mined.dtype))
            if step.separation is not None:
                self._hardness[step.tuples[0]] = -step.separation.to(self._hardness.dtype)
            rows = _as_rows(step.tuples)
            self._mined_total += len(rows)
            self._recent.append(_thinned(rows, MAX_DRAWN_TRIPLETS))


def _as_rows(tuples: Sequence[Tensor]) -> Tensor:
    """(M, 3) anchor, positive, negative; of four vectors, each pair as a row with -1 for its missing end."""
    if len(tuples) == 3:
        return torch.stack(tuple(tuples), dim=1)
    anchor1, positive, anchor2, negative = tuples
    pulled = torch.stack((anchor1, positive, torch.full_like(anchor1, -1)), dim=1)
    pushed = torch.stack((anchor2, torch.full_like(anchor2, -1), negative), dim=1)
    return torch.cat((pulled, pushed))


def _thinned(rows: Tensor, most: int) -> Tensor:
    """Every n-th row, for the smallest n that leaves at most `most`."""
    return rows[:: max(1, -(-len(rows) // most))]


def _array(values: Tensor) -> NDArray[Any]:
    return frozen(values.cpu().numpy())
