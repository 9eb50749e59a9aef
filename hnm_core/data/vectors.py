"""Reads vectors whose labels are in a file of their own: `.npy`, and TensorBoard's `vectors.tsv` and `metadata.tsv`."""

from __future__ import annotations

import csv
import io
import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import arrays, checks
from hnm_core.data.base import Dataset, Progress, report
from hnm_core.data.cells import sort_of
from hnm_core.data.columns import LABEL
from hnm_core.data.csv_table import FIRST_LINE, read_csv
from hnm_core.data.npz import read_array
from hnm_core.errors import InputError
from hnm_core.system import memory, paths
from hnm_core.system.regular_files import open_regular

ENDINGS = (".npy", ".txt", ".csv", ".tsv")
"""Of files of labels."""


def read_npy(path: Path, progress: Progress | None = None, labels: str = "", separator: str = "") -> Dataset:
    """Read (N, D) numbers, and N labels from the file `labels`, or from one beside it.

    Raises:
        InputError: no file of labels, or several; a file is damaged, or does not hold what it must.
        LoadCancelled: the progress callback returned False.
    """
    return _dataset(path, _labels_file(path, labels), lambda: read_array(path), progress, separator)


def read_tsv(
    path: Path, progress: Progress | None = None, labels: str = "", separator: str = "", label_columns: str = ""
) -> Dataset:
    """Read a table with a column `label`, or those of `label_columns`, or without names of columns (N, D) numbers with
    labels of their own.

    Raises:
        InputError: as `read_csv` and `read_npy`.
        LoadCancelled: the progress callback returned False.
    """
    with open_regular(path) as raw:
        first = raw.readline(FIRST_LINE).decode("utf-8-sig", errors="replace").rstrip("\r\n").split("\t")
    if any(sort_of(cell) != "number" for cell in first):
        return read_csv(path, progress, separator, label_columns)
    if label_columns:
        raise InputError(f"'{path}' has no line of column names, which label_columns needs.")
    return _dataset(path, _labels_file(path, labels), lambda: _numbers(path), progress, separator)


def _dataset(path: Path, labels: Path, read: Any, progress: Progress | None, separator: str) -> Dataset:
    report(progress, 0, 2, f"reading {path.name}")
    x = checks.features(read(), f"'{path}'")
    report(progress, 1, 2, f"reading {labels.name}")
    given = _labels(labels, len(x), may_lack=bool(separator))
    found = arrays.labelled({"y": given}, len(x), lambda _role: f"'{labels}'", separator)
    report(progress, 2, 2, f"reading {labels.name}")
    words = f"Labels: '{labels.name}'. {found.said}".strip()
    return Dataset(path.name, x, found.y, np.arange(len(x)), found.names, several=found.several, as_read=words)


def _labels_file(path: Path, named: str) -> Path:
    """Where the labels are: as named, or beside the vectors under one of the usual names."""
    if named:
        found = paths.path_of(named)
        if not paths.exists(found):
            raise InputError(f"There is no file of labels '{named}'.")
        if found.suffix.lower() not in ENDINGS:
            raise InputError(f"'{found}' is no file of labels: it must end in {' or '.join(ENDINGS)}.")
        return found
    tried = _usual_names(path)
    there = [path.with_name(name) for name in tried if paths.is_file(path.with_name(name))]
    if not there:
        raise InputError(
            f"'{path}' holds vectors alone. Put their labels beside it as {', '.join(tried[:3])} or {tried[3]}, or "
            "name the file: --set data.options.labels=FILE. In the window, drop both together."
        )
    return there[0]


def _usual_names(path: Path) -> list[str]:
    """Names of the files of labels that are looked for, the likeliest first."""
    stem = path.stem
    for part in ("vectors", "tensors", "embeddings", "features", "x", "X"):
        if stem == part or stem.endswith((f"_{part}", f"-{part}", f".{part}")):
            begin = stem.removesuffix(part)
            stems = ["metadata", "labels"] if path.suffix.lower() == ".tsv" else ["labels", "y"]
            names = [f"{begin}{stem}" for stem in stems]
            break
    else:
        names = [f"{stem}.labels", f"{stem}_labels", "metadata" if path.suffix.lower() == ".tsv" else "labels"]
    endings = (".tsv", ".txt", ".csv") if path.suffix.lower() == ".tsv" else ENDINGS
    found = [f"{name}{ending}" for name in names for ending in endings]
    return [name for name in found if name != path.name]


