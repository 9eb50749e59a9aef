"""From a recording to a video: every picture, the same each time, without a display."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication

from app.picture.theme import DARK, LIGHT
from app.video import overlay
from app.video.encoder import video_format
from app.video.figures import figures_at
from app.video.film import Film
from app.video.framing import Framing
from app.video.renderer import Pictures, render
from hnm_core.errors import InputError
from hnm_core.recording import open_recording, record
from hnm_core.run.events import Event, Frame, LaneForked, RunStarted
from tests.video.conftest import STEPS, growing_run

ROOT = Path(__file__).parents[2]
SIZE = (320, 200)
pytestmark = pytest.mark.usefixtures("qapp")


def pictures(folder: Path, out: Path, seconds: float = 1.0, theme: str = "dark", template: str = "orbit") -> Pictures:
    return Pictures(folder, video_format(out, SIZE, 12), template=template, seconds=seconds, theme=theme)


def hashes(folder: Path, out: Path) -> list[str]:
    return [hashlib.sha256(pixels.tobytes()).hexdigest() for pixels in pictures(folder, out)]


def test_that_a_video_has_seconds_times_fps_pictures_of_the_size_asked_for(folder: Path, tmp_path: Path) -> None:
    reports: list[tuple[int, int]] = []
    info = render(
        folder, tmp_path / "out.mp4", seconds=1.5, size=(321, 201), fps=20, progress=lambda *now: reports.append(now)
    )
    assert info is not None and (info.frames, info.size, info.seconds) == (30, (320, 200), 1.5)
    assert reports[:30] == [(done, 30) for done in range(1, 31)]
    assert set(reports[30:]) <= {(30, 30)}  # asked again and again while the end is written
    with av.open(str(tmp_path / "out.mp4")) as container:
        frames = list(container.decode(video=0))
        assert container.streams.video[0].codec_context.pix_fmt == "yuv420p"
    assert len(frames) == 30 and (frames[0].width, frames[0].height) == (320, 200)
    assert {b.pts - a.pts for a, b in itertools.pairwise(frames)} == {frames[1].pts}
    first, last = (frame.to_ndarray(format="bgra").astype(int) for frame in (frames[0], frames[-1]))
    assert np.abs(first - last).mean() > 1


def test_that_the_same_recording_gives_the_same_pictures(folder: Path, tmp_path: Path) -> None:
    once = hashes(folder, tmp_path / "a.mp4")
    assert once == hashes(folder, tmp_path / "b.mp4")
    assert len(set(once)) == len(once) == 12


def test_that_no_display_is_needed(folder: Path, tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DISPLAY", "WAYLAND", "QT"))
    }
    for display in (None, ":99999"):
        code = (
            "import sys; from app.video.renderer import render;"
            "print(render(*sys.argv[1:], seconds=0.2, size=(160, 120)).frames)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, folder, tmp_path / "out.mp4"],
            env=environment | ({"DISPLAY": display} if display else {}),
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (0, "12\n"), done.stderr


@pytest.mark.parametrize("name", ["out.mp4", "out.gif"])
def test_that_a_video_that_is_called_off_leaves_no_file(folder: Path, tmp_path: Path, name: str) -> None:
    done = []

    def stop_at_five(count: int, _total: int) -> bool:
        done.append(count)
        return count < 5

    assert render(folder, tmp_path / name, seconds=2, size=SIZE, fps=12, progress=stop_at_five) is None
    assert done == [1, 2, 3, 4, 5] and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        ({"template": "spin"}, "Unknown video template 'spin'"),
        ({"theme": "pink"}, "Unknown theme 'pink'"),
        ({"seconds": 0}, "seconds = 0"),
        ({"seconds": float("nan")}, "seconds = nan"),
        ({"seconds": 1e9}, r"0.1\.\.3600"),
        ({"fps": 1000}, "fps = 1000"),
        ({"size": (10, 10)}, "64 to 7,680"),
    ],
)
def test_that_what_is_not_allowed_is_told_before_the_first_picture(
    folder: Path, tmp_path: Path, wish: dict[str, object], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        render(folder, tmp_path / "out.mp4", progress=lambda *_: pytest.fail("drawn"), **wish)
    assert list(tmp_path.iterdir()) == []


def test_that_a_recording_without_frames_or_with_damage_is_told(tmp_path: Path) -> None:
    list(record((event for event in growing_run() if not isinstance(event, Frame)), tmp_path / "run"))
    with pytest.raises(InputError, match="no frames"):
        render(tmp_path / "run", tmp_path / "out.mp4")
    with pytest.raises(InputError, match="does not exist"):
        render(tmp_path / "none", tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()


def test_that_a_lane_that_failed_before_its_first_frame_gets_an_empty_place(tmp_path: Path) -> None:
    events = [event for event in growing_run() if not (isinstance(event, Frame) and event.lane == "knn")]
    list(record(events, tmp_path / "run"))
    info = render(tmp_path / "run", tmp_path / "out.mp4", seconds=0.2, size=SIZE, fps=10)
    assert info is not None and info.frames == 2


def test_that_a_machine_without_fonts_is_told_what_to_install(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(overlay.QFontDatabase, "families", list)
    with pytest.raises(InputError, match="fonts-dejavu-core"):
        render(folder, tmp_path / "out.mp4")


def near(pixels: np.ndarray, color: tuple[int, int, int]) -> int:
    """How many pixels (blue, green, red, 255) are nearly of a colour (red, green, blue)."""
    return int((np.abs(pixels[..., 2::-1].astype(int) - color).max(-1) < 24).sum())


def colourful(pixels: np.ndarray) -> int:
    """How many pixels are no shade of grey: ground and floor are, points are not."""
    return int((np.ptp(pixels[..., :3].astype(int), axis=-1) > 60).sum())


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_that_a_picture_shows_title_lanes_clouds_and_progress(folder: Path, tmp_path: Path, theme) -> None:
    video = pictures(folder, tmp_path / "out.mp4", theme=theme.name)
    first, *_, last = (pixels.copy() for pixels in video)
    layout = video._layout
    for place, (header, cloud) in enumerate(zip(layout.headers, layout.clouds, strict=True)):
        assert near(last[header.y : header.bottom, header.x : header.right], theme.lanes[place]) > 10
        shown = last[cloud.y : cloud.bottom, cloud.x : cloud.right]
        assert colourful(shown) > 300
    title = first[layout.title.y : layout.title.bottom]
    assert (
        near(title, theme.text) > 30
        and title[:, SIZE[0] // 2 :, 0].size - near(title[:, SIZE[0] // 2 :], theme.window) > 20
    )
    bars = [near(pixels[layout.bar.y :], theme.accent) / pixels[layout.bar.y :, :, 0].size for pixels in (first, last)]
    assert bars == pytest.approx([0, 1], abs=0.01)


def test_that_the_results_are_laid_over_the_end_of_a_long_video(folder: Path, tmp_path: Path) -> None:
    video = pictures(folder, tmp_path / "out.mp4", seconds=6.0, template="fixed")
    drawn = [pixels.copy() for pixels in video]
    assert len(drawn) == 72
    middle = slice(SIZE[1] // 2 - 25, SIZE[1] // 2 + 25)
    change = [np.abs(pixels[middle].astype(int) - drawn[53][middle]).mean() for pixels in drawn]
    assert change[52] < 10 < change[71]
    np.testing.assert_array_equal(drawn[70], drawn[71])


def test_that_a_film_meets_every_recorded_frame_and_goes_straight_between(folder: Path) -> None:
    recording = open_recording(folder)
    film = Film(recording, "knn", DARK, edge_steps=5)
    for place, step in enumerate(film.steps.tolist()):
        np.testing.assert_array_equal(film.at(step).positions, recording.frame("knn", place).positions)
    a, b = recording.frame("knn", 3).positions, recording.frame("knn", 4).positions
    np.testing.assert_allclose(film.at(22.5).positions, (a + b) / 2, atol=1e-6)
    np.testing.assert_array_equal(film.at(0).positions, recording.frame("knn", 0).positions)
    np.testing.assert_array_equal(film.at(1e9).positions, recording.frame("knn", -1).positions)


def test_that_edges_fade_into_each_other_and_never_flicker(folder: Path) -> None:
    film = Film(open_recording(folder), "knn", DARK, edge_steps=10)

    def light(step: float) -> float:
        return float(film.at(step).edge_colors[:, 3].sum())

    keys, steps = np.arange(5, STEPS - 4, 10), np.linspace(5, STEPS - 5, 200)
    straight = np.interp(steps, keys, [light(key) for key in keys])
    np.testing.assert_allclose([light(step) for step in steps], straight, rtol=0.015)
    at_frame, half_way = film.at(15), film.at(20)
    assert len(at_frame.edges) == 16 and len(half_way.edges) == 32


def test_that_the_camera_never_jumps_even_when_the_cloud_does(tmp_path: Path) -> None:
    list(record(growing_run(leap=20.0), tmp_path / "run"))
    recording = open_recording(tmp_path / "run")
    framing = Framing(recording, 1.5, 0, STEPS)
    cameras = [framing.camera("knn", step) for step in np.linspace(0, STEPS, 720)]
    ratios = [b.distance / a.distance for a, b in itertools.pairwise(cameras)]
    assert max(ratios) < 1.08 and min(ratios) > 0.92
    assert cameras[-1].radius > 10 * cameras[0].radius
    moved = [np.abs(np.subtract(b.target, a.target)).max() / b.radius for a, b in itertools.pairwise(cameras)]
    assert max(moved) < 0.05


def test_that_every_lane_is_seen_at_the_same_scale_and_stays_in_the_picture(folder: Path) -> None:
    recording = open_recording(folder)
    framing = Framing(recording, 1.5, 0, STEPS)
    for place, step in enumerate(recording.frame_steps("knn").tolist()):
        cameras = [framing.camera(lane, step) for lane in recording.lanes]
        assert cameras[0].distance == cameras[1].distance
        for lane, camera in zip(recording.lanes, cameras, strict=True):
            x, y, _ = camera.project(recording.frame(lane, place).positions, 300, 200)
            assert ((x > 0) & (x < 300) & (y > 0) & (y < 200)).mean() > 0.97


def test_that_figures_are_those_of_the_step(folder: Path) -> None:
    lane = open_recording(folder).history().lanes["knn"]
    first = figures_at(lane, 0)
    assert first.step == 0 and np.isnan(first.loss) and np.isnan(figures_at(lane, 9.9).quality)
    assert figures_at(lane, 9.9).step == 9
    for step in (1, 9, 10, 37, STEPS):
        now = figures_at(lane, step)
        assert now.step == step
        assert now.loss == pytest.approx(np.mean([1 / earlier for earlier in range(1, step + 1)]))
        assert step < 10 or now.quality == pytest.approx(step // 10 * 10 / STEPS)


def test_that_a_net_that_diverges_still_makes_a_video(tmp_path: Path) -> None:
    def diverging():
        for event in growing_run(("a",)):
            if isinstance(event, Frame) and event.step > 20:
                wild = np.full_like(event.positions, np.nan if event.step > 40 else 1e30)
                event = Frame(event.lane, event.step, wild, event.triplets, 8)
            yield event

    list(record(diverging(), tmp_path / "run"))
    info = render(tmp_path / "run", tmp_path / "out.mp4", seconds=1, size=SIZE, fps=10)
    assert info is not None and info.frames == 10


def test_that_one_frame_is_enough_for_a_video(tmp_path: Path) -> None:
    events = [event for event in growing_run(("a",)) if isinstance(event, RunStarted)]
    events += [event for event in growing_run(("a",)) if isinstance(event, Frame)][:1]
    list(record(events, tmp_path / "run"))
    info = render(tmp_path / "run", tmp_path / "out.mp4", seconds=0.5, size=SIZE, fps=10)
    assert info is not None and info.frames == 5


def test_that_a_job_thread_can_render(folder: Path, tmp_path: Path, qapp: QApplication) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as threads:
        info = threads.submit(render, folder, tmp_path / "out.webm", seconds=0.5, size=SIZE, fps=10).result()
    assert info is not None and info.frames == 5


def test_that_a_lane_forked_off_later_is_empty_until_it_begins(tmp_path: Path) -> None:
    middle = STEPS // 2
    events = [event for event in growing_run() if getattr(event, "lane", "") != "knn" or event.step > middle]
    events[0] = next(growing_run(("random",)))
    place = next(place for place, event in enumerate(events) if getattr(event, "lane", "") == "knn")
    events.insert(place, LaneForked("knn", middle, "random"))
    list(record(iter(events), tmp_path / "run"))
    shown = pictures(tmp_path / "run", tmp_path / "a.mp4", seconds=2.0)
    notes: dict[str, float] = {}
    for step in range(STEPS + 1):
        pixels = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
        note, box = shown._draw_cloud(pixels, step, 0.0, 1), shown._layout.clouds[1]
        notes[note] = float(pixels[box.y : box.bottom, box.x : box.right].std())
        assert (note == f"begins at step {middle:,}") == (step < middle)
    assert notes == {f"begins at step {middle:,}": 0.0, "": notes[""]} and notes[""] > 1
    assert len(list(shown)) == len(shown), "the whole video can be drawn"


def test_that_a_lane_forked_off_later_leaves_the_cameras_before_it_as_they_were(tmp_path: Path) -> None:
    def huge(event: Event) -> Event:
        return replace(event, positions=event.positions * 50) if isinstance(event, Frame) else event

    alone = list(growing_run(("random",)))
    list(record(iter(alone), tmp_path / "alone"))
    later = [huge(replace(event, lane="new")) for event in alone if getattr(event, "step", 0) > STEPS - 10]
    last = max(place for place, event in enumerate(alone) if getattr(event, "step", 0) == STEPS - 10)
    both = [*alone[: last + 1], LaneForked("new", STEPS - 10, "random"), *later, *alone[last + 1 :]]
    list(record(iter(both), tmp_path / "both"))
    cameras = [
        Framing(open_recording(tmp_path / name), 1.5, 0, STEPS).camera("random", 5) for name in ("alone", "both")
    ]
    assert cameras[0].distance == pytest.approx(cameras[1].distance, rel=1e-3)
