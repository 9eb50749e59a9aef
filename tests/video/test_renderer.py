"""From a recording to a video: every picture, the same each time, without a display."""

from __future__ import annotations

import hashlib
import itertools
import os
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PyQt6.QtWidgets import QApplication

from app.picture.camera import Camera
from app.picture.camera_keys import FILE, take_key
from app.picture.theme import DARK, LIGHT
from app.video import template, typeface
from app.video.clock import Caption
from app.video.film import Film
from app.video.formats import video_format
from app.video.framing import Framing, View
from app.video.pictures import Pictures, Wishes
from app.video.plots import plots
from app.video.renderer import render
from app.video.run_scene import RunScene
from app.video.stills import still
from hnm_core.errors import InputError
from hnm_core.recording import open_recording, record
from hnm_core.run.events import Frame, LaneForked, RunStarted
from hnm_core.run.results import lane_result
from tests.video.conftest import STEPS, growing_run

ROOT = Path(__file__).parents[2]
SIZE = (320, 200)
pytestmark = pytest.mark.usefixtures("qapp")


def pictures(
    folder: Path,
    out: Path,
    seconds: float = 1.0,
    theme: str = "dark",
    name: str = "orbit",
    size: tuple[int, int] = SIZE,
) -> Pictures:
    return Pictures(folder, video_format(out, size, 12), Wishes(template.load(name), theme, seconds))


def run_of(shown: Pictures) -> RunScene:
    """The scene in which the run goes on."""
    return next(part.scene for part in shown._parts if isinstance(part.scene, RunScene))


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


def test_that_no_display_is_needed_and_pictures_are_the_same_in_another_time_zone(folder: Path, tmp_path: Path) -> None:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DISPLAY", "WAYLAND", "QT"))
    }
    code = (
        "import sys, hashlib; from pathlib import Path; from tests.video.test_renderer import hashes;"
        "print(*hashes(*map(Path, sys.argv[1:])))"
    )
    here = hashes(folder, tmp_path / "a.mp4")
    for own in ({"TZ": "Pacific/Auckland"}, {"DISPLAY": ":99999", "LC_ALL": "C", "LANG": "tr_TR.UTF-8"}):
        done = subprocess.run(
            [sys.executable, "-c", code, folder, tmp_path / "out.mp4"],
            env=environment | own,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout.split()) == (0, here), done.stderr


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


def near(pixels: np.ndarray, color: tuple[int, int, int]) -> int:
    """How many pixels (blue, green, red, 255) are nearly of a colour (red, green, blue)."""
    return int((np.abs(pixels[..., 2::-1].astype(int) - color).max(-1) < 24).sum())


def colourful(pixels: np.ndarray) -> int:
    """How many pixels are no shade of grey: ground and floor are, points are not."""
    return int((np.ptp(pixels[..., :3].astype(int), axis=-1) > 60).sum())


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


# -- what is seen


