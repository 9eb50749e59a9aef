"""Pictures in, a video file out, encoded on a thread of its own behind a bounded queue: whole, or not there."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from numpy.typing import NDArray

from app.video.formats import VideoFormat, VideoInfo, refused
from app.video.levels import level_note
from app.video.writers import WRITERS, codec_of, write_pictures
from hnm_core.system.whole_files import whole_file, whole_folder

_WAIT_S = 0.1
_QUEUE = 6
"""Pictures that may wait for the encoder; at 1080p they take 50 MB."""


class VideoCancelledError(Exception):
    """Nobody wants the video any more."""


class _AbandonedError(Exception):
    """Ends the thread that writes."""


@dataclass(frozen=True, eq=False)
class _Shown:
    """A picture for the encoder; before it, the last one is shown so many times again."""

    frame: av.VideoFrame | None
    again: int = 0


class Encoder:
    """Writes pictures to `OUT.part`, which takes the place of OUT at the end; used with `with`.

    On an exception inside the `with` nothing is left behind, soon also of a gif, which is mostly written at the end.
    """

    def __init__(
        self,
        out: str | Path,
        video: VideoFormat,
        go_on: Callable[[], bool] = lambda: True,
    ) -> None:
        """`go_on` is asked while the end is written: whether the video is still wanted."""
        self._out = Path(out)
        self._video = video
        self._numbered = video.suffix == ".png"
        self._place = self._out.parent if self._numbered else self._out
        self._go_on = go_on
        self._file = ExitStack()
        self._part = self._out
        self._frames = 0
        self._queue: queue.Queue[_Shown | None] = queue.Queue(_QUEUE)
        self._error: BaseException | None = None
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hnm-encoder")
        self.info: VideoInfo | None = None
        """Set when the file is complete."""

    def __enter__(self) -> Encoder:
        """Raises `InputError` where the file cannot be written, also because another program does so just now, or
        because the installed library has no encoder for it."""
        if self._video.suffix != ".gif":  # those are encoded here
            codec_of(self._video.suffix)
        try:
            self._part = self._file.enter_context(
                whole_folder(self._place) if self._numbered else whole_file(self._out)
            )
            self._thread.start()
        except OSError as error:
            raise refused(self._out, error) from error
        except BaseException as error:  # Ctrl+C, so early that nobody will call `__exit__`
            self._end_thread()
            self._file.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def write(self, pixels: NDArray[np.uint8]) -> None:
        """Append a (H, W, 4) picture of blue, green, red, 255. It is copied; the array may be used again.

        Raises:
            InputError: the file cannot be written any more (a full disk).
        """
        self._put(_Shown(av.VideoFrame.from_ndarray(pixels, format="bgra")))

    @property
    def full(self) -> bool:
        """Whether as many pictures wait as may, so that the next one has no room. After a failure there is always room:
        who offers a picture is told why."""
        return self._error is None and self._queue.full()

    def offer(self, frame: av.VideoFrame, again: int = 0) -> bool:
        """Append a frame, without waiting: False where there is no room just now. First the last picture is shown
        `again` so many times, in place of those that were not offered in time. One thread alone may write and offer."""
        self._raise()
        if self.full:
            return False
        self._put(_Shown(frame, again))
        return True

    def hold(self, again: int) -> None:
        """Show the last picture so many times again. Raises `InputError`, as `write`."""
        self._put(_Shown(None, again))

    def _put(self, shown: _Shown) -> None:
        while self._error is None:
            try:
                self._queue.put(shown, timeout=_WAIT_S)
            except queue.Full:
                continue
            return
        self._raise()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except BaseException as failure:
            kind, error, traceback = type(failure), failure, failure.__traceback__
            raise
        finally:
            self._end_thread()
            try:
                self._file.__exit__(kind, error, traceback)
            except OSError as refusal:
                raise refused(self._out, refusal) from refusal
        if kind is None:
            self.info = self._told()

    def _told(self) -> VideoInfo:
        files = self._place.iterdir() if self._numbered else [self._out]
        (width, height), fps = self._video.size, float(self._video.fps)
        exact = self._video.hundredths
        return VideoInfo(
            self._out,
            self._video.size,
            fps,
            self._frames,
            self._frames / fps if exact is None else exact / 100,
            sum(path.stat().st_size for path in files),
            level_note(width, height, fps) if self._video.suffix == ".mp4" else "",
        )

    def _finish(self) -> None:
        """Wait until all is written. Raises what went wrong."""
        said = False
        while self._thread.is_alive():
            if not self._go_on():
                raise VideoCancelledError
            if not said:
                with suppress(queue.Full):
                    self._queue.put(None, timeout=_WAIT_S)
                    said = True
            else:
                self._thread.join(_WAIT_S)
        self._raise()

    def _end_thread(self) -> None:
        """Have the thread end; of what it has not done yet nothing is wanted. Not to be hurried: a file would stay."""
        self._abandoned.set()
        while self._thread.is_alive():
            with suppress(queue.Full, KeyboardInterrupt):
                self._queue.put_nowait(None)
            with suppress(KeyboardInterrupt):
                self._thread.join(_WAIT_S)

    def _raise(self) -> None:
        if isinstance(self._error, OSError):
            raise refused(self._out, self._error) from self._error
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            if self._numbered:
                write_pictures(self._part, self._out.name, self._video, self)
            else:
                WRITERS[self._video.suffix](self._part, self._video, self)
        except BaseException as error:  # noqa: BLE001  handed to the thread that draws
            self._error = error

    def __iter__(self) -> Iterator[av.VideoFrame]:
        """The pictures for the writers, as they come."""
        last: av.VideoFrame | None = None
        while True:
            shown = self._queue.get()
            self.check()
            if shown is None:
                return
            if last is not None:
                for _ in range(shown.again):
                    self.check()
                    yield self._timed(last)
            last = shown.frame or last
            if shown.frame is not None:
                yield self._timed(shown.frame)

    def _timed(self, frame: av.VideoFrame) -> av.VideoFrame:
        """The frame as the next one of the film; writers have done with it when they ask for another."""
        frame.pts = self._frames
        frame.time_base = 1 / self._video.fps
        self._frames += 1
        return frame

    def check(self) -> None:
        """For the writers, where they work without asking for pictures: ends them if nobody wants the video."""
        if self._abandoned.is_set():
            raise _AbandonedError
