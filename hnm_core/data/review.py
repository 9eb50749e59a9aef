"""What a person decided on doubtful items: a file of lines that grows as it goes, and a set to which it is applied.

Each line that the program writes ends with a checksum, see `hnm_core.recording.checksums`; one without is read as well.
"""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO, Literal, get_args

import numpy as np

from hnm_core import data
from hnm_core.data.base import Dataset, Progress
from hnm_core.data.options import ReviewedOptions
from hnm_core.data.wrapped import taken
from hnm_core.errors import InputError, shortened
from hnm_core.recording.checksums import is_marked, is_sealed, sealed_line
from hnm_core.system import paths
from hnm_core.system.locks import try_lock
from hnm_core.system.regular_files import read_regular

Verdict = Literal["keep", "drop", "relabel"]
"""The label is right; leave the item out; it is of another class."""

MAX_BYTES = 1 << 30
_SEAL = ("review", "", 0)
"""Nothing that a line does not hold itself, so that lines can be put together, or taken out."""


@dataclass(frozen=True)
class Decision:
    """On one item."""

    item: int
    """Its id in the data set."""
    label: str
    """The class that it has there."""
    verdict: Verdict
    to: str = ""
    """The class that it is of instead, if it is relabelled."""


@dataclass(frozen=True)
class Review:
    """Decisions, the last one on an item counts."""

    decisions: tuple[Decision, ...] = ()
    """In order; those that were undone are gone."""
    of: str = ""
    """`Subject.fingerprint` of the data set."""
    torn: bool = False
    """Whether the last line was not written whole, and says nothing."""

    def by_item(self) -> dict[int, Decision]:
        """The decision that counts for each item that has one."""
        return {decision.item: decision for decision in self.decisions}

    def counts(self) -> Mapping[Verdict, int]:
        """How many items each verdict is on."""
        final = [decision.verdict for decision in self.by_item().values()]
        return {verdict: final.count(verdict) for verdict in get_args(Verdict)}


@dataclass(frozen=True)
class Subject:
    """A data set as far as a review tells it from others."""

    name: str
    items: int
    fingerprint: str
    """Of the items and their classes, whatever the features."""


def subject(dataset: Dataset) -> Subject:
    """What a review of this data set is of."""
    value = zlib.crc32(np.ascontiguousarray(dataset.ids).tobytes())
    value = zlib.crc32(np.ascontiguousarray(dataset.y).tobytes(), value)
    value = zlib.crc32("\0".join(dataset.class_names).encode(), value)
    return Subject(dataset.name, len(dataset.ids), f"{len(dataset.ids)}-{value:08x}")


def read(path: Path) -> Review:
    """Read a file of decisions.

    Raises:
        InputError: there is no such file, or a line other than the last says nothing that can be understood, or is
            not as it was written; the message names it.
    """
    try:
        content = read_regular(path, MAX_BYTES)
    except OSError as error:
        raise InputError(f"Cannot read '{path}': {error.strerror or error}.") from error
    *lines, rest = content.split(b"\n")  # each line is written with its end
    decisions: list[Decision] = []
    of = ""
    for number, line in enumerate(lines, 1):
        if is_marked(line) and not is_sealed(line, *_SEAL):
            raise InputError(
                f"'{path}', line {number}, is not as it was written. If you have changed it yourself, take the "
                "checksum out of it."
            )
        try:
            match json.loads(line) if line.strip() else None:
                case None:
                    pass
                case {"review": 1, "of": str(whose)}:
                    of = whose
                case {"undo": True}:
                    decisions[-1:] = []
                case told:
                    decisions.append(_decision(told))
        except (ValueError, RecursionError) as error:
            what = shortened(line.decode("utf-8", "replace"))
            raise InputError(f"'{path}', line {number}: '{what}' is no decision of a review.") from error
    return Review(tuple(decisions), of, torn=bool(rest.strip()))


def _decision(told: object) -> Decision:
    """What a line says. Raises `ValueError` where that is no decision."""
    match told:
        case {"item": int(item), "label": str(label), "verdict": "keep" | "drop" as verdict}:
            return Decision(item, label, verdict)
        case {"item": int(item), "label": str(label), "verdict": "relabel", "to": str(to)}:
            return Decision(item, label, "relabel", to)
    raise ValueError("no decision")


