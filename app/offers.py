"""What would become of files that somebody holds over the window, told before they are let go. Reads no large file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from hnm_core.errors import InputError
from hnm_core.recording import header, packed
from hnm_core.recording.layout import PACKED_SUFFIX, RUN_FILE
from hnm_core.spec import config as configuration
from hnm_core.spec.data_files import ANY_DATA_SUFFIX, data_format, is_judged, is_review, refuse_no_items, vectors_in
from hnm_core.spec.request import Request, over_documents
from hnm_core.system.paths import exists, is_folder
from hnm_core.system.regular_files import open_regular
from hnm_core.training.retrieval_request import told_of

Kind = Literal["recording", "packed", "data", "documents", "configuration"]
LABELS_AS_TEXT = (".txt", ".csv", ".tsv")
"""Endings of files of labels beside `.npy`."""
LARGEST_CONFIG = 1 << 20
"""Bytes; nobody writes a configuration so long."""
VERBS: dict[Kind, str] = {
    "recording": "open the recording",
    "packed": "unpack and open the recording",
    "data": "train on",
    "documents": "train on the queries and documents of",
    "configuration": "open the configuration",
}


@dataclass(frozen=True)
class Offer:
    """What one of the files is good for."""

    text: str
    """What will happen, or why nothing can."""
    path: Path | None = None
    kind: Kind | None = None
    """None where it cannot be opened."""
    labels: Path | None = None
    """The file with the labels of `path`, where both are dropped together."""

    @property
    def accepted(self) -> bool:
        """Whether it may be let go."""
        return self.kind is not None


def offer(paths: Sequence[Path], *, running: bool) -> Offer:
    """The first of the files that can be opened, or what is wrong with the first of all. `running`: a run is on."""
    if not paths:
        return Offer("Only files and folders of this computer can be opened.")
    if (pair := _vectors_and_labels(paths)) is not None:
        of_vectors = _offer(pair[0], running)
        if not of_vectors.accepted:
            return of_vectors
        return replace(of_vectors, text=f"{of_vectors.text} with the labels in '{pair[1].name}'", labels=pair[1])
    offers = [_offer(path, running) for path in paths]
    best = next((one for one in offers if one.accepted), offers[0])
    if len(paths) > 1 and best.accepted and best.path is not None:
        others = "the other is" if len(paths) == 2 else f"the other {len(paths) - 1} are"
        return replace(best, text=f"{best.text}; {others} left alone")
    return best


def kind_of(path: Path) -> Kind:
    """What a path is, by its ending and its beginning. Raises `InputError` when it cannot be opened."""
    try:
        if is_folder(path) and exists(path / RUN_FILE):
            header.read_run_file(path)
            return "recording"
        if is_judged(path) and not is_review(path):
            return "documents"
        refuse_no_items(path, path.name)
        if is_folder(path):
            if vectors_in(path) is None and not any(child.is_dir() for child in path.iterdir()):
                raise InputError(
                    f"'{path.name}' cannot be opened: it is no recording (it has no {RUN_FILE}), nor has it folders of "
                    "pictures, one for each class, nor vectors.tsv with metadata.tsv."
                )
            return "data"
        if path.suffix == PACKED_SUFFIX:
            with packed.opened(path):
                return "packed"
        if path.suffix.lower() == ".toml":
            _check_config(path)
            return "configuration"
        known = data_format(path)
        if known is None:
            raise InputError(
                f"'{path.name}' cannot be opened: it must be data ({ANY_DATA_SUFFIX}), a configuration "
                f"(.toml) or a recording (its folder, or {PACKED_SUFFIX})."
            )
        if _size(path) == 0:
            raise InputError(f"'{path.name}' cannot be opened: it is empty.")
        known.look(path)
    except OSError as error:
        raise InputError(f"'{path.name}' cannot be opened: {error.strerror or error}.") from error
    return "data"


def _vectors_and_labels(paths: Sequence[Path]) -> tuple[Path, Path] | None:
    """An array of vectors and what may be their labels, where the two files are these; None where they are not."""
    dimensions = {path: _dimensions(path) for path in paths}
    vectors = [path for path in paths if dimensions[path] == 2]
    labels = [path for path in paths if dimensions[path] == 1 or path.suffix.lower() in LABELS_AS_TEXT]
    return (vectors[0], labels[0]) if len(paths) == 2 and len(vectors) == len(labels) == 1 else None


def _dimensions(path: Path) -> int:
    """Of the array in a `.npy`; 0 where it is none."""
    if path.suffix.lower() != ".npy":
        return 0
    try:
        with open_regular(path) as file:
            version = np.lib.format.read_magic(file)
            read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            return len(read(file)[0])
    except (OSError, ValueError):
        return 0  # what is wrong with it, opening it tells


def _offer(path: Path, running: bool) -> Offer:
    try:
        kind = kind_of(path)
    except InputError as error:
        return Offer(str(error).replace(str(path), path.name), path)
    if running and kind not in ("recording", "packed"):
        return Offer(f"A run is on. Press R to reset it, then drop '{path.name}' again.", path)
    stops = "stop the run and " if running else ""
    name = path.resolve().name or str(path)
    return Offer(f"Drop to {stops}{VERBS[kind]} '{name}'", path, kind)


def _size(path: Path) -> int:
    """Bytes of a regular file. Raises `OSError` for anything else."""
    with open_regular(path) as file:
        return os.fstat(file.fileno()).st_size


def _check_config(path: Path) -> None:
    if _size(path) > LARGEST_CONFIG:
        raise InputError(f"'{path.name}' cannot be opened: it is too long for a configuration.")
    request = Request(path)
    if over_documents(request):
        told_of(request)
    else:
        configuration.load(path)
