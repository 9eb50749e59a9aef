"""Pictures of items in the clouds of a real window: which come, which stay, and why there are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from app.history.playback import load
from app.picture.edges import HARD, SEMI_HARD
from app.stage.thumbnails import CHANGED, NO_PICTURES
from app.window.main_window import MainWindow
from tests.app import engine
from tests.app.window.test_class_pairs import steps
from tests.app.window.test_inspector import settle


def pictures(count: int = 90) -> dict[str, np.ndarray]:
    """Items of three classes that lie apart; the pixels of each are its number."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    x = np.eye(3)[labels] * 4 + rng.normal(size=(count, 3))
    return {"x": x, "y": labels, "images": np.repeat(np.arange(count, dtype=np.uint8), 16).reshape(count, 4, 4)}


@pytest.fixture
def own(tmp_path: Path) -> Path:
    np.savez(tmp_path / "own.npz", **pictures())
    return tmp_path / "own.npz"


def opened(open_window, qtbot, source: dict) -> MainWindow:
    window: MainWindow = open_window(config=engine.config(data=source, frame_every=1), source=engine.source)
    steps(window, qtbot, 12)
    settle(qtbot, window)
    return window


def said(window: MainWindow) -> str:
    """What stands in the status bar."""
    return window.statusBar().currentMessage()


def shown(window: MainWindow, lane: int = 0) -> list[int]:
    return window.stage.panes.views[lane].thumbnail_ids


@pytest.mark.thorough
def test_that_a_chosen_point_and_the_ends_of_hard_edges_have_their_pictures_in_every_pane(open_window, qtbot, own):
    window = opened(open_window, qtbot, {"name": "file", "options": {"path": str(own)}})
    stage = window.stage
    qtbot.waitUntil(lambda: all(shown(window, lane) for lane in range(2)), timeout=10_000)
    scene, frame = stage.panes.views[1].scene, stage.panes.frames[1]
    hard = scene.edges[np.isin(scene.edge_kinds, (HARD, SEMI_HARD))]
    assert len(hard), "the lane mines"
    ends = set(scene.ids[hard].ravel().tolist())
    qtbot.waitUntil(lambda: bool(ends & set(shown(window, 1))), timeout=10_000)
    hardest = frame.triplets[np.argsort(frame.separation, kind="stable")][0]
    qtbot.waitUntil(lambda: {int(hardest[0]), int(hardest[2])} <= set(shown(window, 1)), timeout=10_000)
    crowded = next(item for item in scene.ids.tolist() if item not in shown(window, 0) + shown(window, 1))
    stage.choice.pick(crowded)
    qtbot.waitUntil(lambda: all(crowded in shown(window, lane) for lane in range(2)), timeout=10_000)
    for view in stage.panes.views:
        pixels = view._thumbnails._pixels
        assert all((pixels[item] == item).all() for item in view.thumbnail_ids), "of the item itself"
    stage.choice.pick(-1)
    stage.panes.point_hovered.emit(crowded)
    qtbot.waitUntil(lambda: all(crowded in shown(window, lane) for lane in range(2)), timeout=10_000)


def test_that_pictures_appear_where_a_zoom_makes_room_and_the_switch_takes_them_away(open_window, qtbot):
    window = opened(open_window, qtbot, {"name": "digits"})
    view = window.stage.panes.views[0]
    qtbot.waitUntil(lambda: len(shown(window)) > 0, timeout=10_000)
    ends = set(shown(window))
    window.stage.panes.set_linked(False)
    view._move(view.camera.zoomed(20.0))
    qtbot.waitUntil(lambda: len(set(shown(window)) - ends) >= 6, timeout=10_000)
    assert len(shown(window)) <= 30
    kept = shown(window)
    for _ in range(8):  # a little turn changes next to nothing
        view._move(view.camera.orbited(0.2, 0.0))
        view.render_now()
    assert len(set(kept) - set(shown(window))) <= 2
    qtbot.keyClick(window, Qt.Key.Key_T, Qt.KeyboardModifier.ShiftModifier)
    assert not window.actions_by_key["pictures"].isChecked()
    qtbot.waitUntil(lambda: not shown(window) and not shown(window, 1), timeout=5000)
    qtbot.keyClick(window, Qt.Key.Key_T, Qt.KeyboardModifier.ShiftModifier)
    qtbot.waitUntil(lambda: len(shown(window)) > 0, timeout=10_000)


@pytest.mark.thorough
def test_that_of_data_without_pictures_nothing_is_asked_twice_and_the_switch_says_why(open_window, qtbot):
    window = opened(open_window, qtbot, {"name": "blobs", "options": {"points": 120, "classes": 4}})
    asked = []
    qtbot.waitUntil(lambda: window.stage.thumbnails._none == NO_PICTURES, timeout=10_000)
    assert NO_PICTURES not in said(window)
    window.stage.thumbnails.asked.connect(lambda *request: asked.append(request))
    steps(window, qtbot, 14)
    qtbot.wait(600)
    assert not asked and not shown(window)
    window.actions_by_key["pictures"].trigger()
    window.actions_by_key["pictures"].trigger()
    assert said(window) == NO_PICTURES


@pytest.mark.thorough
def test_that_a_recording_has_its_pictures_while_its_data_are_there(open_window, qtbot, own, tmp_path):
    window = opened(open_window, qtbot, {"name": "file", "options": {"path": str(own)}})
    window.run.toggle()
    window.bridge.stop()
    qtbot.waitUntil(lambda: not window.bridge.active, timeout=20_000)

    def replayed(path: Path) -> MainWindow:
        again: MainWindow = open_window(config=engine.config(), source=engine.source)
        again.session.show_past(*load(path, lambda _done, _total: True))
        qtbot.waitUntil(lambda: again.stage.replaying, timeout=10_000)
        return again

    folder = window.stage.folder
    again = replayed(folder)
    qtbot.waitUntil(lambda: len(shown(again)) > 0, timeout=10_000)
    changed = pictures()
    np.savez(own, **{**changed, "y": changed["y"][::-1].copy()})
    other = replayed(folder)
    qtbot.waitUntil(lambda: said(other) == CHANGED, timeout=10_000)
    assert not shown(other)
    own.unlink()
    gone = replayed(folder)
    qtbot.waitUntil(lambda: said(gone).startswith("No pictures in the clouds: "), timeout=10_000)
    assert "own.npz" in said(gone) and not shown(gone)
