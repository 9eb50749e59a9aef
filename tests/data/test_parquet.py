"""The user's `.parquet` files."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hnm_core import data
from hnm_core.data.base import LoadCancelled
from hnm_core.data.retrieval.records import open_records
from hnm_core.errors import InputError


def write(path: Path, **columns) -> str:
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_that_columns_of_numbers_become_features_in_their_order(tmp_path):
    path = write(
        tmp_path / "set.parquet",
        b=pa.array([1.5, 2.5, 3.5], pa.float32()),
        label=["dog", "cat", "dog"],
        note=["x", "y", "z"],
        a=pa.array([1, 2, 3], pa.uint8()),
        flag=[True, False, True],
        price=[Decimal("1.25"), Decimal("2.50"), Decimal("3.75")],
        __index_level_0__=[7, 8, 9],
    )
    dataset = data.create("file", path=path)
    assert np.array_equal(dataset.x, [[1.5, 1, 1, 1.25], [2.5, 2, 0, 2.5], [3.5, 3, 1, 3.75]])
    assert dataset.x.dtype == np.float32 and dataset.x.flags.c_contiguous
    assert dataset.class_names == ("cat", "dog") and np.array_equal(dataset.y, [1, 0, 1])
    assert np.array_equal(dataset.ids, [7, 8, 9]) and dataset.name == "set.parquet"
    assert dataset.as_read == (
        "Columns: 4 features 'b', 'a', 'flag', 'price'; label 'label'; id '__index_level_0__'; left out: 'note' (text)."
    )


@pytest.mark.parametrize(
    ("labels", "y", "names"),
    [
        (pa.array([10, 9, -1, 9]), [2, 1, 0, 1], ("-1", "9", "10")),
        (pa.array([10.0, 9.0, -1.0, 9.0]), [2, 1, 0, 1], ("-1", "9", "10")),
        (pa.array([2**64 - 1, 5, 5, 5], pa.uint64()), [1, 0, 0, 0], ("5", str(2**64 - 1))),
        (pa.array([True, False, True, True]), [1, 0, 1, 1], ("0", "1")),
        (pa.array(["b", "a", "b", "a"]).dictionary_encode(), [1, 0, 1, 0], ("a", "b")),
        (pa.array(["10", "9", "10", "a"], pa.large_string()), [0, 1, 0, 2], ("10", "9", "a")),
    ],
)
def test_that_labels_of_every_kind_become_class_names(tmp_path, labels, y, names):
    dataset = data.create("file", path=write(tmp_path / "set.parquet", a=[1, 2, 3, 4], label=labels))
    assert dataset.class_names == names and np.array_equal(dataset.y, y)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"a": [1, 2], "b": [3, 4]}, ("no column 'label'", "a, b")),
        ({"label": ["x", "y"], "b": ["c", "d"]}, ("no column of numbers",)),
        ({"label": ["x", "y", "x"], "a": [1, 2, None]}, ("column 'a'", "row 2")),
        ({"label": ["x", None, "x"], "a": [1, 2, 3]}, ("column 'label'", "row 1")),
        ({"label": ["x", "y", "x"], "a": [1.0, np.nan, 3.0]}, ("NaN or infinity in row 1",)),
        ({"label": ["x", "y", "x"], "a": [1.0, 1e300, 3.0]}, ("too large", "row 1")),
        ({"label": [0.5, 1.0, 1.0], "a": [1, 2, 3]}, ("'label'", "whole numbers", "0.5")),
        ({"label": [[0.5], [2.0], [2.0]], "a": [1, 2, 3]}, ("'label'", "list<")),
        ({"label": [["a", "b"], ["a"], []], "a": [1, 2, 3]}, ("several labels each", "one class", "audit")),
        ({"label": ["x", "x"], "a": [1, 2]}, ("one class only",)),
        ({"label": ["x", "y"], "a": [1, 2]}, ("2 different classes",)),
        ({"label": pa.array([], pa.string()), "a": pa.array([], pa.int64())}, ("0 items",)),
        ({"label": pa.array([], pa.string()), "v": pa.array([], pa.list_(pa.float32()))}, ("0 items",)),
        ({"label": pa.array([], pa.string()), "v": pa.array([], pa.binary(4))}, ("0 items",)),
    ],
)
def test_that_a_wrong_table_gets_a_sentence_that_names_the_column(tmp_path, columns, words):
    path = write(tmp_path / "bad.parquet", **columns)
    with pytest.raises(InputError) as caught:
        data.create("file", path=path)
    assert all(word in str(caught.value) for word in (path, *words)) and "\n" not in str(caught.value)


def test_that_columns_of_one_name_are_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array([1, 2]), pa.array([1, 2]), pa.array(["x", "y"])], ["a", "a", "label"])
    pq.write_table(table, tmp_path / "twice.parquet")
    with pytest.raises(InputError, match="2 columns called 'a'"):
        data.create("file", path=str(tmp_path / "twice.parquet"))


def test_that_a_page_with_another_checksum_is_refused(tmp_path):
    path = tmp_path / "set.parquet"
    values = np.arange(64) + 0.1
    columns = pa.table({"label": ["a", "b"] * 32, "value": values})
    pq.write_table(columns, path, write_page_checksum=True, use_dictionary=False, compression="none")
    whole = path.read_bytes()
    assert data.create("file", path=str(path)).x[5, 0] == np.float32(5.1)
    place = whole.index(values.tobytes()) + 5 * 8 + 5
    path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
    with pytest.raises(InputError, match=r"set\.parquet'.*damaged"):
        data.create("file", path=str(path))
    with pytest.raises(InputError, match=r"set\.parquet'"):
        open_records(path)


def test_that_a_damaged_file_is_refused_wherever_it_was_cut(tmp_path):
    whole = Path(write(tmp_path / "whole.parquet", a=[1.0, 2.0, 3.0], label=["x", "y", "x"])).read_bytes()
    damaged = tmp_path / "damaged.parquet"
    for cut in range(0, len(whole), 23):
        damaged.write_bytes(whole[:cut])
        with pytest.raises(InputError, match=r"damaged\.parquet' is no \.parquet file, or it is damaged"):
            data.create("file", path=str(damaged))


def test_that_reading_a_parquet_file_can_be_cancelled(tmp_path):
    path = write(tmp_path / "set.parquet", a=[1, 2, 3], label=["x", "y", "x"])
    seen = []
    data.create("file", path=path, progress=lambda *step: seen.append(step))
    assert seen[-1] == (2, 2, "reading set.parquet")
    with pytest.raises(LoadCancelled):
        data.create("file", path=path, progress=lambda *_: False)


def test_that_vectors_that_the_memory_does_not_hold_are_refused_before_they_are_read(tmp_path, monkeypatch):
    path = write(tmp_path / "same.parquet", embedding=[[1.0] * 1000] * 500, label=[0, 1] * 250)
    assert Path(path).stat().st_size < 100_000  # it is packed well, and says of itself how much it holds
    monkeypatch.setattr("hnm_core.system.memory.free", lambda: 1_900_000)
    with pytest.raises(InputError, match=r"^The memory does not suffice for 500,000 values of"):
        data.create("file", path=path)
