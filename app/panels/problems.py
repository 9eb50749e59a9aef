"""What is wrong with an experiment as it is typed, in words, by the path of the field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.explaining import must_be
from hnm_core.spec.registry import DATASETS, LOSSES, MINERS, MODELS, SAMPLERS, Registry

LANE_NAME_RULE = "A name begins with a letter or digit and has up to 40 letters, digits, blanks and . _ + -"

Path = tuple[str | int, ...]


def find_problems(values: Mapping[str, Any]) -> dict[Path, str]:
    """What is wrong with a configuration, by path of the field; `("",)` for what concerns no field in particular."""
    problems: dict[Path, str] = {}
    for path, registry, name, options in _named_options(values):
        try:
            registry.entry(name).options.model_validate(options)
        except ValidationError as error:
            for problem in error.errors(include_url=False):
                problems.setdefault((*path, *problem["loc"][:1]), sentence(problem))
    try:
        ExperimentConfig.model_validate(values)
    except ValidationError as error:
        for problem in error.errors(include_url=False):
            path = _editable(problem["loc"])
            if path[-1] == "name" and problem["type"] == "string_pattern_mismatch":
                problems[path] = LANE_NAME_RULE
            elif path != ("",) or not problems:  # options were looked at above, and by field
                problems.setdefault(path, sentence(problem))
    return duplicates(values) | problems


def _named_options(values: Mapping[str, Any]) -> list[tuple[Path, Registry[Any], str, Any]]:
    found: list[tuple[Path, Registry[Any], str, Any]] = [
        (("data", "options"), DATASETS, values["data"]["name"], values["data"]["options"]),
        (("model", "options"), MODELS, values["model"]["name"], values["model"]["options"]),
        (("sampler", "options"), SAMPLERS, values["sampler"]["name"], values["sampler"]["options"]),
    ]
    for place, lane in enumerate(values["lanes"]):
        found.append((("lanes", place, "miner_options"), MINERS, lane["miner"], lane["miner_options"]))
        found.append((("lanes", place, "loss_options"), LOSSES, lane["loss"], lane["loss_options"]))
        if (own := lane["sampler"]) is not None:
            found.append((("lanes", place, "sampler", "options"), SAMPLERS, own["name"], own["options"]))
    return found


def duplicates(values: Mapping[str, Any]) -> dict[Path, str]:
    """Lanes that are called as one before them, by the path of the name."""
    names = [lane["name"] for lane in values["lanes"]]
    return {
        ("lanes", place, "name"): f"Another lane is called '{name}'; lane names must differ."
        for place, name in enumerate(names)
        if name in names[:place]
    }


def _editable(location: Path) -> Path:
    """The field that a pydantic error belongs to: a section's own check stands with the section's options."""
    if location == ("optimizer",):
        return ("optimizer", "options")
    if not location:
        return ("",)
    own_sampler = location[0] == "lanes" and location[2:3] == ("sampler",)
    depth = (
        4
        if own_sampler
        else 3
        if location[0] == "lanes"
        else 2
        if location[0] in ("data", "model", "optimizer", "sampler")
        else 1
    )
    return location[:depth]


def inside(problems: Mapping[Path, str], *prefix: str) -> dict[str, str]:
    """Those of the fields right below a path, by the name of the field."""
    depth = len(prefix)
    return {
        str(path[depth]): text for path, text in problems.items() if path[:depth] == prefix and len(path) == depth + 1
    }


def sentence(problem: ErrorDetails) -> str:
    """One pydantic error in words, without the name of the field it stands beside."""
    if problem["type"] == "missing" or (problem["type"] == "string_too_short" and not problem["input"]):
        return "Needed: there is no default."
    if problem["type"] == "value_error":
        text = str(problem["ctx"]["error"])
        return text + ("" if text.endswith(".") else ".")
    allowed = must_be(problem)
    value = problem["input"]
    if value == "":
        return f"Nothing is typed here: {allowed}."
    shown = f"'{value}'" if isinstance(value, str) else f"{value}"
    return f"{shown[:60]} is not allowed: {allowed}."
