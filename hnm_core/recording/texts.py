"""`texts.jsonl`: ids and beginnings of the texts of items, which may hold anything when it is read."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from pathlib import Path

from hnm_core.errors import InputError
from hnm_core.recording.layout import RUN_FILE
from hnm_core.run.item_texts import MOST_CHARACTERS, MOST_NAME, ItemText
from hnm_core.system.paths import why
from hnm_core.system.regular_files import read_regular

_MOST_LINE = 12 * (MOST_CHARACTERS + MOST_NAME) + 64
"""Bytes of a line: JSON writes a character in twelve at most."""


def text_lines(texts: Mapping[int, ItemText]) -> bytes:
    """The content of the file, of texts by dataset id."""
    lines = (json.dumps({"item": item, "id": one.name, "text": one.text}) + "\n" for item, one in texts.items())
    return "".join(lines).encode("ascii")


def read_texts(path: Path, most: int, checksum: str) -> dict[int, ItemText]:
    """What `text_lines` wrote. Raises `InputError` where the file is missing, damaged, or of more than `most` items."""
    try:
        data = read_regular(path, most * _MOST_LINE)
        if f"{zlib.crc32(data):08x}" != checksum:
            raise ValueError(f"its checksum is not that in {RUN_FILE}")
        texts = dict(map(_item, data.decode("ascii").splitlines()))
        if len(texts) > most:
            raise ValueError(f"it tells of {len(texts):,} items, and {most:,} are the most")
    except FileNotFoundError:
        raise InputError(f"{path.name} is missing.") from None
    except OSError as error:
        raise InputError(f"{path.name} cannot be read: {why(error)}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path.name} is damaged: {error}.") from error
    return texts


def _item(line: str) -> tuple[int, ItemText]:
    values = json.loads(line)
    if not isinstance(values, dict) or values.keys() != {"item", "id", "text"} or type(values["item"]) is not int:
        raise ValueError("a line must have an item, an id and a text")
    name, text = values["id"], values["text"]
    if not isinstance(name, str) or not isinstance(text, str) or len(name) > MOST_NAME or len(text) > MOST_CHARACTERS:
        raise ValueError("an id or a text is none, or is too long")
    return values["item"], ItemText(name, text)
