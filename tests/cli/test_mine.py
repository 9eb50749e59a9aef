"""`hnm-lab mine`: from what a user has to a file, and what is said on the way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Lab

WORDS = [
    "red",
    "green",
    "blue",
    "fast",
    "slow",
    "big",
    "small",
    "cat",
    "dog",
    "bird",
    "house",
    "tree",
    "river",
    "stone",
    "wind",
    "fire",
    "iron",
    "gold",
]


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """120 pairs of a query and its document; two queries occur twice."""
    source = np.random.default_rng(3)
    lines = []
    for number in range(120):
        words = source.choice(WORDS, 6).tolist()
        query = "the same query" if number in (5, 50) else f"{' '.join(words[:3])} {number}"
        lines.append(json.dumps({"query": query, "positive": f"{' '.join(words)} {number}"}))
    path = tmp_path / "pairs.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_that_pairs_become_triplets_with_their_story_beside_them(lab: Lab, pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    ended = lab("mine", pairs, out, "--encoder", "hashed-words", "--num-negatives", "4", "--relative-margin", "0.05")
    assert (ended.status, ended.out) == (0, f"{out}\n")
    assert "119 anchors" in ended.err
    assert "Removed by relative_margin" in ended.err
    found = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert set(found[0]) == {"anchor", "positive", "negative"}
    assert all(record["positive"] != record["negative"] for record in found)
    meta = json.loads((tmp_path / "out.jsonl.meta.json").read_text(encoding="utf-8"))
    assert meta["records"] == len(found)
    assert meta["options"]["negatives"] == 4


def test_that_both_names_of_an_option_and_a_set_of_embeddings_give_the_same(
    lab: Lab, pairs: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "encoded"
    assert lab("encode", pairs, folder).status == 0
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    assert (
        lab("mine", folder, one, "--range-min", "2", "--range-max", "20", "--sampling-strategy", "random").status == 0
    )
    ended = lab("mine", folder, two, "--rank-min", "2", "--rank-max", "20", "--option", "select=rank-window", "--json")
    assert one.read_bytes() == two.read_bytes()
    assert json.loads(ended.out)["format"] == "triplet"


def test_that_items_of_classes_are_mined_by_their_labels(lab: Lab, tmp_path: Path) -> None:
    source = np.random.default_rng(0)
    np.savez(tmp_path / "points.npz", x=source.standard_normal((50, 8)), y=np.arange(50) % 5)
    out = tmp_path / "out.jsonl"
    ended = lab("mine", tmp_path / "points.npz", out, "--format", "ids", "--metric", "euclidean")
    assert ended.status == 0, ended.err
    found = [json.loads(line) for line in out.read_text().splitlines()]
    assert len(found) == 50
    assert all((record["query_id"] - other) % 5 for record in found for other in record["negative_ids"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "has texts without embeddings"),
        (["--encoder", "hashed-words", "--metric", "cosin"], "Unknown metric 'cosin'. Did you mean cosine"),
        (["--encoder", "hashed-words", "--search", "exakt"], "Did you mean exact"),
        (["--encoder", "hashed-words", "--option", "pol=3"], "pol"),
        (["--encoder", "hashed-words", "--option", "rank_min=3"], "write --rank-min"),
        (["--encoder", "hashed-words", "--format", "triples"], "Unknown format 'triples'"),
        (["--encoder", "hashed-words", "--like", "sentence-transformers", "--option", "pool=3"], "pool is unknown"),
        (["--encoder", "hashed-words", "--search-option", "recall=2", "--search", "routed"], "recall"),
        (["--encoder", "hashed-words", "--candidates", "nowhere.npy"], "cannot be read"),
    ],
)
def test_that_what_does_not_go_is_refused_in_a_sentence(
    arguments: list[str], words: str, lab: Lab, pairs: Path, tmp_path: Path
) -> None:
    ended = lab("mine", pairs, tmp_path / "out.jsonl", *arguments)
    assert ended.status == 2
    assert words in ended.err
    assert "Traceback" not in ended.err
    assert not (tmp_path / "out.jsonl").exists()


def test_that_a_recording_is_refused_with_the_command_that_makes_embeddings_of_it(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "my run").mkdir()
    (tmp_path / "my run" / "run.json").write_text("{}")
    ended = lab("mine", tmp_path / "my run", tmp_path / "out.jsonl")
    assert ended.status == 2
    assert f"is a recording: `hnm-lab embed '{tmp_path / 'my run'}' OUT --lane NAME` writes" in ended.err


def test_that_nothing_that_is_read_is_written_over(lab: Lab, pairs: Path, tmp_path: Path) -> None:
    """A set of one's own is worth more than negatives; only what this command wrote before is replaced."""
    before = pairs.read_bytes()
    (tmp_path / "link.jsonl").symlink_to(pairs)
    for out in (pairs, tmp_path / "link.jsonl"):
        ended = lab("mine", pairs, out, "--encoder", "hashed-words")
        assert ended.status == 2 and f"'{out}' is part of what is read and would be written over" in ended.err
        assert pairs.read_bytes() == before
    code = tmp_path / "code"
    assert lab("encode", pairs, code).status == 0
    kept = (code / "corpus.jsonl").read_bytes()
    assert lab("mine", code, code / "corpus.jsonl").status == 2
    assert (code / "corpus.jsonl").read_bytes() == kept
    for _ in range(2):
        assert lab("mine", code, code / "mined.jsonl").status == 0, "a name of its own, and once more"
    lists = tmp_path / "lists.npz"
    np.savez(lists, I=np.zeros((119, 2), np.int64))
    assert lab("mine", code, lists, "--candidates", lists).status == 2
    assert (code / "mined.jsonl").exists() and np.load(lists)["I"].shape == (119, 2)
