"""Batches of neighbours: what a batch is made of, replayed from the batches themselves."""

from __future__ import annotations

import time

import numpy as np
import pytest

from hnm_core.data import sampling
from hnm_core.data.neighbour_batches import neighbour_batches
from hnm_core.errors import InputError


def near_lists(n: int = 600, length: int = 128, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of points on a line, nearest first, and labels of runs of six points."""
    x = np.sort(np.random.default_rng(seed).random(n))
    order = np.abs(x[:, None] - x[None]).argsort(1)
    return order[:, 1 : length + 1], np.arange(n) // 6


def test_that_no_item_comes_twice_in_an_epoch_and_every_batch_is_full() -> None:
    lists, _ = near_lists()
    batches = neighbour_batches(lists, 64, seed=3, epoch=1)
    assert len(batches) == 600 // 64
    everything = np.concatenate(batches)
    assert all(batch.shape == (64,) and batch.dtype == np.int64 for batch in batches)
    assert len(np.unique(everything)) == len(everything)
    assert everything.min() >= 0 and everything.max() < 600


def test_that_a_batch_is_an_anchor_and_its_nearest_unused_ones_then_the_next_anchor() -> None:
    lists, _ = near_lists()
    used: set[int] = set()
    for batch in neighbour_batches(lists, 100, seed=5, epoch=0, random=0, nearest=32):
        rows = batch.tolist()
        while rows:
            anchor = rows.pop(0)
            used.add(anchor)
            expected = [row for row in lists[anchor, :32].tolist() if row not in used][: len(rows)]
            assert rows[: len(expected)] == expected
            used.update(expected)
            rows = rows[len(expected) :]


def test_that_the_other_neighbours_are_drawn_evenly_from_the_rest_of_the_pool() -> None:
    """In a batch of 65 there is room for one anchor, 32 nearest and 32 of the other 96."""
    lists, _ = near_lists(n=400, length=200)
    counts = np.zeros(96)
    for seed in range(300):
        first = neighbour_batches(lists, 65, seed=seed, epoch=0)[0]
        anchor, near, drawn = first[0], first[1:33], first[33:]
        assert near.tolist() == lists[anchor, :32].tolist()
        place = [lists[anchor].tolist().index(row) for row in drawn.tolist()]
        assert len(set(place)) == 32 and min(place) >= 32 and max(place) < 128
        counts[np.array(place) - 32] += 1
    assert abs(counts - 100).max() < 5 * np.sqrt(300 * (1 / 3) * (2 / 3))


def test_that_batches_depend_on_seed_and_epoch_only() -> None:
    lists, labels = near_lists()
    for wanted in (None, labels):
        first, again, other_epoch, other_seed = (
            np.concatenate(neighbour_batches(lists, 60, seed=seed, epoch=epoch, labels=wanted))
            for seed, epoch in ((1, 0), (1, 0), (1, 1), (2, 0))
        )
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other_epoch) and not np.array_equal(first, other_seed)


def test_that_with_labels_each_batch_holds_one_positive_pair_of_each_of_its_labels() -> None:
    lists, labels = near_lists()
    labels = labels * 7 - 100
    batches = neighbour_batches(lists, 64, seed=3, epoch=1, labels=labels)
    assert len(batches) >= 6
    for batch in batches:
        anchors, partners = batch[::2], batch[1::2]
        assert np.array_equal(labels[anchors], labels[partners])
        assert len(np.unique(labels[anchors])) == 32
    everything = np.concatenate(batches)
    assert len(np.unique(everything)) == len(everything)


def test_that_neighbours_share_batches_far_more_often_than_by_chance() -> None:
    lists, _ = near_lists(n=1200)

    def together(batches: list[np.ndarray]) -> float:
        return float(np.mean([np.isin(lists[row, :10], batch).mean() for batch in batches for row in batch]))

    chance = together(np.split(np.random.default_rng(0).permutation(1152), 18))
    assert together(neighbour_batches(lists, 64, seed=0, epoch=0)) > 5 * chance


def test_that_an_epoch_ends_after_1024_items_in_a_row_that_do_not_fit() -> None:
    """Two labels of 2,000 items; the third has two. A batch of three pairs can be filled once."""
    labels = np.concatenate([np.zeros(2000), np.ones(2000), [2, 2]]).astype(np.int64)
    nothing = np.full((4002, 1), -1)
    batches = neighbour_batches(nothing, 6, seed=0, epoch=0, labels=labels)
    # The first batch needs the third label, which comes early or late in the queue.
    found = [len(neighbour_batches(nothing, 6, seed=seed, epoch=0, labels=labels)) for seed in range(20)]
    assert len(batches) <= 1 and 0 < sum(found) < 20
    pairs = neighbour_batches(nothing, 4, seed=0, epoch=0, labels=labels)
    assert len(pairs) > 900


def test_that_a_small_set_is_one_batch_and_missing_neighbours_are_passed_over() -> None:
    lists = np.full((7, 3), -1)
    (batch,) = neighbour_batches(lists, 128, seed=0, epoch=0)
    assert sorted(batch.tolist()) == list(range(7))
    assert len(neighbour_batches(np.zeros((7, 0), np.int32), 3, seed=0, epoch=0)) == 2
    twice = np.array([[1, 1, 1], [0, 0, 0], [2, 1, 0]])
    (batch,) = neighbour_batches(twice, 3, seed=0, epoch=0)
    assert sorted(batch.tolist()) == [0, 1, 2], "repeated neighbours and the item itself count once"


@pytest.mark.parametrize(
    ("lists", "options", "words"),
    [
        (np.zeros((3, 2)), {}, "whole numbers"),
        (np.zeros(3, np.int64), {}, "shape"),
        (np.zeros((0, 2), np.int64), {}, "no items"),
        (np.full((3, 2), 3), {}, "names row 3, but the rows are 0 to 2"),
        (np.full((3, 2), -2), {}, "names row -2"),
        (np.zeros((3, 2), np.int64), {"batch": 0}, "batch = 0"),
        (np.zeros((3, 2), np.int64), {"nearest": -1}, "nearest = -1"),
        (np.zeros((3, 2), np.int64), {"labels": np.zeros(2, np.int64)}, "labels must be 3 integers"),
        (np.zeros((8, 2), np.int64), {"batch": 8, "labels": np.arange(8) // 4}, "needs 4 labels .*; there are 2"),
    ],
)
def test_that_wrong_input_is_refused_in_a_sentence(lists: np.ndarray, options: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        neighbour_batches(lists, **{"batch": 4, "seed": 0, "epoch": 0, **options})


def test_that_fifty_thousand_items_take_seconds() -> None:
    source = np.random.default_rng(0)
    base = np.arange(50_000)[:, None] + source.integers(-500, 500, (50_000, 128))
    start = time.perf_counter()
    batches = neighbour_batches(base % 50_000, 128, seed=0, epoch=0)
    assert len(batches) == 50_000 // 128
    assert time.perf_counter() - start < 20


def most_batches(pairs: list[int], labels: int) -> int:
    """How often `labels` different labels can each give one of their pairs: always the ones with most left."""
    left, batches = sorted(pairs), 0
    while len(left) >= labels and left[-labels] > 0:
        left = sorted(left[:-labels] + [count - 1 for count in left[-labels:]])
        batches += 1
    return batches


def test_that_the_sampler_tells_what_a_dominating_class_keeps_out_of_an_epoch() -> None:
    source = np.random.default_rng(0)
    told = 0
    for _ in range(12):
        counts = np.r_[source.integers(100, 300), source.integers(1, 7, 40)]
        labels = source.permutation(np.repeat(np.arange(41), counts))
        batch = int(source.choice([4, 7, 8, 12]))
        sampler = sampling.create("neighbours", labels=labels, batch=batch, seed=1)
        out = len(labels) - 2 * (batch // 2) * most_batches((counts // 2).tolist(), batch // 2)
        lists = source.integers(0, len(labels), (len(labels), 20))
        seen = np.concatenate(sampler.batches_near(lists, 1))
        assert len(np.unique(seen)) == len(seen) <= len(labels) - out
        if out >= 2 * batch:
            assert f"leaves out at least {out:,} of the {len(labels):,} items" in sampler.notes[0]
            assert f"the largest class has {counts.max():,}" in sampler.notes[0]
            told += 1
        else:
            assert not sampler.notes
    assert told > 5
    assert sampling.create("neighbours", labels=np.arange(400) // 4, batch=20, seed=0).notes == ()


def test_that_a_batch_of_one_item_is_one_item() -> None:
    sampler = sampling.create("neighbours", labels=np.arange(9) // 3, batch=1, seed=0)
    batches = sampler.batches_near(np.zeros((9, 1), np.int64), 1)
    assert [len(rows) for rows in batches] == [1] * 9
