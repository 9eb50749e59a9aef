"""What labels are: a tensor of integers of any value, one a row; inside a batch also a table of several a row."""

from __future__ import annotations

import torch
from torch import Tensor

from hnm_core.errors import InputError, described

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)

_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)


def asked_for(given: object) -> str:
    """What to call `INTEGERS` where `given` is refused: unsigned ones are integers too, but torch only stores them."""
    stored = isinstance(given, Tensor) and given.dtype in _UNSIGNED
    return "integers that torch calculates with" if stored else "integers"


def check_labels(labels: object, count: int, name: str = "labels") -> None:
    """Raises `InputError` unless `labels` is a tensor of so many integers; `name` is what the sentence calls them."""
    if not isinstance(labels, Tensor):
        raise InputError(f"{name} must be a tensor of {count} integers, one for each row, not {described(labels)}.")
    if labels.shape != (count,):
        raise InputError(f"{name} must have shape ({count},), not {tuple(labels.shape)}, one for each row.")
    if labels.dtype not in INTEGERS:
        raise InputError(
            f"{name} must be {asked_for(labels)}, not {labels.dtype}; .long() makes integers of whole numbers."
        )


def check_batch_labels(labels: object, count: int, name: str) -> None:
    """Raises `InputError` unless `labels` are so many integers, or a table (count, L) of truth values, or 0 and 1:
    whether each row has each of L labels, at least 2."""
    if not isinstance(labels, Tensor) or labels.ndim != 2:
        check_labels(labels, count, name)
        return
    if labels.shape[1] < 2:  # classes as a column are a slip, and would be taken for one label that some rows have
        raise InputError(f"{name} must have shape ({count},), not {tuple(labels.shape)}.")
    if len(labels) != count or labels.dtype not in (*INTEGERS, torch.bool):
        raise InputError(
            f"{name} must have shape ({count},), or ({count}, L) with a 1 at the place of each label that a row has, "
            f"not {tuple(labels.shape)} of {labels.dtype}."
        )
    if labels.dtype != torch.bool and bool(((labels != 0) & (labels != 1)).any()):
        raise InputError(f"{name} of shape (B, L) hold 0 and 1 alone: whether each row has each of L labels.")


def check_of_one_kind(labels: Tensor, ref_labels: Tensor) -> None:
    """Raises `InputError` unless both are one label a row, or tables of the same labels."""
    if labels.shape[1:] != ref_labels.shape[1:]:
        raise InputError(
            f"labels of shape {tuple(labels.shape)} and ref_labels of shape {tuple(ref_labels.shape)} do not go "
            "together: both are one label a row, or tables of the same labels."
        )


def share_a_label(labels: Tensor, ref_labels: Tensor, *, same_set: bool) -> Tensor:
    """(B, R) bool: who has a label in common with whom. A row is always one with itself, in a set with itself.

    Args:
        labels: (B,) integers, or (B, L) whether each row has each label.
        ref_labels: (R,) or (R, L).
        same_set: whether both are the same rows.
    """
    if labels.ndim == 1:
        return labels[:, None] == ref_labels[None, :]
    common = (labels.float() @ ref_labels.float().T) > 0
    return common.fill_diagonal_(True) if same_set else common  # one without any label has none in common with itself
