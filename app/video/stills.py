"""One picture of a film, up to 8K, every pixel of its clouds drawn as several."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

from app.limits import VIDEO_SIDES
from app.progress import Progress
from app.video import template as templates
from app.video.formats import VideoFormat, check_place, refused
from app.video.layout import check_type
from app.video.pictures import Pictures, Pixels, Wishes
from app.video.writers import png
from hnm_core.errors import InputError
from hnm_core.system.whole_files import whole_file

SUPERSAMPLE = 2
"""The picture of one lane at 8K takes 1.7 GB in all, that of three 1.1."""


class Moments:
    """The picture of each step of a run, the first one of them at 0. Raises `InputError` where none can be made."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures
        self.steps = pictures.steps

    def __len__(self) -> int:
        return self.steps[1] - self.steps[0] + 1

    def at(self, number: int) -> Pixels:
        """That of one step."""
        return self._pictures.at_step(self.steps[0] + number)


def still_size(size: tuple[int, int]) -> tuple[int, int]:
    """The size as it is. Raises `InputError` for one that is not allowed."""
    low, high = VIDEO_SIDES
    width, height = size
    if not all(low <= side <= high for side in size):
        raise InputError(f"A picture of {width} x {height} pixels is not allowed: {low} to {high:,} each way.")
    check_type(width, height)
    return size


def moments(
    folder: str | Path, chosen: templates.Template, size: tuple[int, int], theme: str, *, fine: bool = True
) -> Moments:
    """The pictures of a run's steps of a size; coarse ones are quicker and good to look at before.

    Raises:
        InputError: the recording is damaged or has no frame.
    """
    wishes = Wishes(chosen, theme, supersample=SUPERSAMPLE if fine else 1, still=True)
    return Moments(Pictures(folder, VideoFormat(".png", size, Fraction(chosen.fps)), wishes))


def still(
    folder: str | Path,
    out: str | Path,
    *,
    template: str | Path = templates.DEFAULT,
    at: int | None = None,
    size: tuple[int, int] | None = None,
    theme: str = "dark",
    progress: Progress = lambda done, total: True,
) -> tuple[int, int] | None:
    """Write the picture of a film's run at step `at`, by default the last, to the PNG file `out`; returns its size, or
    None where `progress` called it off, and then no file is left.

    Raises:
        InputError: the recording is damaged or has no frame, has no such step, or `out` cannot be written.
    """
    out, chosen = Path(out), templates.load(template)
    if out.suffix.lower() != ".png":
        raise InputError(f"'{out}' cannot be a still picture: give a name that ends in .png.")
    width, height = still_size(size or chosen.sides)
    check_place(out)
    pictures = moments(folder, chosen, (width, height), theme)
    try:
        first, last = pictures.steps
        step = last if at is None else at
        if not first <= step <= last:
            raise InputError(f"There is no step {step:,} to show: the recording has steps {first:,} to {last:,}.")
        frame = av.VideoFrame.from_ndarray(pictures.at(step - first), format="bgra")
        if not progress(0, 1):
            return None
        frame.time_base = Fraction(1)
        encoded = png(frame, width, height)
        if not progress(0, 1):
            return None
        with whole_file(out) as part:
            part.write_bytes(encoded)
    except OSError as error:
        raise refused(out, error) from error
    return width, height
