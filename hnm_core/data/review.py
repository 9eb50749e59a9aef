"""What a person decided on doubtful items: a file of lines that grows as it goes, and a set to which it is applied."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from hnm_core import data
from hnm_core.data.base import Dataset, Progress
from hnm_core.data.decision_file import Growing, Log, begin, locked_log, read_log
from hnm_core.data.options import ReviewedOptions
from hnm_core.data.wrapped import taken
from hnm_core.errors import InputError, shortened
from hnm_core.system import paths

_WHAT = "items with classes"

Verdict = Literal["keep", "drop", "relabel"]
"""The label is right; leave the item out; it is of another class."""


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

    def told(self) -> Mapping[str, object]:
        """See `hnm_core.data.decision_file.Telling`."""
        line = {"item": self.item, "label": self.label, "verdict": self.verdict}
        return line | ({"to": self.to} if self.to else {})


@dataclass(frozen=True)
class Review(Log[Decision]):
    """Decisions, the last one on an item counts; `of` is `Subject.fingerprint`."""

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
    """Read a file of decisions. Raises `InputError` as `hnm_core.data.decision_file.read_log`."""
    log = read_log(path, _decision, _WHAT)
    return Review(log.decisions, log.of, log.torn)


def _decision(told: object) -> Decision:
    """What a line says. Raises `ValueError` where that is no decision."""
    match told:
        case {"item": int(item), "label": str(label), "verdict": "keep" | "drop" as verdict}:
            return Decision(item, label, verdict)
        case {"item": int(item), "label": str(label), "verdict": "relabel", "to": str(to)}:
            return Decision(item, label, "relabel", to)
    raise ValueError("no decision")


@dataclass
class Reviewing(Growing[Decision]):
    """A review that goes on."""

    review: Review


@contextmanager
def reviewing(path: Path, of: Subject) -> Iterator[Reviewing]:
    """Begin a review of a data set in a new file, or go on with the one that is there.

    Raises:
        InputError: the file is of another data set, is no review, is being written by another program, or cannot be.
    """
    with locked_log(path, _decision, _WHAT) as (file, there):
        review = Review(there.decisions, there.of or of.fingerprint, there.torn)
        check_of(review, of, path)
        begin(file, there, of.fingerprint, of.name)
        yield Reviewing(review, file)


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
