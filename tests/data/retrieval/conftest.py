"""Small sets of queries and documents, written as the programs that people have them from write them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from hnm_core.data.judged import JudgedSet
from hnm_core.data.retrieval import read
from hnm_core.errors import InputError

CORPUS = [
    {"_id": "MED-10", "title": "Statins", "text": "Statins and breast cancer.", "metadata": {"url": "x"}},
    {"_id": "MED-14", "title": "", "text": "Grüße aus Köln: 日本語."},
    {"_id": "7", "title": "Oak", "text": "An oak is a tree."},
]
QUERIES = [
    {"_id": "PLAIN-2", "text": "Do statins cause breast cancer?", "metadata": {}},
    {"_id": "PLAIN-3", "text": "What is an oak?", "metadata": {}},
    {"_id": "PLAIN-9", "text": "Of another split", "metadata": {}},
]
TEST = "query-id\tcorpus-id\tscore\nPLAIN-3\t7\t2\nPLAIN-2\tMED-10\t1\nPLAIN-2\tMED-14\t0\n"
TRAIN = "query-id\tcorpus-id\tscore\nPLAIN-9\t7\t1\n"


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    """As `json.dumps` in a loop writes them."""
    path.write_text("".join(f"{json.dumps(record, ensure_ascii=False)}\n" for record in records), encoding="utf-8")
    return path


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    """A folder in the BEIR layout, with two splits."""
    folder = tmp_path / "nfcorpus"
    (folder / "qrels").mkdir(parents=True)
    write_lines(folder / "corpus.jsonl", CORPUS)
    write_lines(folder / "queries.jsonl", QUERIES)
    (folder / "qrels" / "test.tsv").write_text(TEST)
    (folder / "qrels" / "train.tsv").write_text(TRAIN)
    return folder


def pairs_of(made: JudgedSet) -> set[tuple[str, str, float]]:
    """The judgements by text."""
    judged = made.judgements
    return {
        (made.queries.text[query], made.documents.text[document], float(grade))
        for query, document, grade in zip(judged.query, judged.document, judged.grade, strict=True)
    }


def negatives_of(made: JudgedSet) -> set[tuple[str, str]]:
    """The negatives that came with the files, by text."""
    assert made.negatives is not None and not made.negatives.grade.any()
    return {
        (made.queries.text[query], made.documents.text[document])
        for query, document in zip(made.negatives.query, made.negatives.document, strict=True)
    }


Refusal = Callable[..., str]


@pytest.fixture
def refusal() -> Refusal:
    """What reading says, which is one line."""

    def refused(source: Path | str = "", **named: Any) -> str:
        with pytest.raises(InputError) as caught:
            read(str(source), **{name: str(value) for name, value in named.items()})
        assert "\n" not in str(caught.value)
        return str(caught.value)

    return refused
