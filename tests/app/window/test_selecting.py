"""Boxes, lassos, classes and what is done with them, in the real window."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QApplication

from app.window.main_window import MainWindow
from tests.app.window.test_inspector import seen, settle, stand_still

LEFT = Qt.MouseButton.LeftButton
NONE, ALT, CTRL, SHIFT = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.AltModifier,
    Qt.KeyboardModifier.ControlModifier,
    Qt.KeyboardModifier.ShiftModifier,
)


@pytest.fixture
def window(open_window, qtbot) -> MainWindow:
    return stand_still(qtbot, open_window())


def drag(qtbot, view, corners: list[tuple[int, int]], modifier=NONE) -> None:
    places = [QPoint(*corner) for corner in corners]
    qtbot.mousePress(view, LEFT, modifier, places[0])
    for place in places[1:]:
        here = QPointF(place)
        QApplication.sendEvent(
            view,
            QMouseEvent(
                QMouseEvent.Type.MouseMove, here, view.mapToGlobal(here), Qt.MouseButton.NoButton, LEFT, modifier
            ),
        )
    qtbot.mouseRelease(view, LEFT, modifier, places[-1])


def places(view) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    xs, ys, _ = view.camera.project(view.scene.positions, view.width(), view.height())
    return view.scene.ids, xs, ys


def drawn(window: MainWindow, lane: int = 0) -> list[int]:
    window.stage.panes.advance(0.0, orbiting=False)
    settle_scene(window)
    scene = window.stage.panes.views[lane].scene
    return scene.ids[scene.radii > 0].tolist()


def settle_scene(window: MainWindow) -> None:
    for _ in range(200):
        QApplication.processEvents()
        if window.stage.panes.arrived:
            return


def test_that_a_box_selects_what_it_holds_in_every_pane_and_keys_isolate_and_show_all(window, qtbot):
    view, choice = window.stage.panes.views[0], window.stage.choice
    ids, xs, ys = places(view)
    half = view.width() // 2
    camera = view.camera
    drag(qtbot, view, [(1, 1), (half, view.height() - 1)], ALT)
    assert view.camera == camera, "the cloud did not turn"
    wanted = ids[(xs < half) & (xs > 1) & (ys > 1) & (ys < view.height() - 1)]
    assert 0 < len(wanted) < len(ids)
    assert choice.selection.ids.tolist() == wanted.tolist()
    qtbot.keyClick(window, Qt.Key.Key_I)
    assert drawn(window, 0) == drawn(window, 1) == wanted.tolist()
    settle(qtbot, window)
    assert f"{len(wanted)} of 60 points isolated" in window.stage.panes.views[1].caption
    kept = set(wanted.tolist())
    for pane in window.stage.panes.views:
        assert {int(item) for item in pane.scene.ids[pane.scene.edges].ravel()} <= kept
    qtbot.keyClick(window, Qt.Key.Key_H, SHIFT)
    assert drawn(window) == ids.tolist()


def test_that_a_lasso_takes_what_it_goes_round_and_shift_adds(window, qtbot):
    view, choice = window.stage.panes.views[1], window.stage.choice
    ids, xs, ys = places(view)
    first, second = int(np.argmin(xs)), int(np.argmax(xs))

    def round_about(place: int, modifier) -> None:
        x, y = int(xs[place]), int(ys[place])
        drag(qtbot, view, [(x - 6, y - 6), (x + 6, y - 6), (x + 6, y + 6), (x - 6, y + 6)], modifier)

    round_about(first, CTRL)
    one = set(choice.selection.ids.tolist())
    assert ids[first] in one
    round_about(second, CTRL | SHIFT)
    assert set(choice.selection.ids.tolist()) > one and ids[second] in choice.selection.ids
    qtbot.keyClick(window, Qt.Key.Key_Q)
    round_about(second, NONE)
    assert ids[second] in choice.selection.ids and ids[first] not in choice.selection.ids
    qtbot.keyClick(window, Qt.Key.Key_Q)
    camera = view.camera
    round_about(second, NONE)
    assert view.camera != camera, "without the lasso a drag turns the clouds"


def test_that_hiding_inverting_and_escape_do_what_they_say(window, qtbot):
    choice, item = window.stage.choice, seen(window)[0]
    everything = drawn(window)
    choice.pick(item)
    qtbot.keyClick(window, Qt.Key.Key_H)
    assert drawn(window) == [known for known in everything if known != item]
    assert choice.item_id == -1
    other = seen(window)[0]
    choice.pick(other)
    qtbot.keyClick(window, Qt.Key.Key_I, SHIFT)
    assert choice.selection.ids.tolist() == [known for known in everything if known not in (item, other)]
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert not len(choice.ids) and len(drawn(window)) == 59
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert drawn(window) == everything


def test_that_zoom_brings_all_cameras_to_the_selection_and_fit_back(window, qtbot):
    panes, choice = window.stage.panes, window.stage.choice
    started = window.stage.history.started
    red = started.ids[started.labels == 0]
    before = [pane.camera for pane in panes._panes]
    choice.select(red, False)
    qtbot.keyClick(window, Qt.Key.Key_Z)
    for pane, was in zip(panes._panes, before, strict=True):
        centre = pane.frame.positions[started.labels == 0].mean(0)
        assert pane.camera.distance < was.distance
        assert np.linalg.norm(np.array(pane.camera.target) - centre) < np.linalg.norm(np.array(was.target) - centre)
    qtbot.keyClick(window, Qt.Key.Key_F)
    settle(qtbot, window)


def test_that_the_key_of_classes_isolates_by_mouse_and_by_keyboard(window, qtbot):
    key = window.stage.panes.keys.classes
    everything = drawn(window)

    def of(*labels: int) -> list[int]:
        return [item for item in everything if (item - 100) % 3 in labels]

    at = [key.place_of(label).center().toPoint() for label in range(3)]
    qtbot.mouseClick(key, LEFT, NONE, at[1])
    assert drawn(window) == of(1)
    qtbot.mouseClick(key, LEFT, CTRL, at[2])
    assert drawn(window) == of(1, 2)
    qtbot.mouseClick(key, LEFT, NONE, at[2])
    assert drawn(window) == of(2)
    qtbot.mouseClick(key, LEFT, NONE, at[2])
    assert drawn(window) == everything
    distance = window.stage.panes.views[0].camera.distance
    qtbot.mouseDClick(key, LEFT, NONE, at[0])
    assert drawn(window) == of(0) and window.stage.panes.views[0].camera.distance < distance
    key.setFocus()
    qtbot.keyClick(key, Qt.Key.Key_Right)
    qtbot.keyClick(key, Qt.Key.Key_Space)
    assert drawn(window) == of(1)
    qtbot.keyClick(key, Qt.Key.Key_Left)
    qtbot.keyClick(key, Qt.Key.Key_Return, CTRL)
    assert drawn(window) == of(0, 1)


def test_that_a_class_found_in_the_inspector_is_isolated(window, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_Slash)
    line = window.stage.inspecting.view.line
    qtbot.keyClicks(line, "green")
    qtbot.keyClick(line, Qt.Key.Key_Return)
    assert drawn(window) == [item for item in range(100, 160) if (item - 100) % 3 == 1]


@pytest.mark.parametrize(("key", "angles"), [("1", (0.0, 0.0)), ("2", (90.0, 0.0)), ("3", (0.0, 89.0))])
def test_that_1_2_and_3_look_along_the_axes_in_all_panes(window, qtbot, key, angles):
    qtbot.keyClicks(window.stage.panes.views[1], key)
    assert [(view.camera.azimuth, view.camera.elevation) for view in window.stage.panes.views] == [angles, angles]


def test_that_trails_follow_the_selection_to_the_moment_shown_and_can_be_switched_off(window, qtbot):
    stage, panes = window.stage, window.stage.panes
    stage.choice.select(np.array([104, 110]), False)
    frames = panes.frames[0].step // window.session.config.frame_every + 1

    def lines() -> list[int]:
        return [len(view.scene.trails) for view in panes.views]

    qtbot.waitUntil(lambda: lines() == [2 * frames] * 2, timeout=5000)
    stage._seek(20)
    qtbot.waitUntil(lambda: lines() == [2 * 3] * 2 and panes.arrived, timeout=5000)
    np.testing.assert_allclose(panes.views[0].scene.trails[2, 3:], panes.views[0].scene.positions[4], atol=1e-3)
    qtbot.keyClick(window, Qt.Key.Key_J)
    qtbot.waitUntil(lambda: lines() == [0, 0], timeout=5000)
    qtbot.keyClick(window, Qt.Key.Key_J)
    qtbot.waitUntil(lambda: lines() == [6, 6], timeout=5000)
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: lines() == [0, 0], timeout=5000)


def test_that_the_names_of_classes_are_written_at_their_points_when_asked_for(window, qtbot):
    view = window.stage.panes.views[0]
    assert view.class_labels == []
    before = view.grab().toImage()
    qtbot.keyClick(window, Qt.Key.Key_K)
    qtbot.waitUntil(lambda: sorted(name.text for name in view.class_labels) == ["blue", "green", "red"], timeout=5000)
    assert view.grab().toImage() != before
    qtbot.keyClick(window, Qt.Key.Key_K)
    qtbot.waitUntil(lambda: view.class_labels == [], timeout=5000)


def test_that_one_cloud_can_turn_by_itself_and_join_the_others_again(window, qtbot):
    views = window.stage.panes.views
    qtbot.keyClick(window, Qt.Key.Key_L, CTRL)
    assert window.banner.text == "Click the cloud that is to turn by itself first."
    window.banner.dismiss()
    qtbot.keyClicks(views[1], "1")
    views[1].setFocus()
    qtbot.keyClick(window, Qt.Key.Key_L, CTRL)
    qtbot.keyClicks(views[1], "2")
    assert [view.camera.azimuth for view in views] == [0.0, 90.0]
    qtbot.keyClicks(views[0], "3")
    assert [view.camera.elevation for view in views] == [89.0, 0.0]
    qtbot.keyClick(window, Qt.Key.Key_L, CTRL)
    assert views[1].camera.elevation == 89.0
    qtbot.keyClicks(views[0], "1")
    assert [view.camera.elevation for view in views] == [0.0, 0.0]


def test_that_the_menu_of_a_cloud_unlinks_it(window, qtbot):
    panes = window.stage.panes
    window.forks.open_menu("two", QPoint(10, 10))
    menu = QApplication.activePopupWidget()
    action = next(action for action in menu.actions() if action.text() == "Turn with the other clouds")
    assert action.isChecked()
    action.trigger()
    menu.close()
    assert not panes.is_linked("two") and panes.is_linked("one")


def test_that_the_inspector_counts_what_is_selected_and_goes_back_to_the_point_before(window, qtbot):
    view, choice = window.stage.inspecting.view, window.stage.choice
    qtbot.keyClick(window, Qt.Key.Key_Slash)
    qtbot.keyClicks(view.line, "100")
    qtbot.keyClick(view.line, Qt.Key.Key_Return)
    choice.select(np.array([100, 103, 101]), False)
    assert view.about.text().startswith("3 points selected: 2 of class red, 1 of class green.\n")
    assert view.lists.isHidden() and choice.item_id == -1
    qtbot.keyClick(view.line, Qt.Key.Key_Backspace)
    assert choice.item_id == 100 and not len(choice.selection.ids)
