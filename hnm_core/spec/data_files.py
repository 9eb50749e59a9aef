"""The kinds of files that the user's own data come in. Loads none of their readers."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class DataFormat:
    """A kind of file."""

    suffix: str
    target: str
    """What reads it, as `module:attribute`: (path, progress) to a `hnm_core.data.base.Dataset`."""
    holds: str
    """What must be in it, in words."""

    def load(self) -> Callable[..., Any]:
        """Import what reads it."""
        module, _, attribute = self.target.partition(":")
        reader: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
        return reader


DATA_FORMATS = (
    DataFormat(".npz", "hnm_core.data.npz:read_npz", "arrays x and y"),
    DataFormat(".csv", "hnm_core.data.csv_table:read_csv", "a column 'label'"),
    DataFormat(".parquet", "hnm_core.data.parquet:read_parquet", "a column 'label'"),
)
DATA_SUFFIXES = tuple(known.suffix for known in DATA_FORMATS)
DATA_PATTERNS = " ".join(f"*{suffix}" for suffix in DATA_SUFFIXES)
"""As a file dialog takes them."""
ANY_DATA_SUFFIX = f"{', '.join(DATA_SUFFIXES[:-1])} or {DATA_SUFFIXES[-1]}"
"""In words."""


def data_format(path: Path) -> DataFormat | None:
    """The kind of file by its ending, in capitals or not; None for one that holds no data."""
    return next((known for known in DATA_FORMATS if path.suffix.lower() == known.suffix), None)
