"""Which items are held out of training, and which are shown of a set too large to show."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import generator
from hnm_core.errors import InputError

MIN_TRAINING = 2
"""Items that every class keeps for training where it has them: an anchor needs a positive."""


def held_out_mask(y: NDArray[np.int64], share: float, seed: int) -> NDArray[np.bool_]:
    """A random part of every class.

    A class of n items gives share * n of them, rounded up or down so that the total is right, but keeps at least two
    for training; a class of one item stays in training.

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
    rng = generator(seed, "held-out")
    mask = np.zeros(len(y), np.bool_)
    mask[_draw(y, _whole_quotas(wanted, rng), rng)] = True
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
