"""Decisions of a person as a file of lines that grows as it goes: each is written before the next is asked for, the
last can be undone, and a file that somebody else writes is left alone. What a decision is, its module says.

Each line that the program writes ends with a checksum, see `hnm_core.recording.checksums`; one without is read as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Generic, Protocol, TypeVar

from hnm_core.data import json_text
from hnm_core.errors import InputError, shortened
from hnm_core.recording.checksums import is_marked, is_sealed, sealed_line
from hnm_core.system.locks import try_lock
from hnm_core.system.regular_files import open_regular, read_regular

MAX_BYTES = 1 << 30
_SEAL = ("review", "", 0)
"""Nothing that a line does not hold itself, so that lines can be put together, or taken out."""


class Telling(Protocol):
    """A decision that can be written down."""

    def told(self) -> Mapping[str, object]:
        """Its line, as JSON has it."""


D = TypeVar("D", bound=Telling)


@dataclass(frozen=True)
class Log(Generic[D]):
    """What such a file says."""

    decisions: tuple[D, ...] = ()
    """In order; those that were undone are gone."""
    of: str = ""
    """The fingerprint of the data set that they are of."""
    torn: bool = False
    """Whether the last line was not written whole, and says nothing."""


def read_log(path: Path, decision: Callable[[object], D], what: str) -> Log[D]:
    """Read a file of decisions.

    Args:
        path: of the file.
        decision: makes one of what a line says; it raises `ValueError` where that is none.
        what: the review is of, for messages.

    Raises:
        InputError: there is no such file, or a line other than the last says nothing that can be understood, or is
            not as it was written; the message names it.
    """
    try:
        content = read_regular(path, MAX_BYTES)
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror or error}.") from error
    return _log(content, path, decision, what)


def _log(content: bytes, path: Path, decision: Callable[[object], D], what: str) -> Log[D]:
    *lines, rest = content.split(b"\n")  # each line is written with its end
    decisions: list[D] = []
    of = ""
    for number, line in enumerate(lines, 1):
        if is_marked(line) and not is_sealed(line, *_SEAL):
            raise InputError(
                f"'{path}', line {number}, is not as it was written. If you have changed it yourself, take the "
                "checksum out of it."
            )
        try:
            match json_text.parsed(line) if line.strip() else None:
                case None:
                    pass
                case {"review": 1, "of": str(whose)}:
                    of = whose
                case {"undo": True}:
                    decisions[-1:] = []
                case told:
                    decisions.append(decision(told))
        except (ValueError, RecursionError) as error:
            said = shortened(line.decode("utf-8", "replace"))
            raise InputError(f"'{path}', line {number}: '{said}' is no decision of a review of {what}.") from error
    return Log(tuple(decisions), of, torn=bool(rest.strip()))


@dataclass
class Growing(Generic[D]):
    """Decisions that go on: every one is in the file before the next one is asked for."""

    review: Log[D]
    _file: BinaryIO = field(repr=False)

    def decide(self, decision: D) -> None:
        """Write down one more. Raises `OSError` where it cannot be written; then it does not count."""
        write(self._file, decision.told())
        self.review = replace(self.review, decisions=(*self.review.decisions, decision))

    def undo(self) -> D | None:
        """Take the last one back, and return it; None where there is none. Raises `OSError` as `decide`."""
        if not self.review.decisions:
            return None
        write(self._file, {"undo": True})
        last = self.review.decisions[-1]
        self.review = replace(self.review, decisions=self.review.decisions[:-1])
        return last


def write(file: BinaryIO, line: Mapping[str, object]) -> None:
    """One line at the end of the file, on the disk when this returns, or not at all."""
    start = file.tell()
    try:
        text = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace").decode()
        file.write(sealed_line(text, *_SEAL))
        file.flush()
        os.fsync(file.fileno())
    except OSError:
        file.truncate(start)
        file.seek(start)
        raise


@contextmanager
def locked_log(path: Path, decision: Callable[[object], D], what: str) -> Iterator[tuple[BinaryIO, Log[D]]]:
    """The file, ours alone, and what it says by then, which no other program has gone on with; an empty one where there
    was none. Nothing is changed in it, see `begin`.

    Args:
        path: of the file.
        decision: see `read_log`.
        what: see `read_log`.

    Raises:
        InputError: it is being written by another program, or cannot be; or as `read_log`.
    """
    with _opened(path) as file:
        try:
            try_lock(file.fileno())
        except OSError as error:
            raise InputError(f"'{path}' is being reviewed by another program.") from error
        try:  # by the handle that has the lock: only it may read on every system
            content = file.read()
        except OSError as error:
            raise InputError(f"Cannot read '{path}': {error.strerror or error}.") from error
        yield file, _log(content, path, decision, what)


def begin(file: BinaryIO, there: Log[D], of: str, name: str) -> None:
    """Make it ready for one more line.

    Args:
        file: what `locked_log` gave.
        there: what it says; a last line that was cut off is taken out.
        of: the fingerprint of the data set, which a new file begins with.
        name: of the data set.
    """
    file.seek(0)
    if there.torn:  # what was cut off says nothing
        end = file.read().rfind(b"\n") + 1
        file.truncate(end)
    file.seek(0, os.SEEK_END)
    if not there.of:  # also where a program was killed before it could say so
        write(file, {"review": 1, "of": of, "data": name})


def _opened(path: Path) -> BinaryIO:
    """For reading and writing; a new file where there is none. Raises `InputError`."""
    try:
        if path.exists() or path.is_symlink():
            open_regular(path, MAX_BYTES).close()
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror or error}.") from error
    try:
        with suppress(FileExistsError):
            return path.open("x+b", buffering=0)
        return path.open("r+b", buffering=0)
    except OSError as error:
        raise InputError(f"Cannot write '{path}': {error.strerror or error}.") from error
