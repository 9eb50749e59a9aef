"""Reads `.parquet` files: a column `label`; numbers, or a column of vectors, are features. Needs pyarrow."""

from __future__ import annotations

import json
from collections.abc import Callable, Set
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks, columns, item_labels
from hnm_core.data.arrays import Labelled, with_several
from hnm_core.data.base import Dataset, Progress, report
from hnm_core.data.cells import Sort, TextColumn, sort_of
from hnm_core.data.columns import LABEL, NUMBERS, VECTORS, Roles
from hnm_core.errors import InputError
from hnm_core.system import memory
from hnm_core.system.regular_files import open_regular

HALF_BYTES = 2
"""Of a number in fixed-size binary, which is how float16 is stored by what has no such type."""
NUMBER_BYTES = 16
"""That a number takes at least while a table is put together: as it is read, and in 64 bits."""
VECTOR_BYTES = 4
"""That a number of a vector takes at least."""
BLOCK_ROWS = 4096
MOST_READS = 200
"""Each looks through the names of all columns."""
LONGEST_VECTOR = 65_536
"""Bytes of fixed-size binary that can be numbers."""


def opened(raw: BinaryIO) -> Any:
    """The file, of which every page is compared with its checksum where whoever wrote it gave it one."""
    import pyarrow.parquet

    return pyarrow.parquet.ParquetFile(raw, page_checksum_verification=True)


def read_parquet(path: Path, progress: Progress | None = None, separator: str = "", label_columns: str = "") -> Dataset:
    """Read the features and the labels, which are text, whole numbers or booleans, or lists of these where items have
    several; with a separator text holds several. With `label_columns` each of these columns is a label, see
    `hnm_core.data.csv_table.read_csv`.

    Numbers, decimals and booleans can be features; lists of numbers, also of a fixed size, fixed-size binary (of
    float16) and text of the form "[0.5, -1]" are vectors. Which columns are features, and which are left out,
    `as_read` says.

    Raises:
        InputError: pyarrow is not installed, the file is damaged, there is no column `label` or none of numbers, a
            value is missing or not finite, or text that looks like numbers is none.
        LoadCancelled: the progress callback returned False.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError(f"'{path}' needs pyarrow, which is not installed: pip install hnm-lab[parquet]") from None
    try:
        with open_regular(path) as raw, opened(raw) as file:
            schema = file.schema_arrow
            columns.check_names(schema.names, str(path), label_columns)
            labels = columns.labels_among(schema.names, label_columns)
            texts = {
                field.name: _look_at_text(file, field.name, path)
                for field in schema
                if _is_text(field.type) and field.name not in labels and columns.may_be_feature(field.name)
            }
            kinds = {
                field.name: texts.get(field.name) or _kind(field.type) for field in schema if field.name not in labels
            }
            kinds |= dict.fromkeys(_keys(schema, kinds), "bytes")
            roles = columns.roles_of(kinds, str(path), _pandas_index(schema), labels)
            wanted = (*labels, *roles.features, *(name for name in roles.ids if kinds[name] == NUMBERS))
            memory.require(
                file.metadata.num_rows * len(wanted) * NUMBER_BYTES,
                f"{file.metadata.num_rows:,} rows of {len(wanted):,} columns in '{path}'",
                "take a part of it",
            )
            if vectors := {name for name in wanted if kinds.get(name) == VECTORS}:
                values = _values_of(file.metadata, vectors)
                memory.require(values * VECTOR_BYTES, f"{values:,} values of '{path}'", "take a part of it")
            read: dict[str, Any] = {}
            together = -(-len(wanted) // MOST_READS)
            for done in range(0, len(wanted), together):
                report(progress, done, len(wanted), f"reading {path.name}")
                part = file.read(columns=list(wanted[done : done + together]))
                read |= {name: part.column(name) for name in wanted[done : done + together]}
            report(progress, len(wanted), len(wanted), f"reading {path.name}")
            return _dataset(path, read, roles, kinds, separator, by_column=bool(label_columns))
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None):
            raise  # the system's own word, not pyarrow's on the content
        raise InputError(f"'{path}' is no .parquet file, or it is damaged: {checks.reason(error)}.") from None


def read_vectors(path: Path, progress: Progress | None = None) -> tuple[NDArray[Any], list[Any] | None]:
    """The one column of vectors of a file, or of several the one that is called so, and its column of ids.

    Returns:
        (N, D) numbers; and N ids, text or whole numbers, or None where there is no such column.

    Raises:
        InputError: as `read_parquet`, but that no label is needed.
        LoadCancelled: the progress callback returned False.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError(f"'{path}' needs pyarrow, which is not installed: pip install hnm-lab[parquet]") from None
    try:
        with open_regular(path) as raw, opened(raw) as file:
            schema = file.schema_arrow
            kinds = {field.name: _kind(field.type) for field in schema}
            vectors = [name for name, kind in kinds.items() if kind == VECTORS]
            called = [name for name in vectors if columns.is_called_vector(name)]
            chosen = vectors if len(vectors) == 1 else called
            if len(chosen) != 1:
                raise InputError(
                    f"'{path}' has {checks.count(len(vectors), 'column')} of vectors among "
                    f"{checks.shown_names(schema.names)}; one must be a list of numbers; of several, "
                    "it is the one called 'embedding'."
                )
            ids = [name for name in kinds if columns.is_called_id(name)][:1]
            values = _values_of(file.metadata, {*chosen, *ids})
            memory.require(values * VECTOR_BYTES, f"{values:,} values of '{path}'", "take a part of it")
            report(progress, 0, 1, f"reading {path.name}")
            read = file.read(columns=[*chosen, *ids])
            report(progress, 1, 1, f"reading {path.name}")
            column = read.column(chosen[0])
            for name in (*chosen, *ids):
                if read.column(name).null_count:
                    row = int(np.argmax(read.column(name).is_null().to_numpy()))
                    raise InputError(f"'{path}' has no value in column '{name}', row {row} (counted from 0).")
            return _vectors(column, chosen[0], path), _plain(read.column(ids[0])).to_pylist() if ids else None
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        if getattr(error, "errno", None):
            raise  # the system's own word, not pyarrow's on the content
        raise InputError(f"'{path}' is no .parquet file, or it is damaged: {checks.reason(error)}.") from None


