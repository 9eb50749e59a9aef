"""Texts as vectors without a model: words and pairs of neighbouring words, hashed, weighed by tf-idf and projected.

A random projection that is sparse and fixed (Li, Hastie & Church, "Very sparse random projections", 2006) keeps the
cosine of two such vectors, within about 1 / sqrt(dimensions). It knows words and no meaning: a baseline, and enough to
mine at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hnm_core.tokens import words_of

BUCKETS = 1 << 19
"""Hashes of words, and as many of pairs; of so many, few meet by chance."""
PAIR_WEIGHT = 0.5
"""Of a pair beside a word. Pairs are many and rare: at the weight of words, what they add by chance in a projection to
few dimensions hides the words."""
DIMENSIONS = 512
NONZERO = 8
"""Numbers, 1 or -1, that each bucket has in the projection."""


class HashedWords:
    """Maps texts to vectors of length 1, (B,) to (B, D), the same whatever stands beside a text; one without a word is
    zero.

    Args:
        documents: texts whose counts say how rare, and so how telling, each word is.
        dimensions: D.
    """

    def __init__(self, documents: Iterable[str], dimensions: int = DIMENSIONS) -> None:
        self._dimensions = dimensions
        seen, counts = 0, np.zeros(2 * BUCKETS, np.int64)
        for text in documents:
            seen += 1
            counts[np.unique(_buckets(text))] += 1
        self._weight = np.log((1 + seen) / (1 + counts)) + 1
        self._weight[BUCKETS:] *= PAIR_WEIGHT

    def __call__(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The vectors of texts."""
        found = [np.unique(_buckets(text), return_counts=True) for text in texts]
        bucket = np.concatenate([buckets for buckets, _ in found] or [np.zeros(0, np.int64)])
        count = np.concatenate([counts for _, counts in found] or [np.zeros(0, np.int64)])
        row = np.repeat(np.arange(len(texts)), [len(buckets) for buckets, _ in found])
        weight = (1 + np.log(count)) * self._weight[bucket]
        place, sign = _projection(bucket, self._dimensions)
        made = np.bincount(
            (row[:, None] * self._dimensions + place).ravel(),
            (weight[:, None] * sign).ravel(),
            len(texts) * self._dimensions,
        ).reshape(len(texts), self._dimensions)
        length = np.linalg.norm(made, axis=1, keepdims=True)
        return np.asarray(made / np.where(length > 0, length, 1), np.float32)


def _buckets(text: str) -> NDArray[np.int64]:
    """(W,) of all words of a text, 0 .. BUCKETS - 1, and of all pairs, from there on; in no order that matters."""
    words = words_of(text)
    singles = [zlib.crc32(word.encode()) % BUCKETS for word in words]
    pairs = [zlib.crc32(" ".join(pair).encode()) % BUCKETS + BUCKETS for pair in pairwise(words)]
    return np.array(singles + pairs, np.int64)


def _projection(bucket: NDArray[np.int64], dimensions: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(W, NONZERO) places of the numbers of each bucket, and whether they are 1 or -1; drawn by a hash (the finaliser
    of splitmix64), so that they are the same on every machine."""
    mixed = (bucket[:, None] * NONZERO + np.arange(1, NONZERO + 1)).view(np.uint64)
    mixed = mixed * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB), (31, 1)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    place = (mixed >> np.uint64(1)) % np.uint64(dimensions)
    return place.astype(np.int64), np.where(mixed & np.uint64(1), 1.0, -1.0)
