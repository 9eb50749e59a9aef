"""Files of what was mined: every form, the same bytes whatever happened in between, whole or not there."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnm_core.data.base import LoadCancelled
from hnm_core.data.judged import Items, JudgedSet
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.negatives import files, mining, to_file
from hnm_core.negatives.mining import Mined, judged_set
from hnm_core.negatives.options import checked
from hnm_core.negatives.to_file import LabelledSet, Request, meta_of, mine_to_file
from hnm_core.spec.registry import NEIGHBORS

from .sets import small

ROOT = Path(__file__).resolve().parents[2]


def texts(queries: int = 60) -> JudgedSet:
    """Queries q0 .. and documents with ids and texts; every seventh query has no positive."""
    given = small(queries)
    made = judged_set(
        given.queries,
        given.documents,
        given.positives,
        [f"query {row} ä" for row in range(queries)],
        [f"document {row}" for row in range(len(given.documents))],
    )
    ids = [f"d{row}" for row in range(len(given.documents))]
    return replace(
        made,
        queries=replace(made.queries, ids=[f"q{row}" for row in range(queries)]),
        documents=replace(made.documents, ids=ids),
    )


def request(out: Path, form: str = "", *, scores: bool = False, lists: Sequence[Path] = (), **options: Any) -> Request:
    part = NEIGHBORS.part("exact", {})
    return Request(out, checked({"negatives": 3, **options}), part, Distance("cosine"), form, scores, tuple(lists))


def mined_of(given: JudgedSet, **options: Any) -> Mined:
    queries, documents = given.queries, given.documents
    assert queries.embeddings is not None and documents.embeddings is not None
    relevant = given.judgements
    positives = [relevant.document[relevant.query == row].tolist() for row in range(len(queries))]
    return mining.mine(
        queries.embeddings,
        documents.embeddings,
        positives,
        query_text=queries.text,
        document_text=documents.text,
        **options,
    )


def records(path: Path) -> list[dict[str, Any]]:
    if path.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet")
        return parquet.read_table(path).to_pylist()
    raw = path.read_bytes()
    return [json.loads(line) for line in (gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines()]


def lists_of(mined: Mined) -> list[tuple[int, list[int], list[float], list[int], list[float]]]:
    """Query, positives with scores, negatives with scores."""
    found = []
    for place, anchor in enumerate(mined.anchor.tolist()):
        own, there = slice(*mined.offsets[place : place + 2]), mined.negative[place] >= 0
        found.append(
            (
                anchor,
                mined.positive[own].tolist(),
                mined.positive_score[own].tolist(),
                mined.negative[place][there].tolist(),
                mined.score[place][there].tolist(),
            )
        )
    return found


def expected(form: str, mined: Mined, scores: bool) -> list[dict[str, Any]]:
    """The records of a form, written down once more."""
    found: list[dict[str, Any]] = []
    for query, own, own_scores, others, other_scores in lists_of(mined):
        anchor, neg = f"query {query} ä", [f"document {row}" for row in others]
        pos = [f"document {row}" for row in own]
        match form:
            case "triplet":
                for p, s in zip(pos, own_scores, strict=True):
                    for n, t in zip(neg, other_scores, strict=True):
                        more = {"scores": [s, t]} if scores else {}
                        found.append({"anchor": anchor, "positive": p, "negative": n, **more})
            case "n-tuple" if len(neg) == mined.negative.shape[1]:
                for p, s in zip(pos, own_scores, strict=True):
                    more = {"scores": [s, *other_scores]} if scores else {}
                    named = {f"negative_{place + 1}": text for place, text in enumerate(neg)}
                    found.append({"anchor": anchor, "positive": p, **named, **more})
            case "labeled-pair" if neg:
                for text, s, label in [
                    *zip(pos, own_scores, [1] * len(pos), strict=True),
                    *zip(neg, other_scores, [0] * len(neg), strict=True),
                ]:
                    last = {"score": s} if scores else {"label": label}
                    found.append({"anchor": anchor, "document": text, **last})
            case "labeled-list" if neg:
                for p, s in zip(pos, own_scores, strict=True):
                    last = {"scores": [s, *other_scores]} if scores else {"labels": [1] + [0] * len(neg)}
                    found.append({"anchor": anchor, "documents": [p, *neg], **last})
            case "flag-embedding" if pos and neg:
                more = {"pos_scores": own_scores, "neg_scores": other_scores} if scores else {}
                found.append({"query": anchor, "pos": pos, "neg": neg, **more})
            case "tevatron" if pos and neg:
                sides = [
                    [
                        {"docid": f"d{row}", "title": "", "text": f"document {row}"} | ({"score": s} if scores else {})
                        for row, s in zip(rows, values, strict=True)
                    ]
                    for rows, values in ((own, own_scores), (others, other_scores))
                ]
                named = {"positive_passages": sides[0], "negative_passages": sides[1]}
                found.append({"query_id": f"q{query}", "query": anchor, **named})
            case "ids":
                more = {"positive_scores": own_scores, "negative_scores": other_scores} if scores else {}
                by_id = {"positive_ids": [f"d{row}" for row in own], "negative_ids": [f"d{row}" for row in others]}
                found.append({"query_id": f"q{query}", **by_id, **more})
    return found


def rounded(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """With scores as single precision has them."""

    def single(value: Any) -> Any:
        if isinstance(value, float):
            return float(np.float32(value))
        if isinstance(value, list):
            return [single(each) for each in value]
        return {name: single(each) for name, each in value.items()} if isinstance(value, dict) else value

    return [single(record) for record in found]


FORMS = ["triplet", "n-tuple", "labeled-pair", "labeled-list", "flag-embedding", "tevatron", "ids"]


@pytest.mark.parametrize("ending", [".jsonl", ".jsonl.gz", ".parquet"])
@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("form", FORMS)
def test_that_every_form_holds_what_its_trainer_reads(form: str, scores: bool, ending: str, tmp_path: Path) -> None:
    given = texts()
    out = tmp_path / f"out{ending}"
    report = mine_to_file(given, request(out, form, scores=scores, min_score=0.4, max_score=0.6))
    wanted = expected(form, mined_of(given, negatives=3, min_score=0.4, max_score=0.6), scores)
    assert rounded(records(out)) == rounded(wanted)
    assert report.records == len(wanted)
    assert report.mined.some > 0, "some anchors have fewer, or the forms are not told apart"
    per_anchor = {record.get("anchor") or record.get("query") or record.get("query_id") for record in wanted}
    assert report.without_record == 60 - len(per_anchor)


def test_that_a_run_of_trec_holds_ids_ranks_and_scores(tmp_path: Path) -> None:
    given = texts()
    out = tmp_path / "out.run.gz"
    mine_to_file(given, request(out))
    mined = mined_of(given, negatives=3)
    lines = [line.split() for line in gzip.decompress(out.read_bytes()).decode().splitlines()]
    wanted = [
        (f"q{query}", "Q0", f"d{row}", str(rank))
        for query, _, _, others, _ in lists_of(mined)
        for rank, row in enumerate(others, 1)
    ]
    assert [tuple(line[:4]) for line in lines] == wanted
    scores = np.array([line[4] for line in lines], np.float32)
    assert np.array_equal(scores, mined.score[mined.negative >= 0])


def test_that_arrays_hold_rows_and_ids(tmp_path: Path) -> None:
    given = texts()
    mine_to_file(given, request(tmp_path / "out.npz"))
    mined = mined_of(given, negatives=3)
    with np.load(tmp_path / "out.npz", allow_pickle=False) as file:
        assert np.array_equal(file["negative"], mined.negative)
        assert np.array_equal(file["score"], mined.score)
        assert np.array_equal(file["positive_offsets"], mined.offsets)
        assert file["document_ids"][:2].tolist() == ["d0", "d1"]


def test_that_items_of_classes_become_lists_of_ids(tmp_path: Path) -> None:
    given = small(documents=40)
    labels = np.arange(40) % 4
    items = Items(np.arange(40) * 3, None, given.documents)
    mine_to_file(LabelledSet("points", items, labels), request(tmp_path / "out.jsonl", "ids"))
    mined = mining.mine(given.documents, labels=labels, negatives=3)
    found = records(tmp_path / "out.jsonl")
    assert [record["negative_ids"] for record in found] == (mined.negative * 3).tolist()
    assert [record["query_id"] for record in found] == (np.arange(40) * 3).tolist()
    assert json.loads(meta_of(tmp_path / "out.jsonl").read_text())["kind"] == "classes"


@pytest.mark.parametrize("numbers", [False, True])
def test_that_queries_without_anything_come_first_in_a_table_of_lists(
    numbers: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(files, "ROWS_AT_ONCE", 1)  # the first query has no positive
    given = small()
    made = judged_set(given.queries, given.documents, given.positives) if numbers else texts()
    mine_to_file(made, request(tmp_path / "out.parquet", "ids", scores=True))
    mine_to_file(made, request(tmp_path / "out.jsonl", "ids", scores=True))
    found = records(tmp_path / "out.parquet")
    assert found[0]["negative_ids"] == []
    assert rounded(found) == rounded(records(tmp_path / "out.jsonl"))


def test_that_beside_the_file_it_is_told_how_it_was_made(tmp_path: Path) -> None:
    given = texts()
    out = tmp_path / "out.jsonl"
    report = mine_to_file(given, request(out, relative_margin=0.35))
    meta = json.loads(meta_of(out).read_text(encoding="utf-8"))
    assert meta["options"]["relative_margin"] == 0.35
    assert (meta["search"], meta["format"], meta["anchors"]) == ({"name": "exact"}, "triplet", 60)
    assert meta["anchors_with_fewer_by_reason"] == report.mined.reasons
    assert meta["anchors_with_fewer_by_reason"]["no positive"] == 9
    assert meta["anchors_with_all_negatives"] + sum(meta["anchors_with_fewer_by_reason"].values()) == 60
    assert meta["candidates_removed_by"]["relative_margin"] > 0
    assert set(meta["seconds"]) == {"hash", "index", "search", "choose", "write"}
    assert len(meta["sha256"]) == 64
    queries = given.queries.embeddings
    assert queries is not None
    other = replace(given, queries=replace(given.queries, embeddings=queries + np.float32(1e-6)))
    mine_to_file(other, request(tmp_path / "other.jsonl"))
    assert json.loads(meta_of(tmp_path / "other.jsonl").read_text())["sha256"] != meta["sha256"]


@pytest.mark.parametrize("options", [{}, {"sampling_strategy": "random", "like": "sentence-transformers"}], ids=str)
def test_that_mining_goes_on_where_it_was_called_off(
    options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = texts()
    mine_to_file(given, request(tmp_path / "whole.jsonl", **options))
    monkeypatch.setattr(mining, "BLOCK", 16)
    out = tmp_path / "out.jsonl"
    with pytest.raises(LoadCancelled):
        mine_to_file(given, request(out, **options), lambda done, _total, _what: done < 32)
    assert not out.exists()
    assert sorted(path.name for path in (tmp_path / "out.jsonl.parts").glob("*.npz")) == ["000000.npz", "000001.npz"]
    report = mine_to_file(given, request(out, **options))
    assert report.resumed == 2
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith("out")) == [
        "out.jsonl",
        "out.jsonl.meta.json",
    ]


def test_that_blocks_of_another_question_or_broken_ones_are_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = texts()
    monkeypatch.setattr(mining, "BLOCK", 16)
    out = tmp_path / "out.jsonl"

    def call_off() -> None:
        with pytest.raises(LoadCancelled):
            mine_to_file(given, request(out), lambda done, _total, _what: done < 48)

    mine_to_file(given, request(tmp_path / "whole.jsonl"))
    mine_to_file(given, request(tmp_path / "other.jsonl", max_score=0.4))
    call_off()
    told = mine_to_file(given, request(out, max_score=0.4))
    assert (told.resumed, told.of_another) == (0, 3), "and it is said"
    assert out.read_bytes() == (tmp_path / "other.jsonl").read_bytes()
    call_off()
    first = tmp_path / "out.jsonl.parts" / "000001.npz"
    first.write_bytes(first.read_bytes()[:300])
    told = mine_to_file(given, request(out))
    assert (told.resumed, told.of_another) == (2, 0)
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


def test_that_what_is_no_block_stays_where_blocks_are_kept(tmp_path: Path) -> None:
    parts = tmp_path / "out.jsonl.parts"
    parts.mkdir()
    (parts / "thesis.txt").write_text("mine")
    with pytest.raises(
        InputError, match=r"out.jsonl.parts', where blocks are kept, holds thesis.txt, which is no block"
    ):
        mine_to_file(texts(), request(tmp_path / "out.jsonl"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl.parts"]
    (parts / "thesis.txt").rename(tmp_path / "thesis.txt")
    parts.rmdir()
    (tmp_path / "elsewhere").mkdir()
    parts.symlink_to("elsewhere")
    mine_to_file(texts(), request(tmp_path / "out.jsonl"))
    assert parts.is_symlink() and list((tmp_path / "elsewhere").iterdir()) == []
    parts.unlink()
    parts.write_text("mine")
    with pytest.raises(InputError, match=r"out.jsonl.parts' is a file, and blocks are kept in a folder of that name"):
        mine_to_file(texts(), request(tmp_path / "out.jsonl"))
    assert parts.read_text() == "mine"


@pytest.mark.parametrize("name", ["out.jsonl", "x" * 239 + ".jsonl"])
def test_that_what_cannot_be_told_beside_a_file_is_noticed_before_it_is_mined(tmp_path: Path, name: str) -> None:
    if name == "out.jsonl":
        (tmp_path / "out.jsonl.meta.json").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=r"meta.json', which tells how '.*jsonl' was made, cannot be written"):
        mine_to_file(texts(), request(tmp_path / name))
    assert sorted(tmp_path.iterdir()) == before


def test_that_a_file_that_is_written_is_not_said_to_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, _text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(to_file, "write_whole", full)
    with pytest.raises(InputError, match=r"out.jsonl' is written, but what belongs beside it cannot be, '.*meta.json'"):
        mine_to_file(texts(), request(tmp_path / "out.jsonl"))
    assert (tmp_path / "out.jsonl").exists()
    monkeypatch.undo()
    assert mine_to_file(texts(), request(tmp_path / "out.jsonl")).resumed == 1
    assert (tmp_path / "out.jsonl.meta.json").exists() and not (tmp_path / "out.jsonl.parts").exists()


def test_that_the_second_of_two_who_mine_into_one_file_is_refused_and_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mining, "BLOCK", 16)
    out, seen = tmp_path / "out.jsonl", list[int]()

    def both(done: int, _total: int, _what: str) -> None:
        if done == 32:
            with pytest.raises(
                InputError, match=r"out.jsonl' cannot be written: another program is writing it just now"
            ):
                mine_to_file(texts(), request(out, max_score=0.4))
            seen.append(len(list((tmp_path / "out.jsonl.parts").glob("*.npz"))))

    report = mine_to_file(texts(), request(out), both)
    assert seen == [2] and report.resumed == 0 and out.exists()


KILLED = """
import os, signal, sys
from pathlib import Path
from hnm_core.negatives import mining
from hnm_core.negatives.to_file import mine_to_file
from tests.negatives.test_to_file import request, texts
mining.BLOCK = 16