def _values_of(metadata: Any, names: Set[str]) -> int:
    """How many values some columns hold, those inside of vectors counted one by one."""
    groups = [metadata.row_group(place) for place in range(metadata.num_row_groups)]
    chunks = [group.column(place) for group in groups for place in range(group.num_columns)]
    return sum(chunk.num_values for chunk in chunks if chunk.path_in_schema.split(".")[0] in names)


def look(path: Path) -> None:
    """Refuse a file that does not begin as such files do. Raises `InputError`."""
    with open_regular(path) as raw:
        if raw.read(4) != b"PAR1":
            raise InputError(f"'{path}' is no .parquet file, or it is damaged.")


def _dataset(
    path: Path, read: dict[str, Any], roles: Roles, kinds: dict[str, str], separator: str, *, by_column: bool
) -> Dataset:
    first = read[roles.labels[0]]
    if not len(first):
        raise InputError(f"'{path}' holds 0 items; at least 2 are needed.")
    several = not by_column and (bool(separator) or _is_list(first.type))  # of which a missing one is no label
    for name in (*(() if several else roles.labels), *roles.features):
        if read[name].null_count:
            row = int(np.argmax(read[name].is_null().to_numpy()))
            raise InputError(f"'{path}' has no value in column '{checks.shown(name)}', row {row} (counted from 0).")
    if kinds[roles.features[0]] == VECTORS:
        table = _vectors(read[roles.features[0]], roles.features[0], path)
    else:
        table = np.stack([_numbers(read[name]) for name in roles.features], axis=1)
    x = checks.features(table, f"'{path}'")
    where = f"Column '{LABEL}' of '{path}'"
    if by_column:
        labels = columns.labelled_by(
            {name: _numbers(read[name]) if _kind(read[name].type) == NUMBERS else None for name in roles.labels},
            str(path),
        )
    else:
        labels = _several(first, where, separator) if several else _classes(first, where)
    numbered = {
        name: _numbers(read[name]) for name in roles.ids if kinds[name] == NUMBERS and not read[name].null_count
    }
    return columns.table(path.name, x, labels, roles, numbered)


