"""Past embeddings to mine from: the cross-batch memory (XBM: Wang et al., CVPR 2020)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hnm_core.errors import InputError, described
from hnm_core.isolation import isolated
from hnm_core.labels import check_labels


class Reference(NamedTuple):
    """A reference set for miners and losses inside the batch: pass `embeddings` and `labels` as ref_emb, ref_labels."""

    embeddings: Tensor
    """(R, D) without gradient, oldest first"""
    labels: Tensor
    """(R,) int64"""
    ids: Tensor
    """(R,) int64 dataset ids"""
    age: Tensor
    """(R,) int64 steps since each was computed"""


class MemoryBank:
    """A queue of the newest `size` embeddings, first in, first out. They are copies: no gradient reaches them.

    An item's older copy must not meet the item itself as an anchor, neither as its positive nor as its negative.
    `reference` leaves out all copies of the ids it is given, so that this holds for any miner and any loss;
    `drop_own` does the same, pair by pair, for tuples mined on a reference that holds them.
    """

    def __init__(self, size: int = 8192, start: int = 0) -> None:
        """
        Args:
            size: embeddings that are kept, at least 1.
            start: step from which the memory is used; embeddings that change fast are of no use for long.
        """
        if size < 1:
            raise InputError(f"size = {size} is not allowed: a memory holds at least 1 embedding.")
        if start < 0:
            raise InputError(f"start = {start} is not allowed: a memory is used from step 0 on or later.")
        self.size = size
        self.start = start
        self._count = 0
        self._next = 0
        self._rows: tuple[Tensor, Tensor, Tensor, Tensor] | None = None

    def __len__(self) -> int:
        return self._count

    def ready(self, step: int) -> bool:
        """Whether there is something to use in `step`."""
        return self._count > 0 and step >= self.start

    @isolated
    def add(self, embeddings: Tensor, labels: Tensor, ids: Tensor, step: int) -> None:
        """Put a batch in, the oldest out. Of a batch larger than the memory the last `size` rows stay.

        Args:
            embeddings: (B, D) finite numbers; copied without gradient.
            labels: (B,) integers.
            ids: (B,) integers, dataset ids.
            step: in which they were computed.

        Raises:
            InputError: shapes that do not fit each other or the memory, NaN or infinity.
        """
        self._check(embeddings, labels, ids)
        if not len(embeddings):
            return
        if self._rows is None:
            device = embeddings.device
            kept = torch.empty(self.size, embeddings.shape[1], dtype=embeddings.dtype, device=device)
            kept_labels, kept_ids, kept_steps = torch.empty(3, self.size, dtype=torch.int64, device=device).unbind()
            self._rows = (kept, kept_labels, kept_ids, kept_steps)
        count = min(len(embeddings), self.size)
        place = (torch.arange(count, device=embeddings.device) + self._next) % self.size
        steps = torch.full_like(place, step)
        for kept, new in zip(self._rows, (embeddings, labels, ids), strict=False):
            kept[place] = new[-count:].detach().to(kept.device, kept.dtype)
        self._rows[3][place] = steps
        self._next = (self._next + count) % self.size
        self._count = min(self._count + count, self.size)

    @isolated
    def reference(self, step: int, without: Tensor | None = None) -> Reference:
        """The memory as it is, oldest first.

        Args:
            step: of now, for the ages.
            without: (B,) ids whose copies are left out: the batch's own.

        Raises:
            InputError: nothing was ever added.
        """
        if self._rows is None:
            raise InputError("The memory is empty: add a batch before it is used.")
        embeddings, labels, ids, steps = self._rows
        first = self._next - self._count
        place = (torch.arange(self._count, device=ids.device) + first) % self.size
        if without is not None:
            place = place[~torch.isin(ids[place], without.to(ids.device, ids.dtype))]
        return Reference(embeddings[place], labels[place], ids[place], step - steps[place])

    def clear(self) -> None:
        """Forget everything, as after a change of the network."""
        self._count = self._next = 0
        self._rows = None

    def state(self) -> dict[str, Any]:
        """All that is remembered, see `hnm_core.miners.base.TellsState`."""
        rows = None if self._rows is None else list(self._rows)
        return {"count": self._count, "next": self._next, "rows": rows}

    def restore(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Remember what `state` told, on `device`. Raises `InputError` where that is of another size."""
        rows = state["rows"]
        if rows is not None:
            embeddings, labels, ids, steps = (part.to(device) for part in rows)
            if {len(part) for part in (embeddings, labels, ids, steps)} != {self.size} or embeddings.ndim != 2:
                raise InputError(f"The memory of {self.size:,} embeddings cannot take up one of another size.")
            self._rows = (embeddings, labels, ids, steps)
        self._count, self._next = int(state["count"]), int(state["next"])

    def _check(self, embeddings: Tensor, labels: Tensor, ids: Tensor) -> None:
        if not isinstance(embeddings, Tensor) or embeddings.ndim != 2 or not embeddings.is_floating_point():
            raise InputError(
                f"Embeddings must be a floating-point tensor of shape (B, D), not {described(embeddings)}."
            )
        for name, vector in (("labels", labels), ("ids", ids)):
            check_labels(vector, len(embeddings), name)
        if self._rows is not None and embeddings.shape[1] != self._rows[0].shape[1]:
            raise InputError(
                f"The memory holds embeddings of {self._rows[0].shape[1]} dimensions; these have {embeddings.shape[1]}."
            )
        bad = int((~torch.isfinite(embeddings).all(1)).sum())
        if bad:
            raise InputError(f"{bad} of {len(embeddings)} embeddings hold NaN or infinity and cannot be remembered.")


def drop_own(tuples: Sequence[Tensor], ids: Tensor, ref_ids: Tensor) -> tuple[Tensor, ...]:
    """Tuples of rows without those in which an anchor meets a copy of itself.

    Args:
        tuples: (anchor, positive, negative) or (anchor1, positive, anchor2, negative), rows of `ids` and of `ref_ids`.
        ids: (B,) dataset ids of the batch.
        ref_ids: (R,) dataset ids of the reference set.
    """
    if len(tuples) == 3:
        anchor, positive, negative = tuples
        keep = (ids[anchor] != ref_ids[positive]) & (ids[anchor] != ref_ids[negative])
        return anchor[keep], positive[keep], negative[keep]
    if len(tuples) != 4:
        raise InputError(f"Tuples must hold three or four vectors, not {len(tuples)}.")
    anchor1, positive, anchor2, negative = tuples
    pulled, pushed = ids[anchor1] != ref_ids[positive], ids[anchor2] != ref_ids[negative]
    return anchor1[pulled], positive[pulled], anchor2[pushed], negative[pushed]
