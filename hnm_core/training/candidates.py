"""What a frame tells of the candidates that the negatives of its step were chosen from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.run.candidates import MAX_ANCHORS, MAX_CANDIDATES, MAX_OF_AN_ANCHOR, Candidates, Scope
from hnm_core.run.events import frozen
from hnm_core.training.setup import Shared


class Looked(NamedTuple):
    """What some anchors of a step had to choose from; rows of the training set."""

    anchor: Tensor
    """(A,)"""
    candidate: Tensor
    """(A, K), -1 where there is none"""
    asked: int
    """How many anchors there were in all"""
    scope: Scope


def even_part(anchors: int, most: int, device: torch.device) -> Tensor:
    """(A,) ascending places of those of so many anchors that a frame tells of, where each has up to `most` candidates.
    No chance is in it: what is looked at must not change what is drawn next."""
    count = min(anchors, MAX_ANCHORS, MAX_CANDIDATES // max(1, min(most, MAX_OF_AN_ANCHOR)))
    return torch.arange(count, device=device) * anchors // max(1, count)


def candidates_of(looked: Looked | None, tuples: Sequence[Tensor], shared: Shared) -> Candidates | None:
    """What a frame tells of it; None for None.

    Args:
        looked: at.
        tuples: what was mined in the step, rows of the training set, three vectors or four.
        shared: knows the ids.
    """
    if looked is None:
        return None
    anchor, candidate = looked.anchor, looked.candidate
    there, chosen = _array(candidate >= 0), _array(_became(looked, tuples, shared.trained))
    anchor_id = _array(shared.ids[anchor])
    candidate_id = _array(torch.where(candidate < 0, -1, shared.ids[candidate.clamp(min=0)]))
    kept = _kept(there, chosen, in_order=looked.scope != "batch")
    kept[:, 0] |= ~there.any(1)  # the one pair of an anchor without candidates
    kept[_repeated(anchor_id)] = False
    row, column = np.nonzero(kept)
    pairs = np.stack((anchor_id[row], candidate_id[row, column]), 1).astype(np.int32)
    return Candidates(frozen(pairs), frozen(chosen[row, column]), looked.asked, candidate.shape[1], looked.scope)


def _became(looked: Looked, tuples: Sequence[Tensor], rows: int) -> Tensor:
    """(A, K) bool, which candidates became negatives of their anchors."""
    anchor, candidate = looked.anchor, looked.candidate
    if not tuples:
        return torch.zeros_like(candidate, dtype=torch.bool)
    of_step, negative = (tuples[2], tuples[3]) if len(tuples) == 4 else (tuples[0], tuples[2])
    told = torch.zeros(rows, dtype=torch.bool, device=anchor.device)
    told[anchor] = True
    mine = told[of_step]
    pair = of_step[mine] * rows + negative[mine]
    return torch.isin(anchor[:, None] * rows + candidate, pair) & (candidate >= 0)


def _kept(there: NDArray[np.bool_], chosen: NDArray[np.bool_], *, in_order: bool) -> NDArray[np.bool_]:
    """(A, K) at most `MAX_OF_AN_ANCHOR` of those that are there, for each anchor: what was chosen, then the first of
    the others, or, where their order means nothing, an even part of them."""
    count = there.sum(1, keepdims=True)
    if count.max(initial=0) <= MAX_OF_AN_ANCHOR:
        return there.copy()
    rank = np.cumsum(there, 1) - 1
    if not in_order:
        part = rank * MAX_OF_AN_ANCHOR // count.clip(min=1)
        first_of_part = part != (rank - 1) * MAX_OF_AN_ANCHOR // count.clip(min=1)
        rank = np.where(first_of_part, part, MAX_OF_AN_ANCHOR + rank)
    rank = np.where(chosen, -1, rank)
    order = np.argsort(np.where(there, rank, there.shape[1] + MAX_OF_AN_ANCHOR), 1, kind="stable")
    kept = np.zeros_like(there)
    np.put_along_axis(kept, order[:, :MAX_OF_AN_ANCHOR], True, 1)
    return kept & there


def _repeated(ids: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(A,) whether an id stood there before."""
    again = np.ones(len(ids), np.bool_)
    again[np.unique(ids, return_index=True)[1]] = False
    return again


def _array(values: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = values.cpu().numpy()
    return array