def _pandas_index(schema: Any) -> list[str]:
    """Columns that pandas saved as its index."""
    try:
        stored = json.loads((schema.metadata or {})[b"pandas"])["index_columns"]
        return [name for name in stored if isinstance(name, str)]
    except (KeyError, ValueError, TypeError, RecursionError):
        return []


def _kind(kind: Any) -> str:
    """What a column of this type can be, or what it holds in words."""
    from pyarrow import types

    if types.is_dictionary(kind):
        return _kind(kind.value_type)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind):
        return NUMBERS
    if _is_list(kind) and _kind(kind.value_type) == NUMBERS:
        return VECTORS
    if types.is_fixed_size_binary(kind) and kind.byte_width % HALF_BYTES == 0 and kind.byte_width <= LONGEST_VECTOR:
        return NUMBERS if kind.byte_width == HALF_BYTES else VECTORS
    words: dict[str, Callable[[Any], bool]] = {
        "text": _is_text,
        "a struct": types.is_struct,
        "lists": lambda kind: _is_list(kind) or types.is_map(kind),
        "dates": lambda kind: types.is_date(kind) or types.is_timestamp(kind),
        "times": types.is_temporal,
        "no values": types.is_null,
        "bytes": lambda kind: "binary" in str(kind),
    }
    return next((word for word, holds in words.items() if holds(kind)), str(kind))


def _keys(schema: Any, kinds: dict[str, str]) -> list[str]:
    """Columns of bytes that are hashes or keys rather than half floats: others are features, or are called so."""
    from pyarrow import types

    raw = [
        field.name for field in schema if types.is_fixed_size_binary(field.type) and kinds.get(field.name) == VECTORS
    ]
    rest = [name for name, kind in kinds.items() if kind in (NUMBERS, VECTORS) and name not in raw]
    if any(map(columns.may_be_feature, rest)):
        return [name for name in raw if not columns.is_called_vector(name)]
    return []


