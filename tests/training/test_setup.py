"""What `make` does before anything is installed: its words to somebody whose machine lacks something."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("setup.sh", "launch.sh")

pytestmark = pytest.mark.skipif(os.name == "nt" or shutil.which("bash") is None, reason="make and bash are not here")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that set-up reads, without an environment."""
    folder = tmp_path / "a folder with spaces"
    (folder / "scripts").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml", "constraints.txt", *(f"scripts/{script}" for script in SCRIPTS)):
        shutil.copy(ROOT / name, folder / name)
    return folder


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path


def run(folder: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )


def test_that_a_python_that_is_too_old_is_refused_in_words(checkout: Path, tmp_path: Path) -> None:
    old = program(tmp_path / "python3.9", "exit 1")
    done = run(checkout, "scripts/setup.sh", "run", PYTHON=str(old))
    assert done.returncode == 1
    assert "Python 3.11, 3.12 or 3.13" in done.stderr
    assert not (checkout / ".venv").exists()


def environment_that_is_ready(folder: Path) -> Path:
    """An environment whose `pip` notes that it was called and whose `hnm-lab` shows its arguments."""
    calls = folder / "calls"
    program(folder / ".venv/bin/python", f'[ "$2" = pip ] && echo "pip $*" >> "{calls}"; exit 0')
    program(folder / ".venv/bin/hnm-lab", f'echo "$*" >> "{calls}"')
    return calls


def test_that_set_up_happens_once_until_the_requirements_change(checkout: Path) -> None:
    calls = environment_that_is_ready(checkout)
    for _ in range(2):
        assert run(checkout, "scripts/setup.sh", "run").returncode == 0
    assert calls.read_text().count("pip install") == 1
    with (checkout / "constraints.txt").open("a") as file:
        file.write("# changed\n")
    run(checkout, "scripts/setup.sh", "run")
    assert calls.read_text().count("pip install") == 2


def test_that_an_environment_for_the_tests_serves_the_program_too(checkout: Path) -> None:
    calls = environment_that_is_ready(checkout)
    bare = {"PATH": str(shim_folder(checkout))}  # without apt-get, so that nothing is installed on this machine
    assert run(checkout, "scripts/setup.sh", "test", **bare).returncode == 0
    assert run(checkout, "scripts/setup.sh", "run", **bare).returncode == 0
    assert calls.read_text().count("pip install") == 1
    assert ".[test]" in calls.read_text()


def shim_folder(checkout: Path) -> Path:
    """A PATH with what the scripts call and nothing else."""
    folder = checkout / "programs"
    folder.mkdir()
    for name in ("bash", "cat", "cut", "date", "dirname", "env", "find", "head", "id", "ldd", "sha256sum", "uname"):
        found = shutil.which(name)
        if found:
            (folder / name).symlink_to(found)
    return folder


def test_that_with_a_display_the_window_opens(checkout: Path) -> None:
    calls = environment_that_is_ready(checkout)
    assert run(checkout, "scripts/launch.sh", DISPLAY=":7").returncode == 0
    assert calls.read_text().splitlines() == ["gui"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere there is always a display")
def test_that_without_a_display_two_presets_are_recorded_and_a_video_is_made(checkout: Path) -> None:
    calls = environment_that_is_ready(checkout)
    done = run(checkout, "scripts/launch.sh", DISPLAY="", WAYLAND_DISPLAY="")
    assert done.returncode == 0
    first, second, third = (line.split() for line in calls.read_text().splitlines())
    assert first[:3] == ["run", "--preset", "near-classes"]
    assert second[:3] == ["run", "--preset", "digits"]
    assert third[:3] == ["render", first[-1], "demo.mp4"]
    assert str(checkout / "demo.mp4") in done.stdout


def test_that_make_without_a_target_lists_the_targets(checkout: Path) -> None:
    done = run(checkout, "make")
    assert done.returncode == 0
    assert {line.split()[1] for line in done.stdout.splitlines()} >= {"run", "test", "check", "bench", "clean", "help"}
