"""P x K batches against what they promise, on class sizes of every kind; and samplers by name."""

from __future__ import annotations

import math
import re
import time

import numpy as np
import pytest

from hnm_core import data
from hnm_core.data import sampling
from hnm_core.data.balanced import balanced_batches, plan
from hnm_core.errors import InputError
from hnm_core.run.events import Alarm
from hnm_core.spec import config
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.registry import SAMPLERS
from hnm_core.training.experiment import Experiment
from tests.families import one_in


def sizes_of(kind: str, source: np.random.Generator) -> np.ndarray:
    classes = int(source.integers(2, 40))
    if kind == "even":
        return np.full(classes, source.integers(1, 30))
    if kind == "giant":
        return np.r_[source.integers(300, 900), source.integers(1, 12, classes)]
    if kind == "singletons":
        return np.r_[np.ones(classes, np.int64), source.integers(2, 9)]
    return source.integers(1, 40, classes)


@pytest.mark.parametrize("kind", one_in(2, ["any", "even", "giant", "singletons"]))
def test_that_every_item_is_covered_by_batches_of_p_classes_and_k_items_in_the_fewest_batches(kind):
    source = np.random.default_rng(len(kind))
    for _ in range(60):
        sizes = sizes_of(kind, source)
        p, k = int(source.integers(2, 12)), int(source.integers(1, 9))
        labels = source.permutation(np.repeat(source.permutation(10**6)[: len(sizes)] - 5 * 10**5, sizes))
        batches = balanced_batches(labels, p, k, seed=int(source.integers(99)), epoch=int(source.integers(9)))
        lowered = min(p, len(sizes))
        groups = [math.ceil(size / k) for size in sizes]
        assert len(batches) == max(math.ceil(sum(groups) / lowered), max(groups))
        for rows in batches:
            assert rows.dtype == np.int64 and len(rows) == lowered * k
            found, slots = np.unique(labels[rows], return_counts=True)
            assert len(found) == lowered >= 2 and (slots == k).all()
            of_class = dict(zip(*np.unique(labels, return_counts=True), strict=True))
            once = [min(k, of_class[label]) for label in found]
            assert len(np.unique(rows)) == sum(once), "an item repeats inside a batch though its class has others"
        seen = np.bincount(np.concatenate(batches), minlength=len(labels))
        assert seen.min() >= 1, "an item is missing from the epoch"
        for label in np.unique(labels):
            times = seen[labels == label]
            assert times.max() - times.min() <= 1, "of one class, some items repeat before others come again"
        told = plan(labels, p, k)
        assert told.repeated == seen.sum() - len(labels) and told.batches == len(batches)
        assert told.singletons == (sizes == 1).sum() and told.small_classes == (sizes < k).sum()
        assert told.batch == lowered * k


def test_that_extra_groups_come_from_the_classes_that_repeated_least():
    labels = np.repeat(np.arange(9), [800] + [8] * 8)
    seen = np.bincount(labels[np.concatenate(balanced_batches(labels, 4, 4, 0, 0))], minlength=9)
    assert seen[0] == 800
    assert seen[1:].max() - seen[1:].min() <= 4


def test_that_batches_depend_on_seed_and_epoch_alone():
    labels = np.random.default_rng(0).integers(0, 7, 300)

    def order(seed, epoch):
        return np.stack(balanced_batches(labels, 4, 3, seed, epoch))

    state = np.random.get_state()[1].copy()  # noqa: NPY002 - it is the global state that is watched
    assert np.array_equal(order(3, 5), order(3, 5))
    assert not np.array_equal(order(3, 5), order(3, 6)) and not np.array_equal(order(3, 5), order(4, 5))
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_that_neither_the_names_of_classes_nor_their_order_in_memory_matters():
    labels = np.random.default_rng(0).integers(0, 7, 300)
    plain = np.stack(balanced_batches(labels, 4, 3, 0, 0))
    strided = np.repeat(labels, 2)[::2]
    for other in (labels * 10**12 - 5, labels.astype(np.uint8), strided):
        assert np.array_equal(np.stack(balanced_batches(other, 4, 3, 0, 0)), plain)


def test_that_rows_are_mixed_and_any_two_classes_meet():
    labels = np.repeat(np.arange(10), 60)
    batches = balanced_batches(labels, 3, 4, 0, 0)
    switches = [np.count_nonzero(np.diff(labels[rows])) for rows in batches]
    assert np.mean(switches) == pytest.approx(8, abs=0.8), "a shuffled batch of 3 x 4 changes class 8 times on average"
    met = {frozenset(pair) for rows in batches for pair in zip(labels[rows], labels[np.roll(rows, 1)], strict=True)}
    assert len([pair for pair in met if len(pair) == 2]) == 45
    sizes_first = np.bincount([labels[rows].min() for rows in batches])
    assert len(sizes_first) > 3


