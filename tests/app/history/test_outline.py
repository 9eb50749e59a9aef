"""The outline of long series: the same picture as all their values, for the cost of what is new."""

from __future__ import annotations

import numpy as np
import pytest

from app.history.outline import BLOCK, CROWDED, Outline, goes_on
from hnm_core.run.history import Column
from hnm_core.run.series import decimate


def column_of(values):
    column = Column(np.float64)
    column.extend(np.asarray(values, np.float64))
    return column


@pytest.mark.parametrize("inside", [slice(0, None), slice(1_000, 9_001)])
def test_that_a_long_series_is_drawn_as_high_and_as_low_in_every_column_as_by_all_of_its_values(inside):
    pixels = 10
    y = np.random.default_rng(0).normal(size=20 * pixels * BLOCK)
    y[::97], y[5_000:5_200] = np.nan, np.inf
    y[4_321], y[4_330] = 50.0, -50.0
    x, outline = np.arange(len(y), dtype=np.float64), Outline()
    outline.follow(y)
    rows = outline.rows(inside, pixels)
    assert len(rows) < len(y[inside]) / 8 and (np.diff(rows) >= 0).all()
    assert (rows[0], rows[-1]) == (inside.start, inside.indices(len(y))[1] - 1)
    drawn_x, drawn = decimate(x[rows], y[rows], pixels)
    _, wanted = decimate(x[inside], y[inside], pixels)
    assert len(drawn_x) <= 2 * pixels and np.isfinite(drawn).all()
    assert (drawn.min(), drawn.max()) == (wanted.min(), wanted.max()) == (-50.0, 50.0)
    assert np.abs(np.sort(drawn) - np.sort(wanted)).max() < 0.5, "blocks between two columns stand for both"


def test_that_a_series_of_which_each_block_can_be_seen_is_drawn_by_all_of_its_values():
    y, outline = np.arange(CROWDED * BLOCK * 50, dtype=np.float64), Outline()
    outline.follow(y)
    assert outline.rows(slice(3, None), 50) == slice(3, len(y))


def test_that_an_outline_that_grows_with_its_series_is_that_of_the_whole():
    values = np.random.default_rng(1).normal(size=3_000)
    values[100:300] = np.nan
    grown, whole, column = Outline(), Outline(), column_of([])
    for first in range(0, 3_000, 37):
        column.extend(values[first : first + 37])
        grown.follow(column.values)
    whole.follow(values)
    assert grown.rows(slice(0, None), 1).tolist() == whole.rows(slice(0, None), 1).tolist()
    for outline in (grown, whole):
        told = outline.lowest, outline.highest, outline.least_positive
        known = values[np.isfinite(values)]
        assert told == (known.min(), known.max(), known[known > 0].min())


def test_that_what_is_known_of_a_series_is_not_looked_at_again(monkeypatch):
    column = column_of(np.zeros(1_000))
    column.reserve(2_000)
    outline, looked = Outline(), []
    outline.follow(column.values)
    column.append(5.0)
    plain = np.isfinite
    monkeypatch.setattr(np, "isfinite", lambda values: looked.append(np.size(values)) or plain(values))
    outline.follow(column.values)
    assert sum(looked) < 2 * BLOCK and outline.highest == 5.0


def test_that_another_series_begins_an_outline_anew():
    outline = Outline()
    outline.follow(np.arange(500.0))
    outline.follow(-np.arange(1.0, 501.0))
    assert (outline.lowest, outline.highest, outline.least_positive) == (-500.0, -1.0, np.inf)
    outline.follow(np.empty(0))
    assert outline.lowest == np.inf and outline.rows(slice(0, None), 10) == slice(0, 0)


def test_that_a_column_goes_on_from_what_it_was_and_from_no_other():
    column = column_of([1.0, 2.0])
    before = column.values
    column.append(3.0)
    assert goes_on(before, column.values) and not goes_on(column.values, before)
    assert not goes_on(before, before.copy()) and not goes_on(before, column.values[1:])
    assert not goes_on(np.empty(0), column.values)
