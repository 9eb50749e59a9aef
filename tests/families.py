"""Which cases of a family every `make test` tries. The others are marked `thorough`: for `make test-all`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

import pytest


def one_in(count: int, cases: Sequence[Any]) -> list[Any]:
    """Every `count`-th of `cases` is always tried, beginning with the first. A case may be a tuple of values."""
    return [
        _case(*(case if isinstance(case, tuple) else (case,)), always=place % count == 0)
        for place, case in enumerate(cases)
    ]


def across(*axes: Sequence[Any]) -> list[Any]:
    """All combinations of the values of `axes`; each value is always tried, in as few combinations as that takes. What
    fails fails by one of its values, and hardly ever by just this combination of them."""
    always = {tuple(step % len(axis) for axis in axes) for step in range(max(map(len, axes)))}
    return [
        _case(*(axis[place] for axis, place in zip(axes, places, strict=True)), always=places in always)
        for places in product(*(range(len(axis)) for axis in axes))
    ]


def _case(*values: Any, always: bool) -> Any:
    return pytest.param(*values, marks=() if always else pytest.mark.thorough)
