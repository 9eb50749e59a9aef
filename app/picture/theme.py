"""Colours of the window and of the clouds, light and dark; plain numbers, so that drawing is tested without Qt."""

from __future__ import annotations

from dataclasses import dataclass

Rgb = tuple[int, int, int]


@dataclass(frozen=True)
class Theme:
    """One look. All colours are sRGB 0..255."""

    name: str
    window: Rgb
    panel: Rgb
    cloud_top: Rgb
    cloud_bottom: Rgb
    text: Rgb
    muted: Rgb
    grid: Rgb
    accent: Rgb
    hard_edge: Rgb
    """anchor to a negative that is no farther than the positive"""
    semi_hard_edge: Rgb
    """to one within the margin beyond it"""
    easy_edge: Rgb
    """to one farther off"""
    negative_edge: Rgb
    """to one of which it is not known how hard it is"""
    positive_edge: Rgb
    """anchor to positive"""
    false_edge: Rgb
    """to a negative that truly is of the anchor's class, and the ring round that"""
    true_edge: Rgb
    """to the true nearest negative that an approximate search missed"""
    returned_edge: Rgb
    """and to what it returned instead"""
    candidate_edge: Rgb
    """to all that a negative could be chosen from; a grey, for what is coloured has been chosen"""
    warning: Rgb
    error: Rgb
    lanes: tuple[Rgb, ...]
    """colours of the lanes in curves, bars and pane titles, in lane order"""
    classes: tuple[Rgb, ...]
    """colours of the classes, colour-blind safe for the first eight"""

    def lane(self, place: int) -> Rgb:
        """The colour of the lane at `place` in lane order."""
        return self.lanes[place % len(self.lanes)]


# Okabe and Ito's palette, the usual choice for colour-blind safe categories, with yellow and black moved to the end
# because they vanish on a light and on a dark ground; the rest continues with distinguishable mid tones.
_CLASSES: tuple[Rgb, ...] = (
    (0, 114, 178),
    (230, 159, 0),
    (0, 158, 115),
    (204, 121, 167),
    (86, 180, 233),
    (213, 94, 0),
    (148, 103, 189),
    (188, 189, 34),
    (23, 190, 207),
    (140, 86, 75),
    (240, 228, 66),
    (127, 127, 127),
)

DARK = Theme(
    name="dark",
    window=(24, 26, 31),
    panel=(32, 35, 42),
    cloud_top=(30, 34, 43),
    cloud_bottom=(15, 17, 22),
    text=(230, 233, 239),
    muted=(150, 157, 170),
    grid=(62, 67, 78),
    accent=(88, 166, 255),
    hard_edge=(255, 236, 184),
    semi_hard_edge=(255, 120, 66),
    easy_edge=(158, 74, 84),
    negative_edge=(255, 120, 66),
    positive_edge=(92, 170, 255),
    false_edge=(255, 64, 224),
    true_edge=(104, 222, 122),
    returned_edge=(190, 160, 255),
    candidate_edge=(206, 211, 220),
    warning=(240, 180, 60),
    error=(240, 90, 90),
    lanes=((86, 180, 233), (230, 159, 0), (60, 200, 150), (224, 140, 190), (240, 228, 66), (235, 110, 40)),
    classes=_CLASSES,
)

LIGHT = Theme(
    name="light",
    window=(246, 247, 249),
    panel=(255, 255, 255),
    cloud_top=(250, 251, 253),
    cloud_bottom=(228, 232, 239),
    text=(28, 31, 38),
    muted=(88, 96, 110),
    grid=(214, 218, 226),
    accent=(20, 100, 210),
    hard_edge=(96, 0, 20),
    semi_hard_edge=(214, 66, 22),
    easy_edge=(222, 150, 128),
    negative_edge=(214, 66, 22),
    positive_edge=(30, 100, 200),
    false_edge=(190, 0, 160),
    true_edge=(0, 122, 52),
    returned_edge=(112, 66, 214),
    candidate_edge=(62, 68, 80),
    warning=(140, 86, 0),
    error=(196, 30, 30),
    lanes=((0, 100, 170), (196, 120, 0), (0, 130, 92), (176, 84, 136), (120, 110, 0), (190, 70, 0)),
    classes=_CLASSES,
)


def contrast(one: Rgb, other: Rgb) -> float:
    """How well one colour can be read on the other, 1 to 21, as WCAG 2 defines it; small text needs 4.5."""
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def _luminance(colour: Rgb) -> float:
    parts = [part / 255 for part in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def theme(name: str) -> Theme:
    """`light` or `dark`."""
    return LIGHT if name == "light" else DARK
