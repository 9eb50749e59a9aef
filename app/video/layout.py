"""Where everything stands in a picture of any shape: safe margins, a grid of 8 units, type that a telephone can show.
Pure functions, no Qt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from hnm_core.errors import InputError

GRID = 8
"""All distances are multiples of so many units; a unit is a pixel where the shorter side has 1,080."""
MAX_COLUMNS = 3
CAPTION = 46
"""Size of type of what is said, in units."""
LEAST_CAPTION_PX = 5
"""Smaller letters cannot be read."""
SMALLEST_CLOUD = 8
"""Pixels of a side."""
WIDE, TALL = 1.25, 0.8
"""Width by height above which a picture is wide, and below which it is tall."""
COLUMN = 0.36
"""Share of the width that charts take where they stand beside a cloud."""
LEAST_PANEL = 400
"""A chart is no narrower, in units."""
LEAST_PANE = 140
"""A cloud is no lower where charts stand below, in units, as long as these have"""
LEAST_CHARTS, MOST_CHARTS = 0.35, 0.6
"""such a share of the height. More they never take."""


@dataclass(frozen=True)
class Box:
    """A rectangle in whole pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def right(self) -> int:
        """First column to the right of it."""
        return self.x + self.width

    @property
    def bottom(self) -> int:
        """First row below it."""
        return self.y + self.height

    def inner(self, by: float) -> Box:
        """Smaller by so many pixels on all sides."""
        edge = round(by)
        return Box(self.x + edge, self.y + edge, max(self.width - 2 * edge, 0), max(self.height - 2 * edge, 0))

    def top(self, height: float) -> Box:
        """Its upper part; likewise `rest_below`, `left`, `rest_right`."""
        return Box(self.x, self.y, self.width, min(round(height), self.height))

    def rest_below(self, height: float) -> Box:
        """What is below so many pixels."""
        cut = min(round(height), self.height)
        return Box(self.x, self.y + cut, self.width, self.height - cut)

    def left(self, width: float) -> Box:
        """Its left part."""
        return Box(self.x, self.y, min(round(width), self.width), self.height)

    def rest_right(self, width: float) -> Box:
        """What is to the right of so many pixels."""
        cut = min(round(width), self.width)
        return Box(self.x + cut, self.y, self.width - cut, self.height)

    def towards(self, other: Box, share: float) -> Box:
        """The box a share of the way from this one to another."""
        x, y, right, bottom = (
            round(a + (b - a) * share)
            for a, b in (
                (self.x, other.x),
                (self.y, other.y),
                (self.right, other.right),
                (self.bottom, other.bottom),
            )
        )
        return Box(x, y, right - x, bottom - y)


@dataclass(frozen=True)
class Frame:
    """What all scenes of a film share."""

    unit: float
    """Pixels of a unit: lengths and text sizes are in units"""
    whole: Box
    safe: Box
    """Within the margins, which players and telephones may cover"""

    @property
    def wide(self) -> bool:
        """Whether there is more room beside than below."""
        return self.whole.width >= WIDE * self.whole.height

    @property
    def tall(self) -> bool:
        """Whether there is much more room below than beside."""
        return self.whole.width <= TALL * self.whole.height

    def px(self, units: float) -> int:
        """Units in whole pixels."""
        return round(units * self.unit)


@dataclass(frozen=True)
class Layout:
    """Where things stand while the run goes on."""

    head: Box
    """Title and step"""
    whole: Box
    """All clouds together"""
    clouds: tuple[Box, ...]
    key: Box
    """What colours mean; of no height where nothing is explained"""
    panels: tuple[Box, ...]
    caption: Box
    bar: Box
    """The line that fills as the run goes on"""

    @property
    def title(self) -> Box:
        """What the title takes of the head; the step stands beside it."""
        return self.head.left(0.66 * self.head.width)


def frame_of(width: int, height: int) -> Frame:
    """The frame of a picture."""
    whole = Box(0, 0, width, height)
    tall, wide = width <= TALL * height, width >= WIDE * height
    # The narrower a picture, the smaller a telephone shows it.
    unit = min(width, height) / 1080 * (1.0 if wide else 1.14 if tall else 1.06)
    # Telephones lay names and buttons over the top and the bottom of tall videos.
    side, top, bottom = (48, 112, 176) if tall else (64, 40, 48)
    left, up, down = round(side * unit), round(top * unit), round(bottom * unit)
    return Frame(unit, whole, Box(left, up, width - 2 * left, height - up - down))


def check_type(width: int, height: int) -> None:
    """Raises `InputError` for a picture that is so low or narrow that nobody could read what it says."""
    letters = CAPTION * frame_of(width, height).unit
    if letters < LEAST_CAPTION_PX:
        least = math.ceil(LEAST_CAPTION_PX / letters * min(width, height) / 2) * 2
        raise InputError(
            f"A video of {width} x {height} pixels has letters {letters:.0f} pixels high, which nobody can read: "
            f"give it at least {least} each way."
        )


def fitting(frame: Frame, lanes: int, panels: Sequence[str]) -> tuple[str, ...]:
    """The charts that there is room for: in a square the race of more lanes than stand in a row leaves none for
    others."""
    crowded = not frame.wide and not frame.tall and lanes > MAX_COLUMNS
    return tuple(panels[:1] if crowded and panels and panels[0] == "race" else panels)


