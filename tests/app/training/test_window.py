"""A window whose training runs in a process of its own."""

from __future__ import annotations

import os
import signal
import sys
import time

import pytest
from PyQt6.QtCore import Qt

from app.training.process import TrainingProcess
from hnm_core.recording import open_recording
from hnm_core.run.events import RunState
from tests.app import runs
from tests.app.windows import LONG


def steps(window) -> int:
    return window.stage.history.last_step


@pytest.mark.thorough
@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_that_the_window_outlives_a_killed_training_process_and_trains_again(open_window, qtbot, tmp_path):
    training = TrainingProcess()
    window = open_window(config=runs.config(steps=LONG, model={"options": {"widths": [16]}}), training=training)
    qtbot.keyClick(window, Qt.Key.Key_Space)
    assert window.bridge.state is RunState.STARTING
    qtbot.waitUntil(lambda: steps(window) > 20, timeout=60_000)
    qtbot.waitUntil(lambda: window.stage._figures.text("steps") != "", timeout=15_000)
    shown = float(window.stage._figures.text("memory").removesuffix(" MB").replace(",", ""))
    assert shown > window.bridge.training_mb > 50
    first = training.pid
    os.kill(first, signal.SIGKILL)
    qtbot.waitUntil(lambda: window.bridge.state is RunState.FAILED, timeout=5000)
    assert "SIGKILL" in window.banner.text
    seen = steps(window)
    assert open_recording(tmp_path / "1").step_count("one") >= seen

    window.banner.dismiss()
    qtbot.keyClick(window, Qt.Key.Key_Space)
    assert window.bridge.state is RunState.STARTING
    assert window.banner.text == ""
    start = time.monotonic()
    with qtbot.waitSignal(window.closed, timeout=10_000):
        window.close()
    assert time.monotonic() - start < 3
    for pid in (first, training.pid):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
