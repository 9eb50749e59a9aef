"""A film of what happens just now: constant in rate whatever comes late, and nothing waits for the encoder."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from app.video import writers
from app.video.formats import video_format
from app.video.live import LiveFilm, frame_of
from hnm_core import kernels
from hnm_core.errors import InputError

SIZE = (96, 64)
pytestmark = pytest.mark.usefixtures("raster_kernels")


def grey(value: int) -> av.VideoFrame:
    return frame_of(np.full((SIZE[1], SIZE[0]), value * 0x010101, np.uint32), 0, 0, SIZE)


def film(out: Path, fps: int = 10) -> LiveFilm:
    return LiveFilm(out, video_format(out, SIZE, fps, live=True))


def shown(path: Path) -> list[int]:
    """The grey of every picture of a file, to the next ten."""
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == 10
        frames = list(container.decode(video=0))
    return [round(float(frame.to_ndarray(format="rgb24").mean()) / 10) * 10 for frame in frames]


def test_that_every_tick_has_a_picture_and_late_ones_show_the_one_before(tmp_path: Path) -> None:
    live = film(tmp_path / "out.mp4")
    for seconds, value in ((0.0, 40), (0.02, 250), (0.11, 80), (0.55, 120), (0.61, 200)):
        live.take(seconds, lambda value=value: grey(value))
    info = live.finish(0.9)
    assert shown(tmp_path / "out.mp4") == [40, 80, 80, 80, 80, 120, 200, 200, 200]
    assert (info.video.frames, info.video.seconds, info.dropped, info.repeated) == (9, 0.9, 0, 5)


def test_that_a_film_begins_with_its_first_picture(tmp_path: Path) -> None:
    live = film(tmp_path / "out.mp4")
    live.take(0.34, lambda: grey(40))
    live.take(0.41, lambda: grey(120))
    assert live.finish(0.6).video.frames == 3
    assert shown(tmp_path / "out.mp4") == [40, 120, 120]


def test_that_pictures_are_dropped_and_told_where_the_encoder_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, write = threading.Event(), writers.WRITERS[".mp4"]

    def slow(part: Path, video: object, frames: object) -> None:
        go_on.wait(20)
        write(part, video, frames)

    monkeypatch.setitem(writers.WRITERS, ".mp4", slow)
    live = film(tmp_path / "out.mp4")
    asked = []
    for tick in range(10):
        live.take(tick / 10 + 0.01, lambda tick=tick: (asked.append(tick), grey(20 * tick))[1])
    assert asked == [0, 1, 2, 3, 4, 5]  # what would be dropped is not even grabbed, and nothing waits
    go_on.set()
    info = live.finish(1.0)
    assert (info.dropped, info.repeated, info.video.frames) == (4, 4, 10)
    assert shown(tmp_path / "out.mp4") == [0, 20, 40, 60, 80, 100, 100, 100, 100, 100]


def test_that_an_abandoned_film_leaves_no_file_and_no_thread(tmp_path: Path) -> None:
    live = film(tmp_path / "out.mp4")
    live.take(0.0, lambda: grey(40))
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4.part"]
    live.abandon()
    assert list(tmp_path.iterdir()) == []


def test_that_a_full_disk_is_told_with_the_next_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_part: Path, _video: object, frames: object) -> None:
        next(iter(frames))
        time.sleep(0.5)  # all places are taken by then
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(writers.WRITERS, ".mp4", full)
    live = film(tmp_path / "out.mp4")
    with pytest.raises(InputError, match="No space left on device"):
        for tick in range(2000):
            live.take(tick / 10 + 0.01, lambda: grey(40))
            time.sleep(0.01)
    live.abandon()
    assert list(tmp_path.iterdir()) == []


def planes(frame: av.VideoFrame) -> list[NDArray[np.int64]]:
    assert frame.format.name == "yuv420p"
    rows = [np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size) for plane in frame.planes]
    return [row[:, : plane.width].astype(int) for row, plane in zip(rows, frame.planes, strict=True)]


def test_that_a_part_of_the_screen_is_turned_into_bt_709_as_it_is_defined() -> None:
    screen = np.random.default_rng(1).integers(0, 1 << 24, (80, 120), np.uint32)
    part = screen[16:80, 24:120]
    red, green, blue = (((part >> shift) & 255) / 255 for shift in (16, 8, 0))
    luma = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    of_four = [
        (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4
        for plane in ((blue - luma) / 1.8556, (red - luma) / 1.5748)
    ]
    expected = [16 + 219 * luma, *(128 + 224 * plane for plane in of_four)]
    ours = planes(frame_of(screen, 24, 16, SIZE))
    assert all(np.abs(one - other).max() < 0.52 for one, other in zip(ours, expected, strict=True))
    with pytest.raises(ValueError, match="no 96 x 64 pixels at 25, 16 of 120 x 80"):
        frame_of(screen, 25, 16, SIZE)


def test_that_a_film_before_the_kernels_are_compiled_has_the_same_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "ready", lambda _module: False)
    live = film(tmp_path / "out.mp4")
    live.take(0.0, lambda: grey(120))
    live.finish(0.2)
    assert shown(tmp_path / "out.mp4") == [120, 120]


def test_that_a_film_is_tagged_as_the_others_are(tmp_path: Path) -> None:
    live = film(tmp_path / "out.mp4")
    live.take(0.0, lambda: grey(120))
    live.finish(0.2)
    with av.open(str(tmp_path / "out.mp4")) as container:
        context = container.streams.video[0].codec_context
        tags = (context.pix_fmt, context.color_range, context.colorspace, context.color_primaries, context.color_trc)
    assert tags == ("yuv420p", 1, 1, 1, 1)
