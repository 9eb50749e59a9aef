from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hnm_core import data
from hnm_core.data import base
from hnm_core.errors import InputError
from hnm_core.spec import data_files
from hnm_core.spec.data_files import ANY_DATA_SUFFIX, DATA_FORMATS, DATA_PATTERNS, DataFormat, data_format
from hnm_core.spec.request import data_config


def test_that_a_file_is_of_the_kind_of_its_ending_in_capitals_or_not():
    assert {data_format(Path(f"a.b{known.suffix.upper()}")) for known in DATA_FORMATS} == set(DATA_FORMATS)
    for name in ("a.txt", "npz", ".npz", "a", "a.npz.bak"):
        assert data_format(Path(name)) is None, name


def test_that_kinds_are_said_in_words_and_as_a_dialog_takes_them():
    assert ANY_DATA_SUFFIX == ".npz, .csv, .parquet, .npy, .tsv, .pt, .safetensors or .jsonl"
    assert DATA_PATTERNS == "*.npz *.csv *.parquet *.npy *.tsv *.pt *.safetensors *.jsonl"


@pytest.mark.parametrize("known", DATA_FORMATS, ids=lambda known: known.suffix)
def test_that_what_reads_a_kind_is_where_the_table_says(known):
    assert known.load().__name__ == f"read_{known.suffix[1:]}"


def test_that_the_table_loads_neither_readers_nor_torch():
    code = (
        "import sys; import hnm_core.spec.data_files; "
        "print([name for name in ('torch', 'pandas', 'pyarrow', 'hnm_core.data') if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def read_ones(path: Path, progress: object = None) -> base.Dataset:
    size = int(path.read_text())
    y = np.arange(size, dtype=np.int64) % 2
    return base.Dataset("ones", np.ones((size, 3), np.float32), y, np.arange(size), ("a", "b"))


def test_that_a_new_kind_needs_its_reader_and_a_row_of_the_table(tmp_path, monkeypatch):
    ones = DataFormat(".ones", f"{__name__}:read_ones", "a whole number")
    path = tmp_path / "mine.ones"
    path.write_text("6")
    with pytest.raises(InputError, match=r"ends in '\.ones'; data files are \.npz \(arrays x and y\), \.csv"):
        data.create("file", path=str(path))
    monkeypatch.setattr(data_files, "DATA_FORMATS", (*DATA_FORMATS, ones))
    assert data_config("elsewhere.ones").options["path"] == "elsewhere.ones"
    assert data.create("file", path=str(path)).x.shape == (6, 3)
