"""Items with several labels each, from true files of every kind that can hold them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from hnm_core import data
from hnm_core.data.base import Dataset
from hnm_core.data.item_labels import ItemLabels, in_words
from hnm_core.errors import InputError
from hnm_core.spec.data_files import WITHOUT
from hnm_core.spec.registry import DATASETS

LABELS = (["sky", "sea"], ["sea"], [], ["boat", "sky", "sea"], ["boat"], ["sky"])
NAMES = ("boat", "sea", "sky")
TABLE = np.array([[name in labels for name in NAMES] for labels in LABELS])
X = np.arange(12, dtype=np.float32).reshape(6, 2)


def read(path: Path, **options: str) -> Dataset:
    return data.build(DATASETS.part("file", {"path": str(path), **options}), several=True)


def write_npz(path: Path) -> dict[str, str]:
    np.savez(path.with_suffix(".npz"), embeddings=X, labels=TABLE, class_names=np.array(NAMES))
    return {}


def write_numbers(path: Path) -> dict[str, str]:
    np.savez(path.with_suffix(".npz"), x=X, y=TABLE.astype(np.float32), class_names=np.array(NAMES))
    return {}


def write_cells_in_npz(path: Path) -> dict[str, str]:
    np.savez(path.with_suffix(".npz"), x=X, y=np.array([";".join(labels) for labels in LABELS]))
    return {"label_separator": ";"}


def write_pt(path: Path) -> dict[str, str]:
    torch.save({"x": torch.from_numpy(X), "y": torch.from_numpy(TABLE)}, path.with_suffix(".pt"))
    return {}


def write_csv(path: Path) -> dict[str, str]:
    lines = [f"{a},{b},{'|'.join(labels)}" for (a, b), labels in zip(X, LABELS, strict=True)]
    path.with_suffix(".csv").write_text("a,b,label\n" + "\n".join(lines) + "\n")
    return {"label_separator": "|"}


def write_tsv(path: Path) -> dict[str, str]:
    lines = [f"{a}\t{b}\t{', '.join(labels)}" for (a, b), labels in zip(X, LABELS, strict=True)]
    path.with_suffix(".tsv").write_text("a\tb\tlabel\n" + "\n".join(lines) + "\n")
    return {"label_separator": ","}


def write_npy(path: Path) -> dict[str, str]:
    np.save(path.with_suffix(".npy"), X)
    np.save(path.with_name(f"{path.name}.labels.npy"), TABLE.astype(np.uint8))
    return {}


def write_npy_and_text(path: Path) -> dict[str, str]:
    np.save(path.with_suffix(".npy"), X)
    path.with_name("tags.txt").write_text("\n".join("|".join(labels) for labels in LABELS) + "\n")
    return {"label_separator": "|", "labels": str(path.with_name("tags.txt"))}


def write_parquet(path: Path) -> dict[str, str]:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    lists = [labels or None if place else labels for place, labels in enumerate(LABELS)]  # None is no label, too
    pq.write_table(pa.table({"x": X.tolist(), "label": lists}), path.with_suffix(".parquet"))
    return {}


def write_text_in_parquet(path: Path) -> dict[str, str]:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    cells = ["|".join(labels) for labels in LABELS]
    pq.write_table(pa.table({"x": X.tolist(), "label": cells}), path.with_suffix(".parquet"))
    return {"label_separator": "|"}


def write_jsonl(path: Path) -> dict[str, str]:
    items = [{"id": f"i{row}", "embedding": x.tolist(), "labels": LABELS[row]} for row, x in enumerate(X)]
    path.with_suffix(".jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    return {}


def write_columns(path: Path) -> dict[str, str]:
    lines = [
        f"{row},{a},{','.join(map(str, tags))},{b}" for row, ((a, b), tags) in enumerate(zip(X, TABLE + 0, strict=True))
    ]
    path.with_suffix(".csv").write_text("id,a,boat,sea,sky,b\n" + "\n".join(lines) + "\n")
    return {"label_columns": "sea, boat,s*y"}


def write_columns_of_words(path: Path) -> dict[str, str]:
    lines = ["\t".join((*map(str, tags), f"{a}", f"{b}")) for (a, b), tags in zip(X, TABLE, strict=True)]
    path.with_suffix(".tsv").write_text("boat\tsea\tsky\ta\tb\n" + "\n".join(lines) + "\n")
    return {"label_columns": "boat,s*"}


def write_columns_in_parquet(path: Path) -> dict[str, str]:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    kinds = (pa.bool_(), pa.int8(), pa.float32())
    tags = {
        name: pa.array((TABLE[:, place] + 0).tolist(), pa.int8()).cast(kind)
        for place, (name, kind) in enumerate(zip(NAMES, kinds, strict=True))
    }
    pq.write_table(pa.table({"label": ["x"] * 6, "x": X.tolist(), **tags}), path.with_suffix(".parquet"))
    return {"label_columns": "boat,sea,sky"}


WRITERS = (
    write_columns, write_columns_of_words, write_columns_in_parquet,
    write_jsonl,
    write_npz, write_numbers, write_cells_in_npz, write_pt, write_csv, write_tsv, write_npy, write_npy_and_text,
    write_parquet, write_text_in_parquet,
)  # fmt: skip


@pytest.mark.parametrize("write", WRITERS)
def test_that_every_kind_of_file_gives_the_labels_of_each_item(
    tmp_path: Path, write: Callable[[Path], dict[str, str]]
) -> None:
    options = write(tmp_path / "set")
    (path,) = (path for path in tmp_path.glob("set.*") if ".labels" not in path.name)
    found = read(path, **options)
    several = found.several
    assert several is not None
    assert np.array_equal(found.x, X)
    names = found.class_names[:-1]
    ends = zip(several.offsets, several.offsets[1:], strict=False)
    named = [sorted(names[label] for label in several.label[low:high]) for low, high in ends]
    expected = [sorted(labels) for labels in LABELS]
    if names == ("0", "1", "2"):  # columns without names
        expected = [sorted(str(NAMES.index(label)) for label in labels) for labels in LABELS]
    assert named == expected
    assert found.class_names[-1] == WITHOUT
    rarest = {"boat": "boat", "0": "0"}.get(names[0])
    assert [found.class_names[label] for label in found.y][2:5] == [WITHOUT, rarest, rarest]
    words = in_words(several)
    assert words.startswith("3 labels, 1.3 an item (0 to 3); 1 item has none: it is never an anchor")


def test_that_items_in_the_order_of_their_ids_keep_their_labels(tmp_path: Path) -> None:
    order = np.array([3, 1, 5, 0, 4, 2])
    np.savez(tmp_path / "set.npz", x=X[order], y=TABLE[order], ids=order)
    several = read(tmp_path / "set.npz").several
    assert several is not None
    assert np.array_equal(several.item, np.nonzero(TABLE)[0])
    assert np.array_equal(several.label, np.nonzero(TABLE)[1])


def test_that_text_is_parted_only_where_that_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    path.write_text("a,label\n1,x|y\n2,x|y\n3,z\n")
    found = read(path)
    assert found.several is None
    assert found.class_names == ("x|y", "z")
    assert read(path, label_separator="|").several is not None


def test_that_one_label_of_each_item_is_its_class(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    path.write_text("a,label\n1,x\n2,y\n3,x\n")
    found = read(path, label_separator="|")
    assert found.several is None
    assert found.y.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (np.eye(6)[:, :5], "no two of 6 items share a label"),
        (np.c_[np.ones(6), np.eye(6)], "label '0' is on all 6 items"),
        (TABLE * 2, "holds other numbers than 0 and 1"),
        (np.c_[TABLE, np.full(6, np.nan)], "row 0 .counted from 0. holds other numbers"),
    ],
)
def test_that_labels_that_leave_nothing_to_mine_get_a_sentence(tmp_path: Path, table: np.ndarray, words: str) -> None:
    np.savez(tmp_path / "set.npz", x=X, y=table)
    with pytest.raises(InputError, match=words):
        read(tmp_path / "set.npz")


def test_that_a_separator_needs_text_and_names_need_to_be_as_many_as_columns(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=X, y=TABLE, class_names=np.array(["one"]))
    with pytest.raises(InputError, match="1 names for 3 columns of labels"):
        read(tmp_path / "a.npz")
    with pytest.raises(InputError, match="holds no text: label_separator"):
        read(tmp_path / "a.npz", label_separator="|")
    np.savez(tmp_path / "b.npz", x=X, y=TABLE, y_true=np.zeros(6, int))
    with pytest.raises(InputError, match="is not understood where items have several labels"):
        read(tmp_path / "b.npz")


def test_that_sets_of_several_labels_are_refused_where_one_class_is_needed(tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=X, y=TABLE)
    with pytest.raises(InputError, match="several labels each, and here each needs one class"):
        data.create("file", path=str(tmp_path / "set.npz"))
    with pytest.raises(InputError, match="several labels each"):
        data.create("label-noise", of="file", of_options={"path": str(tmp_path / "set.npz")})


def test_that_the_rarest_label_is_the_one_of_fewest_items_and_of_these_the_first() -> None:
    labels = ItemLabels.of_pairs(np.array([0, 0, 1, 2, 2, 3]), np.array([0, 1, 0, 2, 1, 0]), 5, 3)
    assert labels.rarest().tolist() == [1, 0, 2, 0, 3]
    assert labels.at(np.array([4, 2])).label.tolist() == [1, 2]


def test_that_a_table_with_a_column_a_label_is_told_what_is_needed(tmp_path: Path) -> None:
    path = tmp_path / "set.csv"
    path.write_text("a,sea,sky\n1,0,1\n2,1,1\n")
    with pytest.raises(InputError, match=r"has no column 'label'.*of its own.*name these: label_columns = a,b,c"):
        read(path)


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        (
            "a.csv",
            "a,cat,dog\n1,0,1\n2,2,1\n",
            {"label_columns": "cat,dog"},
            "must hold 0 and 1 alone, not 2 as in item 1",
        ),
        ("a.csv", "a,cat,dog\n1,no,1\n2,yes,1\n", {"label_columns": "cat,dog"}, "Column 'cat' .* and holds no numbers"),
        ("a.csv", "a,cat,dog\n1,0,1\n2,,1\n", {"label_columns": "cat,dog"}, "line 3, column 'cat' has no value"),
        ("a.csv", "a,cat,dog\n1,0,1\n", {"label_columns": "cat,cow"}, "no column 'cow', which label_columns names"),
        ("a.csv", "a,cat,dog\n1,0,1\n", {"label_columns": "cat,,dog"}, "no column '', which label_columns names"),
        ("a.csv", "cat,dog\n0,1\n1,1\n", {"label_columns": "*"}, "no column of numbers beside those of labels"),
        ("a.csv", "a,cat,dog\n1,0,1\n", {"label_columns": "cat", "label_separator": "|"}, "leave out label_separator"),
        ("a.tsv", "1\t0\t1\n", {"label_columns": "cat"}, "has no line of column names"),
        ("a.npz", "", {"label_columns": "cat"}, "is no table; label_columns = 'cat' is for .csv, .parquet, .tsv"),
        ("a.csv", "a,cat,dog\n1,0,1\n", {}, "name these: label_columns = a,b,c"),
    ],
)
def test_that_columns_of_labels_hold_0_and_1_and_are_there(
    tmp_path: Path, name: str, content: str, options: dict[str, str], words: str
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=words):
        read(tmp_path / name, **options)


def test_that_what_was_taken_for_labels_is_said_and_no_feature(tmp_path: Path) -> None:
    write_columns(tmp_path / "set")
    found = read(tmp_path / "set.csv", label_columns="boat,s*")
    assert found.as_read == "Columns: 2 features 'a', 'b'; 3 labels, 'boat' to 'sky'; id 'id'."
    one = read(tmp_path / "set.csv", label_columns="sky")
    assert one.x.shape == (6, 4) and one.several is not None and one.class_names == ("sky", WITHOUT)
