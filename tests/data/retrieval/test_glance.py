"""A table is told to be pairs, or items with labels, by a short look."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from hnm_core.data.retrieval.glance import holds_pairs

PAIRS = {
    "by name": "Query,Positive\nwhat is it?,a cat\n",
    "with numbers beside": "anchor,positive,rank\nwhat is it?,a cat,3\n",
    "by order": "docstring,code\nSay it.,print()\n",
    "with an id": "id,docstring,code\n7,Say it.,print()\n",
    "labelled": "query,document,label\nwhat is it?,a cat,1\n",
    "triplets": "anchor,positive,negative\na cat,felix,rex\n",
}
ITEMS = {
    "numbers": "a,b,label\n1,2,x\n",
    "numbers without labels": "a,b\n1,2\n",
    "decimal commas": "a;b\n1,5;2,5\n",
    "texts beside numbers": "species,island,bill,flipper\nAdelie,Dream,39.1,181\n",
    "texts with labels": "title,text,label\na cat,felix,pet\n",
    "questions beside features": "question,answer,x0,x1,label\nwhat?,a cat,0.5,1,pet\n",
    "vectors": 'name,embedding\n"a","[1, 2]"\n',
    "numbers by those names": "query,positive\n1,2\n",
    "one column": "query\nwhat is it?\n",
    "nothing": "",
}


def written(folder: Path, text: str, ending: str) -> Path:
    """The table in a file of this kind."""
    path = folder / f"table.{ending}"
    match ending:
        case "parquet":
            rows = [line.split(",") for line in text.splitlines()]
            names, values = rows[0], rows[1]

            def number(value: str) -> str | float:
                return float(value) if value.replace(".", "").isdigit() else value

            pyarrow.parquet.write_table(
                pa.table({name: [number(value)] for name, value in zip(names, values, strict=True)}), path
            )
        case "tsv":
            path.write_text(text.replace(",", "\t"), encoding="utf-8-sig")
        case "csv.gz":
            path.write_bytes(gzip.compress(text.encode()))
        case _:
            path.write_text(text)
    return path


@pytest.mark.parametrize("ending", ["csv", "tsv", "csv.gz", "parquet"])
def test_that_pairs_are_known_by_names_or_as_two_texts_with_nothing_else_to_learn_from(tmp_path, ending):
    for what, text in PAIRS.items():
        assert holds_pairs(written(tmp_path, text, ending)), what


def test_that_items_with_labels_numbers_and_vectors_are_no_pairs(tmp_path):
    for what, text in ITEMS.items():
        assert not holds_pairs(written(tmp_path, text, "csv")), what
    for what in ("numbers", "texts beside numbers", "texts with labels", "numbers by those names"):
        assert not holds_pairs(written(tmp_path, ITEMS[what], "parquet")), what


def test_that_lists_of_passages_are_pairs_and_damaged_or_other_files_none(tmp_path):
    tables = {
        "flag": pa.table({"query": ["q"], "pos": [["p"]], "neg": [["n"]]}),
        "tevatron": pa.table({"query_id": ["1"], "query": ["q"], "positive_passages": [[{"docid": "1", "text": "p"}]]}),
        "views": pa.table({name: pa.array([name], pa.string_view()) for name in ("query", "positive")}),
        "lists": pa.table({"query": ["q"], "docs": [["p", "n"]], "labels": [[1, 0]]}),
    }
    for name, table in tables.items():
        pyarrow.parquet.write_table(table, tmp_path / f"{name}.parquet")
        assert holds_pairs(tmp_path / f"{name}.parquet"), name
    (tmp_path / "torn.parquet").write_bytes(b"PAR1 and the rest")
    (tmp_path / "latin.csv").write_bytes("query,positive\nwo?,Köln\n".encode("latin-1"))
    (tmp_path / "wide.csv").write_bytes("query,positive\nwo?,Köln\n".encode("utf-16"))
    for name in ("torn.parquet", "latin.csv", "wide.csv", "gone.csv", "query.npz"):
        assert not holds_pairs(tmp_path / name), name
