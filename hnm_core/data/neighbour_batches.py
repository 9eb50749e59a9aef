"""Batches of items that are hard to tell apart: each anchor brings its neighbours along.

The scheme of Sample4Geo (Deuser et al., ICCV 2023), used with hashed neighbours by Deuser et al. (arXiv 2505.17844).
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import generator
from hnm_core.data.sampler_options import NeighbourSamplerOptions
from hnm_core.data.sampling import random_batches
from hnm_core.errors import InputError

MAX_FAILURES = 1024
"""So many items in a row that do not fit end the epoch."""


def neighbour_batches(
    lists: NDArray[np.integer],
    batch: int,
    seed: int,
    epoch: int,
    *,
    pool: int = 128,
    nearest: int = 32,
    random: int = 32,
    labels: NDArray[np.integer] | None = None,
) -> list[NDArray[np.int64]]:
    """The batches of one epoch.

    An anchor is taken from a shuffled queue of all items, together with its `nearest` nearest neighbours and `random`
    others of its `pool` nearest ones, as far as they were not used yet; then the next anchor, until the batch is full.
    No item is used twice in an epoch.

    With `labels`, a batch holds one positive pair of each label that occurs in it: every item that is taken brings a
    random unused item of its label along (standing right behind it), and no label is taken twice. An anchor whose label
    is in the batch already goes back to the end of the queue.

    Args:
        lists: (N, L) rows of the neighbours of each item, nearest first; -1 for none. From any neighbour search, or in
            the order of Hamming distances.
        batch: items of a batch; the whole set if it is smaller. Even with `labels`.
        seed: of the experiment.
        epoch: 0, 1, 2, ...
        pool: nearest neighbours that are considered.
        nearest: of these, how many of the nearest are taken.
        random: of the rest, how many are drawn.
        labels: (N,) asks for one positive pair for each label.

    Returns:
        A list of (batch,) int64 arrays of rows; the last, incomplete batch is dropped. The result depends on the
        arguments only.

    Raises:
        InputError: wrong shapes, rows that do not exist, or labels that cannot fill one batch.
    """
    count = _check(lists, batch, pool, nearest, random)
    source = generator(seed, "neighbour batches", epoch)
    partners = None if labels is None else _Partners(labels, count, source)
    batch = min(batch, count)
    if partners is not None:
        batch -= batch % 2
        if batch // 2 > partners.labels:
            raise InputError(
                f"A batch of {batch} with one pair of each label needs {batch // 2} labels with two items or more; "
                f"there are {partners.labels}."
            )
    lists = lists[:, :pool]
    used = bytearray(count)
    queue = deque(source.permutation(count).tolist())
    batches: list[NDArray[np.int64]] = []
    current: list[int] = []
    failures = 0
    while queue and failures < MAX_FAILURES:
        anchor = queue.popleft()
        if used[anchor]:
            continue
        if not _take(anchor, current, used, partners):
            if partners is not None and partners.left(anchor):
                queue.append(anchor)
                failures += 1
            continue
        failures = 0
        for row in _neighbours(lists[anchor], nearest, random, source):
            if len(current) >= batch:
                break
            if row >= 0 and not used[row]:
                _take(row, current, used, partners)
        if len(current) >= batch:
            batches.append(np.array(current, dtype=np.int64))
            current = []
            if partners is not None:
                partners.new_batch()
    return batches


class _Partners:
    """Items of the same label that are still unused, and the labels of the batch at hand."""

    def __init__(self, labels: NDArray[np.integer], count: int, source: np.random.Generator) -> None:
        if labels.shape != (count,) or not np.issubdtype(labels.dtype, np.integer):
            raise InputError(f"labels must be {count} integers, one for each item.")
        _, dense, sizes = np.unique(labels, return_inverse=True, return_counts=True)
        self.labels = int((sizes >= 2).sum())
        self._label: list[int] = dense.tolist()
        self._waiting: list[list[int]] = [[] for _ in sizes]
        for row in source.permutation(count).tolist():
            self._waiting[self._label[row]].append(row)
        self._in_batch: set[int] = set()

    def new_batch(self) -> None:
        self._in_batch.clear()

    def find(self, row: int, used: bytearray) -> int | None:
        """An unused other item of the row's label; None where there is none or the label is in the batch."""
        label = self._label[row]
        if label in self._in_batch:
            return None
        waiting = self._waiting[label]
        while waiting and used[waiting[-1]]:
            waiting.pop()
        if not waiting:
            return None
        if waiting[-1] != row:
            return self._remember(label, waiting[-1])
        own = waiting.pop()
        while waiting and used[waiting[-1]]:
            waiting.pop()
        partner = waiting[-1] if waiting else None
        waiting.append(own)
        return None if partner is None else self._remember(label, partner)

    def left(self, row: int) -> bool:
        """Whether the row failed only because its label is in the batch."""
        return self._label[row] in self._in_batch

    def _remember(self, label: int, partner: int) -> int:
        self._in_batch.add(label)
        return partner


