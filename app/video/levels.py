"""Which level of H.264 a video needs, and what hardware refuses. Pure functions."""

from __future__ import annotations

import math

LEVELS: tuple[tuple[str, int, int], ...] = (
    ("3.0", 40_500, 1_620),
    ("3.1", 108_000, 3_600),
    ("3.2", 216_000, 5_120),
    ("4.0", 245_760, 8_192),
    ("4.2", 522_240, 8_704),
    ("5.0", 589_824, 22_080),
    ("5.1", 983_040, 36_864),
    ("5.2", 2_073_600, 36_864),
    ("6.0", 4_177_920, 139_264),
    ("6.1", 8_355_840, 139_264),
    ("6.2", 16_711_680, 139_264),
)
"""Name, most blocks of 16 x 16 pixels a second, and most of them in a picture: table A-1 of the standard."""
HARDWARE = "5.2"
"""What is decoded by hardware ends here."""


def h264_level(width: int, height: int, fps: float) -> str:
    """The lowest level that holds such a video; the highest where none does."""
    blocks = math.ceil(width / 16) * math.ceil(height / 16)
    for name, a_second, a_picture in LEVELS:
        # Neither side may be longer than the square root of eight times the blocks.
        fits = blocks <= a_picture and max(width, height) / 16 <= math.sqrt(8 * a_picture)
        if fits and blocks * fps <= a_second:
            return name
    return LEVELS[-1][0]


def level_note(width: int, height: int, fps: float) -> str:
    """What is to be said of a video that hardware does not play; empty for all others."""
    level = h264_level(width, height, fps)
    if float(level) <= float(HARDWARE):
        return ""
    return (
        f"This is H.264 level {level}, and hardware decodes up to {HARDWARE} (4096 x 2304 at 56 pictures a second): "
        "many players will refuse it or stutter. A smaller --size or --fps plays everywhere."
    )
