"""Held-out masks and stratified samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hnm_core import data
from hnm_core.data.parts import split
from hnm_core.data.split import held_out_classes_mask, held_out_mask, queries, stratified_sample, thinned
from hnm_core.data.wrapped import taken
from hnm_core.errors import InputError
from hnm_core.spec.config import DataConfig


def uneven_labels(seed: int, classes: int = 30, most: int = 40) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.permutation(np.repeat(np.arange(classes), rng.integers(1, most, classes)))


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("share", (0.05, 0.25, 0.5, 0.9, 0.999))
def test_that_every_class_keeps_two_on_each_side_that_it_is_on(seed, share):
    y = uneven_labels(seed)
    held_out = held_out_mask(y, share, seed)
    assert held_out.dtype == np.bool_ and held_out.shape == y.shape
    sizes = np.bincount(y)
    given = np.bincount(y[held_out], minlength=len(sizes))
    left = sizes - given
    assert set(given[sizes == 1]) <= {0}
    assert ((given != 1) & ((left >= 2) | (left == 0) | (sizes == 1))).all()
    assert (left[sizes >= 4] >= 2).all()
    most = np.minimum(share * sizes, sizes - 2)
    large = most >= 2
    assert (np.abs(given - most)[large] < 1).all()
    assert set(given[~large & (sizes >= 4)]) <= {0, 2}


@pytest.mark.parametrize(("size", "share"), ((2, 0.25), (3, 0.25), (4, 0.25), (5, 0.25), (5, 0.1), (7, 0.25)))
def test_that_sets_of_small_classes_hold_out_their_share_in_pairs_at_least(size, share):
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(3_000), size))
    held_out = held_out_mask(y, share, 0)
    given = np.bincount(y[held_out], minlength=3_000)
    assert set(given) == ({0, size} if size < 4 else {0, 2})
    assert abs(held_out.mean() - share) < 0.001


def test_that_two_classes_to_train_on_stay_where_all_are_small():
    for seed in range(20):
        y = np.repeat(np.arange(4), 2)
        given = np.bincount(y[held_out_mask(y, 0.9, seed)], minlength=4)
        assert (given == 0).sum() >= 2 and given.sum() >= 2


def test_that_equal_classes_give_equally_where_the_share_is_whole():
    y = np.repeat(np.arange(100), 30)
    assert np.array_equal(np.bincount(y[held_out_mask(y, 0.1, 0)]), np.full(100, 3))
    assert np.array_equal(np.bincount(y[held_out_mask(y, 1 / 3, 0)]), np.full(100, 10))


def test_that_small_classes_share_out_what_rounding_would_lose():
    y = np.repeat(np.arange(100), 4)
    assert held_out_mask(y, 0.1, 0).sum() == 40


def test_that_a_share_of_zero_holds_nothing_out():
    assert not held_out_mask(uneven_labels(0), 0.0, 0).any()
    assert not held_out_mask(np.array([0, 0, 1, 1, 2]), 0.9, 0).any()  # the two classes that can be trained on


def test_that_the_split_depends_on_the_seed_alone():
    y = uneven_labels(1)
    assert np.array_equal(held_out_mask(y, 0.3, 5), held_out_mask(y, 0.3, 5))
    assert not np.array_equal(held_out_mask(y, 0.3, 5), held_out_mask(y, 0.3, 6))


def test_that_every_item_is_held_out_equally_often():
    y = np.repeat(np.arange(9), [20, 40, 2, 3, 4, 5, 6, 2, 30])
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
    assert held_out_mask(np.repeat([3, 7, 9], 5), 0.4, 0).sum() == 6


def test_that_a_sample_depends_on_its_seed_alone():
    y = uneven_labels(2)
    assert np.array_equal(stratified_sample(y, 50, 1), stratified_sample(y, 50, 1))
    assert not np.array_equal(stratified_sample(y, 50, 1), stratified_sample(y, 50, 2))


def test_that_an_empty_sample_is_refused():
    with pytest.raises(InputError, match="0 items"):
        stratified_sample(np.array([0, 1]), 0, 0)


@pytest.mark.parametrize("size", (2, 5, 12, 16))
def test_that_small_classes_are_thinned_whole(size):
    y = np.random.default_rng(0).permutation(np.repeat(np.arange(3_000), size))
    rows = thinned(y, 2_000, 0)
    assert (np.diff(rows) > 0).all() and 2_000 - size < len(rows) <= 2_000
    assert set(np.bincount(y[rows], minlength=3_000)) == {0, size}


def test_that_large_classes_are_thinned_in_proportion_and_those_between_keep_some():
    y = np.repeat(np.arange(10), 700)
    assert np.array_equal(thinned(y, 2_000, 3), stratified_sample(y, 2_000, 3))
    y = np.repeat(np.arange(1_000), 40)
    assert set(np.bincount(y[thinned(y, 2_000, 0)], minlength=1_000)) == {0, 8}
    y = np.repeat(np.arange(402), [5] * 400 + [10_000, 8_000])
    kept = np.bincount(y[thinned(y, 2_000, 0)], minlength=402)
    assert set(kept[:400]) == {0, 5} and np.abs(kept[400:] - [1_000, 800]).max() <= 1


def test_that_every_item_is_as_likely_to_stay_and_to_query():
    y = np.repeat(np.arange(60), [1] * 20 + [3] * 20 + [9] * 10 + [20] * 5 + [60] * 5)
    stays = asks = np.zeros(len(y), int)
    for seed in range(2000):
        stays = stays + np.bincount(thinned(y, 120, seed), minlength=len(y))
        asks = asks + np.bincount(queries(y, 120, seed), minlength=len(y))
    share = 120 / len(y)
    spread = np.sqrt(2000 * share * (1 - share))
    assert np.abs(asks - 2000 * share).max() < 5 * spread
    assert np.abs(stays - 2000 * share).max() < 7 * spread  # what does not fit any more is left out


def test_that_queries_are_spread_over_the_classes_and_all_of_a_small_set():
    y = np.random.default_rng(1).permutation(np.repeat(np.arange(100), 50))
    rows = queries(y, 1_000, 4)
    assert len(np.unique(rows)) == 1_000 and (np.diff(rows) > 0).all()
    assert set(np.bincount(y[rows])) == {10}
    assert np.array_equal(queries(y, 5_000, 0), np.arange(5_000))


def test_that_a_part_too_small_for_whole_classes_still_has_two():
    y = np.repeat(np.arange(300), 10)
    assert len(np.unique(y[thinned(y, 12, 0)])) == 12


@pytest.mark.parametrize("share", (0.01, 0.25, 0.5, 0.99))
def test_that_held_out_classes_are_whole_and_can_be_measured(share):
    y = uneven_labels(4)
    sizes = np.bincount(y)
    masks = [held_out_classes_mask(y, share, seed) for seed in range(5)]
    for mask in masks:
        given = np.bincount(y[mask], minlength=len(sizes))
        assert set(np.unique(given[given > 0] / sizes[given > 0])) == {1.0}, "no class is on both sides"
        assert (given[sizes == 1] == 0).all(), "a class of one item has nothing to be found"
        able = (sizes > 1).sum()
        assert (given > 0).sum() == min(max(round(share * able), 2), able - 2)
    assert (
        any((mask != masks[0]).any() for mask in masks[1:]) and (masks[0] == held_out_classes_mask(y, share, 0)).all()
    )


def test_that_too_few_classes_for_a_split_by_classes_are_refused():
    with pytest.raises(InputError, match=r"needs 4 classes of two items or more.*these data have 3"):
        held_out_classes_mask(np.array([0, 0, 1, 1, 2, 2, 3]), 0.25, 0)
    with pytest.raises(InputError, match="held_out = 1"):
        held_out_classes_mask(np.repeat(np.arange(4), 2), 1.0, 0)
    assert not held_out_classes_mask(np.zeros(3, np.int64), 0, 0).any()


def test_that_a_split_is_what_the_configuration_names():
    made = data.create("blobs", classes=8, points=80, dim=2)
    own = np.arange(80) < 10
    test = np.arange(80) >= 60
    file, published = replace(made, held_out=own), replace(made, official=test)

    def held_out(dataset, **config):
        return split(dataset, DataConfig(**config), 0).held_out

    assert np.array_equal(held_out(published), held_out(made)), "items are parted as ever"
    assert np.array_equal(held_out(file), own)
    assert np.array_equal(held_out(file, split="official"), own)
    assert np.array_equal(held_out(published, split="official"), test)
    parts = split(published, DataConfig(split="official", validation=0.3), 0)
    assert parts.measured.size and (parts.measured < 60).all(), "options are chosen on the training side"
    for dataset in (made, file):
        parts = split(dataset, DataConfig(split="classes", validation=0.3), 0)
        trained, measured = set(made.y[parts.trained]), set(made.y[parts.measured])
        tested = set(made.y[split(dataset, DataConfig(split="classes"), 0).measured])
        assert len(measured) == len(tested) == 2 and not (trained & measured or trained & tested or measured & tested)
    for dataset, words in ((made, "no official split"), (replace(made, official=~(own | ~own)), "take more points")):
        with pytest.raises(InputError, match=words):
            split(dataset, DataConfig(split="official"), 0)
    taken_apart = taken(published, np.arange(50, 70), "part")
    assert np.array_equal(taken_apart.official, np.arange(50, 70) >= 60)
