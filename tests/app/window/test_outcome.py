"""The end of a run, in a real window."""

from __future__ import annotations

import json
import shlex
import subprocess
import threading
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtTest import QTest

from app.training.commands import CHILD
from app.training.seeds import command, experiment_file
from app.window import seeds
from hnm_core.spec import config as configuration
from hnm_core.spec.resources import preset_path
from hnm_core.system import processes
from tests.app import engine, runs

LEFT = Qt.MouseButton.LeftButton


def ended(open_window, qtbot, **fields):
    window = open_window(config=engine.config(steps=6, eval_every=3, **fields), source=engine.source)
    window.resize(1400, 950)
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(window.outcome.isVisible, timeout=20_000)
    return window


@pytest.mark.thorough
def test_that_five_seeds_are_trained_in_the_background_and_told_where_the_run_is(open_window, qtbot):
    window = ended(open_window, qtbot)
    assert "seeds may turn it round" in window.outcome.text.text()
    qtbot.mouseClick(window.outcome.seeds, LEFT)
    assert window.job_line.isVisible() and window.job_line.name.text() == seeds.TITLE
    assert not window.outcome.seeds.isEnabled(), "one at a time"
    program, command, file, *rest = shlex.split(QGuiApplication.clipboard().text())
    assert (program, command, rest) == ("hnm-lab", "compare", ["--seeds", "5"])
    assert configuration.load(Path(file)) == window.session.config, "it does the same again, for it is there"
    qtbot.waitUntil(lambda: "Seeds 0 to 4" in window.outcome.text.text(), timeout=60_000)
    words = window.outcome.text.text()
    assert "seeds may turn it round" not in words and "knn beside random, paired by seed: " in words
    assert "±" in words and not window.outcome.seeds.isEnabled() and window.job_line.isHidden()
    # What the window says is what the numbers say: the run itself is the first of the five.
    of_run = window.stage.history.lanes["knn"].latest("map_at_r", 6)
    kept = sorted((window.seeds.folder_of(window.session.config)).glob("seed-*.json"))
    assert len(kept) == 5
    first = json.loads(kept[0].read_text())
    knn = next(lane for lane in first["lanes"] if lane["lane"] == "knn")
    assert knn["map_at_r"] == pytest.approx(of_run, abs=1e-9)


@pytest.mark.thorough
def test_that_five_seeds_can_be_called_off_by_the_button_and_by_a_key(open_window, qtbot):
    window = ended(open_window, qtbot, data={"name": "blobs", "options": {"points": 30_000, "classes": 4}})
    for call_off in (
        lambda: qtbot.mouseClick(window.job_line.button, LEFT),
        lambda: QTest.keyClick(window, Qt.Key.Key_Period, Qt.KeyboardModifier.ControlModifier),
    ):
        qtbot.mouseClick(window.outcome.seeds, LEFT)
        qtbot.waitUntil(window.job_line.isVisible, timeout=5000)
        call_off()
        qtbot.waitUntil(window.job_line.isHidden, timeout=30_000)
        assert window.outcome.seeds.isEnabled()
        assert "called off" in window.statusBar().currentMessage() and not window.jobs.busy
        assert "seeds may turn it round" in window.outcome.text.text() and window.banner.text == ""


def test_that_the_command_of_a_preset_names_it_and_files_with_code_of_ones_own_come_with_it(tmp_path):
    preset = configuration.load(preset_path("digits"))
    assert command(preset, tmp_path / "a.toml", ()) == "hnm-lab compare --preset digits --seeds 5"
    other = preset.model_copy(update={"steps": 7})
    words = shlex.split(command(other, tmp_path / "a b.toml", [tmp_path / "mine.py"]))
    assert words[2:] == [str(tmp_path / "a b.toml"), "--seeds", "5", "--plugin", str(tmp_path / "mine.py")]


@pytest.mark.timeout(60)
def test_that_the_training_with_other_seeds_ends_when_the_window_is_gone(tmp_path):
    file = experiment_file(engine.config(steps=10**9), tmp_path / "results")
    arguments = ("compare", str(file), "--out", str(tmp_path / "results"))
    process = subprocess.Popen(processes.command(CHILD, arguments), stdin=subprocess.PIPE, env=processes.environment())
    process.stdin.close()
    assert process.wait() != 0


def test_that_what_needs_a_run_says_so_where_there_is_none_and_where_it_only_starts(open_window, qtbot):
    go_on = threading.Event()

    def slow(config, control):
        go_on.wait(10)
        yield from runs.source()(config, control)

    window = open_window(config=runs.config(steps=40), source=slow)
    window.actions_by_key["seeds"].trigger()
    assert "There is no run to repeat" in window.banner.text
    QTest.keyClick(window, Qt.Key.Key_Space)
    for key in ("seeds", "tsne", "fork", "apply"):
        window.messages.say("")
        window.actions_by_key[key].trigger()
        assert "only starting" in window.statusBar().currentMessage() and window.banner.text == "", key
    go_on.set()
    qtbot.waitUntil(window.outcome.isVisible, timeout=10_000)


def test_that_in_a_low_window_the_end_takes_one_line_and_tells_the_rest_when_asked(open_window, qtbot):
    window = open_window(config=runs.config(steps=40))
    window.resize(1280, 720)
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(window.outcome.isVisible, timeout=10_000)
    assert window.outcome.text.text() == "MAP@R at equal steps (40): one 0.250; not told apart from two 0.250"
    assert "At equal time" in window.outcome.toolTip() and window.outcome.height() < 50
    window.resize(1280, 950)
    qtbot.waitUntil(lambda: "At equal time" in window.outcome.text.text(), timeout=3000)


def test_that_the_end_of_a_run_says_who_was_better_and_leads_on(open_window, qtbot):
    window = open_window(config=runs.config(steps=40))
    window.resize(1400, 950)
    assert window.outcome.isHidden()
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(window.outcome.isVisible, timeout=10_000)
    assert window.outcome.title.text() == "The run is over"
    assert "MAP@R at equal steps (40): one 0.250; not told apart from two 0.250" in window.outcome.text.text()
    assert "seeds may turn it round" in window.outcome.text.text()
    qtbot.mouseClick(window.outcome.equal_time, Qt.MouseButton.LeftButton)
    assert window.actions_by_key["race"].isChecked()
    assert window.stage.curves.axis_box.currentData() == "seconds"
    QTest.keyClick(window, Qt.Key.Key_R)
    qtbot.waitUntil(window.outcome.isHidden, timeout=5000)
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(window.outcome.isVisible, timeout=10_000)