@dataclass
class Reviewing:
    """A review that goes on: every decision is in the file before the next one is asked for."""

    review: Review
    _file: BinaryIO = field(repr=False)

    def decide(self, decision: Decision) -> None:
        """Write down one more. Raises `OSError` where it cannot be written; then it does not count."""
        told = {"item": decision.item, "label": decision.label, "verdict": decision.verdict}
        self._write(told | ({"to": decision.to} if decision.to else {}))
        self.review = replace(self.review, decisions=(*self.review.decisions, decision))

    def undo(self) -> Decision | None:
        """Take the last one back, and return it; None where there is none. Raises `OSError` as `decide`."""
        if not self.review.decisions:
            return None
        self._write({"undo": True})
        last = self.review.decisions[-1]
        self.review = replace(self.review, decisions=self.review.decisions[:-1])
        return last

    def _write(self, line: Mapping[str, object]) -> None:
        start = self._file.tell()
        try:
            text = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace").decode()
            self._file.write(sealed_line(text, *_SEAL))
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(start)
            self._file.seek(start)
            raise


@contextmanager
def reviewing(path: Path, of: Subject) -> Iterator[Reviewing]:
    """Begin a review of a data set in a new file, or go on with the one that is there.

    Raises:
        InputError: the file is of another data set, is no review, is being written by another program, or cannot be.
    """
    known = path.exists() or path.is_symlink()
    review = read(path) if known else Review(of=of.fingerprint)
    check_of(review, of, path)
    try:
        file = path.open("r+b" if known else "x+b", buffering=0)
    except OSError as error:
        raise InputError(f"Cannot write '{path}': {error.strerror or error}.") from error
    with file:
        try:
            try_lock(file.fileno())
        except OSError as error:
            raise InputError(f"'{path}' is being reviewed by another program.") from error
        ongoing = Reviewing(review, file)
        if known:
            end = file.seek(0, os.SEEK_END)
            if review.torn:  # what was cut off says nothing
                content = read_regular(path, MAX_BYTES)
                end = file.seek(content.rfind(b"\n") + 1)
                file.truncate(end)
        if not (known and review.of):  # also where a program was killed before it could say so
            ongoing._write({"review": 1, "of": of.fingerprint, "data": of.name})
        yield ongoing


def check_of(review: Review, of: Subject, path: Path) -> None:
    """Raises `InputError` where the review is of another data set, or of one whose items or labels have changed."""
    if review.of and review.of != of.fingerprint:
        raise InputError(
            f"'{path}' is a review of other data: '{of.name}' has {of.items:,} items, and these or their "
            "labels are not those that were reviewed."
        )


def build(options: ReviewedOptions, *, seed: int, progress: Progress | None = None) -> Dataset:
    """Another set with what a review decided on it, see `applied`.

    Raises:
        InputError: the other set or the review cannot be had, or do not belong together.
        LoadCancelled: the progress callback returned False.
    """
    path = paths.path_of(options.review)
    review = read(path)
    return applied(data.build(options.of_part, seed=seed, progress=progress, minable=False), review, path)


def applied(dataset: Dataset, review: Review, path: Path) -> Dataset:
    """The data set without what was dropped, and with what was relabelled in its new class.

    `path` is that of the review, for messages.

    Raises:
        InputError: it is a review of other data, names an item or a class that these do not have, or takes an item
            for one of another class than it is of.
    """
    check_of(review, subject(dataset), path)
    names = {name: number for number, name in enumerate(dataset.class_names)}
    rows = {int(item): row for row, item in enumerate(dataset.ids)}
    y, keep = dataset.y.copy(), np.ones(len(dataset.y), bool)
    for decision in review.by_item().values():
        row, to = rows.get(decision.item), names.get(decision.to)
        if row is None:
            raise InputError(f"'{path}' decides on item {decision.item}, which '{dataset.name}' does not have.")
        label = dataset.class_names[dataset.y[row]]
        if decision.label != label:  # of the same data, so the file has changed since
            raise InputError(
                f"'{path}' takes item {decision.item} for one of the class '{shortened(decision.label)}', but it is of "
                f"'{shortened(label)}': the file is damaged."
            )
        if decision.verdict == "drop":
            keep[row] = False
        elif decision.verdict == "relabel":
            if to is None:
                raise InputError(
                    f"'{path}' puts item {decision.item} into the class '{shortened(decision.to)}', which "
                    f"'{dataset.name}' does not have."
                )
            y[row] = to
    counts = review.counts()
    words = (
        f"By the review '{path.name}' {counts['relabel']:,} items have another label, {counts['drop']:,} are left out."
    )
    changed = replace(dataset, y=y, as_read=f"{dataset.as_read} {words}".strip())
    return taken(changed, np.flatnonzero(keep), f"reviewed {dataset.name}")
