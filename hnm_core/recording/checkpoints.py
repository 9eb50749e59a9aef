"""Checkpoints of a recording: one file each, whole or not there, the newest and the one before.

    checkpoints/00000001.npz    for `np.load(path, allow_pickle=False)`: arrays by name, and `checkpoint.json`, which
                                says where in the state each array stands

Members are stored as they are, each with its CRC-32. The file is written beside its place, made sure of, and renamed.
"""

from __future__ import annotations

import json
import os
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from hnm_core.errors import InputError
from hnm_core.recording import disk
from hnm_core.recording.arrays import array_in
from hnm_core.recording.files import size_of
from hnm_core.recording.layout import CHECKPOINTS_FOLDER
from hnm_core.run.events import Checkpoint, Weights
from hnm_core.system.regular_files import copy_regular, open_regular
from hnm_core.system.zip_lists import check_list

KEPT = 2
FORMAT = 1
"""Of the file; a change of what a state holds needs no other."""
INDEX = "checkpoint.json"
_MAX_INDEX = 256 << 20
_ARRAY, _FLOAT = "@array", "@float"
"""Keys of what stands in JSON for an array, by its name, and for a number that is not finite."""

_DAMAGE = (OSError, ValueError, KeyError, TypeError, IndexError, AttributeError, RuntimeError, RecursionError)
"""What reading a file that may hold anything raises; a zip file that is none, `RuntimeError` where it is encrypted."""


Found = TypeVar("Found")


@dataclass(frozen=True, eq=False)
class Stored:
    """A checkpoint that was read back."""

    checkpoint: Checkpoint
    event: int
    """Events of the recording before it."""
    note: str = ""
    """That it is not the newest because that is damaged, in a sentence; empty where it is."""


class CheckpointWriter:
    """Writes checkpoints of one recording on a thread of its own, which lives while there is something to write.

    Of several that wait only the newest is written, so that two at most are in memory.
    """

    def __init__(self, folder: Path) -> None:
        """`folder` is that of the recording."""
        self._folder = folder / CHECKPOINTS_FOLDER
        self._turn = threading.Condition()
        self._waiting: tuple[Checkpoint, int] | None = None
        self._busy = False
        self._problem = ""
        self._failed = False

    def put(self, checkpoint: Checkpoint, event: int) -> None:
        """Have a checkpoint written that came after so many events. Waits for nothing."""
        with self._turn:
            self._waiting = checkpoint, event
            if not self._busy:
                self._busy = True
                threading.Thread(target=self._run, name="hnm-checkpoint", daemon=False).start()

    def problem(self) -> str:
        """What went wrong since the last time, in a sentence; empty where nothing did, or nothing new."""
        with self._turn:
            said, self._problem = self._problem, ""
            return said

    def wait(self) -> None:
        """Until all is written."""
        with self._turn:
            self._turn.wait_for(lambda: not self._busy)

    def _run(self) -> None:
        while True:
            with self._turn:
                if self._waiting is None:
                    self._busy = False
                    self._turn.notify_all()
                    return
                (checkpoint, event), self._waiting = self._waiting, None
            try:
                write(self._folder, checkpoint, event)
                self._failed = False
            except Exception as error:  # noqa: BLE001 - what a state holds may be anybody's: no reason to lose the run
                reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
                with self._turn:
                    if not self._failed:  # a full disk is told once
                        told = f"The checkpoint of step {checkpoint.step:,} was not written: {reason}."
                        self._problem = f"{told} The one before stays."
                    self._failed = True


def write(folder: Path, checkpoint: Checkpoint, event: int) -> Path:
    """Write a checkpoint into the folder of checkpoints, whole or not at all, and delete all but the newest two.

    Raises:
        OSError: it cannot be written, or what was recorded before it cannot be synced; what was there before stays.
    """
    folder.mkdir(exist_ok=True)
    for recorded in folder.parent.rglob("*"):
        if size_of(recorded):
            with suppress(FileNotFoundError):  # put in the place of another meanwhile
                disk.sync_path(recorded)  # a checkpoint knows of nothing that the recording could lose
    disk.sync_folder(folder.parent)
    before = _newest_first(folder)
    path = folder / f"{(int(before[0].stem) if before else 0) + 1:08d}.npz"
    with disk.whole_file(path) as file:
        _write(file, checkpoint, event)
    for old in before[KEPT - 1 :]:
        with suppress(OSError):
            old.unlink()
    return path


def read(folder: Path) -> Stored | None:
    """The newest checkpoint of the recording in `folder` that is whole; None where there is none.

    Raises:
        InputError: there are some, and all are damaged, or of a newer version.
    """
    found = _first_whole(folder, _File.stored)
    return None if found is None else replace(found[0], note=found[1])


def read_weights(folder: Path, lane: str) -> tuple[Weights | None, str]:
    """The network of a lane in the newest checkpoint that is whole, and in a sentence that this is not the newest of
    all; None where none has it. Raises as `read`."""
    return _first_whole(folder, lambda file: file.weights(lane)) or (None, "")


def newest_step(folder: Path) -> int | None:
    """The step of the newest checkpoint that says it, and that training can go on from; None where there is none."""
    for path in newest_first(folder):
        with suppress(InputError, *_DAMAGE), _opened(path) as file:
            return file.step if file.whole else None
    return None


