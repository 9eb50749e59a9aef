"""Class pairs as people read them. No Qt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from app.history.class_pairs import ClassPairs, Counts

Name = Callable[[int], str]


def pair_text(anchor: str, negative: str) -> str:
    """Anchors of one class, negatives of another, for example "3 → 8"; what names differ by alone comes twice, as in
    "group 1, class 2 → 0"."""
    of_anchor, of_negative = anchor.rpartition(" "), negative.rpartition(" ")
    same = of_anchor[0] and of_anchor[0] == of_negative[0]
    return f"{anchor} → {of_negative[2] if same else negative}"


def share_text(share: float) -> str:
    """For example "71 %", "4.5 %", "0.04 %"; as many digits as tell."""
    value = 100 * share
    return f"{value:.0f} %" if value >= 10 or not value else f"{value:.1f} %" if value >= 1 else f"{value:.1g} %"


def cell_text(pairs: ClassPairs, anchor: int, negative: int, name: Name) -> str:
    """For example "3 anchors → 8: 41 of 912 mined pairs (4.5 %), 12 hard"."""
    counts = pairs.of(anchor, negative)
    if anchor == negative and not counts.mined:
        if pairs.several:
            return f"{name(anchor)}: one label. What shares a label is no negative, and positives are not counted here."
        return f"{name(anchor)}: one class. Negatives are of other classes, and positives are not counted here."
    share = f" ({share_text(counts.mined / pairs.total)})" if counts.mined else ""
    told = f"{name(anchor)} anchors → {name(negative)}: {counts.mined:,} of {pairs.total:,} mined pairs{share}"
    return told + kinds_text(pairs, counts)


def kinds_text(pairs: ClassPairs, counts: Counts) -> str:
    """What else is known of a pair's counts, for example ", 12 hard, 3 false"; begins with a comma or is empty."""
    hard = f", {counts.hard:,} hard" if pairs.hard_known and counts.mined else ""
    return hard + (f", {counts.false:,} false: truly of the anchor's class" if counts.false else "")


def lane_text(pairs: ClassPairs, axis: NDArray[np.int64], classes: int) -> str:
    """Beside a lane's name: how many pairs there are, and how much of them the matrix holds."""
    if not pairs.total:
        return "no negatives mined"
    counted = f"{pairs.total:,} pair{'s' if pairs.total != 1 else ''}"
    return counted if len(axis) == classes else f"{share_text(pairs.share_of(axis))} of {counted}"


def details(pairs: ClassPairs) -> str:
    """What of the lane's tuples is counted, in a sentence or two."""
    when = f"of its last {pairs.steps:,} steps" if pairs.steps > 1 else "of its last step" if pairs.steps else "it told"
    part = (
        f"the hardest {pairs.told:,} of {pairs.tuples:,} tuples"
        if pairs.told < pairs.tuples
        else f"all {pairs.told:,} tuples"
    )
    return f"{pairs.lane} at step {pairs.step:,}: counted are {part} {when}."


def caption(lanes: Sequence[ClassPairs], axis: NDArray[np.int64], classes: int) -> str:
    """For example "40 of 11,000 classes, 71 % of pairs"; empty where all classes have a row."""
    if len(axis) == classes:
        return ""
    shares = [pairs.share_of(axis) for pairs in lanes if pairs.total]
    if not shares:
        return f"{len(axis)} of {classes:,} classes"
    low, high = (share_text(share) for share in (min(shares), max(shares)))
    return f"{len(axis)} of {classes:,} classes, {low if low == high else f'{low} to {high}'} of pairs"


def part_text(lanes: Sequence[ClassPairs]) -> str:
    """For example "of the hardest 2,000 of 5,024 tuples", of the lane that mined most; empty where frames tell all."""
    most = max(lanes, key=lambda pairs: pairs.tuples, default=None)
    if most is None or most.told >= most.tuples:
        return ""
    return f"of the hardest {most.told:,} of {most.tuples:,} tuples"
