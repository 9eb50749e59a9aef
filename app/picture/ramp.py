"""Colours of amounts on the ground of a panel: the more, the farther from the ground. No Qt."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.picture.theme import Rgb, Theme

_PALE_TO_DEEP: tuple[Rgb, ...] = (
    (255, 255, 217),
    (237, 248, 177),
    (199, 233, 180),
    (127, 205, 187),
    (65, 182, 196),
    (29, 145, 192),
    (34, 94, 168),
    (37, 52, 148),
    (8, 29, 88),
)
"""Yellow to blue of Cynthia Brewer's: read by its lightness, so also by people who cannot tell all colours apart."""
LEAST = {"dark": 0.14, "light": 0.24}
"""Where the smallest amount stands on the ramp, by theme: it must be seen beside nothing at all."""


def amount_colors(share: NDArray[np.floating], theme: Theme) -> NDArray[np.uint8]:
    """(..., 3) colours of shares of the greatest amount, 0..1; 0 has the colour of the panel. What is drawn is the
    square root, so that small amounts are told apart."""
    ramp = np.array(_PALE_TO_DEEP if theme.name == "light" else _PALE_TO_DEEP[::-1], np.float64)
    least = LEAST[theme.name]
    place = (least + (1 - least) * np.sqrt(np.clip(share, 0, 1))) * (len(ramp) - 1)
    colors = np.stack([np.interp(place, range(len(ramp)), channel) for channel in ramp.T], -1)
    colors[np.asarray(share) <= 0] = theme.panel
    made: NDArray[np.uint8] = np.rint(colors).astype(np.uint8)
    return made
