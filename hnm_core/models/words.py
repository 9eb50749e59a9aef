"""Texts as hashed words and word pairs: which rows of a table stand for a text. Without a vocabulary, so that nothing
has to be counted first and no text is unknown."""

from __future__ import annotations

import itertools
import re
import unicodedata
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_WORDS = re.compile(r"[^\W_]+")
"""Runs of letters and digits of any script; an underscore parts words."""

_INSIDE = re.compile(r"[A-Z]+(?![a-z])|[A-Z][a-z]+|[a-z]+|\d+|[^\W\d_A-Za-z]+")
"""Parts of an identifier: getHTTPResponse2 is get, HTTP, Response, 2."""

_ASCII = re.compile(r"[A-Za-z0-9]+")

MOST_CHARACTERS = 20_000
"""Of a text; what follows is not read."""


def words_of(text: str) -> list[str]:
    """The words of a text, in lower case, in order.

    Letters are compared as Unicode's NFKC says, so that a ligature or a wide letter is the usual one. Identifiers are
    parted at underscores, and where the case or the kind of a character changes; letters outside ASCII only where the
    kind does.
    """
    text = unicodedata.normalize("NFKC", text[:MOST_CHARACTERS])
    words = []
    for run in _WORDS.findall(text):
        parts = _INSIDE.findall(run) if _ASCII.fullmatch(run) else [run]
        words += [part.casefold() for part in parts]
    return words


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
