"""Texts as hashed words and word pairs: which rows of a table stand for a text. Without a vocabulary, so that nothing
has to be counted first and no text is unknown."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hnm_core.tokens import words_of


def hashed(texts: Sequence[str], rows: int, *, pairs: bool = True) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows of a table of `rows` that stand for the words of each text, and for its pairs of neighbouring words.

    The same on every machine and in every process (CRC-32 of the words in UTF-8).

    Returns:
        (T,) rows, those of one text behind those of the one before, and (N,) where those of each text begin.
    """
    found: list[int] = []
    starts = np.zeros(len(texts), np.int64)
    for place, text in enumerate(texts):
        starts[place] = len(found)
        words = [word.encode("utf-8", "surrogatepass") for word in words_of(text)]
        found += [zlib.crc32(word) % rows for word in words]
        if pairs:
            found += [zlib.crc32(b" ".join(pair)) % rows for pair in itertools.pairwise(words)]
    return np.asarray(found, np.int64), starts