def test_that_a_large_set_is_cut_into_batches_in_no_time():
    labels = np.random.default_rng(0).integers(0, 1000, 100_000)
    began = time.process_time()
    balanced_batches(labels, 8, 4, 0, 0)
    assert time.process_time() - began < 1.0


@pytest.mark.parametrize(
    ("labels", "p", "k", "word"),
    [
        ([1, 1, 1], 2, 2, "of 1 class; the balanced sampler needs at least 2"),
        ([], 2, 2, "of 0 classes"),
        ([0, 1], 1, 2, "at least 2 classes"),
        ([0, 1], 2, 0, "1 item of each"),
        ([[0, 1]], 2, 2, r"\(N,\) integers"),
        ([0.0, 1.5], 2, 2, "not float64"),
    ],
)
def test_that_labels_that_cannot_be_balanced_are_refused(labels, p, k, word):
    array = np.array(labels) if labels else np.array([], np.int64)
    for call in (lambda: plan(array, p, k), lambda: balanced_batches(array, p, k, 0, 0)):
        with pytest.raises(InputError, match=word):
            call()


@pytest.mark.parametrize(
    ("sizes", "p", "k", "words"),
    [
        ([5, 5, 5], 8, 5, ["only 3 classes"]),
        ([100, 5, 5], 2, 5, ["100 of the 110 items .* repeats 90 items. .* cap = 15 "]),
        ([17, 8, 8], 3, 4, ["17 of the 33 items .* repeats 27 items. .* cap = 12 "]),
        ([9, 9, 9], 3, 4, ["shows 27 items and repeats 9, to fill its 3 batches"]),
        ([4, 4, 1], 2, 4, ["repeats 7", "1 of 3 classes have fewer than 4", "1 of 3 classes have a single item"]),
        ([8, 8, 8], 3, 4, []),
    ],
)
def test_that_the_plan_says_what_the_user_should_know(sizes, p, k, words):
    notes = plan(np.repeat(np.arange(len(sizes)), sizes), p, k).notes
    assert len(notes) == len(words)
    assert all(re.search(word, note) for word, note in zip(words, notes, strict=True))


def test_that_samplers_are_made_by_name_and_know_their_options():
    labels = np.random.default_rng(0).integers(0, 5, 90)
    assert {"random", "balanced", "neighbours"} <= set(SAMPLERS.names())
    at_random = sampling.create("random", labels=labels, batch=16, seed=3)
    assert all(
        np.array_equal(a, b) for a, b in zip(at_random.batches(2), sampling.random_batches(90, 16, 3, 2), strict=True)
    )
    balanced = sampling.create("balanced", labels=labels, batch=16, seed=3, classes=3, per_class=2)
    assert np.array_equal(np.stack(balanced.batches(2)), np.stack(balanced_batches(labels, 3, 2, 3, 2)))
    assert at_random.notes == () and balanced.notes == balanced.plan.notes
    with pytest.raises(InputError, match="Did you mean balanced"):
        sampling.create("balance", labels=labels, batch=16, seed=3)
    with pytest.raises(InputError, match="nearest = 100 and random = 32 must be"):
        SAMPLERS.validate("neighbours", {"nearest": 100})


def test_that_a_configuration_takes_any_sampler_and_its_batch_follows_the_options():
    balanced = config.with_settings(ExperimentConfig(), ["sampler.name=balanced"])
    assert balanced.sampler.batch == 32 and "batch" not in balanced.to_dict()["sampler"]
    wider = config.with_settings(balanced, ["sampler.options.per_class=16"])
    assert wider.sampler.batch == 128
    assert config.from_dict(wider.to_dict()) == wider
    assert config.with_settings(wider, ["sampler.name=random", "sampler.options={}"]).sampler.batch == 256
    agreed = config.with_settings(wider, ["sampler.batch=128"])
    assert agreed == wider
    assert config.with_settings(ExperimentConfig(), ["sampler.batch=64"]).to_dict()["sampler"]["batch"] == 64


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (["sampler.name=balanced", "sampler.batch=64"], "batch = 64 does not go with the sampler 'balanced'"),
        (["sampler.name=balance"], "Did you mean balanced"),
        (["sampler.options.classes=3"], "sampler 'random': Unknown option 'classes'"),
        (["sampler.name=balanced", "sampler.options.classes=1"], "classes = 1 is not allowed"),
    ],
)
def test_that_a_sampler_that_cannot_be_is_refused_in_one_sentence(settings, words):
    with pytest.raises(InputError) as refused:
        config.with_settings(ExperimentConfig(), settings)
    assert words in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("kind", ["any", "giant", "singletons"])
