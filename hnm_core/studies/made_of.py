"""What results depend on beside a configuration: versions of what computes, and what the files that it names hold."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hnm_core
from hnm_core.errors import InputError
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.registry import DATASETS
from hnm_core.system import paths
from hnm_core.system.regular_files import open_regular

if TYPE_CHECKING:
    from hnm_core.training.retrieval_config import RetrievalConfig

_COMPUTES = ("torch", "numpy", "pytorch-metric-learning")
"""Packages that do, those that are installed."""
_NAMES_A_FILE = ("path", "labels", "weights", "source", "queries", "documents", "qrels", "review")
"""Options that do, in whatever part and however deep."""

MadeOf = dict[str, dict[str, str]]
"""Versions by the name of a package, and digests by the path of a file, or by the name of a set that is found on the
machine."""


def made_of(config: ExperimentConfig | RetrievalConfig) -> MadeOf:
    """Of what the results of a configuration are made now. A file is read; of a folder the names, sizes and times of
    what lies in it count. What is not there is left out: training will say so."""
    files = {name: digest for name in _named(config.to_dict()) if (digest := _digest(name))}
    installed = {name: version for name in _COMPUTES if (version := _version(name))}
    versions = {"hnm-lab": hnm_core.__version__} | installed
    if isinstance(config, ExperimentConfig):
        data, options = config.data.name, config.data.options
    else:
        data, options = config.retrieval.source, config.retrieval.options
    if data in DATASETS.names() and (found_in := DATASETS.part(data, options).options.found_in):
        files[data] = found_in
    return {"versions": versions, "files": files}


def other_files(before: Mapping[str, Any], now: MadeOf) -> list[str]:
    """The files whose contents are others than they were."""
    known = before["files"]
    return [name for name in sorted({*known, *now["files"]}) if known.get(name) != now["files"].get(name)]


def other_versions(before: Mapping[str, Any], now: MadeOf) -> str:
    """What computed before, in words, where that is not what computes now: "torch 2.4.0 in place of 2.5.1"."""
    known = before["versions"]
    return ", ".join(
        f"{name} {known[name]} in place of {version}"
        for name, version in now["versions"].items()
        if known.get(name, version) != version
    )


def _version(package: str) -> str:
    """Empty where the package is not installed: the last of them need not be."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _named(value: Any, option: str = "") -> Iterator[str]:
    """The paths in a configuration."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _named(item, name)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _named(item)
    elif isinstance(value, str) and value and option in _NAMES_A_FILE:
        yield value


def _digest(name: str) -> str:
    """Of a file or a folder; empty where there is none, or it cannot be read."""
    try:
        path = paths.path_of(name)
        if paths.is_folder(path):
            return hashlib.sha256(repr(sorted(_listed(path))).encode()).hexdigest()
        with open_regular(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (InputError, OSError):
        return ""


def _listed(folder: Path) -> Iterator[tuple[str, int, int]]:
    for place, folders, names in os.walk(folder):
        folders.sort()
        for path in (Path(place, name) for name in names):
            state = path.lstat()
            yield str(path.relative_to(folder)), state.st_size, state.st_mtime_ns
