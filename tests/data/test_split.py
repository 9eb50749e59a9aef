"""Held-out masks and stratified samples."""

from __future__ import annotations

import numpy as np
import pytest

from hnm_core.data.split import held_out_mask, stratified_sample
from hnm_core.errors import InputError


def uneven_labels(seed: int, classes: int = 30, most: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.permutation(np.repeat(np.arange(classes), rng.integers(1, most, classes)))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("share", (0.05, 0.25, 0.5, 0.9, 0.999))
def test_that_every_class_gives_its_share_and_keeps_two(seed, share):
    y = uneven_labels(seed)
    held_out = held_out_mask(y, share, seed)
    assert held_out.dtype == np.bool_ and held_out.shape == y.shape
    sizes = np.bincount(y)
    given = np.bincount(y[held_out], minlength=len(sizes))
    most = np.maximum(sizes - 2, 0)
    assert (given <= most).all()
    assert (np.abs(given - np.minimum(share * sizes, most)) < 1).all()
    assert given.sum() == round(np.minimum(share * sizes, most).sum())


def test_that_equal_classes_give_equally_where_the_share_is_whole():
    y = np.repeat(np.arange(100), 30)
    assert np.array_equal(np.bincount(y[held_out_mask(y, 0.1, 0)]), np.full(100, 3))
    assert np.array_equal(np.bincount(y[held_out_mask(y, 1 / 3, 0)]), np.full(100, 10))


def test_that_small_classes_share_out_what_rounding_would_lose():
    y = np.repeat(np.arange(100), 4)
    assert held_out_mask(y, 0.1, 0).sum() == 40


def test_that_a_share_of_zero_holds_nothing_out_and_pairs_stay_together():
    assert not held_out_mask(uneven_labels(0), 0.0, 0).any()
    assert not held_out_mask(np.array([0, 0, 1, 1, 2]), 0.9, 0).any()


def test_that_the_split_depends_on_the_seed_alone():
    y = uneven_labels(1)
    assert np.array_equal(held_out_mask(y, 0.3, 5), held_out_mask(y, 0.3, 5))
    assert not np.array_equal(held_out_mask(y, 0.3, 5), held_out_mask(y, 0.3, 6))


def test_that_every_item_is_held_out_equally_often():
    y = np.repeat([0, 1], [20, 40])
    often = sum(held_out_mask(y, 0.25, seed).astype(int) for seed in range(2000))
    assert np.abs(often - 500).max() < 5 * np.sqrt(2000 * 0.25 * 0.75)


@pytest.mark.parametrize("share", (-0.1, 1.0, float("nan")))
def test_that_a_share_out_of_range_is_refused(share):
    with pytest.raises(InputError, match="held_out"):
        held_out_mask(np.array([0, 1]), share, 0)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("n", (1, 10, 30, 31, 100, 400))
def test_that_a_sample_has_the_size_asked_for_and_as_many_classes_as_it_can(seed, n):
    y = uneven_labels(seed)
    rows = stratified_sample(y, n, seed)
    assert rows.dtype == np.int64 and len(rows) == min(n, len(y))
    assert (np.diff(rows) > 0).all() and rows[0] >= 0 and rows[-1] < len(y)
    assert len(np.unique(y[rows])) == min(n, 30)


def test_that_a_sample_keeps_the_proportions():
    y = np.repeat([0, 1, 2], [90_000, 9_000, 1_000])
    taken = np.bincount(y[stratified_sample(y, 20_000, 0)])
    assert np.abs(taken - [18_000, 1_800, 200]).max() <= 2


def test_that_equal_classes_are_sampled_equally():
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(10), 7_000))
    assert np.array_equal(np.bincount(y[stratified_sample(y, 10_000, 0)]), np.full(10, 1_000))
    uneven = np.bincount(y[stratified_sample(y, 10_003, 0)])
    assert uneven.sum() == 10_003 and uneven.max() - uneven.min() == 1


def test_that_labels_with_gaps_are_sampled_too():
    y = np.array([5, 5, 5, 9, 9, 2])
    rows = stratified_sample(y, 3, 0)
    assert sorted(y[rows]) == [2, 5, 9]
    assert held_out_mask(y, 0.4, 0).sum() == 1


def test_that_a_sample_depends_on_its_seed_alone():
    y = uneven_labels(2)
    assert np.array_equal(stratified_sample(y, 50, 1), stratified_sample(y, 50, 1))
    assert not np.array_equal(stratified_sample(y, 50, 1), stratified_sample(y, 50, 2))


def test_that_an_empty_sample_is_refused():
    with pytest.raises(InputError, match="0 items"):
        stratified_sample(np.array([0, 1]), 0, 0)
