"""Reads tables of text, `.csv` and `.tsv`: a column `label`; numbers, or vectors written as "[...]", are features."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks, columns, item_labels
from hnm_core.data.arrays import Labelled, with_several
from hnm_core.data.base import Dataset, Progress, report
from hnm_core.data.cells import TextColumn
from hnm_core.data.columns import LABEL
from hnm_core.errors import InputError
from hnm_core.system.regular_files import open_regular

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = ",;\t|"
BLOCK_ROWS = 4096
BLOCK_CELLS = 1 << 22
"""Rows are taken in blocks of at most so many."""
LONGEST_CELL = 4 << 20
"""Characters of a value: a vector in text can have 65,536 numbers."""
FIRST_LINE = 1 << 20
"""Bytes of the line of names that decide by what values are separated."""


def read_csv(path: Path, progress: Progress | None = None, separator: str = "", label_columns: str = "") -> Dataset:
    """Read text in UTF-8, one item a line under a line of column names.

    Values are separated by commas, semicolons, tabs or bars, as the first line is. Where it is not commas, a comma is
    a decimal sign, unless the file has decimal points too.

    Labels are text and become the class names: in numerical order if all of them are numbers, else in alphabetical
    order. With a separator a cell holds several of them, or none. With `label_columns`, names and patterns with commas
    between, each of these columns is a label, and 1 where an item has it. Which of the other columns are features, and
    which are left out, `as_read` says.

    Raises:
        InputError: with the line: a line of another length, a missing value, a stray text in a column of numbers, what
            looks like a number and is none; no column `label`, none of numbers, columns of one name or without one,
            or no UTF-8.
        LoadCancelled: the progress callback returned False.
    """
    labels: list[str] = []
    with open_regular(path) as raw, _reading(raw, path, delimiter := _delimiter(raw, label_columns)) as reader:
        header = _header(next(reader, None), path, label_columns)
        label_place = -1 if label_columns else header.index(LABEL)
        items, total = 0, os.fstat(raw.fileno()).st_size
        of_labels = columns.labels_among(header, label_columns) if label_columns else ()
        read = {
            place: TextColumn(
                name, str(path), comma=delimiter != ",", judged=name in of_labels or columns.may_be_feature(name)
            )
            for place, name in enumerate(header)
            if name and place != label_place
        }
        for rows, lines in _blocks(reader, len(header), path):
            report(progress, min(raw.tell(), total), total, f"reading {path.name}")
            items += len(rows)
            for place, cells in enumerate(zip(*rows, strict=True)):
                if place == label_place:
                    labels.extend(_labels(cells, lines, path, separator))
                elif place in read:
                    read[place].add(cells, lines)
                elif any(map(str.strip, cells)):
                    raise InputError(
                        f"Column {place + 1} of '{path}' has no name. Name it or leave it out (pandas: index=False)."
                    )
    if not items:
        raise InputError(f"'{path}' holds column names but no items.")
    named = {header[place]: column for place, column in read.items()}
    _refuse_two_signs(path, named)
    if of_labels:
        found = columns.labelled_by({name: _numbers(named.pop(name)) for name in of_labels}, str(path))
    else:
        found = _labelled(path, labels, separator)
    return _dataset(path, named, found, of_labels or (LABEL,))


def look(path: Path) -> None:
    """Refuse a table whose first line names no column `label`, without reading more. Raises `InputError`."""
    with open_regular(path) as raw:
        if len(raw.readline(FIRST_LINE)) == FIRST_LINE:
            return
        raw.seek(0)
        with _reading(raw, path, _delimiter(raw)) as reader:
            _header(next(reader, None), path)


def _delimiter(raw: BinaryIO, label_columns: str = "") -> str:
    """What the names in the first line are separated by: with it, one of them is the label. Reading begins anew."""
    begin = raw.read(FIRST_LINE).decode("utf-8-sig", errors="replace")
    raw.seek(0)
    for delimiter in DELIMITERS:
        with suppress(csv.Error):
            names = next(csv.reader(io.StringIO(begin, newline=""), delimiter=delimiter, skipinitialspace=True), [])
            if columns.labels_among([name.strip() for name in names], label_columns):
                return delimiter
    return max(DELIMITERS, key=(begin.splitlines() or [""])[0].count)  # for a message that names the columns


@contextmanager
def _reading(raw: BinaryIO, path: Path, delimiter: str) -> Iterator[Reader]:
    """A reader of the rows; what is no text, or no CSV, becomes a sentence with the line."""
    text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
    reader = csv.reader(text, delimiter=delimiter, strict=True, skipinitialspace=delimiter != "\t")
    # Of the module, as there is none of a reader; never lowered again, for another thread may be reading.
    csv.field_size_limit(max(LONGEST_CELL, csv.field_size_limit()))
    try:
        yield reader
    except UnicodeDecodeError:
        raise InputError(f"'{path}' is not UTF-8 text; save it as CSV in UTF-8.") from None
    except csv.Error as error:
        raise InputError(f"'{path}', line {reader.line_num}, is not valid CSV: {error}.") from None
    finally:
        text.detach()


def _header(cells: list[str] | None, path: Path, label_columns: str = "") -> list[str]:
    if cells is None or not any(cell.strip() for cell in cells):
        raise InputError(f"'{path}' is empty, or its first line is; that line must name the columns.")
    names = [cell.strip() for cell in cells]
    if any("\0" in name for name in names):
        raise InputError(f"'{path}' is not UTF-8 text; save it as CSV in UTF-8.")
    if not names[0]:
        names[0] = "Unnamed: 0"  # as pandas calls it: an index
    try:
        columns.check_names([name for name in names if name], str(path), label_columns)
    except InputError as error:
        hint = "" if "Did you mean" in str(error) or LABEL in names else " The first line must name the columns."
        raise InputError(f"{error}{hint}") from None
    return names


def _blocks(reader: Reader, width: int, path: Path) -> Iterator[tuple[list[list[str]], list[int]]]:
    """Rows in blocks, each row with the line of the file it ends on; lines without a value are skipped."""
    rows: list[list[str]] = []
    lines: list[int] = []
    most = max(1, min(BLOCK_ROWS, BLOCK_CELLS // width))
    for row in reader:
        if not any(map(str.strip, row)):
            continue
        if len(row) != width:
            raise InputError(
                f"'{path}', line {reader.line_num}, has {checks.count(len(row), 'value')}, but the first line names "
                f"{checks.count(width, 'column')}."
            )
        rows.append(row)
        lines.append(reader.line_num)
        if len(rows) == most:
            yield rows, lines
            rows, lines = [], []
    if rows:
        yield rows, lines


def _labels(cells: Sequence[str], lines: Sequence[int], path: Path, separator: str) -> list[str]:
    """The labels of some lines as they are written, each with a value."""
    names = [cell.strip() for cell in cells]
    if "" in names and not separator:
        raise InputError(f"'{path}', line {lines[names.index('')]}, has no value in column '{LABEL}'.")
    for name, line in zip(names, lines, strict=True):
        checks.label_length(max(name.split(separator), key=len) if separator else name, f"'{path}', line {line}")
    return list(cells)


def _numbers(column: TextColumn) -> NDArray[np.float64] | None:
    """What a column of numbers holds, None where it is none."""
    return column.numbers() if column.kind == columns.NUMBERS else None


def _labelled(path: Path, labels: list[str], separator: str) -> Labelled:
    """The labels of items, as they are written in one column."""
    if separator:
        lists = [label.split(separator) for label in labels]
        return with_several(*item_labels.named(lists, f"'{path}'", separated=True))
    y, names = checks.named_classes([label.strip() for label in labels], f"'{path}'")
    return Labelled(y, None, names, None, checks.said_of_blanks(labels))


def _dataset(path: Path, read: dict[str, TextColumn], labels: Labelled, of_labels: tuple[str, ...]) -> Dataset:
    kinds = {name: column.kind for name, column in read.items()}
    roles = columns.roles_of(kinds, str(path), labels=of_labels)
    if kinds[roles.features[0]] == columns.VECTORS:
        values: NDArray[np.floating] = read[roles.features[0]].vectors()
    else:
        values = np.empty((len(labels.y), len(roles.features)), np.float64)
        for place, name in enumerate(roles.features):
            values[:, place] = read[name].numbers()
    x = checks.features(values, f"'{path}'")
    numbered = {name: read[name].numbers() for name in roles.ids if kinds[name] == columns.NUMBERS}
    return columns.table(path.name, x, labels, roles, numbered)


def _refuse_two_signs(path: Path, read: dict[str, TextColumn]) -> None:
    """A comma may part thousands: where there are decimal points too, and where three digits follow each of them."""
    commas = {name: column.comma for name, column in read.items() if column.comma is not None}
    points = {name: column.point for name, column in read.items() if column.point is not None}
    if not commas or not (points or not any(read[name].clear_comma for name in commas)):
        return
    name, (line, text) = next(iter(commas.items()))
    where = f"'{path}', line {line}, column '{checks.shown(name)}' has '{checks.shown(text)}', which could mean several"
    if points:
        name, (line, text) = next(iter(points.items()))
        where += f": column '{checks.shown(name)}' has '{checks.shown(text)}' in line {line}"
    raise InputError(f"{where}; write numbers as 1234.5, or leave the column out.")
