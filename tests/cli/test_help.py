"""Help, version, and what the commands load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hnm_core
from tests.cli.conftest import ROOT, Lab

COMMANDS = ["gui", "run", "list", "inspect", "export", "doctor", "render", "demo", "features"]
COMMANDS += ["compare", "tune", "evaluate", "embed", "bench"]


@pytest.mark.parametrize("command", [[], *[[name] for name in COMMANDS]], ids=["hnm-lab", *COMMANDS])
def test_that_help_is_shown_and_ends_well(lab: Lab, command: list[str]) -> None:
    ended = lab(*command, "--help")
    assert ended.status == 0
    assert "Usage: hnm-lab" in ended.out
    assert all(name in ended.out for name in ([] if command else COMMANDS))


def test_that_help_and_lists_load_neither_torch_nor_qt() -> None:
    code = """
import sys
from app import cli
for arguments in (["--help"], ["gui", "--help"], ["list", "miners"], ["list", "presets"], ["--version"]):
    try:
        cli.make_app()(arguments, prog_name="hnm-lab")
    except SystemExit as end:
        assert not end.code, arguments
loaded = {"torch", "PyQt6", "sklearn", "numba", "av", "scipy"} & set(sys.modules)
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_that_the_version_is_the_packages(lab: Lab) -> None:
    assert lab("--version").out == f"hnm-lab {hnm_core.__version__}\n"


def test_that_the_engine_has_a_command_line_of_its_own_without_the_app(tmp_path: Path) -> None:
    code = "import runpy, sys; sys.argv = ['hnm_core']; runpy.run_module('hnm_core', run_name='__main__')"
    check = f"{code[:-1]}, alter_sys=True)"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    commands = {line.split()[1] for line in done.stdout.splitlines() if line.startswith("│ ") and line[2].isalpha()}
    assert {"run", "list", "inspect", "export", "doctor"} <= commands
    assert not {"gui", "render", "demo"} & commands
