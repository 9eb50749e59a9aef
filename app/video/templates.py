"""How a video looks: where the camera goes and where things stand. Pure functions, no Qt."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from app.picture.camera import MAX_ELEVATION, Camera
from hnm_core.errors import InputError, unknown_name

CameraPath = Callable[[Camera, float], Camera]
"""From the camera that frames the cloud now, and the share (0..1) of the video that has passed, to the one to use."""

ORBIT_TURNS = 0.75
ORBIT_SWAY = 7.0
"""Degrees that an orbiting camera rises and sinks."""


def orbit(base: Camera, t: float) -> Camera:
    """Three quarters of a turn in all, at an even pace, with a slight rise and fall."""
    sway = min(ORBIT_SWAY, MAX_ELEVATION - abs(base.elevation))
    return base.orbited(360.0 * ORBIT_TURNS * t, sway * math.sin(2 * math.pi * t))


def fixed(base: Camera, t: float) -> Camera:
    """Stands still, but for following the size of the cloud."""
    return base


TEMPLATES: dict[str, CameraPath] = {"orbit": orbit, "fixed": fixed}
"""Camera paths by name."""


def template(name: str) -> CameraPath:
    """The camera path called `name`. Raises `InputError`."""
    if name not in TEMPLATES:
        raise unknown_name("video template", name, TEMPLATES)
    return TEMPLATES[name]


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


@dataclass(frozen=True)
class Layout:
    """Where everything stands in a picture."""

    unit: float
    """1 at 1080p: lengths and text sizes grow with it."""
    title: Box
    headers: tuple[Box, ...]
    """One above each cloud: title and numbers of the lane."""
    clouds: tuple[Box, ...]
    bar: Box
    """The line that fills as the run goes on."""
    caption: Box


MAX_COLUMNS = 3
CAPTION_LINES = 2
SMALLEST_CLOUD = 8
"""Pixels of a side."""


def arrange(width: int, height: int, lanes: int) -> Layout:
    """Lanes side by side, up to three in a row, in the grid whose clouds have the longest short side.

    Raises:
        InputError: there is no room for so many clouds.
    """
    unit = math.sqrt(width * height / (1920 * 1080))
    unit = min(unit, width / 900)  # a narrow picture needs smaller text
    margin, gap = round(40 * unit), round(40 * unit)
    title = Box(margin, round(26 * unit), width - 2 * margin, round(60 * unit))
    bar_height = max(round(5 * unit), 2)
    caption_height = round(CAPTION_LINES * 34 * unit)
    bar = Box(0, height - bar_height, width, bar_height)
    caption = Box(margin, bar.y - round(20 * unit) - caption_height, width - 2 * margin, caption_height)
    top, bottom = title.bottom + round(16 * unit), caption.y - round(18 * unit)
    header = round(46 * unit)

    def cell(columns: int) -> tuple[int, int]:
        rows = -(-lanes // columns)
        return (
            (width - 2 * margin - (columns - 1) * gap) // columns,
            (bottom - top - (rows - 1) * gap) // rows - header,
        )

    def worth(columns: int) -> tuple[int, int, int]:
        return min(cell(columns)), -(-lanes % columns), columns  # of equals the one with the fewest empty cells

    columns = max(range(1, min(lanes, MAX_COLUMNS) + 1), key=worth)
    cloud_width, cloud_height = cell(columns)
    if min(cloud_width, cloud_height) < SMALLEST_CLOUD:
        raise InputError(
            f"A video of {width} x {height} pixels has no room for {lanes} lane{'' if lanes == 1 else 's'}, each above "
            f"{SMALLEST_CLOUD} pixels wide and high; make it {'higher' if cloud_height < cloud_width else 'wider'}."
        )
    headers, clouds = [], []
    for place in range(lanes):
        row, column = divmod(place, columns)
        in_row = min(columns, lanes - row * columns)
        # A last row that is not full stands in the middle.
        left = (width - in_row * cloud_width - (in_row - 1) * gap) // 2
        x = left + column * (cloud_width + gap)
        y = top + row * (cloud_height + header + gap)
        headers.append(Box(x, y, cloud_width, header))
        clouds.append(Box(x, y + header, cloud_width, cloud_height))
    return Layout(unit, title, tuple(headers), tuple(clouds), bar, caption)


END_CARD_SECONDS = 1.5
END_CARD_FROM = 6.0


@dataclass(frozen=True)
class Timing:
    """Which moment of the run each picture of the video shows."""

    frames: int
    run_frames: int
    """Pictures in which the run goes on; the rest holds its end with the table of results on top."""

    def moment(self, frame: int) -> float:
        """Share of the run (0..1) that picture number `frame` shows."""
        return min(frame / max(self.run_frames - 1, 1), 1.0)

    def end_card(self, frame: int) -> float:
        """How far the table of results has faded in (0..1)."""
        if frame < self.run_frames:
            return 0.0
        return min((frame - self.run_frames + 1) / max((self.frames - self.run_frames) * 0.25, 1), 1.0)


def timing(seconds: float, fps: float) -> Timing:
    """`seconds` at `fps` pictures a second; a video of six seconds or more ends with the results."""
    frames = max(round(seconds * fps), 1)
    card = round(END_CARD_SECONDS * fps) if seconds >= END_CARD_FROM else 0
    return Timing(frames, frames - card)
