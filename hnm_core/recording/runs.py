"""Where recordings are kept, and how old ones make room."""

from __future__ import annotations

import datetime
import json
import re
import shutil
from pathlib import Path

import platformdirs

from hnm_core.errors import InputError, unknown_name
from hnm_core.recording.header import read_run_file
from hnm_core.recording.layout import KIND, LOCK_FILE, RUN_FILE
from hnm_core.recording.lock import is_being_written

KEEP_RUNS = 20
KEEP_BYTES = 5_000_000_000


def runs_dir() -> Path:
    """The folder with the recordings that the program made by itself; it need not exist yet."""
    return Path(platformdirs.user_data_dir("hnm-lab", appauthor=False)) / "runs"


def list_runs(root: Path | None = None) -> list[Path]:
    """The recordings in `root` (default `runs_dir()`), newest first. Other folders and links are left out."""
    root = runs_dir() if root is None else root
    try:
        folders = [folder for folder in root.iterdir() if _is_recording(folder)]
    except OSError:
        return []
    return sorted(folders, key=lambda folder: (_started(folder), folder.name), reverse=True)


def find_run(run: str | Path) -> Path:
    """The folder of a recording, given as a path or as its name in `list_runs`.

    Raises:
        InputError: there is neither such a folder nor such a name.
    """
    path = Path(run)
    if path.exists():
        return path
    for folder in list_runs():
        if folder.name == str(run):
            return folder
    if len(path.parts) > 1 or not list_runs():
        raise InputError(f"There is no recording '{run}'.")
    raise unknown_name("recording", run, [folder.name for folder in list_runs()])


def new_run_dir(title: str = "", root: Path | None = None) -> Path:
    """A new empty folder in `root` (default `runs_dir()`), named after the time (UTC) and the title.

    Raises:
        InputError: it cannot be made.
    """
    root = runs_dir() if root is None else root
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].rstrip("-") or "run"
    stem = f"{datetime.datetime.now(datetime.UTC):%Y%m%d-%H%M%S}-{words}"
    for attempt in range(1, 1000):
        folder = root / (stem if attempt == 1 else f"{stem}-{attempt}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"Cannot make a folder in '{root}': {error.strerror or error}.") from error
        return folder
    raise InputError(f"Cannot make a folder in '{root}': a thousand of this second's names are taken.")


def prune(keep: int = KEEP_RUNS, max_bytes: int = KEEP_BYTES, root: Path | None = None) -> list[Path]:
    """Delete the oldest recordings in `root` until at most `keep` and `max_bytes` are left; returns what was deleted.

    The newest one and every one that is still being written stay. What is no recording is never touched.
    """
    deleted = []
    total = 0
    for place, folder in enumerate(list_runs(root)):
        total += _size(folder)
        if place == 0 or (place < keep and total <= max_bytes) or is_being_written(folder):
            continue
        total -= _size(folder)
        shutil.rmtree(folder, ignore_errors=True)
        deleted.append(folder)
    return deleted


def copy_run(source: str | Path, target: str | Path) -> Path:
    """Copy a recording, also one that is still being written, to a new or empty folder; returns that folder.

    Raises:
        InputError: the source is no recording, or the target is not empty or cannot be written.
    """
    source, target = Path(source), Path(target)
    read_run_file(source)
    if target.resolve().is_relative_to(source.resolve()):
        raise InputError(f"Cannot copy the recording '{source}' into itself.")
    existed = target.exists()
    try:
        if target.is_dir() and any(target.iterdir()):
            raise InputError(f"Cannot copy to '{target}': the folder is not empty. Name a new or an empty folder.")
        # Index files first: whatever they vouch for is then copied after it was written.
        shutil.copytree(source, target, ignore=_all_but_indexes, dirs_exist_ok=True)
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.idx", LOCK_FILE, "*.part"), dirs_exist_ok=True)
    except OSError as error:
        if not existed:
            shutil.rmtree(target, ignore_errors=True)
        raise InputError(f"Cannot copy to '{target}': {error.strerror or error}.") from error
    return target


def _all_but_indexes(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if not name.endswith(".idx") and not (Path(folder) / name).is_dir()]


def _is_recording(folder: Path) -> bool:
    """Whether the program may take `folder` for its own: a real folder whose run.json says so."""
    try:
        return not folder.is_symlink() and json.loads((folder / RUN_FILE).read_bytes())["kind"] == KIND
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _started(folder: Path) -> str:
    return str(json.loads((folder / RUN_FILE).read_bytes()).get("started", ""))


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())