def _take(row: int, current: list[int], used: bytearray, partners: _Partners | None) -> bool:
    """Put an item, with its partner where pairs are wanted, into the batch at hand, if it fits."""
    if partners is not None:
        partner = partners.find(row, used)
        if partner is None:
            return False
        used[row] = used[partner] = True
        current += (row, partner)
        return True
    used[row] = True
    current.append(row)
    return True


def _neighbours(line: NDArray[np.integer], nearest: int, random: int, source: np.random.Generator) -> list[int]:
    rest = line[nearest:]
    drawn = source.permutation(len(rest))[:random]
    return [*line[:nearest].tolist(), *rest[drawn].tolist()]


def _check(lists: NDArray[np.integer], batch: int, pool: int, nearest: int, random: int) -> int:
    if lists.ndim != 2 or not np.issubdtype(lists.dtype, np.integer):
        raise InputError("lists must hold whole numbers and have the shape (N, L): the neighbours of each item.")
    count = len(lists)
    if not count:
        raise InputError("There are no items to train on.")
    for name, value, least in (("batch", batch, 1), ("pool", pool, 0), ("nearest", nearest, 0), ("random", random, 0)):
        if value < least:
            raise InputError(f"{name} = {value} is not allowed: it is {least} or more.")
    if lists.size and (lists.min() < -1 or lists.max() >= count):
        wrong = lists.min() if lists.min() < -1 else lists.max()
        raise InputError(f"lists names row {wrong}, but the rows are 0 to {count - 1}.")
    return count


class NeighbourSampler:
    """Mined batches; see `neighbour_batches`. The first epoch is random, for there is nothing to be near to yet."""

    def __init__(self, options: NeighbourSamplerOptions, *, labels: NDArray[np.integer], batch: int, seed: int) -> None:
        self.options = options
        self._batch, self._seed = batch, seed
        self._labels = np.asarray(labels)
        _, counts = np.unique(self._labels, return_counts=True)
        self._one_pair_a_label = 2 * int((counts > 1).sum()) >= batch > 1
        self.notes = _notes(counts, batch) if self._one_pair_a_label else ()

    def batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """Random batches, for an epoch without neighbours."""
        return random_batches(len(self._labels), self._batch, self._seed, epoch)

    def batches_near(self, lists: NDArray[np.integer], epoch: int) -> list[NDArray[np.int64]]:
        """Batches of an epoch from (N, pool) neighbours. One positive pair of each label in a batch, where the labels
        are enough to fill it so."""
        return neighbour_batches(
            lists,
            self._batch,
            self._seed,
            epoch,
            pool=self.options.pool,
            nearest=self.options.nearest,
            random=self.options.random,
            labels=self._labels if self._one_pair_a_label else None,
        )


def _notes(counts: NDArray[np.int64], batch: int) -> tuple[str, ...]:
    """What a user should know of batches with one pair of each label: how much of the set they can hold at most."""
    pairs, total = counts // 2, int(counts.sum())
    labels = min(batch, total) // 2
    low, high = 0, int(pairs.sum()) // labels
    while low < high:  # the most batches, each of `labels` different labels
        middle = (low + high + 1) // 2
        low, high = (middle, high) if np.minimum(pairs, middle).sum() >= middle * labels else (low, middle - 1)
    left_out = total - 2 * labels * low
    if left_out < 2 * batch:
        return ()
    return (
        f"A batch holds one pair of each class that is in it, so an epoch leaves out at least {left_out:,} of the "
        f"{total:,} items; the largest class has {counts.max():,} of them, and gives two to a batch.",
    )
