"""Whether a table holds pairs of queries and documents rather than items with labels, by a short look."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from hnm_core.data.columns import LABEL, may_be_feature
from hnm_core.data.retrieval.pair_columns import choose
from hnm_core.data.retrieval.records import open_records, suffix_of
from hnm_core.errors import InputError
from hnm_core.system.regular_files import open_regular


def holds_pairs(path: Path) -> bool:
    """By the names of its columns and its first record, of a `.parquet` file by their types; no reader is asked, so a
    table of pairs may turn out to be damaged. Where the names do not say which is the query and which the positive, or
    there is a column `label`, numbers beside them make it a table of items."""
    with suppress(InputError, OSError):
        names = _text_columns(path) if suffix_of(path) == ".parquet" else _first_line(path)
        if "positive_passages" in names or ("query" in names and ("pos" in names or "neg" in names)):
            return True
        columns = choose(tuple(names), names, str(path))
        roles = (columns.query, columns.positive)
        if any(_is_number(names[name]) for name in roles):
            return False
        if not columns.by_order and LABEL not in names:
            return True
        others = [name for name in names if name not in roles and may_be_feature(name)]
        return not any(_is_number(names[name]) for name in others) and not (columns.by_order and LABEL in names)
    return False


def _first_line(path: Path) -> Mapping[str, Any]:
    return open_records(path).first if suffix_of(path) in (".csv", ".tsv") else {}


def _text_columns(path: Path) -> Mapping[str, Any]:
    """The columns of a parquet file, a text for each that holds texts, None for others."""
    try:
        import pyarrow.parquet
        from pyarrow import types
    except ImportError:  # its reader says so
        return {}
    try:
        with open_regular(path) as raw:
            schema = pyarrow.parquet.read_schema(raw)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError):
        return {}

    def is_text(kind: Any) -> bool:
        if types.is_list(kind) or types.is_large_list(kind) or types.is_dictionary(kind):
            return is_text(kind.value_type)
        return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))

    return {field.name: field.name if is_text(field.type) else None for field in schema}


def _is_number(value: Any) -> bool:
    """Whether a value of a table is no text, or a number or a vector that is written as text."""
    if isinstance(value, list):
        return not value or _is_number(value[0])
    if not isinstance(value, str):
        return True
    with suppress(ValueError):
        float(value.replace(",", "."))
        return True
    return value.lstrip().startswith("[")
