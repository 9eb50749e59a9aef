"""Folders of runs that were killed before they began. They hold what a writer makes before `run.json`: nothing that
anybody could look at, and nothing that anybody else put there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from hnm_core.recording.layout import LANE_FOLDER, LOCK_FILE, RUN_FILE

_OURS = (".npy", ".npz", ".bin", ".idx", ".jsonl", ".part")
_HEAD_BYTES = 64
"""A file of a lane in which no step and no frame was written yet is no longer."""


def is_unbegun(folder: Path) -> bool:
    """Whether a writer claimed `folder` and got no further: its lock file is there, no `run.json`, nothing of a run's
    steps, and nothing that is not a writer's."""
    try:
        files = list(_files(folder))
    except OSError:
        return False
    return LOCK_FILE in {file.name for file in files if file.parent == folder} and all(
        file.name == LOCK_FILE
        or (file.suffix in _OURS and file.name != RUN_FILE and (file.parent == folder or _is_empty(file)))
        for file in files
    )


def clear(folder: Path) -> None:
    """Delete what lies in a folder that `is_unbegun`, but for its lock file. Raises `OSError`."""
    for file in _files(folder):
        if file.name != LOCK_FILE:
            file.unlink()
    for lane in folder.iterdir():
        if lane.name != LOCK_FILE:
            lane.rmdir()


def _files(folder: Path) -> Iterator[Path]:
    """All that lies in the folder and in those of its lanes; a folder that is no lane's is told as if it were a
    file."""
    for entry in folder.iterdir():
        if re.match(LANE_FOLDER, entry.name) and entry.is_dir() and not entry.is_symlink():
            yield from entry.iterdir()
        else:
            yield entry


def _is_empty(file: Path) -> bool:
    return file.lstat().st_size <= _HEAD_BYTES
