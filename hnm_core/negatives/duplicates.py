"""Which items of a set are the same: by their text, or as embeddings at distance 0. Alike is not the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from hnm_core.data.base import generator

ROWS_AT_ONCE = 1 << 16


def firsts(text: Sequence[str] | None, embeddings: NDArray[np.float32] | None) -> NDArray[np.int64]:
    """(N,) for each item the first that is the same: one with its text, or with its embedding, or the same as another
    that is the same as it. At least one of both is given.

    Args:
        text: (N,)
        embeddings: (N, D)
    """
    found = [by_text(text)] if text is not None else []
    found += [by_embedding(embeddings)] if embeddings is not None else []
    if len(found) == 1:
        return found[0]
    first, other = found
    if np.array_equal(first, np.arange(len(first))):
        return other
    if np.array_equal(other, np.arange(len(other))):
        return first
    rows = np.arange(len(first))
    links = coo_array((np.ones(2 * len(rows), np.int8), (np.tile(rows, 2), np.concatenate(found))), [len(rows)] * 2)
    group = connected_components(links, directed=False)[1]
    _, earliest, of_row = np.unique(group, return_index=True, return_inverse=True)
    return np.asarray(earliest[of_row], np.int64)


def by_text(text: Sequence[str]) -> NDArray[np.int64]:
    """(N,) the first item with the same text."""
    seen: dict[str, int] = {}
    return np.fromiter((seen.setdefault(each, row) for row, each in enumerate(text)), np.int64, len(text))


def by_embedding(embeddings: NDArray[np.float32]) -> NDArray[np.int64]:
    """(N,) the first item with the same numbers, all of them; 0 and -0 are the same."""
    count, width = embeddings.shape
    factors = generator(0, "hash of a row").integers(2**63, size=width, dtype=np.uint64) * np.uint64(2) + np.uint64(1)
    keys = np.empty(count, np.uint64)
    for start in range(0, count, ROWS_AT_ONCE):
        part = np.ascontiguousarray(embeddings[start : start + ROWS_AT_ONCE], np.float32) + np.float32(0)
        keys[start : start + len(part)] = part.view(np.uint32).astype(np.uint64) @ factors
    _, earliest, of_row = np.unique(keys, return_index=True, return_inverse=True)
    first = np.asarray(earliest[of_row], np.int64)
    later = np.flatnonzero(first != np.arange(count))
    for start in range(0, len(later), ROWS_AT_ONCE):
        rows = later[start : start + ROWS_AT_ONCE]
        differ = (embeddings[rows] != embeddings[first[rows]]).any(1)
        first[rows[differ]] = rows[differ]  # a hash says what may be the same, no more
    return first
