"""Labels that differ in blanks around them alone are one class in every kind of file, and that is said."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hnm_core import data
from hnm_core.data.base import Dataset
from hnm_core.spec.registry import DATASETS

LABELS = ["cat", "dog ", "cat ", "dog", "bird", "bird"]
SAID = (
    "Blanks around a label are no part of it: 2 labels written with and without, or with others, are one class each: "
    "cat, dog."
)
X = np.arange(12, dtype=np.float32).reshape(6, 2)


def written(folder: Path, kind: str, labels: list[str]) -> Path:
    path = folder / f"set.{kind}"
    rows = list(zip(X.tolist(), labels, strict=True))
    if kind == "npz":
        np.savez(path, x=X, y=np.array(labels))
    elif kind == "csv":
        path.write_text("\n".join(["a,b,label", *(f"{a},{b},{label}" for (a, b), label in rows)]) + "\n")
    elif kind == "tsv":
        path.write_text("\n".join(f"{a}\t{b}" for (a, b), _ in rows) + "\n")
        (folder / "metadata.tsv").write_text("\n".join(labels) + "\n")
    elif kind == "npy":
        np.save(path, X)
        (folder / "labels.txt").write_text("\n".join(labels) + "\n")
    elif kind == "jsonl":
        path.write_text("\n".join(json.dumps({"embedding": x, "label": label}) for x, label in rows) + "\n")
    else:
        from pyarrow import parquet, table

        parquet.write_table(table({"a": X[:, 0], "b": X[:, 1], "label": labels}), path)
    return path


def read(path: Path, **options: str) -> Dataset:
    return data.build(DATASETS.part("file", {"path": str(path), **options}), several=True)


@pytest.mark.parametrize("kind", ["npz", "csv", "tsv", "npy", "jsonl", "parquet"])
def test_that_labels_with_blanks_around_them_are_one_class_and_counted(tmp_path: Path, kind: str) -> None:
    found = read(written(tmp_path, kind, LABELS))
    assert found.class_names == ("bird", "cat", "dog")
    assert found.y.tolist() == [1, 2, 1, 2, 0, 0]
    assert found.as_read.endswith(SAID)
    (tmp_path / "plain").mkdir()
    plain = read(written(tmp_path / "plain", kind, [label.strip() for label in LABELS]))
    assert "Blanks" not in plain.as_read


def test_that_blanks_beside_a_separator_are_not_spoken_of_and_those_in_lists_are(tmp_path: Path) -> None:
    cells = ["cat| dog", "dog |cat", "cat", "dog", "bird", "bird|cat"]
    assert "Blanks" not in read(written(tmp_path, "csv", cells), label_separator="|").as_read
    lists = [["cat", "dog "], ["dog"], ["cat"], ["bird"], ["bird", "cat"], ["bird"]]
    lines = [json.dumps({"embedding": x, "labels": one}) for x, one in zip(X.tolist(), lists, strict=True)]
    (tmp_path / "lists.jsonl").write_text("\n".join(lines) + "\n")
    found = read(tmp_path / "lists.jsonl")
    assert found.class_names == ("bird", "cat", "dog")
    assert "1 label written with and without, or with others, is one class each: dog." in found.as_read
