"""A film of what happens just now: a picture for every tick of a clock, whatever comes in between. No Qt."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from numpy.typing import NDArray

from app.picture import raster
from app.video.encoder import Encoder
from app.video.formats import VideoFormat, VideoInfo
from hnm_core import kernels


def frame_of(pixels: NDArray[np.uint32], left: int, top: int, size: tuple[int, int]) -> av.VideoFrame:
    """A part of (H, W) pixels 0x..RRGGBB, as the encoder takes it; they may be written over afterwards. `size` is of
    even numbers."""
    width, height = size
    if not kernels.ready(raster.RASTER_KERNELS):  # no window waits for a compiler
        part = np.ascontiguousarray(pixels[top : top + height, left : left + width])
        return av.VideoFrame.from_ndarray(part.view(np.uint8).reshape(height, width, 4), format="bgra")
    frame = av.VideoFrame(width, height, "yuv420p")
    luma, blue, red = (
        np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size) for plane in frame.planes
    )
    raster.yuv(pixels, left, top, size, luma, blue, red)
    frame.colorspace, frame.color_range = Colorspace.ITU709, ColorRange.MPEG
    return frame


@dataclass(frozen=True)
class LiveInfo:
    """What became of it."""

    video: VideoInfo
    dropped: int
    """Pictures for which the encoder had no room"""
    repeated: int
    """How often the picture before was shown again, because a new one was dropped or came late"""


class LiveFilm:
    """Takes pictures at a constant rate; a time in which none could be taken shows the one before.

    `take` never waits for the encoder. `finish` does, and `abandon`: call those on another thread than the window's.
    """

    def __init__(self, out: Path, video: VideoFormat) -> None:
        """Raises `InputError` where the file cannot be written."""
        self._fps = float(video.fps)
        self._open = ExitStack()
        self._encoder = Encoder(out, video)
        self._open.enter_context(self._encoder)
        self._first = self._filled = self._next = 0
        self.dropped = self.repeated = 0

    def take(self, seconds: float, picture: Callable[[], av.VideoFrame]) -> None:
        """Take the picture of a time since the beginning, unless that has one.

        Raises:
            InputError: the file cannot be written any more.
        """
        slot = int(seconds * self._fps) - self._first
        if slot < self._next:
            return
        if not self._filled:
            self._first, slot = self._first + slot, 0  # the film begins with its first picture
        self._next = slot + 1
        if self._encoder.full:
            self.dropped += 1
            return
        late = slot - self._filled
        if self._encoder.offer(picture(), late):
            self.repeated += late
            self._filled = slot + 1

    def finish(self, seconds: float) -> LiveInfo:
        """Complete the file, whose last picture stands until then. Raises `InputError` where it cannot be written."""
        late = max(round(seconds * self._fps) - self._first - self._filled, 0)
        with self._open:
            if late and self._filled:
                self._encoder.hold(late)
                self.repeated += late
        assert self._encoder.info is not None
        return LiveInfo(self._encoder.info, self.dropped, self.repeated)

    def abandon(self) -> None:
        """Leave no file."""

        def give_up() -> None:
            raise _GivenUpError

        try:
            with self._open:
                give_up()
        except _GivenUpError:
            return


class _GivenUpError(Exception):
    """Nothing is wanted of the file any more."""
