"""Sets made from others, and the new synthetic ones, against what their options promise."""

from __future__ import annotations

import numpy as np
import pytest

from hnm_core import data
from hnm_core.data.sizes import class_sizes
from hnm_core.errors import InputError


@pytest.mark.parametrize("noise", [0.0, 0.1, 0.37, 1.0])
def test_that_exactly_the_asked_share_of_labels_is_wrong_and_the_truth_is_kept(noise):
    clean, noisy = data.create("digits"), data.create("label-noise", noise=noise, seed=3)
    assert np.array_equal(noisy.y_true, clean.y) and np.array_equal(noisy.x, clean.x)
    assert np.array_equal(noisy.images, clean.images) and noisy.image_shape == (1, 8, 8)
    assert np.count_nonzero(noisy.y != noisy.y_true) == round(noise * 1797)


def test_that_wrong_labels_are_spread_evenly_over_the_other_classes():
    noisy = data.create("label-noise", of="blobs", of_options={"classes": 5, "points": 20_000, "dim": 1}, noise=0.5)
    wrong = noisy.y != noisy.y_true
    steps = (noisy.y - noisy.y_true)[wrong] % 5
    counts = np.bincount(steps, minlength=5)
    assert counts[0] == 0
    assert np.abs(counts[1:] - 2500).max() < 5 * np.sqrt(2500)
    assert np.abs(np.bincount(noisy.y_true[wrong]) - 2000).max() < 5 * np.sqrt(2000)


def test_that_the_truth_of_a_set_that_is_noisy_already_is_kept():
    inner = {"of": "blobs", "noise": 0.3}
    twice = data.create("label-noise", of="label-noise", of_options=inner, noise=0.3, seed=1)
    assert np.array_equal(twice.y_true, data.create("blobs", seed=1).y)


def test_that_noisy_labels_depend_on_the_seed_alone():
    first, again, other = (data.create("label-noise", seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first.y, again.y) and not np.array_equal(first.y, other.y)


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("label-noise", {"of": "digit"}, "Did you mean digits"),
        ("label-noise", {"of": "blobs", "of_options": {"class": 3}}, "Unknown option 'class'"),
        ("label-noise", {"noise": 1.5}, "noise = 1.5"),
        ("imbalanced", {"of_options": {"a": 1}}, "'of', which is empty"),
        ("imbalanced", {"singletons": 10}, "singletons = 10 is too many for classes = 10"),
        ("imbalanced", {"points": 60}, "do not give 10 classes their sizes"),
        ("imbalanced", {"largest": 0.05}, "none more than the largest"),
        ("imbalanced", {"of": "digits", "singletons": 10}, "'digits', which has 10 classes"),
        ("imbalanced", {"of": "digits", "largest": 0.99}, r"No part of 'digits'"),
    ],
)
def test_that_what_cannot_be_made_is_refused_in_one_sentence(name, options, word):
    with pytest.raises(InputError, match=word) as refused:
        data.create(name, **options)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(("largest", "singletons", "classes"), [(0.9, 2, 10), (0.5, 0, 3), (0.34, 1, 4), (0.9, 9, 10)])
def test_that_one_class_is_most_of_the_set_and_some_are_single_items(largest, singletons, classes):
    made = data.create("imbalanced", largest=largest, singletons=singletons, classes=classes, points=1000, seed=5)
    counts = np.bincount(made.y)
    assert counts.sum() == 1000 and len(counts) == classes
    assert np.count_nonzero(counts == 1) == singletons
    between = counts[1 : classes - singletons]
    assert counts[0] == (round(largest * 1000) if len(between) else 1000 - singletons)
    assert not len(between) or between.max() - between.min() <= 1
    assert not np.array_equal(np.sort(made.y), made.y)


@pytest.mark.parametrize("largest", [0.3, 0.9])
def test_that_a_part_of_another_set_is_as_large_as_its_classes_allow(largest):
    part, whole = data.create("imbalanced", of="digits", largest=largest, seed=2), data.create("digits")
    counts = np.sort(np.bincount(part.y, minlength=10))[::-1]
    assert counts[0] / counts.sum() == pytest.approx(largest, abs=0.003)
    assert counts[0] == np.bincount(whole.y).max(), "the largest class could have been used whole"
    assert list(counts[-2:]) == [1, 1]
    assert np.array_equal(part.x, whole.x[part.ids]) and np.array_equal(part.y, whole.y[part.ids])
    assert np.array_equal(part.images, whole.images[part.ids]) and (np.diff(part.ids) > 0).all()


def test_that_a_part_has_no_more_points_than_asked_for():
    assert len(data.create("imbalanced", of="digits", points=180, singletons=2).y) == 180


def test_that_class_sizes_never_shrink_when_the_points_grow():
    before = None
    for points in range(30, 400):
        try:
            sizes = np.array(class_sizes(points, 6, 0.6, 2))
        except InputError:
            assert before is None, "sizes that are possible stay possible"
            continue
        assert sizes.sum() == points
        assert before is None or (sizes >= before).all()
        before = sizes
    assert before is not None


def test_that_rings_lie_around_one_centre_and_no_line_parts_them():
    made = data.create("rings", classes=4, noise=0.0, dim=3, seed=1)
    radius = np.hypot(made.x[:, 0], made.x[:, 1])
    assert np.allclose(radius, (1 + made.y) / 4, atol=1e-6) and (made.x[:, 2] == 0).all()
    assert all(np.abs(made.x[made.y == ring].mean(0)).max() < 0.1 for ring in range(4))
    noisy = data.create("rings", noise=0.05, points=20_000, dim=3)
    assert noisy.x[:, 2].std() == pytest.approx(0.05, rel=0.02)


def test_that_the_strips_of_a_swiss_roll_follow_one_another_along_the_sheet():
    made = data.create("swiss-roll", classes=8, turns=2.0, noise=0.0, seed=4)
    radius = np.hypot(made.x[:, 0], made.x[:, 2])
    order = np.argsort(radius)
    assert (np.diff(made.y[order]) >= 0).all()
    assert radius.max() == pytest.approx(1, abs=0.01) and np.abs(made.x[:, 1]).max() <= 1
    angle = np.unwrap(np.arctan2(made.x[order, 2], made.x[order, 0]))
    assert (angle[-1] - angle[0]) / (2 * np.pi) == pytest.approx(2.0, abs=0.01)
