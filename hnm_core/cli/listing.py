"""What `hnm-lab list` shows: (name, one line of help, where it is defined) for everything that has a name."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from typing import Any

from hnm_core.errors import InputError, unknown_name
from hnm_core.spec import config
from hnm_core.spec.registry import DATASETS, LOSSES, MINERS, MODELS, NEIGHBORS, SAMPLERS, DataOptions, Entry, Registry
from hnm_core.spec.resources import (
    preset_names,
    preset_path,
    retrieval_preset_names,
    retrieval_preset_path,
    template_names,
    template_path,
)

Row = tuple[str, str, str]

REGISTRIES: dict[str, Registry[Any]] = {
    "miners": MINERS,
    "losses": LOSSES,
    "datasets": DATASETS,
    "models": MODELS,
    "samplers": SAMPLERS,
    "neighbors": NEIGHBORS,
}


def rows(what: str) -> Iterator[Row]:
    """The items of one kind, see `KINDS`. Raises `InputError` for any other kind."""
    if what in REGISTRIES:
        registry = REGISTRIES[what]
        entries = map(registry.entry, registry.names())
        return ((entry.name, f"{entry.help}{_kind_of(entry)}", entry.target) for entry in entries)
    if what not in _OTHERS:
        raise unknown_name("list", what, KINDS)
    return _OTHERS[what]()


def _kind_of(entry: Entry[Any]) -> str:
    """Of a data set that has no classes, what it has."""
    judged = isinstance(entry.options, type) and issubclass(entry.options, DataOptions) and entry.options.judged
    return " [queries and documents]" if judged else ""


def no_runs() -> str:
    """Why the list of runs is empty, in a sentence."""
    from hnm_core.recording import runs_dir

    return f"No runs in '{runs_dir()}': the window and `hnm-lab demo` record theirs there, `run` where --record says."


def _presets() -> Iterator[Row]:
    for name in preset_names():
        path = preset_path(name)
        yield name, _one_line(config.load(path).about), str(path)
    for name in retrieval_preset_names():
        path = retrieval_preset_path(name)
        yield name, f"{_one_line(str(config.read_toml(path)['about']))} [queries and documents]", str(path)


def _templates() -> Iterator[Row]:
    for name in template_names():
        path = template_path(name)
        yield name, _one_line(tomllib.loads(path.read_text(encoding="utf-8")).get("about", "")), str(path)


def _runs() -> Iterator[Row]:
    from hnm_core.recording import list_runs
    from hnm_core.recording.glance import glance

    for folder in list_runs():
        try:
            yield folder.name, glance(folder), str(folder)
        except InputError as error:
            yield folder.name, _one_line(str(error)), str(folder)


def _one_line(text: str) -> str:
    """The first sentence, without line breaks and tabs."""
    words = " ".join(text.split())
    end = words.find(". ")
    return words if end < 0 else words[: end + 1]


_OTHERS: dict[str, Callable[[], Iterator[Row]]] = {"presets": _presets, "templates": _templates, "runs": _runs}
KINDS = (*REGISTRIES, *_OTHERS)
