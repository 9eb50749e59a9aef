"""Packing a recording into one file to be sent to somebody, and unpacking one of a stranger's; see `packed`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from hnm_core.errors import InputError
from hnm_core.recording import checkpoints as checkpoint_files
from hnm_core.recording import disk
from hnm_core.recording.claiming import claimed
from hnm_core.recording.header import read_run_file
from hnm_core.recording.layout import LOCK_FILE, PACKED_SUFFIX, RUN_FILE, is_part
from hnm_core.recording.lock import Held, is_being_written
from hnm_core.recording.packed import opened, written
from hnm_core.recording.reader import open_recording
from hnm_core.recording.runs import as_it_is_now, is_recording, runs_dir
from hnm_core.system import paths, user_folders
from hnm_core.system.regular_files import open_regular
from hnm_core.system.whole_files import whole_file
from hnm_core.words import size as in_words

_PIECE = 1 << 20
SPARE_BYTES = 1 << 20
"""Room that an unpacked recording leaves on the disk at least."""

Progress = Callable[[int, int], object]
"""Called with bytes done, and of how many; returning False calls the work off."""


def pack(
    folder: str | Path,
    out: str | Path,
    *,
    checkpoints: bool = False,
    progress: Progress = lambda done, total: True,
) -> Path | None:
    """Write a recording, one that is still being written as it is now, into one file, whole or not at all.

    Args:
        folder: of the recording.
        out: the file; another there is replaced.
        checkpoints: whether it can be gone on from by whoever unpacks it; they are as large as training needs.
        progress: called now and then.

    Returns:
        `out`; None where it was called off.

    Raises:
        InputError: no recording, a name that does not end in `.hnmlab`, or a file that cannot be written.
    """
    folder, out = Path(folder), Path(out)
    if out.suffix != PACKED_SUFFIX:
        raise InputError(f"'{out}' is not allowed: a recording in a file has a name that ends in {PACKED_SUFFIX}.")
    held = Held(folder)  # it stays until it is packed
    read_run_file(folder)
    try:
        with whole_file(out) as part, part.open("r+b") as file, written(file) as writing:
            stored = checkpoint_files.newest_first(folder) if checkpoints else []
            run_file, sizes = as_it_is_now(folder)
            sizes |= {path: path.stat().st_size for path in stored}
            known = {path.relative_to(folder).as_posix(): path for path in sizes}
            told = _Told(progress, sum(sizes.values()) + len(run_file))
            for name in sorted(filter(is_part, {*known, RUN_FILE})):
                if name == RUN_FILE:
                    writing.add(name, len(run_file), told.of([run_file]))
                    continue
                with suppress(FileNotFoundError), open_regular(known[name]) as source:  # gone, as its run goes on
                    size = sizes[known[name]]
                    writing.add(name, size, told.of(_pieces(source, size)))
    except _CalledOffError:
        return None
    except OSError as error:
        raise InputError(f"'{out}' cannot be written: {paths.why(error)}.") from error
    del held
    return out


def pack_sizes(folder: str | Path) -> tuple[int, int]:
    """About how many bytes a recording takes in one file, and how many more its checkpoints.

    Raises:
        InputError: no recording, or one that cannot be read.
    """
    folder = Path(folder)
    read_run_file(folder)
    try:
        run_file, sizes = as_it_is_now(folder)
        stored = sum(path.stat().st_size for path in checkpoint_files.newest_first(folder))
    except OSError as error:
        raise InputError(f"The recording '{folder}' cannot be read: {paths.why(error)}.") from error
    return len(run_file) + sum(sizes.values()), stored


def unpack(
    file: str | Path, folder: str | Path | None = None, *, progress: Progress = lambda done, total: True
) -> Path | None:
    """Unpack a recording, also a stranger's, into a new folder, which is there when all of it is and every checksum is
    right, or not at all. Runs nothing that is in it.

    Args:
        file: the packed recording.
        folder: new or empty; by default the name of the file without its ending, in the current folder.
        progress: called now and then.

    Returns:
        The folder; None where it was called off.

    Raises:
        InputError: the file is no recording, damaged, or holds more than there is room for, or the folder is not empty
            or cannot be written.
    """
    file = Path(file)
    target = Path(folder) if folder is not None else Path(file.stem)
    with opened(file) as packed:
        try:
            with _new_folder(target, packed.size) as part:
                told = _Told(progress, packed.size)
                last = sorted(packed.files, key=lambda entry: entry.path == RUN_FILE)  # from there on it is a recording
                for entry in last:
                    place = part / entry.path
                    place.parent.mkdir(exist_ok=True)
                    with place.open("xb") as copy:
                        for piece in told.of(packed.pieces(entry)):
                            copy.write(piece)
                        copy.flush()
                        os.fsync(copy.fileno())
                try:
                    open_recording(part)
                except InputError as error:
                    raise InputError(str(error).replace(str(part), str(target))) from None
        except _CalledOffError:
            return None
    return target


def unpacked(file: Path, *, progress: Progress = lambda done, total: True) -> Path | None:
    """The folder of a packed recording among the program's own recordings, where it is unpacked unless it is there
    already. Returns and raises as `unpack`."""
    with opened(file) as packed:
        folder = user_folders.writable(runs_dir()) / f"{file.stem[:60]}-{packed.digest[:12]}"
    return folder if is_recording(folder) else unpack(file, folder, progress=progress)


@contextmanager
def _new_folder(target: Path, size: int) -> Iterator[Path]:
    """A folder beside `target` that takes its place when the block ends well, and is gone when it does not. Raises
    `InputError` for all that is wrong with the disk, as `packed.opened` completes it."""
    part = Path(f"{os.path.realpath(target)}.part")
    try:
        if paths.exists(target) and not (target.is_dir() and not any(target.iterdir())):
            raise InputError(f"there is something at '{target}'; name a new or an empty folder")
        if (part / LOCK_FILE).is_file() and not (part / RUN_FILE).exists() and not is_being_written(part):
            shutil.rmtree(part)  # a program that unpacked was killed
        target.parent.mkdir(parents=True, exist_ok=True)
        free = disk.free_bytes(target.parent)
    except OSError as error:
        raise InputError(f"'{target}' cannot be written: {paths.why(error)}") from error
    if size + SPARE_BYTES > free:
        raise InputError(
            f"it needs {in_words(size + SPARE_BYTES)}, and there are {in_words(free)} free at '{target.parent}'"
        )
    taken = claimed(part, "unpack to")
    try:
        yield part
        taken.close()
        with suppress(FileNotFoundError):
            target.rmdir()
        part.rename(target)
        disk.sync_folder(target.parent)
    except BaseException as error:
        taken.close()
        shutil.rmtree(part, ignore_errors=True)
        if isinstance(error, OSError):
            raise InputError(f"'{target}' cannot be written: {paths.why(error)}") from error
        raise


class _CalledOffError(Exception):
    pass


class _Told:
    """Tells how much is done."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total, self._done = progress, total, 0

    def of(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The pieces as they are. Raises `_CalledOffError`."""
        for piece in pieces:
            yield piece
            self._done += len(piece)
            if self._progress(min(self._done, self._total), self._total) is False:
                raise _CalledOffError


def _pieces(file: IO[bytes], left: int) -> Iterator[bytes]:
    """The first `left` bytes of a file, or what there is."""
    while left > 0 and (piece := file.read(min(left, _PIECE))):
        left -= len(piece)
        yield piece
