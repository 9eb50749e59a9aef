from __future__ import annotations

import pytest
from PyQt6.QtCore import QPoint, QPointF, QRect, QSize, Qt
from PyQt6.QtGui import QKeySequence, QShortcut
from PyQt6.QtWidgets import QApplication, QLabel, QMainWindow, QVBoxLayout, QWidget

from app.panels.tour import Stop, Tour, nearest, placed
from app.picture.theme import DARK, LIGHT
from app.window.settings import Settings
from hnm_core.run.events import RunState

ROOM = QRect(0, 0, 1000, 700)
CARD = QSize(300, 150)


def at(window, widget) -> QRect:
    return QRect(widget.mapTo(window, QPoint(0, 0)), widget.size())


@pytest.fixture
def stand(qtbot) -> QMainWindow:
    """A small window with two things to point at, and a key of its own."""
    window = QMainWindow()
    qtbot.addWidget(window)
    centre = QWidget()
    window.setCentralWidget(centre)
    column = QVBoxLayout(centre)
    window.high, window.low = QLabel("high"), QLabel("low")
    for label in (window.high, window.low):
        label.setFixedHeight(60)
    column.addWidget(window.high)
    column.addStretch(1)
    column.addWidget(window.low)
    window.heard = []
    for key in ("E", "Space", "Ctrl+B"):
        QShortcut(QKeySequence(key), window).activated.connect(lambda key=key: window.heard.append(key))
    window.resize(900, 600)
    with qtbot.waitActive(window):
        window.show()
        window.activateWindow()
    return window


def tour_of(window, qtbot, *, still: bool = True) -> Tour:
    stops = [
        Stop("One", "Up there.", lambda: [window.high]),
        Stop("Two", "Down there.", lambda: [window.low]),
        Stop("Three", "Nowhere.", list),
    ]
    tour = Tour(stops, DARK, still=still, window=window)
    qtbot.waitUntil(tour.next.hasFocus, timeout=2000)
    return tour


def test_that_six_cards_point_at_the_real_controls_once_for_a_newcomer(open_window, qtbot, tmp_path):
    settings = Settings(tmp_path / "window.ini")
    window = open_window(settings=settings)
    window.motion.reduce(True)
    assert window._tour is None
    window.greet()
    tour, stage = window._tour, window.stage
    train = window.controls.widgetForAction(window.actions_by_key["toggle_run"])
    palette = window.controls.widgetForAction(window.actions_by_key["palette"])
    titles = set()
    for place, widget in enumerate((train, window.form.lanes, stage.panes, stage.timeline, stage.timing, palette)):
        assert tour.spot.intersected(at(window, widget)).width() > 0.9 * widget.width()
        assert window.rect().contains(tour.card.geometry())
        assert tour._count.text() == f"{place + 1} of 6"
        titles.add(tour.title.text())
        qtbot.mouseClick(tour.next, Qt.MouseButton.LeftButton)
    assert len(titles) == 6
    assert window._tour is None
    assert window.centralWidget().hasFocus()
    assert settings.text("tour") == "seen"
    window.greet()
    assert window._tour is None, "not a second time by itself"
    window.actions_by_key["tour"].trigger()
    assert window._tour is not None
    qtbot.keyClick(window._tour.next, Qt.Key.Key_Space)
    assert window._tour._count.text() == "2 of 6", "Space presses the button and does not train"
    assert window.bridge.state is RunState.IDLE


def test_that_arrow_keys_go_on_and_back_and_escape_leaves(stand, qtbot):
    tour = tour_of(stand, qtbot)
    qtbot.keyClick(tour.next, Qt.Key.Key_Left)
    assert tour.title.text() == "One", "there is nothing before the first"
    assert not tour.back.isEnabled()
    qtbot.keyClick(tour.next, Qt.Key.Key_Right)
    assert tour.title.text() == "Two"
    qtbot.keyClick(tour.next, Qt.Key.Key_Return)
    assert tour.title.text() == "Three"
    qtbot.keyClick(tour.next, Qt.Key.Key_Left)
    assert tour.title.text() == "Two"
    assert tour.card.accessibleName() == "Two. Down there."
    with qtbot.waitSignal(tour.ended):
        qtbot.keyClick(tour.next, Qt.Key.Key_Escape)


def test_that_keys_of_the_window_wait_until_the_tour_is_over_but_for_those_with_ctrl(stand, qtbot):
    tour = tour_of(stand, qtbot)
    for key in (Qt.Key.Key_E, Qt.Key.Key_Space):
        qtbot.keyClick(QApplication.focusWidget(), key)
    assert stand.heard == []
    qtbot.keyClick(QApplication.focusWidget(), Qt.Key.Key_B, Qt.KeyboardModifier.ControlModifier)
    assert stand.heard == ["Ctrl+B"]
    qtbot.keyClick(tour.next, Qt.Key.Key_Tab)
    assert tour.skip.hasFocus(), "Tab stays in the card"
    qtbot.keyClick(tour.skip, Qt.Key.Key_Return)
    qtbot.keyClick(stand, Qt.Key.Key_E)
    assert stand.heard == ["Ctrl+B", "E"]


def test_that_the_light_follows_when_the_window_is_resized_or_the_control_goes(stand, qtbot):
    tour = tour_of(stand, qtbot)
    qtbot.keyClick(tour.next, Qt.Key.Key_Right)
    assert tour.spot.contains(at(stand, stand.low))
    stand.resize(700, 450)
    qtbot.waitUntil(lambda: tour.geometry() == stand.rect(), timeout=3000)
    qtbot.waitUntil(lambda: tour.spot.contains(at(stand, stand.low).center()), timeout=3000)
    assert stand.rect().contains(tour.card.geometry())
    stand.low.hide()
    qtbot.waitUntil(lambda: tour.spot.isEmpty(), timeout=3000)
    assert (tour.card.geometry().center() - stand.rect().center()).manhattanLength() <= 2


def test_that_the_light_glides_unless_motion_is_reduced(stand, qtbot):
    tour = tour_of(stand, qtbot, still=False)
    before = QRect(tour.spot)
    qtbot.keyClick(tour.next, Qt.Key.Key_Right)
    assert tour.spot == before
    qtbot.waitUntil(lambda: tour.spot.contains(at(stand, stand.low)), timeout=3000)


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_that_what_a_card_points_at_is_lighter_than_the_rest(stand, qtbot, theme):
    tour = tour_of(stand, qtbot)
    tour.hide()
    before = stand.grab().toImage()
    tour.show()
    tour.set_theme(theme)
    after = stand.grab().toImage()
    inside, outside = tour.spot.center(), at(stand, stand.low).center()
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
