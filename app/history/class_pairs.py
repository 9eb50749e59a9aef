"""Who is mined against whom: how often negatives of one class were mined for anchors of another. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.hardness import BANDS, bands_of
from hnm_core.run.shown import drawn_items, has_several_labels


class Counts(NamedTuple):
    """Of one pair of classes."""

    mined: int
    hard: int
    false: int
    """Negatives that truly are of the anchor's class, where that is known to differ from the labels"""


@dataclass(frozen=True, eq=False)
class ClassPairs:
    """Mined pairs that a frame tells of, by the class of the anchor and that of the negative; P that occur."""

    lane: str
    step: int
    anchor: NDArray[np.int64]
    """(P,) classes; the pairs that were mined most come first, of equals the lower classes"""
    negative: NDArray[np.int64]
    """(P,)"""
    mined: NDArray[np.int64]
    """(P,) how often, at least once"""
    hard: NDArray[np.int64]
    """(P,) how often no farther than the positive"""
    false: NDArray[np.int64]
    """(P,) see `Counts`"""
    hard_known: bool
    """Whether it is known how hard they were"""
    steps: int
    """Steps in which they were mined; 0 where nobody knows"""
    told: int
    """Tuples that the frame carries, also those without a negative"""
    tuples: int
    """Tuples that were mined in these steps; where they are more, it is the hardest that are told"""
    several: bool = False
    """Whether items have several labels each, and their class is the rarest of these"""

    @property
    def total(self) -> int:
        """Pairs of all classes."""
        return int(self.mined.sum())

    def of(self, anchor: int, negative: int) -> Counts:
        """How often a pair was mined."""
        own = (self.anchor == anchor) & (self.negative == negative)
        return Counts(*(int(counts[own].sum()) for counts in (self.mined, self.hard, self.false)))

    def matrix(self, classes: NDArray[np.int64], counts: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """(K, K) how often anchors of each of (K,) classes, in rows, were mined with negatives of each, in columns; or
        what (P,) other `counts` say of them."""
        made = np.zeros((len(classes), len(classes)), np.int64)
        order = np.argsort(classes, kind="stable")
        places = np.full((2, len(self.mined)), -1)
        for side, labels in enumerate((self.anchor, self.negative)):
            found = np.minimum(np.searchsorted(classes, labels, sorter=order), len(classes) - 1)
            places[side] = np.where(classes[order[found]] == labels, order[found], -1) if len(classes) else -1
        inside = (places >= 0).all(0)
        made[tuple(places[:, inside])] = (self.mined if counts is None else counts)[inside]
        return made

    def share_of(self, classes: NDArray[np.int64]) -> float:
        """Share of the pairs that has both ends in these classes, 0..1; 1 where there are none."""
        inside = np.isin(self.anchor, classes) & np.isin(self.negative, classes)
        return float(self.mined[inside].sum() / self.total) if self.total else 1.0


def class_pairs(started: RunStarted, frame: Frame) -> ClassPairs:
    """The pairs of a frame. A tuple without an anchor or a negative is none; of two tuples with the same pair of items
    both count, as both were mined. Ends that the frame does not show are left out, for their class is not known."""
    drawn = drawn_items(started, frame)
    triplets = frame.triplets.reshape(-1, 3)
    places = drawn.places_of(triplets[:, [0, 2]].astype(np.int64))
    rows = np.flatnonzero((places >= 0).all(1))
    places = places[rows]
    labels = drawn.labels[places]
    base = int(labels.max(initial=0)) + 1
    codes, which, mined = np.unique(labels[:, 0] * base + labels[:, 1], return_inverse=True, return_counts=True)
    hard_known = frame.separation is not None
    hard = np.zeros(len(rows), np.bool_)
    if frame.separation is not None:
        margin = frame.hardness.margin if frame.hardness is not None else 0.0
        hard = bands_of(frame.separation[rows], margin) == BANDS.index("hard")
    truth = drawn.true_labels
    false = np.zeros(len(rows), np.bool_) if truth is None else truth[places[:, 0]] == truth[places[:, 1]]
    order = np.argsort(-mined, kind="stable")
    anchor, negative = np.divmod(codes[order], base)
    hard_of, false_of = (np.bincount(which[told], minlength=len(codes))[order] for told in (hard, false))
    return ClassPairs(
        frame.lane,
        frame.step,
        anchor,
        negative,
        mined[order],
        hard_of,
        false_of,
        hard_known,
        steps=0 if frame.age is None or not len(frame.age) else int(frame.age.max()) + 1,
        told=len(triplets),
        tuples=max(frame.mined_total, len(triplets)),
        several=has_several_labels(started),
    )


class Ranked(NamedTuple):
    """A pair of classes in a lane."""

    lane: str
    anchor: int
    negative: int
    counts: Counts
    share: float
    """Of the lane's pairs, 0..1"""


def ranked(lanes: Sequence[ClassPairs], most: int) -> list[Ranked]:
    """The pairs that are the largest share of their lane's, at most so many; of equals those of the first lane."""
    found = [
        Ranked(pairs.lane, anchor, negative, Counts(mined, hard, false), mined / total)
        for pairs, total in ((pairs, pairs.total) for pairs in lanes)
        for anchor, negative, mined, hard, false in zip(
            *(each[:most].tolist() for each in (pairs.anchor, pairs.negative, pairs.mined, pairs.hard, pairs.false)),
            strict=True,
        )
    ]
    return sorted(found, key=lambda pair: -pair.share)[:most]
