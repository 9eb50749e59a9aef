"""Runs the commands as a user does, inside this process, or as a process of its own where that is what is tested."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import cli

ROOT = Path(__file__).resolve().parents[2]

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
    for variable in ("DISPLAY", "WAYLAND_DISPLAY"):
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


def start(*arguments: str | Path) -> subprocess.Popen[str]:
    """`hnm-lab ...` as a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "app", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONWARNINGS": "error::ResourceWarning"},
    )
