"""Which editor a field of a pydantic model gets, by its type and bounds."""

from __future__ import annotations

import types
import typing
from functools import partial
from typing import Any, Literal

from pydantic.fields import FieldInfo

from app.panels.editors import (
    Bounds,
    ChoiceEditor,
    Editor,
    FlagEditor,
    NumberEditor,
    PathEditor,
    SwitchedEditor,
    TextEditor,
)
from app.panels.field_text import read_float, read_list, read_table, read_toml, read_whole, write_table, write_toml


def editor_for(name: str, field: FieldInfo) -> Editor:
    """The editor that fits a field's type and bounds."""
    kinds = [_plain(kind) for kind in _members(field.annotation)]
    bounds = bounds_of(field)
    numbers = [kind for kind in kinds if kind in (int, float)]
    literals = [choice for kind in kinds if typing.get_origin(kind) is Literal for choice in typing.get_args(kind)]
    if len(kinds) == 2 and len(numbers) == 1:
        number = NumberEditor(whole=numbers[0] is int, bounds=bounds)
        first = bounds.low if bounds.low is not None and not bounds.low_open else 1
        if type(None) in kinds:
            return SwitchedEditor("", None, False, number, first)
        if len(literals) == 1:
            return SwitchedEditor(str(literals[0]), literals[0], True, number, first)
    if len(kinds) == 1 and literals:
        return ChoiceEditor(literals)
    if kinds == [bool]:
        return FlagEditor()
    if kinds in ([int], [float]):
        return NumberEditor(whole=kinds == [int], bounds=bounds)
    if kinds == [str]:
        if (kind := (field.description or "").partition(" ")[0]) in ("file", "folder"):
            return PathEditor(folder=kind == "folder", data=name == "path")
        return TextEditor(str, str)
    if len(kinds) == 1 and typing.get_origin(kinds[0]) in (tuple, list):
        read_one = {int: read_whole, float: read_float}.get(_plain(typing.get_args(kinds[0])[0]))
        if read_one is not None:
            return TextEditor(partial(read_list, read_one=read_one), lambda value: ", ".join(map(str, value)))
    if len(kinds) == 1 and typing.get_origin(kinds[0]) is dict:
        return TextEditor(read_table, write_table)
    return TextEditor(read_toml, lambda value: "" if value is None else write_toml(value))


def bounds_of(field: FieldInfo) -> Bounds:
    """The range that a field's `ge`, `gt`, `le`, `lt` leave, or those of a member of its union."""
    found: dict[str, float] = {}
    inner = [piece for kind in _members(field.annotation) for piece in getattr(kind, "__metadata__", ())]
    for piece in [*field.metadata, *inner, *(m for p in inner for m in getattr(p, "metadata", ()))]:
        for key in ("ge", "gt", "le", "lt"):
            if getattr(piece, key, None) is not None:
                found[key] = getattr(piece, key)
    return Bounds(found.get("ge", found.get("gt")), found.get("le", found.get("lt")), "gt" in found, "lt" in found)


def _members(annotation: Any) -> tuple[Any, ...]:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return typing.get_args(annotation)
    return (annotation,)


def _plain(annotation: Any) -> Any:
    """Without the `Annotated` around it."""
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is typing.Annotated else annotation
