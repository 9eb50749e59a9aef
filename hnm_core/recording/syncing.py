"""Has what was recorded on the disk within a second, on a thread of its own: a power cut loses no more than that."""

from __future__ import annotations

import errno
import threading
from pathlib import Path

from hnm_core.recording import disk
from hnm_core.recording.disk import GrowingFile
from hnm_core.recording.layout import INDEX_FILE, STEPS_FILE

INTERVAL_S = 0.5
"""Between two rounds. One round takes time itself, and both together are to stay under a second."""
_VOUCHING = (STEPS_FILE, INDEX_FILE)
"""What vouches for other files, for metrics of layers and for frames: these come last, in this order."""


class Syncer:
    """Syncs the files of one recording until `close`, and watches over its folder.

    What goes wrong is kept for the thread that records, which asks for it with `check`.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._id = _id(folder)
        self._files: list[GrowingFile] = []
        self._folders: set[Path] = set()
        self._changing = threading.Lock()  # of the lists; held for moments
        self._syncing = threading.Lock()  # held for a round
        self._over = threading.Event()
        self._problem: OSError | None = None
        self._thread: threading.Thread | None = None

    def add(self, file: GrowingFile) -> None:
        """Sync this file, too. Files that vouch for what others hold come after them."""
        with self._changing:
            self._files.append(file)
            self._files.sort(key=lambda file: _VOUCHING.index(file.path.name) if file.path.name in _VOUCHING else -1)
            self._folders.add(file.path.parent)
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="hnm-syncer", daemon=True)
            self._thread.start()

    def leave_out(self, file: GrowingFile) -> None:
        """Sync it no more. It may be closed when this returns."""
        with self._syncing, self._changing:
            self._files.remove(file)
            self._folders.discard(file.path.parent)

    def check(self) -> None:
        """Raises the `OSError` that the last round ended with, if it did."""
        if self._problem is not None:
            raise self._problem

    def check_folder(self) -> None:
        """Raises `FileNotFoundError` where the folder, or a file in it, is not there any more."""
        with self._changing:
            files = list(self._files)
        if _id(self._folder) != self._id or not all(file.is_there() for file in files):
            raise FileNotFoundError(errno.ENOENT, "the folder was removed or renamed while it was written")

    def sync(self) -> None:
        """One round. Raises `OSError`."""
        with self._syncing:
            self.check_folder()
            with self._changing:
                files, folders, self._folders = list(self._files), self._folders, set()
            try:
                for file in files:
                    file.sync()
                for folder in folders:  # names of new files
                    disk.sync_folder(folder)
            except OSError:
                with self._changing:
                    self._folders |= folders
                raise

    def close(self) -> None:
        """A last round, and the end of the thread. Raises `OSError` where that round could not be done."""
        self._over.set()
        if self._thread is not None:
            self._thread.join()
        self.sync()

    def _work(self) -> None:
        while not self._over.wait(INTERVAL_S):
            try:
                self.sync()
                self._problem = None
            except OSError as error:
                self._problem = error


def _id(folder: Path) -> tuple[int, int] | None:
    """Which folder this is, whatever its name; None where there is none."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
