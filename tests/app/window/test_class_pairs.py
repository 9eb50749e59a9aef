"""The panel of class pairs in a real window: chosen by mouse and keys, seen in the clouds, followed in time."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, Qt
from PyQt6.QtGui import QHelpEvent
from PyQt6.QtWidgets import QApplication, QTabBar, QToolTip

from app.history.class_pairs import class_pairs
from app.window.main_window import MainWindow
from hnm_core.run.events import RunState
from tests.app import engine
from tests.app.window.test_inspector import settle

LEFT = Qt.MouseButton.LeftButton
CLASSES = 18


def raise_tab(qtbot, window: MainWindow, name: str) -> None:
    bars = window.findChildren(QTabBar)
    bar, place = next((bar, at) for bar in bars for at in range(bar.count()) if bar.tabText(at) == name)
    qtbot.mouseClick(bar, LEFT, pos=bar.tabRect(place).center())


def steps(window: MainWindow, qtbot, done: int) -> None:
    for step in range(window.stage.history.last_step + 1, done + 1):
        window.actions_by_key["step"].trigger()
        qtbot.waitUntil(
            lambda step=step: [lane.rows() for lane in window.stage.history.lanes.values()] == [step, step],
            timeout=60_000,
        )
    qtbot.waitUntil(lambda: window.bridge.state is RunState.PAUSED, timeout=5000)


@pytest.fixture
def window(open_window, qtbot) -> MainWindow:
    data = {"name": "near-classes", "options": {"groups": 6, "classes_per_group": 3, "points_per_class": 30}}
    window: MainWindow = open_window(config=engine.config(data=data, frame_every=1), source=engine.source)
    raise_tab(qtbot, window, "Class pairs")
    assert window.stage.pairs.isVisible()
    assert "appears here" in window.stage.pairs.matrix.message
    steps(window, qtbot, 12)
    settle(qtbot, window)
    qtbot.waitUntil(lambda: shown_step(window) == 12, timeout=5000)
    return window


def shown_step(window: MainWindow) -> int:
    lanes = window.stage.pairs.matrix._painted.lanes
    return lanes[-1].pairs.step if lanes else -1


def most_mined(window: MainWindow, lane: int = 1) -> tuple[int, int]:
    frame, started = window.stage.panes.frames[lane], window.stage.history.started
    pairs = class_pairs(started, frame)
    return int(pairs.anchor[0]), int(pairs.negative[0])


def name(window: MainWindow, label: int) -> str:
    return window.stage.history.started.class_names[label]


def listed(window: MainWindow, pair: tuple[int, int]) -> str:
    """As the list has it: "group 1, class 2" is "1, 2" below the words that all classes share, and what both names have
    in common comes once."""
    assert window.stage.pairs.list.headerItem().text(0) == "group, class"
    anchor, negative = (name(window, label).replace("group ", "").replace("class ", "") for label in pair)
    same = anchor.split(", ")[0] == negative.split(", ")[0]
    return f"{anchor} → {negative.split()[-1] if same else negative}"


def drawn_pairs(window: MainWindow, lane: int) -> Counter:
    """Classes at the ends of what a pane draws."""
    scene, labels = window.stage.panes.views[lane].scene, window.stage.history.started.labels
    return Counter(map(tuple, labels[scene.edges].tolist()))


def told_pairs(window: MainWindow, lane: int) -> Counter:
    """Classes of mined anchors and negatives, counted in a loop."""
    frame, started = window.stage.panes.frames[lane], window.stage.history.started
    label = dict(zip(started.ids.tolist(), started.labels.tolist(), strict=True))
    return Counter((label[a], label[n]) for a, _, n in frame.triplets.tolist() if a >= 0 and n >= 0)


def click_cell(window: MainWindow, qtbot, pair: tuple[int, int], lane: int = 1) -> None:
    matrix = window.stage.pairs.matrix
    qtbot.mouseClick(matrix, LEFT, pos=matrix.cell_box(lane, *pair).center().toPoint())


def test_that_a_click_selects_both_classes_everywhere_and_draws_their_edges_alone(window, qtbot) -> None:
    choice, started, pair = window.stage.choice, window.stage.history.started, most_mined(window)
    before = [drawn_pairs(window, lane) for lane in range(2)]
    assert all(len(each) > 10 for each in before)
    click_cell(window, qtbot, pair)
    assert choice.selection.ids.tolist() == started.ids[np.isin(started.labels, pair)].tolist()
    settle(qtbot, window)
    for lane in range(2):
        told = told_pairs(window, lane)[pair]
        assert drawn_pairs(window, lane) == (Counter({pair: told}) if told else Counter())
        counted = f"{told} edge{'s' if told != 1 else ''} {name(window, pair[0])} → {name(window, pair[1])}"
        assert counted in window.stage.panes.views[lane].caption
    assert window.stage.pairs.clear_button.isVisible()
    click_cell(window, qtbot, pair)
    settle(qtbot, window)
    assert not len(choice.ids) and choice.selection.pair is None
    assert [drawn_pairs(window, lane) for lane in range(2)] == before
    assert not window.stage.pairs.clear_button.isVisible()


@pytest.mark.thorough
def test_that_escape_and_the_button_draw_all_edges_again_also_of_isolated_points(window, qtbot) -> None:
    choice, pair, view = window.stage.choice, most_mined(window), window.stage.panes.views[1]
    before = drawn_pairs(window, 1)
    click_cell(window, qtbot, pair)
    qtbot.keyClick(window, Qt.Key.Key_I)
    settle(qtbot, window)
    scene, labels = view.scene, window.stage.history.started.labels
    assert set(labels[scene.radii > 0].tolist()) == set(pair)
    assert set(drawn_pairs(window, 1)) == {pair}, "isolated points keep their edges"
    qtbot.mouseClick(window.stage.pairs.clear_button, LEFT)
    settle(qtbot, window)
    assert choice.selection.pair is None and (view.scene.radii > 0).all() and drawn_pairs(window, 1) == before
    click_cell(window, qtbot, pair)
    qtbot.keyClick(window, Qt.Key.Key_Escape)
    settle(qtbot, window)
    assert choice.selection.pair is None and drawn_pairs(window, 1) == before
    other, started = next(label for label in range(CLASSES) if label not in pair), window.stage.history.started
    for leave_it_out in (
        lambda: choice.isolate_class(other),
        lambda: (choice.select(started.ids[labels == other], False), choice.isolate()),
        lambda: (choice.select(started.ids[labels == pair[0]], False), choice.hide()),
    ):
        choice.show_all()
        leave_it_out()
        click_cell(window, qtbot, pair)
        settle(qtbot, window)
        assert set(drawn_pairs(window, 1)) == {pair}, "what is clicked is seen"


def test_that_arrow_keys_go_through_the_matrices_and_return_and_space_choose(window, qtbot) -> None:
    matrix, choice = window.stage.pairs.matrix, window.stage.choice
    axis = matrix._painted.axis.tolist()
    matrix.setFocus()
    qtbot.keyClick(matrix, Qt.Key.Key_Down)  # the first cell
    qtbot.keyClick(matrix, Qt.Key.Key_Down)
    qtbot.keyClick(matrix, Qt.Key.Key_Return)
    assert choice.selection.pair == (axis[1], axis[0])
    assert f"random · {name(window, axis[1])} anchors → {name(window, axis[0])}: " in matrix.accessibleDescription()
    for _ in range(CLASSES):
        qtbot.keyClick(matrix, Qt.Key.Key_Right)
    state = window.bridge.state
    qtbot.keyClick(matrix, Qt.Key.Key_Down)
    qtbot.keyClick(matrix, Qt.Key.Key_Space)
    assert window.bridge.state is state, "Space does not start the run here"
    assert choice.selection.pair == (axis[2], axis[0])
    assert f"knn · {name(window, axis[2])} anchors → {name(window, axis[0])}: " in matrix.accessibleDescription()
    qtbot.keyClick(matrix, Qt.Key.Key_Left)
    assert f"random · {name(window, axis[2])} anchors → {name(window, axis[-1])}: " in matrix.accessibleDescription()


@pytest.mark.thorough
def test_that_the_pointer_tells_counts_and_the_list_ranks_pairs(window, qtbot) -> None:
    view, pair = window.stage.pairs, most_mined(window)
    told = told_pairs(window, 1)
    at = view.matrix.cell_box(1, *pair).center()
    said = view.matrix.text_at(at.x(), at.y())
    anchor, negative = (name(window, label) for label in pair)
    assert said.startswith(f"knn · {anchor} anchors → {negative}: {told[pair]} of {sum(told.values())} mined pairs (")
    assert said.endswith(" hard")
    qtbot.mouseMove(view.matrix, at.toPoint())
    qtbot.waitUntil(lambda: said in (view.side.text(), view.title.text()), timeout=3000)
    assert "positives are not counted" in view.matrix.text_at(*_middle(view.matrix.cell_box(0, 3, 3)))
    head = view.matrix.cell_box(1, int(view.matrix._painted.axis[0]), int(view.matrix._painted.axis[0]))
    assert "knn at step 12: counted are all" in view.matrix.text_at(head.left() + 2, head.top() - 8)
    window.resize(1900, 1000)
    qtbot.waitUntil(view.list.isVisible, timeout=3000)
    shares = [told_pairs(window, lane) for lane in range(2)]
    best = max(count / sum(each.values()) for each in shares for count in each.values())
    first = view.list.topLevelItem(0)
    chosen = next(pair for pair in shares[1] if listed(window, pair) == first.text(0))
    assert max(each[chosen] / sum(each.values()) for each in shares) == pytest.approx(best)
    box = view.list.visualItemRect(first)
    qtbot.mouseClick(view.list.viewport(), LEFT, pos=QPoint(12, box.center().y()))
    assert window.stage.choice.selection.pair == chosen
    view.list.setFocus()
    qtbot.keyClick(view.list, Qt.Key.Key_Down)
    qtbot.keyClick(view.list, Qt.Key.Key_Return)
    second = window.stage.choice.selection.pair
    assert second != chosen and listed(window, second) == view.list.topLevelItem(1).text(0)


def _middle(box) -> tuple[float, float]:
    return box.center().x(), box.center().y()


@pytest.mark.thorough
def test_that_every_panel_has_its_turn_also_where_ticks_are_slow(window, monkeypatch) -> None:
    stage, served = window.stage, []
    for panel, method in (("timing", "show_history"), ("hardness", "show_run"), ("pairs", "show_run")):
        monkeypatch.setattr(getattr(stage, panel), method, lambda *_, panel=panel, **__: served.append(panel))
    monkeypatch.setattr(stage.hardness, "isVisible", lambda: True)
    for tick in range(60):
        stage._show_one(1e9 + tick)
    counts = [served.count(panel) for panel in ("timing", "hardness", "pairs")]
    assert min(counts) >= 5, counts


def test_that_matrices_follow_the_timeline_and_the_order_of_labels_is_a_click_away(window, qtbot) -> None:
    timeline, view = window.stage.timeline, window.stage.pairs
    order = view.matrix._painted.axis.tolist()
    assert sorted(order) == list(range(CLASSES)) and order != sorted(order)
    qtbot.mouseClick(view.order_box, LEFT, pos=QPoint(8, view.order_box.height() // 2))
    assert view.matrix._painted.axis.tolist() == list(range(CLASSES))
    timeline.set_live(False)
    timeline.set_step(5)
    timeline.scrubbed.emit(5)
    qtbot.waitUntil(lambda: shown_step(window) == 5, timeout=5000)
    settle(qtbot, window)
    told = told_pairs(window, 1)
    mined = view.matrix._painted.lanes[1].pairs.matrix(np.arange(CLASSES))
    assert {(a, n): int(mined[a, n]) for a, n in np.argwhere(mined).tolist()} == told
    window.actions_by_key["live"].trigger()
    qtbot.waitUntil(lambda: shown_step(window) == 12, timeout=5000)


@pytest.mark.thorough
def test_that_a_caption_without_room_ends_in_an_ellipsis_and_its_tip_has_the_whole(window, qtbot) -> None:
    title = window.stage.pairs.title
    title.setText("anchor ↓ negative → · of the hardest 2,000 of 2,372 tuples")
    title.setFixedWidth(120)
    assert title.shown().endswith("…") and len(title.shown()) < len(title.text())
    QApplication.sendEvent(title, QHelpEvent(QEvent.Type.ToolTip, QPoint(5, 5), title.mapToGlobal(QPoint(5, 5))))
    assert QToolTip.text().startswith(title.text())
    title.setFixedWidth(2000)
    assert title.shown() == title.text()
