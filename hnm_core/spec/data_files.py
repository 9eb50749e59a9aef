"""The kinds of files that the user's own data come in. Loads none of their readers."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hnm_core.errors import InputError
from hnm_core.spec.traits import judged_refusal, review_refusal
from hnm_core.system import paths
from hnm_core.system.regular_files import open_regular

WITHOUT = "(no label)"
"""The class that items without a label are shown as, where items have several labels each."""

FIRST_LINE_BYTES = 4096
"""The first line of a review is shorter."""


@dataclass(frozen=True)
class DataFormat:
    """A kind of file."""

    suffix: str
    target: str
    """What reads it, as `module:attribute`: (path, progress) to a `hnm_core.data.base.Dataset`. Takes `separator` as
    well, what stands between several labels in one text."""
    holds: str
    """What must be in it, in words."""
    glance: str = ""
    """What refuses a file that is none of these after a short look, as `module:attribute`: (path). Empty: nothing."""
    labels_beside: bool = False
    """Whether its labels may be in a file of their own, which what reads it then takes as `labels`."""
    named_columns: bool = False
    """Whether each label may have a column of its own, whose names what reads it then takes as `label_columns`."""

    def load(self) -> Callable[..., Any]:
        """Import what reads it."""
        return _imported(self.target)

    def look(self, path: Path) -> None:
        """Refuse a file that cannot be read, as far as a short look tells. Raises `InputError`."""
        if self.glance:
            _imported(self.glance)(path)


def _imported(target: str) -> Callable[..., Any]:
    module, _, attribute = target.partition(":")
    found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    return found


DATA_FORMATS = (
    DataFormat(".npz", "hnm_core.data.npz:read_npz", "arrays x and y", "hnm_core.data.npz:look"),
    DataFormat(
        ".csv",
        "hnm_core.data.csv_table:read_csv",
        "a column 'label'",
        "hnm_core.data.csv_table:look",
        named_columns=True,
    ),
    DataFormat(
        ".parquet",
        "hnm_core.data.parquet:read_parquet",
        "a column 'label'",
        "hnm_core.data.parquet:look",
        named_columns=True,
    ),
    DataFormat(".npy", "hnm_core.data.vectors:read_npy", "an array, its labels beside it", labels_beside=True),
    DataFormat(
        ".tsv",
        "hnm_core.data.vectors:read_tsv",
        "a column 'label', or vectors with metadata.tsv beside them",
        labels_beside=True,
        named_columns=True,
    ),
    DataFormat(".pt", "hnm_core.data.tensors:read_pt", "a dictionary of tensors x and y"),
    DataFormat(
        ".safetensors",
        "hnm_core.data.tensors:read_safetensors",
        "tensors x and y",
        "hnm_core.data.tensors:look_at_safetensors",
    ),
    DataFormat(
        ".jsonl", "hnm_core.data.json_lines:read_jsonl", "'embedding' and 'label'", "hnm_core.data.json_lines:look"
    ),
)
DATA_SUFFIXES = tuple(known.suffix for known in DATA_FORMATS)
DATA_PATTERNS = " ".join(f"*{suffix}" for suffix in DATA_SUFFIXES)
"""As a file dialog takes them."""
ANY_DATA_SUFFIX = f"{', '.join(DATA_SUFFIXES[:-1])} or {DATA_SUFFIXES[-1]}"
"""In words."""


def vectors_in(folder: Path) -> Path | None:
    """The vectors in a folder of TensorBoard's projector, their labels beside them; None where it is none."""
    if not paths.is_file(folder / "metadata.tsv"):
        return None
    return next((folder / name for name in ("vectors.tsv", "tensors.tsv") if paths.is_file(folder / name)), None)


TABLES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")
"""They hold items with labels, or pairs of a query and a document."""


def is_judged(path: Path) -> bool:
    """Whether a file or a folder holds queries and documents: by its names, of a table by a short look at it."""
    names = ("corpus.jsonl", "corpus.jsonl.gz", "queries.jsonl", "queries.jsonl.gz", "queries.npy")
    if any(paths.is_file(path / name) for name in names):
        return True
    name = path.name.lower()
    if name.endswith(TABLES) and paths.is_file(path):
        return bool(_imported("hnm_core.data.retrieval.glance:holds_pairs")(path))
    if name.endswith(".jsonl") and paths.is_file(path):
        return not _imported("hnm_core.data.json_lines:holds_items")(path)
    return name.endswith((".jsonl", ".jsonl.gz"))


def is_review(path: Path) -> bool:
    """Whether a file holds the decisions of a review, by its first line."""
    if not path.name.lower().endswith(".jsonl"):
        return False
    try:
        with open_regular(path) as file:
            told = json.loads(file.readline(FIRST_LINE_BYTES))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(told, dict) and "review" in told and "of" in told


def refuse_no_items(path: Path, name: str) -> None:
    """Raises `InputError` where what lies at `path`, called `name`, is known to be no data set of items with classes:
    decisions of a review, or queries and documents."""
    if is_review(path):
        raise InputError(review_refusal(name))
    if is_judged(path):
        raise InputError(judged_refusal(name))


def data_format(path: Path) -> DataFormat | None:
    """The kind of file by its ending, in capitals or not; None for one that holds no data."""
    return next((known for known in DATA_FORMATS if path.suffix.lower() == known.suffix), None)