def kill(done, total, what):
    if done >= 32:
        os.kill(os.getpid(), signal.SIGKILL)

mine_to_file(texts(), request(Path(sys.argv[1])), kill)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signal")
def test_that_a_program_that_was_killed_goes_on_with_equal_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.jsonl"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED, str(out)], env=environment, cwd=tmp_path, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not out.exists()
    monkeypatch.setattr(mining, "BLOCK", 16)
    assert mine_to_file(texts(), request(out)).resumed == 2
    mine_to_file(texts(), request(tmp_path / "whole.jsonl"))
    assert out.read_bytes() == (tmp_path / "whole.jsonl").read_bytes()


@pytest.mark.parametrize("form", ["triplet", "npz", "trec", "ids"])
def test_that_the_same_set_gives_the_same_bytes_in_every_kind_of_file(form: str, tmp_path: Path) -> None:
    for ending in {"npz": [".npz"], "trec": [".run", ".run.gz"]}.get(form, [".jsonl", ".jsonl.gz", ".parquet"]):
        files = [tmp_path / f"{name}{ending}" for name in ("one", "two")]
        for path in files:
            mine_to_file(texts(), request(path, form))
        assert files[0].read_bytes() == files[1].read_bytes()


def test_that_what_cannot_be_written_leaves_what_was_there(tmp_path: Path) -> None:
    out = tmp_path / "out.run"
    out.write_text("before")
    given = texts()
    spaced = replace(given, queries=replace(given.queries, ids=["q q", *given.queries.ids[1:]]))
    with pytest.raises(InputError, match="The id 'q q' has spaces"):
        mine_to_file(replace(spaced, judgements=_for_the_first(spaced)), request(out))
    assert out.read_text() == "before"
    with pytest.raises(InputError, match="cannot be written"):
        mine_to_file(given, request(tmp_path / "nowhere" / "out.jsonl"))


