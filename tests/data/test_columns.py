"""Which column of a table is what: nothing sneaks in, nothing vanishes without a word."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from hnm_core import data
from hnm_core.data.base import Dataset
from hnm_core.errors import InputError

X = np.array([[1.5, -2.0], [3.0, 4.25], [-5.0, 0.5], [7.0, 8.0]])
LABELS = ["oak", "ash", "oak", "ash"]


def csv(folder: Path, *lines: str, name: str = "set.csv", encoding: str = "utf-8") -> Dataset:
    path = folder / name
    path.write_bytes("\n".join((*lines, "")).encode(encoding))
    return data.create("file", path=str(path))


def parquet(folder: Path, schema: pa.Schema | None = None, **columns: object) -> Dataset:
    path = folder / "set.parquet"
    pq.write_table(pa.table({**columns, "label": LABELS}, schema=schema), path)
    return data.create("file", path=str(path))


def indexed(name: str, values: list) -> pa.Table:
    """What pandas writes for a frame with an index of this name."""
    table = pa.table({"a": X[:, 0], "b": X[:, 1], "label": LABELS, name: values})
    return table.replace_schema_metadata({"pandas": json.dumps({"index_columns": [name], "columns": []})})


@pytest.mark.parametrize("name", ["item_code", "__index_level_0__"])
def test_that_the_index_of_pandas_is_the_id_and_no_feature(tmp_path, name):
    pq.write_table(indexed(name, [30, 10, 20, 40]), tmp_path / "set.parquet")
    dataset = data.create("file", path=str(tmp_path / "set.parquet"))
    assert dataset.ids.tolist() == [10, 20, 30, 40]
    assert np.array_equal(dataset.x, X[[1, 2, 0, 3]]) and [dataset.class_names[y] for y in dataset.y] == [
        "ash", "oak", "oak", "ash"
    ]  # fmt: skip
    assert dataset.as_read == f"Columns: 2 features 'a', 'b'; label 'label'; id '{name}'."


@pytest.mark.parametrize("name", ["Unnamed: 0", "", "id", "ID", "item_id", "index"])
def test_that_a_counter_in_csv_is_an_id(tmp_path, name):
    dataset = csv(tmp_path, f"{name},a,b,label", "0,1,2,x", "1,3,4,y", "2,5,6,x")
    assert dataset.x.tolist() == [[1, 2], [3, 4], [5, 6]] and dataset.ids.tolist() == [0, 1, 2]
    assert f"id '{name or 'Unnamed: 0'}'" in dataset.as_read


def test_that_ids_that_are_text_or_repeat_are_left_out_and_items_counted(tmp_path):
    dataset = csv(tmp_path, "a,uuid,item_id,label", "1,12,7,x", "2,b3,7,y", "3,c4,7,x")
    assert dataset.x.tolist() == [[1], [2], [3]] and dataset.ids.tolist() == [0, 1, 2]
    assert "id 'uuid' (left out); id 'item_id' (left out)" in dataset.as_read


def test_that_a_second_label_is_no_feature(tmp_path):
    dataset = csv(tmp_path, "a,label_id,target,label", "1,0,0,x", "2,1,1,y", "3,0,0,x")
    assert dataset.x.tolist() == [[1], [2], [3]]
    assert "left out: 'target' (a second label)" in dataset.as_read and "'label_id'" in dataset.as_read


@pytest.mark.parametrize(
    "vectors",
    [
        pa.array(X.tolist()),
        pa.array(X.tolist(), pa.large_list(pa.float16())),
        pa.array(X.tolist(), pa.list_(pa.float32(), 2)),
        pa.array([row.astype("<f2").tobytes() for row in X], pa.binary(4)),
        pa.array([str(row.tolist()) for row in X]),
        pa.array([str(row) for row in X], pa.string_view()),
    ],
    ids=lambda array: str(array.type),
)
def test_that_lists_and_half_floats_in_bytes_and_text_are_vectors(tmp_path, vectors):
    dataset = parquet(
        tmp_path, id=[5, 6, 7, 8], n_tokens=[10, 900, 20, 4], embedding=vectors, note=["p", "q", "r", "s"]
    )
    assert np.array_equal(dataset.x, X) and dataset.ids.tolist() == [5, 6, 7, 8]
    assert dataset.as_read == (
        "Columns: 2 features from 'embedding'; label 'label'; id 'id'; left out: 'n_tokens' (numbers), 'note' (text)."
    )


@pytest.mark.parametrize("write", [lambda row: str(row.tolist()), str], ids=["list", "numpy"])
def test_that_vectors_in_a_csv_are_read(tmp_path, write):
    rows = [f'{place},"{write(row)}",{label}' for place, (row, label) in enumerate(zip(X, LABELS, strict=True))]
    dataset = csv(tmp_path, "n_tokens,embedding,label", *rows)
    assert np.array_equal(dataset.x, X) and "left out: 'n_tokens' (numbers)" in dataset.as_read


def test_that_of_two_vectors_one_must_stand_out(tmp_path):
    boxes = pa.array([[0.0, 0, 9, 9]] * 4)
    assert parquet(tmp_path, bbox=boxes, embedding=pa.array(X.tolist())).x.shape == (4, 2)
    with pytest.raises(InputError, match=r"2 columns of vectors: bbox, mine\. Leave out all but one"):
        parquet(tmp_path, bbox=boxes, mine=pa.array(X.tolist()))


def test_that_what_holds_no_numbers_is_named(tmp_path):
    dataset = parquet(
        tmp_path,
        a=X[:, 0],
        seen=pa.array([0, 1, 2, 3], pa.timestamp("s")),
        place=[{"x": 1.0}] * 4,
        nothing=pa.nulls(4),
        raw=[b"abc"] * 4,
        words=[["p"]] * 4,
        kind=pa.array(["p", "q", "p", "q"]).dictionary_encode(),
    )
    assert dataset.x.shape == (4, 1)
    assert dataset.as_read.endswith(
        "left out: 'seen' (dates), 'place' (a struct), 'nothing' (no values), 'raw' (bytes), 'words' (lists), "
        "'kind' (text)."
    )
    with pytest.raises(InputError, match=r"no column of numbers beside 'label', only: 'place' \(a struct\)"):
        parquet(tmp_path, place=[{"x": 1.0}] * 4)


def test_that_truth_is_a_number_and_a_column_without_values_is_named(tmp_path):
    dataset = csv(tmp_path, "a,striped,empty,gone,label", "1,True,,NaN,x", "2,false,,n/a,y", "3,TRUE,,,x")
    assert dataset.x.tolist() == [[1, 1], [2, 0], [3, 1]]
    assert dataset.as_read.endswith("left out: 'empty' (no values), 'gone' (no values).")


@pytest.mark.parametrize(
    "cell", ['"1,5"', '"1,000"', "1'000", "1_000", "1 000", '"1.234,5"', "12%", "$3", "−5", '"1,5e3"', "1.5d3", "１２"]
)
def test_that_what_looks_like_a_number_and_is_none_is_refused_with_its_place(tmp_path, cell):
    text = cell.strip('"')
    for first, line in ((cell, 2), ("7", 3)):
        with pytest.raises(InputError) as caught:
            csv(tmp_path, "a,price,label", f"1,{first},x", f"2,{cell},y", "3,9,x")
        assert f"line {line}, column 'price' has '{text}', which looks like a number" in str(caught.value)


@pytest.mark.parametrize("cell", ["0001_2", "1_2_3", "10.0.0.1", "2024-01-31", "12:30", "A1", "0x1F", "1-2"])
def test_that_names_made_of_digits_are_text(tmp_path, cell):
    dataset = csv(tmp_path, "a,crop,label", f"1,{cell},x", f"2,{cell},y", f"3,{cell},x")
    assert dataset.x.shape == (3, 1) and "left out: 'crop' (text)" in dataset.as_read


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_that_other_separators_come_with_a_decimal_comma(tmp_path, delimiter):
    lines = ("a,b,label", "1§5,-2,oak", "3,4§25,ash", "-5,0§5,oak", "7,8,ash")
    for comma in (",", "."):
        dataset = csv(tmp_path, *(line.replace(",", delimiter).replace("§", comma) for line in lines))
        assert np.array_equal(dataset.x, X) and dataset.class_names == ("ash", "oak")


@pytest.mark.parametrize("rows", [("1,5;2.5;x", "2,5;3.5;y"), ("1,000;1;x", "2,500;2;y")])
def test_that_a_comma_that_could_part_thousands_is_refused(tmp_path, rows):
    with pytest.raises(InputError, match=r"line 2, column 'a' has '1,[05]+', which could mean several"):
        csv(tmp_path, "a;b;label", *rows)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (("[1; 2]",), "no column of numbers"),
        (("[1, 2]", "[1, 2, 3]"), "line 3, column 'e' has a vector of 3 numbers, and those before have 2"),
        (("[1, 2]", ""), "line 3, column 'e' has no value, but line 2 has '[1, 2]'"),
        (("[0.1 0.2 ... 0.9]",), "'[0.1 0.2 ... 0.9]', a vector that is cut short"),
        (("[1, 2]", "[1, NaN]"), "NaN or infinity in row 1"),
    ],
)
def test_that_a_vector_that_is_none_is_refused(tmp_path, rows, words):
    with pytest.raises(InputError) as caught:
        csv(tmp_path, "e,label", *(f'"{row}",{label}' for row, label in zip(rows * 2, LABELS, strict=False)))
    assert words in str(caught.value)


def test_that_vectors_of_a_parquet_file_are_whole(tmp_path):
    for vectors, words in (
        ([[1.0, 2], [3.0], [4.0, 5], [6.0, 7]], "row 1 (counted from 0), column 'e' has a vector of 1 numbers"),
        ([[1.0, 2], [3.0, None], [4.0, 5], [6.0, 7]], "row 1 (counted from 0), column 'e' has a vector that lacks"),
        ([[1.0, 2], None, [4.0, 5], [6.0, 7]], "no value in column 'e', row 1"),
        ([[], [], [], []], "row 0 (counted from 0), column 'e' has a vector of 0 numbers"),
    ):
        with pytest.raises(InputError) as caught:
            parquet(tmp_path, e=pa.array(vectors, pa.list_(pa.float64())))
        assert words in str(caught.value)


def test_that_numbers_that_were_stored_as_text_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"row 0 \(counted from 0\), column 'b' has '1,5', text that looks like"):
        parquet(tmp_path, a=X[:, 0], b=["1,5", "2", "3", "4"])
    assert parquet(tmp_path, a=X[:, 0], b=["1", "2", "3", "four"]).as_read.endswith("left out: 'b' (text).")


TEXT = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]


@pytest.mark.parametrize("kind", TEXT, ids=str)
def test_that_labels_are_text_of_every_kind_and_by_the_rule_of_csv(tmp_path, kind):
    path = tmp_path / "set.parquet"
    pq.write_table(pa.table({"a": [1, 2, 3], "label": pa.array(["oak ", "ash", "oak"]).cast(kind)}), path)
    dataset = data.create("file", path=str(path))
    assert dataset.class_names == ("ash", "oak") and dataset.y.tolist() == [1, 0, 1]
    pq.write_table(pa.table({"a": [1, 2, 3], "label": pa.array(["oak", "", "oak"]).cast(kind)}), path)
    with pytest.raises(InputError, match=r"'label' of .* has no value in row 1"):
        data.create("file", path=str(path))


def test_that_half_floats_are_features(tmp_path):
    halves = X.astype("<f2")
    for a, b in (halves.T, [pa.array([n.tobytes() for n in column], pa.binary(2)) for column in halves.T]):
        assert np.array_equal(parquet(tmp_path, a=a, b=b).x, X)


def test_that_bytes_beside_features_are_no_half_floats_unless_they_are_called_so(tmp_path):
    halves = pa.array([row.astype("<f2").tobytes() for row in X], pa.binary(4))
    dataset = parquet(tmp_path, a=X[:, 0], b=X[:, 1], sha=halves)
    assert np.array_equal(dataset.x, X) and "left out: 'sha' (bytes)" in dataset.as_read
    dataset = parquet(tmp_path, a=X[:, 0], embedding=halves)
    assert np.array_equal(dataset.x, X) and "left out: 'a' (numbers)" in dataset.as_read
    assert np.array_equal(parquet(tmp_path, id=[1, 2, 3, 4], mine=halves).x, X)


def test_that_a_separator_at_the_end_of_each_line_is_no_column(tmp_path):
    assert csv(tmp_path, "a,label,", "1,x,", "2,y,", "3,x,").x.tolist() == [[1], [2], [3]]


def test_that_text_in_another_encoding_is_refused(tmp_path):
    for encoding in ("utf-16", "utf-16-le"):
        with pytest.raises(InputError, match="is not UTF-8"):
            csv(tmp_path, "a,label", "1,x", "2,y", encoding=encoding)


def test_that_a_wide_table_does_not_take_the_square_of_its_columns(tmp_path, monkeypatch):
    width = 20_000
    looked_at = 0

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal looked_at
            looked_at += 1
            return str.__eq__(self, other)

    from hnm_core.data import columns

    names = [Name(f"f{place}") for place in range(width)]
    columns.check_names([*names, Name("label")], "wide.csv")
    assert looked_at < 20 * width
    header = ",".join((*map(str, names), "label"))
    dataset = csv(tmp_path, header, *(f"{','.join(['0.5'] * width)},{label}" for label in "xyx"))
    assert dataset.x.shape == (3, width) and "20,000 features, 'f0' to 'f19999'" in dataset.as_read
