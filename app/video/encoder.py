"""Pictures in, a video file out: mp4, webm or gif, encoded on a thread of its own behind a bounded queue."""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from numpy.typing import NDArray

from app.limits import VIDEO_SIDES
from hnm_core.errors import InputError
from hnm_core.system import paths
from hnm_core.system.whole_files import check_writable, whole_file

MAX_FPS = 240
GIF_FPS = 15
GIF_SIDE = 720
_WAIT_S = 0.1
_QUEUE = 6
"""Pictures that may wait for the encoder; at 1080p they take 50 MB."""

_BT709, _LIMITED_RANGE = 1, 1
"""Values of `color_primaries`, `color_trc`, `colorspace` and of `color_range` for ordinary high-definition video."""


@dataclass(frozen=True)
class VideoFormat:
    """What a file will be, once the wishes have been fitted to what its kind of file can hold."""

    suffix: str
    size: tuple[int, int]
    """Width and height in pixels, even."""
    fps: Fraction


@dataclass(frozen=True)
class VideoInfo:
    """A finished video."""

    path: Path
    size: tuple[int, int]
    fps: float
    frames: int
    seconds: float
    file_bytes: int


def video_format(out: str | Path, size: tuple[int, int], fps: int) -> VideoFormat:
    """Check where a video shall go and what it shall be, before the first picture is drawn.

    Odd widths and heights are rounded down, as players need even ones. A gif is at most 720 pixels wide and high and
    has at most 15 pictures a second, each a whole number of hundredths of a second long, for so the format counts.

    Raises:
        InputError: the folder is missing or closed, the file is a folder, or suffix, size or fps is not allowed.
    """
    out = Path(out)
    suffix = out.suffix.lower()
    if suffix not in SUFFIXES:
        raise InputError(f"'{out}' has no known ending: give one of {', '.join(SUFFIXES)}.")
    low, high = VIDEO_SIDES
    if not all(low <= side <= high for side in size):
        raise InputError(f"A video of {size[0]} x {size[1]} pixels is not allowed: {low} to {high:,} each way.")
    if not 1 <= fps <= MAX_FPS:
        raise InputError(f"fps = {fps} is not allowed: it must lie in 1..{MAX_FPS}.")
    if paths.is_folder(out):
        raise InputError(f"'{out}' is a folder; give the name of a file.")
    if not paths.is_folder(out.parent):
        raise InputError(f"'{out}' cannot be written: there is no folder '{out.parent}'.")
    try:
        check_writable(out)
    except OSError as error:
        raise _refused(out, error) from error
    width, height = size
    if suffix == ".gif":
        shrink = min(1.0, GIF_SIDE / max(size))
        width, height = round(width * shrink), round(height * shrink)
        return VideoFormat(suffix, _even(width, height), Fraction(100, -(-100 // min(fps, GIF_FPS))))
    return VideoFormat(suffix, _even(width, height), Fraction(fps))


def _even(width: int, height: int) -> tuple[int, int]:
    return max(width // 2 * 2, 2), max(height // 2 * 2, 2)


def _refused(out: Path, error: OSError) -> InputError:
    return InputError(f"'{out}' cannot be written: {error.strerror or error}.")


class VideoCancelledError(Exception):
    """Nobody wants the video any more."""


class _AbandonedError(Exception):
    """Ends the thread that writes."""


class Encoder:
    """Writes pictures to `OUT.part`, which takes the place of OUT at the end; used with `with`.

    On an exception inside the `with` nothing is left behind, soon also of a gif, which is mostly written at the end.
    """

    def __init__(self, out: str | Path, video: VideoFormat, go_on: Callable[[], bool] = lambda: True) -> None:
        """`go_on` is asked while the end is written: whether the video is still wanted."""
        self._out = Path(out)
        self._video = video
        self._go_on = go_on
        self._file = ExitStack()
        self._part = self._out
        self._frames = 0
        self._queue: queue.Queue[av.VideoFrame | None] = queue.Queue(_QUEUE)
        self._error: BaseException | None = None
        self._abandoned = threading.Event()
        self._thread = threading.Thread(target=self._run, name="hnm-encoder")
        self.info: VideoInfo | None = None
        """Set when the file is complete."""

    def __enter__(self) -> Encoder:
        """Raises `InputError` where the file cannot be written, also because another program does so just now."""
        try:
            self._part = self._file.enter_context(whole_file(self._out))
            self._thread.start()
        except OSError as error:
            raise _refused(self._out, error) from error
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
        frame = av.VideoFrame.from_ndarray(pixels, format="bgra")
        frame.pts = self._frames
        frame.time_base = 1 / self._video.fps
        while self._error is None:
            try:
                self._queue.put(frame, timeout=_WAIT_S)
            except queue.Full:
                continue
            self._frames += 1
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
                raise _refused(self._out, refusal) from refusal
        if kind is None:
            self.info = self._told()

    def _told(self) -> VideoInfo:
        return VideoInfo(
            self._out,
            self._video.size,
            float(self._video.fps),
            self._frames,
            float(self._frames / self._video.fps),
            self._out.stat().st_size,
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
            raise _refused(self._out, self._error) from self._error
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            _WRITERS[self._video.suffix](self._part, self._video, self)
        except BaseException as error:  # noqa: BLE001  handed to the thread that draws
            self._error = error

    def __iter__(self) -> Encoder:
        return self

    def __next__(self) -> av.VideoFrame:
        """The next picture for the writers below."""
        frame = self._queue.get()
        self.check()
        if frame is None:
            raise StopIteration
        return frame

    def check(self) -> None:
        """For the writers below, where they work without asking for pictures: ends them if nobody wants the video."""
        if self._abandoned.is_set():
            raise _AbandonedError


def _write_mp4(part: Path, video: VideoFormat, frames: Encoder) -> None:
    options = {"preset": "veryfast", "crf": "18"}
    with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = _stream(container, "libx264", video, options)
        _encode(container, stream, frames)


def _write_webm(part: Path, video: VideoFormat, frames: Encoder) -> None:
    options = {"deadline": "realtime", "cpu-used": "7", "crf": "30", "b": "0", "row-mt": "1", "tile-columns": "2"}
    with av.open(str(part), "w", format="webm") as container:
        stream = _stream(container, "libvpx-vp9", video, options)
        _encode(container, stream, frames)


def _stream(container: Any, codec: str, video: VideoFormat, options: dict[str, str]) -> Any:
    stream = container.add_stream(codec, rate=video.fps, options=options)
    stream.width, stream.height = video.size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / video.fps
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _LIMITED_RANGE
    return stream


def _encode(container: Any, stream: Any, frames: Encoder) -> None:
    for frame in frames:
        converted = frame.reformat(
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC,
        )
        container.mux(stream.encode(converted))
    container.mux(stream.encode())


def _write_gif(part: Path, video: VideoFormat, frames: Encoder) -> None:
    """One palette for the whole clip: the pictures wait in a lossless file until all colours have been seen."""
    with tempfile.TemporaryFile(dir=part.parent) as lossless:  # without a name, so that it never stays
        with av.open(lossless, "w", format="nut") as container:
            stream = container.add_stream("ffv1", rate=video.fps)
            stream.width, stream.height = video.size
            stream.pix_fmt = "bgra"
            for frame in frames:
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        palette = _palette(_pictures(lossless, frames))
        if palette is not None:
            _write_with_palette(part, video, _pictures(lossless, frames), palette)


@contextmanager
def _pictures(lossless: IO[bytes], frames: Encoder) -> Iterator[tuple[Any, Iterator[av.VideoFrame]]]:
    """The stream and the pictures of a lossless file, as long as the video is wanted."""
    lossless.seek(0)
    with av.open(lossless, "r") as container:

        def decoded() -> Iterator[av.VideoFrame]:
            for frame in container.decode(video=0):
                frames.check()
                yield frame

        yield container.streams.video[0], decoded()


_Pictures = AbstractContextManager[tuple[Any, Iterator[av.VideoFrame]]]


def _palette(pictures: _Pictures) -> av.VideoFrame | None:
    graph = av.filter.Graph()
    with pictures as (stream, decoded):
        source = graph.add_buffer(template=stream)
        generate = graph.add("palettegen", "stats_mode=full")
        sink = graph.add("buffersink")
        source.link_to(generate)
        generate.link_to(sink)
        graph.configure()
        seen = False
        for frame in decoded:
            source.push(frame)
            seen = True
        if not seen:
            return None
        source.push(None)
        palette = sink.pull()
        assert isinstance(palette, av.VideoFrame)
        return palette


def _write_with_palette(part: Path, video: VideoFormat, pictures: _Pictures, palette: av.VideoFrame) -> None:
    graph = av.filter.Graph()
    with pictures as (template, decoded), av.open(str(part), "w", format="gif") as container:
        source = graph.add_buffer(template=template)
        colors = graph.add_buffer(
            width=palette.width, height=palette.height, format=palette.format, time_base=1 / video.fps
        )
        use = graph.add("paletteuse", "dither=bayer:bayer_scale=4:diff_mode=rectangle")
        sink = graph.add("buffersink")
        source.link_to(use, 0, 0)
        colors.link_to(use, 0, 1)
        use.link_to(sink)
        graph.configure()
        stream = container.add_stream("gif", rate=video.fps)
        stream.width, stream.height = video.size
        stream.pix_fmt = "pal8"
        colors.push(palette)
        colors.push(None)
        for frame in decoded:
            source.push(frame)
            _drain(sink, container, stream)
        source.push(None)
        _drain(sink, container, stream)
        container.mux(stream.encode())


def _drain(sink: Any, container: Any, stream: Any) -> None:
    while True:
        try:
            frame = sink.pull()
        except (av.BlockingIOError, EOFError):
            return
        container.mux(stream.encode(frame))


_WRITERS = {".mp4": _write_mp4, ".webm": _write_webm, ".gif": _write_gif}
SUFFIXES = tuple(_WRITERS)
"""Kinds of video files that can be written."""
