"""Files that players can play, or no file at all."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.video import gif, writers
from app.video.encoder import Encoder
from app.video.formats import VideoInfo, video_format
from app.video.levels import h264_level, level_note
from hnm_core.errors import InputError


def pictures(count: int, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """A red square that runs over a blue ground."""
    width, height = size
    for place in range(count):
        pixels = np.zeros((height, width, 4), np.uint8)
        pixels[:] = (160, 60, 40, 255)
        pixels[20:40, 4 * place : 4 * place + 20] = (30, 30, 220, 255)
        yield pixels


def write(out: Path, count: int = 12, size: tuple[int, int] = (161, 97), fps: int = 30) -> VideoInfo:
    video = video_format(out, size, fps)
    coder = Encoder(out, video)
    with coder:
        for pixels in pictures(count, video.size):
            coder.write(pixels)
    assert coder.info is not None
    return coder.info


@pytest.mark.parametrize("suffix", [".mp4", ".webm", ".gif"])
def test_that_every_picture_arrives_at_a_constant_rate_in_an_even_size(tmp_path: Path, suffix: str) -> None:
    info = write(tmp_path / f"out{suffix}")
    with av.open(str(info.path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert (stream.width, stream.height) == (160, 96) == info.size
        times = [frame.pts * stream.time_base for frame in frames]
    period = Fraction(7, 100) if suffix == ".gif" else Fraction(1, 30)
    tick = Fraction(1, 1000) if suffix == ".webm" else 0  # webm counts in whole milliseconds
    assert len(frames) == info.frames == 12
    for place, time in enumerate(times):
        assert abs(time - times[0] - place * period) <= tick
    last = frames[-1].to_ndarray(format="bgra")[30, 54]
    ground = frames[-1].to_ndarray(format="bgra")[80, 80]
    np.testing.assert_allclose(last[:3].astype(int), (30, 30, 220), atol=14)
    np.testing.assert_allclose(ground[:3].astype(int), (160, 60, 40), atol=4)
    assert [path.name for path in tmp_path.iterdir()] == [f"out{suffix}"]


@pytest.mark.parametrize(("suffix", "codecs"), [(".mp4", {"h264"}), (".webm", {"vp9", "av1", "libdav1d"})])
def test_that_a_film_plays_in_browsers_and_says_what_its_colours_are(
    tmp_path: Path, suffix: str, codecs: set[str]
) -> None:
    path = write(tmp_path / f"out{suffix}").path
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert context.name in codecs and stream.average_rate == 30
        frame = next(container.decode(stream))
        assert frame.format.name == "yuv420p"
        assert (int(frame.colorspace), int(frame.color_range)) == (1, 1)
        assert float(container.duration / av.time_base) == pytest.approx(12 / 30, abs=0.002)
        if suffix == ".mp4":
            assert (context.color_primaries, context.color_trc, context.colorspace) == (1, 1, 1)
    data = path.read_bytes()
    assert suffix != ".mp4" or data.index(b"moov") < data.index(b"mdat")


@pytest.mark.parametrize("seconds", [3.0, 2.0, 0.5])
def test_that_a_gif_is_as_long_as_asked_for_to_the_hundredth(tmp_path: Path, seconds: float) -> None:
    out = tmp_path / "out.gif"
    video = video_format(out, (96, 64), 60, seconds)
    count = round(seconds * float(video.fps))
    with Encoder(out, video) as coder:
        for pixels in pictures(count, video.size):
            coder.write(pixels)
    assert coder.info is not None and coder.info.seconds == seconds
    data, delays = out.read_bytes(), []
    place = data.find(b"\x21\xf9\x04")
    while place >= 0:
        delays.append(int.from_bytes(data[place + 4 : place + 6], "little"))
        place = data.find(b"\x21\xf9\x04", place + 1)
    assert sum(delays) == round(100 * seconds) and set(delays[:-1]) == {7} and min(delays) >= 2
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == count


def test_that_numbered_pictures_come_as_a_whole_folder_or_not_at_all(tmp_path: Path) -> None:
    out = tmp_path / "film" / "p-%03d.png"
    (tmp_path / "film.part").mkdir()
    (tmp_path / "film.part" / "p-009.png").touch()  # of a killed program
    info = write(out, count=3)
    assert sorted(path.name for path in out.parent.iterdir()) == ["p-001.png", "p-002.png", "p-003.png"]
    assert info.frames == 3 and info.file_bytes == sum(path.stat().st_size for path in out.parent.iterdir())
    with av.open(str(out.parent / "p-003.png")) as container:
        shown = next(container.decode(video=0)).to_ndarray(format="bgra")
    np.testing.assert_array_equal(shown, list(pictures(3, (160, 96)))[2])  # nothing is lost
    with pytest.raises(InputError, match="is not empty"):
        video_format(out, (160, 96), 30)
    other = tmp_path / "other" / "%05d.png"
    with pytest.raises(ZeroDivisionError), Encoder(other, video_format(other, (160, 96), 30)) as coder:
        coder.write(next(pictures(1, (160, 96))))
        raise ZeroDivisionError
    assert [path.name for path in tmp_path.iterdir()] == ["film"]


def test_that_the_level_is_that_of_the_standard_and_one_that_hardware_refuses_is_told() -> None:
    assert [h264_level(*of) for of in ((1280, 720, 30), (1920, 1080, 30), (1920, 1080, 60), (3840, 2160, 60))] == [
        "3.1",
        "4.0",
        "4.2",
        "5.2",
    ]
    assert h264_level(7680, 4320, 30) == "6.0" and h264_level(7680, 64, 30) == "5.1"  # too long for a lower one
    assert level_note(3840, 2160, 60) == "" and "level 6.0" in level_note(7680, 4320, 30)


def test_that_an_encoder_that_is_not_there_is_told_or_another_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writers, "WEBM", {"no-such": {}, **writers.WEBM})
    assert writers.codec_of(".webm") in ("libvpx-vp9", "libsvtav1")
    monkeypatch.setattr(writers, "H264", {"no-such": {}})
    with pytest.raises(InputError, match=r"no encoder for .mp4 \(no-such\)"):
        writers.codec_of(".mp4")


def test_that_a_gif_is_small_slow_and_has_one_palette(tmp_path: Path) -> None:
    video = video_format(tmp_path / "out.gif", (1920, 1080), 60)
    assert video.size == (720, 404) and video.fps == Fraction(100, 7)
    assert video_format(tmp_path / "out.gif", (300, 1500), 10).size == (144, 720)
    data = write(tmp_path / "out.gif").path.read_bytes()
    assert data[10] & 0x80  # a global table of colours
    picture_separators = data.count(b"\x21\xf9\x04")  # a graphic control extension before each picture
    assert picture_separators == 12


@pytest.mark.parametrize(
    ("name", "size", "fps", "words"),
    [
        ("out.avi", (320, 200), 30, "ending: give one of .mp4, .webm, .gif, .png"),
        ("out", (320, 200), 30, "ending"),
        ("out.png", (320, 200), 30, "is one picture: give --at STEP"),
        ("none/film/%03d.png", (320, 200), 30, "no folder"),
        ("folder.mp4", (320, 200), 30, "is a folder"),
        ("none/out.mp4", (320, 200), 30, "no folder"),
        ("/proc/out.mp4", (320, 200), 30, "cannot be written"),
        ("out.mp4", (320, 63), 30, "64 to 7,680"),
        ("out.mp4", (7681, 200), 30, "64 to 7,680"),
        ("out.mp4", (320, 200), 0, "1..240"),
        ("out.mp4", (320, 200), 241, "1..240"),
    ],
)
def test_that_a_video_that_cannot_be_is_refused_in_words(
    tmp_path: Path, name: str, size: tuple[int, int], fps: int, words: str
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(InputError, match=words):
        video_format(tmp_path / name, size, fps)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.mp4"]


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_that_an_exception_while_drawing_leaves_no_file_and_keeps_an_older_one(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    out.write_text("an older video")
    video = video_format(out, (160, 96), 30)
    with pytest.raises(ZeroDivisionError), Encoder(out, video) as coder:
        for pixels in pictures(20, video.size):
            coder.write(pixels)
        raise ZeroDivisionError
    assert out.read_text() == "an older video" and len(list(tmp_path.iterdir())) == 1
    assert not [thread for thread in threading.enumerate() if thread.name == "hnm-encoder"]


def test_that_a_full_disk_is_told_and_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(part: Path, *_: object) -> None:
        part.write_text("half")
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(writers.WRITERS, ".mp4", full)
    with pytest.raises(InputError, match="No space left on device"):
        write(tmp_path / "out.mp4", count=100)
    assert list(tmp_path.iterdir()) == []


def test_that_a_written_array_may_be_used_again_at_once(tmp_path: Path) -> None:
    video = video_format(tmp_path / "out.mp4", (160, 96), 30)
    pixels = np.zeros((96, 160, 4), np.uint8)
    coder = Encoder(tmp_path / "out.mp4", video)
    with coder:
        for place in range(10):
            pixels[:] = (25 * place, 25 * place, 25 * place, 255)
            coder.write(pixels)
            pixels[:] = (0, 0, 255, 255)
    with av.open(str(tmp_path / "out.mp4")) as container:
        greys = [frame.to_ndarray(format="bgra")[50, 80, :3].astype(int) for frame in container.decode(video=0)]
    np.testing.assert_allclose(greys, [[25 * place] * 3 for place in range(10)], atol=4)


@pytest.mark.parametrize("room", [0, 2_000, -1], ids=["nothing", "some", "all but the end"])
def test_that_a_full_disk_under_a_gif_is_told_as_one_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    class Disk(io.BytesIO):
        written, most = 0, 1 << 30

        def write(self, data) -> int:
            Disk.written = max(Disk.written, self.tell() + len(data))
            if Disk.written > Disk.most:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return super().write(data)

    monkeypatch.setattr(gif.tempfile, "TemporaryFile", lambda **_: Disk())
    write(tmp_path / "whole.gif")
    Disk.written, Disk.most = 0, room if room >= 0 else Disk.written - 1
    with pytest.raises(InputError, match=r"out\.gif' cannot be written: No space left on device"):
        write(tmp_path / "out.gif")
    assert [path.name for path in tmp_path.iterdir()] == ["whole.gif"]
