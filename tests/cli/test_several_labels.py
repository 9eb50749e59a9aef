"""Files whose items have several labels each, through the commands that take them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Lab

SOURCE = np.random.default_rng(1)
X = SOURCE.standard_normal((120, 6)).astype(np.float32)
TABLE = SOURCE.random((120, 5)) < 0.25
NAMES = ("boat", "car", "cloud", "sea", "tree")


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A table of numbers with tags in one column."""
    lines = [
        ",".join([*map(str, row), "|".join(name for name, on in zip(NAMES, tags, strict=True) if on)])
        for row, tags in zip(X, TABLE, strict=True)
    ]
    path = tmp_path / "tagged.csv"
    path.write_text("a,b,c,d,e,f,label\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_that_tags_are_mined_by_what_shares_none(lab: Lab, tagged: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    ended = lab("mine", tagged, out, "--format", "ids", "--classes", "--set", "label_separator=|")
    assert ended.status == 0, ended.err
    without = int((~TABLE.any(1)).sum())
    assert "120 items; 5 labels" in ended.err
    assert f"{without} items have none: they are never an anchor" in ended.err
    assert f"Fewer negatives than asked for: {without} anchors, no positive." in ended.err
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == 120
    shared = (TABLE.astype(int) @ TABLE.T.astype(int)) > 0
    for line in lines:
        assert not shared[line["query_id"], line["negative_ids"]].any()
        assert shared[line["query_id"], line["positive_ids"]].all()


def test_that_a_table_of_labels_is_audited(lab: Lab, tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", features=X, labels=TABLE, class_names=np.array(NAMES))
    ended = lab("audit", tmp_path / "set.npz")
    assert ended.status == 0, ended.err
    assert "nearer to their anchor than every positive it stands with" in ended.err
    assert "Take '" in ended.out


def test_that_evaluate_scores_rankings_alone_and_says_what_is_relevant(lab: Lab, tagged: Path) -> None:
    ended = lab("evaluate", tagged, "--set", "label_separator=|", "--json")
    assert ended.status == 0, ended.err
    assert "Relevant is what shares a label." in ended.err
    figures = json.loads(ended.out)["figures"]
    assert 0 < figures["tagged.csv"]["map_at_r"] < 1
    assert figures["chance"]["precision_at_1"] == pytest.approx(figures["tagged.csv"]["precision_at_1"], abs=0.2)
    assert "NMI, k-means" not in ended.out
    codes = lab("evaluate", tagged, "--set", "label_separator=|", "--codes")
    assert codes.status == 2
    assert "--codes is not allowed" in codes.err


def test_that_commands_that_need_one_class_say_so(lab: Lab, tmp_path: Path) -> None:
    np.savez(tmp_path / "set.npz", x=X, y=TABLE)
    ended = lab("review", tmp_path / "out.jsonl", "--list", "--data", tmp_path / "set.npz")
    assert ended.status == 2
    assert "several labels each, and here each needs one class" in ended.err


def test_that_a_preset_trains_on_tags_where_its_lanes_can(lab: Lab, tagged: Path, tmp_path: Path) -> None:
    parted = ("--set", "data.options.label_separator=|", "--steps", "3")
    for preset in ("near-classes", "types-of-triplets"):
        ended = lab("run", "--preset", preset, "--data", tagged, *parted, "--record", tmp_path / preset)
        assert ended.status == 0, ended.err
        assert "120 x 6, 5 labels" in ended.err
        assert "\nMAP@R and P@1: " in ended.err, "a vote is of classes"
    refused = lab("run", "--preset", "lsh-batches", "--data", tagged, *parted)
    assert refused.status == 2
    assert "The sampler 'neighbours' goes by classes" in refused.err
