"""Intervals over seeds, agreement of clusters with classes, and pictures by t-SNE."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hnm_core.errors import InputError
from hnm_core.evaluation.clustering import clustering
from hnm_core.evaluation.intervals import interval, paired_difference, student_t
from hnm_core.evaluation.projection import tsne_snapshot


@pytest.mark.parametrize(("n", "t"), [(3, 4.303), (5, 2.776), (10, 2.262)])
def test_that_t_is_that_of_the_printed_tables(n: int, t: float) -> None:
    assert student_t(n - 1, 0.95) == pytest.approx(t, abs=5e-4)


def test_that_an_interval_is_the_textbooks() -> None:
    found = interval([1.0, 2.0, 3.0, 4.0, 5.0])
    assert found.mean == 3 and found.n == 5
    assert found.half_width == pytest.approx(2.776445 * math.sqrt(2.5) / math.sqrt(5), rel=1e-6)
    assert (found.low, found.high) == pytest.approx((3 - found.half_width, 3 + found.half_width))
    assert found.excludes_zero and not interval([-1.0, 1.0, 0.5]).excludes_zero


def test_that_intervals_hold_the_mean_as_often_as_they_say() -> None:
    draws = np.random.default_rng(0).normal(2.0, 3.0, (2000, 4))
    inside = sum(found.low <= 2.0 <= found.high for found in map(interval, draws.tolist()))
    assert inside / 2000 == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 2000))


def test_that_what_was_not_measured_is_left_out() -> None:
    assert interval([1.0, math.nan, 3.0]) == interval([1.0, 3.0])
    one, none = interval([1.5]), interval([])
    assert one.mean == 1.5 and math.isnan(one.half_width) and not one.excludes_zero
    assert math.isnan(none.mean) and none.n == 0


def test_that_differences_are_taken_seed_by_seed() -> None:
    one, other = [0.5, 0.7, 0.9], [0.4, 0.6, 0.8]
    assert paired_difference(one, other).mean == pytest.approx(0.1)
    assert paired_difference(one, other).half_width == pytest.approx(0, abs=1e-9)
    assert paired_difference(one, other).excludes_zero
    assert interval(one).low < interval(other).high, "without pairing the seeds hide the difference"
    with pytest.raises(InputError, match="the same seeds on both sides, not 3 and 2"):
        paired_difference(one, other[:2])


@pytest.mark.parametrize("confidence", [0.0, 1.0, -1, 2])
def test_that_an_impossible_confidence_is_refused(confidence: float) -> None:
    with pytest.raises(InputError, match="confidence"):
        interval([1.0, 2.0], confidence)


def test_that_an_infinite_value_is_refused() -> None:
    with pytest.raises(InputError, match="infinite"):
        interval([1.0, math.inf])


def test_that_clusters_that_are_the_classes_score_1_and_noise_scores_about_0() -> None:
    source = np.random.default_rng(0)
    y = np.arange(90) % 3
    apart = clustering(np.eye(3)[y] * 9 + source.normal(size=(90, 3)) * 0.1, y - 7)
    assert (apart.nmi, apart.ami, apart.clusters) == (pytest.approx(1), pytest.approx(1), 3)
    noise = clustering(source.normal(size=(300, 2)), source.integers(0, 3, 300))
    assert abs(noise.ami) < 0.05
    assert clustering(np.ones((6, 2)), np.array([0, 0, 1, 1, 2, 2])).clusters == 1
    for bad, word in ((np.full((2, 2), np.nan), "NaN"), (np.ones(2), "Need"), (np.ones((0, 2)), "Need")):
        with pytest.raises(InputError, match=word):
            clustering(bad, np.zeros(len(bad), np.int64))


@pytest.mark.parametrize("dim", [2, 3])
def test_that_tsne_keeps_far_groups_apart_and_depends_on_its_seed_alone(dim: int) -> None:
    source = torch.Generator().manual_seed(0)
    y = torch.arange(60) % 2
    x = torch.randn(60, 6, generator=source) + 30.0 * y[:, None]
    picture = tsne_snapshot(x, dim=dim, perplexity=10)
    assert picture.shape == (60, dim) and picture.dtype == torch.float32 and bool(torch.isfinite(picture).all())
    near = torch.cdist(picture, picture).fill_diagonal_(torch.inf).argmin(1)
    assert bool((y[near] == y).all())
    assert torch.equal(picture, tsne_snapshot(x, dim=dim, perplexity=10))


@pytest.mark.parametrize(
    "x", [torch.zeros(9, 3), torch.ones(1, 4), torch.randn(3, 5), torch.randn(8, 1), torch.zeros(6, 0), torch.eye(5)]
)
def test_that_tsne_of_little_or_flat_data_is_finite(x: torch.Tensor) -> None:
    picture = tsne_snapshot(x)
    assert picture.shape == (len(x), 2) and bool(torch.isfinite(picture).all())


@pytest.mark.parametrize(
    ("x", "options", "word"),
    [
        (torch.zeros(0, 3), {}, "N = 1"),
        (torch.zeros(3), {}, "N = 1"),
        (torch.full((5, 2), torch.nan), {}, "NaN"),
        (torch.ones(5, 2), {"dim": 4}, "dim = 4"),
        (torch.ones(5, 2), {"perplexity": 0}, "more than 0"),
    ],
)
def test_that_what_tsne_cannot_show_is_refused(x, options, word) -> None:
    with pytest.raises(InputError, match=word):
        tsne_snapshot(x, **options)
