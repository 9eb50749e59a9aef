"""What a video file will be, once the wishes have been fitted to what its kind of file can hold."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from app.limits import VIDEO_SIDES
from hnm_core.errors import InputError
from hnm_core.system import paths
from hnm_core.system.whole_files import check_writable

MAX_FPS = 240
GIF_FPS = 15
GIF_SIDE = 720
SUFFIXES = (".mp4", ".webm", ".gif", ".png")
"""Kinds of files that can be written; .png is a folder of numbered pictures."""
NUMBERED = re.compile(r"[^%]*%0(\d)d[^%]*")
"""The name of numbered pictures."""


@dataclass(frozen=True)
class VideoFormat:
    """What a file will be, once the wishes have been fitted to what its kind of file can hold."""

    suffix: str
    size: tuple[int, int]
    """Width and height in pixels, even."""
    fps: Fraction
    """Pictures a second"""
    hundredths: int | None = None
    """Length of a gif, whose last picture may stand for less than the others; None: as long as they"""
    live: bool = False
    """Whether pictures come as they happen: an mp4 is then encoded as quickly as can be, and is larger"""


@dataclass(frozen=True)
class VideoInfo:
    """A finished video, or a picture: that takes no seconds."""

    path: Path
    size: tuple[int, int]
    fps: float
    frames: int
    seconds: float
    file_bytes: int
    note: str = ""
    """What is to be known before it is shown somewhere: a sentence, or empty."""


def video_format(
    out: str | Path, size: tuple[int, int], fps: int, seconds: float | None = None, *, live: bool = False
) -> VideoFormat:
    """Check where a video shall go and what it shall be, before the first picture is drawn.

    Odd widths and heights are rounded down, as players need even ones. A gif is at most 720 pixels wide and high and
    has at most 15 pictures a second, each a whole number of hundredths of a second long, for so the format counts; that
    it is `seconds` long to the hundredth, its last picture sees to. Numbered pictures need a name such as
    FOLDER/picture-%05d.png, and a folder that is not there yet, or empty.

    Raises:
        InputError: the folder is missing or closed, the file is a folder, or suffix, size or fps is not allowed.
    """
    out = Path(out)
    suffix = out.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"'{out}' has no known ending: give one of {', '.join(SUFFIXES)}.")
    if suffix == ".png" and NUMBERED.fullmatch(out.name) is None:
        raise InputError(
            f"'{out}' is one picture: give --at STEP for that, or a name like '{out.parent / 'film'}/%05d.png' for all."
        )
    video = fitted(suffix, size, fps, seconds)
    place = out.parent if suffix == ".png" else out
    if suffix == ".png" and paths.is_folder(place) and any(place.iterdir()):
        raise InputError(f"The folder '{place}' is not empty; name a new one for the pictures.")
    check_place(out if suffix != ".png" else place.with_name(f"{place.name}.part.lock"), out)
    return replace(video, live=live)


def check_place(file: Path, out: Path | None = None) -> None:
    """Raises `InputError` where no file can be written; it names `out`, where that is what was asked for."""
    out = out or file
    if paths.is_folder(file):
        raise InputError(f"'{out}' is a folder; give the name of a file.")
    if not paths.is_folder(file.parent):
        raise InputError(f"'{out}' cannot be written: there is no folder '{file.parent}'.")
    try:
        check_writable(file)
    except OSError as error:
        raise refused(out, error) from error


def fitted(suffix: str, size: tuple[int, int], fps: int, seconds: float | None = None) -> VideoFormat:
    """What a file of a kind will be, wherever it goes; see `video_format`. Raises `InputError` for a size or rate."""
    low, high = VIDEO_SIDES
    if not all(low <= side <= high for side in size):
        raise InputError(f"A video of {size[0]} x {size[1]} pixels is not allowed: {low} to {high:,} each way.")
    if not 1 <= fps <= MAX_FPS:
        raise InputError(f"fps = {fps} is not allowed: it must lie in 1..{MAX_FPS}.")
    width, height = size
    if suffix == ".gif":
        shrink = min(1.0, GIF_SIDE / max(size))
        width, height = round(width * shrink), round(height * shrink)
        length = None if seconds is None else max(round(100 * seconds), 2)
        return VideoFormat(suffix, _even(width, height), Fraction(100, -(-100 // min(fps, GIF_FPS))), length)
    return VideoFormat(suffix, _even(width, height), Fraction(fps))


def _even(width: int, height: int) -> tuple[int, int]:
    return max(width // 2 * 2, 2), max(height // 2 * 2, 2)


def refused(out: Path, error: OSError) -> InputError:
    """What is said where a file cannot be written."""
    return InputError(f"'{out}' cannot be written: {error.strerror or error}.")
