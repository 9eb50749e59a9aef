"""Data sets made from others: with wrong labels, or with one class that is most of the set."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core import data
from hnm_core.data.base import Dataset, Progress, generator
from hnm_core.data.checks import check_minable
from hnm_core.data.options import ImbalancedOptions, LabelNoiseOptions
from hnm_core.data.sizes import class_sizes
from hnm_core.errors import InputError
from hnm_core.system import memory


def label_noise(options: LabelNoiseOptions, *, seed: int, progress: Progress | None = None) -> Dataset:
    """Another set in which a share of the items is labelled with a class they are not of.

    Exactly round(noise * N) items, drawn at random, get a label drawn evenly from the other classes that occur. What
    the labels were stays in `y_true`; where the set knew that already, that is kept.

    Raises:
        InputError: the other set cannot be had, or what is left cannot be mined.
        LoadCancelled: the progress callback returned False.
    """
    inner = data.build(options.of_part, seed=seed, progress=progress)
    rng = generator(seed, "label-noise")
    rows = rng.permutation(len(inner.y))[: round(options.noise * len(inner.y))]
    occurring, place = np.unique(inner.y, return_inverse=True)
    steps = rng.integers(1, len(occurring), len(rows))  # 1 .. C-1 places on, round and round: never the same class
    y = inner.y.copy()
    y[rows] = occurring[(place[rows] + steps) % len(occurring)]
    check_minable(y, inner.class_names, f"'{inner.name}' with noise = {options.noise}")
    y_true = inner.y if inner.y_true is None else inner.y_true
    return dataclasses.replace(inner, name=f"label-noise of {inner.name}", y=y, y_true=y_true)


def imbalanced(options: ImbalancedOptions, *, seed: int, progress: Progress | None = None) -> Dataset:
    """One class that is most of the set, classes of one item, and the rest evenly between; see `class_sizes`.

    Without `of` every class is a round Gaussian. Else it is a part of that set: its largest class stays the largest,
    its smallest classes keep one item, and ids are places in that set.

    Raises:
        InputError: the other set cannot be had, or has too few classes or items for these sizes.
        LoadCancelled: the progress callback returned False.
    """
    rng = generator(seed, "imbalanced")
    if options.of:
        return _part(options, data.build(options.of_part, seed=seed, progress=progress), rng)
    sizes = class_sizes(options.points, options.classes, options.largest, options.singletons)
    y = rng.permutation(np.repeat(np.arange(options.classes), sizes))
    memory.require(
        20 * options.points * options.dim, f"{options.points:,} points with dim = {options.dim:,}", "make one smaller"
    )
    centres = options.separation * rng.standard_normal((options.classes, options.dim))
    x = (centres[y] + rng.standard_normal((len(y), options.dim))).astype(np.float32)
    names = tuple(str(label) for label in range(options.classes))
    return Dataset("imbalanced", x, y, np.arange(len(y)), names)


def _part(options: ImbalancedOptions, inner: Dataset, rng: np.random.Generator) -> Dataset:
    counts = np.bincount(inner.y, minlength=len(inner.class_names))
    at_random = rng.permutation(np.flatnonzero(counts))
    order = at_random[np.argsort(-counts[at_random], kind="stable")]
    if options.singletons > len(order) - 1:
        raise InputError(
            f"singletons = {options.singletons} is too many for '{inner.name}', which has {len(order):,} classes; "
            "the largest cannot be one of them."
        )
    sizes = _most(options, inner.name, counts[order])
    rows = [rng.permutation(np.flatnonzero(inner.y == label))[:size] for label, size in zip(order, sizes, strict=True)]
    return taken(inner, np.sort(np.concatenate(rows)), f"imbalanced {inner.name}")


def _most(options: ImbalancedOptions, name: str, available: NDArray[np.int64]) -> list[int]:
    """The class sizes of the largest part of at most `options.points` items; `available` is in falling order."""
    low, high = 0, min(options.points, int(available.sum()))
    while low < high:  # no class shrinks when the points grow, so halving finds the last part that fits
        middle = (low + high + 1) // 2
        low, high = (middle, high) if _fits(options, middle, available) is not False else (low, middle - 1)
    if _fits(options, low, available):
        return class_sizes(low, len(available), options.largest, options.singletons)
    raise InputError(
        f"No part of '{name}' of at most {options.points:,} items has its {len(available):,} classes in the sizes of "
        f"largest = {options.largest} and singletons = {options.singletons}: the largest has {available[0]:,}, the "
        f"smallest {available[-1]:,}."
    )


def _fits(options: ImbalancedOptions, points: int, available: NDArray[np.int64]) -> bool | None:
    """Whether the classes have items enough for a part of so many points; None where the points are too few."""
    try:
        sizes = class_sizes(points, len(available), options.largest, options.singletons)
    except InputError:
        return None
    return bool((np.array(sizes) <= available).all())


def taken(inner: Dataset, rows: NDArray[np.int64], name: str) -> Dataset:
    """The items in `rows`, ascending, under another name."""

    def at(values: Any) -> Any:
        return None if values is None else values[rows]

    return dataclasses.replace(
        inner,
        name=name,
        x=inner.x[rows],
        y=inner.y[rows],
        ids=inner.ids[rows],
        groups=at(inner.groups),
        y_true=at(inner.y_true),
        images=at(inner.images),
        held_out=at(inner.held_out),
        official=at(inner.official),
    )
