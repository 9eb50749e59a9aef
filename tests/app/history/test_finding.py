from __future__ import annotations

from dataclasses import replace

from app.history.finding import nothing_fits
from tests.app import runs


def test_that_nothing_found_in_a_part_of_the_items_is_said_of_that_part() -> None:
    started = runs.started(runs.config())
    assert nothing_fits(started) == nothing_fits(None) == "No point and no class fits"
    assert nothing_fits(replace(started, items_total=55_000)) == "Nothing fits among 60 of 55,000 points"
