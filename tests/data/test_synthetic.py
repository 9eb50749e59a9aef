"""The synthetic sets against what their options promise."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hnm_core import data
from hnm_core.data.base import LoadCancelled
from hnm_core.errors import InputError

SYNTHETIC = ("near-classes", "blobs", "noise")


@pytest.mark.parametrize("name", SYNTHETIC)
def test_that_a_synthetic_set_depends_on_its_seed_alone(name):
    first, again, other = data.create(name, seed=7), data.create(name, seed=7), data.create(name, seed=8)
    assert np.array_equal(first.x, again.x) and np.array_equal(first.y, again.y)
    assert not np.array_equal(first.x, other.x) and not np.array_equal(first.y, other.y)


@pytest.mark.parametrize("name", SYNTHETIC)
def test_that_the_global_generator_plays_no_part(name):
    state_before = np.random.get_state()[1].copy()  # noqa: NPY002 - it is the global state that is watched
    data.create(name)
    assert np.array_equal(np.random.get_state()[1], state_before)  # noqa: NPY002


@pytest.mark.parametrize("name", (*SYNTHETIC, "digits"))
def test_that_a_set_has_the_promised_types_and_shapes(name):
    dataset = data.create(name)
    n_items = len(dataset.x)
    assert dataset.x.dtype == np.float32 and dataset.x.ndim == 2 and np.isfinite(dataset.x).all()
    assert dataset.y.dtype == np.int64 and dataset.y.shape == (n_items,)
    assert dataset.ids.dtype == np.int64 and np.array_equal(dataset.ids, np.arange(n_items))
    assert np.array_equal(np.unique(dataset.y), np.arange(len(dataset.class_names)))
    assert len(set(dataset.class_names)) == len(dataset.class_names)
    assert dataset.name == name


def test_that_near_classes_have_the_spreads_that_were_asked_for():
    groups, per_group, points, dim = 60, 8, 25, 40
    dataset = data.create("near-classes", groups=groups, classes_per_group=per_group, points_per_class=points, dim=dim)
    by_class = dataset.x[np.argsort(dataset.y, kind="stable")].reshape(groups, per_group, points, dim).astype(float)
    class_means, group_means = by_class.mean(axis=2), by_class.mean(axis=(1, 2))
    of_points = by_class.var(axis=2, ddof=1).mean()
    of_classes = class_means.var(axis=1, ddof=1).mean() - of_points / points
    of_groups = group_means.var(axis=0, ddof=1).mean() - of_classes / per_group - of_points / (points * per_group)
    assert np.sqrt(of_points) * 3 == pytest.approx(0.6, rel=0.01)
    assert np.sqrt(of_classes) * 3 == pytest.approx(0.9, rel=0.03)
    assert np.sqrt(of_groups) * 3 == pytest.approx(3.0, rel=0.05)


def test_that_near_classes_are_coloured_by_group():
    dataset = data.create("near-classes")
    assert dataset.x.shape == (3000, 32)
    assert np.array_equal(np.bincount(dataset.y), np.full(100, 30))
    assert np.array_equal(dataset.groups, dataset.y // 5)
    assert dataset.class_names[13] == "group 2, class 3"


def test_that_the_centres_of_near_classes_stay_when_points_are_added():
    few = data.create("near-classes", seed=3, points_per_class=40, point_spread=0)
    many = data.create("near-classes", seed=3, points_per_class=80, point_spread=0)
    for label in (0, 41, 99):
        assert np.array_equal(few.x[few.y == label][0], many.x[many.y == label][0])


@pytest.mark.parametrize("name", ("near-classes", "blobs"))
def test_that_items_do_not_come_in_the_order_of_their_classes(name):
    y = data.create(name).y
    assert np.count_nonzero(np.diff(y) == 0) < len(y) / 4


def test_that_blobs_are_round_and_of_equal_size():
    dataset = data.create("blobs", classes=7, points=10_000, dim=12, spread=0.5, separation=4.0)
    sizes = np.bincount(dataset.y)
    assert sizes.sum() == 10_000 and sizes.max() - sizes.min() <= 1
    centres = np.stack([dataset.x[dataset.y == label].mean(axis=0) for label in range(7)])
    residuals = dataset.x - centres[dataset.y]
    assert residuals.std(axis=0) == pytest.approx(0.5, rel=0.05)
    assert centres.std() == pytest.approx(4.0, rel=0.3)


def test_that_noise_is_uniform_and_tells_nothing_about_the_label():
    dataset = data.create("noise", points=20_000, classes=4, dim=5)
    assert np.abs(dataset.x).max() <= 1
    for column in dataset.x.T:
        counts = np.histogram(column, bins=20, range=(-1, 1))[0]
        assert ((counts - 1000) ** 2 / 1000).sum() < 50  # chi-square with 19 degrees of freedom, p = 0.0001
    sizes = np.bincount(dataset.y)
    assert ((sizes - 5000) ** 2 / 5000).sum() < 21  # 3 degrees of freedom, p = 0.0001
    means = np.stack([dataset.x[dataset.y == label].mean(axis=0) for label in range(4)])
    assert np.abs(means).max() < 5 * np.sqrt(1 / 3 / 5000)


@pytest.mark.parametrize("seed", range(5))
def test_that_every_class_of_noise_has_two_items_however_few_there_are(seed):
    assert np.array_equal(np.bincount(data.create("noise", seed=seed, points=20, classes=10).y), np.full(10, 2))
    assert np.bincount(data.create("noise", seed=seed, points=50, classes=20).y).min() >= 2


@pytest.mark.parametrize(
    ("name", "options", "word"),
    [
        ("noise", {"points": 19, "classes": 10}, "at least 20"),
        ("blobs", {"points": 7, "classes": 4}, "at least 8"),
        ("near-classes", {"groups": 1, "classes_per_group": 1}, "at least 2 classes"),
        ("near-classes", {"groups": 10_000, "classes_per_group": 1_000, "points_per_class": 100}, "smaller"),
        ("blobs", {"points": 10_000_000, "dim": 4_096}, "smaller"),
        ("near-classes", {"point_spread": float("nan")}, "point_spread"),
    ],
)
def test_that_impossible_sizes_are_refused_in_words(name, options, word):
    with pytest.raises(InputError, match=word):
        data.create(name, **options)


def test_that_a_negative_seed_is_refused():
    with pytest.raises(InputError, match="seed = -1"):
        data.create("blobs", seed=-1)


@pytest.mark.parametrize("name", (*SYNTHETIC, "digits"))
def test_that_progress_ends_at_its_total_and_can_cancel(name):
    seen = []
    data.create(name, progress=lambda done, total, what: seen.append((done, total, what)))
    assert seen[-1][0] == seen[-1][1] > 0 and name in seen[-1][2]
    with pytest.raises(LoadCancelled):
        data.create(name, progress=lambda *_: False)


def test_that_digits_are_those_of_scikit_learn():
    from sklearn.datasets import load_digits

    source, dataset = load_digits(), data.create("digits")
    assert np.array_equal(dataset.x * 16, source.data)
    assert np.array_equal(dataset.y, source.target)
    assert dataset.images.shape == (1797, 8, 8) and dataset.images.dtype == np.uint8
    assert dataset.images.max() == 255
    assert np.abs(dataset.images / 255 * 16 - source.images).max() < 16 / 255


def test_that_data_sets_load_without_torch_and_scikit_learn():
    script = (
        "import sys; from hnm_core import data; import hnm_core.data.files, hnm_core.data.idx_sets;"
        "import hnm_core.data.sampling, hnm_core.data.split, hnm_core.data.digits; data.create('near-classes');"
        "print([name for name in ('torch', 'sklearn', 'PyQt6') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