def _for_the_first(given: JudgedSet) -> Any:
    """Judgements with one for the first query."""
    made = given.judgements
    query, document = np.concatenate(([0], made.query)), np.concatenate(([0], made.document))
    return replace(made, query=query, document=document, grade=np.ones(len(query), np.float32))


@pytest.mark.parametrize(
    ("name", "form", "words"),
    [
        ("out.csv", "", "cannot be written as triplet; give it the ending .jsonl, .jsonl.gz or .parquet"),
        ("out", "ids", "give it the ending"),
        ("out.parquet.gz", "ids", "give it the ending"),
        ("out.jsonl", "npz", "give it the ending .npz"),
        ("out.jsonl", "trec", "it is lines of text"),
        ("out.jsonl", "triple", "Unknown format 'triple'. Did you mean triplet"),
    ],
)
def test_that_an_ending_that_does_not_go_with_the_form_is_refused(
    name: str, form: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=words):
        mine_to_file(texts(), request(tmp_path / name, form))
    assert not list(tmp_path.iterdir())


def test_that_embeddings_alone_become_no_texts(tmp_path: Path) -> None:
    given = small()
    with pytest.raises(InputError, match="--format triplet writes texts, and this set has embeddings alone"):
        mine_to_file(judged_set(given.queries, given.documents, given.positives), request(tmp_path / "out.jsonl"))
