"""What labels are: a tensor of integers of any value, one for each row."""

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
