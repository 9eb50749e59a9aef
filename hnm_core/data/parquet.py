"""Reads `.parquet` files: a column `label`, and every other column of numbers is a feature. Needs pyarrow."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.data.base import Dataset, Progress, report
from hnm_core.errors import InputError

LABEL = "label"
PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def read_parquet(path: Path, progress: Progress | None = None) -> Dataset:
    """Read the columns of numbers and the labels, which are text, whole numbers or booleans.

    Other columns, and the index that pandas saves, are left out.

    Raises:
        InputError: pyarrow is not installed, the file is damaged, there is no column `label` or none of numbers, or a
            value is missing or not finite.
        LoadCancelled: the progress callback returned False.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError(f"'{path}' needs pyarrow, which is not installed: pip install hnm-lab[parquet]") from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            features = _feature_names(schema, path)
            columns = {}
            for done, name in enumerate((LABEL, *features)):
                report(progress, done, len(features) + 1, f"reading {path.name}")
                columns[name] = file.read(columns=[name]).column(name)
            report(progress, len(features) + 1, len(features) + 1, f"reading {path.name}")
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"'{path}' is no .parquet file, or it is damaged: {checks.reason(error)}.") from None
    for name, column in columns.items():
        if column.null_count:
            row = int(np.argmax(column.is_null().to_numpy()))
            raise InputError(f"'{path}' has no value in column '{checks.shown(name)}', row {row} (counted from 0).")
    table = np.stack([_numbers(columns[name]) for name in features], axis=1)
    x = checks.features(table, f"'{path}'")
    y, names = _classes(columns[LABEL], f"Column '{LABEL}' of '{path}'")
    return Dataset(path.name, x, y, np.arange(len(y)), names)


def _feature_names(schema: Any, path: Path) -> list[str]:
    from pyarrow import types

    names = list(schema.names)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise InputError(
            f"'{path}' has {names.count(twice)} columns called '{checks.shown(twice)}'; column names must differ."
        )
    if LABEL not in names:
        raise InputError(f"'{path}' has no column '{LABEL}', only: {checks.shown_names(names)}.")

    def is_feature(name: str) -> bool:
        kind = schema.field(name).type
        numeric = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind) or types.is_decimal(kind)
        return numeric and name != LABEL and not PANDAS_INDEX.fullmatch(name)

    features = [name for name in names if is_feature(name)]
    if not features:
        raise InputError(f"'{path}' has no column of numbers beside '{LABEL}'; at least one feature is needed.")
    return features


def _numbers(column: Any) -> NDArray[Any]:
    from pyarrow import float64, types

    numbers: NDArray[Any] = (column.cast(float64()) if types.is_decimal(column.type) else column).to_numpy()
    return numbers


def _classes(column: Any, where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    from pyarrow import types

    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if types.is_string(kind) or types.is_large_string(kind):
        return checks.named_classes(column.to_pylist(), where)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind):
        y, _, names = checks.classes(checks.whole_numbers(column.to_numpy(), len(column), where), None, where)
        return y, names
    raise InputError(f"{where} holds {kind}; labels are text, whole numbers or booleans.")
