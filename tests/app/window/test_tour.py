from __future__ import annotations

import pytest
from PyQt6.QtCore import QPoint, QPointF, QRect, QSize, Qt
from PyQt6.QtWidgets import QApplication, QDockWidget

from app.panels.tour import Stop, Tour, nearest, placed
from app.picture.theme import DARK, LIGHT
from app.window.settings import Settings
from hnm_core.run.events import RunState

ROOM = QRect(0, 0, 1000, 700)
CARD = QSize(300, 150)


def tour_of(window, qtbot) -> Tour:
    window.motion.reduce(True)
    window.actions_by_key["tour"].trigger()
    found = window.findChild(Tour)
    qtbot.waitUntil(found.next.hasFocus, timeout=2000)
    return found


def at(window, widget) -> QRect:
    return QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())


def test_that_six_cards_point_at_the_real_controls(open_window, qtbot):
    window = open_window()
    tour = tour_of(window, qtbot)
    stage = window.stage
    train = window.controls.widgetForAction(window.actions_by_key["toggle_run"])
    palette = window.controls.widgetForAction(window.actions_by_key["palette"])
    pointed = (train, window.form.lanes, stage.panes, stage.timeline, stage.timing, palette)
    titles = set()
    for place, widget in enumerate(pointed):
        assert tour.spot.intersected(at(window, widget)).width() > 0.9 * widget.width()
        assert window.rect().contains(tour.card.geometry())
        assert tour._count.text() == f"{place + 1} of 6"
        titles.add(tour.title.text())
        qtbot.mouseClick(tour.next, Qt.MouseButton.LeftButton)
    assert len(titles) == 6
    assert window.findChild(Tour) is None or not tour.isVisible()
    qtbot.waitUntil(lambda: window._tour is None, timeout=2000)


def test_that_arrow_keys_go_on_and_back_and_escape_leaves(open_window, qtbot):
    window = open_window()
    tour = tour_of(window, qtbot)
    first = tour.title.text()
    qtbot.keyClick(tour.next, Qt.Key.Key_Left)
    assert tour.title.text() == first, "there is nothing before the first"
    assert not tour.back.isEnabled()
    qtbot.keyClick(tour.next, Qt.Key.Key_Right)
    second = tour.title.text()
    qtbot.keyClick(tour.next, Qt.Key.Key_Return)
    assert tour.title.text() not in (first, second)
    qtbot.keyClick(tour.next, Qt.Key.Key_Left)
    assert tour.title.text() == second
    assert second in tour.card.accessibleName()
    qtbot.keyClick(tour.next, Qt.Key.Key_Escape)
    assert window._tour is None
    assert window.centralWidget().hasFocus()


def test_that_keys_of_the_window_wait_until_the_tour_is_over(open_window, qtbot):
    window = open_window()
    tour = tour_of(window, qtbot)
    edges = window.actions_by_key["edges"].isChecked()
    for key in (Qt.Key.Key_E, Qt.Key.Key_Space, Qt.Key.Key_Period):
        qtbot.keyClick(QApplication.focusWidget(), key)
    assert window.actions_by_key["edges"].isChecked() == edges
    assert window.bridge.state is RunState.IDLE
    assert tour._count.text() == "2 of 6", "Space presses the button"
    qtbot.keyClick(tour.next, Qt.Key.Key_Tab)
    assert tour.skip.hasFocus(), "Tab stays in the card"
    qtbot.keyClick(tour.skip, Qt.Key.Key_Return)
    qtbot.keyClick(window, Qt.Key.Key_E)
    assert window.actions_by_key["edges"].isChecked() != edges


def test_that_the_light_follows_when_the_window_is_resized(open_window, qtbot):
    window = open_window()
    tour = tour_of(window, qtbot)
    for _ in range(3):
        qtbot.keyClick(tour.next, Qt.Key.Key_Right)
    window.resize(1000, 660)
    qtbot.waitUntil(lambda: tour.geometry() == window.rect(), timeout=3000)
    qtbot.waitUntil(lambda: tour.spot.contains(at(window, window.stage.timeline).center()), timeout=3000)
    assert window.rect().contains(tour.card.geometry())


def test_that_a_card_whose_control_is_hidden_stands_in_the_middle(open_window, qtbot):
    window = open_window()
    window.findChild(QDockWidget, "experiment").hide()
    tour = tour_of(window, qtbot)
    qtbot.keyClick(tour.next, Qt.Key.Key_Right)
    assert tour.spot.isEmpty()
    assert (tour.card.geometry().center() - window.rect().center()).manhattanLength() <= 2


def test_that_the_light_glides_unless_motion_is_reduced(open_window, qtbot):
    window = open_window()
    window.actions_by_key["tour"].trigger()
    tour = window._tour
    before = QRect(tour.spot)
    qtbot.keyClick(tour.next, Qt.Key.Key_Right)
    assert tour.spot == before
    qtbot.waitUntil(lambda: tour.spot.contains(at(window, window.form.lanes).center()), timeout=3000)


def test_that_a_newcomer_is_shown_round_once(open_window, qtbot, tmp_path):
    settings = Settings(tmp_path / "window.ini")
    window = open_window(settings=settings)
    assert window._tour is None
    window.greet()
    assert window._tour is not None
    window._tour.end()
    assert settings.text("tour") == "seen"
    window.greet()
    assert window._tour is None


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_that_what_a_card_points_at_is_lighter_than_the_rest(open_window, qtbot, theme):
    window = open_window()
    window.look.set(theme)
    window.motion.reduce(True)
    before = window.grab().toImage()
    tour = tour_of(window, qtbot)
    after = window.grab().toImage()
    inside, outside = tour.spot.center(), QPoint(window.width() - 30, window.height() - 60)
    assert after.pixelColor(inside) == before.pixelColor(inside)
    assert after.pixelColor(outside).lightness() < before.pixelColor(outside).lightness()


@pytest.mark.parametrize(
    ("spot", "goal"),
    [
        (QRect(100, 300, 100, 60), QPoint(225, 254)),
        (QRect(850, 300, 100, 60), QPoint(524, 254)),
        (QRect(100, 40, 800, 100), QPoint(349, 165)),
        (QRect(100, 500, 800, 150), QPoint(349, 324)),
        (QRect(14, 14, 960, 680), QPoint(343, 529)),
        (QRect(), QPoint(349, 274)),
    ],
    ids=["right", "left", "below", "above", "inside", "nowhere"],
)
def test_that_a_card_stands_beside_what_it_points_at(spot, goal):
    at_place = placed(CARD, spot, ROOM)
    assert (at_place - goal).manhattanLength() <= 3
    assert ROOM.contains(QRect(at_place, CARD))


def test_that_the_line_joins_the_two_boxes_on_the_shortest_way():
    left, right = QRect(0, 0, 100, 100), QRect(200, 40, 100, 100)
    assert nearest(left, right) == (QPointF(99, 69.5), QPointF(200, 69.5))
    assert nearest(right, left) == (QPointF(200, 69.5), QPointF(99, 69.5))
    corner = QRect(300, 300, 50, 50)
    assert nearest(left, corner) == (QPointF(99, 99), QPointF(300, 300))
    one, other = nearest(left, QRect(50, 50, 10, 10))
    assert one == other


def test_that_a_tour_of_nothing_in_sight_has_cards_all_the_same(qtbot, open_window):
    window = open_window()
    tour = Tour([Stop("One", "Nothing to see.", list)], DARK, still=True, window=window)
    assert tour.spot.isEmpty()
    assert tour.next.text() == "Done"
    tour.end()
