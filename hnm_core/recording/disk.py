"""Everything a recording does to the disk, in few primitive steps, and what is made of them: files that only grow, and
files that are there whole or not at all. Tests put a disk that loses things in the place of the primitives."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from hnm_core.system.syncing import sync_folder as sync_folder
from hnm_core.system.syncing import sync_path as sync_path
from hnm_core.system.syncing import where_possible
from hnm_core.system.whole_files import put

_sync_data = getattr(os, "fdatasync", os.fsync)  # Windows and macOS have no fdatasync


class UnwrittenError(OSError):
    """The system refused to take bytes."""

    needed: int = 0
    """How many they were."""


# The primitives


class OutFile(FileIO):
    """A new file; all that is written goes through `write`, the primitive, and is written whole."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "x")
        self.path = path

    def write(self, data: bytes | bytearray | memoryview, /) -> int:  # type: ignore[override]
        """Raises `UnwrittenError` where not all of it can be written."""
        view = memoryview(data).cast("B")
        done = 0
        try:
            while done < len(view):
                done += write(self, view[done:])
        except OSError as error:
            problem = UnwrittenError(error.errno, error.strerror or str(error))
            problem.needed = len(view)
            raise problem from error
        return done


def write(file: OutFile, data: memoryview) -> int:
    """Write some of `data` where the file stands; returns how much."""
    return FileIO.write(file, data) or 0


def truncate(file: OutFile, size: int) -> None:
    """Cut the file off, and go on writing there."""
    os.ftruncate(file.fileno(), size)
    os.lseek(file.fileno(), size, os.SEEK_SET)


def sync(file: OutFile, *, length_alone: bool = True) -> None:
    """Wait until all that was written is on the disk. `length_alone`: times and such need not be."""
    with where_possible():
        (_sync_data if length_alone else os.fsync)(file.fileno())


def create(path: Path) -> OutFile:
    """A new file. Raises `FileExistsError` where there is one."""
    return OutFile(path)


def make_folder(path: Path) -> None:
    """A new folder."""
    path.mkdir()


def rename(old: Path, new: Path) -> None:
    """Put a file in the place of another in one go."""
    put(old, new)


def remove(path: Path) -> None:
    """Remove a file or a whole folder, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def free_bytes(folder: Path) -> int:
    """Room on the disk of a folder."""
    return shutil.disk_usage(folder).free


# What is made of them


@contextmanager
def whole_file(path: Path) -> Iterator[OutFile]:
    """A file that is at `path` whole and for good when the block ends, or not at all; another there is replaced."""
    part = path.with_name(f"{path.name}.part")
    remove(part)
    try:
        with create(part) as file:
            yield file
            sync(file, length_alone=False)
        rename(part, path)
    except BaseException:
        with suppress(OSError):
            remove(part)
        raise
    sync_folder(path.parent)


class GrowingFile:
    """A file to which whole records are appended. What was appended since the last `keep` can be taken back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.kept = 0
        """Bytes of whole records."""
        self._file = create(path)
        self._size = 0
        self._synced = 0

    def append(self, data: bytes) -> None:
        """Append a part of a record. Raises `UnwrittenError`."""
        self._size += self._file.write(data)

    def keep(self) -> None:
        """All that was appended is whole."""
        self.kept = self._size

    def rewind(self) -> None:
        """Take back what is not whole."""
        truncate(self._file, self.kept)
        self._size = self.kept

    def sync(self) -> None:
        """Have all that is kept on the disk; also from another thread."""
        kept = self.kept
        if kept != self._synced:
            sync(self._file)
            self._synced = kept

    def is_there(self) -> bool:
        """Whether the file still has a name."""
        return os.fstat(self._file.fileno()).st_nlink > 0

    def close(self) -> None:
        """Give the file back."""
        self._file.close()


Opener = Callable[[Path], GrowingFile]
"""Opens a new file of a recording, which then reaches the disk as the others do."""
