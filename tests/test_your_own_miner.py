"""What the page on miners of one's own shows works: its code is a plug-in, passes the checks, and trains."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.cli.conftest import Lab, lab
from tests.plug_in_files import forgotten

__all__ = ["forgotten", "lab"]

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "your-own-miner.md").read_text(encoding="utf-8")


@pytest.fixture
def file(tmp_path: Path, forgotten: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the page, in the current folder."""
    first, more, _ = blocks()
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my_miners.py").write_text(first + more)
    return tmp_path / "my_miners.py"


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


def test_that_the_page_is_linked_and_its_miners_pass_the_checks(file: Path) -> None:
    assert "docs/your-own-miner.md" in (ROOT / "README.md").read_text(encoding="utf-8")
    exec(compile(blocks()[2], "test_my_miners.py", "exec"), {})


def test_that_the_page_s_miners_are_listed_and_train(file: Path, lab: Lab) -> None:
    listed = [line.split("\t") for line in lab("list", "miners", "--plugin", file).out.splitlines()]
    assert [
        "far-third",
        "A negative from the farthest part of the other classes: easy ones.",
        "my_miners:FarThird",
    ] in listed
    ended = lab(
        "run", "--preset", "digits", "--plugin", file, "--miner", "far-third", "--miner", "all-closer", "--steps", "12",
        "--set", "lanes.far-third.miner_options.share=0.2", "--set", "lanes.far-third.warmup=2",
        "--set", "lanes.all-closer.warmup=2", "--set", "sampler.batch=32",
    )  # fmt: skip
    assert ended.status == 0, ended.err
    rows = [line.split()[:2] for line in ended.out.split("\n\n")[0].splitlines()[1:]]
    assert rows == [["far-third", "12"], ["all-closer", "12"], ["raw", "pixels"]]


@pytest.mark.parametrize("command", ["gui", "run", "compare", "tune", "list", "bench", "evaluate", "embed", "features"])
def test_that_each_command_that_uses_parts_takes_plug_ins_and_refuses_a_bad_one(lab: Lab, command: str) -> None:
    ended = lab(command, "--plugin", "nowhere.py")
    assert (ended.status, ended.out) == (2, "") and "There is no plug-in file" in ended.err


def test_that_a_miner_over_the_whole_set_is_measured_beside_ours(file: Path, lab: Lab) -> None:
    ended = lab("bench", "mining", "--plugin", file, "--quick", "--repeat", "1", "--only", "far-third", "--json")
    assert ended.status == 0, ended.err
    (row,) = map(json.loads, ended.out.splitlines())
    assert (row["name"], row["ours"]["name"], row["peers"][0]["name"]) == ("far-third", "hnm knn", "plug-in far-third")
    assert row["peers"][0]["check"] == row["ours"]["check"] == "256 tuples" and row["peers"][0]["seconds"] > 0
