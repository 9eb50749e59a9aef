from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt

from app.video.order import Order
from app.window.errors import BugReporter
from app.window.preparation import Preparation
from hnm_core import kernels
from hnm_core.recording import open_recording, record
from hnm_core.run.control import Control
from hnm_core.run.events import RunFinished, RunState
from tests.app import runs


def close(qtbot, window) -> float:
    """Close and wait; seconds it took."""
    start = time.monotonic()
    with qtbot.waitSignal(window.closed, timeout=10_000):
        window.close()
    assert not window.isVisible()
    assert "hnm-trainer" not in {thread.name for thread in threading.enumerate()}
    return time.monotonic() - start


def start(qtbot, window, state: RunState = RunState.RUNNING) -> None:
    qtbot.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.bridge.state is state, timeout=5000)


def finished(tmp_path: Path) -> RunFinished:
    ended = open_recording(tmp_path / "1").finished
    assert isinstance(ended, RunFinished)
    return ended


def test_that_an_idle_window_closes_at_once(open_window, qtbot):
    assert close(qtbot, open_window()) < 1


def test_that_closing_while_training_ends_the_thread_and_completes_the_recording(open_window, qtbot, tmp_path):
    window = open_window()
    start(qtbot, window)
    qtbot.waitUntil(lambda: window.stage.history.last_step > 20, timeout=5000)
    assert close(qtbot, window) < 3
    assert finished(tmp_path).stopped


def test_that_closing_while_paused_completes_the_recording(open_window, qtbot, tmp_path):
    window = open_window()
    start(qtbot, window)
    qtbot.waitUntil(lambda: window.stage.history.last_step > 20, timeout=5000)
    qtbot.keyClick(window, Qt.Key.Key_Space)
    qtbot.wait(100)
    assert close(qtbot, window) < 3
    assert finished(tmp_path).stopped


def test_that_closing_while_the_run_starts_waits_for_it_and_says_so(open_window, qtbot, tmp_path):
    def slow(config, control):
        time.sleep(0.8)  # loading data, which nobody can interrupt
        yield from runs.source()(config, control)

    window = open_window(source=slow)
    start(qtbot, window, RunState.STARTING)
    qtbot.wait(100)
    window.close()
    assert window.isVisible()
    assert window.statusBar().currentMessage() == "Stopping ..."
    assert not window.actions_by_key["toggle_run"].isEnabled()
    with qtbot.waitSignal(window.closed, timeout=5000):
        pass
    assert finished(tmp_path).stopped


def test_that_closing_while_scrubbing_ends_cleanly(open_window, qtbot, tmp_path):
    window = open_window()
    start(qtbot, window)
    qtbot.waitUntil(lambda: window.stage.history.last_step > 30, timeout=5000)
    window.stage.timeline.scrubbed.emit(10)
    window.stage.timeline.scrubbed.emit(20)
    assert close(qtbot, window) < 3
    assert finished(tmp_path).stopped


def test_that_closing_while_a_recording_plays_ends_cleanly(open_window, qtbot, tmp_path):
    for _ in record(runs.source(seconds_a_round=0)(runs.config(steps=500), Control()), tmp_path / "old"):
        pass
    window = open_window()
    window.files.play(tmp_path / "old")
    qtbot.waitUntil(lambda: window.stage.timeline.playing, timeout=5000)
    assert close(qtbot, window) < 1


def test_that_closing_while_a_job_works_calls_it_off(open_window, qtbot):
    window = open_window()
    ended: list[str] = []
    window.jobs.ended.connect(lambda _title, outcome: ended.append(outcome))

    def work(progress) -> None:
        while progress(0, 0):
            time.sleep(0.005)

    window.jobs.run("Render demo.mp4", work)
    qtbot.wait(50)
    assert close(qtbot, window) < 3
    assert ended == ["cancelled"]


@pytest.mark.thorough
def test_that_closing_while_kernels_compile_and_are_loaded_ends_both(open_window, qtbot, monkeypatch):
    class Process:
        code = None

        def poll(self):
            return self.code

        def terminate(self):
            self.code = -15

        def wait(self):
            return self.code

    process = Process()
    monkeypatch.setattr(kernels, "compile_in_background", lambda *_modules: process)
    window = open_window(preparation=Preparation(BugReporter(), load=lambda: time.sleep(0.5)))
    qtbot.waitUntil(lambda: window.preparation.busy, timeout=2000)
    assert close(qtbot, window) < 3
    assert process.code == -15
    assert "hnm-renderer-loader" not in {thread.name for thread in threading.enumerate()}


def test_that_closing_twice_and_pressing_keys_meanwhile_starts_nothing(open_window, qtbot):
    def slow_to_stop(config, control):
        for event in runs.source()(config, control):
            if isinstance(event, RunFinished):
                time.sleep(0.4)
            yield event

    window = open_window(source=slow_to_stop)
    start(qtbot, window)
    window.close()
    window.close()
    for key in (Qt.Key.Key_Space, Qt.Key.Key_R, Qt.Key.Key_Period, Qt.Key.Key_Space):
        qtbot.keyClick(window, key)
    with qtbot.waitSignal(window.closed, timeout=5000):
        pass
    assert not window.bridge.active


@pytest.mark.parametrize("moment", [0.0, 0.01, 0.03, 0.06, 0.1, 0.2])
def test_that_closing_at_any_moment_after_the_start_ends_cleanly(open_window, qtbot, tmp_path, moment):
    window = open_window()
    qtbot.keyClick(window, Qt.Key.Key_Space)
    qtbot.wait(round(1000 * moment))
    assert close(qtbot, window) < 3
    assert finished(tmp_path).stopped


def test_that_closing_while_a_video_is_rendered_leaves_no_file(open_window, qtbot, tmp_path):
    for _ in record(runs.source(seconds_a_round=0)(runs.config(steps=50), Control()), tmp_path / "old"):
        pass
    window = open_window()
    window.files.play(tmp_path / "old")
    qtbot.waitUntil(lambda: window.stage.replaying and not window.jobs.busy, timeout=5000)
    done: list[int] = []
    window.jobs.progressed.connect(lambda _title, count, _total: done.append(count))
    window.exporting.renders.add(Order(tmp_path / "old"), tmp_path / "video.mp4")
    qtbot.waitUntil(lambda: bool(done), timeout=20_000)
    assert close(qtbot, window) < 5
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
