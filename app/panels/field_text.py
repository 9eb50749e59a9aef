"""Plain values as the text of a field and back. What cannot be read is given as the text that was typed."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any

import tomli_w


def read_whole(text: str) -> Any:
    """An int; the text where it is none."""
    plain = text.strip().replace(",", "").replace("_", "")
    if re.fullmatch(r"[+-]?\d+", plain):
        return int(plain)
    number = read_float(plain)
    return int(number) if isinstance(number, float) and number.is_integer() and abs(number) < 2**53 else text


def read_float(text: str) -> Any:
    """A float; the text where it is none."""
    try:
        return float(text)
    except ValueError:
        return text


def read_list(text: str, read_one: Callable[[str], Any] = read_whole) -> Any:
    """`100, 50, 25` or `100 50 25` as numbers; a piece that is none stays text."""
    return [read_one(piece) for piece in re.split(r"[,;\s]+", text.strip(" ,;[]()")) if piece]


def read_table(text: str) -> Any:
    """`name = value, name = value` as a dictionary; the text where it is none."""
    try:
        return tomllib.loads(f"value = {{{text}}}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def write_table(value: Any) -> str:
    """What `read_table` reads."""
    return ", ".join(f"{_key(key)} = {write_toml(item)}" for key, item in value.items())


def read_toml(text: str) -> Any:
    """Any TOML value; None for nothing; the text where it is none."""
    if not text.strip():
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def write_toml(value: Any) -> str:
    """What `read_toml` reads, in one line."""
    if isinstance(value, Mapping):
        return f"{{ {write_table(value)} }}" if value else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(write_toml, value))}]"
    return tomli_w.dumps({"value": value}).removeprefix("value = ").strip()


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name)
