"""Which items are held out of training, which stand for a set too large, and which of them query."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import generator
from hnm_core.errors import InputError

FEWEST_CLASSES = 2
"""Classes on either side of a split by classes: one alone has nothing to be told from."""

MIN_TRAINING = 2
"""Items that every class keeps for training where it has them: an anchor needs a positive."""

MIN_MEASURED = 2
"""Items that a class has on the side on which it is measured: a query needs somebody to find."""

FEWEST = 8
"""Items that a thinned class keeps at least. One of up to twice as many stays whole or goes."""


def held_out_mask(y: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """A random part of every class, each item with the same chance, and never one item of a class alone.

    A class of n items gives share * n of them, rounded up or down so that the total is right, but keeps at least two
    for training. Where that is fewer than two items, a random part of such classes gives two each. Classes of two or
    three items cannot be parted so: a random part of them is held out whole, but two that can be trained on stay. A
    class of one item stays in training.

    Args:
        y: (N,) class of each item, 0 or more.
        share: 0 <= share < 1.
        seed: the same seed gives the same items.

    Returns:
        (N,) True where the item is held out.

    Raises:
        InputError: share out of range.
    """
    if not 0 <= share < 1:
        raise InputError(f"held_out = {share} is not allowed: a share of every class is 0 or more and less than 1.")
    counts = np.bincount(y)
    wanted = np.minimum(share * counts, np.maximum(counts - MIN_TRAINING, 0))
    small = (wanted < MIN_MEASURED) & (counts > 1) & (share > 0)
    rng = generator(seed, "held-out")
    quotas = _whole_quotas(np.where(small, 0, wanted), rng)
    if small.any():
        parted = counts >= MIN_TRAINING + MIN_MEASURED
        given = np.where(parted, MIN_MEASURED, counts)
        at_random = rng.permutation(np.flatnonzero(small))
        stay = at_random[~parted[at_random]][: max(0, 2 - int(parted.sum()))]
        chance = np.where(small, share * counts / np.maximum(given, 1), 0)
        chance[stay] = 0
        chosen = at_random[_drawn(chance[at_random], rng)]
        quotas[chosen] = given[chosen]
    mask = np.zeros(len(y), np.bool_)
    mask[_draw(y, quotas, rng)] = True
    return mask


def held_out_classes_mask(y: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """A random part of the classes, each whole, so that what is measured on them is of classes never trained on.

    A class of one item stays in training: nobody could be asked for its like. Of the others `share` are held out,
    rounded, but two at least and all but two at most.

    Args:
        y: (N,) class of each item, 0 or more.
        share: 0 <= share < 1; with 0 nothing is held out.
        seed: the same seed gives the same classes.

    Returns:
        (N,) True where the item is held out.

    Raises:
        InputError: share out of range, or fewer than four classes of two items or more.
    """
    if not 0 <= share < 1:
        raise InputError(f"held_out = {share} is not allowed: a share of the classes is 0 or more and less than 1.")
    if share == 0:
        return np.zeros(len(y), np.bool_)
    counts = np.bincount(y)
    able = np.flatnonzero(counts >= MIN_MEASURED)
    if len(able) < 2 * FEWEST_CLASSES:
        raise InputError(
            f"A split by classes needs {2 * FEWEST_CLASSES} classes of two items or more, two to train on and two to "
            f"measure; these data have {len(able)}."
        )
    n = min(max(round(share * len(able)), FEWEST_CLASSES), len(able) - FEWEST_CLASSES)
    chosen = generator(seed, "held-out-classes").permutation(able)[:n]
    mask: NDArray[np.bool_] = np.isin(y, chosen)
    return mask


def stratified_sample(y: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    """A random part with the classes in proportion; every class has at least one item in it if n allows that.

    Args:
        y: (N,) class of each item, 0 or more.
        n: items wanted, at least 1; all of them where n >= N.
        seed: the same seed gives the same rows.

    Returns:
        (min(n, N),) rows, ascending.

    Raises:
        InputError: n < 1.
    """
    if n < 1:
        raise InputError(f"A sample of {n} items is not possible: take at least 1.")
    if n >= len(y):
        return np.arange(len(y))
    counts = np.bincount(y)
    classes = np.count_nonzero(counts)
    rng = generator(seed, "stratified-sample")
    wanted: NDArray[np.floating]
    if n >= classes:
        # one of each class, and the other n - C in proportion to what is left: never more than a class has
        sure = np.minimum(counts, 1)
        wanted = sure + (counts - sure) * ((n - classes) / (len(y) - classes))
    else:
        wanted = counts * (n / len(y))
    return np.sort(_draw(y, _whole_quotas(wanted, rng), rng))


def thinned(y: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    """A random part with the classes in proportion, of which each can be measured and trained on as in the whole.

    Where a proportional part would leave a class fewer than `FEWEST` items, or fewer than all of a small one, a random
    part of such classes stays instead, whole if they are small, and the others go. So every item has the same chance
    and most classes of the part are as large as they were.

    Args:
        y: (N,) class of each item, 0 or more.
        n: items wanted at most, at least 1; all of them where n >= N.
        seed: the same seed gives the same rows.

    Returns:
        rows, ascending: n of them, or a few less where small classes do not add up to it.

    Raises:
        InputError: n < 1.
    """
    counts = np.bincount(y)
    wanted = counts * (n / max(len(y), 1))
    least = np.where(counts <= 2 * FEWEST, counts, FEWEST)
    small = wanted < least
    if n < 1 or n >= len(y) or not small.any():
        return stratified_sample(y, n, seed)
    rng = generator(seed, "thinned")
    quotas = _whole_quotas(np.where(small, 0, wanted), rng)
    at_random = rng.permutation(np.flatnonzero(small))
    chosen = at_random[_drawn((wanted / np.maximum(least, 1))[at_random], rng)]
    chosen = chosen[quotas.sum() + np.cumsum(least[chosen]) <= n]
    quotas[chosen] = least[chosen]
    if np.count_nonzero(quotas > 1) < 2:  # too few for whole classes
        return stratified_sample(y, n, seed)
    return np.sort(_draw(y, quotas, rng))


def queries(y: NDArray[np.int64], n: int, seed: int) -> NDArray[np.int64]:
    """(min(n, N),) rows that query for all, ascending: each row with the same chance, the classes in proportion, so
    that what is measured on them estimates without bias what all would give."""
    if n >= len(y):
        return np.arange(len(y))
    rng = generator(seed, "queries")
    shuffled = rng.permutation(len(y))
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]
    place = ((np.arange(n) + rng.random()) * (len(y) / n)).astype(np.int64)
    return np.sort(by_class[np.minimum(place, len(y) - 1)])


def _drawn(chance: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Each of them with its own chance, and together as many as these add up to, up to rounding."""
    ends = np.floor(np.cumsum(chance) + rng.random())
    drawn: NDArray[np.bool_] = np.diff(ends, prepend=0) > 0
    return drawn


def _whole_quotas(wanted: NDArray[np.floating], rng: np.random.Generator) -> NDArray[np.int64]:
    """Round so that the sum is right: the largest fractions go up (Hamilton's method), equal ones at random."""
    quotas: NDArray[np.int64] = np.floor(wanted + 1e-9).astype(np.int64)  # 0.1 * 30 is a hair off 3
    missing = int(np.rint(wanted.sum())) - int(quotas.sum())
    at_random = rng.permutation(len(wanted))
    fractions = np.round(wanted - quotas, 9)[at_random]
    up = at_random[np.argsort(-fractions, kind="stable")[:missing]]
    quotas[up] += 1
    return quotas


def _draw(y: NDArray[np.int64], quotas: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of `quotas[c]` random items of every class c."""
    shuffled = rng.permutation(len(y))
    by_class = shuffled[np.argsort(y[shuffled], kind="stable")]
    counts = np.bincount(y, minlength=len(quotas))
    place_in_class = np.arange(len(y)) - np.repeat(np.cumsum(counts) - counts, counts)
    rows: NDArray[np.int64] = by_class[place_in_class < quotas[y[by_class]]]
    return rows
