"""One picture of a film, up to 8K, every pixel of its clouds drawn as several where memory allows."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from app.limits import VIDEO_SIDES
from app.video import template as templates
from app.video.formats import VideoFormat, refused
from app.video.layout import check_type
from app.video.pictures import Pictures, Wishes
from app.video.writers import png
from hnm_core.errors import InputError
from hnm_core.system.whole_files import whole_file

SUPERSAMPLE = 2
MOST_PIXELS = 3840 * 2160
"""Of a larger picture every pixel is drawn once: there are enough of them."""


def still(
    folder: str | Path,
    out: str | Path,
    *,
    template: str | Path = templates.DEFAULT,
    at: int | None = None,
    size: tuple[int, int] | None = None,
    theme: str = "dark",
) -> tuple[int, int]:
    """Write the picture of a film's run at step `at`, by default the last, to the PNG file `out`; returns its size.

    Raises:
        InputError: the recording is damaged or has no frame, has no such step, or `out` cannot be written.
    """
    out, chosen = Path(out), templates.load(template)
    if out.suffix.lower() != ".png":
        raise InputError(f"'{out}' cannot be a still picture: give a name that ends in .png.")
    low, high = VIDEO_SIDES
    width, height = size or chosen.sides
    if not all(low <= side <= high for side in (width, height)):
        raise InputError(f"A picture of {width} x {height} pixels is not allowed: {low} to {high:,} each way.")
    check_type(width, height)
    supersample = SUPERSAMPLE if width * height <= MOST_PIXELS else 1
    wishes = Wishes(chosen, theme, supersample=supersample, still=True)
    pictures = Pictures(folder, VideoFormat(".png", (width, height), Fraction(chosen.fps)), wishes)
    try:
        first, last = pictures.steps
        step = last if at is None else at
        if not first <= step <= last:
            raise InputError(f"There is no step {step:,} to show: the recording has steps {first:,} to {last:,}.")
        frame = av.VideoFrame.from_ndarray(pictures.at_step(step), format="bgra")
        frame.time_base = Fraction(1)
        with whole_file(out) as part:
            part.write_bytes(png(frame, width, height))
    except OSError as error:
        raise refused(out, error) from error
    return width, height
