"""The miners that are there to be tested."""

from __future__ import annotations

from hnm_core.spec.registry import MINERS

SEARCHING = ["knn", "lsh", "lsh-buckets", "routed"]
"""Miners over a neighbour search."""

WHOLE_SET = [name for name in MINERS.names() if MINERS.entry(name).scope == "dataset"]
