"""Histograms of separations: heights, bands, estimates and ranges, against numpy on the separations themselves."""

from __future__ import annotations

import numpy as np
import pytest

from app.history import histogram
from app.history.histogram import EASY, HARD, SEMI_HARD, Bands, bands_at, bars, bin_at, seen, stretch
from hnm_core.run.hardness import Hardness, bands_of
from hnm_core.run.hardness import histogram as binned

MARGIN = 0.33


def hardness_of(separation: np.ndarray, margin: float = MARGIN) -> Hardness:
    band = bands_of(separation.astype(np.float32), margin)
    counts = [int((band == place).sum()) for place in range(3)]
    return Hardness(margin, *counts, *binned(separation))


@pytest.fixture(scope="module")
def separation() -> np.ndarray:
    return np.random.default_rng(3).normal(0.3, 0.5, 4000)


def test_that_areas_are_shares_of_the_tuples_whatever_the_width_of_a_bin(separation):
    for scale in (1.0, 3.7, 0.01):
        drawn = bars(hardness_of(separation * scale), MARGIN)
        area = drawn.density * (drawn.right - drawn.left)
        assert area.sum() == pytest.approx(1)
    hardness = hardness_of(separation)
    drawn = bars(hardness, 0.0)
    expected, _ = np.histogram(separation, bins=hardness.edges, density=True)
    assert np.allclose(drawn.density, expected[expected > 0], rtol=0.02)


def test_that_the_bin_that_the_margin_goes_through_is_two_bars_and_no_bar_has_two_bands(separation):
    hardness = hardness_of(separation)
    assert hardness.width == 0.1
    drawn = bars(hardness, MARGIN)
    assert len(drawn.left) == np.count_nonzero(hardness.bins) + 1
    assert (drawn.right[drawn.band == HARD] <= 0).all()
    inside = drawn.band == SEMI_HARD
    assert drawn.left[inside].min() == 0
    assert drawn.right[inside].max() == MARGIN == drawn.left[drawn.band == EASY].min()
    cut = np.flatnonzero(drawn.right == MARGIN)[0]
    assert drawn.density[cut] == drawn.density[cut + 1]
    assert (np.diff(drawn.left) > 0).all()


def test_that_without_a_margin_nothing_is_semi_hard(separation):
    for margin in (0.0, -1.0):
        assert SEMI_HARD not in bars(hardness_of(separation), margin).band
        assert bands_at(hardness_of(separation), margin).semi_hard == 0


def test_that_bands_of_another_margin_are_exact_at_edges_and_at_the_margin_of_the_frame(separation):
    hardness = hardness_of(separation)
    for margin in (*hardness.edges[hardness.edges >= 0], MARGIN, 99.0):
        wanted = int(((separation > 0) & (separation <= margin)).sum())
        assert bands_at(hardness, margin) == Bands(hardness.hard, wanted, len(separation) - hardness.hard - wanted)


def test_that_bands_of_a_margin_within_a_bin_are_off_by_no_more_than_that_bin_and_grow_with_it(separation):
    hardness = hardness_of(separation)
    margins = np.linspace(0, 2, 301)
    estimated = np.array([bands_at(hardness, margin).semi_hard for margin in margins])
    true = np.array([((separation > 0) & (separation <= margin)).sum() for margin in margins])
    assert np.abs(estimated - true).max() <= hardness.bins.max()
    assert (np.diff(estimated) >= 0).all()


def test_that_bins_of_the_newest_tuples_stand_for_all_of_them():
    hardness = Hardness(0.5, 30, 20, 50, 0.5, -1, np.array([3, 2, 2, 3]))  # (-0.5, 0], (0, 0.5], (0.5, 1], (1, 1.5]
    assert bands_at(hardness, 0.5) == (30, 20, 50)
    assert bands_at(hardness, 1.0) == (30, 40, 30)
    assert bands_at(hardness, 1.5) == (30, 70, 0)
    assert bands_at(hardness, 0.25) == (30, 10, 60)


def test_that_a_separation_is_in_the_bin_above_whose_left_edge_it_is():
    hardness = Hardness(0.5, 3, 2, 5, 0.5, -1, np.array([3, 2, 5]))
    assert bin_at(hardness, 0.0) == (-0.5, 0.0, 3, 0.3)
    assert bin_at(hardness, 0.01) == (0.0, 0.5, 2, 0.2)
    assert bin_at(hardness, 1.0) == (0.5, 1.0, 5, 0.5)
    assert bin_at(hardness, 1.01) is None
    assert bin_at(hardness, -0.5) is None


def test_that_a_few_far_tuples_do_not_stretch_the_axis_and_zero_and_the_margin_are_on_it():
    near = np.concatenate((np.full(998, 0.9), [40.0, 60.0]))
    low, high = stretch(hardness_of(near), 0.2)
    assert low == 0
    assert high == 1.0
    assert stretch(hardness_of(near), 5.0)[1] == 5.0
    assert stretch(hardness_of(np.full(1000, -2.0)), 0.2) == (pytest.approx(-2.0, abs=0.11), 0.2)


def test_that_a_range_stays_while_its_stretches_fit_well():
    first = seen([(-1.0, 2.0), (0.0, 3.0)], None)
    assert first[0] < -1 and 3 < first[1] < 3.5
    assert seen([(-1.0, 2.9)], first) == first
    wider = seen([(-1.0, 5.0)], first)
    assert wider[1] > 5
    nearer = seen([(-0.1, 0.4)], first)
    assert nearer[1] - nearer[0] < 1
    assert seen([], None) == (pytest.approx(-0.03), pytest.approx(1.03))


def test_that_ticks_are_round_few_and_inside():
    assert histogram.round_ticks(-1.0, 2.0, 6).tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0, 1.5, 2.0]
    for low, high, most in ((-0.13, 0.47, 4), (0.0, 61.0, 3), (-3e-4, 9e-4, 5)):
        ticks = histogram.round_ticks(low, high, most)
        assert 1 <= len(ticks) <= most + 1
        assert (ticks >= low).all() and (ticks <= high).all()


def test_that_moves_end_on_round_numbers():
    assert histogram.on_grid(0.4871, 0.005) == 0.485
    assert histogram.next_on_grid(0.5, 0.05, 1) == 0.55
    assert histogram.next_on_grid(0.5, 0.05, -1) == 0.45
    assert histogram.next_on_grid(0.487, 0.05, 1) == 0.5
    assert histogram.next_on_grid(0.487, 0.05, -1) == 0.45


def test_that_a_bin_knows_all_bands_that_reach_into_it():
    assert histogram.bands_within(-0.5, 0.0, 0.3) == [HARD]
    assert histogram.bands_within(0.0, 0.2, 0.3) == [SEMI_HARD]
    assert histogram.bands_within(0.2, 0.4, 0.3) == [SEMI_HARD, EASY]
    assert histogram.bands_within(0.0, 0.2, 0.0) == [EASY]
