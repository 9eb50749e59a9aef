from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPointF, Qt, QUrl
from PyQt6.QtGui import QDropEvent, QKeySequence
from PyQt6.QtWidgets import QApplication, QFileDialog, QPushButton

from app.history.markers import markers
from app.limits import MAX_PANES, check_lanes
from app.panels.command_palette import CommandPalette
from app.picture.camera import Camera
from app.picture.theme import DARK, LIGHT
from app.window.actions import ACTIONS, TOOLBAR
from app.window.main_window import MainWindow
from app.window.session import HINT
from app.window.settings import Settings
from hnm_core.errors import InputError
from hnm_core.recording import open_recording, record
from hnm_core.run.events import Alarm, RunState, StepRecord
from hnm_core.spec import config as configuration
from tests.app import runs
from tests.app.windows import LONG


def press(qtbot, window: MainWindow, key: Qt.Key, modifier: Qt.KeyboardModifier = Qt.KeyboardModifier.NoModifier):
    qtbot.keyClick(window, key, modifier)


def wait_for(qtbot, window: MainWindow, state: RunState) -> None:
    qtbot.waitUntil(lambda: window.bridge.state is state, timeout=5000)


def steps(window: MainWindow, lane: str = "one") -> int:
    known = window.stage.history.lanes.get(lane)
    return len(known) if known is not None else 0


def train(qtbot, window: MainWindow, rounds: int = 40) -> None:
    """Start with the key and wait for some rounds and for clouds."""
    press(qtbot, window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: steps(window) >= rounds, timeout=5000)
    qtbot.waitUntil(lambda: all(pane.fitted is not None for pane in window.stage.panes._panes), timeout=5000)


def drop(window: MainWindow, *paths: Path) -> None:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    copy, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    QApplication.sendEvent(window.windowHandle(), QDropEvent(QPointF(300, 300), copy, data, left, none))


def test_that_an_empty_window_says_what_to_do_and_what_to_look_for(open_window, qtbot):
    window = open_window()
    assert window.stage.panes.lanes == ["one", "two"]
    assert window.stage.panes._hint == HINT == "Press Space to train"
    assert window.about._text.text() == "Three blobs move apart."
    assert window.about.isVisible()
    assert window.windowTitle() == "Hand-made - HNM Lab"


