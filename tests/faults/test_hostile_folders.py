"""A folder full of files that are called like modules, or that are no files at all: nothing runs, nothing hangs."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hnm_core.errors import InputError
from hnm_core.models.weights import read_state_dict
from hnm_core.recording import copy_run, list_runs, open_recording, record
from hnm_core.recording.lock import is_being_written, lock
from hnm_core.spec import config
from hnm_core.system import processes
from hnm_core.system.regular_files import open_regular, read_regular
from tests.families import across
from tests.faults.commands import Things
from tests.forked import Forks
from tests.recording import made_up

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="devices and processes as Linux has them")

ROOT = Path(__file__).resolve().parents[2]
SHADOWS = (
    "filelock", "numpy", "random", "torch", "numba", "scipy", "sklearn", "pydantic", "typer", "rich", "platformdirs",
    "PyQt6", "pyqtgraph", "qasync", "av", "tomli_w", "cupy", "faiss", "pyarrow", "PIL", "matplotlib", "optuna",
    "hnm_core", "app", "pathlib", "json", "subprocess", "tempfile", "signal", "sitecustomize", "usercustomize",
)  # fmt: skip
"""The names of all that we import, and of what Python itself does."""


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder with a file of each of these names, which leaves a trace when it runs."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in SHADOWS:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r} + ' ')\n")
    return folder


@pytest.fixture
def things(tmp_path: Path) -> Things:
    made = Things.made_in(tmp_path)
    list(record(made_up.run(2, 8), made.run))
    return made


@pytest.mark.parametrize(
    "words",
    [
        "{lab} run {config}",
        pytest.param("{lab} gui {config} --quit-after 0.1", marks=pytest.mark.thorough),
        pytest.param("-m app features {data} {new}.npz --backbone mlp", marks=pytest.mark.thorough),
        pytest.param("-m hnm_core run {config}", marks=pytest.mark.thorough),
    ],
)
def test_that_nothing_in_the_current_folder_runs(hostile: Path, tmp_path: Path, things: Things, words: str) -> None:
    lab = tmp_path / "bin" / "hnm-lab"  # as an installation makes it
    lab.parent.mkdir()
    lab.write_text("from app.cli import main\nmain()\n")
    if words.startswith("-m"):  # such a name is then what is asked for
        for name in ("app", "hnm_core"):
            (hostile / f"{name}.py").unlink()
    there = sorted(hostile.iterdir())
    ended = subprocess.run(
        [sys.executable, *words.format(lab=lab, config=things.config, data=things.data, new=tmp_path / "new").split()],
        cwd=hostile,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
    assert ended.returncode == 0, ended.stderr
    assert sorted(hostile.iterdir()) == there


@pytest.mark.thorough
def test_that_no_process_of_ours_is_told_of_the_current_folder(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(hostile)
    monkeypatch.setattr(sys, "path", ["", str(hostile), ".", *sys.path])
    ended = subprocess.run(
        processes.command("app.training.child"), env=processes.environment(), stdin=subprocess.DEVNULL, timeout=120
    )
    assert ended.returncode == 0
    assert not (hostile.parent / "ran").exists()
    path = processes.environment()["PYTHONPATH"].split(os.pathsep)
    assert str(hostile) not in path and str(ROOT) in path
    assert path == [entry for entry in sys.path if Path(entry).is_absolute() and entry != str(hostile)]


def test_that_a_network_of_the_users_is_found_in_the_current_folder_behind_what_is_installed(
    hostile: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hnm_core.models import backbone

    (hostile / "my_network.py").write_text(
        "import colorsys, torch\nassert colorsys.rgb_to_hsv\n\ndef make():\n    return torch.nn.Linear(4, 2)\n"
    )
    (hostile / "colorsys.py").write_text((hostile / "numpy.py").read_text())
    monkeypatch.chdir(hostile)
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    before = list(sys.path)
    assert backbone.create("my_network:make", (4,), weights=None, seed=0).out_features == 2
    assert not (hostile.parent / "ran").exists() and sys.path == before
    sys.modules.pop("my_network")


KINDS = ("pipe", "device", "link to a device", "socket", "folder")


@pytest.fixture(params=KINDS)
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Something that is no file: reading it would wait, or never end."""
    path = tmp_path / "no-file"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "device":
        path = Path("/dev/zero")
    elif request.param == "link to a device":
        path.symlink_to("/dev/zero")
    elif request.param == "folder":
        path.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        if request.param == "socket":
            listening.bind(str(path))
        yield path


