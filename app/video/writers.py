"""Writes pictures into files of each kind, on the encoder's thread: H.264, VP9 or AV1, and numbered PNG pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import av
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from app.video.formats import VideoFormat
from app.video.frames import Frames
from app.video.gif import write_gif
from hnm_core.errors import InputError

_BT709, _LIMITED_RANGE = 1, 1
"""Values of `color_primaries`, `color_trc`, `colorspace` and of `color_range` for ordinary high-definition video."""

H264: Mapping[str, dict[str, str]] = {"libx264": {"preset": "veryfast", "crf": "18"}}
LIVE: Mapping[str, str] = {"preset": "ultrafast", "qp": "18"}
"""While pictures are taken as they happen, what they show needs the machine more. A constant quantizer takes a quarter
less time than a constant rate factor, which looks for what is worth its bits."""
LIVE_PX = 2_500_000
"""One thread encodes so many pixels in a few milliseconds; more threads would spend some of that on waiting for each
other."""
WEBM: Mapping[str, dict[str, str]] = {
    "libvpx-vp9": {
        "deadline": "realtime",
        "cpu-used": "7",
        "crf": "30",
        "b": "0",
        "row-mt": "1",
        "tile-columns": "2",
    },
    "libsvtav1": {"preset": "10", "crf": "32"},
}
"""Encoders with their options, the first that the installed library has is taken."""


def codec_of(suffix: str) -> str:
    """The encoder for a kind of file. Raises `InputError` where the installed library has none."""
    names = {".mp4": H264, ".webm": WEBM}.get(suffix, {"png": {}})
    for name in names:
        try:
            av.codec.Codec(name, "w")
        except (ValueError, av.FFmpegError):
            continue
        return name
    raise InputError(
        f"The installed video library has no encoder for {suffix} ({' or '.join(names)}); pip install av brings one."
    )


def _write_mp4(part: Path, video: VideoFormat, frames: Frames) -> None:
    with av.open(str(part), "w", format="mp4", options={"movflags": "+faststart"}) as container:
        name = codec_of(".mp4")
        stream = _stream(container, name, video, dict(LIVE if video.live else H264[name]))
        if video.live:
            stream.codec_context.thread_count = math.ceil(math.prod(video.size) / LIVE_PX)
        _encode(container, stream, frames)


def _write_webm(part: Path, video: VideoFormat, frames: Frames) -> None:
    with av.open(str(part), "w", format="webm") as container:
        name = codec_of(".webm")
        _encode(container, _stream(container, name, video, dict(WEBM[name])), frames)


def _stream(container: Any, codec: str, video: VideoFormat, options: dict[str, str]) -> Any:
    stream = container.add_stream(codec, rate=video.fps, options=options)
    stream.width, stream.height = video.size
    stream.pix_fmt = "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / video.fps
    context.color_primaries = context.color_trc = context.colorspace = _BT709
    context.color_range = _LIMITED_RANGE
    return stream


def _encode(container: Any, stream: Any, frames: Frames) -> None:
    for frame in frames:
        container.mux(stream.encode(frame if frame.format.name == stream.pix_fmt else _converted(frame)))
    container.mux(stream.encode())


def _converted(frame: av.VideoFrame) -> av.VideoFrame:
    return frame.reformat(
        format="yuv420p",
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        interpolation=Interpolation.BICUBIC,
    )


def write_pictures(part: Path, name: str, video: VideoFormat, frames: Frames) -> None:
    """Numbered pictures into the folder `part`, from 1 on."""
    width, height = video.size
    for number, frame in enumerate(frames, 1):
        (part / (name % number)).write_bytes(png(frame, width, height))


def png(frame: av.VideoFrame, width: int, height: int) -> bytes:
    """A picture as a PNG file."""
    context: Any = av.CodecContext.create("png", "w")
    context.width, context.height, context.pix_fmt = width, height, "rgb24"
    context.time_base = frame.time_base or 1
    packets = [*context.encode(frame.reformat(format="rgb24")), *context.encode(None)]
    return b"".join(bytes(packet) for packet in packets)


WRITERS: dict[str, Callable[[Path, VideoFormat, Frames], None]] = {
    ".mp4": _write_mp4,
    ".webm": _write_webm,
    ".gif": write_gif,
}
"""By the ending of the file; numbered pictures have a folder."""
