"""Runs the commands as a user does, inside this process, or as a process of its own where that is what is tested."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from app import cli
from tests.forked import Forks, Process

ROOT = Path(__file__).resolve().parents[2]
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
PLACES = ("QT_QPA_PLATFORM", "COLUMNS", "XDG_CONFIG_HOME", "XDG_DATA_HOME")

TINY = """
seed = 7
steps = 6
frame_every = 2
eval_every = 3
[data]
name = "blobs"
options = { classes = 3, points = 90, dim = 5 }
[model]
options = { widths = [8] }
[sampler]
batch = 16
[[lanes]]
name = "one"
miner = "random"
[[lanes]]
name = "two"
miner = "knn"
miner_options = { pool = 2 }
"""
"""Two lanes on little data: a run takes well under a second once torch is loaded."""


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


Lab = Callable[..., Ended]


@pytest.fixture(autouse=True)
def own_data_folder(user_folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where recordings and reports of a test go. Nothing sees a display, and lines are wide."""
    for variable in DISPLAYS:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("QT_QPA_PLATFORM", "offscreen")
    monkeypatch.setenv("COLUMNS", "120")
    return user_folders / "data"


@pytest.fixture
def lab(capsys: pytest.CaptureFixture[str]) -> Lab:
    """`lab("run", ...)` is `hnm-lab run ...`."""

    def call(*arguments: str | Path) -> Ended:
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            cli.make_app()([str(argument) for argument in arguments], prog_name="hnm-lab")
        out, err = capsys.readouterr()
        status = exit_.value.code
        assert status is None or isinstance(status, int)
        return Ended(status or 0, out, err)

    return call


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A configuration file with two small lanes."""
    path = tmp_path / "tiny.toml"
    path.write_text(TINY)
    return path


Start = Callable[..., Process]


@pytest.fixture
def start(forks: Forks, own_data_folder: Path) -> Start:
    """`start("run", ..., out=file)` is `hnm-lab run ... > file`, as a process of its own."""
    env = {name: os.environ.get(name) for name in (*DISPLAYS, *PLACES)} | {"PYTHONWARNINGS": "error::ResourceWarning"}
    return partial(forks.start, cwd=ROOT, env=env)
