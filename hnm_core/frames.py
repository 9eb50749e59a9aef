"""Makes the frames of a lane: where every shown item is, what was mined since the last frame, who carries the loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from hnm_core.config import LaneConfig
from hnm_core.distances import Distance
from hnm_core.evaluation.projection import AlignedPca
from hnm_core.events import MAX_DRAWN_TRIPLETS, Frame, frozen
from hnm_core.losses.base import Terms
from hnm_core.setup import Shared


class FrameMaker:
    """Gathers, step by step, what the next frame shows. Speaks in dataset ids; changes nothing in training."""

    def __init__(self, lane: LaneConfig, shared: Shared, distance: Distance, embed: Callable[[Tensor], Tensor]) -> None:
        self._lane, self._distance, self._embed = lane, distance, embed
        self._x = shared.x[shared.shown_row]
        self._ids = shared.ids[shared.shown_row]
        self._project = AlignedPca()
        shown = len(self._ids)
        self._loss = torch.zeros(shown + 1, device=shared.device)  # the last place takes what is not shown
        self._mined = torch.zeros(shown + 1, device=shared.device)
        self._hardness = torch.full((shown + 1,), torch.nan, device=shared.device)
        self._triplets: list[Tensor] = []

    def add(self, tuples: Sequence[Tensor], terms: Terms, anchor_ids: Tensor, separation: Tensor | None) -> None:
        """Count one step.

        Args:
            tuples: mined dataset ids, three vectors or four.
            terms: of the loss.
            anchor_ids: (U,) dataset id of each embedding that the terms' anchors point into.
            separation: (T,) d_an - d_ap of each triplet, if known.
        """
        for part in terms.parts:
            self._loss.index_add_(0, self._place(anchor_ids[part.anchor]), part.value.detach())
        negative_place = self._place(tuples[-1])
        self._mined.index_add_(0, negative_place, torch.ones_like(negative_place, dtype=torch.float32))
        if separation is not None:
            self._hardness[self._place(tuples[0])] = -separation
        self._triplets.append(_as_rows(tuples))

    def make(self, step: int) -> Frame:
        """The frame now; the mined triplets and loss shares start over."""
        shown = self._embed(self._x)
        positions, projection = self._project(self._distance.prepare(shown))
        mined = torch.cat(self._triplets) if self._triplets else self._ids.new_zeros((0, 3))
        every = max(1, -(-len(mined) // MAX_DRAWN_TRIPLETS))
        total = float(self._loss.sum())
        columns = {
            "loss_share": self._loss[:-1] / total if total > 0 else self._loss[:-1],
            "times_mined": self._mined[:-1],
            "hardness": self._hardness[:-1],
        }
        frame = Frame(
            self._lane.name,
            step,
            positions=frozen(positions.cpu().numpy().astype(np.float32, copy=False)),
            triplets=frozen(mined[::every].to(torch.int32).cpu().numpy()),
            mined_total=len(mined),
            columns={name: frozen(values.cpu().numpy()) for name, values in columns.items()},
            projection=projection,
        )
        self._triplets.clear()
        self._loss.zero_()
        return frame

    def _place(self, ids: Tensor) -> Tensor:
        """Place of each id among the shown ones; the spare last place where an id is not shown."""
        place = torch.searchsorted(self._ids, ids).clamp(max=len(self._ids) - 1)
        return torch.where(self._ids[place] == ids, place, len(self._ids))


def _as_rows(tuples: Sequence[Tensor]) -> Tensor:
    """(M, 3) anchor, positive, negative; of four vectors, each pair as a row with -1 for its missing end."""
    if len(tuples) == 3:
        return torch.stack(tuple(tuples), dim=1)
    anchor1, positive, anchor2, negative = tuples
    pulled = torch.stack((anchor1, positive, torch.full_like(anchor1, -1)), dim=1)
    pushed = torch.stack((anchor2, torch.full_like(anchor2, -1), negative), dim=1)
    return torch.cat((pulled, pushed))
