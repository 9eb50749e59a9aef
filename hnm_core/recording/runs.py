"""Where recordings are kept, and how they are found and copied."""

from __future__ import annotations

import datetime
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from hnm_core.errors import InputError, unknown_name
from hnm_core.recording import checkpoints, disk
from hnm_core.recording.claiming import claimed
from hnm_core.recording.header import MAX_RUN_FILE, read_run_file
from hnm_core.recording.layout import (
    CHECKPOINTS_FOLDER,
    EVENTS_FILE,
    INDEX_FILE,
    KIND,
    LOCK_FILE,
    RUN_FILE,
    STEPS_FILE,
)
from hnm_core.recording.lock import Held
from hnm_core.system import paths, user_folders
from hnm_core.system.regular_files import copy_regular, read_regular

LEAVING_FILE = "leaving.txt"
"""Lies in a recording that will be deleted to make room."""
DELETED = ".deleted-"
"""What the name of a folder begins with that is being deleted."""

_VOUCHING = (INDEX_FILE, STEPS_FILE)
_STAMP = "%Y%m%d-%H%M%S"


def runs_dir() -> Path:
    """The folder with the recordings that the program made by itself; it need not exist yet."""
    return user_folders.data_folder() / "runs"


def list_runs(root: Path | None = None) -> list[Path]:
    """The recordings in `root` (default `runs_dir()`), newest first. Other folders and links are left out."""
    found = [(started, folder) for folder in folders(root) if (started := _started(folder)) is not None]
    return [folder for _, folder in sorted(found, key=lambda run: (run[0], run[1].name), reverse=True)]


def is_recording(folder: Path) -> bool:
    """Whether `folder` says of itself that it is a recording; it may be damaged."""
    return _started(folder) is not None


def folders(root: Path | None = None) -> Iterator[Path]:
    """All real folders in `root`, by default where the program keeps its own recordings."""
    for place in [root] if root is not None else user_folders.all_of(runs_dir()):
        try:
            entries = list(place.iterdir())
        except OSError:
            continue
        yield from (entry for entry in entries if paths.at_a_glance(entry) == "folder" and not entry.is_symlink())


def find_run(run: str | Path) -> Path:
    """The folder of a recording, given as a path or as its name in `list_runs`.

    Raises:
        InputError: there is neither such a folder nor such a name.
    """
    path = Path(run)
    if paths.exists(path):
        return path
    known = list_runs()
    for folder in known:
        if folder.name == str(run):
            return folder
    if len(path.parts) > 1 or not known:
        raise InputError(f"There is no recording '{run}'.")
    raise unknown_name("recording", run, [folder.name for folder in known])


def new_run_dir(title: str = "", root: Path | None = None) -> Path:
    """A new empty folder in `root` (default `runs_dir()`), named after the time (UTC) and the title.

    Raises:
        InputError: it cannot be made.
    """
    root = user_folders.writable(runs_dir()) if root is None else root
    words = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:40].rstrip("-") or "run"
    stem = f"{datetime.datetime.now(datetime.UTC):{_STAMP}}-{words}"
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


def named_at(folder: Path) -> datetime.datetime | None:
    """When `new_run_dir` named a folder; None for one that it did not name."""
    stamp = re.match(r"\d{8}-\d{6}(?=-)", folder.name)
    with suppress(ValueError):
        return datetime.datetime.strptime(f"{stamp[0]}+0000", f"{_STAMP}%z") if stamp else None
    return None


def copy_run(source: str | Path, target: str | Path) -> Path:
    """Copy a recording, one that is still being written as it is now, to a new or empty folder; returns that folder.

    Raises:
        InputError: the source is no recording, or the target is not empty or cannot be written.
    """
    source, target = Path(source), Path(target)
    held = Held(source)  # it stays until it is copied
    read_run_file(source)
    if Path(os.path.realpath(target)).is_relative_to(os.path.realpath(source)):
        raise InputError(f"Cannot copy the recording '{source}' into itself.")
    existed = paths.exists(target)
    taken = claimed(target, "copy to")  # nobody records into it, nor takes it for what a killed run left
    try:
        _copy(source, target)
    except BaseException as error:
        taken.close()
        _empty(target) if existed else shutil.rmtree(target, ignore_errors=True)
        if isinstance(error, OSError):
            raise InputError(f"Cannot copy to '{target}': {paths.why(error)}.") from error
        raise
    taken.close()
    del held
    return target


def _copy(source: Path, target: Path) -> None:
    checkpoints.copy(source, target)
    run_file, sizes = as_it_is_now(source)
    for path, size in sizes.items():
        copy = target / path.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # its run goes on, and may put something in its place; or it was never there
            copy_regular(path, copy, size)
    with disk.whole_file(target / RUN_FILE) as file:  # last: from here on it is a recording
        file.write(run_file)


def as_it_is_now(source: Path) -> tuple[bytes, dict[Path, int]]:
    """Of a recording, also of one that is being written: what `run.json` says, and of its other files, checkpoints left
    out, how many bytes of each belong together. One of them may be gone when it is read, where its run goes on.

    Raises `OSError`.
    """
    sizes = {source / EVENTS_FILE: _size(source / EVENTS_FILE)}
    run_file = read_regular(source / RUN_FILE, MAX_RUN_FILE)  # it names all lanes that events tell of
    for path in sorted(_copied(source), key=_place):
        sizes.setdefault(path, _size(path))
    return run_file, sizes


def _empty(folder: Path) -> None:
    """Delete what a copy that was broken off left in a folder that was empty before."""
    for entry in folder.iterdir():
        with suppress(OSError):
            disk.remove(entry)


def _copied(source: Path) -> Iterator[Path]:
    """The files of a recording that are copied as they are."""
    for place, folders_there, names in os.walk(source):
        passing = _passing(place, [*folders_there, *names])
        folders_there[:] = [name for name in folders_there if name not in passing]
        yield from (Path(place, name) for name in names if name not in passing)


def _place(path: Path) -> int:
    """A key that puts first what says that other files hold something: those are then as long as it says."""
    return _VOUCHING.index(path.name) if path.name in _VOUCHING else len(_VOUCHING)


def _size(path: Path) -> int:
    """Bytes; 0 of what has just gone."""
    try:
        return path.lstat().st_size
    except OSError:
        return 0


def _passing(folder: str, names: list[str]) -> list[str]:
    """What is copied by itself, what may be gone while it is copied, and what is no part of a recording: marks of the
    program's, and what is neither a file nor a folder, for it may have no end."""
    return [
        name
        for name in names
        if name.endswith(".part")
        or name in (RUN_FILE, LOCK_FILE, LEAVING_FILE, CHECKPOINTS_FOLDER)
        or not (_is(stat.S_ISREG, folder, name) or _is(stat.S_ISDIR, folder, name))
    ]


def _is(kind: Callable[[int], bool], folder: str, name: str) -> bool:
    try:
        return kind(Path(folder, name).lstat().st_mode)
    except FileNotFoundError:  # it has just gone
        return False


def _started(folder: Path) -> str | None:
    """When the run in `folder` started; None where it holds no recording that says it is one of ours."""
    try:
        values = json.loads(read_regular(folder / RUN_FILE, MAX_RUN_FILE))
        return str(values.get("started", "")) if values["kind"] == KIND else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
