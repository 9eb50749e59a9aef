"""How hard mined tuples are, in words: what stands over a histogram and in its tips. No Qt."""

from __future__ import annotations

import math

from app.history import histogram
from app.history.hardness import LaneHardness
from app.history.histogram import Bands
from hnm_core.run.hardness import Hardness
from hnm_core.words import significant

BAND_WORDS = ("hard", "semi-hard", "easy")
"""The bands as people read them."""


def mined_text(shown: LaneHardness) -> str:
    """In a few words, for example "50 % mined"; empty where it is not known."""
    if shown.warming_up:
        return "warming up: random pairs"
    if not math.isfinite(shown.mined):
        return ""
    return f"{100 * shown.mined:.0f} % mined" if shown.mined else "random pairs"


def counted_text(shown: LaneHardness) -> str:
    """For example "2,048 tuples of 8 steps"; empty where there is no histogram."""
    if shown.hardness is None:
        return ""
    tuples = f"{shown.hardness.total:,} tuple{'s' if shown.hardness.total != 1 else ''}"
    return f"{tuples} of {shown.steps} step{'s' if shown.steps != 1 else ''}" if shown.steps else tuples


def margin_text(margin: float) -> str:
    """A margin with as many digits as matter."""
    return f"{margin:.4g}" if abs(margin) < 1e5 else significant(margin)


def bands_shown(hardness: Hardness, margin: float) -> tuple[Bands, bool]:
    """The bands with a margin, and whether that is an estimate: of the frame's own margin they are counted."""
    if margin == hardness.margin:
        return Bands(hardness.hard, hardness.semi_hard, hardness.easy), False
    return histogram.bands_at(hardness, margin), True


def band_texts(bands: Bands, *, about: bool = False) -> list[list[str]]:
    """The three bands in words, the longest first."""
    total = max(1, bands.total)
    sign = "≈" if about else ""
    shares = [_percent(count / total) for count in bands]
    named = list(zip(BAND_WORDS, bands, shares, strict=True))
    signs = ["", sign, sign]
    return [
        [f"{word} {of}{count:,} ({share})" for (word, count, share), of in zip(named, signs, strict=True)],
        [f"{word} {of}{share}" for (word, _, share), of in zip(named, signs, strict=True)],
        [f"{word.split('-')[0]} {share}" for word, _, share in named],
        shares,
    ]


def brief_text(bands: Bands) -> str:
    """The shares of the three bands alone, for example "26·24·50 %"."""
    return "·".join(f"{100 * count / max(1, bands.total):.0f}" for count in bands) + " %"


def bin_text(lane: str, hardness: Hardness, separation: float, margin: float) -> str:
    """What one bin holds, in words; empty outside all of them."""
    found = histogram.bin_at(hardness, separation)
    if found is None:
        return ""
    bands = [BAND_WORDS[band] for band in histogram.bands_within(found.left, found.right, margin)]
    tuples = f"{found.tuples:,} tuple{'s' if found.tuples != 1 else ''}"
    return (
        f"{lane}, {' and '.join(bands)}\nd(a,n) − d(a,p) from {found.left:.4g} to {found.right:.4g}: "
        f"{tuples}, {100 * found.share:.2g} %"
    )


def cell_text(shown: LaneHardness, hardness: Hardness, margin: float) -> str:
    """All that is told of a lane, a line each."""
    bands, about = bands_shown(hardness, margin)
    lines = [f"{shown.lane}: {counted_text(shown)}, margin {margin_text(margin)}"]
    lines += band_texts(bands, about=about)[0]
    if mined := mined_text(shown):
        lines.append(f"{mined} (the share of anchors whose negative the lane's own miner chose)")
    return "\n".join(lines)


def _percent(share: float) -> str:
    return "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"
