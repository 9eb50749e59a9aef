"""JSON of the user's files, in which an object says each thing once: the reader of Python's library takes the last of
two values without a word."""

from __future__ import annotations

import json
from typing import Any


class SaidTwiceError(ValueError):
    """An object names something twice; the text is what."""


def parsed(text: str | bytes) -> Any:
    """What a text says. Raises `SaidTwiceError`, and whatever else `json.loads` does."""
    return json.loads(text, object_pairs_hook=_once)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    told = dict(pairs)
    if len(told) < len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise SaidTwiceError(name)
            seen.add(name)
    return told
