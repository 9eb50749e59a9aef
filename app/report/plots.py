"""Curves and bars as SVG, written as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from hnm_core.run.series import Floats, decimate
from hnm_core.words import number, significant

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 1000, 300, 100, 12, 28
COLUMNS = 450
ROW, BAR = 56, 20
"""Of a lane's bar, with its words above it, which the style of the page makes twice as large on a telephone."""


def curves(name: str, lines: Mapping[str, tuple[Floats, Floats]], colours: Sequence[str]) -> str:
    """A plot of values over steps, a line for each lane; empty where nothing is finite."""
    finite = {lane: (x[keep], y[keep]) for lane, (x, y) in lines.items() if (keep := np.isfinite(y)).any()}
    if not finite:
        return ""
    last = max(float(x[-1]) for x, _ in finite.values()) or 1.0
    low = min(float(y.min()) for _, y in finite.values())
    high = max(float(y.max()) for _, y in finite.values())
    high = high if high > low else low + 1.0
    right, floor = WIDTH - 12, HEIGHT - BOTTOM
    parts = [
        f'<svg class="wide" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(name)} over steps">',
        f'<text x="{LEFT - 8}" y="{TOP + 10}" text-anchor="end">{significant(high)}</text>',
        f'<text x="{LEFT - 8}" y="{floor}" text-anchor="end">{significant(low)}</text>',
        f'<text x="{right}" y="{HEIGHT - 8}" text-anchor="end">step {last:,.0f}</text>',
        f'<path d="M{LEFT} {TOP}V{floor}H{right}" fill="none" stroke="currentColor" stroke-opacity="0.4"/>',
    ]
    for place, lane in enumerate(lines):
        if lane in finite:
            x, y = decimate(*finite[lane], COLUMNS)
            across = LEFT + x / last * (right - LEFT)
            down = floor - (y - low) / (high - low) * (floor - TOP)
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, down, strict=True))
            stroke = colours[place % len(colours)]
            parts.append(
                f'<polyline points="{points}" fill="none" style="stroke:{stroke}" stroke-width="2">'
                f"<title>{escape(lane)}</title></polyline>"
            )
    return "".join([*parts, "</svg>"])


def bars(rows: Mapping[str, Mapping[str, float]], colours: Mapping[str, str]) -> str:
    """A bar for each lane, of parts end to end: milliseconds by name."""
    longest = max((sum(parts.values()) for parts in rows.values()), default=0.0)
    if not longest > 0:
        return ""
    height = ROW * len(rows) + 4
    name = "mining time of a step by phase"
    drawn = [f'<svg class="wide" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{name}">']
    for row, (lane, parts) in enumerate(rows.items()):
        top, across = ROW * row, 0.0
        said = f"{escape(lane)}: {number(sum(parts.values()), 2)} ms"
        drawn.append(f'<text x="4" y="{top + ROW - BAR - 9}">{said}</text>')
        for name, spent in parts.items():
            wide = spent / longest * (WIDTH - 8)
            drawn.append(
                f'<rect x="{4 + across:.1f}" y="{top + ROW - BAR}" width="{wide:.1f}" height="{BAR}" '
                f'style="fill:{colours[name]}"><title>{escape(name)}: {number(spent, 2)} ms</title></rect>'
            )
            across += wide
    return "".join([*drawn, "</svg>"])
