"""P x K batches: K items of each of P classes, every item at least once an epoch."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import generator
from hnm_core.errors import InputError

TOLD_REPEATS = 0.05
"""Share of an epoch's items that it repeats to fill its last batches, above which the user is told."""


@dataclass(frozen=True)
class BalancedPlan:
    """What an epoch of P x K batches comes to; the same for every seed and epoch."""

    classes: int
    """P: classes in a batch, lowered to those there are"""
    per_class: int
    """K: items of each class in a batch"""
    batches: int
    """batches of an epoch: max(ceil(sum G / P), max G) with G = ceil(items / K) groups of each class, under the cap"""
    repeated: int
    """slots of an epoch beyond one for each of its items"""
    left_out: int
    """items that an epoch leaves to others, because of the cap"""
    small_classes: int
    """classes with fewer than K items: they repeat items inside a batch"""
    singletons: int
    """classes of one item: negatives, but never anchors with a positive"""
    notes: tuple[str, ...]
    """what the user should know, in sentences"""

    @property
    def batch(self) -> int:
        """P * K."""
        return self.classes * self.per_class


def plan(labels: NDArray[np.integer], classes: int, per_class: int, cap: int | None = None) -> BalancedPlan:
    """What `balanced_batches` will do with these labels.

    Raises:
        InputError: fewer than two classes, in the labels or in a batch, no item of each, or a cap below 1.
    """
    _, counts = _class_of_each(labels)
    _check(counts, classes, per_class, cap)
    p, seen = min(classes, len(counts)), _capped(counts, cap)
    groups = -(-seen // per_class)
    most, even = int(groups.max()), -(-int(groups.sum()) // p)
    batches, items = max(even, most), int(seen.sum())
    repeated, left_out = batches * p * per_class - items, int(counts.sum()) - items
    small, single = int((counts < per_class).sum()), int((counts == 1).sum())
    notes = []
    if p < classes:
        notes.append(f"There are only {p} classes, so a batch has {p} of them instead of {classes}.")
    if most > even:
        notes.append(
            f"The largest class gives {seen.max():,} of the {items:,} items of an epoch and is in every batch; to show "
            f"all of it, an epoch repeats {repeated:,} items. The sampler's option "
            f"cap = {_even_cap(groups, p) * per_class} would show a part of it in each epoch instead."
        )
    elif repeated > TOLD_REPEATS * items:
        notes.append(f"An epoch shows {items:,} items and repeats {repeated:,}, to fill its {batches:,} batches.")
    if left_out:
        notes.append(
            f"Of {int((counts > seen).sum()):,} of {len(counts):,} classes an epoch shows {cap:,} items; the "
            f"{left_out:,} it leaves out come in the next ones."
        )
    if small:
        notes.append(
            f"{small:,} of {len(counts):,} classes have fewer than {per_class} items, and repeat items inside a batch."
        )
    if single:
        notes.append(
            f"{single:,} of {len(counts):,} classes have a single item, which is a negative but never an anchor."
        )
    return BalancedPlan(p, per_class, batches, repeated, left_out, small, single, tuple(notes))


def balanced_batches(
    labels: NDArray[np.integer], classes: int, per_class: int, seed: int, epoch: int, cap: int | None = None
) -> list[NDArray[np.int64]]:
    """The batches of one epoch: every item at least once, every batch K items of each of P distinct classes.

    With a cap, a class of n > cap items shows cap of them in an epoch and the next ones in the next epoch, so that all
    have been seen after ceil(n / cap) epochs.

    Each class's items are shuffled and walked round and round in groups of K, so that no item is in a batch twice
    unless its class has fewer than K. Each batch takes the P classes with most groups left, ties at random; where
    fewer than P have any left, further groups of the classes that repeated least so far. The result depends on the
    arguments only, so every lane of an experiment sees identical batches.

    Args:
        labels: (N,) class of each item, any integers.
        classes: P, at least 2; all classes where there are fewer.
        per_class: K, at least 1.
        seed: of the experiment.
        epoch: 0, 1, 2, ...
        cap: items of a class in an epoch at most, 1 or more; None for all of them.

    Returns:
        A list of (P * K,) int64 arrays of rows, 0 .. N-1, in random order; as many as `plan` says.

    Raises:
        InputError: fewer than two classes, in the labels or in a batch, no item of each, or a cap below 1.
    """
    own, counts = _class_of_each(labels)
    _check(counts, classes, per_class, cap)
    if cap is not None and cap < counts.max():
        kept = _kept(own, counts, cap, seed, epoch)
        return [kept[rows] for rows in balanced_batches(own[kept], classes, per_class, seed, epoch)]
    rng = generator(seed, "balanced-batches", epoch)
    chosen, turn = _packed(-(-counts // per_class), min(classes, len(counts)), rng)
    shuffled = rng.permutation(len(own))
    by_class = shuffled[np.argsort(own[shuffled], kind="stable")]  # the items of each class together, shuffled
    first = np.cumsum(counts) - counts
    slot = turn[:, :, None] * per_class + np.arange(per_class)
    rows = by_class[first[chosen][:, :, None] + slot % counts[chosen][:, :, None]]
    batches: NDArray[np.int64] = rng.permutation(rows.reshape(len(rows), -1))
    return list(rng.permuted(batches, axis=1))


def _kept(own: NDArray[np.int64], counts: NDArray[np.int64], cap: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Rows of an epoch: of each class a window of `cap` items, which goes round in one order for all epochs."""
    shuffled = generator(seed, "balanced-cap").permutation(len(own))
    by_class = shuffled[np.argsort(own[shuffled], kind="stable")]
    of_row = own[by_class]
    place = np.arange(len(own)) - (np.cumsum(counts) - counts)[of_row]
    return by_class[(place - epoch * cap) % counts[of_row] < cap]


def _capped(counts: NDArray[np.int64], cap: int | None) -> NDArray[np.int64]:
    return counts if cap is None else np.minimum(counts, cap)


def _even_cap(groups: NDArray[np.int64], p: int) -> int:
    """The most groups that each class may have without one of them being in every batch of a longer epoch."""
    low, high = 1, int(groups.max())
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if middle <= -(-int(np.minimum(groups, middle).sum()) // p) else (low, middle - 1)
    return low


def _packed(groups: NDArray[np.int64], p: int, rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which classes are in each batch, and with which of their groups: two (batches, P) arrays."""
    batches = max(-(-int(groups.sum()) // p), int(groups.max()))
    draws = iter(rng.random(2 * batches * p + 2 * len(groups)).tolist())  # breaks ties
    left = [(-int(count), next(draws), label) for label, count in enumerate(groups)]
    spare: list[tuple[int, float, int]] = []  # of the classes without groups left: times repeated, tie, class
    heapq.heapify(left)
    taken = [0] * len(groups)
    chosen, turn = np.empty((batches, p), np.int64), np.empty((batches, p), np.int64)
    for batch in range(batches):
        now = [heapq.heappop(left) for _ in range(min(p, len(left)))]
        again = [heapq.heappop(spare) for _ in range(p - len(now))]
        for place, label in enumerate([label for _, _, label in (*now, *again)]):
            chosen[batch, place], turn[batch, place] = label, taken[label]
            taken[label] += 1
        for negative, _, label in now:
            if negative < -1:
                heapq.heappush(left, (negative + 1, next(draws), label))
            else:
                heapq.heappush(spare, (0, next(draws), label))
        for repeats, _, label in again:
            heapq.heappush(spare, (repeats + 1, next(draws), label))
    return chosen, turn


def _class_of_each(labels: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(N,) class 0 .. C-1 of each item, and the (C,) items of each class."""
    labels = np.asarray(labels)
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        raise InputError(f"labels must be (N,) integers, not {labels.dtype} of the shape {labels.shape}.")
    _, own, counts = np.unique(labels, return_inverse=True, return_counts=True)
    return own.reshape(-1).astype(np.int64), counts.astype(np.int64)


def _check(counts: NDArray[np.int64], classes: int, per_class: int, cap: int | None) -> None:
    if cap is not None and cap < 1:
        raise InputError(f"cap = {cap} is not allowed: at least 1 item of each class is in an epoch.")
    if classes < 2 or per_class < 1:
        raise InputError(
            f"classes = {classes} and per_class = {per_class} are not allowed: at least 2 classes and 1 item of each."
        )
    if len(counts) < 2:
        raise InputError(
            f"The items to train on are of {len(counts)} class{'es' if len(counts) == 0 else ''}; "
            "the balanced sampler needs at least 2."
        )
