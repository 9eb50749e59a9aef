"""What `docs/retrieval.md` shows works: its commands, on pairs of a user's, and its Python."""

from __future__ import annotations

import gzip
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from app.cli import make_app
from hnm_core.negatives.formats import FORMS
from hnm_core.recording import is_recording
from tests.forked import Forks

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "retrieval.md").read_text(encoding="utf-8")
ALL_COMMANDS = [
    shlex.split(line.removeprefix("$ hnm-lab ").split("#")[0])
    for line in PAGE.splitlines()
    if line.startswith("$ hnm-lab ")
]
OF_ITEMS = [command for command in ALL_COMMANDS if command[1].startswith("tagged.")]
COMMANDS = [command for command in ALL_COMMANDS if command not in OF_ITEMS]


def test_that_its_commands_lead_from_pairs_to_triplets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["red", "green", "blue", "cat", "dog", "bird", "house"]
    pairs = [
        {
            "query": f"{words[row % 7]} {words[row % 5]} {row}",
            "positive": f"{words[row % 7]} {words[row % 5]} {row} {row}"
            if row > 2
            else f"nothing of it {words[6 - row]}",
        }
        for row in range(80)
    ]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert [command[0] for command in COMMANDS] == [
        *("encode", "mine", "review", "review", "mine", "run", "run", "run", "compare"),
        *("evaluate", "evaluate", "embed", "mine", "tune"),
    ]
    monkeypatch.setattr("sys.stdin", io.StringIO("rkdq"))
    for command in COMMANDS[:6]:
        arguments = ["pairs.jsonl" if part == "code-search" else part for part in command]
        if command[0] == "run":
            arguments = [*command, "--steps", "2", "--set", "batch=8"]
        try:
            make_app()(arguments, prog_name="hnm-lab")
        except SystemExit as ended:
            assert not ended.code
    records = [json.loads(line) for line in gzip.decompress((tmp_path / "triplets.jsonl.gz").read_bytes()).splitlines()]
    assert list(records[0]) == ["anchor", "positive", "negative"]
    assert json.loads((tmp_path / "triplets.jsonl.gz.meta.json").read_text())["anchors"] == 80
    decided = [json.loads(line).get("verdict") for line in (tmp_path / "decided.jsonl").read_text().splitlines()]
    assert decided == [None, "relevant", "keep", "drop"]


def test_that_its_commands_and_its_file_train_on_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pairs = [{"query": f"what is number {row}", "positive": f"{row} follows {row - 1}"} for row in range(40)]
    (tmp_path / "pairs.jsonl").write_text("\n".join(map(json.dumps, pairs)), encoding="utf-8")
    (file,) = re.findall(r"^```toml\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    (tmp_path / "own.toml").write_text(file, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    little = ["--data", "pairs.jsonl", "--steps", "2", "--set", "batch=8"]
    more = {"evaluate": [], "embed": [], "mine": [], "tune": [*little, "--trials", "1"]}
    for command in [*COMMANDS[6:], ["run", "own.toml"]]:
        with pytest.raises(SystemExit) as ended:
            make_app()([*command, *more.get(command[0], little)], prog_name="hnm-lab")
        assert not ended.value.code, command
    assert is_recording(tmp_path / "my-search")


def test_that_its_commands_take_items_with_several_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = np.random.default_rng(0)
    x, y = source.standard_normal((60, 3)), source.random((60, 4)) < 0.3
    np.savez(tmp_path / "tagged.npz", x=x, y=y)
    cells = ["|".join(np.array(["sea", "sky", "boat", "sun"])[row]) for row in y]
    lines = [",".join([*map(str, row), cell]) for row, cell in zip(x, cells, strict=True)]
    (tmp_path / "tagged.csv").write_text("\n".join(["a,b,c,label", *lines]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    mined = []
    for command in OF_ITEMS:
        with pytest.raises(SystemExit) as ended:
            make_app()(command, prog_name="hnm-lab")
        assert not ended.value.code, command
        if command[0] == "mine":
            mined.append((tmp_path / "out.jsonl").read_bytes())
            (tmp_path / "out.jsonl").unlink()
            (tmp_path / "out.jsonl.meta.json").unlink()
    assert [command[0] for command in OF_ITEMS] == ["mine", "mine", "audit", "evaluate"]
    assert mined[0] == mined[1]


def test_that_its_python_runs(tmp_path: Path, forks: Forks) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    assert "relative_margin" in forks.python(blocks[1], cwd=tmp_path)


def test_that_it_names_every_format() -> None:
    table = [line for line in PAGE.splitlines() if line.startswith("| `")]
    assert all(any(f"`{name}`" in line for line in table) for name in [*FORMS, "npz"])
