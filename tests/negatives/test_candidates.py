"""Candidates that others searched: what they found is measured, filtered and chosen from as if it were found here."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from hnm_core.data.judged import Items
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.negatives.candidates import ListFinder, read_lists
from hnm_core.negatives.to_file import meta_of, mine_to_file

from .sets import similarities
from .test_to_file import mined_of, records, request, texts


def nearest(k: int) -> np.ndarray:
    """(60, k) rows of the documents that are nearest to each query, positives among them."""
    given = texts()
    assert given.queries.embeddings is not None and given.documents.embeddings is not None
    return np.argsort(-similarities(given.queries.embeddings, given.documents.embeddings), axis=1, kind="stable")[:, :k]


def test_that_lists_of_faiss_give_what_a_search_gives(tmp_path: Path) -> None:
    faiss = pytest.importorskip("faiss")
    given = texts()
    queries, documents = given.queries.embeddings, given.documents.embeddings
    assert queries is not None and documents is not None
    on_sphere = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (documents, queries)]
    index = faiss.IndexFlatIP(documents.shape[1])
    index.add(on_sphere[0])
    scores, rows = index.search(on_sphere[1], 80)
    np.save(tmp_path / "I.npy", rows)
    np.savez(tmp_path / "both.npz", D=scores, I=rows)
    mine_to_file(given, request(tmp_path / "own.jsonl", relative_margin=0.1))
    for name in ("I.npy", "both.npz"):
        out = tmp_path / "out.jsonl"
        mine_to_file(given, request(out, relative_margin=0.1, lists=[tmp_path / name]))
        assert out.read_bytes() == (tmp_path / "own.jsonl").read_bytes()
        assert name in json.loads(meta_of(out).read_text())["candidates"]


def test_that_shards_follow_each_other_and_order_and_doubles_in_a_list_do_not_matter(tmp_path: Path) -> None:
    given = texts()
    rows = nearest(60)
    shuffled = np.concatenate((rows[:, ::-1], rows), axis=1)
    np.save(tmp_path / "a.npy", shuffled[:25])
    np.save(tmp_path / "b.npy", shuffled[25:].astype(np.int32))
    mine_to_file(given, request(tmp_path / "own.jsonl"))
    mine_to_file(given, request(tmp_path / "out.jsonl", lists=[tmp_path / "a.npy", tmp_path / "b.npy"]))
    assert (tmp_path / "out.jsonl").read_bytes() == (tmp_path / "own.jsonl").read_bytes()


@pytest.mark.parametrize("kind", [np.int64, np.uint64])
def test_that_minus_one_is_nobody_and_not_the_last_row(kind: type, tmp_path: Path) -> None:
    given = texts()
    rows = nearest(60)
    rows[:, 4:] = -1
    np.save(tmp_path / "I.npy", rows.astype(kind))
    report = mine_to_file(given, request(tmp_path / "out.npz", lists=[tmp_path / "I.npy"]))
    with np.load(tmp_path / "out.npz") as file:
        negative = file["negative"]
    last = len(given.documents) - 1
    for anchor, line in enumerate(negative):
        assert set(line[line >= 0]) <= set(rows[anchor, :4])
        assert last in rows[anchor, :4] or last not in line
    assert report.mined.reasons["few found"] > 0


def test_that_a_run_of_trec_can_be_finished(tmp_path: Path) -> None:
    given = texts()
    lines = [
        f"q{query} Q0 d{row} {rank} {-rank} other"
        for query, line in enumerate(nearest(70))
        for rank, row in enumerate(line)
    ]
    (tmp_path / "lists.run").write_text("\n".join(lines))
    mine_to_file(given, request(tmp_path / "own.jsonl", "ids", absolute_margin=0.05))
    mine_to_file(given, request(tmp_path / "out.jsonl", "ids", absolute_margin=0.05, lists=[tmp_path / "lists.run"]))
    assert records(tmp_path / "out.jsonl") == records(tmp_path / "own.jsonl")
    assert mined_of(given, absolute_margin=0.05).enough


def test_that_one_list_after_another_is_another_question(tmp_path: Path) -> None:
    given = texts()
    for name, rows in (("a.npy", nearest(60)), ("b.npy", nearest(60)[:, 10:])):
        np.save(tmp_path / name, rows)
    hashes = {
        ListFinder(read_lists([tmp_path / name], given.queries, given.documents), Distance("cosine")).hash
        for name in ("a.npy", "b.npy")
    }
    assert len(hashes) == 2


def test_that_wrong_lists_are_refused_in_a_sentence(tmp_path: Path) -> None:
    given = texts()
    wrong = nearest(5)
    wrong[3, 2] = 200
    files = {
        "beyond.npy": (wrong, "names row 200 in list 3 .counted from 0., but there are 200 documents"),
        "below.npy": (np.where(wrong == 200, -2, wrong), "names row -2 in list 3"),
        "few.npy": (nearest(5)[:50], "has lists for 50 queries, but there are 60"),
        "D.npy": (np.zeros((60, 5), np.float32), "the I of FAISS, not its D"),
        "flat.npy": (np.zeros(60, np.int64), "of the shape .60,."),
    }
    for name, (array, words) in files.items():
        np.save(tmp_path / name, array)
        with pytest.raises(InputError, match=words):
            mine_to_file(given, request(tmp_path / "out.jsonl", lists=[tmp_path / name]))
    np.savez(tmp_path / "other.npz", D=np.zeros((60, 5)))
    (tmp_path / "cut.npz").write_bytes(b"PK no archive")
    texts_of = {
        "short.run": "q0 Q0 d1 1 0.5",
        "who.run": "x Q0 d1 1 0.5 t",
        "what.run": "q0 Q0 x 1 0.5 t",
        "no.run": "",
    }
    for name, text in texts_of.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "bytes.run").write_bytes(b"\xff\xfe")
    np.save(tmp_path / "wide.npy", nearest(9))
    for names, words in (
        (["other.npz"], "has no array I, indices"),
        (["cut.npz"], "is no .npz file, or it is damaged"),
        (["short.run"], "line 1 has 5 columns; a TREC run has 6"),
        (["who.run"], "line 1: there is no query with the id 'x'"),
        (["what.run"], "line 1: there is no document with the id 'x'"),
        (["no.run"], "holds no line of a TREC run"),
        (["bytes.run"], "no text in UTF-8"),
        (["missing.npy"], "cannot be read"),
        (["wide.npy", "few.npy"], "hold lists of 5 and of 9"),
        (["wide.npy", "who.run"], "a TREC run is one file"),
    ):
        with pytest.raises(InputError, match=words):
            mine_to_file(given, request(tmp_path / "out.jsonl", lists=[tmp_path / name for name in names]))


def test_that_a_packed_run_is_refused_wherever_it_is_damaged(tmp_path: Path) -> None:
    items = Items(np.arange(9), None, None)
    path, noise = tmp_path / "run.gz", np.random.default_rng(0)
    lines = "".join(f"{row} Q0 {row} 1 {noise.random()} t\n" for row in range(9))
    whole = gzip.compress(lines.encode())
    path.write_bytes(whole)
    assert read_lists([path], items, items).row.tolist() == [[row] for row in range(9)]
    for place in range(10, len(whole) - 8, 3):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with pytest.raises(InputError, match=r"run.gz'"):
            read_lists([path], items, items)