def _numbers(path: Path) -> NDArray[np.float32]:
    """The numbers of lines that are separated by tabs."""
    rows: list[NDArray[np.float32]] = []
    try:
        with _opened(path) as file:
            for line, text in enumerate(file, 1):
                if not text.strip():
                    continue
                cells = text.rstrip("\r\n").split("\t")
                wrong = next((cell for cell in cells if sort_of(cell) != "number"), None)
                if wrong is not None or (rows and len(cells) != len(rows[0])):
                    found = f"'{checks.shown(wrong)}'" if wrong is not None else checks.count(len(cells), "value")
                    raise InputError(
                        f"'{path}', line {line}, has {found}; every line must hold as many numbers as the first."
                    )
                with np.errstate(over="ignore"):  # what is too large is refused with its place
                    rows.append(np.array(cells, np.float64).astype(np.float32))
    except UnicodeDecodeError:
        raise InputError(f"'{path}' is not UTF-8 text.") from None
    return np.stack(rows)


def _labels(path: Path, items: int, *, may_lack: bool) -> NDArray[Any]:
    """(N,) labels: an array, or a line of text for each item, with or without a line of names above; a line may hold
    nothing where items may have no label."""
    if path.suffix.lower() == ".npy":
        return read_array(path)
    delimiter = {".csv": ",", ".tsv": "\t"}.get(path.suffix.lower())
    try:
        with _opened(path) as file:
            if delimiter is None:
                rows = [[line.rstrip("\r\n")] for line in file]
            else:
                rows = list(csv.reader(file, delimiter=delimiter, quoting=csv.QUOTE_NONE if delimiter == "\t" else 0))
    except (UnicodeDecodeError, csv.Error):
        raise InputError(f"'{path}' is no text of labels in UTF-8.") from None
    rows = [row or [""] for row in rows] if may_lack else _without_blank_ends(rows, path)
    place, names = 0, [cell.strip() for cell in rows[0]] if rows else []
    if len(names) > 1 or (len(rows) == items + 1 and names) or [name.lower() for name in names] == [LABEL]:
        called = [name.lower() for name in names]
        if called.count(LABEL) > 1:
            raise InputError(f"'{path}' has {called.count(LABEL)} columns called '{LABEL}'; one must hold the labels.")
        if LABEL in called:
            place = called.index(LABEL)
        elif len(names) > 1:
            raise InputError(f"'{path}' has no column '{LABEL}', only: {checks.shown_names(names)}.")
        rows = rows[1:]
    if len(rows) != items:
        raise InputError(f"'{path}' has {checks.count(len(rows), 'label')} for {checks.count(items, 'item')}.")
    short = next((line for line, row in enumerate(rows) if len(row) <= place), None)
    if short is not None:
        raise InputError(f"'{path}' has no label for item {short} (counted from 0).")
    return np.array([row[place] for row in rows], dtype=np.str_)


def _without_blank_ends(rows: list[list[str]], path: Path) -> list[list[str]]:
    """Without the lines at the end that hold nothing. Raises `InputError` for one before others: what follows it would
    be taken for the labels of other items."""
    blank = [not any(cell.strip() for cell in row) for row in rows]
    end = len(rows) - sum(1 for _ in itertools.takewhile(bool, reversed(blank)))
    if any(blank[:end]):
        raise InputError(f"'{path}' has no label in line {1 + blank.index(True)}.")
    return rows[:end]


@contextmanager
def _opened(path: Path) -> Iterator[io.TextIOWrapper]:
    """A file of text that fits into the memory."""
    with open_regular(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        memory.require(os.fstat(raw.fileno()).st_size, f"'{path}'", "read a part of it")
        yield file
