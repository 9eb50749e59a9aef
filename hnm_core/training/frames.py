"""Makes the frames of a lane: where every shown item is, what was mined since the last frame, who carries the loss."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.evaluation.projection import AlignedPca
from hnm_core.losses.base import Part, Terms
from hnm_core.run.events import MAX_DRAWN_TRIPLETS, Frame, frozen
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
        self.lane, self._distance, self._embed = lane.name, distance, embed
        self._x = shared.x[shared.shown_row]
        self._train_ids = shared.ids[shared.train_row]
        self._project = AlignedPca()
        shown_ids = shared.ids[shared.shown_row]
        shown = len(shown_ids)
        place = torch.searchsorted(shown_ids, self._train_ids).clamp(max=shown - 1)
        self._place_of_row = torch.where(shown_ids[place] == self._train_ids, place, shown)
        self._loss = torch.zeros(shown + 1, device=shared.device)  # the spare last place takes what is not shown
        self._mined = torch.zeros(shown + 1, device=shared.device)
        self._hardness = torch.full((shown + 1,), torch.nan, device=shared.device)
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
        positions, projection = self._project(self._distance.prepare(self._embed(self._x)))
        mined = torch.cat(tuple(self._recent)) if self._recent else self._train_ids.new_zeros((0, 3))
        mined = _thinned(mined)
        total = float(self._loss.sum())
        columns = {
            "loss_share": self._loss[:-1] / total if total > 0 else self._loss[:-1],
            "times_mined": self._mined[:-1],
            "hardness": self._hardness[:-1],
        }
        frame = Frame(
            self.lane,
            step,
            positions=frozen(positions.cpu().numpy().astype(np.float32, copy=False)),
            triplets=frozen(torch.where(mined < 0, -1, self._train_ids[mined]).to(torch.int32).cpu().numpy()),
            mined_total=self._mined_total,
            columns={name: frozen(values.cpu().numpy()) for name, values in columns.items()},
            projection=projection,
        )
        self._recent.clear()
        self._mined_total = 0
        self._loss.zero_()
        return frame

    def _gather(self) -> None:
        """Count the steps that wait."""
        steps, self._waiting, self._entries = self._waiting, [], 0
        if not steps:
            return
        anchor_row = torch.cat([step.embedded_row[part.anchor] for step in steps for part in step.parts])
        value = torch.cat([part.value for step in steps for part in step.parts])
        self._loss.index_add_(0, self._place_of_row[anchor_row], value.to(self._loss.dtype))
        steps = [step for step in steps if step.tuples]
        for step in steps:
            negative_place = self._place_of_row[step.tuples[-1]]
            self._mined.index_add_(0, negative_place, torch.ones_like(negative_place, dtype=self._mined.dtype))
            if step.separation is not None:
                self._hardness[self._place_of_row[step.tuples[0]]] = -step.separation.to(self._hardness.dtype)
            rows = _as_rows(step.tuples)
            self._mined_total += len(rows)
            self._recent.append(_thinned(rows))


def _as_rows(tuples: Sequence[Tensor]) -> Tensor:
    """(M, 3) anchor, positive, negative; of four vectors, each pair as a row with -1 for its missing end."""
    if len(tuples) == 3:
        return torch.stack(tuple(tuples), dim=1)
    anchor1, positive, anchor2, negative = tuples
    pulled = torch.stack((anchor1, positive, torch.full_like(anchor1, -1)), dim=1)
    pushed = torch.stack((anchor2, torch.full_like(anchor2, -1), negative), dim=1)
    return torch.cat((pulled, pushed))


def _thinned(rows: Tensor) -> Tensor:
    """Every so-manieth row, so that at most `MAX_DRAWN_TRIPLETS` are left."""
    return rows[:: max(1, -(-len(rows) // MAX_DRAWN_TRIPLETS))]
