"""The temperature at which classes look least entangled: Frosst's way to be rid of it, as a line search."""

from __future__ import annotations

import math
from collections.abc import Callable

DECADES = 3
"""The search goes from 1 / 1000 of its centre to 1000 times its centre."""
COARSE, FINE = 3, 15
"""Points in a decade of the grid, and of the finer one around the best of it."""
TOLD_APART = 1e-6
"""Values nearer than this are equal: among them the temperature nearest the centre is taken, not one at which nothing
but rounding decides."""


def search_temperature(value: Callable[[float], float], centre: float) -> float:
    """The temperature at which `value` is lowest, on a grid in the logarithm that is refined once around its best.

    Args:
        value: of a temperature; NaN counts as worst. It is called 27 times.
        centre: where the grid lies, above 0.
    """
    known: dict[float, float] = {}

    def look(exponent: float) -> None:
        found = value(centre * 10**exponent)
        known[exponent] = math.inf if math.isnan(found) else found

    def best() -> float:
        lowest = min(known.values())
        return min((exponent for exponent, found in known.items() if found <= lowest + TOLD_APART), key=abs)

    for place in range(-DECADES * COARSE, DECADES * COARSE + 1):
        look(place / COARSE)
    middle = best()
    for place in range(1, FINE // COARSE):
        look(middle - place / FINE)
        look(middle + place / FINE)
    return float(centre * 10 ** best())