def test_that_space_starts_pauses_and_goes_on(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    assert window.actions_by_key["toggle_run"].text() == "Pause"
    press(qtbot, window, Qt.Key.Key_Space)
    assert window.bridge.state is RunState.PAUSED
    qtbot.wait(150)
    held = steps(window)
    qtbot.wait(150)
    assert steps(window) == held
    press(qtbot, window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: steps(window) > held + 10, timeout=5000)


def test_that_the_full_stop_key_does_single_steps_from_the_start(open_window, qtbot):
    window = open_window()
    press(qtbot, window, Qt.Key.Key_Period)
    qtbot.waitUntil(lambda: steps(window) == 1, timeout=5000)
    wait_for(qtbot, window, RunState.PAUSED)
    press(qtbot, window, Qt.Key.Key_Period)
    qtbot.waitUntil(lambda: steps(window) == 2, timeout=5000)
    qtbot.wait(100)
    assert steps(window) == steps(window, "two") == 2


def test_that_every_pane_paints_while_training_goes_on(open_window, qtbot):
    window = open_window()
    window.actions_by_key["orbit"].setChecked(True)
    train(qtbot, window)
    before = [view.paint_count for view in window.stage.panes.views]
    qtbot.wait(1000)
    painted = [view.paint_count - count for view, count in zip(window.stage.panes.views, before, strict=True)]
    assert min(painted) >= 10
    assert [view.draw_failures for view in window.stage.panes.views] == [0, 0]


@pytest.mark.thorough
def test_that_a_still_picture_is_not_painted_again(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    press(qtbot, window, Qt.Key.Key_Space)
    panes = window.stage.panes
    qtbot.waitUntil(lambda: panes.at_rest, timeout=10_000)  # it has glided there
    qtbot.wait(400)
    before = [view.paint_count for view in panes.views]
    qtbot.wait(600)
    assert [view.paint_count for view in panes.views] == before


def test_that_reset_stops_the_run_and_empties_the_panes(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    press(qtbot, window, Qt.Key.Key_R)
    wait_for(qtbot, window, RunState.IDLE)
    assert steps(window) == 0
    assert all(pane.frame is None for pane in window.stage.panes._panes)
    assert window.stage.panes._hint == HINT
    assert window.statusBar().currentMessage() == "", "nothing is stopping any more"
    train(qtbot, window, 5)


def test_that_linked_cameras_turn_together_without_echo_and_unlinked_ones_do_not(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    first, second = window.stage.panes.views
    said: list[object] = []
    second.camera_changed.connect(said.append)
    turned = first.camera.orbited(40, 10)
    first.camera_changed.emit(turned)
    assert (second.camera.azimuth, second.camera.elevation) == (turned.azimuth, turned.elevation)
    assert said == []
    press(qtbot, window, Qt.Key.Key_L)
    first.camera_changed.emit(turned.orbited(25, 0))
    assert second.camera.azimuth == turned.azimuth


def test_that_the_camera_follows_the_clouds_until_the_user_zooms_and_again_after_fit(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    first = window.stage.panes.views[0]
    near = window.stage.panes._panes[0].camera.zoomed(3)
    first.camera_changed.emit(near)
    qtbot.wait(300)
    assert window.stage.panes._panes[0].camera.distance == near.distance
    press(qtbot, window, Qt.Key.Key_F)
    qtbot.waitUntil(lambda: window.stage.panes._panes[0].camera.distance > 2 * near.distance, timeout=5000)


def test_that_a_real_drag_in_one_pane_turns_both(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    first, second = window.stage.panes.views
    before = second.camera.azimuth
    centre = first.rect().center()
    qtbot.mousePress(first, Qt.MouseButton.LeftButton, pos=centre)
    for dx in (10, 30, 60):
        qtbot.mouseMove(first, centre.__class__(centre.x() + dx, centre.y()))
    qtbot.mouseRelease(first, Qt.MouseButton.LeftButton, pos=centre)
    assert second.camera.azimuth != pytest.approx(before)
    assert second.camera.azimuth == pytest.approx(first.camera.azimuth)


def test_that_scrubbing_shows_the_past_while_training_goes_on_and_live_comes_back(open_window, qtbot):
    window = open_window()
    train(qtbot, window, 60)
    window.stage.timeline.scrubbed.emit(25)  # frames come every 10 steps
    qtbot.waitUntil(lambda: {pane.frame.step for pane in window.stage.panes._panes} == {20}, timeout=3000)
    before = steps(window)
    qtbot.waitUntil(lambda: steps(window) > before + 30, timeout=5000)
    assert {pane.frame.step for pane in window.stage.panes._panes} == {20}
    window.stage.timeline.live_requested.emit()
    qtbot.waitUntil(lambda: min(pane.frame.step for pane in window.stage.panes._panes) > before, timeout=3000)


def test_that_a_past_frame_shows_what_was_sent_within_the_recordings_precision(open_window, qtbot):
    window = open_window()
    train(qtbot, window, 60)
    window.stage.timeline.scrubbed.emit(40)
    qtbot.waitUntil(lambda: window.stage.panes._panes[0].frame.step == 40, timeout=3000)
    sent = runs.frame("one", 40)
    box = np.ptp(sent.positions, axis=0)
    assert np.all(np.abs(window.stage.panes._panes[0].frame.positions - sent.positions) <= box / 65_535 + 1e-6)


def test_that_an_exception_in_training_shows_its_report_and_the_window_goes_on(open_window, qtbot):
    window = open_window(source=runs.source(fail_at=30))
    press(qtbot, window, Qt.Key.Key_Space)
    wait_for(qtbot, window, RunState.FAILED)
    assert "ArithmeticError: seven is not a number" in window.banner.text
    report = Path(window.banner.text.rpartition("Report: ")[2])
    assert "runs.py" in report.read_text(encoding="utf-8")
    window.banner.dismiss()
    press(qtbot, window, Qt.Key.Key_Space)
    wait_for(qtbot, window, RunState.RUNNING)
    wait_for(qtbot, window, RunState.FAILED)


def test_that_a_bug_in_one_lane_is_named_with_its_report_while_the_others_go_on(open_window, qtbot):
    def source(config, control):
        events = runs.source()(config, control)
        yield next(events)
        yield Alarm("one", 3, "bug", "A fault of the program, KeyError: 'x'", level="fatal", traceback="deep inside")
        yield from events

    window = open_window(source=source)
    train(qtbot, window, 20)
    assert window.bridge.state is RunState.RUNNING
    assert "Lane 'one' stopped at step 3: A fault of the program, KeyError: 'x'" in window.banner.text
    report = Path(window.banner.text.rpartition("Report: ")[2])
    assert "deep inside" in report.read_text(encoding="utf-8")


def test_that_wrong_input_shows_its_sentence_and_no_report(open_window, qtbot):
    def source(_config, _control):
        raise InputError("The file 'x.npz' has no array 'y'.")
        yield

    window = open_window(source=source)
    press(qtbot, window, Qt.Key.Key_Space)
    wait_for(qtbot, window, RunState.FAILED)
    assert window.banner.text == "The file 'x.npz' has no array 'y'."


def test_that_a_file_of_no_use_changes_nothing_and_says_what_is_allowed(open_window, qtbot, tmp_path):
    window = open_window()
    before = window.session.config
    (tmp_path / "notes.txt").write_text("hello")
    drop(window, tmp_path / "notes.txt")
    assert "notes.txt" in window.banner.text
    assert ".npz" in window.banner.text
    assert window.session.config == before


def test_that_data_dropped_on_the_window_becomes_the_data_of_the_experiment(open_window, qtbot, tmp_path):
    window = open_window()
    path = tmp_path / "mine.npz"
    np.savez(path, x=np.zeros((8, 3), np.float32), y=np.arange(8) % 2)
    drop(window, path)
    qtbot.waitUntil(lambda: window.form.config().data.name == "file", timeout=5000)
    assert window.form.config().data.options["path"] == str(path)
    assert window.stage.panes.lanes == ["one", "two"]


def test_that_a_configuration_dropped_during_a_run_is_refused_and_the_run_goes_on(open_window, qtbot, tmp_path):
    window = open_window()
    train(qtbot, window)
    path = tmp_path / "other.toml"
    path.write_text(configuration.dump(runs.config("three")), encoding="utf-8")
    drop(window, path)
    assert "Press R" in window.banner.text
    assert window.bridge.state is RunState.RUNNING
    assert window.stage.panes.lanes == ["one", "two"]


def test_that_choosing_a_preset_stops_the_run_and_shows_the_preset(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    window.controls.preset_chosen.emit("digits")
    wait_for(qtbot, window, RunState.IDLE)
    expected = configuration.load(Path("resources/presets/digits.toml"))
    assert window.session.config == expected
    assert window.stage.panes.lanes == [lane.name for lane in expected.lanes]
    assert window.controls.preset.currentText() == "digits"


def test_that_more_lanes_than_panes_are_refused_by_name(open_window, qtbot):
    names = [f"lane {number}" for number in range(MAX_PANES + 1)]
    with pytest.raises(InputError, match=r"at most 6 lanes.*lane 6"):
        check_lanes(runs.config(*names))
    check_lanes(runs.config(*names[:-1]))
    window = open_window(config=runs.config(*names[:-1]))
    assert len(window.stage.panes.views) == MAX_PANES


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_that_panes_share_the_place_evenly(open_window, qtbot, count):
    window = open_window(config=runs.config(*[f"lane {number}" for number in range(count)], steps=LONG))
    widths, heights = ({getattr(view, side)() for view in window.stage.panes.views} for side in ("width", "height"))
    assert max(widths) - min(widths) <= 2
    assert max(heights) - min(heights) <= 2
    assert min(widths) > 200
    assert min(heights) > 100


def test_that_light_and_dark_change_with_the_key_and_are_remembered(open_window, qtbot, tmp_path):
    settings = Settings(tmp_path / "window.ini")
    settings.keep("theme", "dark")
    window = open_window(settings=settings)
    assert window.look.theme == DARK
    press(qtbot, window, Qt.Key.Key_T)
    assert window.look.theme == LIGHT
    assert window.palette().window().color().getRgb()[:3] == LIGHT.window
    assert Settings(tmp_path / "window.ini").text("theme") == "light"


def test_that_without_a_settings_file_nothing_is_remembered(open_window, qtbot, user_folders):
    window = open_window()
    press(qtbot, window, Qt.Key.Key_T)
    with qtbot.waitSignal(window.closed):
        window.close()
    assert not (user_folders / "config").exists()


def test_that_a_recording_plays_and_can_be_scrubbed_without_training(open_window, qtbot, tmp_path):
    folder = tmp_path / "old"
    config = runs.config("alpha", "beta", "gamma", steps=50)
    from hnm_core.run.control import Control

    for _ in record(runs.source(seconds_a_round=0)(config, Control()), folder):
        pass
    window = open_window()
    drop(window, folder)
    qtbot.waitUntil(lambda: window.stage.panes.lanes == ["alpha", "beta", "gamma"], timeout=5000)
    assert [len(lane) for lane in window.stage.history.lanes.values()] == [50, 50, 50]
    qtbot.waitUntil(
        lambda: all(pane.frame and pane.frame.step >= 10 for pane in window.stage.panes._panes), timeout=5000
    )
    assert not window.bridge.active
    press(qtbot, window, Qt.Key.Key_Space)
    assert window.actions_by_key["toggle_run"].text() == "Play"
    window.stage.timeline.scrubbed.emit(45)
    qtbot.waitUntil(lambda: {pane.frame.step for pane in window.stage.panes._panes} == {40}, timeout=3000)
    window.stage.timeline.live_button.click()
    qtbot.waitUntil(lambda: {pane.frame.step for pane in window.stage.panes._panes} == {50}, timeout=3000)
    press(qtbot, window, Qt.Key.Key_R)
    assert window.stage.panes.lanes == ["alpha", "beta", "gamma"]


def test_that_a_folder_that_is_no_recording_is_named(open_window, qtbot, tmp_path):
    window = open_window()
    (tmp_path / "empty").mkdir()
    drop(window, tmp_path / "empty")
    qtbot.waitUntil(lambda: "empty" in window.banner.text, timeout=3000)


def test_that_saving_the_recording_copies_a_folder_that_can_be_read(open_window, qtbot, tmp_path):
    window = open_window(config=runs.config(steps=30))
    press(qtbot, window, Qt.Key.Key_Space)
    wait_for(qtbot, window, RunState.FINISHED)
    press(qtbot, window, Qt.Key.Key_S)
    dialog = window.findChild(QFileDialog)
    dialog.fileSelected.emit(str(tmp_path / "kept"))
    dialog.reject()
    qtbot.waitUntil(lambda: (tmp_path / "kept" / "run.json").exists() and not window.jobs.busy, timeout=5000)
    assert open_recording(tmp_path / "kept").step_count("one") == 30


def test_that_saving_before_any_run_says_what_to_do(open_window, qtbot):
    window = open_window()
    press(qtbot, window, Qt.Key.Key_S)
    assert "Press Space to train" in window.banner.text


def test_that_a_screenshot_is_a_picture_of_the_window(open_window, qtbot, tmp_path):
    from PyQt6.QtGui import QImage

    window = open_window()
    press(qtbot, window, Qt.Key.Key_P)
    dialog = window.findChild(QFileDialog)
    dialog.fileSelected.emit(str(tmp_path / "shot"))
    dialog.reject()
    picture = QImage(str(tmp_path / "shot.png"))
    assert (picture.width(), picture.height()) == (window.width(), window.height())


def test_that_mined_pairs_disappear_and_come_back_with_the_key(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    first = window.stage.panes.views[0]
    press(qtbot, window, Qt.Key.Key_Space)
    press(qtbot, window, Qt.Key.Key_E)
    qtbot.waitUntil(lambda: "edge" not in first.caption, timeout=3000)
    assert first.scene.edges_shown == 0
    press(qtbot, window, Qt.Key.Key_E)
    qtbot.waitUntil(lambda: "4 edges" in first.caption, timeout=3000)
    assert first.scene.edges_shown == 4
    key = window.stage.panes.keys.edges
    assert not key.isHidden() and key.chips["positive"].isVisible()


def test_that_a_click_on_a_kind_of_edges_leaves_it_out_and_a_double_click_shows_it_alone(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    press(qtbot, window, Qt.Key.Key_Space)
    panes = window.stage.panes
    first, chips = panes.views[0], panes.keys.edges.chips
    qtbot.waitUntil(lambda: panes.arrived and first.scene.edges_shown == 4, timeout=3000)
    qtbot.mouseClick(chips["positive"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panes.arrived and first.scene.edges_shown == 2, timeout=3000)
    assert not (first.scene.edge_colors[:, :3] == window.look.theme.positive_edge).all(1).any()
    qtbot.mouseClick(chips["positive"], Qt.MouseButton.LeftButton)
    qtbot.mouseDClick(chips["positive"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panes.arrived and first.scene.edges_shown == 2, timeout=3000)
    assert (first.scene.edge_colors[:, :3] == window.look.theme.positive_edge).all()
    qtbot.mouseDClick(chips["positive"], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: panes.arrived and first.scene.edges_shown == 4, timeout=3000)
    chips["positive"].setFocus()
    qtbot.keyClick(chips["positive"], Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: panes.arrived and first.scene.edges_shown == 2, timeout=3000)


def test_that_hovering_names_the_point_its_class_and_its_part(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    window.stage.panes.point_hovered.emit(103)  # the fourth item: class 3 % 3 = 0, held out
    assert window.stage._figures.text("point") == "point 103 · class red · held out"
    window.stage.panes.point_hovered.emit(-1)
    assert window.stage._figures.text("point") == ""


def test_that_the_status_bar_tells_device_threads_frames_steps_and_memory(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    qtbot.waitUntil(lambda: window.stage._figures.text("steps") != "", timeout=5000)
    assert window.stage._figures.text("device") == "CPU · 1 thread"
    assert window.stage._figures.text("memory").endswith(" MB")


def test_that_each_action_has_one_handler_one_menu_and_a_shortcut_of_its_own(open_window, qtbot):
    window = open_window()
    assert list(window.actions_by_key) == [spec.key for spec in ACTIONS]
    taken = [QKeySequence(spec.shortcut).toString() for spec in ACTIONS if spec.shortcut]
    assert len(taken) == len(set(taken))
    assert {key for group in TOOLBAR for key in group} <= set(window.actions_by_key)
    assert all(action.menu() or not action.icon().isNull() for action in window.controls.actions()[3:5])


def test_that_the_command_palette_finds_and_runs_a_command_by_a_part_of_its_name(open_window, qtbot):
    window = open_window()
    press(qtbot, window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    palette = window.findChild(CommandPalette)
    qtbot.keyClicks(palette.line, "light dark")
    assert palette.list.item(0).text().startswith("Light or dark")
    before = window.look.theme.name
    qtbot.keyClick(palette.line, Qt.Key.Key_Return)
    assert window.look.theme.name != before


def test_that_letters_typed_into_a_field_do_not_command_the_window(open_window, qtbot):
    from PyQt6.QtWidgets import QLineEdit

    window = open_window()
    line = QLineEdit(window)
    line.show()
    line.setFocus()
    qtbot.waitUntil(line.hasFocus, timeout=2000)
    qtbot.keyClicks(line, "r e.t l")
    assert line.text() == "r e.t l"
    assert window.bridge.state is RunState.IDLE


def test_that_space_pressed_while_a_run_starts_opens_no_list(open_window, qtbot):
    def slow(config, control):
        time.sleep(0.3)
        yield from runs.source()(config, control)

    window = open_window(source=slow)
    press(qtbot, window, Qt.Key.Key_Space)
    assert window.bridge.state is RunState.STARTING
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_Space)
    assert QApplication.activePopupWidget() is None
    wait_for(qtbot, window, RunState.RUNNING)


def test_that_docks_float_and_come_back(open_window, qtbot):
    from PyQt6.QtWidgets import QDockWidget

    window = open_window()
    train(qtbot, window)
    for dock in window.findChildren(QDockWidget):
        dock.show()
        dock.setFloating(True)
        qtbot.waitUntil(dock.isVisible, timeout=2000)
        dock.setFloating(False)
    before = window.stage.panes.views[0].paint_count
    window.actions_by_key["orbit"].setChecked(True)
    qtbot.waitUntil(lambda: window.stage.panes.views[0].paint_count > before + 5, timeout=3000)


def test_that_panes_say_so_while_the_renderer_is_prepared(open_window, qtbot):
    window = open_window()
    panes = window.stage.panes
    panes.set_preparing("Preparing, 3 of 20")
    assert [view.message for view in panes.views] == ["Preparing, 3 of 20"] * 2
    panes.set_preparing("")
    assert [view.message for view in panes.views] == [HINT, HINT]


def test_that_a_camera_moved_in_an_empty_pane_does_no_harm(open_window, qtbot):
    window = open_window()
    window.stage.panes.views[0].camera_changed.emit(Camera().orbited(10, 0))
    assert window.stage.panes.views[1].camera.azimuth == Camera().orbited(10, 0).azimuth


def alarming(code: str, *, fatal: bool):
    """A run whose lane 'one' raises an alarm after its tenth step."""

    def run(of, control):
        for event in runs.source()(of, control):
            yield event
            if isinstance(event, StepRecord) and (event.lane, event.step) == ("one", 10):
                yield Alarm("one", 10, code, "The loss became nan.", level="fatal" if fatal else "warning")

    return run


@pytest.mark.parametrize("look", [DARK, LIGHT])
def test_that_the_end_of_a_lane_is_told_in_red_until_it_is_dismissed_and_others_go_on(open_window, qtbot, look):
    window = open_window(source=alarming("non-finite", fatal=True))
    window.look.set(look)
    press(qtbot, window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.banner.text != "", timeout=5000)
    assert window.banner.text == "Lane 'one' stopped at step 10: The loss became nan."
    assert window.banner.property("kind") == "error"
    ground = window.banner.grab().toImage().pixelColor(3, 3)
    assert ground.red() > ground.green() + 12
    assert ground.red() > ground.blue() + 12
    window.banner.show_notice("Something of less weight.")  # does not cover it
    assert "Lane 'one'" in window.banner.text
    before = steps(window, "two")
    qtbot.waitUntil(lambda: steps(window, "two") > before, timeout=5000)
    dismiss = next(button for button in window.banner.findChildren(QPushButton) if button.text() == "Dismiss")
    qtbot.mouseClick(dismiss, Qt.MouseButton.LeftButton)
    assert window.banner.text == ""


def test_that_an_alarm_that_ends_nothing_takes_no_banner(open_window, qtbot):
    window = open_window(source=alarming("collapse", fatal=False))
    press(qtbot, window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: any(marker.kind == "warning" for marker in markers(window.stage.history)), timeout=5000)
    assert window.banner.text == ""


@pytest.mark.parametrize("code", ["recording-stopped", "weights-missing", "checkpoint-failed"])
def test_that_what_is_not_on_the_disk_is_told_until_it_is_dismissed(open_window, qtbot, code):
    window = open_window(source=alarming(code, fatal=False))
    press(qtbot, window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.banner.text != "", timeout=5000)
    assert (window.banner.text, window.banner.property("kind")) == ("The loss became nan.", "notice")
    before = steps(window, "one")
    qtbot.waitUntil(lambda: steps(window, "one") > before, timeout=5000)
    dismiss = next(button for button in window.banner.findChildren(QPushButton) if button.text() == "Dismiss")
    qtbot.mouseClick(dismiss, Qt.MouseButton.LeftButton)
    assert window.banner.text == ""


def refused(qtbot, window: MainWindow, *words: str) -> None:
    """Start is refused with these words, shows nothing else, and works once the form is mended."""
    press(qtbot, window, Qt.Key.Key_Space)
    assert all(word in window.banner.text for word in words), window.banner.text
    assert window.banner.property("kind") == "notice"
    assert window.bridge.state is RunState.IDLE
    assert window.stage.folder is None
    assert window.actions_by_key["toggle_run"].isEnabled()


def test_that_a_lane_that_cannot_be_is_refused_at_start_and_the_form_keeps_it(open_window, qtbot):
    lanes = [{"name": "one"}, {"name": "bad", "miner": "knn", "loss": "circle"}]
    config = runs.config("one", steps=LONG)
    window = open_window(config=configuration.from_dict(config.model_dump() | {"lanes": lanes}))
    refused(qtbot, window, "bad", "circle")
    assert [lane.name for lane in window.form.config().lanes] == ["one", "bad"]
    qtbot.mouseClick(window.form.lanes.cards[1].buttons["remove"], Qt.MouseButton.LeftButton)
    train(qtbot, window, 5)


def test_that_what_is_typed_wrong_is_refused_at_start_by_field_and_stays_to_be_mended(open_window, qtbot):
    window = open_window()
    window.form.training.open()
    line = window.form.run.line("eval_every")
    line.setFocus()
    line.selectAll()
    qtbot.keyClicks(line, "often")
    window.centralWidget().setFocus()
    refused(qtbot, window, "eval every", "'often' is not allowed", "Ctrl+Z")
    assert line.text() == "often"
    assert window.stage.panes.lanes == ["one", "two"]
    press(qtbot, window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert line.text() == str(window.form.config().eval_every)
    train(qtbot, window, 5)


def test_that_a_refused_start_leaves_the_run_before_on_the_screen(open_window, qtbot):
    window = open_window(config=runs.config(steps=20))
    press(qtbot, window, Qt.Key.Key_Space)
    wait_for(qtbot, window, RunState.FINISHED)
    window.form.training.open()
    window.form.run.line("steps").setText("-3")
    press(qtbot, window, Qt.Key.Key_Space)
    assert "steps: -3 is not allowed" in window.banner.text
    assert steps(window) == 20
    assert all(pane.frame is not None for pane in window.stage.panes._panes)


def test_that_a_lane_removed_by_mistake_comes_back_with_ctrl_z_wherever_the_focus_is(open_window, qtbot):
    window = open_window()
    qtbot.mouseClick(window.form.lanes.cards[0].buttons["remove"], Qt.MouseButton.LeftButton)
    assert window.stage.panes.lanes == ["two"]
    window.centralWidget().setFocus()
    press(qtbot, window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.stage.panes.lanes == [lane.name for lane in window.form.config().lanes] == ["one", "two"]
    both = Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier
    press(qtbot, window, Qt.Key.Key_Z, both)
    assert window.stage.panes.lanes == ["two"]


def test_that_a_preset_chosen_by_mistake_is_undone(open_window, qtbot):
    window = open_window()
    before = window.session.config
    window.controls.preset_chosen.emit("digits")
    qtbot.waitUntil(lambda: window.session.config != before, timeout=3000)
    assert "Ctrl+Z" in window.statusBar().currentMessage()
    press(qtbot, window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.session.config == window.form.config() == before
    assert window.stage.panes.lanes == ["one", "two"]
    assert window.windowTitle() == "Hand-made - HNM Lab"
    press(qtbot, window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.statusBar().currentMessage() == "There is nothing to undo."


def test_that_the_toolbar_stands_still_whatever_its_button_says(open_window, qtbot):
    window = open_window()
    button = window.controls.widgetForAction(window.actions_by_key["toggle_run"])
    places = set()
    for state in RunState:
        window.controls.show_state(state, window.look.theme, replaying=False, playing=False, closing=False)
        QApplication.processEvents()
        places.add((button.width(), window.controls.speed.x()))
        assert button.sizeHint().width() <= button.width(), state
    assert len(places) == 1
    window.show_state()


def test_that_a_low_window_leaves_the_height_to_the_clouds_and_a_tall_one_says_what_to_look_for(open_window, qtbot):
    window = open_window()
    window.resize(1000, 640)
    QApplication.processEvents()
    assert window.about.isVisible()
    assert not window.about._text.isVisible()
    assert window.about.toolTip() == "Three blobs move apart."
    window.resize(1000, 800)
    QApplication.processEvents()
    assert window.about._text.isVisible()
    assert window.about.toolTip() == ""


def test_that_every_shortcut_of_the_table_reaches_its_action(open_window, qtbot, monkeypatch):
    heard: list[str] = []
    handlers = {spec.key: (lambda *_, key=spec.key: heard.append(key)) for spec in ACTIONS}
    monkeypatch.setattr(MainWindow, "handlers", lambda _window: handlers)
    window = open_window()
    pressed = [spec for spec in ACTIONS if spec.shortcut]
    for spec in pressed:
        combination = QKeySequence(spec.shortcut)[0]
        press(qtbot, window, combination.key(), combination.keyboardModifiers())
    assert heard == [spec.key for spec in pressed]


def test_that_the_palette_shows_every_command_with_its_keys_and_escape_closes_it(open_window, qtbot):
    window = open_window()
    press(qtbot, window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    palette = window.findChild(CommandPalette)
    shown = [palette.list.item(row).text() for row in range(palette.list.count())]
    enabled = [window.actions_by_key[spec.key] for spec in ACTIONS if window.actions_by_key[spec.key].isEnabled()]
    assert len(shown) == len(enabled)
    for text, action in zip(shown, enabled, strict=True):
        assert text.startswith(action.text())
        assert text.endswith(action.shortcut().toString(QKeySequence.SequenceFormat.NativeText))
    qtbot.keyClick(palette.line, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: window.findChild(CommandPalette) is None, timeout=2000)


def test_that_what_is_typed_wrong_is_not_saved_as_something_else(open_window, qtbot):
    window = open_window()
    window.form.run.line("steps").setText("many")
    press(qtbot, window, Qt.Key.Key_S, Qt.KeyboardModifier.ControlModifier)
    assert "steps: 'many' is not allowed" in window.banner.text
    assert window.findChild(QFileDialog) is None


def test_that_all_tools_fit_into_a_window_of_1000_pixels(open_window, qtbot):
    window = open_window()
    window.resize(1000, 640)
    QApplication.processEvents()
    for key in (key for group in TOOLBAR for key in group):
        assert window.controls.widgetForAction(window.actions_by_key[key]).isVisible(), key


def test_that_a_cloud_is_framed_anew_when_its_pane_grows_though_nothing_trains(open_window, qtbot):
    window = open_window()
    train(qtbot, window)
    press(qtbot, window, Qt.Key.Key_Space)
    wait_for(qtbot, window, RunState.PAUSED)
    pane = window.stage.panes._panes[0]
    qtbot.waitUntil(lambda: pane.fitted is not None and not pane.stale, timeout=3000)
    window.resize(900, 1000)
    qtbot.waitUntil(lambda: pane.fitted_for[0] == pane.view.width() / pane.view.height() < 0.6, timeout=3000)
    narrow = pane.fitted.distance
    window.resize(1600, 1000)
    qtbot.waitUntil(lambda: pane.fitted.distance < 0.9 * narrow, timeout=3000)
    qtbot.waitUntil(lambda: pane.camera.distance < 0.95 * narrow, timeout=3000)
