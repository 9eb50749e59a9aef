"""A recording as one file, `NAME.hnmlab`: a zip file that any program for archives opens, in one form alone.

Its members are the files of the recording (`layout.py`), in the order of their names, and last `manifest.json`:

    {"kind": "hnm-lab packed recording", "format": 1, "files": [{"path": ..., "size": ..., "sha256": ...}, ...]}

All are stored as they are: no member can be larger than its file is long, and equal recordings give equal bytes
whatever compresses elsewhere. Times are 1980-01-01, rights 0644. What differs from that in anything is refused, and so
is what has a path that no recording has. Nothing is written before all that is known without reading the data fits.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import IO, Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hnm_core.errors import InputError, shortened
from hnm_core.recording.header import MAX_RUN_FILE
from hnm_core.recording.layout import RUN_FILE, is_part
from hnm_core.spec.explaining import explain
from hnm_core.system.paths import why
from hnm_core.system.regular_files import open_regular

KIND = "hnm-lab packed recording"
FORMAT = 1
MANIFEST = "manifest.json"
MODE = 0o100644
_DATE = (1980, 1, 1, 0, 0, 0)
_MOST = 16 << 20
"""Bytes of the manifest, and of the list of members."""
_HEADER_BYTES = 30
"""Before the name of a member."""
_END_BYTES = 22
"""Of the last record of a zip file without a comment."""
_PIECE = 1 << 20

_DAMAGE = (
    ValueError,
    KeyError,
    IndexError,
    TypeError,
    RuntimeError,  # encrypted, or packed in a way that nobody knows
    RecursionError,
    OverflowError,
    EOFError,
    struct.error,
    zipfile.BadZipFile,
)
"""What reading a zip file raises that may hold anything."""


class Entry(BaseModel):
    """A file of the recording."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    path: str = Field(max_length=80)
    size: Annotated[int, Field(ge=0, lt=1 << 50)]
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """The content of `manifest.json`."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    kind: str = KIND
    format: int = FORMAT
    files: list[Entry] = Field(max_length=100_000)


@dataclass(frozen=True)
class Packed:
    """A packed recording that is open, and says of itself what one of ours says; its data were not looked at."""

    path: Path
    files: tuple[Entry, ...]
    digest: str
    """Of the manifest, 64 hexadecimal digits: equal for equal recordings."""
    _stored: zipfile.ZipFile

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(entry.size for entry in self.files)

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """A file of it, piece by piece; after the last it is known to be right. Raises `InputError` and `OSError`."""
        digest = hashlib.sha256()
        with self._stored.open(entry.path) as member:
            while piece := member.read(_PIECE):
                digest.update(piece)
                yield piece
        if digest.hexdigest() != entry.sha256:
            raise InputError(f"it is damaged: '{entry.path}' has another checksum than it should have")


@contextmanager
def opened(path: Path) -> Iterator[Packed]:
    """Open a packed recording that may be anything.

    Raises:
        InputError: it cannot be read, is no packed recording, is damaged, or holds what no recording holds, in one
            sentence. So is what is raised within, which completes "cannot be unpacked: ...".
    """
    refusal = f"'{path}' cannot be unpacked"
    try:
        with open_regular(path) as file, zipfile.ZipFile(cast("IO[bytes]", _Sparing(file))) as stored:
            file.seek(-_END_BYTES, os.SEEK_END)
            if not file.read(_END_BYTES).startswith(b"PK\5\6"):
                raise InputError("it is damaged: something follows its end")
            yield _checked(path, stored, os.fstat(file.fileno()).st_size)
    except InputError as error:
        raise InputError(f"{refusal}: {str(error).rstrip('.')}.") from error
    except OSError as error:
        raise InputError(f"{refusal}: {why(error)}.") from error
    except _DAMAGE as error:
        said = shortened(repr(str(error).rstrip("."))[1:-1]) or type(error).__name__
        raise InputError(f"{refusal}: it is damaged, or no recording in a file: {said}.") from error


@contextmanager
def written(file: IO[bytes]) -> Iterator[Writing]:
    """Write a packed recording; its manifest follows when the block ends well. Raises `OSError`."""
    file.truncate()  # what a killed program left
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as stored:
        writing = Writing(stored)
        yield writing
        manifest = Manifest(files=writing.files)
        stored.writestr(_member(MANIFEST), json.dumps(manifest.model_dump(), indent=1))


class Writing:
    """Takes the files of a recording, in the order of their names."""

    def __init__(self, stored: zipfile.ZipFile) -> None:
        self._stored = stored
        self.files: list[Entry] = []

    def add(self, path: str, size: int, pieces: Iterator[bytes]) -> None:
        """A file of at most `size` bytes, which `pieces` yields."""
        member, digest, done = _member(path), hashlib.sha256(), 0
        member.file_size = size  # from 2 GiB on its header is another
        with self._stored.open(member, "w") as out:
            for piece in pieces:
                digest.update(piece)
                done += out.write(piece)
        self.files.append(Entry(path=path, size=done, sha256=digest.hexdigest()))


def _member(path: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(path, _DATE)
    member.create_system = 3  # the same on every system
    member.external_attr = MODE << 16
    return member


def _rest(member: zipfile.ZipInfo) -> tuple[object, ...]:
    """What is the same of all members."""
    return member.date_time, member.create_system, member.internal_attr, member.volume, member.reserved, member.comment


_REST = (_DATE, 3, 0, 0, 0, b"")
_VERSIONS = {20, 45}
"""Of the form; the second from 2 GiB on."""


def _checked(path: Path, stored: zipfile.ZipFile, length: int) -> Packed:
    """All that can be known of a file of `length` bytes before its data are read."""
    members = stored.infolist()
    end = 0
    for member in members:
        name = shortened(repr(member.orig_filename))
        if member.compress_type != zipfile.ZIP_STORED or member.compress_size != member.file_size:
            raise InputError(f"{name} is compressed in it, and files of a recording are stored as they are")
        if member.flag_bits or member.external_attr != MODE << 16 or member.filename != member.orig_filename:
            raise InputError(f"{name} is no plain file in it")
        if _rest(member) != _REST or not {member.create_version, member.extract_version} <= _VERSIONS:
            raise InputError(f"it is damaged: {name} says of itself what `pack` never writes")
        if member.header_offset < end or member.file_size > length:
            raise InputError(f"it is damaged: {name} overlaps what stands before it")
        end = member.header_offset + _HEADER_BYTES + len(member.filename) + member.file_size
    if stored.comment or end > length or not members or members[0].header_offset:
        raise InputError("it is damaged, or holds something else beside a recording")
    if members[-1].filename != MANIFEST or members[-1].file_size > _MOST:
        raise InputError(f"it is no recording in a file: it does not end with {MANIFEST}")
    text = stored.read(members[-1])
    files = _manifest(json.loads(text)).files
    names = [entry.path for entry in files]
    for name in names:
        if not is_part(name):
            raise InputError(f"it holds {shortened(repr(name))}, and no recording has a file of that name")
    if len(set(names)) < len(names):
        raise InputError("it holds two files of one name")
    if [(member.filename, member.file_size) for member in members[:-1]] != [(one.path, one.size) for one in files]:
        raise InputError(f"it is damaged: it holds other files than its {MANIFEST} says")
    if not any(entry.path == RUN_FILE and entry.size <= MAX_RUN_FILE for entry in files):
        raise InputError(f"it is no recording in a file: it has no {RUN_FILE}, or one that is too long")
    return Packed(path, tuple(files), hashlib.sha256(text).hexdigest(), stored)


def _manifest(values: Any) -> Manifest:
    if not isinstance(values, dict) or values.get("kind") != KIND:
        raise InputError(f"it is no recording in a file: its {MANIFEST} does not say so")
    if isinstance(values.get("format"), int) and values["format"] > FORMAT:
        raise InputError("it was packed by a newer version; update hnm-lab")
    try:
        return Manifest.model_validate(values)
    except ValidationError as error:
        raise InputError(f"it is damaged: {explain(error, MANIFEST)}") from error


class _Sparing:
    """A file of which nothing long is read at once: a zip file says itself how long the list of its members is."""

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self.seek, self.tell, self.seekable, self.close = file.seek, file.tell, file.seekable, file.close

    def read(self, count: int = -1) -> bytes:
        if count > _MOST:
            raise ValueError("its list of members is longer than that of any recording")
        data = self._file.read(count if count >= 0 else _MOST + 1)
        if len(data) > _MOST:
            raise ValueError("its list of members is longer than that of any recording")
        return data
