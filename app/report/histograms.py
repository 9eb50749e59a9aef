"""How hard what each lane mined last was, as histograms in SVG on one axis: those of the window, written as text."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

import numpy as np

from app.history.histogram import Axis, axis_over, bars, stretch
from hnm_core.run.hardness import Hardness
from hnm_core.words import percent, significant

WIDTH, HEIGHT, EDGE, FOOT = 480, 190, 10, 24
BAND_COLOURS = ("var(--hard-band)", "var(--semi-hard-band)", "var(--easy-band)")
"""In the order of `hnm_core.run.hardness.BANDS`; the style of the page has them, dark and light."""


def histograms(lanes: Mapping[str, tuple[int, Hardness]]) -> str:
    """A histogram of d(a,n) - d(a,p) for each lane, of the frame at a step; all have one axis, and each its own height.

    Empty where no lane has any.
    """
    told = {lane: (step, one) for lane, (step, one) in lanes.items() if one.bins.sum()}
    if not told:
        return ""
    axis = axis_over(
        [stretch(one, one.margin) for _, one in told.values()], [one.margin for _, one in told.values()], None
    )
    figures = []
    for lane, (step, one) in told.items():
        said = f"{percent(one.hard / one.total)} hard of {one.total:,} mined up to step {step:,}"
        figures.append(
            f"<figure><h3>{escape(lane)}</h3>{_histogram(lane, one, axis)}<figcaption>{said}</figcaption></figure>"
        )
    return f'<div class="clouds">{"".join(figures)}</div>'


def _histogram(lane: str, one: Hardness, axis: Axis) -> str:
    drawn = bars(one, one.margin)
    left, right = np.clip(axis.share(drawn.left), 0, 1), np.clip(axis.share(drawn.right), 0, 1)
    floor, wide = HEIGHT - FOOT, WIDTH - 2 * EDGE
    seen = right > left
    dense = np.zeros(len(left))
    dense[seen] = drawn.share[seen] / (right - left)[seen]
    tall = dense / max(float(dense.max(initial=0.0)), 1e-12) * (floor - EDGE)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="how hard what {escape(lane)} mined is">']
    for x0, x1, high, band in zip(left.tolist(), right.tolist(), tall.tolist(), drawn.band.tolist(), strict=True):
        if high > 0:
            parts.append(
                f'<rect x="{EDGE + x0 * wide:.1f}" y="{floor - high:.1f}" width="{max((x1 - x0) * wide, 1):.1f}" '
                f'height="{high:.1f}" style="fill:{BAND_COLOURS[band]}"/>'
            )
    parts.append(f'<path d="M{EDGE} {floor}h{wide}" stroke="currentColor" stroke-opacity="0.4"/>')
    for separation, dash in ((0.0, ""), *(((one.margin, ' stroke-dasharray="4 3"'),) if one.margin > 0 else ())):
        x = EDGE + axis.place(separation) * wide
        parts.append(f'<path d="M{x:.1f} {EDGE}V{floor}" stroke="currentColor" stroke-opacity="0.6"{dash}/>')
    for separation, anchor, x in ((axis.low, "start", EDGE), (axis.high, "end", WIDTH - EDGE)):
        parts.append(f'<text x="{x}" y="{HEIGHT - 7}" text-anchor="{anchor}">{significant(separation)}</text>')
    zero = EDGE + axis.place(0.0) * wide
    if 64 < zero < WIDTH - 64:
        parts.append(f'<text x="{zero:.1f}" y="{HEIGHT - 7}" text-anchor="middle">0</text>')
    return "".join([*parts, "</svg>"])
