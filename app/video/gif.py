"""Gifs: one palette for the whole clip, made when all colours have been seen; exactly as long as asked for."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av

from app.video.formats import VideoFormat
from app.video.frames import Frames

SHORTEST = 2
"""Hundredths of a second that a picture stands for at least; players make a tenth of less."""


def write_gif(part: Path, video: VideoFormat, frames: Frames) -> None:
    """The pictures wait in a lossless file until all colours have been seen."""
    count = 0
    with tempfile.TemporaryFile(dir=part.parent, buffering=0) as lossless:  # without a name, so that it never stays
        with _saying_why(lossless) as kept, av.open(kept, "w", format="nut") as container:
            stream = container.add_stream("ffv1", rate=video.fps)
            stream.width, stream.height = video.size
            stream.pix_fmt = "bgra"
            for frame in frames:
                container.mux(stream.encode(frame))
                count += 1
            container.mux(stream.encode())
        palette = _palette(_pictures(lossless, frames))
        if palette is not None:
            _write_with_palette(part, video, _pictures(lossless, frames), palette, count)


class _Kept:
    """A file for the video library, which where it cannot be written forgets why when it writes the end of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.failure: OSError | None = None
        self.read, self.seek, self.tell = file.read, file.seek, file.tell

    def write(self, data: bytes) -> int:
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError as error:
            self.failure = error
            raise
        return len(data)


@contextmanager
def _saying_why(file: IO[bytes]) -> Iterator[_Kept]:
    """Raises `OSError` where the file could not be written, whatever the library makes of it."""
    kept = _Kept(file)
    try:
        yield kept
    except av.FFmpegError as error:
        raise kept.failure or error from error


@contextmanager
def _pictures(lossless: IO[bytes], frames: Frames) -> Iterator[tuple[Any, Iterator[av.VideoFrame]]]:
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


def _last_delay(video: VideoFormat, count: int) -> int:
    """Hundredths of a second for which the last of `count` pictures stands, so that the clip has its length."""
    each = int(100 / video.fps)
    if video.hundredths is None:
        return each
    return min(max(video.hundredths - (count - 1) * each, SHORTEST), 0xFFFF)


def _write_with_palette(
    part: Path, video: VideoFormat, pictures: _Pictures, palette: av.VideoFrame, count: int
) -> None:
    graph = av.filter.Graph()
    options = {"final_delay": str(_last_delay(video, count))}
    with pictures as (template, decoded), av.open(str(part), "w", format="gif", options=options) as container:
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
        stream.time_base = stream.codec_context.time_base = Fraction(1, 100)
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
