"""What a data set is: numbers, labels, ids, and what may be known beside them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError

if TYPE_CHECKING:
    from hnm_core.data.item_labels import ItemLabels

Progress = Callable[[int, int, str], bool | None]
"""Called as progress(done, total, what); total is 0 when unknown; returning False cancels."""

MAX_ID = 2**31 - 1
"""Frames and recordings hold ids as int32, with -1 for "none"."""


class LoadCancelled(Exception):  # noqa: N818 - a wish of the user, no error
    """The progress callback returned False."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Items in id order. Built by `hnm_core.data.create`; arrays are not to be written to."""

    name: str
    x: NDArray[np.float32]
    """(N, D) features, finite."""
    y: NDArray[np.int64]
    """(N,) class of each item, 0 .. C-1. At least two classes occur, and at least one of them twice, unless items are
    only looked at (see `hnm_core.data.build`)."""
    ids: NDArray[np.int64]
    """(N,) distinct ids, ascending, 0 .. MAX_ID. In a part of a larger set they are places in that set."""
    class_names: tuple[str, ...]
    """(C,) name of each class of `y` and `y_true`."""
    groups: NDArray[np.int64] | None = None
    """(N,) coarser classes to colour by."""
    y_true: NDArray[np.int64] | None = None
    """(N,) true classes where `y` is known to be noisy; a class that occurs here need not occur in `y`."""
    images: NDArray[np.uint8] | None = None
    """(N, H, W) or (N, H, W, 3) pictures of the items."""
    image_shape: tuple[int, int, int] | None = None
    """(C, H, W) where a row of `x` is the pixels of a picture, one channel after the other; None where it is not."""
    held_out: NDArray[np.bool_] | None = None
    """(N,) the split that a file of the user's asks for; None leaves the split to the experiment."""
    official: NDArray[np.bool_] | None = None
    """(N,) True where an item is of the test part of a published set; None where it has no such part."""
    several: ItemLabels | None = None
    """The labels of each item, where items have several or none; they are places in `class_names`. `y` is then the
    rarest of each item's labels, by which it is coloured and sampled, and for items without one a last class."""
    as_read: str = ""
    """Of files of the user's: what was taken for what, and what was left out, in sentences."""


def report(progress: Progress | None, done: int, total: int, what: str) -> None:
    """Call `progress`, if there is one. Raises `LoadCancelled` when it returns False."""
    if progress is not None and progress(done, total, what) is False:
        raise LoadCancelled(what)


def generator(seed: int, purpose: str, *counters: int) -> np.random.Generator:
    """A random generator that depends on its arguments alone; another purpose or counter gives unrelated numbers.

    Raises:
        InputError: the seed is negative.
    """
    if seed < 0:
        raise InputError(f"seed = {seed} is not allowed: a seed is 0 or more.")
    key = (zlib.crc32(purpose.encode()), *counters)
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=key))
