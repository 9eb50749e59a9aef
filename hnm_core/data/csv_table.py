"""Reads `.csv` files: a column `label`, and every other column that holds numbers is a feature."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.data.base import Dataset, Progress, report
from hnm_core.errors import InputError

if TYPE_CHECKING:
    from _csv import Reader

LABEL = "label"
BLOCK_ROWS = 4096


def read_csv(path: Path, progress: Progress | None = None) -> Dataset:
    """Read comma-separated text in UTF-8, one item a line under a line of column names.

    Labels are text and become the class names: in numerical order if all of them are numbers, else in alphabetical
    order. A column without a single number is text and left out.

    Raises:
        InputError: with the line: a line of another length, a missing value, a stray text in a column of numbers; no
            column `label`, no column of numbers, columns of one name or without one, or no UTF-8.
        LoadCancelled: the progress callback returned False.
    """
    labels: list[str] = []
    with path.open("rb") as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        reader = csv.reader(text, strict=True, skipinitialspace=True)
        try:
            header = _header(next(reader, None), path)
            label_place = header.index(LABEL)
            columns = [_Column(name, path) for name in header]
            total = path.stat().st_size
            for rows, lines in _blocks(reader, len(header), path):
                report(progress, min(raw.tell(), total), total, f"reading {path.name}")
                for place, values in enumerate(zip(*rows, strict=True)):
                    if place == label_place:
                        labels.extend(_labels(values, lines, path))
                    else:
                        columns[place].add(values, lines)
        except UnicodeDecodeError:
            raise InputError(f"'{path}' is not UTF-8 text; save it as CSV in UTF-8.") from None
        except csv.Error as error:
            raise InputError(f"'{path}', line {reader.line_num}, is not valid CSV: {error}.") from None
    if not labels:
        raise InputError(f"'{path}' holds column names but no items.")
    numeric = [column for column in columns if column.has_number]
    if not numeric:
        raise InputError(f"'{path}' has no column of numbers beside '{LABEL}'; at least one feature is needed.")
    table = np.empty((len(labels), len(numeric)), np.float64)
    for place, column in enumerate(numeric):
        table[:, place] = column.numbers()
    x = checks.features(table, f"'{path}'")
    y, names = checks.named_classes(labels, f"Column '{LABEL}' of '{path}'")
    return Dataset(path.name, x, y, np.arange(len(y)), names)


def _header(cells: list[str] | None, path: Path) -> list[str]:
    if cells is None or not any(cell.strip() for cell in cells):
        raise InputError(f"'{path}' is empty, or its first line is; that line must name the columns.")
    names = [cell.strip() for cell in cells]
    if LABEL not in names:
        alike = next((name for name in names if name.lower().strip("'\"") == LABEL), None)
        if alike is not None:
            hint = f"Did you mean '{checks.shown(alike)}'? Rename it to '{LABEL}'."
        elif len(names) == 1 and (";" in names[0] or "\t" in names[0]):
            hint = "Values must be separated by commas."
        else:
            hint = "The first line must name the columns."
        raise InputError(f"'{path}' has no column '{LABEL}', only: {checks.shown_names(names)}. {hint}")
    if "" in names:
        raise InputError(
            f"Column {names.index('') + 1} of '{path}' has no name. Name it or leave it out (pandas: index=False)."
        )
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"'{path}' has {names.count(twice)} columns called '{checks.shown(twice)}'; column names must differ."
        )
    return names


def _blocks(reader: Reader, width: int, path: Path) -> Iterator[tuple[list[list[str]], list[int]]]:
    """Rows in blocks, each row with the line of the file it ends on; lines without a value are skipped."""
    rows: list[list[str]] = []
    lines: list[int] = []
    for row in reader:
        if not any(map(str.strip, row)):
            continue
        if len(row) != width:
            raise InputError(
                f"'{path}', line {reader.line_num}, has {len(row)} values, but the first line names {width} columns."
            )
        rows.append(row)
        lines.append(reader.line_num)
        if len(rows) == BLOCK_ROWS:
            yield rows, lines
            rows, lines = [], []
    if rows:
        yield rows, lines


def _labels(values: Sequence[str], lines: Sequence[int], path: Path) -> list[str]:
    names = [value.strip() for value in values]
    if "" in names:
        raise InputError(f"'{path}', line {lines[names.index('')]}, has no value in column '{LABEL}'.")
    return names


class _Column:
    """The values of one column as they come in; finds out whether they are numbers."""

    def __init__(self, name: str, path: Path) -> None:
        self._name = name
        self._path = path
        self._parts: list[NDArray[np.float64]] = []
        self._number: tuple[int, str] | None = None
        """Line and text of the first number."""
        self._other: tuple[int, str] | None = None
        """Line and text of the first value that is no finite number."""

    @property
    def has_number(self) -> bool:
        return self._number is not None

    def add(self, values: Sequence[str], lines: Sequence[int]) -> None:
        """Take the next values. Raises `InputError` once the column holds both a number and something else."""
        numbers = _all_numbers(values)
        if numbers is not None:
            self._parts.append(numbers)
            self._number = self._number or (lines[0], values[0])
        else:
            for value, line in zip(values, lines, strict=True):
                if checks.is_number(value):
                    self._number = self._number or (line, value)
                else:
                    self._other = self._other or (line, value)
        if self._number is not None and self._other is not None:
            raise InputError(self._mixed(self._number, self._other))

    def numbers(self) -> NDArray[np.float64]:
        """(N,) all values. Only for a column that has numbers."""
        return np.concatenate(self._parts)

    def _mixed(self, number: tuple[int, str], other: tuple[int, str]) -> str:
        line, text = other
        found = f"'{checks.shown(text)}', which is no finite number" if text.strip() else "no value"
        return (
            f"'{self._path}', line {line}, column '{checks.shown(self._name)}' has {found}, but line {number[0]} has "
            f"'{checks.shown(number[1])}'. Give it a number in every line, or leave the column out."
        )


def _all_numbers(values: Sequence[str]) -> NDArray[np.float64] | None:
    """All of them as numbers, or None when one is not a finite number; quick for a column of numbers."""
    try:
        numbers = np.fromiter(map(float, values), np.float64, len(values))
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None
