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


def counted(count: int, name: str) -> str:
    """How many of something: "1 step", "1,200 steps"."""
    return f"{count:,} {name}" if count == 1 else f"{count:,} {name}s"


def size(count: float) -> str:
    """Bytes in the largest unit of which there is one at least: "812 bytes", "4.2 MB"."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= unit:
            return f"{count / unit:,.1f} {name}"
    return f"{count:,.0f} bytes"