def test_that_under_a_cap_no_class_gives_more_and_every_item_comes_round(kind):
    source = np.random.default_rng(7)
    for _ in range(6):
        sizes = sizes_of(kind, source)
        p, k, cap = int(source.integers(2, 8)), int(source.integers(1, 7)), int(source.integers(1, 60))
        labels = source.permutation(np.repeat(np.arange(len(sizes)), sizes))
        epochs = max(1, math.ceil(sizes.max() / cap))
        seed = int(source.integers(99))
        told = plan(labels, p, k, cap)
        shown = np.zeros(len(labels), np.int64)
        for epoch in range(epochs):
            batches = balanced_batches(labels, p, k, seed, epoch, cap)
            groups = np.ceil(np.minimum(sizes, cap) / k).astype(int)
            lowered = min(p, len(sizes))
            assert len(batches) == max(math.ceil(groups.sum() / lowered), groups.max()) == told.batches
            for rows in batches:
                found, slots = np.unique(labels[rows], return_counts=True)
                assert len(found) == lowered and (slots == k).all()
            seen = np.unique(np.concatenate(batches))
            assert np.array_equal(np.bincount(labels[seen], minlength=len(sizes)), np.minimum(sizes, cap))
            assert told.left_out == len(labels) - len(seen)
            assert told.repeated == sum(map(len, batches)) - len(seen)
            shown[seen] += 1
        assert shown.min() >= 1, "an item never came though its turn was due"


def test_that_the_cap_that_a_plan_advises_ends_the_repeats_of_a_dominating_class_and_is_the_largest_that_does():
    source = np.random.default_rng(3)
    advised = 0
    for _ in range(60):
        sizes = sizes_of("giant", source)
        p, k = int(source.integers(2, 12)), int(source.integers(1, 9))
        labels = np.repeat(np.arange(len(sizes)), sizes)
        found = re.search(r"cap = (\d+)", " ".join(plan(labels, p, k).notes))
        if found is None:
            continue
        cap, advised = int(found[1]), advised + 1
        assert not [note for note in plan(labels, p, k, cap).notes if "in every batch" in note]
        groups = np.ceil(np.minimum(sizes, cap) / k)
        assert groups.max() <= math.ceil(groups.sum() / min(p, len(sizes)))
        more = np.ceil(np.minimum(sizes, cap + 1) / k)
        assert more.max() > math.ceil(more.sum() / min(p, len(sizes))), "a larger cap would have done"
    assert advised > 30


def test_that_a_cap_that_no_class_reaches_changes_nothing_and_batches_depend_on_seed_and_epoch():
    labels = np.repeat(np.arange(5), [90, 8, 8, 8, 8])

    def order(epoch, cap, seed=0):
        return np.stack(balanced_batches(labels, 4, 4, seed, epoch, cap))

    assert np.array_equal(order(3, 90), order(3, None))
    assert np.array_equal(order(3, 16), order(3, 16))
    assert not np.array_equal(order(3, 16), order(4, 16)) and not np.array_equal(order(3, 16), order(3, 16, seed=1))
    with pytest.raises(InputError, match="cap = 0 is not allowed"):
        order(0, 0)
    with pytest.raises(InputError, match="cap = 0 is not allowed"):
        SAMPLERS.validate("balanced", {"cap": 0})
    sampler = sampling.create("balanced", labels=labels, batch=16, seed=2, classes=4, per_class=4, cap=16)
    assert np.array_equal(np.stack(sampler.batches(1)), order(1, 16, seed=2))
    assert any("1 of 5 classes an epoch shows 16 items; the 74 it leaves out" in note for note in sampler.notes)


def test_that_a_run_tells_how_many_items_an_epoch_repeats_and_what_cap_would_help():
    settings = ["data.name=blobs", "data.options.points=90", "sampler.name=balanced", "steps=1", "eval_every=1000"]
    settings += ["sampler.options.classes=3", "sampler.options.per_class=4", "data.held_out=0"]
    labels = data.create("blobs", points=90, seed=0).y
    repeats = len(np.concatenate(balanced_batches(labels, 3, 4, 0, 0))) - len(labels)
    assert repeats > 0
    events = Experiment(config.with_settings(ExperimentConfig(), settings)).run()
    notes = [event.message for event in events if isinstance(event, Alarm) and event.code == "sampler"]
    assert any(f"shows 90 items and repeats {repeats}," in note for note in notes), notes
