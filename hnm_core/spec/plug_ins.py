"""Plug-ins: a file of the user's that registers parts, whose code a fault is in, what stands for one that is gone."""

from __future__ import annotations

import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from hnm_core.errors import InputError
from hnm_core.spec.registry import DATASETS, LOSSES, MINERS, MODELS, NEIGHBORS, SAMPLERS, Entry, Registry
from hnm_core.system import paths
from hnm_core.system.regular_files import read_regular

REGISTRIES: tuple[Registry[Any], ...] = (MINERS, LOSSES, DATASETS, MODELS, SAMPLERS, NEIGHBORS)
MAX_SOURCE = 16 << 20
"""Bytes of a plug-in file; no text is longer that somebody wrote."""
PAGE = "docs/your-own-miner.md"

PROGRAM = "the program"
"""Whose fault it is when it is no plug-in's."""

_FRAME = re.compile(r'^\s*File "(.+?)", line (\d+)', re.MULTILINE)


def load_file(path: Path) -> None:
    """Import a Python file of the user's and keep what it registers. A file that was loaded already stays as it is.

    The module is called as the file is without its ending; a `target` that begins so means this file. Files beside it
    can be imported by it.

    Raises:
        InputError: there is no such file, it is no Python file or called like another module, its import fails (with
            the line), or it registers nothing.
    """
    path = Path(os.path.realpath(paths.path_of(str(path))))
    if path.suffix != ".py" or not path.stem.isidentifier():
        raise InputError(
            f"'{path}' is no plug-in: it must be a Python file called with letters, digits and _ alone, as my_miner.py."
        )
    before = _targets()  # loads all that is registered otherwise, so that no name of it can be taken
    known = sys.modules.get(path.stem)
    if known is not None and _file_of(known) == path:
        return
    if known is not None or _found_elsewhere(path):
        raise InputError(f"The plug-in '{path}' cannot be loaded: there is a module '{path.stem}' already; rename it.")
    _run(path)
    if _targets() == before:
        raise InputError(
            f"The plug-in '{path}' registers nothing: decorate the options of your part, for instance with "
            f"@MINERS.register; {PAGE} shows how."
        )


def _run(path: Path) -> None:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None, "a .py file has a loader"
    try:
        source = read_regular(path, MAX_SOURCE)
    except FileNotFoundError:
        raise InputError(f"There is no plug-in file '{path}'.") from None
    except (OSError, ValueError) as error:
        raise InputError(f"The plug-in '{path}' cannot be read: {paths.why(error)}.") from None
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    try:
        exec(compile(source, path, "exec", dont_inherit=True), module.__dict__)
    except (Exception, SystemExit) as error:
        del sys.modules[path.stem]
        line = error.lineno if isinstance(error, SyntaxError) else None
        for frame in traceback.extract_tb(error.__traceback__):
            if Path(frame.filename) == path:
                line = frame.lineno
        where = f"line {line}: " if line else ""
        reason = f"{type(error).__name__}: {error}".removesuffix(".")
        raise InputError(f"The plug-in '{path}' cannot be loaded: {where}{reason}.") from error


def _targets() -> dict[tuple[str, str], str]:
    return {(each.kind, name): each.entry(name).target for each in REGISTRIES for name in each.names()}


def _found_elsewhere(path: Path) -> bool:
    spec = importlib.util.find_spec(path.stem)
    return spec is not None and (spec.origin is None or Path(spec.origin).resolve() != path)


def _file_of(module: ModuleType) -> Path | None:
    file = getattr(module, "__file__", None)
    return Path(file).resolve() if file else None


# Whose fault it is


def is_plug_in(entry: Entry[Any]) -> bool:
    """Whether something comes from elsewhere than this program."""
    return not entry.target.startswith("hnm_core.")


def at_fault(report: str) -> str:
    """Whose code a fault came from, in words: `PROGRAM`, or "the plug-in 'my_miner.py', line 12".

    Args:
        report: the text of the traceback. Where plug-in code is in it, the fault is taken for the plug-in's.
    """
    places = list(_places())
    for file, line in reversed(_FRAME.findall(report)):
        path = Path(file)
        for place in places:
            if path == place or place in path.parents:
                shown = path.name if path == place else path.relative_to(place.parent)
                return f"the plug-in '{shown}', line {line}"
    return PROGRAM


def _places() -> Iterator[Path]:
    """The files, and the folders of the packages, that plug-ins are in."""
    for registry in REGISTRIES:
        for entry in map(registry.entry, registry.names()):
            if not is_plug_in(entry):
                continue
            for name in {entry.options.__module__.partition(".")[0], entry.target.partition(":")[0].partition(".")[0]}:
                module = sys.modules.get(name)
                if module is not None and name != "hnm_core":
                    folders = [Path(folder).resolve() for folder in getattr(module, "__path__", [])]
                    file = _file_of(module)
                    yield from folders or ([file] if file else [])


# What stands for a plug-in that is not there


def allow_absent(values: Mapping[str, Any]) -> None:
    """Let every name in a configuration that nothing is registered under stand for a part that is not there: it can be
    shown, with whatever options it has, but not be used. For recordings, which outlive the plug-ins they were made
    with."""
    for registry, section, field in _named(values):
        name = section.get(field)
        if isinstance(name, str) and name not in registry.names():
            registry.allow_absent(name)


def _named(values: Mapping[str, Any]) -> Iterator[tuple[Registry[Any], Mapping[str, Any], str]]:
    lanes = [lane for lane in _sections(values.get("lanes")) if isinstance(lane, Mapping)]
    for registry, key in ((DATASETS, "data"), (MODELS, "model"), (SAMPLERS, "sampler")):
        for section in (values, *lanes):
            if isinstance(named := section.get(key), Mapping):
                yield registry, named, "name"
    for lane in lanes:
        yield MINERS, lane, "miner"
        yield LOSSES, lane, "loss"


def _sections(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []
