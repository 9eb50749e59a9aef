"""The words of a text, natural or code, for all that counts or hashes words."""

from __future__ import annotations

import re
import unicodedata

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
