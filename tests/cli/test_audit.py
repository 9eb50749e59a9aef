"""`hnm-lab audit`: the table, the document, the folder."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hnm_core.negatives.mining import Miner
from tests.cli.conftest import Lab


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Embeddings of 80 queries, each beside its document."""
    source = np.random.default_rng(1)
    documents = source.standard_normal((80, 12)).astype(np.float32)
    path = tmp_path / "set"
    path.mkdir()
    np.save(path / "documents.npy", documents)
    np.save(path / "queries.npy", documents + 0.9 * source.standard_normal((80, 12)).astype(np.float32))
    (path / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "".join(f"{row}\t{row}\t1\n" for row in range(80)))
    return path


def test_that_a_set_is_audited_in_a_table_with_advice_a_document_and_a_plot(
    lab: Lab, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ended = lab("audit", folder, out, "--anchors", "50", "--search", "routed,recall=0.99", "--way", "rank_min=2")
    assert ended.status == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0].split()[:3] == ["search,", "way", "front"]
    table = [line for line in lines[1:] if not line.startswith(("Take", str(out)))]
    assert len(table) == 5 * 6 + 1
    assert any(line.startswith("routed,recall=0.99, rank_min=2") for line in table)
    assert sum(line.startswith("Take '") for line in lines) == 1
    assert lines[-3:] == [str(out / name) for name in ("audit.json", "audit.png", "audit.svg")]
    assert "50 anchors, a sample of 80" in ended.err
    assert "of this machine" in ended.err
    assert "proves nothing" in ended.err
    document = json.loads((out / "audit.json").read_text())
    assert len(document["rows"]) == len(table)
    assert document["advice"] in lines
    assert (out / "audit.png").read_bytes().startswith(b"\x89PNG")


def test_that_items_of_classes_come_as_one_document(lab: Lab, tmp_path: Path) -> None:
    source = np.random.default_rng(0)
    y = np.arange(60) % 4
    x = source.standard_normal((4, 6))[y] + 0.5 * source.standard_normal((60, 6))
    wrong = np.where(np.arange(60) < 6, (y + 1) % 4, y)
    np.savez(tmp_path / "points.npz", x=x, y=wrong, y_true=y)
    ended = lab("audit", tmp_path / "points.npz", "--metric", "euclidean", "--json", "--negatives", "2")
    assert ended.status == 0, ended.err
    document = json.loads(ended.out)
    assert document["truth_known"] is True
    by_name = {(row["search"], row["way"]): row for row in document["rows"]}
    assert by_name["exact", "nearest"]["known"] > by_name["", "random"]["known"]
    assert by_name["", "random"]["recall"] is None
    assert "proves nothing" not in ended.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--metric", "cosin"], "Did you mean cosine"),
        (["--search", "exakt"], "Did you mean exact"),
        (["--way", "rank_min"], "KEY=VALUE"),
        (["--way", "seed=3"], "same for all ways"),
        (["--anchors", "0"], "at least 1"),
        (["--encoder", "hashed-words"], "has embeddings already"),
    ],
)
def test_that_what_does_not_go_is_refused_in_a_sentence(
    arguments: list[str], words: str, lab: Lab, folder: Path
) -> None:
    ended = lab("audit", folder, *arguments)
    assert ended.status == 2
    assert words in ended.err
    assert "Traceback" not in ended.err


def test_that_ctrl_c_ends_it_without_a_file(
    lab: Lab, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_given: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Miner, "block", interrupted)
    ended = lab("audit", folder, tmp_path / "out")
    assert (ended.status, ended.out) == (130, "")
    assert not list((tmp_path / "out").iterdir())
