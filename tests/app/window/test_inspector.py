"""The inspector from the user's end: clicks in clouds, words in the search line, keys in the lists."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QApplication

from app.views.inspector_view import NOTHING
from app.window.main_window import MainWindow
from app.window.settings import Settings
from hnm_core.run.events import RunState

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture
def window(open_window, qtbot) -> MainWindow:
    """Two lanes that have trained for a while and stand still, with their clouds in place."""
    shown: MainWindow = open_window()
    return stand_still(qtbot, shown)


def stand_still(qtbot, window: MainWindow) -> MainWindow:
    qtbot.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: len(window.stage.history.lanes.get("two", ())) >= 40, timeout=20_000)
    qtbot.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.bridge.state is RunState.PAUSED, timeout=5000)
    settle(qtbot, window)
    return window


def settle(qtbot, window: MainWindow) -> None:
    """Let clouds and cameras come to where they should be, at once."""
    panes = window.stage.panes
    window.stage.set_still(True)
    qtbot.waitUntil(lambda: panes.arrived and all(view.picture() is not None for view in panes.views), timeout=10_000)
    qtbot.waitUntil(lambda: panes.at_rest, timeout=20_000)
    window.stage.set_still(False)
    qtbot.wait(100)


def click(qtbot, window: MainWindow, item_id: int, lane: int = 0) -> None:
    """Click a point where it is seen."""
    view = window.stage.panes.views[lane]
    view.render_now()
    assert view.scene is not None
    place = view.scene.place_of(item_id)
    xs, ys, _ = view.camera.project(view.scene.positions[place : place + 1], view.width(), view.height())
    qtbot.mouseClick(view, LEFT, pos=QPoint(int(xs[0]), int(ys[0])))


def seen(window: MainWindow) -> list[int]:
    """Points that lie on top in the first pane, so that a click meets them."""
    view = window.stage.panes.views[0]
    view.render_now()
    assert view.scene is not None
    xs, ys, _ = view.camera.project(view.scene.positions, view.width(), view.height())
    found = [view.pick(x, y) for x, y in zip(xs, ys, strict=True)]
    return [item for item, known in zip(view.scene.ids.tolist(), found, strict=True) if item == known]


def cells(window: MainWindow, title: str, lane: int = 0) -> list[str]:
    """What stands under a title in the column of a lane."""
    lists = window.stage.inspecting.view.lists
    texts = [lists.item(row, 0).text() for row in range(lists.rowCount())]
    rows = [row for row, section in enumerate(lists._sections) if section == title][1:]
    assert title in texts
    found = [lists.item(row, lane).text() for row in rows]
    return [text for text in found if text]


def wait_for_cell(qtbot, window: MainWindow, title: str, text: str) -> None:
    lists = window.stage.inspecting.view.lists
    qtbot.waitUntil(lambda: lists.rowCount() > 0 and text in cells(window, title), timeout=5000)


def test_that_a_click_opens_the_inspector_on_the_point_in_every_lane(window, qtbot):
    view = window.stage.inspecting.view
    assert not view.isVisible()
    item = seen(window)[0]
    click(qtbot, window, item)
    assert window.stage.choice.item_id == item
    qtbot.waitUntil(lambda: view.isVisible() and view.title.text() != "", timeout=3000)
    assert view.title.text() == f"Point {item} · class {('red', 'green', 'blue')[(item - 100) % 3]}"
    qtbot.waitUntil(lambda: view.summary.rowCount() == 2, timeout=3000)
    assert [view.summary.item(row, 0).text() for row in range(2)] == ["one", "two"]
    assert [pane.view._selected_id for pane in window.stage.panes._panes] == [item, item]


def test_that_what_was_mined_is_listed_now_and_counted_so_far(window, qtbot):
    qtbot.keyClick(window, Qt.Key.Key_Slash)
    view = window.stage.inspecting.view
    assert view.line.hasFocus()
    qtbot.keyClicks(view.line, "100")
    qtbot.keyClick(view.line, Qt.Key.Key_Return)
    assert window.stage.choice.item_id == 100 and view.line.text() == ""
    frames = window.stage.panes.frames[0].step // window.session.config.frame_every + 1
    qtbot.waitUntil(lambda: view.lists.rowCount() > 0, timeout=3000)
    assert cells(window, "Negatives mined now") == ["101 · green"]
    assert cells(window, "Positives now", lane=1) == ["103 · red"]
    wait_for_cell(qtbot, window, "Negatives so far", f"of {frames} tuples")
    assert cells(window, "Negatives so far")[1] == f"101 · green ×{frames}"


def test_that_arrows_walk_the_lists_enter_goes_there_and_backspace_back(window, qtbot):
    window.actions_by_key["find"].trigger()
    view, choice = window.stage.inspecting.view, window.stage.choice
    qtbot.keyClicks(view.line, "100")
    qtbot.keyClick(view.line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: view.lists.rowCount() > 0 and view.lists.hasFocus(), timeout=3000)
    lists = view.lists
    assert lists.cell(lists.currentRow(), lists.currentColumn()).item_id == 101
    qtbot.keyClick(lists, Qt.Key.Key_Down)
    assert lists.cell(lists.currentRow(), lists.currentColumn()).item_id == 103, "over the title of the next list"
    qtbot.keyClick(lists, Qt.Key.Key_Up)
    qtbot.keyClick(lists, Qt.Key.Key_Return)
    assert choice.item_id == 101
    qtbot.waitUntil(lambda: view.title.text().startswith("Point 101 "), timeout=3000)
    assert cells(window, "Now a negative of") == ["100 · red"]
    qtbot.keyClick(lists, Qt.Key.Key_Backspace)
    assert choice.item_id == 100
    qtbot.keyClick(lists, Qt.Key.Key_Backspace)
    assert choice.item_id == 100, "there is none before"
    qtbot.keyClick(lists, Qt.Key.Key_Escape)
    assert choice.item_id == -1 and view.about.text() == NOTHING and view.lists.isHidden()


def test_that_typing_lists_what_fits_and_escape_takes_the_words_away_first(window, qtbot):
    item = seen(window)[0]
    click(qtbot, window, item)
    window.actions_by_key["find"].trigger()
    view = window.stage.inspecting.view
    qtbot.keyClicks(view.line, "gre")
    listed = [view.matches.item(row).text() for row in range(view.matches.count())]
    assert listed[0] == "class green: 20 points, isolate" and listed[1] == "101 · green"
    qtbot.keyClick(view.line, Qt.Key.Key_Down)
    assert view.matches.currentRow() == 1
    qtbot.keyClick(view.line, Qt.Key.Key_Escape)
    assert view.line.text() == "" and view.matches.isHidden() and window.stage.choice.item_id == item
    qtbot.keyClicks(view.line, "nobody")
    assert view.matches.item(0).text() == "No point and no class fits"
    qtbot.keyClick(view.line, Qt.Key.Key_Return)
    assert window.stage.choice.item_id == item
    view.line.clear()
    qtbot.keyClick(view.line, Qt.Key.Key_Escape)
    assert window.stage.choice.item_id == -1


def test_that_the_past_says_the_same_as_it_said_then_live_and_from_the_recording(window, qtbot):
    window.actions_by_key["find"].trigger()
    view, stage = window.stage.inspecting.view, window.stage
    qtbot.keyClicks(view.line, "100")
    qtbot.keyClick(view.line, Qt.Key.Key_Return)
    stage._seek(20)
    qtbot.waitUntil(lambda: [frame.step for frame in stage.panes.frames] == [20, 20], timeout=5000)
    qtbot.waitUntil(
        lambda: view.lists.rowCount() > 0 and "of 3 tuples" in cells(window, "Negatives so far"), timeout=5000
    )
    near = cells(window, "Nearest in the embedding")
    folder = stage.folder
    qtbot.keyClick(window, Qt.Key.Key_R)
    qtbot.waitUntil(lambda: window.bridge.state is RunState.IDLE, timeout=5000)
    assert stage.choice.item_id == -1 and view.about.text() == NOTHING
    assert folder is not None
    window.files.take(folder)
    qtbot.waitUntil(lambda: stage.replaying, timeout=10_000)
    stage.timeline.set_playing(False)
    stage._seek(20)
    qtbot.waitUntil(lambda: [frame.step for frame in stage.panes.frames] == [20, 20], timeout=5000)
    qtbot.keyClick(window, Qt.Key.Key_Slash)
    qtbot.keyClicks(view.line, "100")
    qtbot.keyClick(view.line, Qt.Key.Key_Return)
    qtbot.waitUntil(
        lambda: view.lists.rowCount() > 0 and "of 3 tuples" in cells(window, "Negatives so far"), timeout=5000
    )
    assert cells(window, "Nearest in the embedding") == near


@pytest.mark.thorough
def test_that_an_inspector_that_was_closed_stays_closed_until_it_is_asked_for(open_window, qtbot, tmp_path):
    settings = Settings(tmp_path / "window.ini")
    window = stand_still(qtbot, open_window(settings=settings))
    dock = window.docks._inspector
    click(qtbot, window, seen(window)[0])
    assert dock.isVisible()
    dock.close()
    settle(qtbot, window)
    click(qtbot, window, seen(window)[1])
    assert not dock.isVisible()
    folder = window.stage.folder
    with qtbot.waitSignal(window.closed, timeout=10_000):
        window.close()
    again = open_window(settings=settings)
    again.docks.restore(settings)
    assert folder is not None
    again.files.take(folder)
    qtbot.waitUntil(lambda: again.stage.replaying, timeout=10_000)
    again.stage.timeline.set_playing(False)
    settle(qtbot, again)
    click(qtbot, again, seen(again)[0])
    assert not again.docks._inspector.isVisible()
    qtbot.keyClick(again, Qt.Key.Key_Slash)
    assert again.docks._inspector.isVisible() and QApplication.focusWidget() is again.stage.inspecting.view.line


def test_that_the_nearest_in_the_data_stand_beside_those_in_each_lane(training, qtbot):
    window, view = training, training.stage.inspecting.view
    window.actions_by_key["find"].trigger()
    qtbot.keyClicks(view.line, "17")
    qtbot.keyClick(view.line, Qt.Key.Key_Return)
    title = "Nearest in the data, and here"
    qtbot.waitUntil(lambda: title in view.lists._sections, timeout=10_000)
    looked = window.bridge.looked
    assert looked is not None and looked.item_id == 17
    assert view.data.isVisible() and "features, of length" in view.data.words.text()
    for lane, frame in enumerate(window.stage.panes.frames):
        away = np.linalg.norm(frame.positions.astype(float) - frame.positions[17], axis=1)
        away[17] = np.inf
        for text, near in zip(cells(window, title, lane), looked.neighbours, strict=True):
            assert text.startswith(f"{near.item_id} · ")
            assert text.endswith(f"number {1 + int((away < away[near.item_id]).sum())}")
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    assert not view.data.isVisible()


@pytest.mark.thorough
def test_that_data_that_are_not_those_of_the_run_are_told(window, qtbot):
    view = window.stage.inspecting.view
    click(qtbot, window, seen(window)[-1])
    qtbot.waitUntil(lambda: view.data.isVisible(), timeout=10_000)
    assert view.data.words.text().startswith("The data hold no item 1")
    assert "Nearest in the data, and here" not in view.lists._sections