def _is_text(kind: Any) -> bool:
    from pyarrow import types

    if types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _is_list(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _look_at_text(file: Any, name: str, path: Path) -> str:
    """What a column of text holds, as `roles_of` takes it; of plain text only the first rows are read.

    Raises:
        InputError: all of it looks like numbers, or vectors are cut short.
    """
    first: dict[Sort, tuple[int, str]] = {}
    row = 0
    for batch in file.iter_batches(BLOCK_ROWS, columns=[name]):
        for value in batch.column(0).to_pylist():
            if value is not None:
                first.setdefault(sort_of(value), (row, value))
            row += 1
        if first.keys() & {"text", "truth", "missing"}:
            return "text"
    if "cut" in first or (first and first.keys() <= {"number", "comma", "alike"}):
        row, value = first["cut"] if "cut" in first else min(first.values())
        what = "a vector that is cut short" if "cut" in first else "text that looks like a number; store it as one"
        raise InputError(
            f"'{path}', row {row} (counted from 0), column '{checks.shown(name)}' has '{checks.shown(value)}', "
            f"{what}, or leave the column out."
        )
    return VECTORS if first.keys() == {"vector"} else "text" if first else "no values"


def _numbers(column: Any) -> NDArray[Any]:
    """(N,) numbers of a column without missing values."""
    from pyarrow import float64, types

    if types.is_fixed_size_binary(column.type):
        return _halves(column)[:, 0]
    column = _plain(column)
    numbers: NDArray[Any] = (column.cast(float64()) if types.is_decimal(column.type) else column).to_numpy()
    return numbers


def _plain(column: Any) -> Any:
    """Without the dictionary that repeated values are kept in."""
    from pyarrow import types

    return column.cast(column.type.value_type) if types.is_dictionary(column.type) else column


def _vectors(column: Any, name: str, path: Path) -> NDArray[Any]:
    """(N, D) numbers of a column without missing values.

    Raises:
        InputError: vectors of several lengths, of none, or with a missing number; the message names the first row.
    """
    from pyarrow import types

    if types.is_fixed_size_binary(column.type):
        return _halves(column)
    if _is_text(column.type):
        cells = TextColumn(name, str(path), "row {} (counted from 0)")
        values = _plain(column).to_pylist()
        cells.add(values, range(len(values)))
        return cells.vectors()
    lengths = np.array([len(value) for value in column.to_numpy()])
    wrong = np.flatnonzero(lengths != (lengths[0] if len(lengths) else 0))
    row = int(wrong[0]) if len(wrong) else 0
    if len(wrong) or (len(lengths) and lengths[0] == 0):
        raise InputError(
            f"'{path}', row {row} (counted from 0), column '{checks.shown(name)}' has a vector of {lengths[row]:,} "
            f"numbers, and the first has {lengths[0]:,}."
        )
    chunks = [chunk.flatten() for chunk in column.chunks]
    for chunk, start in zip(chunks, np.cumsum([0, *map(len, column.chunks)]).tolist(), strict=False):
        if chunk.null_count:
            row = start + int(np.argmax(chunk.is_null().to_numpy(zero_copy_only=False))) // int(lengths[0])
            raise InputError(
                f"'{path}', row {row} (counted from 0), column '{checks.shown(name)}' has a vector that lacks a number."
            )
    numbers = [_numbers(chunk) if not types.is_boolean(chunk.type) else np.array(chunk.to_pylist()) for chunk in chunks]
    return np.concatenate(numbers).reshape(len(column), -1)


def _halves(column: Any) -> NDArray[np.float16]:
    """(N, D) numbers that were stored as bytes."""
    together = b"".join(value for chunk in column.chunks for value in chunk.to_pylist())
    return np.frombuffer(together, "<f2").reshape(len(column), -1)


def _several(column: Any, where: str, separator: str) -> Labelled:
    """Several labels an item, in lists of text, whole numbers or booleans, or in one text."""
    from pyarrow import types

    column = _plain(column)
    kind = column.type.value_type if _is_list(column.type) else column.type
    if separator and not _is_text(column.type):
        raise InputError(f"{where} holds {column.type}: label_separator = '{separator}' is for labels in one text.")
    if not (_is_text(kind) or types.is_integer(kind) or types.is_boolean(kind)):
        raise InputError(f"{where} holds {column.type}; several labels are lists of text, whole numbers or booleans.")
    given = column.to_pylist()
    if separator:
        lists = [(text or "").split(separator) for text in given]
    else:
        lists = [[str(label) for label in labels or () if label is not None] for labels in given]
    return with_several(*item_labels.named(lists, where, separated=bool(separator)))


def _classes(column: Any, where: str) -> Labelled:
    from pyarrow import types

    column = _plain(column)
    kind = column.type
    if _is_text(kind):
        texts = column.to_pylist()
        labels = [value.strip() for value in texts]
        if "" in labels:
            raise InputError(f"{where} has no value in row {labels.index('')} (counted from 0).")
        numbers, names = checks.named_classes(labels, where)
        return Labelled(numbers, None, names, None, checks.said_of_blanks(texts))
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        y, _, names = checks.classes(checks.whole_numbers(column.to_numpy(), len(column), where), None)
        return Labelled(y, None, names)
    raise InputError(f"{where} holds {kind}; labels are text, whole numbers or booleans, or lists of these.")