def test_that_the_fonts_that_ship_are_the_ones_that_are_used() -> None:
    typeface.ensure_text()
    path, wide = typeface.outline("Mining 0.93", False)
    # Advances of the glyphs in the file, in units of 2,048 an em: no system's font has a say.
    assert wide * 2048 / typeface.outline_px() == pytest.approx(10697, abs=4) and not path.isEmpty()
    assert len({typeface.width(digit, 100) for digit in "0123456789"}) == 1  # numbers stand still while they change


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_that_a_picture_shows_title_lanes_clouds_charts_and_progress(folder: Path, tmp_path: Path, theme) -> None:
    video = pictures(folder, tmp_path / "out.mp4", theme=theme.name, size=(640, 360))
    first, *_, last = (pixels.copy() for pixels in video)
    layout = run_of(video).layout
    for place, cloud in enumerate(layout.clouds):
        shown = last[cloud.y : cloud.bottom, cloud.x : cloud.right]
        assert near(shown[: cloud.height // 4], theme.lanes[place]) > 10 and colourful(shown) > 1000
        for panel in layout.panels:
            assert near(last[panel.y : panel.bottom, panel.x : panel.right], theme.lanes[place]) > 20
    head = first[layout.head.y : layout.head.bottom]
    assert near(head[:, :320], theme.text) > 20
    bars = [near(pixels[layout.bar.y :], theme.accent) / pixels[layout.bar.y :, :, 0].size for pixels in (first, last)]
    assert bars == pytest.approx([0, 1], abs=0.02)


def test_that_clouds_fill_their_panes_and_stay_in_them_through_the_whole_run(folder: Path, tmp_path: Path) -> None:
    video = pictures(folder, tmp_path / "out.mp4", seconds=4)
    scene = run_of(video)
    for share in np.linspace(0.1, 1, 10).tolist():
        wide, cameras = [], []
        for place, box in enumerate(scene.layout.clouds):
            shot = scene._shot(place, share, box.width / box.height)
            assert shot is not None
            cameras.append(shot.camera)
            x, y, _ = shot.camera.project(shot.scene.positions, box.width, box.height)
            assert ((x > 0) & (x < box.width) & (y > 0) & (y < box.height)).mean() > 0.97
            wide.append(max(np.ptp(x) / box.width, np.ptp(y) / box.height))
        assert max(wide) > 0.6, (share, wide)
        assert cameras[0].distance == pytest.approx(cameras[1].distance)  # lanes are seen at one scale


def test_that_the_camera_never_jumps_even_when_the_cloud_does(tmp_path: Path) -> None:
    list(record(growing_run(leap=20.0), tmp_path / "run"))
    recording = open_recording(tmp_path / "run")
    film = Film(recording, "knn", DARK, edge_steps=5)
    framing = Framing(
        [lambda share: film.positions(share * STEPS)], lambda share: View(Camera(azimuth=90 * share), 1.5), 720
    )
    cameras = [framing.camera(0, share) for share in np.linspace(0, 1, 720).tolist()]
    ratios = [b.distance / a.distance for a, b in itertools.pairwise(cameras)]
    assert max(ratios) < 1.16 and min(ratios) > 0.86
    assert cameras[-1].radius > 10 * cameras[0].radius
    moved = [np.abs(np.subtract(b.target, a.target)).max() / b.radius for a, b in itertools.pairwise(cameras)]
    assert max(moved) < 0.1


def test_that_a_long_film_has_cards_that_flow_into_each_other_and_a_table_at_its_end(
    folder: Path, tmp_path: Path
) -> None:
    video = pictures(folder, tmp_path / "out.mp4", seconds=9.0)
    drawn = [pixels.copy() for pixels in video]
    assert len(drawn) == len(video) == 108
    change = np.array([np.abs(a.astype(int) - b.astype(int)).mean() for a, b in itertools.pairwise(drawn)])
    assert change.max() < 24, "a cut"
    assert near(drawn[0], DARK.text) > 40, "the first picture is what a player shows"
    ends = video.story.ends()
    assert list(ends) == ["random", "knn"] and video.story.finding() is not None
    assert near(drawn[-1], DARK.lanes[0]) > 20 and near(drawn[-1], DARK.lanes[1]) > 5
    assert colourful(drawn[-1]) < 600 < colourful(drawn[60])


@pytest.mark.parametrize("name", ["push-in", "one-lane", "wipe", "race", "fixed"])
@pytest.mark.parametrize("size", [(200, 200), (180, 320)])
def test_that_every_template_draws_every_recording_in_every_shape(
    folder: Path, tmp_path: Path, name: str, size: tuple[int, int]
) -> None:
    shown = Pictures(folder, video_format(tmp_path / "o.mp4", size, 2), Wishes(template.load(name), "light"))
    counted = 0
    for pixels in shown:
        counted += 1
        assert pixels.shape == (size[1], size[0], 4) and np.ptp(pixels[..., :3].reshape(-1, 3), 0).min() > 40
    assert counted == len(shown) == round(2 * template.load(name).seconds)


def test_that_the_end_of_a_loop_is_its_beginning(folder: Path, tmp_path: Path) -> None:
    video = Pictures(folder, video_format(tmp_path / "o.gif", SIZE, 12), Wishes(template.load("loop")))
    first, *_, last = (pixels.copy() for pixels in video)
    other = video.at(len(video) - 1)

    def far(one: np.ndarray) -> float:
        return float(np.abs(one.astype(int) - first).mean())

    assert far(last) < 0.4 * far(other)


def test_that_what_a_search_missed_needs_a_search_that_missed(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"No search of .* missed a negative"):
        render(folder, tmp_path / "out.mp4", template="missed", size=SIZE)


def test_that_an_own_path_is_followed_and_one_that_is_not_there_is_told(tmp_path: Path) -> None:
    run = tmp_path / "run"
    list(record(growing_run(), run))
    with pytest.raises(InputError, match="holds no key frames of a camera"):
        pictures(run, tmp_path / "o.mp4", name="own-path")
    take_key(run, Camera(azimuth=10.0, elevation=5.0, distance=3.0), 10)
    take_key(run, Camera(azimuth=100.0, elevation=40.0, distance=6.0), STEPS)
    assert (run / FILE).is_file()
    scene = run_of(pictures(run, tmp_path / "o.mp4", name="own-path"))
    end = scene._shot(0, 1.0, 1.5)
    assert end is not None and (end.camera.azimuth, end.camera.elevation) == (100.0, 40.0)
    assert end.camera.distance == pytest.approx(6 * end.camera.radius)


def forked(folder: Path) -> Path:
    """A run whose second lane is forked off half way."""
    middle = STEPS // 2
    events = [event for event in growing_run() if getattr(event, "lane", "") != "knn" or event.step > middle]
    events[0] = next(growing_run(("random",)))
    place = next(place for place, event in enumerate(events) if getattr(event, "lane", "") == "knn")
    events.insert(place, LaneForked("knn", middle, "random"))
    list(record(iter(events), folder))
    return folder


def test_that_a_lane_forked_off_later_is_its_parent_until_then_and_says_so(tmp_path: Path) -> None:
    shown, middle = pictures(forked(tmp_path / "run"), tmp_path / "a.mp4", seconds=2.0), STEPS // 2
    clouds = shown._clouds
    for step in (1.0, 12.5, middle - 0.5):
        assert clouds.note("knn", step) == f"as random until step {middle}"
        own, parent = (clouds.film(lane, step) for lane in ("knn", "random"))
        assert own is not None and parent is not None
        np.testing.assert_array_equal(own.at(step).positions, parent.at(step).positions)
    assert clouds.note("knn", middle + 1) == ""
    assert len(list(shown)) == len(shown), "the whole video can be drawn"


def test_that_a_part_of_the_run_and_own_words_can_be_shown_and_a_part_that_is_not_there_is_told(
    folder: Path, tmp_path: Path
) -> None:
    video = Pictures(
        folder, video_format(tmp_path / "o.mp4", SIZE, 12), Wishes(template.load("orbit"), seconds=1, steps=(20, 40))
    )
    assert (video.plan.place(0), video.plan.place(1)) == (20, 40)
    own = (Caption(0.0, 0.5, "My own words.", "look"),)
    wishes = Wishes(template.load("orbit"), seconds=1, captions=own)
    assert Pictures(folder, video_format(tmp_path / "o.mp4", SIZE, 12), wishes).plan.captions == own
    with pytest.raises(InputError, match="Steps 50 to 20 cannot be shown: the recording has steps 0 to 60"):
        render(folder, tmp_path / "o.mp4", steps=(50, 20), size=SIZE)


def test_that_a_still_picture_is_that_of_its_step_only_finer(folder: Path, tmp_path: Path) -> None:
    assert still(folder, tmp_path / "a.png", at=30, size=(640, 360)) == (640, 360)
    with av.open(str(tmp_path / "a.png")) as file:
        fine = next(file.decode(video=0)).to_ndarray(format="bgra")
    video = Pictures(
        folder, video_format(tmp_path / "o.mp4", (640, 360), 30), Wishes(template.load("orbit"), still=True)
    )
    plain = video.at_step(30)
    difference = np.abs(fine[..., :3].astype(int) - plain[..., :3])
    assert 0 < difference.mean() < 3  # smoother edges, nothing else
    for wrong, words in ((("b.jpg", 30), "ends in .png"), (("b.png", 61), "There is no step 61")):
        with pytest.raises(InputError, match=words):
            still(folder, tmp_path / wrong[0], at=wrong[1], size=SIZE)
    assert still(folder, tmp_path / "b.png", size=SIZE, progress=lambda _done, _total: False) is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png"]


def test_that_charts_are_drawings_that_can_be_scaled(folder: Path, tmp_path: Path) -> None:
    plots(folder, tmp_path / "a.svg")
    plots(folder, tmp_path / "a.pdf", theme="dark")
    svg = (tmp_path / "a.svg").read_text()
    assert svg.count("<path") > 30 and "<text" not in svg and "<image" not in svg
    assert (tmp_path / "a.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(InputError, match=r"ends in \.svg or \.pdf"):
        plots(folder, tmp_path / "a.eps")
    assert len(list(tmp_path.iterdir())) == 2


def test_that_the_last_figures_of_a_film_are_those_of_the_tables(folder: Path, tmp_path: Path) -> None:
    shown = pictures(folder, tmp_path / "o.mp4")
    for lane in shown.plan.lanes:
        result = lane_result(shown.story.lane(lane.name))
        assert lane.mining_ms(STEPS) == pytest.approx(result.mining_ms_mean)
        assert np.isnan(lane.mining_ms(10)), "too few steps"
        assert lane.value("map_at_r", STEPS) == result.map_at_r == shown.story.ends()[lane.name]
        assert lane.value("map_at_r", 19.5) == pytest.approx(10 / STEPS)
        x, y = lane.seconds_mined.upto(30.5)
        assert x[-1] == 30.5 and y[-1] == pytest.approx(30.5 * result.mining_ms_mean / 1e3)
