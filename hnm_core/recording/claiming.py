"""Taking a folder for a new recording, so that nobody else takes it, throws it away, or takes it for one yet."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

from hnm_core.errors import InputError
from hnm_core.recording import disk, unbegun
from hnm_core.recording.gap import FULL
from hnm_core.recording.lock import lock
from hnm_core.words import size


def claimed(folder: Path, what: str) -> IO[bytes]:
    """The lock of a new or empty folder, taken at once, which lasts until it is closed: two that begin together must
    not share one. What a run left there that was killed before it began is cleared away.

    Args:
        folder: is made where it is missing.
        what: cannot be done then, as a sentence begins: "record into".

    Raises:
        InputError: the folder is not empty, is a file, cannot be written, or somebody else has it.
    """
    refusal = f"Cannot {what} '{folder}'"
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"{refusal}: it is a file. Name a new or an empty folder.")
        folder.mkdir(parents=True, exist_ok=True)
        _check_empty(folder, refusal)
        with tempfile.TemporaryFile(dir=folder):
            pass
        try:
            held = lock(folder)
        except (BlockingIOError, PermissionError):
            raise InputError(f"{refusal}: another run is being recorded or copied into it.") from None
        try:
            _check_empty(folder, refusal)  # that other run may have come and gone in between
            unbegun.clear(folder)
        except (InputError, OSError):
            held.close()
            raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"{refusal}: {reason}. Name a folder that can be written.") from error
    return held


def check_room(folder: Path) -> None:
    """Refuse a folder on whose disk not even the beginning of a run fits. Who records beside something else, as the
    window does, goes on without; who asked for a recording wants to hear it before anything is trained.

    Raises:
        InputError: the disk is full.
    """
    trial = folder / "trial.part"
    try:
        with disk.create(trial) as file:
            file.write(bytes(_BEGINNING))  # what is said to be free is not all told: there are quotas
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise InputError(
            f"Cannot record into '{folder}': the disk is full ({size(_BEGINNING)} are needed to begin, "
            f"{size(disk.free_bytes(folder))} are free there). Make room, or name a folder on another disk."
        ) from error
    finally:
        disk.remove(trial)


_BEGINNING = 1 << 20
"""Bytes."""


def _check_empty(folder: Path, refusal: str) -> None:
    """What a run left that was killed before it began is no content."""
    if any(folder.iterdir()) and not unbegun.is_unbegun(folder):
        raise InputError(f"{refusal}: the folder is not empty. Name a new or an empty folder.")
