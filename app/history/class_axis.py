"""Which classes have a row and a column in a matrix of class pairs, and in which order. No Qt.

It is one for all lanes, so that they can be compared, and it stays from frame to frame while it is nearly as good as a
new one would be, so that the eye finds a class where it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.history.class_pairs import ClassPairs

MOST_CLASSES = 40
"""Of more classes those that are mined most have a row."""
KEPT_SHARE = 0.9
"""Classes keep their rows while they have at least so much of the pairs that the best choice would have."""
KEPT_NEARNESS = 0.8
"""And their order while it brings mined classes together at least so well as a new one would."""


def class_axis(
    lanes: Sequence[ClassPairs], classes: int, before: NDArray[np.int64] | None = None, *, by_label: bool = False
) -> NDArray[np.int64]:
    """(K,) classes in the order of their rows.

    Args:
        lanes: what each mined; every lane weighs the same, however many pairs it tells of.
        classes: how many there are.
        before: what this returned last.
        by_label: in the order of their labels; else classes that are mined against each other stand together.
    """
    chosen = _chosen(lanes, classes, before)
    if by_label:
        return np.sort(chosen)
    near = alike(lanes, np.sort(chosen))
    new = np.sort(chosen)[clustered(near)]
    if before is None or not np.array_equal(np.sort(before), np.sort(chosen)):
        return new
    kept, best = (_nearness(near, np.searchsorted(np.sort(chosen), order)) for order in (before, new))
    return before if kept >= KEPT_NEARNESS * best else new


def _chosen(lanes: Sequence[ClassPairs], classes: int, before: NDArray[np.int64] | None) -> NDArray[np.int64]:
    if classes <= MOST_CLASSES:
        return np.arange(classes)
    weight = np.zeros(classes)
    for pairs in lanes:
        for labels in (pairs.anchor, pairs.negative):
            np.add.at(weight, labels, pairs.mined / max(pairs.total, 1))
    best = np.argsort(-weight, kind="stable")[:MOST_CLASSES]
    told = [pairs for pairs in lanes if pairs.total]
    if before is None or len(before) != MOST_CLASSES:
        return best
    kept, most = (sum(pairs.share_of(labels) for pairs in told) for labels in (before, best))
    return before if kept >= KEPT_SHARE * most else best


def alike(lanes: Sequence[ClassPairs], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """(K, K) how much each two of (K,) classes are mined against each other, either way, for how much they are mined at
    all; the same both ways, 0 on the diagonal."""
    summed = np.zeros((len(classes), len(classes)))
    for pairs in lanes:
        summed += pairs.matrix(classes) / max(pairs.total, 1)
    summed += summed.T
    np.fill_diagonal(summed, 0.0)
    each = np.sqrt(np.maximum(summed.sum(1), 1e-12))
    near: NDArray[np.float64] = summed / each[:, None] / each
    return near


def clustered(near: NDArray[np.float64]) -> NDArray[np.int64]:
    """(K,) an order of K things in which those that are near each other stand together.

    Groups of one are joined two by two, the two that are nearest on average first (of equals the first), each turned
    so that the ends that meet are as near as can be.
    """
    groups = {place: [place] for place in range(len(near))}
    between = near.astype(np.float64).copy()
    np.fill_diagonal(between, -np.inf)
    while len(groups) > 1:
        one, other = sorted(divmod(int(np.argmax(between)), len(near)))
        sizes = len(groups[one]), len(groups[other])
        joined = (sizes[0] * between[one] + sizes[1] * between[other]) / sum(sizes)  # stays at -inf where it was
        between[one] = between[:, one] = joined
        between[other] = between[:, other] = -np.inf
        groups[one] = _joined(near, groups[one], groups.pop(other))
    return np.array(groups.get(0, []), np.int64)


def _joined(near: NDArray[np.float64], one: list[int], other: list[int]) -> list[int]:
    ways = [(first, second) for first in (one, one[::-1]) for second in (other, other[::-1])]
    first, second = max(ways, key=lambda way: near[way[0][-1], way[1][0]])
    return [*first, *second]


def _nearness(near: NDArray[np.float64], order: NDArray[np.int64]) -> float:
    """How well an order brings together what is near: the sum of what is near each other over how far apart it is."""
    apart = np.abs(np.subtract.outer(np.arange(len(order)), np.arange(len(order))))
    return float((near[np.ix_(order, order)] / np.maximum(apart, 1)).sum())
