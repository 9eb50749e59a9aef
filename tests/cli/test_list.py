"""`hnm-lab list`: lines that other programs can split."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from hnm_core.spec.registry import DATASETS, LOSSES, MINERS, MODELS, NEIGHBORS
from tests.cli.conftest import Lab

REGISTRIES = {"miners": MINERS, "losses": LOSSES, "datasets": DATASETS, "models": MODELS, "neighbors": NEIGHBORS}


@pytest.mark.parametrize("what", REGISTRIES)
def test_that_every_registered_name_is_a_line_of_name_help_and_place(lab: Lab, what: str) -> None:
    ended = lab("list", what)
    rows = [line.split("\t") for line in ended.out.splitlines()]
    assert ended.status == 0
    assert [row[0] for row in rows] == REGISTRIES[what].names()
    for name, help_, place in rows:
        module, _, attribute = place.partition(":")
        assert help_.strip(), f"{name} has no help"
        assert callable(getattr(importlib.import_module(module), attribute)), f"{name} is not at {place}"


def test_that_presets_name_their_file_and_the_first_preset_is_first(lab: Lab) -> None:
    rows = [line.split("\t") for line in lab("list", "presets").out.splitlines()]
    assert rows[0][0] == "near-classes"
    assert {"digits", "digits-hardest-hurts", "demo-2019"} <= {row[0] for row in rows}
    assert all(Path(row[2]).is_file() and row[1] for row in rows)


def test_that_no_runs_are_no_lines_and_told_to_one_that_looks(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = lab("list", "runs")
    assert (ended.status, ended.out, ended.err) == (0, "", "")
    with monkeypatch.context() as terminal:
        terminal.setattr("sys.stdout.isatty", lambda: True)
        ended = lab("list", "runs")
    assert (ended.status, ended.out) == (0, "") and ended.err.startswith("No runs in '")


def test_that_an_unknown_list_names_the_known_ones(lab: Lab) -> None:
    ended = lab("list", "miner")
    assert ended.status == 2
    assert ended.out == ""
    assert "Did you mean miners" in ended.err


@pytest.mark.parametrize(
    ("command", "words"), [("list", "miners, "), ("bench", "mining, mine, losses"), ("inspect", "A recording")]
)
def test_that_a_missing_argument_is_told_with_what_it_may_be(lab: Lab, command: str, words: str) -> None:
    ended = lab(command)
    assert (ended.status, ended.out) == (2, "")
    assert "Missing argument" in ended.err and words in ended.err
