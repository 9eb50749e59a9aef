"""`render` and `demo`: a video from a recording, and nothing half-made."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import av
import pytest

from hnm_core.recording import list_runs, open_recording
from tests.cli.conftest import Lab, Start

SMALL = ("--seconds", "0.5", "--size", "160x120", "--fps", "10")


def shape(path: Path) -> tuple[int, int, int]:
    """Width, height and number of pictures, by decoding them all."""
    with av.open(str(path)) as file:
        stream = file.streams.video[0]
        return stream.width, stream.height, sum(1 for _ in file.decode(stream))


@pytest.fixture
def run(lab: Lab, tiny: Path, tmp_path: Path) -> Path:
    assert lab("run", tiny, "--record", tmp_path / "run").status == 0
    return tmp_path / "run"


@pytest.mark.usefixtures("raster_kernels")
def test_that_a_video_has_the_size_and_the_pictures_asked_for(lab: Lab, run: Path, tmp_path: Path) -> None:
    ended = lab("render", run, tmp_path / "out.mp4", *SMALL, "--template", "fixed")
    assert ended.status == 0, ended.err
    assert str(tmp_path / "out.mp4") in ended.err
    assert shape(tmp_path / "out.mp4") == (160, 120, 5)


@pytest.mark.usefixtures("raster_kernels")
def test_that_a_demo_is_a_recorded_preset_and_its_video(lab: Lab, tmp_path: Path) -> None:
    ended = lab("demo", tmp_path / "demo.mp4", "--preset", "demo-2019", "--steps", "4", *SMALL)
    (folder,) = list_runs()
    assert ended.status == 0, ended.err
    assert str(folder) in ended.err
    assert open_recording(folder).started.config.steps == 4
    assert shape(tmp_path / "demo.mp4") == (160, 120, 5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["out.avi"], "out.avi"),
        (["out.mp4", "--fps", "0"], "fps = 0"),
        (["out.mp4", "--template", "orbitt"], "Did you mean orbit"),
        (["no/such/folder/out.mp4"], "no/such/folder"),
    ],
)
def test_that_a_wrong_video_is_refused_before_anything_runs(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = lab("demo", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert words in ended.err
    assert list_runs() == []
    assert list(tmp_path.iterdir()) == []


def test_that_a_wrong_video_of_a_recording_is_refused_before_anything_is_compiled(
    lab: Lab, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hnm_core.cli.headless.wait_for_kernels", lambda *_: pytest.fail("compiled first"))
    for out, words in ((tmp_path / "out.avi", ".mp4"), (tmp_path / "no" / "out.mp4", "no folder")):
        ended = lab("render", run, out)
        assert (ended.status, ended.out) == (2, "")
        assert words in ended.err


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.usefixtures("raster_kernels")
def test_that_an_interrupted_render_leaves_no_file(start: Start, run: Path, tmp_path: Path, kind: int) -> None:
    folder = tmp_path / "videos"
    folder.mkdir()
    rendering = start("render", run, folder / "out.mp4", "--seconds", "600")
    until = time.monotonic() + 60
    while not list(folder.iterdir()) and rendering.running and time.monotonic() < until:
        time.sleep(0.05)
    time.sleep(0.3)
    rendering.send(kind)
    ended = rendering.wait()
    assert ended.status == 130, ended.err
    assert "Traceback" not in ended.err
    assert list(folder.iterdir()) == []
