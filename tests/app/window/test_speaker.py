from __future__ import annotations

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor
from PyQt6.QtWidgets import QDockWidget, QLineEdit

from app.window.settings import Settings
from app.window.speaker import HALO, HALO_PX, halo


def around(window) -> dict[str, bool]:
    """What stands around the clouds, and whether it is in sight."""
    named = {dock.objectName(): dock.isVisible() for dock in window.findChildren(QDockWidget)}
    parts = {"bar": window.statusBar(), "menus": window.menuBar(), "tools": window.controls, "about": window.about}
    return named | {name: part.isVisible() for name, part in parts.items()}


def sizes(window) -> list[int]:
    return [dock.width() * 10_000 + dock.height() for dock in window.findChildren(QDockWidget)]


def test_that_the_clouds_fill_the_screen_and_everything_comes_back_as_it_was(open_window, qtbot):
    window = open_window()
    window.findChild(QDockWidget, "timing").hide()
    qtbot.wait(50)
    before, places, size = around(window), sizes(window), window.size()
    font = window.stage.panes.views[0].font().pointSizeF()
    for back in (Qt.Key.Key_F11, Qt.Key.Key_Escape):
        qtbot.keyClick(window, Qt.Key.Key_F11)
        qtbot.waitUntil(window.isFullScreen, timeout=3000)
        assert not any(around(window).values())
        assert window.stage.panes.isVisible()
        assert window.stage.timeline.isVisible()
        assert all(view.font().pointSizeF() > 1.3 * font for view in window.stage.panes.views)
        assert window.stage.timeline.label.font().pointSizeF() > 1.3 * font
        assert window.centralWidget().cursor().shape() == Qt.CursorShape.BitmapCursor
        qtbot.keyClick(window, back)
        qtbot.waitUntil(lambda: not window.isFullScreen(), timeout=3000)
        qtbot.waitUntil(lambda: window.size() == size and sizes(window) == places, timeout=3000)
        assert around(window) == before
        assert not window.actions_by_key["speaker"].isChecked()
        assert window.stage.panes.views[0].font().pointSizeF() == font
        assert window.centralWidget().cursor().shape() == Qt.CursorShape.ArrowCursor
        assert not any(line.selectedText() for line in window.form.findChildren(QLineEdit))


@pytest.mark.thorough
def test_that_what_is_opened_meanwhile_keeps_to_the_clouds_until_the_full_screen_ends(open_window, qtbot):
    window = open_window()
    window.actions_by_key["speaker"].trigger()
    qtbot.waitUntil(window.isFullScreen, timeout=3000)
    large = window.stage.panes.views[0].font().pointSizeF()
    window.controls.preset_chosen.emit("types-of-triplets")
    qtbot.waitUntil(lambda: len(window.stage.panes.views) == 4, timeout=3000)
    qtbot.waitUntil(lambda: all(view.font().pointSizeF() == large for view in window.stage.panes.views), timeout=3000)
    qtbot.waitUntil(lambda: not window.about.isVisible(), timeout=3000)
    window.showNormal()  # as the desktop does
    qtbot.waitUntil(lambda: not window.speaker.on, timeout=3000)
    assert window.controls.isVisible()
    assert window.about.isVisible(), "it was there before"


@pytest.mark.thorough
def test_that_a_window_closed_in_it_is_remembered_as_it_was_before(open_window, qtbot, tmp_path):
    settings = Settings(tmp_path / "window.ini")
    window = open_window(settings=settings)
    window.actions_by_key["speaker"].trigger()
    with qtbot.waitSignal(window.closed, timeout=10_000):
        window.close()
    again = open_window(settings=settings)
    again.docks.restore(settings)
    assert not again.isFullScreen()
    assert [dock.objectName() for dock in again.findChildren(QDockWidget) if dock.isHidden()] == ["inspector", "review"]


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_that_the_halo_has_a_ring_and_points_with_its_middle(qapp, scale):
    cursor = halo(scale)
    picture = cursor.pixmap().toImage()
    assert picture.width() == HALO_PX * scale
    assert (cursor.hotSpot().x(), cursor.hotSpot().y()) == (HALO_PX // 2, HALO_PX // 2)
    ring = {picture.pixelColor(x, picture.height() // 2).rgb() for x in range(round(8 * scale))}
    assert QColor(*HALO).rgb() in ring
    assert picture.pixelColor(0, 0).alpha() == 0