@pytest.mark.timeout(20)
def test_that_only_regular_files_are_read(no_file: Path) -> None:
    with pytest.raises(OSError):
        open_regular(no_file)
    for read in (config.load, read_state_dict, open_recording):
        with pytest.raises(InputError, match=str(no_file)):
            read(no_file)


@pytest.mark.timeout(20)
def test_that_a_pipe_or_a_device_in_a_recording_is_passed_over(no_file: Path, tmp_path: Path) -> None:
    root = tmp_path / "runs"
    for name in ("good", "bad", "locked"):
        list(record(made_up.run(2, 8), root / name))
    (root / "bad" / "run.json").unlink()
    (root / "bad" / "run.json").symlink_to(no_file)
    (root / "locked" / "writing.lock").unlink(missing_ok=True)
    (root / "locked" / "writing.lock").symlink_to(no_file)
    assert {folder.name for folder in list_runs(root)} == {"good", "locked"}
    assert not is_being_written(root / "locked")
    with pytest.raises(InputError):
        open_recording(root / "bad")
    with pytest.raises(OSError):
        lock(root / "locked")
    copy = copy_run(root / "locked", tmp_path / "copy")
    assert open_recording(copy).lanes == open_recording(root / "good").lanes


@pytest.mark.timeout(20)
def test_that_what_a_lock_file_leads_to_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "writing.lock").symlink_to(tmp_path / "thesis.txt")
    with pytest.raises(InputError, match="Cannot record into"):
        record(made_up.run(), tmp_path / "run")
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_that_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 10)
    assert read_regular(path, 10) == b"x" * 10
    with pytest.raises(OSError, match="larger than"):
        read_regular(path, 9)
    with pytest.raises(OSError, match="larger than"):  # it says that it is empty
        read_regular(Path("/proc/self/smaps"), 10)
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(InputError, match="larger than"):
        config.load(path)


WITH_NO_FILE = [
    "run {odd}", "run {config} --set data.name=file --set data.options.path={odd}.npz", "evaluate {odd}.csv",
    "features {data} {new}.npz --backbone mlp --weights {odd}", "inspect {odd}", "inspect {folder}",
    "export {folder} --to csv", "render {folder} {new}.mp4", "render {run} {odd}.mp4", "gui {odd}",
    "run {config} --plugin {odd}.py", "embed {run} {odd}.npz {new}.npz", "run {config} --record {odd}",
    "compare {config} --out {odd}", "mine {odd}.jsonl {new}.jsonl", "mine {data} {odd}.jsonl --format ids",
    "mine {pairs} {new}.jsonl --encoder hashed-words --candidates {odd}.npz", "encode {odd}.jsonl {new}",
    "audit {odd}.npz", "review {odd}.jsonl --data {data}", "run --preset code-search --data {odd}.jsonl",
]  # fmt: skip


@pytest.mark.parametrize(("words", "kind"), across(WITH_NO_FILE, ["pipe", "endless", "long", "closed"]))
def test_that_no_command_hangs_or_breaks_over_what_is_no_file(
    lab: Forks, things: Things, tmp_path: Path, words: str, kind: str
) -> None:
    odd, folder = tmp_path / "odd", tmp_path / "folder"
    folder.mkdir()
    for path in (
        odd,
        *(tmp_path / f"odd{suffix}" for suffix in (".npz", ".csv", ".py", ".mp4", ".jsonl")),
        folder / "run.json",
    ):
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "endless":
            path.symlink_to("/dev/zero")
    if kind in ("long", "closed"):
        odd = tmp_path / ("x" * 300) if kind == "long" else things.config / "below-a-file"
        folder = odd
    places = {"odd": odd, "folder": folder, "new": tmp_path / "new", **vars(things)}
    arguments = [word.format(**places) for word in words.split()]
    ended = lab.run(*arguments, cwd=tmp_path)
    assert ended.status == 2, ended
    *_, last = ended.err.splitlines()
    assert last.startswith("Error: ") and "bug" not in ended.err and "Traceback" not in ended.err, ended
