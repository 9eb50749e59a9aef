"""The batches of an epoch."""

from __future__ import annotations

import numpy as np
import pytest

from hnm_core.data.sampling import random_batches
from hnm_core.errors import InputError


@pytest.mark.parametrize("n_items", (1, 2, 3, 7, 8, 9, 100, 1348))
@pytest.mark.parametrize("batch", (1, 2, 4, 8, 256, 1_000_000))
def test_that_every_item_is_an_anchor_exactly_once_an_epoch(n_items, batch):
    batches = random_batches(n_items, batch, seed=0, epoch=0)
    assert np.array_equal(np.sort(np.concatenate(batches)), np.arange(n_items))
    assert all(rows.dtype == np.int64 for rows in batches)
    sizes = [len(rows) for rows in batches]
    assert all(size == min(batch, n_items) for size in sizes[:-1])
    if batch > 1 and n_items > 1:
        assert min(sizes) >= 2
    assert sizes[-1] <= min(batch, n_items) + 1


def test_that_the_last_batch_holds_what_is_left_and_no_item_stays_alone():
    assert [len(rows) for rows in random_batches(10, 4, 0, 0)] == [4, 4, 2]
    assert [len(rows) for rows in random_batches(9, 4, 0, 0)] == [4, 5]
    assert [len(rows) for rows in random_batches(3, 1, 0, 0)] == [1, 1, 1]


def test_that_batches_depend_on_seed_and_epoch_alone():
    def order(seed, epoch, batch=16):
        return np.concatenate(random_batches(200, batch, seed, epoch))

    assert np.array_equal(order(3, 5), order(3, 5))
    assert np.array_equal(order(3, 5), order(3, 5, batch=50))
    assert not np.array_equal(order(3, 5), order(3, 6))
    assert not np.array_equal(order(3, 5), order(4, 5))
    assert not np.array_equal(order(3, 4), order(4, 3))


def test_that_every_item_is_equally_likely_to_come_first():
    first = [random_batches(5, 2, seed=1, epoch=epoch)[0][0] for epoch in range(2000)]
    assert np.abs(np.bincount(first, minlength=5) - 400).max() < 5 * np.sqrt(400 * 0.8)


@pytest.mark.parametrize(("n_items", "batch", "word"), [(0, 4, "no items"), (5, 0, "batch = 0")])
def test_that_empty_batches_are_refused(n_items, batch, word):
    with pytest.raises(InputError, match=word):
        random_batches(n_items, batch, 0, 0)
