"""One random generator for each purpose, all from the experiment's seed; nothing uses the global generators."""

from __future__ import annotations

import hashlib

import torch


def derived_seed(seed: int, purpose: str) -> int:
    """A seed for `purpose`, independent of every other purpose's."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:8], "little") & (2**63 - 1)


def generator(seed: int, purpose: str) -> torch.Generator:
    """A CPU generator for `purpose`."""
    return torch.Generator().manual_seed(derived_seed(seed, purpose))
