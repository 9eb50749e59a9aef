"""Where the docks stand: after a window was low for a while, after a restart, and after a reset."""

from __future__ import annotations

from pathlib import Path

import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtWidgets import QTabBar

from app.panels.command_palette import CommandPalette
from app.window.bottom_height import SHARE
from app.window.docks import LEAST_CHART_PX
from app.window.main_window import MainWindow
from app.window.settings import Settings
from tests.app.window.test_main_window import press

LEFT = Qt.MouseButton.LeftButton


def bottom(window: MainWindow) -> tuple[int, int]:
    return window.docks._curves.height(), window.docks._timing.height()


def sized(qtbot, window: MainWindow, width: int, height: int) -> None:
    window.resize(width, height)
    qtbot.wait(100)


def near(height: int, wanted: float) -> bool:
    return abs(height - wanted) <= 2


def drag_border(qtbot, window: MainWindow, by: int) -> None:
    """With the mouse, the border between the clouds and the docks below them."""
    above = window.docks._curves.geometry().topLeft() + QPoint(200, -2)
    qtbot.mousePress(window, LEFT, pos=above)
    for step in range(1, 11):
        qtbot.mouseMove(window, above + QPoint(0, by * step // 10))
        qtbot.wait(10)
    qtbot.mouseRelease(window, LEFT, pos=above + QPoint(0, by))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(tmp_path / "window.ini")


def test_that_the_docks_below_are_high_again_when_a_low_window_grows_and_after_a_restart(
    open_window, qtbot, tmp_path, settings
):
    window = open_window(settings=settings)
    sized(qtbot, window, 1500, 900)
    before = bottom(window)
    assert near(before[0], SHARE * 900)
    sized(qtbot, window, 760, 480)
    assert max(bottom(window)) < before[0] - 20
    bars = [bar for bar in window.findChildren(QTabBar) if bar.parent() is window and bar.isVisible()]
    assert {bar.tabText(tab) for bar in bars for tab in range(bar.count())} >= {"Hardness", "Missed", "Class pairs"}
    for bar in bars:
        for tab in range(bar.count()):  # whole words, which scroll where they do not fit
            assert bar.tabRect(tab).width() > bar.fontMetrics().horizontalAdvance(bar.tabText(tab))
    sized(qtbot, window, 1500, 900)
    qtbot.waitUntil(lambda: bottom(window) == before, timeout=3000)
    sized(qtbot, window, 760, 480)
    window.docks.keep(settings)  # as a window that is closed while it is low
    again = open_window(settings=settings)
    again.docks.restore(settings)
    again.docks.place()
    sized(qtbot, again, 1500, 900)
    assert near(bottom(again)[0], SHARE * 900)


def test_that_reset_layout_brings_docks_back_to_their_places_and_sizes(open_window, qtbot):
    window = open_window()
    sized(qtbot, window, 1500, 900)
    docks = window.docks
    docks._form.close()
    docks._timing.setFloating(True)
    docks._misses.close()
    docks._pairs.close()
    window.addDockWidget(Qt.DockWidgetArea.RightDockWidgetArea, docks._curves)
    press(qtbot, window, Qt.Key.Key_K, Qt.KeyboardModifier.ControlModifier)
    palette = window.findChild(CommandPalette)
    qtbot.keyClicks(palette.line, "reset")  # also a part of "preset", which the tip of Undo speaks of
    assert [palette.list.item(row).text().split("    ")[0] for row in range(2)] == ["Reset", "Reset layout"]
    qtbot.keyClicks(palette.line, " lay")
    qtbot.keyClick(palette.line, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: docks._form.isVisible() and near(docks._form.width(), 320), timeout=3000)
    qtbot.waitUntil(
        lambda: all(near(dock.height(), SHARE * 900) for dock in (docks._curves, docks._hardness)), timeout=3000
    )
    curves, times = docks._curves.geometry(), docks._timing.geometry()
    assert curves.top() == times.top() > docks._form.geometry().top() and curves.right() < times.left()
    assert near(curves.width() * 420 / 600, times.width()), "in a row of three, for there is room"
    assert window.tabifiedDockWidgets(docks._timing) == [docks._misses, docks._pairs]
    assert docks._misses.isVisible() and docks._pairs.isVisible()
    assert times.left() > docks._hardness.geometry().right() > 0, "the times lie on top of the misses"


@pytest.mark.thorough
def test_that_a_height_the_user_dragged_is_the_one_that_comes_back(open_window, qtbot, settings):
    window = open_window(settings=settings)
    sized(qtbot, window, 1500, 900)
    drag_border(qtbot, window, 90)
    dragged = bottom(window)
    assert dragged[0] < 180
    sized(qtbot, window, 1500, 600)
    sized(qtbot, window, 1500, 900)
    assert near(bottom(window)[0], dragged[0])
    window.docks.keep(settings)
    again = open_window(settings=settings)
    sized(qtbot, again, 1500, 900)
    again.docks.restore(settings)
    again.docks.place()
    qtbot.wait(100)
    assert near(bottom(again)[0], dragged[0])


def test_that_the_inspector_of_a_small_window_takes_its_room_from_the_curves_not_from_what_is_beside_them(
    open_window, qtbot
):
    window = open_window()
    sized(qtbot, window, 1280, 720)
    docks = window.docks
    beside = docks._hardness.width()
    assert beside > 350
    press(qtbot, window, Qt.Key.Key_Slash)
    qtbot.waitUntil(lambda: docks._inspector.width() >= 300, timeout=3000)
    qtbot.waitUntil(lambda: LEAST_CHART_PX <= docks._hardness.width() < beside, timeout=3000)
    assert docks._curves.width() >= LEAST_CHART_PX
