"""What pydantic finds wrong with a value, in the words of somebody who never heard of pydantic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hnm_core.errors import unknown_name

Location = tuple[int | str, ...]

_MUST_BE: Mapping[str, str] = {
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "text",
    "tuple_type": "a list",
    "list_type": "a list",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "literal_error": "{expected}",
    "too_short": "a list of at least {min_length}",
    "too_long": "a list of at most {max_length}",
    "string_too_short": "text of at least {min_length} characters",
    "string_too_long": "text of at most {max_length} characters",
}
"""What a value must be, by the type of pydantic's error."""


def explain(
    error: ValidationError, where: str, model: type[BaseModel] | None = None, values: Mapping[str, Any] | None = None
) -> str:
    """A pydantic error as one sentence for each wrong field: its name, its value, what is allowed.

    Args:
        error: what pydantic raised.
        where: what the sentences begin with, e.g. a file.
        model: the model that refused, to know what its fields are called.
        values: what it refused, to call the items of a list by their names.
    """
    problems = error.errors(include_url=False)
    return " ".join(
        f"{where}: {_sentence(problem, model, values)}" for problem in problems if not _follows(problem, problems)
    )


def _follows(problem: ErrorDetails, problems: Sequence[ErrorDetails]) -> bool:
    """Whether this is only what pydantic says of a list when one of its items is wrong."""
    return problem["type"] == "too_short" and any(
        other["loc"][:1] == problem["loc"] for other in problems if other is not problem
    )


def _sentence(problem: ErrorDetails, model: type[BaseModel] | None, values: Mapping[str, Any] | None) -> str:
    location, kind, value = problem["loc"], problem["type"], problem["input"]
    field = _name(location, values) or "value"
    context: dict[str, Any] = problem.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(location, model, values)
    if kind == "value_error":
        text = str(context["error"])
        return text if text.endswith((".", "?", "!")) else f"{text}."
    if kind == "missing":
        return f"'{field}' is missing."
    if kind in ("model_type", "model_attributes_type"):
        return f"'{field}' is a section: {_how_to_write(field, value, _model_at(model, location))}."
    if kind == "dict_type":
        return f"'{field}' holds several options: write {field}.OPTION=VALUE, not {field} = {_short(value)}."
    if kind in ("tuple_type", "list_type") and _model_at(model, location) is not None:
        return f"'{field}' is a list of sections: [[{field}]] in a file, {field}.NAME.FIELD=VALUE in a setting."
    return f"{field} = {_short(value)} is not allowed: {must_be(problem, _extra(model, location).get('allowed', ''))}."


def must_be(problem: ErrorDetails, allowed: str = "") -> str:
    """What is allowed in place of a wrong value; `allowed` says it of a text with a pattern."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "string_pattern_mismatch" and allowed:
        return f"it must be {allowed}"
    if kind not in _MUST_BE:
        return problem["msg"][:1].lower() + problem["msg"][1:]
    numbers = {name: f"{number:g}" if isinstance(number, float) else number for name, number in context.items()}
    return f"it must be {_MUST_BE[kind].format(**numbers)}"


def _name(location: Location, values: Mapping[str, Any] | None) -> str:
    """A field as a setting writes it: an item of a list by its name, if it has one, else by its place."""
    parts: list[str] = []
    node: Any = values
    for part in location:
        try:
            node = node[part]
        except (KeyError, IndexError, TypeError):
            node = None
        own = node.get("name") if isinstance(part, int) and isinstance(node, Mapping) else None
        parts.append(own if isinstance(own, str) and own and own != node else str(part))
    return ".".join(parts)


def _unknown(location: Location, model: type[BaseModel] | None, values: Mapping[str, Any] | None) -> str:
    """A field that does not exist, with where it may have been meant to stand."""
    owner, own = _model_at(model, location[:-1]), str(location[-1])
    outer = _name(location[:-1], values)
    fields = owner.model_fields if owner is not None else {}
    before = f"{outer}." if outer else ""
    told = str(unknown_name("option", own, fields))
    if outer:
        places = [f"{before}{name}.{own}" for name in fields if name == "options" or name.endswith("_options")]
        places = [] if "Did you mean" in told else places
    else:
        sections = {name: _model_at(owner, (name,)) for name in fields}
        places = [
            f"{name}.{'NAME.' if name == 'lanes' else ''}{own}"
            for name, section in sections.items()
            if section is not None and own in section.model_fields and own not in ("name", "options")
        ]
    if places:
        told = f"Unknown option '{own}'. Is it {' or '.join(places)}? Known: {', '.join(sorted(fields))}."
    return f"{outer}: {told}" if outer else told


def _how_to_write(field: str, value: object, section: type[BaseModel] | None) -> str:
    fields = list(section.model_fields) if section is not None else []
    if "name" in fields and isinstance(value, str):
        return f"write {field}.name={value}"
    return f"its fields are {', '.join(f'{field}.{name}' for name in fields)}"


def _extra(model: type[BaseModel] | None, location: Location) -> Mapping[str, Any]:
    """What a field's declaration says beside its type."""
    owner = _model_at(model, location[:-1])
    field = owner.model_fields.get(str(location[-1])) if owner is not None else None
    extra = field.json_schema_extra if field is not None else None
    return extra if isinstance(extra, Mapping) else {}


def _model_at(model: type[BaseModel] | None, location: Location) -> type[BaseModel] | None:
    """The nested model that a pydantic error location points into."""
    for part in location:
        if model is None:
            return None
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        annotation: Any = field.annotation if field else None
        inner = [annotation, *getattr(annotation, "__args__", ())]
        model = next((kind for kind in inner if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
    return model


def _short(value: object) -> str:
    text = str(value).lower() if isinstance(value, bool) else repr(value)  # as a file writes it
    return text if len(text) <= 60 else text[:57] + "..."
