"""The histograms: bars where the numbers say, words beside them, a line that mouse and keys move."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from PyQt6.QtCore import QPoint, QPointF, Qt
from PyQt6.QtWidgets import QApplication

from app.history.hardness_words import BAND_WORDS
from app.picture.edges import kind_colors
from app.picture.theme import DARK, LIGHT
from app.views.band_key import BAND_KINDS
from app.views.hardness_cell import beginning
from app.views.hardness_view import HardnessView
from hnm_core.run.events import Frame, StepRecord, frozen
from hnm_core.run.hardness import Hardness, bands_of, histogram
from hnm_core.run.history import RunHistory
from hnm_core.spec.config import from_dict
from tests.app import runs

LEFT = Qt.MouseButton.LeftButton
DATA = {"name": "blobs", "options": {"points": 60, "classes": 3}}
SHIFT = Qt.KeyboardModifier.ShiftModifier


def frame_of(lane: str, separation: np.ndarray, margin: float = 0.5, step: int = 4) -> Frame:
    band = bands_of(separation.astype(np.float32), margin)
    counts = [int((band == place).sum()) for place in range(3)]
    width, first, bins = histogram(separation)
    hardness = Hardness(margin, *counts, width, first, frozen(bins))
    return replace(
        runs.frame(lane, step),
        hardness=hardness,
        mined_total=hardness.total,
        separation=frozen(separation[:2].astype(np.float32)),
    )


def run_of(*lanes: str, margin: float = 0.5) -> RunHistory:
    history = RunHistory()
    values = [{"name": name, "miner": "knn", "loss_options": {"margin": margin}} for name in lanes]
    history.add(runs.started(from_dict({"data": DATA, "lanes": values})))
    for lane in lanes:
        for step in range(1, 5):
            history.add(StepRecord(lane, step, 1.0, tuples={"mined": 250, "hard": 50, "semi_hard": 100, "easy": 100}))
    return history


def separations(shift: float = 0.0) -> np.ndarray:
    return np.random.default_rng(5).normal(0.4 + shift, 0.6, 1000)


@pytest.fixture
def view(qtbot):
    view = HardnessView()
    qtbot.addWidget(view)
    view.resize(600, 240)
    with qtbot.waitExposed(view):
        view.show()
    return view


@pytest.fixture
def shown(view):
    """A view of two lanes that train."""
    view.show_run(run_of("one", "two"), [frame_of("one", separations()), frame_of("two", separations(2.0))], None)
    QApplication.processEvents()
    return view


def test_that_nothing_yet_says_what_will_be_here(view):
    assert "appears here" in view.plot.message
    view.show_run(run_of("one"), [], None)
    assert "appears here" in view.plot.message


@pytest.mark.parametrize("width", [150, 180, 210, 240, 270, 300, 600])
def test_that_the_key_names_all_colours_of_bars_also_in_a_narrow_panel(shown, width):
    shown.setMinimumWidth(1)
    shown.plot.setMinimumWidth(1)
    shown.resize(width, 200)
    QApplication.processEvents()
    assert all(word.startswith(brief) for word, brief in zip(BAND_WORDS, shown.key.words, strict=True))
    assert (shown.key.words == BAND_WORDS) is (width >= 270)
    assert all(shown.key.words) is (width > 150)
    image = shown.key.grab().toImage()
    drawn = {image.pixelColor(x, image.height() // 2).getRgb()[:3] for x in range(image.width())}
    assert {kind_colors(DARK)[kind] for kind in BAND_KINDS} <= drawn
    assert shown.title.isVisibleTo(shown) is (width == 600)


def test_that_lanes_share_an_axis_until_each_has_its_own(shown, qtbot):
    one, two = shown.plot.cells
    assert one.line == two.line
    assert one.line.low < separations().min() and one.line.high > separations(2.0).max()
    qtbot.mouseClick(shown.axis_box, LEFT, pos=QPoint(8, shown.axis_box.height() // 2))
    one, two = shown.plot.cells
    assert one.line.high < two.line.high
    assert one.axis and two.axis


def test_that_bars_stand_where_the_separations_are_in_the_colours_of_the_edges(shown):
    for theme in (DARK, LIGHT):
        shown.set_theme(theme)
        image = shown.plot.grab().toImage()
        cell = shown.plot.cells[0]
        bottom = int(cell.plot.bottom()) - 2
        for separation, kind in zip((-0.25, 0.25, 0.75), BAND_KINDS, strict=True):
            colour = image.pixelColor(round(cell.x_of(separation)) - 2, bottom).getRgb()[:3]
            assert colour == kind_colors(theme)[kind]


def test_that_bands_are_told_from_each_other_by_lightness_alone():
    for theme in (DARK, LIGHT):
        grey = [float(np.dot((0.299, 0.587, 0.114), kind_colors(theme)[kind])) for kind in BAND_KINDS]
        steps = np.diff(grey)
        assert (np.sign(steps) == np.sign(steps[0])).all()
        assert (np.abs(steps) > 30).all()


def test_that_a_bar_tells_range_count_and_share_under_the_pointer(shown):
    cell = shown.plot.cells[0]
    hardness = cell.shown.hardness
    place = int(np.argmax(hardness.bins))
    middle = (hardness.edges[place] + hardness.edges[place + 1]) / 2
    tip = shown.plot.tip_at(QPointF(cell.x_of(middle), cell.plot.center().y()))
    assert f"from {hardness.edges[place]:.4g} to {hardness.edges[place + 1]:.4g}: {hardness.bins[place]} tuples" in tip
    assert tip.endswith(f"{100 * hardness.bins[place] / 1000:.2g} %")
    over = shown.plot.tip_at(QPointF(cell.box.center().x(), cell.box.top() + 3))
    assert f"hard {hardness.hard:,}" in over and "1,000 tuples" in over


def drag(qtbot, view, lane: str, to: float, *, drop: bool = True) -> None:
    """Take the line of a lane to a separation, as a hand does."""
    handle, plot = view.plot.handle(lane), view.plot
    cell = next(cell for cell in plot.cells if cell.shown.lane == lane)
    start, goal = cell.x_of(handle.value), cell.x_of(to)
    qtbot.mousePress(handle, LEFT, pos=handle.rect().center())
    for share in (0.3, 0.7, 1.0):
        at = QPoint(round(start + share * (goal - start)), round(cell.plot.center().y()))
        qtbot.mouseMove(handle, handle.mapFrom(plot, at))
    if drop:
        qtbot.mouseRelease(handle, LEFT, pos=handle.mapFrom(plot, at))


def test_that_the_mouse_moves_a_line_and_asks_when_it_lets_go(shown, qtbot):
    asked = []
    shown.margin_asked.connect(lambda *values: asked.append(values))
    drag(qtbot, shown, "one", 1.2, drop=False)
    handle = shown.plot.handle("one")
    assert handle.moving and not asked
    assert handle.value == pytest.approx(1.2, abs=0.04)
    assert f"{handle.value:.10g}" == f"{handle.value:.4g}", "a round number"
    before = shown.plot.cells[0].line
    shown.show_run(run_of("one", "two"), [frame_of("one", separations(5)), frame_of("two", separations(9))], None)
    assert shown.plot.cells[0].line == before, "the axis holds still under the mouse"
    qtbot.mouseRelease(handle, LEFT)
    assert asked == [("one", handle.value)]
    assert shown.plot.handle("two").value == 0.5


def test_that_escape_gives_a_drag_up(shown, qtbot):
    asked = []
    shown.margin_asked.connect(lambda *values: asked.append(values))
    drag(qtbot, shown, "one", 1.2, drop=False)
    handle = shown.plot.handle("one")
    qtbot.keyClick(handle, Qt.Key.Key_Escape)
    assert handle.value == 0.5 and not handle.moving
    qtbot.mouseRelease(handle, LEFT)
    assert asked == []


def test_that_keys_move_a_line_enter_applies_and_escape_gives_up(shown, qtbot):
    asked = []
    shown.margin_asked.connect(lambda *values: asked.append(values))
    handle = shown.plot.handle("two")
    handle.setFocus()
    qtbot.keyClick(handle, Qt.Key.Key_Right)
    once = handle.value
    assert once > 0.5 and handle.moving
    qtbot.keyClick(handle, Qt.Key.Key_Left, SHIFT)
    assert 0.5 < handle.value < once
    qtbot.keyClick(handle, Qt.Key.Key_Escape)
    assert handle.value == 0.5
    qtbot.keyClick(handle, Qt.Key.Key_Right)
    qtbot.keyClick(handle, Qt.Key.Key_Return)
    assert asked == [("two", once)]
    for _ in range(40):
        qtbot.keyClick(handle, Qt.Key.Key_Left)
    assert handle.value == 0, "a margin is not negative"
    shown.plot.handle("one").setFocus()
    assert handle.value == once, "who goes away gives up"
    assert len(asked) == 1


def test_that_lines_are_reached_by_tab_and_say_what_they_are(shown, qtbot):
    one, two = shown.plot.handle("one"), shown.plot.handle("two")
    assert one.accessibleName() == "Margin of one: 0.5"
    assert "arrow keys" in one.accessibleDescription()
    one.setFocus()
    qtbot.keyClick(one, Qt.Key.Key_Tab)
    assert two.hasFocus()


def test_that_a_fixed_line_takes_no_focus_no_mouse_and_says_why(shown, qtbot):
    shown.show_run(run_of("one", "two"), [frame_of("one", separations())], 4)
    handle = shown.plot.handle("one")
    drag_to = handle.rect().center() + QPoint(30, 0)
    qtbot.mousePress(handle, LEFT)
    qtbot.mouseMove(handle, drag_to)
    assert handle.value == 0.5 and not handle.moving
    assert handle.focusPolicy() is Qt.FocusPolicy.NoFocus
    assert "press End" in handle.toolTip()
    assert "No picture" in shown.plot.tip_at(shown.plot.cells[1].box.center())


def test_that_a_line_waits_where_it_was_asked_for_until_the_run_answers(shown, qtbot):
    drag(qtbot, shown, "one", 1.2)
    handle = shown.plot.handle("one")
    frames = [frame_of("one", separations()), frame_of("two", separations())]
    shown.show_run(run_of("one", "two"), frames, None)
    assert handle.value == pytest.approx(1.2, abs=0.04)
    shown.plot.forget_asked("one")
    assert handle.value == 0.5


@pytest.mark.parametrize("size", [(300, 110), (404, 125), (520, 190), (700, 340), (1100, 420)])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
def test_that_cells_of_any_number_fit_at_any_size_and_paint(view, size, count):
    names = [f"lane {place}" for place in range(count)]
    view.resize(*size)
    view.show_run(run_of(*names), [frame_of(name, separations()) for name in names], None)
    for theme in (DARK, LIGHT):
        view.set_theme(theme)
        view.plot.grab()
    boxes = [cell.box for cell in view.plot.cells]
    assert len(boxes) == count
    for place, box in enumerate(boxes):
        assert view.plot.rect().toRectF().adjusted(-1, -1, 1, 1).contains(box)
        assert not any(box.intersects(other) for other in boxes[:place])
    assert all(cell.plot.height() >= 6 and cell.box.contains(cell.plot.center()) for cell in view.plot.cells)


def test_that_the_same_frames_are_not_painted_again(shown, monkeypatch):
    history, frames = run_of("one"), [frame_of("one", separations())]
    shown.show_run(history, frames, None)
    calls = []
    monkeypatch.setattr(shown.plot, "show_lanes", lambda *_: calls.append(1))
    shown.show_run(history, frames, None)
    assert calls == []
    shown.show_run(history, [frame_of("one", separations())], None)
    assert calls == [1]


def test_that_a_message_without_room_ends_at_a_clause_or_in_an_ellipsis() -> None:
    message = "No tuples were mined in these steps; the loss looks at the whole batch."
    for room, wanted in ((80, message), (40, "No tuples were mined in these steps"), (15, "No tuples ..."), (2, "")):
        assert beginning(message, lambda text, room=room: len(text) <= room) == wanted
