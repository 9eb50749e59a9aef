"""Data sets made of random numbers. Items come in random order, so that nothing can lean on the order of classes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import Dataset, Progress, generator, report
from hnm_core.data.options import BlobsOptions, NearClassesOptions, NoiseOptions, RingsOptions, SwissRollOptions
from hnm_core.system import memory

NEAR_CLASSES_SCALE = 3.0
"""`near-classes` are divided by this, so that at the default spreads the features are about 1 wide."""

CHUNK_NUMBERS = 1 << 24
"""Points are drawn in parts of about so many numbers, for the progress and to keep temporary memory small."""


def near_classes(options: NearClassesOptions, *, seed: int, progress: Progress | None = None) -> Dataset:
    """Groups of classes: centre of the group + offset of the class + noise of the point, all divided by 3.

    Labels count through the groups (class c of group g is g * classes_per_group + c); `groups` is filled.

    Raises:
        LoadCancelled: the progress callback returned False.
    """
    rng = generator(seed, "near-classes")
    classes = options.groups * options.classes_per_group
    group_of_class = np.repeat(np.arange(options.groups), options.classes_per_group)
    group_centres = options.group_spread * rng.standard_normal((options.groups, options.dim))
    centres = group_centres[group_of_class] + options.class_spread * rng.standard_normal((classes, options.dim))
    y = rng.permutation(np.repeat(np.arange(classes), options.points_per_class))
    x = _around(
        centres / NEAR_CLASSES_SCALE, y, options.point_spread / NEAR_CLASSES_SCALE, rng, progress, "near-classes"
    )
    names = tuple(
        f"group {group}, class {place}" for group in range(options.groups) for place in range(options.classes_per_group)
    )
    return Dataset("near-classes", x, y, np.arange(len(y)), names, groups=group_of_class[y])


def blobs(options: BlobsOptions, *, seed: int, progress: Progress | None = None) -> Dataset:
    """One round Gaussian for each class; class sizes differ by at most one.

    Raises:
        LoadCancelled: the progress callback returned False.
    """
    rng = generator(seed, "blobs")
    centres = options.separation * rng.standard_normal((options.classes, options.dim))
    y = rng.permutation(np.arange(options.points) % options.classes)
    x = _around(centres, y, options.spread, rng, progress, "blobs")
    return Dataset("blobs", x, y, np.arange(options.points), _numbered(options.classes))


def noise(options: NoiseOptions, *, seed: int, progress: Progress | None = None) -> Dataset:
    """Coordinates uniform in (-1, 1), labels drawn uniformly and independently of them.

    A class that came out with fewer than two items is given items of the largest class, so every class can be mined.

    Raises:
        LoadCancelled: the progress callback returned False.
    """
    rng = generator(seed, "noise")
    y = rng.integers(0, options.classes, options.points)
    counts = np.bincount(y, minlength=options.classes)
    while counts.min() < 2:
        poor, rich = int(counts.argmin()), int(counts.argmax())
        y[rng.choice(np.flatnonzero(y == rich))] = poor
        counts[poor] += 1
        counts[rich] -= 1
    _room(options.points, options.dim)
    x = np.empty((options.points, options.dim), np.float32)
    for rows in _chunks(options.points, options.dim, progress, "noise"):
        x[rows] = rng.uniform(-1.0, 1.0, x[rows].shape)
    return Dataset("noise", x, y, np.arange(options.points), _numbered(options.classes))


def _room(points: int, dim: int) -> None:
    """Raises `InputError` where the memory does not suffice for so many numbers, beside a part that is being drawn."""
    needed = 4 * points * dim + 8 * min(CHUNK_NUMBERS, points * dim)
    memory.require(needed, f"{points:,} points with dim = {dim:,}", "make one smaller")


def _around(
    centres: NDArray[np.float64],
    y: NDArray[np.int64],
    spread: float,
    rng: np.random.Generator,
    progress: Progress | None,
    what: str,
) -> NDArray[np.float32]:
    _room(len(y), centres.shape[1])
    x = np.empty((len(y), centres.shape[1]), np.float32)
    for rows in _chunks(*x.shape, progress, what):
        x[rows] = centres[y[rows]] + spread * rng.standard_normal(x[rows].shape)
    return x


def _chunks(points: int, dim: int, progress: Progress | None, what: str) -> Iterator[slice]:
    size = max(1, CHUNK_NUMBERS // dim)
    for start in range(0, points, size):
        report(progress, start, points, what)
        yield slice(start, min(start + size, points))
    report(progress, points, points, what)


def _numbered(classes: int) -> tuple[str, ...]:
    return tuple(str(label) for label in range(classes))


def rings(options: RingsOptions, *, seed: int, progress: Progress | None = None) -> Dataset:
    """Circles around one centre in the first two features, with radii 1, 2, ..., each scaled by 1 / number of rings.

    No straight line parts them; class sizes differ by at most one.

    Raises:
        LoadCancelled: the progress callback returned False.
    """
    rng = generator(seed, "rings")
    report(progress, 0, 1, "rings")
    _room(3 * options.points, options.dim)  # in 64 bits, and then in 32
    y = rng.permutation(np.arange(options.points) % options.classes)
    angle = rng.uniform(0.0, 2 * np.pi, options.points)
    x = options.noise * rng.standard_normal((options.points, options.dim))
    radius = (1 + y) / options.classes
    x[:, 0] += radius * np.cos(angle)
    x[:, 1] += radius * np.sin(angle)
    report(progress, 1, 1, "rings")
    return Dataset("rings", x.astype(np.float32), y, np.arange(options.points), _numbered(options.classes))


def swiss_roll(options: SwissRollOptions, *, seed: int, progress: Progress | None = None) -> Dataset:
    """A rolled-up sheet in 3-D; the classes are strips one after the other along the roll, of equal size.

    Neighbouring turns are near in space and far along the sheet. The roll is 2 wide and `turns` whole turns long.

    Raises:
        LoadCancelled: the progress callback returned False.
    """
    rng = generator(seed, "swiss-roll")
    report(progress, 0, 1, "swiss-roll")
    y = rng.permutation(np.arange(options.points) % options.classes)
    along = (y + rng.uniform(0.0, 1.0, options.points)) / options.classes
    end = 2 * np.pi * (options.turns + 0.5)
    angle = np.pi + along * (end - np.pi)  # half a turn in, where the roll is wide enough to see
    radius = angle / end
    height = rng.uniform(-1.0, 1.0, options.points)
    x = np.stack((radius * np.cos(angle), height, radius * np.sin(angle)), axis=1)
    x += options.noise * rng.standard_normal(x.shape)
    report(progress, 1, 1, "swiss-roll")
    return Dataset("swiss-roll", x.astype(np.float32), y, np.arange(options.points), _numbered(options.classes))
