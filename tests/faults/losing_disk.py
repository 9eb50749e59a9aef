"""A disk that loses what was not synced: it stands in the place of the primitives of `hnm_core.recording.disk`, keeps a
journal of all that is done, and makes any of the disks that a power cut may leave."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from io import FileIO
from pathlib import Path

import pytest

from hnm_core.recording import disk

PAGE = 512


@dataclass
class File:
    """The bytes of a file, whatever its name."""

    content: bytearray = field(default_factory=bytearray)
    durable: bytes = b""


Operation = tuple[str, tuple[object, ...]]
"""What was done, and to what: ("create", (path, number)), ("write", (number, offset, data)), ..."""


class LosingDisk:
    """Records what is done below `root` while it is in place, see `install`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.journal: list[Operation] = []
        self._numbers: dict[int, int] = {}
        self._files = 0
        self._lock = threading.Lock()

    def note(self, what: str, *of: object) -> int:
        """Add to the journal. Returns its length."""
        with self._lock:
            self.journal.append((what, of))
            return len(self.journal)

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Take the place of the primitives. Nothing is really synced meanwhile."""
        truncate, rename, remove, make = disk.truncate, disk.rename, disk.remove, disk.make_folder
        disk_itself = self

        def create(path: Path) -> disk.OutFile:
            file = disk.OutFile(path)
            disk_itself._files += 1
            disk_itself._numbers[id(file)] = disk_itself._files
            disk_itself.note("create", path, disk_itself._files)
            return file

        def write(file: disk.OutFile, data: memoryview) -> int:
            at = file.tell()
            done = FileIO.write(file, data) or 0
            disk_itself.note("write", disk_itself._numbers[id(file)], at, bytes(data[:done]))
            return done

        def cut(file: disk.OutFile, size: int) -> None:
            truncate(file, size)
            disk_itself.note("truncate", disk_itself._numbers[id(file)], size)

        def sync(file: disk.OutFile, *, length_alone: bool = True) -> None:
            # What is written from here on may or may not be on the disk afterwards; the journal assumes that it is not.
            begun = disk_itself.note("sync begins", disk_itself._numbers[id(file)])
            disk_itself.note("sync", disk_itself._numbers[id(file)], begun)

        def move(old: Path, new: Path) -> None:
            rename(old, new)
            disk_itself.note("rename", old, new)

        def unlink(path: Path) -> None:
            if path.exists():
                disk_itself.note("remove", path)
            remove(path)

        def make_folder(path: Path) -> None:
            make(path)
            disk_itself.note("make", path)

        patch.setattr(disk, "create", create)
        patch.setattr(disk, "write", write)
        patch.setattr(disk, "truncate", cut)
        patch.setattr(disk, "sync", sync)
        patch.setattr(disk, "rename", move)
        patch.setattr(disk, "remove", unlink)
        patch.setattr(disk, "make_folder", make_folder)
        patch.setattr(disk, "sync_folder", lambda path: disk_itself.note("sync folder", path))

    def after_power_cut(self, at: int, target: Path, rng: random.Random) -> None:
        """Make in `target` what the disk may hold after only the first `at` operations were done: all that was synced,
        and of the rest anything: nothing, some of it, or zeros in its place."""
        files: dict[int, File] = {}
        names: dict[Path, int | None] = {self.root: None}
        pending: dict[Path, list[tuple[str, tuple[object, ...]]]] = {}
        for what, of in self.journal[:at]:
            match what, of:
                case "create", (Path() as path, int(number)):
                    files[number] = File()
                    pending.setdefault(path.parent, []).append((what, of))
                case "write", (int(number), int(offset), bytes(data)):
                    content = files[number].content
                    content[offset : offset + len(data)] = data
                case "truncate", (int(number), int(size)):
                    del files[number].content[size:]
                case "sync begins", (int(number),):
                    files[number].durable = bytes(files[number].content)
                case (("make" | "remove"), (Path() as path,)):
                    pending.setdefault(path.parent, []).append((what, of))
                case "rename", (_, Path() as new):
                    pending.setdefault(new.parent, []).append((what, of))
                case "sync folder", (Path() as path,):
                    for done in pending.pop(path, []):
                        _apply(names, *done)
        for entries in pending.values():  # a file system keeps their order
            for done in entries[: rng.randint(0, len(entries))]:
                _apply(names, *done)
        for path, number in sorted(names.items(), key=lambda item: len(item[0].parts)):
            place = target / path.relative_to(self.root)
            if not place.parent.is_dir():
                continue  # a name in a folder whose own name was lost
            if number is None:
                place.mkdir(exist_ok=True)
            else:
                place.write_bytes(_left(files[number], rng))


def _apply(names: dict[Path, int | None], what: str, of: tuple[object, ...]) -> None:
    match what, of:
        case "create", (Path() as path, int(number)):
            names[path] = number
        case "make", (Path() as path,):
            names[path] = None
        case "remove", (Path() as path,):
            for name in [name for name in names if name.is_relative_to(path)]:
                del names[name]
        case "rename", (Path() as old, Path() as new):
            if old in names:
                names[new] = names.pop(old)


def _left(file: File, rng: random.Random) -> bytes:
    """What of a file may be there: the synced part, and of what was written since nothing, a beginning, zeros, or pages
    of either."""
    durable, content = file.durable, bytes(file.content)
    if not content.startswith(durable):  # it was cut off since: either state
        return rng.choice((durable, content))
    new = content[len(durable) :]
    match rng.randrange(4):
        case 0:
            return durable
        case 1:
            return durable + new[: rng.randint(0, len(new))]
        case 2:
            return durable + bytes(rng.randint(0, len(new)))
    pages = [new[at : at + PAGE] for at in range(0, len(new), PAGE)]
    return durable + b"".join(page if rng.random() < 0.5 else bytes(len(page)) for page in pages)
