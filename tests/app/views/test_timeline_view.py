"""The timeline under the mouse and the keyboard."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtTest import QSignalSpy

from app.history.markers import Marker
from app.picture.theme import DARK, LIGHT
from app.views.timeline_track import ticks
from app.views.timeline_view import HEIGHT, TimelineView

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def timeline(qtbot):
    timeline = TimelineView()
    qtbot.addWidget(timeline)
    timeline.resize(800, HEIGHT)
    with qtbot.waitActive(timeline):
        timeline.show()
        timeline.activateWindow()
    timeline.set_range(1000)
    timeline.heard = []
    timeline.scrubbed.connect(timeline.heard.append)
    return timeline


def at(timeline, step):
    return QPoint(round(timeline.track.x_of(step)), 17)


def test_that_the_bar_is_slim(timeline):
    assert timeline.height() == HEIGHT == 44


def test_that_the_handle_follows_a_live_run_without_a_signal(timeline):
    timeline.set_range(1200)
    assert timeline.step == 1200
    assert timeline.heard == []
    assert timeline.live_button.isChecked()


def test_that_a_click_takes_the_run_back_and_leaves_live(timeline, qtbot):
    qtbot.mouseClick(timeline.track, LEFT, pos=at(timeline, 500))
    assert timeline.heard == [timeline.step]
    assert abs(timeline.step - 500) <= 1
    assert not timeline.live_button.isChecked()
    timeline.set_range(2000)
    assert timeline.heard == [timeline.step]


def test_that_a_drag_says_each_step_once_and_stays_in_the_run(timeline, qtbot):
    qtbot.mousePress(timeline.track, LEFT, pos=at(timeline, 100))
    for x in (at(timeline, 300), at(timeline, 300), QPoint(5000, 17), QPoint(-50, 17)):
        qtbot.mouseMove(timeline.track, x)
    qtbot.mouseRelease(timeline.track, LEFT, pos=QPoint(-50, 17))
    assert timeline.heard[-2:] == [1000, 0]
    assert len(timeline.heard) == 4
    assert len(set(timeline.heard)) == 4


def test_that_live_is_asked_for_by_its_button_and_takes_the_handle_to_the_end(timeline, qtbot):
    timeline.track.setFocus()
    qtbot.keyClick(timeline.track, Qt.Key.Key_Home)
    with qtbot.waitSignal(timeline.live_requested):
        qtbot.mouseClick(timeline.live_button, LEFT)
    assert timeline.live_button.isChecked()
    assert timeline.step == 1000
    qtbot.mouseClick(timeline.live_button, LEFT)
    assert timeline.live_button.isChecked()  # a second click does not leave live


def test_that_keys_move_the_handle(timeline, qtbot):
    timeline.track.setFocus()
    keys = [Qt.Key.Key_Home, Qt.Key.Key_Right, Qt.Key.Key_Right, Qt.Key.Key_Left, Qt.Key.Key_Left, Qt.Key.Key_Left]
    for key in [*keys, Qt.Key.Key_PageUp]:
        qtbot.keyClick(timeline.track, key)
    assert timeline.heard == [0, 10, 20, 10, 0, 100]
    with qtbot.waitSignal(timeline.live_requested):
        qtbot.keyClick(timeline.track, Qt.Key.Key_End)
    assert timeline.live_button.isChecked() and timeline.step == 1000
    qtbot.keyClick(timeline.track, Qt.Key.Key_Left, Qt.KeyboardModifier.ShiftModifier)
    assert timeline.heard[-1] == 999


def test_that_steps_set_from_outside_move_the_handle_silently(timeline):
    timeline.set_live(False)
    timeline.set_step(400)
    assert timeline.step == 400
    timeline.set_step(5000)
    assert timeline.step == 1000
    assert timeline.heard == []


def test_that_an_empty_run_can_be_neither_dragged_nor_played(timeline, qtbot):
    timeline.set_range(0)
    qtbot.mouseClick(timeline.track, LEFT, pos=QPoint(300, 17))
    assert timeline.heard == []
    assert not timeline.play_button.isEnabled()
    timeline.set_playing(True)
    assert not timeline.playing


def test_that_playing_starts_over_from_the_end_and_stops_there(timeline, qtbot, monkeypatch):
    monkeypatch.setattr("app.views.timeline_view.WHOLE_RUN_S", 0.1)
    spy = QSignalSpy(timeline.play_toggled)
    qtbot.mouseClick(timeline.play_button, LEFT)
    assert timeline.playing
    qtbot.waitUntil(lambda: not timeline.playing, timeout=5000)
    assert timeline.heard[0] == 0
    assert timeline.heard[-1] == 1000
    assert timeline.heard == sorted(timeline.heard)
    assert [spy[place][0] for place in range(len(spy))] == [True, False]


def test_that_a_loop_goes_on_at_the_start(timeline, qtbot, monkeypatch):
    monkeypatch.setattr("app.views.timeline_view.WHOLE_RUN_S", 0.05)
    qtbot.mouseClick(timeline.loop_button, LEFT)
    qtbot.mouseClick(timeline.play_button, LEFT)
    qtbot.waitUntil(lambda: timeline.heard.count(0) >= 3, timeout=5000)
    assert timeline.playing
    qtbot.mouseClick(timeline.play_button, LEFT)
    assert not timeline.playing


def test_that_twice_the_rate_goes_twice_as_far(timeline, qtbot, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("app.views.timeline_view.time.perf_counter", lambda: clock[0])
    monkeypatch.setattr("app.views.timeline_view.WHOLE_RUN_S", 10.0)  # 100 of its 1,000 steps a second
    reached = []
    for rate in ("x1", "x2", "x8"):
        timeline.set_live(False)
        timeline.set_step(0)
        timeline.rate_box.setCurrentText(rate)
        timeline.set_playing(True)
        clock[0] += 0.2
        timeline._advance()
        reached.append(timeline.step)
        timeline.set_playing(False)
    assert reached == [20, 40, 160]


def test_that_playing_goes_on_from_where_it_was_dragged_to(timeline, qtbot, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("app.views.timeline_view.time.perf_counter", lambda: clock[0])
    monkeypatch.setattr("app.views.timeline_view.WHOLE_RUN_S", 10.0)  # 100 of its 1,000 steps a second
    timeline.set_live(False)
    timeline.set_step(0)
    timeline.set_playing(True)
    timeline.track.setFocus()
    qtbot.keyClick(timeline.track, Qt.Key.Key_PageUp)
    clock[0] += 0.105
    timeline._advance()
    assert timeline.step == 110


def test_that_going_live_ends_playing(timeline):
    timeline.set_playing(True)
    timeline.set_live(True)
    assert not timeline.playing


def test_that_a_hidden_timeline_does_not_play(timeline):
    timeline.set_playing(True)
    timeline.hide()
    assert not timeline.playing


def test_that_markers_are_found_under_the_mouse_and_a_click_on_a_flag_jumps_to_it(timeline, qtbot):
    timeline.set_markers([Marker("knn", 200, "warm-up over, knn mines", "warm-up"), (700, "lr = 0.001", "option")])
    near = timeline.track.marks_near(timeline.track.x_of(203))
    assert near == [(200, "knn: warm-up over, knn mines", "warm-up")]
    assert timeline.track.marks_near(timeline.track.x_of(450)) == []
    qtbot.mouseClick(timeline.track, LEFT, pos=QPoint(round(timeline.track.x_of(700)) + 2, 5))
    assert timeline.heard == [700]


def test_that_markers_are_painted_in_their_colours(timeline, qtbot):
    timeline.set_theme(DARK)
    timeline.set_markers([(500, "all at one spot", "warning")])
    x, y = round(timeline.track.x_of(500)), 5
    assert timeline.track.grab().toImage().pixelColor(x, y).getRgb()[:3] == DARK.warning
    timeline.set_theme(LIGHT)
    assert timeline.track.grab().toImage().pixelColor(x, y).getRgb()[:3] == LIGHT.warning


@pytest.mark.parametrize(
    ("last", "most", "expected"),
    [
        (10, 5, [0, 2, 4, 6, 8, 10]),
        (1000, 5, [0, 200, 400, 600, 800, 1000]),
        (12_480, 3, [0, 5000, 10_000]),
        (3, 10, [0, 1, 2, 3]),
        (7, 2, [0, 5]),
    ],
)
def test_that_ticks_are_round(last, most, expected):
    assert ticks(last, most) == expected
