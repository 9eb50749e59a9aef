"""Numbers as people read them."""

from __future__ import annotations

import pytest

from hnm_core.words import number, significant


@pytest.mark.parametrize(("value", "text"), [(float("nan"), "-"), (float("inf"), "-"), (1234.5678, "1,234.568")])
def test_that_a_number_that_was_not_measured_is_a_dash(value: float, text: str) -> None:
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.00"),
        (0.12345, "0.123"),
        (12.345, "12.3"),
        (123.4, "123"),
        (12345.6, "12,346"),
        (1e-5, "1.0e-05"),
        (float("nan"), "-"),
    ],
)
def test_that_numbers_are_short(value, text):
    assert significant(value) == text
