"""What the metrics are measured on, in words."""

from __future__ import annotations

import pytest

from hnm_core.run.evaluated import Evaluated


@pytest.mark.parametrize(
    ("evaluated", "text", "missing"),
    [
        (Evaluated(449, 449, 449, 0), "449 held-out items, each against all others", ""),
        (Evaluated(2_000, 15_000, 15_000, 0), "2,000 of 15,000 held-out items, each against all 15,000", ""),
        (Evaluated(2_000, 3_200, 15_000, 0), "2,000 of 15,000 held-out items, each against 3,200", ""),
        (
            Evaluated(100, 100, 100, 1, held_out=False),
            "100 items trained on, each against all others",
            "1 query has no other item of its class among these and counts in the kNN accuracy only.",
        ),
        (
            Evaluated(30, 30, 30, 30),
            "30 held-out items, each against all others",
            "Precision@1, MAP@R and kNN accuracy cannot be had: none of the 30 held-out items that are measured has "
            "another item of its class among them.",
        ),
    ],
)
def test_that_it_is_said_who_queries_whom(evaluated: Evaluated, text: str, missing: str) -> None:
    assert (evaluated.text, evaluated.missing) == (text, missing)
