"""Clouds that were thinned to keep up, once nothing moves any more."""

from __future__ import annotations

from PyQt6.QtCore import Qt

from app.picture.scene import DetailLevel
from hnm_core.run.events import RunState
from tests.app.window.test_main_window import press, train, wait_for


def test_that_thinned_clouds_come_to_rest_in_full_though_their_captions_and_so_their_cameras_change(open_window, qtbot):
    window = open_window()
    window.resize(1300, 900)
    train(qtbot, window)
    press(qtbot, window, Qt.Key.Key_Space)
    wait_for(qtbot, window, RunState.PAUSED)
    views = window.stage.panes.views
    for view in views:
        view._detail = DetailLevel(share=0.5)
        view._invalidate()
    qtbot.waitUntil(lambda: all("all points drawn" in view.caption for view in views), timeout=5000)
    qtbot.wait(500)
    paints = [view.paint_count for view in views]
    qtbot.wait(1000)
    assert [view.paint_count for view in views] == paints
    assert all(view.picture().points_in_view == 60 for view in views)
    press(qtbot, window, Qt.Key.Key_R)
    wait_for(qtbot, window, RunState.IDLE)
    assert [view.caption for view in window.stage.panes.views] == ["", ""]