def copy(source: Path, target: Path) -> None:
    """Copy the newest checkpoints of the recording `source`, also of one that is being written, into `target`."""
    for path in newest_first(source):
        (target / CHECKPOINTS_FOLDER).mkdir(exist_ok=True)
        with suppress(FileNotFoundError):  # an older one that has just made room
            copy_regular(path, target / CHECKPOINTS_FOLDER / path.name)


def _first_whole(folder: Path, read_one: Callable[[_File], Found]) -> tuple[Found, str] | None:
    """What `read_one` makes of the newest checkpoint for which it can, and in a sentence that this is not the newest
    of all. None where there is none. Raises `InputError` where it can for none of them."""
    failed: InputError | None = None
    for path in newest_first(folder):
        try:
            with _opened(path) as file:
                found = read_one(file)
        except InputError as error:
            failed = failed or error
            continue
        return found, "" if failed is None else f"{failed} The checkpoint before it is taken."
    if failed is not None:
        raise failed
    return None


def newest_first(folder: Path) -> list[Path]:
    """The files of checkpoints of the recording in `folder`."""
    return _newest_first(folder / CHECKPOINTS_FOLDER)


def _newest_first(folder: Path) -> list[Path]:
    try:
        names = [path for path in folder.iterdir() if path.suffix == ".npz" and path.stem.isdigit()]
    except OSError:
        return []
    return sorted(names, key=lambda path: int(path.stem), reverse=True)


def _write(file: Any, checkpoint: Checkpoint, event: int) -> None:
    names: dict[int, str] = {}
    arrays: list[tuple[str, NDArray[Any]]] = []

    def plain(value: Any, where: str) -> Any:
        """JSON values, with a name in place of each array; one that stands in two places is written once."""
        if isinstance(value, np.ndarray):
            if id(value) not in names:
                names[id(value)] = where
                arrays.append((where, value))
            return {_ARRAY: names[id(value)]}
        if isinstance(value, Mapping):
            return {key: plain(item, f"{where}/{key}") for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item, f"{where}/{place}") for place, item in enumerate(value)]
        if isinstance(value, float) and not np.isfinite(value):
            return {_FLOAT: repr(value)}
        return value

    index = {
        "format": FORMAT,
        "step": checkpoint.step,
        "event": event,
        "weights": [
            {
                "lane": weights.lane,
                "step": weights.step,
                "in_features": weights.in_features,
                "image_shape": weights.image_shape,
                "arrays": plain(weights.arrays, f"weights/{place}"),
            }
            for place, weights in enumerate(checkpoint.weights)
        ],
        "state": plain(checkpoint.state, "state"),
    }
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as stored:
        stored.writestr(INDEX, json.dumps(index, allow_nan=False))
        for name, array in arrays:
            with stored.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)


class _File:
    """An open checkpoint. Everything raises what is in `_DAMAGE` where the file is not what it should be."""

    def __init__(self, stored: zipfile.ZipFile, size: int) -> None:
        check_list(stored)
        members = stored.infolist()
        if sum(member.file_size for member in members) > size or any(
            member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members
        ):
            raise ValueError("it holds more than there is room for in it")
        if stored.getinfo(INDEX).file_size > _MAX_INDEX:
            raise ValueError(f"{INDEX} is larger than any checkpoint's")
        self._stored = stored
        self._index: dict[str, Any] = json.loads(stored.read(INDEX))
        if self._index["format"] != FORMAT:
            raise InputError(f"it was written by another version (format {self._index['format']!r:.20})")
        self.step = _whole(self._index["step"])
        self.whole = self._index["state"] is not None

    def stored(self) -> Stored:
        """All of it."""
        weights = tuple(map(self._weights, self._index["weights"]))
        state = self._with_arrays(self._index["state"])
        return Stored(Checkpoint(self.step, weights, state), _whole(self._index["event"]))

    def weights(self, lane: str) -> Weights | None:
        """The network of a lane."""
        told = next((told for told in self._index["weights"] if told["lane"] == lane), None)
        return None if told is None else self._weights(told)

    def _weights(self, told: Mapping[str, Any]) -> Weights:
        arrays = {str(name): self._with_arrays(value) for name, value in told["arrays"].items()}
        shape = told["image_shape"]
        image_shape = None if shape is None else (_whole(shape[0]), _whole(shape[1]), _whole(shape[2]))
        return Weights(str(told["lane"]), _whole(told["step"]), arrays, _whole(told["in_features"]), image_shape)

    def _with_arrays(self, value: Any) -> Any:
        if isinstance(value, dict):
            if _ARRAY in value:
                return self._array(str(value[_ARRAY]))
            if _FLOAT in value:
                return float(value[_FLOAT])
            return {key: self._with_arrays(item) for key, item in value.items()}
        return [self._with_arrays(item) for item in value] if isinstance(value, list) else value

    def _array(self, name: str) -> NDArray[Any]:
        try:
            return array_in(self._stored.read(f"{name}.npy"))  # which compares it with its CRC-32
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error


@contextmanager
def _opened(path: Path) -> Iterator[_File]:
    """Open a file that may hold anything. Raises `InputError` for whatever is wrong with it, also within."""
    try:
        with open_regular(path) as file, zipfile.ZipFile(file) as stored:
            yield _File(stored, os.fstat(file.fileno()).st_size)
    except InputError as error:
        raise InputError(f"'{path}' cannot be used: {error}.") from None
    except (*_DAMAGE, zipfile.BadZipFile, EOFError, NotImplementedError) as error:
        raise InputError(f"'{path}' is damaged: {str(error).rstrip('.') or type(error).__name__}.") from error


def _whole(value: object) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(f"{value!r:.40} is no count")
    return value
