"""`hnm-lab encode`, and sets of queries and documents where others are expected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.offers import kind_of
from hnm_core.data.retrieval import read
from tests.cli.conftest import Lab
from tests.data.retrieval.conftest import pairs_of, write_lines

RECORDS = [
    {"query": "what is an oak", "positive": "an oak is a tree", "negative": "a fish swims"},
    {"query": "what swims", "positive": "a fish swims", "negative": "an oak is a tree"},
]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    return write_lines(tmp_path / "pairs.jsonl", RECORDS)


def test_that_pairs_become_a_folder_that_is_read_with_texts_and_embeddings(
    lab: Lab, pairs: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = lab("encode", pairs, out, "--batch", "1")
    assert (ended.status, ended.out) == (0, f"{out}\n")
    assert "2 queries, 2 documents, 2 judgements." in ended.err and "in 512 dimensions" in ended.err
    assert "2 negatives that came with the pairs are not in it" in ended.err
    made, before = read(str(out)), read(str(pairs))
    assert pairs_of(made) == pairs_of(before) and made.documents.ids.tolist() == [0, 1]
    assert (made.queries.embeddings @ made.documents.embeddings.T).argmax(axis=1).tolist() == [0, 1]
    again = tmp_path / "again"
    assert lab("encode", out, again).status == 0, "what it writes is such a set itself"
    assert (again / "documents.npy").read_bytes() == (out / "documents.npy").read_bytes()


def test_that_functions_of_the_users_encode_queries_and_documents(
    lab: Lab, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two_towers.py").write_text(
        "import numpy\ndef q(texts):\n    print('noise')\n    return numpy.full((len(texts), 2), 1.5)\n"
        "def d(texts):\n    return numpy.full((len(texts), 2), 2.5)\n"
        "def wide(texts):\n    return numpy.ones((len(texts), 3))\n"
    )
    monkeypatch.chdir(tmp_path)
    ended = lab("encode", pairs, "out", "--encoder", "two_towers:d", "--query-encoder", "two_towers:q")
    assert (ended.status, ended.out) == (0, "out\n") and "noise" in ended.err
    assert np.load("out/queries.npy").tolist() == [[1.5, 1.5]] * 2
    assert np.load("out/documents.npy").tolist() == [[2.5, 2.5]] * 2
    ended = lab("encode", pairs, "other", "--encoder", "two_towers:d", "--query-encoder", "two_towers:wide")
    assert ended.status == 2 and "both must give the same number" in ended.err and not Path("other").exists()


def test_that_files_named_one_by_one_are_a_set(lab: Lab, pairs: Path, tmp_path: Path) -> None:
    lab("encode", pairs, tmp_path / "set")
    options = {"--queries": "queries.jsonl", "--documents": "corpus.jsonl", "--qrels": "qrels/test.tsv"}
    named = [part for option, name in options.items() for part in (option, tmp_path / "set" / name)]
    assert lab("encode", "", tmp_path / "out", *named).status == 0
    assert pairs_of(read(str(tmp_path / "out"))) == pairs_of(read(str(tmp_path / "set")))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "out"], "There is no file or folder 'nowhere'"),
        (["pairs.jsonl", "out", "--encoder", "bert"], "Known: hashed-words"),
        (["pairs.jsonl", "out", "--batch", "0"], "batch = 0 is not allowed"),
        (["pairs.jsonl", "out", "--split", "dev"], "--split is for folders"),
        (["pairs.jsonl", "pairs.jsonl"], "exists already"),
        (["pairs.jsonl", "no/such/out"], "cannot be written"),
        (["bad.jsonl", "out"], "line 2, has no 'positive'"),
        (["pairs.jsonl", "out", "--set", "packages=installed"], "so it has no options"),
        (["code-search", "out", "--set", "packages=some"], "packages"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_that_a_mistake_is_one_sentence_with_status_2_and_leaves_nothing(
    lab: Lab, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    write_lines(tmp_path / "bad.jsonl", [RECORDS[0], {"query": "x"}])
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    ended = lab("encode", *arguments)
    assert (ended.status, ended.out) == (2, "")
    (error,) = [line for line in ended.err.splitlines() if line.startswith("Error: ")]
    assert words in error
    assert sorted(tmp_path.iterdir()) == before


def test_that_an_id_that_qrels_cannot_hold_is_refused(lab: Lab, tmp_path: Path) -> None:
    passages = [{"docid": "a\tb", "text": "x"}]
    write_lines(tmp_path / "t.jsonl", [{"query_id": "q", "query": "x", "positive_passages": passages}])
    ended = lab("encode", tmp_path / "t.jsonl", tmp_path / "out")
    assert ended.status == 2 and "The id 'a?b' of a document has a tab" in ended.err


@pytest.mark.parametrize("command", [["run", "--preset", "digits", "--data"], ["features", "--backbone", "identity"]])
def test_that_such_a_set_where_classes_are_needed_is_refused_with_what_it_is_for(
    lab: Lab, pairs: Path, tmp_path: Path, command: list[str]
) -> None:
    lab("encode", pairs, tmp_path / "set")
    for data in ("code-search", pairs, tmp_path / "set"):
        ended = lab(*command, data, *([tmp_path / "out.npz"] if command[0] == "features" else []))
        assert ended.status == 2 and ended.out == ""
        assert "holds queries and documents with judgements" in ended.err
        assert "--preset code-search" in ended.err and "hnm-lab mine" in ended.err


def test_that_the_window_takes_such_a_set_for_what_it_is(lab: Lab, pairs: Path, tmp_path: Path) -> None:
    lab("encode", pairs, tmp_path / "set")
    assert [kind_of(path) for path in (pairs, tmp_path / "set")] == ["documents", "documents"]


def test_that_the_list_of_data_sets_tells_which_has_queries_and_documents(lab: Lab) -> None:
    rows = {line.split("\t")[0]: line.split("\t")[1] for line in lab("list", "datasets").out.splitlines()}
    assert rows["code-search"].endswith("[queries and documents]")
    assert [name for name, words in rows.items() if "[" in words] == ["code-search"]
