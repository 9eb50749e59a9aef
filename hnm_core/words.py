"""Numbers as people read them. A dash stands for what is not there."""

from __future__ import annotations

import math


def number(value: float, digits: int = 3) -> str:
    """With so many digits after the point, as in a table."""
    return f"{value:,.{digits}f}" if math.isfinite(value) else "-"


def percent(share: float) -> str:
    """A share in per cent, as in a table."""
    return f"{100 * share:.1f} %" if math.isfinite(share) else "-"


def significant(value: float) -> str:
    """Three significant digits; scientific where that is shorter to read."""
    if not math.isfinite(value):
        return "-"
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:#.3g}".rstrip(".") if abs(value) < 1e3 else f"{value:,.0f}"
    return f"{value:.1e}"
