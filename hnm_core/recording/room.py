"""How old recordings make room for new ones. Nothing goes that somebody writes, shows or renders, and nothing by
itself that was not named before.
"""

from __future__ import annotations

import datetime
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from hnm_core.recording.layout import RUN_FILE
from hnm_core.recording.lock import nobody_at
from hnm_core.recording.runs import DELETED, LEAVING_FILE, folders, list_runs, named_at
from hnm_core.recording.unbegun import is_unbegun

KEEP_RUNS = 20
KEEP_BYTES = 5_000_000_000
NOTICE_S = 86_400.0
"""So long before it goes a recording is named."""
_CLOCKS_S = 5.0
"""So much coarser than ours may a file system tell time, or another clock be behind."""
MOST_NAMED = 3
"""In one message."""
JUST_NAMED = datetime.timedelta(minutes=1)
"""A folder so new may wait for a run that is about to begin."""


def prune(keep: int = KEEP_RUNS, max_bytes: int = KEEP_BYTES, root: Path | None = None) -> list[Path]:
    """Delete the oldest recordings in `root`, at once, until at most `keep` and `max_bytes` are left; returns what was
    deleted.

    The newest one stays, and every one that somebody writes, shows or renders. What is no recording is never touched.
    """
    return [folder for folder in _too_many(keep, max_bytes, root) if _delete(folder)]


def make_room(keep: int = KEEP_RUNS, max_bytes: int = KEEP_BYTES, root: Path | None = None) -> list[Path]:
    """Before a run is recorded among the others: name those that are too many, and delete those that were named a day
    ago or longer, and what runs left that were killed before they began. Returns those that are named, newest first.
    """
    for folder in _left_behind(root):
        _delete(folder)
    too_many = _too_many(keep, max_bytes, root)
    for folder in list_runs(root):
        if folder not in too_many:
            with suppress(OSError):
                (folder / LEAVING_FILE).unlink()
    return [folder for folder in too_many if not _has_had_notice(folder) or not _delete(folder)]


def in_words(named: Sequence[Path]) -> str:
    """What is to be said of recordings that `make_room` named; empty where there are none."""
    if not named:
        return ""
    names = ", ".join(f"{folder.name} ({_size(folder) / 1e9:,.2f} GB)" for folder in named[:MOST_NAMED])
    more = f" and {len(named) - MOST_NAMED:,} more" if len(named) > MOST_NAMED else ""
    return (
        f"The newest {KEEP_RUNS} recordings are kept, up to {KEEP_BYTES / 1e9:,.0f} GB: from tomorrow on {names}{more} "
        "may go when a run starts. Copy elsewhere what you want to keep."
    )


def _too_many(keep: int, max_bytes: int, root: Path | None) -> list[Path]:
    """Newest first; the newest of all is never among them."""
    found, total = [], 0
    for place, folder in enumerate(list_runs(root)):
        size = _size(folder)
        if place == 0 or (place < keep and total + size <= max_bytes):
            total += size
        else:
            found.append(folder)
    return found


def _has_had_notice(folder: Path) -> bool:
    """Whether it was named so long ago that it may go; if it was not named yet, that is done now."""
    mark = folder / LEAVING_FILE
    try:
        _give_notice(mark)
    except FileExistsError:
        with suppress(OSError):
            since, now = mark.lstat().st_mtime, time.time()
            if since + _CLOCKS_S < (folder / RUN_FILE).lstat().st_mtime or since > now + _CLOCKS_S:
                mark.unlink()  # by a clock that was wrong: notice is given anew
                _give_notice(mark)
                return False
            return now - since >= NOTICE_S
    except OSError:
        pass  # what cannot be marked is not ours to delete
    return False


def _give_notice(mark: Path) -> None:
    with mark.open("x", encoding="utf-8") as file:
        file.write("This recording may be deleted a day after this file was written. Copy it to keep it.\n")


def _delete(folder: Path) -> bool:
    """Throw a folder away, unless somebody is at it; whether it is gone. It is moved first: others see all or none."""
    gone = folder.with_name(f"{DELETED}{folder.name}")
    with nobody_at(folder) as alone:
        if not alone:
            return False
        try:
            folder.rename(gone)
        except OSError:
            return False
    shutil.rmtree(gone, ignore_errors=True)
    return True


def _left_behind(root: Path | None) -> Iterator[Path]:
    """Folders of runs that never began. What is left of a deletion that was broken off is deleted on the way."""
    now = datetime.datetime.now(datetime.UTC)
    for folder in folders(root):
        if folder.name.startswith(DELETED):
            shutil.rmtree(folder, ignore_errors=True)
            continue
        named = named_at(folder)
        waits_for_its_run = named is not None and abs(now - named) < JUST_NAMED
        if not waits_for_its_run and (is_unbegun(folder) or (named is not None and _is_empty(folder))):
            yield folder


def _is_empty(folder: Path) -> bool:
    try:
        return next(folder.iterdir(), None) is None
    except OSError:
        return False


def _size(folder: Path) -> int:
    """Bytes that a folder takes on the disk; a file of holes takes less than its length. What goes meanwhile is 0."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):
                state = Path(place, name).lstat()
                total += min(state.st_size, getattr(state, "st_blocks", state.st_size) * 512)
    return total
