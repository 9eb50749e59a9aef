"""One random generator for each purpose, all from the experiment's seed; nothing uses the global generators."""

from __future__ import annotations

import hashlib

import torch

from hnm_core.errors import InputError


def derived_seed(seed: int, purpose: str) -> int:
    """A seed for `purpose`, independent of every other purpose's."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little") & (2**63 - 1)


def generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator for `purpose`."""
    return torch.Generator().manual_seed(derived_seed(seed, purpose))


def check_generator(given: object) -> None:
    """Raises `InputError` unless `given` is a `torch.Generator`, or None for the usual one."""
    if given is not None and not isinstance(given, torch.Generator):
        raise InputError(f"generator must be a torch.Generator, torch.Generator().manual_seed(0) say, not {given!r}.")