def arrange(frame: Frame, lanes: int, panels: Sequence[str] = (), *, key: bool = False, caption: bool = True) -> Layout:
    """Clouds as large as there is room for beside or above the charts.

    Raises:
        InputError: there is no room for so many clouds.
    """
    safe, gap = frame.safe, frame.px(2 * GRID)
    head = safe.top(frame.px(7 * GRID))
    bar_height = max(frame.px(6), 2)
    bar = Box(0, frame.whole.height - bar_height, frame.whole.width, bar_height)
    lines = 1 if frame.wide else 2
    caption_box = Box(safe.x, safe.bottom, safe.width, 0)
    if caption:
        high = frame.px(58 * lines + 4)
        caption_box = Box(safe.x, safe.bottom - high, safe.width, high)
    body = Box(safe.x, head.bottom + gap, safe.width, caption_box.y - head.bottom - gap - (gap if caption else 0))
    # A race is run in a wide lane of its own, and in a tall picture a column would be narrow.
    sides = (False, True) if panels and (frame.wide or (panels[0] != "race" and not frame.tall)) else (False,)
    choices = [_split(frame, body, lanes, panels, beside, key) for beside in sides]
    whole, key_box, boxes = max(choices, key=lambda choice: _worth(choice[0], lanes, gap))
    columns = _columns(whole, lanes, gap)
    width, height = _cell(whole, lanes, columns, gap)
    if min(width, height) < SMALLEST_CLOUD:
        raise InputError(
            f"A video of {frame.whole.width} x {frame.whole.height} pixels has no room for {lanes} "
            f"lane{'' if lanes == 1 else 's'}, each above {SMALLEST_CLOUD} pixels wide and high; make it "
            f"{'higher' if height < width else 'wider'}."
        )
    clouds = []
    for place in range(lanes):
        row, column = divmod(place, columns)
        in_row = min(columns, lanes - row * columns)
        # A last row that is not full stands in the middle.
        left = whole.x + (whole.width - in_row * width - (in_row - 1) * gap) // 2
        clouds.append(Box(left + column * (width + gap), whole.y + row * (height + gap), width, height))
    return Layout(head, whole, tuple(clouds), key_box, boxes, caption_box, bar)


def _split(
    frame: Frame, body: Box, lanes: int, panels: Sequence[str], beside: bool, key: bool
) -> tuple[Box, Box, tuple[Box, ...]]:
    """The parts of the clouds, of the key and of the charts."""
    gap, high = frame.px(2 * GRID), frame.px(5 * GRID) if key else 0
    whole, boxes = body, tuple[Box, ...]()
    if panels and beside:
        width = max(round(COLUMN * body.width), min(frame.px(LEAST_PANEL), body.width // 2))
        whole = Box(body.x, body.y, body.width - width - gap, body.height)
        boxes = _grid(Box(whole.right + gap, body.y, width, body.height), len(panels), 1, gap)
    elif panels:
        columns = min(len(panels), max(1, (body.width + gap) // (frame.px(LEAST_PANEL) + gap)))
        if panels[0] == "race" and not frame.wide:
            columns = 1
        rows = -(-len(panels) // columns)
        hero = 1.25 if panels[0] == "race" else 1.0
        share = hero * (0.35 if frame.wide else 0.24 if frame.tall else 0.36) * (1 if rows == 1 else 1.7)
        height = round(min(share, MOST_CHARTS) * body.height)
        of_clouds = -(-lanes // MAX_COLUMNS) * (frame.px(LEAST_PANE) + gap) + high
        height = max(min(height, body.height - of_clouds), min(height, round(LEAST_CHARTS * body.height)))
        whole = Box(body.x, body.y, body.width, body.height - height - gap)
        boxes = _grid(Box(body.x, whole.bottom + gap, body.width, height), len(panels), columns, gap)
    key_box = Box(whole.x, whole.bottom - high, whole.width, high)
    return Box(whole.x, whole.y, whole.width, whole.height - high), key_box, boxes


def _grid(room: Box, count: int, columns: int, gap: int) -> tuple[Box, ...]:
    """So many boxes in rows that fill the room; the first of two or more is the largest."""
    rows = -(-count // columns)
    tall = room.height - (rows - 1) * gap
    shares = [1.4 if row == 0 and columns == 1 and rows == 2 else 1.0 for row in range(rows)]
    boxes, y = [], room.y
    for row in range(rows):
        height = int(tall * shares[row] / sum(shares))
        in_row = min(columns, count - row * columns)
        weights = [1.4 if place == 0 and in_row > 1 else 1.0 for place in range(in_row)]
        wide, x = room.width - (in_row - 1) * gap, room.x
        for weight in weights:
            width = int(wide * weight / sum(weights))
            boxes.append(Box(x, y, width, height))
            x += width + gap
        y += height + gap
    return tuple(boxes)


def _columns(room: Box, lanes: int, gap: int) -> int:
    def worth(columns: int) -> tuple[int, int, int]:
        return min(_cell(room, lanes, columns, gap)), -(-lanes % columns), columns  # of equals with fewest empty cells

    return max(range(1, min(lanes, MAX_COLUMNS) + 1), key=worth)


def _cell(room: Box, lanes: int, columns: int, gap: int) -> tuple[int, int]:
    rows = -(-lanes // columns)
    return (room.width - (columns - 1) * gap) // columns, (room.height - (rows - 1) * gap) // rows


def _worth(room: Box, lanes: int, gap: int) -> float:
    """How large clouds can be, and how well they are seen: a narrow pane is worth less than a wide one."""
    width, height = _cell(room, lanes, _columns(room, lanes, gap), gap)
    return min(width / 1.2, height) * math.sqrt(max(width * height, 0))
