from __future__ import annotations

from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QLabel

from app.panels.keys import CLOUD_KEYS, TIMELINE_KEYS, KeyGroup
from app.panels.shortcut_sheet import ShortcutSheet, in_columns
from app.picture.scene import build_scene
from app.picture.theme import DARK
from app.views.cloud_view import CloudView
from app.views.timeline_track import Track
from app.window.actions import ACTIONS
from tests.app import runs

NONE, SHIFT = Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier


def test_that_the_question_mark_shows_every_key_of_the_table_and_escape_closes(open_window, qtbot):
    window = open_window()
    qtbot.keyClick(window, Qt.Key.Key_Question)
    sheet = window.findChild(ShortcutSheet)
    qtbot.waitUntil(sheet.isVisible, timeout=3000)
    said = [label.text() for label in sheet.findChildren(QLabel)]
    for spec in ACTIONS:
        if spec.shortcut:
            assert said[said.index(spec.text.removesuffix(" ...")) - 1] == spec.shortcut
    for group in (CLOUD_KEYS, TIMELINE_KEYS):
        assert group.title in said
        assert all(text in said for row in group.rows for text in row)
    assert sheet.width() <= window.width()
    for key in (Qt.Key.Key_Escape, Qt.Key.Key_Question):
        qtbot.keyClick(window.findChild(ShortcutSheet), key)
        qtbot.waitUntil(lambda: window.findChild(ShortcutSheet) is None, timeout=2000)
        window.actions_by_key["shortcuts"].trigger()
    window.findChild(ShortcutSheet).close()


def test_that_groups_keep_their_order_and_columns_are_about_as_long():
    groups = [KeyGroup(str(size), (("k", "what"),) * size) for size in (9, 2, 5, 6, 2, 9, 6)]
    columns = in_columns(groups, 3)
    assert [group for column in columns for group in column] == groups
    assert [sum(len(group.rows) + 2 for group in column) for column in columns] == [15, 19, 19]
    assert in_columns([], 3) == [[]]


def test_that_the_keys_of_a_cloud_do_what_the_sheet_says(qtbot, raster_kernels):
    view = CloudView()
    qtbot.addWidget(view)
    view.resize(400, 400)
    with qtbot.waitExposed(view):
        view.show()
    config = runs.config()
    view.set_scene(build_scene(runs.started(config), runs.frame("one", 10), DARK))
    start = view.camera
    qtbot.keyClick(view, Qt.Key.Key_Left)
    assert view.camera.azimuth != start.azimuth
    qtbot.keyClick(view, Qt.Key.Key_Up)
    assert view.camera.elevation != start.elevation
    qtbot.keyClick(view, Qt.Key.Key_Plus)
    assert view.camera.distance < start.distance
    qtbot.keyClick(view, Qt.Key.Key_Minus)
    qtbot.keyClick(view, Qt.Key.Key_Minus)
    assert view.camera.distance > start.distance
    fits = []
    view.fit_requested.connect(lambda: fits.append(1))
    qtbot.keyClick(view, Qt.Key.Key_0)
    qtbot.mouseDClick(view, Qt.MouseButton.LeftButton)
    assert len(fits) == 2
    for start, modifier, moves in ((QPoint(50, 200), NONE, "azimuth"), (QPoint(150, 300), SHIFT, "target")):
        before = getattr(view.camera, moves)
        qtbot.mousePress(view, Qt.MouseButton.LeftButton, modifier, start)
        drag(view, start + QPoint(60, 0), modifier)
        qtbot.mouseRelease(view, Qt.MouseButton.LeftButton, modifier, start + QPoint(60, 0))
        assert getattr(view.camera, moves) != before


def drag(view, to: QPoint, modifier: Qt.KeyboardModifier) -> None:
    """A move with the left button down; the simulated mouse of `QTest` knows no modifiers."""
    left = Qt.MouseButton.LeftButton
    view.mouseMoveEvent(QMouseEvent(QEvent.Type.MouseMove, QPointF(to), Qt.MouseButton.NoButton, left, modifier))


def test_that_the_keys_of_the_timeline_do_what_the_sheet_says(qtbot):
    track = Track()
    qtbot.addWidget(track)
    track.moved.connect(lambda step: setattr(track, "step", step))
    track.last_step = track.step = 700
    last, stride = track.last_step, max(1, track.last_step // 100)
    for key, modifier, goal in (
        (Qt.Key.Key_Left, NONE, last - stride),
        (Qt.Key.Key_Right, NONE, last),
        (Qt.Key.Key_Left, SHIFT, last - 1),
        (Qt.Key.Key_Home, NONE, 0),
        (Qt.Key.Key_PageUp, NONE, 10 * stride),
        (Qt.Key.Key_PageDown, NONE, 0),
    ):
        qtbot.keyClick(track, key, modifier)
        assert track.step == goal, (key, modifier)
    with qtbot.waitSignal(track.live_asked, timeout=1000):
        qtbot.keyClick(track, Qt.Key.Key_End)
