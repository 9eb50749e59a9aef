"""The miners that are there to be tested."""

from __future__ import annotations

from hnm_core.registry import MINERS, NEIGHBORS

SEARCH_OF = {"knn": "exact", "lsh": "lsh-scan", "lsh-buckets": "lsh-buckets", "routed": "routed"}

SEARCHING = [name for name, search in SEARCH_OF.items() if search in NEIGHBORS.names()]
"""Miners whose search is registered."""

WHOLE_SET = [
    name
    for name in MINERS.names()
    if MINERS.entry(name).scope == "dataset" and (name not in SEARCH_OF or name in SEARCHING)
]
