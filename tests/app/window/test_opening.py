"""What the window shows after a recording was opened, and what the preset box says of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QComboBox, QFileDialog

from app.cli import make_app
from app.history.playback import Past
from app.panels.pack_dialog import PackDialog
from app.window.main_window import MainWindow
from hnm_core import words
from hnm_core.recording import list_runs, pack_sizes, record, runs_dir, unpack
from hnm_core.recording.checkpoints import newest_step
from hnm_core.recording.lock import is_being_written, nobody_at
from hnm_core.run.control import Control
from hnm_core.run.events import RunState, StepRecord
from hnm_core.spec import config as configuration
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.request import preset_of
from hnm_core.spec.resources import preset_names, preset_path
from hnm_core.training.experiment import Experiment
from tests.app import engine, runs
from tests.app.window.test_main_window import drop, press, steps, wait_for
from tests.recording import other_reader

CTRL = Qt.KeyboardModifier.ControlModifier
SHIFT = Qt.KeyboardModifier.ShiftModifier


def recorded(config: ExperimentConfig, folder: Path) -> Path:
    for _ in record(runs.source(seconds_a_round=0)(config, Control()), folder):
        pass
    return folder


def preset(name: str) -> ExperimentConfig:
    return configuration.load(preset_path(name))


def choose(qtbot, box: QComboBox, text: str) -> None:
    """With keys, as a user does who came to the box with Tab."""
    box.setFocus()
    for _ in range(abs(box.findText(text) - box.currentIndex())):
        qtbot.keyClick(box, Qt.Key.Key_Down if box.findText(text) > box.currentIndex() else Qt.Key.Key_Up)


def cards(window: MainWindow) -> list[str]:
    return [card.name.text() for card in window.form.lanes.cards]


def test_that_a_dropped_recording_fills_form_and_preset_box_and_reset_goes_back_to_it(open_window, qtbot, tmp_path):
    window = open_window()
    before = window.form.config()
    digits = preset("digits")
    drop(window, recorded(digits, tmp_path / "old"))
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=10_000)
    assert window.form.config() == digits
    assert window.controls.preset.currentText() == "digits"
    assert window.windowTitle() == f"{digits.title} - HNM Lab"
    press(qtbot, window, Qt.Key.Key_R)
    assert not window.stage.replaying and window.stage.panes.lanes == [lane.name for lane in digits.lanes]
    assert window.form.config() == window.session.config == digits
    assert window.controls.preset.currentText() == "digits"
    press(qtbot, window, Qt.Key.Key_Z, CTRL)
    assert window.form.config() == before and window.stage.panes.lanes == ["one", "two"]
    assert window.controls.preset.currentText() == "own settings"


def test_that_undo_while_a_recording_plays_is_what_reset_then_shows(open_window, qtbot, tmp_path):
    window = open_window()
    before = window.form.config()
    drop(window, recorded(runs.config("alpha", steps=20), tmp_path / "old"))
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=10_000)
    press(qtbot, window, Qt.Key.Key_Z, CTRL)
    assert window.form.config() == before and window.stage.replaying
    press(qtbot, window, Qt.Key.Key_R)
    assert window.session.config == before and window.stage.panes.lanes == ["one", "two"]


@pytest.mark.thorough
def test_that_a_lane_forked_off_in_a_recording_has_a_card_with_what_it_was_given(open_window, qtbot, tmp_path):
    control = Control()
    of = engine.config(steps=20, frame_every=10, eval_every=10)
    for event in record(Experiment(of).run(control), tmp_path / "run"):
        if isinstance(event, StepRecord) and (event.lane, event.step) == ("knn", 6):
            control.fork("knn", "new", {"miner": "lsh", "sampler.batch": 16})
    window = open_window()
    drop(window, tmp_path / "run")
    qtbot.waitUntil(lambda: window.stage.panes.lanes == ["random", "knn", "new"], timeout=10_000)
    assert cards(window) == ["random", "knn", "new"]
    new = window.form.config().lane("new")
    assert (new.miner, new.sampler.batch) == ("lsh", 16)
    assert window.form.config().lanes[:2] == of.lanes
    press(qtbot, window, Qt.Key.Key_R)
    assert window.stage.panes.lanes == ["random", "knn", "new"]
    press(qtbot, window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: steps(window, "new") > 0, timeout=5000)  # and it can be trained


@pytest.mark.thorough
def test_that_the_preset_box_names_a_preset_whenever_the_form_equals_it(open_window, qtbot):
    window = open_window(config=preset("audit"))
    box = window.controls.preset
    assert box.currentText() == "audit"
    choose(qtbot, box, "near-classes")
    assert window.form.config() == preset("near-classes") and box.currentText() == "near-classes"
    press(qtbot, window, Qt.Key.Key_Z, CTRL)
    assert window.form.config() == preset("audit") and box.currentText() == "audit"
    press(qtbot, window, Qt.Key.Key_Z, CTRL | SHIFT)
    assert box.currentText() == "near-classes"
    line = window.form.run.line("steps")
    was = line.text()
    for text, name in (("7", "own settings"), (was, "near-classes")):  # by hand too
        window.form.training.open()
        line.setFocus()
        line.selectAll()
        qtbot.keyClicks(line, text)
        qtbot.keyClick(line, Qt.Key.Key_Return)
        assert box.currentText() == name


def test_that_the_preset_box_follows_the_form_also_during_a_run(open_window, qtbot):
    window = open_window(config=preset("digits"), source=runs.source())
    press(qtbot, window, Qt.Key.Key_Space)
    wait_for(qtbot, window, RunState.RUNNING)
    qtbot.mouseClick(window.form.lanes.cards[0].buttons["remove"], Qt.MouseButton.LeftButton)
    assert window.controls.preset.currentText() == "own settings"
    press(qtbot, window, Qt.Key.Key_Z, CTRL)
    assert window.controls.preset.currentText() == "digits"


def test_that_each_preset_is_known_by_its_content_and_nothing_else_is():
    for name in preset_names():
        assert preset_of(preset(name)) == name
    assert preset_of(preset("digits").model_copy(update={"seed": 99})) == ""


def test_that_a_damaged_recording_says_what_is_lost_and_shows_no_old_cloud_in_its_place(open_window, qtbot, tmp_path):
    folder = recorded(runs.config(steps=35), tmp_path / "old")  # clouds at 0, 10, 20, 30
    third = int(other_reader.entries_of(folder / "00-one")["offset"][2])
    os.truncate(folder / "00-one" / "frames.bin", third + 10)
    window = open_window()
    drop(window, folder)
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=10_000)
    lost = "Lane 'one' lost 2 clouds after step 10: 00-one/frames.bin ends too early."
    assert window.messages.banner.text == f"This recording is damaged. {lost}"
    views = dict(zip(window.stage.panes.lanes, window.stage.panes.views, strict=True))
    press(qtbot, window, Qt.Key.Key_End)
    qtbot.waitUntil(lambda: views["one"].message == "Lost: damaged after step 10", timeout=5000)
    assert not views["two"].message.startswith("Lost")
    window.stage.timeline.scrubbed.emit(5)
    qtbot.waitUntil(lambda: not views["one"].message.startswith("Lost"), timeout=5000)


def test_that_a_whole_recording_says_nothing(open_window, qtbot, tmp_path):
    window = open_window()
    drop(window, recorded(runs.config(steps=35), tmp_path / "old"))
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=10_000)
    assert window.messages.banner.isHidden()


def test_that_a_run_that_is_shown_makes_no_room_for_others_until_it_is_left(open_window, qtbot):
    window = open_window(config=runs.config(steps=20))
    press(qtbot, window, Qt.Key.Key_Space)
    qtbot.waitUntil(window.outcome.isVisible, timeout=10_000)
    folder = window.stage.folder
    qtbot.waitUntil(lambda: not is_being_written(folder), timeout=5000)
    with nobody_at(folder) as free:
        assert not free
    press(qtbot, window, Qt.Key.Key_R)
    qtbot.waitUntil(lambda: window.stage.folder is None, timeout=5000)
    with nobody_at(folder) as free:
        assert free


def test_that_a_run_is_packed_and_a_packed_one_opened_by_drop_menu_and_command(open_window, qtbot, tmp_path):
    window, packed = open_window(), tmp_path / "for you.hnmlab"
    with pytest.raises(SystemExit):
        make_app()(["pack", str(recorded(preset("digits"), tmp_path / "old")), str(packed)])
    drop(window, packed)
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=10_000)
    there = window.stage.folder
    assert window.form.config() == preset("digits") and there.parent == runs_dir() and there.name.startswith("for you-")
    window.actions_by_key["open_packed"].trigger()
    dialog = window.findChild(QFileDialog)
    dialog.fileSelected.emit(str(packed))
    dialog.close()
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=10_000)
    assert list_runs() == [window.stage.folder] == [there], "it is unpacked once"
    for action, name in (("pack_recording", "again.hnmlab"), ("report", "page.html")):
        window.actions_by_key[action].trigger()
        dialog = next(box for box in window.findChildren(QFileDialog) if box.isVisible())
        dialog.fileSelected.emit(str(tmp_path / name))
        dialog.close()
        qtbot.waitUntil(lambda: not window.jobs.busy, timeout=10_000)
    assert preset("digits").title in (tmp_path / "page.html").read_text()
    assert (tmp_path / "again.hnmlab").read_bytes() == packed.read_bytes()
    packed.write_bytes(packed.read_bytes()[:-9])
    drop(window, packed)
    qtbot.waitUntil(lambda: "cannot be unpacked" in window.banner.text, timeout=10_000)


@pytest.mark.thorough
def test_that_a_recording_with_checkpoints_is_packed_with_them_if_the_user_says_so(open_window, qtbot, tmp_path):
    config = engine.config().model_copy(update={"steps": 3})
    folder = tmp_path / "old"
    list(record(Experiment(config).run(checkpoints=True), folder))
    recorded_bytes, checkpoint_bytes = pack_sizes(folder)
    assert checkpoint_bytes > 0
    window = open_window()
    drop(window, folder)
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=10_000)
    sizes = []
    for name, wanted in (("without", False), ("with", True)):
        window.actions_by_key["pack_recording"].trigger()
        asking = window.findChild(PackDialog)
        assert words.size(checkpoint_bytes) in asking.checkpoints.toolTip()
        if wanted:
            qtbot.keyClick(asking.checkpoints, Qt.Key.Key_Space)
        qtbot.mouseClick(asking.go, Qt.MouseButton.LeftButton)
        dialog = next(box for box in window.findChildren(QFileDialog) if box.isVisible())
        dialog.fileSelected.emit(str(tmp_path / f"{name}.hnmlab"))
        dialog.close()
        qtbot.waitUntil(lambda: not window.jobs.busy, timeout=10_000)
        qtbot.waitUntil(lambda: window.findChild(PackDialog) is None, timeout=10_000)
        unpack(tmp_path / f"{name}.hnmlab", tmp_path / name)
        assert (newest_step(tmp_path / name) is not None) is wanted
        sizes.append((tmp_path / f"{name}.hnmlab").stat().st_size)
    assert 0 < sizes[0] - recorded_bytes < 8000  # names and checksums
    assert sizes[1] - sizes[0] == pytest.approx(checkpoint_bytes, rel=0.1)


def test_that_figures_which_take_long_wait_while_the_timeline_moves_and_come_when_it_rests(
    open_window, qtbot, tmp_path, monkeypatch
):
    window = open_window()
    window.files.play(recorded(preset("digits"), tmp_path / "old"))
    stage = window.stage
    qtbot.waitUntil(lambda: stage.replaying, timeout=10_000)
    stage.timeline.set_playing(False)
    shown, bars = [], stage.timing.show_history

    def show(history, upto_step=None):
        shown.append(upto_step)
        bars(history, upto_step)

    monkeypatch.setattr(stage.timing, "show_history", show)
    qtbot.waitUntil(lambda: len(shown) > 1, timeout=10_000)
    shown.clear()
    stage._due_took_s = 60.0  # as if what a run of very many steps costs were worked out
    for step in range(24, 0, -1):
        stage._seek(step)
        qtbot.wait(60)
    assert not shown
    qtbot.waitUntil(lambda: shown[-1:] == [1], timeout=10_000)


def test_that_the_inspector_reads_on_in_the_recording_that_is_open(open_window, qtbot, tmp_path, monkeypatch):
    window = open_window()
    window.files.play(recorded(preset("digits"), tmp_path / "old"))
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=10_000)
    monkeypatch.setattr(Past, "of", lambda _folder: pytest.fail("the whole recording is read again"))
    window.stage.choice.pick(int(window.stage._started.ids[0]))
    qtbot.waitUntil(lambda: window.stage.inspecting.tracks is not None, timeout=10_000)
    qtbot.waitUntil(lambda: len(window.stage.inspecting.tracks._lanes) > 0, timeout=10_000)
