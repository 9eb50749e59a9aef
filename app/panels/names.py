"""The names of a registry in the order in which lists show them: ours, plug-ins, then pytorch-metric-learning's."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any

from hnm_core.spec.plug_ins import is_plug_in
from hnm_core.spec.registry import Entry, Registry

LIBRARY = "pytorch_metric_learning"
LIBRARY_TITLE = "pytorch-metric-learning"
SCOPES = {"dataset": "Of the whole set", "batch": "Inside the batch", "": "Built in"}


@dataclass(frozen=True)
class Group:
    """Names that stand together under a title."""

    title: str
    names: tuple[str, ...]


def library_installed() -> bool:
    """Whether the optional library is there; looks without importing it."""
    return importlib.util.find_spec(LIBRARY) is not None


def grouped(registry: Registry[Any], *, library: bool | None = None) -> list[Group]:
    """All names of a registry, each group in order of registration.

    Those of pytorch-metric-learning are left out where it is not installed; `library` says whether it is, None looks.
    """
    library = library_installed() if library is None else library
    titles = [*SCOPES.values(), "Plug-ins", *([LIBRARY_TITLE] if library else [])]
    found: dict[str, list[str]] = {title: [] for title in titles}
    for name in registry.names():
        title = _title(registry.entry(name))
        if title in found:
            found[title].append(name)
    return [Group(title, tuple(names)) for title, names in found.items() if names]


def _title(entry: Entry[Any]) -> str:
    if hasattr(entry.options, "library_name"):
        return LIBRARY_TITLE
    return "Plug-ins" if is_plug_in(entry) else SCOPES.get(entry.scope, SCOPES[""])
