"""Files of text that are damaged, hostile, or in another encoding."""

from __future__ import annotations

import os
import tracemalloc
from pathlib import Path

import pytest

from hnm_core.data.retrieval import read, text_lines
from tests.data.retrieval.conftest import Refusal, pairs_of

PAIR = '{"query": "Was heißt «naïve»?", "positive": "Gutgläubig — 素朴"}\n'


def test_that_utf_8_with_and_without_a_mark_is_one_and_the_same(tmp_path: Path):
    (tmp_path / "a.jsonl").write_bytes(PAIR.encode())
    (tmp_path / "b.jsonl").write_bytes(b"\xef\xbb\xbf" + PAIR.encode())
    (tmp_path / "c.csv").write_bytes(
        b"\xef\xbb\xbfquery,positive\r\nWas hei\xc3\x9ft \xc2\xabna\xc3\xafve\xc2\xbb?,Ja\r\n"
    )
    assert pairs_of(read(str(tmp_path / "a.jsonl"))) == pairs_of(read(str(tmp_path / "b.jsonl")))
    assert pairs_of(read(str(tmp_path / "c.csv"))) == {("Was heißt «naïve»?", "Ja", 1.0)}


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.csv"])
def test_that_latin_1_is_refused_with_line_and_byte_and_the_way_out(tmp_path: Path, refusal: Refusal, name: str):
    first = b'{"query": "x", "positive": "y"}\n' if name.endswith("jsonl") else b"query,positive\n"
    (tmp_path / name).write_bytes(first + b'"na\xefve","x"\n')
    said = refusal(tmp_path / name)
    assert "line 2, byte 4 (0xef) is no UTF-8 text" in said and "iconv -f latin1 -t utf-8" in said


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_that_utf_16_is_refused(tmp_path: Path, refusal: Refusal, encoding: str):
    (tmp_path / "pairs.jsonl").write_bytes('{"query": "x", "positive": "y"}\n'.encode(encoding))
    assert "UTF-8" in refusal(tmp_path / "pairs.jsonl")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[" * 200_000 + b"\n", "line 1, is JSON that is nested too deep"),
        (b'{"query": ' * 100_000 + b"\n", "line 1, is JSON that is nested too deep"),
        (b'[{"query": "x", "positive": "y"}]\n', "is no JSON object but a list"),
        (b'[\n{"query": "x", "positive": "y"}\n]\n', "jq -c '.[]'"),
        (b'{"query": "x", "positive": "y"}\n{"query": "x", \n', "line 2, is no JSON"),
        (b'{"query": "\\ud800", "positive": "y"}\n', "half of a surrogate pair"),
        (b'{"query": 1' + b"0" * 5000 + b"}\n", "line 1, is no JSON"),
        (b"7\n", "is no JSON object but a number"),
        (b'{"query": "x", "positive": "y", "query": "z"}\n', "line 1, has two values of 'query' in one object"),
        (b'{"query": "x", "positive": "y", "more": [{"a\\u001b": 1, "a\\u001b": 1}]}\n', "two values of 'a?' in one"),
        (b"\0\0\0\n", "line 1, byte 1 is a zero byte"),
        (b"", "holds no records"),
        (b"\n\n", "holds no records"),
    ],
    ids=[
        "lists",
        "objects",
        "array",
        "array in lines",
        "cut",
        "half",
        "digits",
        "number",
        "twice",
        "twice within",
        "zero",
        "empty",
        "blank",
    ],
)
def test_that_lines_that_are_no_records_are_refused(tmp_path: Path, refusal: Refusal, content: bytes, words: str):
    (tmp_path / "pairs.jsonl").write_bytes(content)
    assert words in refusal(tmp_path / "pairs.jsonl")


def test_that_a_line_that_never_ends_is_refused_without_being_read_whole(tmp_path: Path, refusal: Refusal, monkeypatch):
    monkeypatch.setattr(text_lines, "LONGEST_LINE", 1 << 20)
    with (tmp_path / "pairs.jsonl").open("wb") as file:
        file.write(b'{"query": "')
        file.truncate(1 << 28)
    tracemalloc.start()
    assert "line 1, is longer than 1 MB" in refusal(tmp_path / "pairs.jsonl")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 25


@pytest.mark.parametrize("name", ["pairs.jsonl", "pairs.csv", "pairs.parquet", "documents.npy"])
def test_that_100_gb_of_holes_are_refused_at_once(tmp_path: Path, refusal: Refusal, name: str):
    with (tmp_path / name).open("wb") as file:
        file.truncate(100_000_000_000)
    if name == "documents.npy":
        named = {"queries": tmp_path / name, "documents": tmp_path / name, "qrels": tmp_path / "qrels.tsv"}
        named["qrels"].write_text("0\t0\t1\n")
        assert "is no .npy file" in refusal(**named)
    else:
        assert "memory does not suffice" in refusal(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl", "qrels/test.tsv", "queries.npy"])
def test_that_a_named_pipe_in_a_folder_is_refused_at_once(beir: Path, refusal: Refusal, name: str):
    (beir / name).unlink(missing_ok=True)
    os.mkfifo(beir / name)
    assert "it is a named pipe" in refusal(beir)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet"])
def test_that_pairs_in_a_named_pipe_are_refused_at_once(tmp_path: Path, refusal: Refusal, ending: str):
    os.mkfifo(tmp_path / f"pairs.{ending}")
    assert "it is a named pipe" in refusal(tmp_path / f"pairs.{ending}")
