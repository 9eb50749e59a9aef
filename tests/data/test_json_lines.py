"""Items in a file of JSON objects, one a line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnm_core import data
from hnm_core.data.base import Dataset
from hnm_core.errors import InputError
from hnm_core.spec.data_files import is_judged
from hnm_core.spec.registry import DATASETS


def written(path: Path, *items: Any) -> Path:
    path.write_text("".join(json.dumps(item) + "\n" for item in items))
    return path


def read(path: Path, **options: str) -> Dataset:
    return data.build(DATASETS.part("file", {"path": str(path), **options}), several=True)


def test_that_objects_with_one_label_are_items_of_classes_in_the_order_of_their_ids(tmp_path: Path) -> None:
    items = [{"id": n, "embedding": [n, 2 * n], "label": "xy"[n % 2], "title": "t"} for n in (3, 1, 0, 2)]
    found = read(written(tmp_path / "a.jsonl", *items))
    assert found.several is None
    assert found.ids.tolist() == [0, 1, 2, 3]
    assert np.array_equal(found.x, [[0, 0], [1, 2], [2, 4], [3, 6]])
    assert [found.class_names[label] for label in found.y] == ["x", "y", "x", "y"]
    assert found.as_read == "Columns: 2 features from 'embedding'; label 'label'; id 'id'; left out: 'title' (text)."


def test_that_one_text_may_hold_several_labels(tmp_path: Path) -> None:
    items = [{"vector": [n], "label": label} for n, label in enumerate(("a|b", "b", "", "a"))]
    found = read(written(tmp_path / "a.jsonl", *items), label_separator="|")
    assert found.several is not None
    assert found.several.sizes.tolist() == [2, 1, 0, 1]


def test_that_items_are_told_from_texts_of_queries_and_documents(tmp_path: Path) -> None:
    assert not is_judged(written(tmp_path / "a.jsonl", {"embedding": [1, 2], "labels": ["a"]}))
    assert is_judged(written(tmp_path / "b.jsonl", {"query": "q", "positive": "p"}))
    assert is_judged(written(tmp_path / "c.jsonl", {"_id": "1", "text": "t", "labels": ["a"]}))
    assert is_judged(tmp_path / "none.jsonl")


GOOD = {"embedding": [1, 2], "labels": ["a"]}


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"embedding": [1, 2, 3], "labels": ["a"]}, "line 2, has an embedding of 3 numbers, and the first has 2"),
        ({"embedding": [1, None], "labels": ["a"]}, "line 2, has no list of numbers 'embedding'"),
        ({"embedding": [1, float("nan")], "labels": ["a"]}, "line 2, has an embedding with NaN"),
        ({"embedding": [1, 10**400], "labels": ["a"]}, "line 2, has an embedding with NaN"),
        ({"embedding": [1, 2]}, "line 2, has no 'labels' that is a text"),
        ({"embedding": [1, 2], "labels": [1.5]}, "line 2, has no 'labels' that is a text"),
        ([1, 2], "line 2, is no JSON object"),
    ],
)
def test_that_what_is_no_item_is_named_with_its_line(tmp_path: Path, item: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(written(tmp_path / "a.jsonl", GOOD, item))


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"embedding": [1, 2]}, "line 1, has no 'label' and no 'labels', only: embedding"),
        ({"embedding": [1], "label": "a", "labels": ["a"]}, "both 'label' and 'labels'"),
        ({"labels": ["a"]}, "has no list of numbers"),
        ({"one": [1], "two": [2], "labels": ["a"]}, "2 lists of numbers: one, two"),
    ],
)
def test_that_a_file_whose_first_object_is_no_item_is_refused(tmp_path: Path, item: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read(written(tmp_path / "a.jsonl", item, item))
