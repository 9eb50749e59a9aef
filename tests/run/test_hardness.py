"""How hard mined tuples are, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

from hnm_core.run.hardness import BINS, UNKNOWN_BAND, Hardness, bands_of, histogram


def test_that_bands_are_those_of_the_definition():
    separation = np.array([-2, -1e-7, 0, 1e-7, 0.5, 0.50001, 9, np.nan, np.inf], np.float32)
    assert bands_of(separation, 0.5).tolist() == [0, 0, 0, 1, 1, 2, 2, UNKNOWN_BAND, 2]
    assert bands_of(separation, 0.0).tolist() == [0, 0, 0, 2, 2, 2, 2, UNKNOWN_BAND, 2]
    assert bands_of(np.zeros(0, np.float32), 1.0).shape == (0,)


@pytest.mark.parametrize("seed", range(12))
def test_that_every_finite_separation_lies_in_its_bin(seed: int):
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-6, 7)
    separation = (rng.normal(rng.normal(0, 3), 1, 2000) * scale).astype(np.float32)
    separation[rng.integers(0, 2000, 40)] = 0
    width, first, bins = histogram(np.append(separation, (np.nan, np.inf, -np.inf)))
    edges = Hardness(0.0, 0, 0, 0, width, first, bins).edges
    assert len(bins) == BINS and bins.sum() == 2000
    slack = 1e-9 * width  # a value within the rounding of an edge may be on either side of it
    for low, high, count in zip(edges[:-1], edges[1:], bins.tolist(), strict=True):
        surely = ((separation > low + slack) & (separation <= high - slack)).sum()
        perhaps = ((separation > low - slack) & (separation <= high + slack)).sum()
        assert surely <= count <= perhaps
    hard = edges[1:] <= slack
    assert bins[hard].sum() == (separation <= 0).sum()  # 0 is an edge, and what lies on it is hard
    digit = float(f"{width:e}"[0])
    assert digit in (1, 2, 5) and width == pytest.approx(float(f"{width:.0e}"))


def test_that_the_bins_are_as_narrow_as_they_can_be():
    width, _, bins = histogram(np.array([-1.0, 1.0]))
    assert width == 0.05 and np.count_nonzero(bins) == 2  # 0.02 would take 100


@pytest.mark.parametrize("separation", [[], [np.nan], [0.0, 0.0, 0.0], [1e-30], [3e38, -3e38]])
def test_that_odd_separations_have_a_histogram(separation: list[float]):
    values = np.array(separation, np.float32)
    width, first, bins = histogram(values)
    assert 0 < width < np.inf and bins.sum() == np.isfinite(values).sum()
    assert np.isfinite(Hardness(0.0, 0, 0, 0, width, first, bins).edges).all()
