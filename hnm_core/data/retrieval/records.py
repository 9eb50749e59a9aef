"""Records of the user's files, one mapping of names to values each, whatever kind of file they come from."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hnm_core.data import checks, json_text
from hnm_core.data.base import Progress, report
from hnm_core.data.csv_table import DELIMITERS, LONGEST_CELL
from hnm_core.data.parquet import opened
from hnm_core.data.retrieval.text_lines import first_line, lines
from hnm_core.errors import InputError
from hnm_core.system.regular_files import open_regular

BLOCK_ROWS = 1_024
"""Of a parquet file, taken at once."""

_RETURN = re.compile(r"(?<=\r)(?![\r\n]|\Z)")
"""Where a line of a table ends by a carriage return alone, as some spreadsheets still write them."""

Rows = Iterator[tuple[int, Mapping[str, Any]]]
"""Each record with its place."""


@dataclass(frozen=True)
class Records:
    """A file of records that can be read from the start."""

    path: Path
    names: tuple[str, ...]
    """Of the values; in a file of JSON those of the first record, and others may have more or fewer."""
    first: Mapping[str, Any]
    """The first record."""
    place: str
    """How a place in the file is said, such as "line {}"."""
    read: Callable[[tuple[str, ...] | None, Progress | None], Rows]
    """The records, with the values of these names at least; None for all of them."""

    def where(self, place: int) -> str:
        """The beginning of a sentence about a record: "'pairs.jsonl', line 3,"."""
        return f"'{self.path}', {self.place.format(f'{place:,}')},"


def open_records(path: Path) -> Records:
    """A `.jsonl` (or `.json` with one record a line), `.csv`, `.tsv` or `.parquet` file, the text ones also gzipped.

    Raises:
        InputError: it holds no record, or is damaged.
        OSError: it cannot be opened, or is no ordinary file.
    """
    match suffix_of(path):
        case ".parquet":
            return _parquet(path)
        case ".csv" | ".tsv":
            header, delimiter = _header(path)

            def table(_names: tuple[str, ...] | None, progress: Progress | None) -> Rows:
                return _table_rows(path, header, delimiter, progress)

            return Records(path, header, _first(table(None, None), path), "line {}", table)

    def objects(_names: tuple[str, ...] | None, progress: Progress | None) -> Rows:
        return json_rows(path, progress)

    first = _first(objects(None, None), path)
    return Records(path, tuple(first), first, "line {}", objects)


def suffix_of(path: Path) -> str:
    """The ending that says what a file is, in small letters; of `corpus.jsonl.gz` that is `.jsonl`."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def json_rows(path: Path, progress: Progress | None = None) -> Rows:
    """The objects of a file with one JSON object a line. Raises `InputError` with the line of what is none."""
    for number, line in lines(path, progress):
        if not line.strip():
            continue
        try:
            record = json_text.parsed(line)
        except RecursionError:
            raise InputError(f"'{path}', line {number:,}, is JSON that is nested too deep.") from None
        except json_text.SaidTwiceError as error:
            name = checks.shown(str(error))
            raise InputError(f"'{path}', line {number:,}, has two values of '{name}' in one object.") from None
        except ValueError as error:
            raise InputError(f"'{path}', line {number:,}, is no JSON: {_said(error)}.{_if_array(line)}") from None
        if not isinstance(record, dict):
            raise InputError(
                f"'{path}', line {number:,}, is no JSON object but {kind_of(record)}; each line must be one, such as "
                f'{{"query": "...", "positive": "..."}}.{_if_array(line)}'
            )
        if "\\u" in line and any(map(_has_half, record.values())):
            raise InputError(f"'{path}', line {number:,}, holds half of a surrogate pair, which is no text.")
        yield number, record


def _said(error: Exception) -> str:
    return checks.reason(error)


def _has_half(value: Any) -> bool:
    """Whether text in it cannot be written again: JSON can say what no text is."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _if_array(line: str) -> str:
    return " Of an array, jq -c '.[]' OLD > NEW makes lines." if line.lstrip().startswith("[") else ""


def kind_of(value: Any) -> str:
    """What a value is, in words."""
    kinds = {"list": "a list", "dict": "an object", "str": "a text", "NoneType": "null", "bool": "true or false"}
    kinds |= {"int": "a number", "float": "a number", "bytes": "bytes"}
    return kinds.get(type(value).__name__, f"a {type(value).__name__}")


def _header(path: Path) -> tuple[tuple[str, ...], str]:
    """Names of the columns, and what separates them: a tab in a `.tsv`, else what the first line has most of."""
    line = first_line(path).split("\r", 1)[0]
    delimiter = "\t" if suffix_of(path) == ".tsv" else max(DELIMITERS, key=line.count)
    names = next((row for _, row in _cells(path, delimiter, None)), [])
    header = tuple(name.strip() for name in names)
    if not any(header):
        raise InputError(f"'{path}' is empty; its first line must name the columns.")
    _check_distinct(header, path)
    return header, delimiter


def _check_distinct(names: Iterable[str], path: Path) -> None:
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InputError(f"'{path}' has several columns called '{checks.shown(twice)}'; column names must differ.")


def _table_rows(path: Path, header: tuple[str, ...], delimiter: str, progress: Progress | None) -> Rows:
    rows = _cells(path, delimiter, progress)
    next(rows, None)
    for number, row in rows:
        if len(row) != len(header):
            raise InputError(
                f"'{path}', line {number:,}, has {checks.count(len(row), 'value')}, but the first line names "
                f"{checks.count(len(header), 'column')}."
            )
        yield number, dict(zip(header, row, strict=True))


def _cells(path: Path, delimiter: str, progress: Progress | None) -> Iterator[tuple[int, list[str]]]:
    """The rows that hold anything, with the line on which each ends."""
    csv.field_size_limit(max(LONGEST_CELL, csv.field_size_limit()))  # see `csv_table`: never lowered again
    parts = (part for _, line in lines(path, progress) for part in _RETURN.split(line))
    reader = csv.reader(parts, delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(map(str.strip, row)):
                yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"'{path}', line {reader.line_num:,}, is not valid CSV: {error}.") from None


def _parquet(path: Path) -> Records:
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError(f"'{path}' needs pyarrow, which is not installed: pip install hnm-lab[parquet]") from None

    def rows(names: tuple[str, ...] | None, progress: Progress | None) -> Rows:
        try:
            with open_regular(path) as raw, opened(raw) as file:
                _check_distinct(file.schema_arrow.names, path)
                done, total = 0, file.metadata.num_rows
                for batch in file.iter_batches(BLOCK_ROWS, columns=None if names is None else list(names)):
                    report(progress, done, total, f"reading {path.name}")
                    yield from enumerate(batch.to_pylist(), done)
                    done += len(batch)
                report(progress, total, total, f"reading {path.name}")
        except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
            if getattr(error, "errno", None):
                raise  # the system's own word, not pyarrow's on the content
            raise InputError(f"'{path}' is no .parquet file, or it is damaged: {checks.reason(error)}.") from None

    first = _first(rows(None, None), path)
    return Records(path, tuple(first), first, "row {} (counted from 0)", rows)


def _first(rows: Rows, path: Path) -> Mapping[str, Any]:
    for _, record in rows:
        return record
    raise InputError(f"'{path}' holds no records.")
