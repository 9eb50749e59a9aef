"""Where matrices of class pairs stand, what their cells look like, and that amounts are read by lightness."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from app.history.class_pairs import class_pairs
from app.picture.ramp import amount_colors
from app.picture.theme import DARK, LIGHT, contrast
from app.views.pair_layout import GAP, pair_layout
from app.views.pair_matrix import PairMatrix
from app.views.pair_painter import Shown
from app.views.pairs_view import LEAST_MATRIX_PX, PairsView
from hnm_core.run.events import Frame
from tests.app.history.test_class_pairs import frame, started

SIZES = [(250, 110), (420, 150), (700, 220), (900, 500), (1400, 300), (90, 60)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("count", range(1, 7))
@pytest.mark.parametrize("classes", [2, 10, 40])
def test_that_matrices_lie_inside_and_apart_and_every_place_finds_its_cell(size, count, classes):
    layout = pair_layout(*size, count, [7.0 if classes < 40 else 60.0] * classes, 12.0, 15.0)
    side = layout.cell * classes
    boxes = [(left, top, left + side, top + side) for left, top in layout.corners]
    assert len(boxes) == count
    for left, top, right, bottom in boxes:
        assert left >= layout.left and top >= 15 and right <= size[0] + 1e-6 and bottom <= size[1] + 1e-6
    for place, one in enumerate(boxes):
        for other in boxes[place + 1 :]:
            assert one[2] + GAP <= other[0] + 1e-6 or one[3] + 15 <= other[1] + 1e-6
    for number, (left, top) in enumerate(layout.corners):
        for row, column in ((0, 0), (classes - 1, 1), (1, classes - 1)):
            x, y = left + (column + 0.5) * layout.cell, top + (row + 0.5) * layout.cell
            assert layout.place(x, y, classes) == (number, row, column)
    assert layout.place(-1, -1, classes) is None


def test_that_classes_are_named_where_there_is_room():
    short, long = [7.0] * 10, [70.0] * 10
    assert pair_layout(420, 160, 2, short, 12, 15).rows
    roomy = pair_layout(900, 420, 2, short, 12, 15)
    assert roomy.rows and roomy.columns == "flat"
    assert pair_layout(900, 420, 2, long, 12, 15).columns == "upright"
    tight = pair_layout(420, 90, 3, short, 12, 15)
    assert not tight.rows and tight.columns == ""
    assert tight.cell * 10 > 60, "no room is lost to names that are not there"


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_that_more_is_farther_from_the_ground_and_the_least_is_told_from_nothing(theme):
    colors = amount_colors(np.linspace(0, 1, 41), theme)
    away = [contrast(tuple(color), theme.panel) for color in colors.tolist()]
    assert tuple(colors[0]) == theme.panel
    assert all(later > sooner for sooner, later in pairwise(away))
    least = amount_colors(np.array([1e-6]), theme)[0]
    assert contrast(tuple(least.tolist()), theme.panel) >= 1.25 and away[-1] >= 7


def pixel(matrix: PairMatrix, pair: tuple[int, int], across: float = 0.5, down: float = 0.5) -> tuple[int, int, int]:
    box = matrix.cell_box(0, *pair)
    color = (
        matrix.grab().toImage().pixelColor(int(box.left() + across * box.width()), int(box.top() + down * box.height()))
    )
    return color.red(), color.green(), color.blue()


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_that_cells_have_the_colour_of_their_share_and_false_negatives_a_mark(qtbot, theme):
    run = started(noisy=True)
    told = frame()
    keep = ~((run.labels[told.triplets[:, 0] // 2] == 2) & (run.labels[told.triplets[:, 2] // 2] == 5))
    told = replace(told, triplets=told.triplets[keep], separation=told.separation[keep], age=told.age[keep])
    pairs = class_pairs(run, told)
    matrix = PairMatrix()
    qtbot.addWidget(matrix)
    matrix.resize(130, 145)
    matrix.set_theme(theme)
    axis, most = np.array([3, 1, 0, 2, 6, 5, 4]), float(pairs.mined[0] / pairs.total)
    matrix.show_lanes([Shown(pairs, theme.lane(0))], axis, 7, str, most)
    for pair in ((1, 0), (6, 3), (4, 5)):
        expected = amount_colors(np.array([pairs.of(*pair).mined / pairs.total / most]), theme)[0]
        assert pixel(matrix, pair, 0.3, 0.7) == tuple(expected.tolist())
    assert pixel(matrix, (2, 5)) == theme.panel, "never mined"
    false = next(
        (a, n) for a, n, count in zip(pairs.anchor, pairs.negative, pairs.false, strict=True) if count and a != n
    )
    assert pixel(matrix, false, 0.85, 0.2) == theme.false_edge
    true = next(
        (a, n) for a, n, count in zip(pairs.anchor, pairs.negative, pairs.false, strict=True) if not count and a != n
    )
    assert pixel(matrix, true, 0.85, 0.2) != theme.false_edge


def test_that_no_name_of_a_lane_is_cut_through_by_the_edge_of_a_narrow_panel(qtbot):
    matrix = PairMatrix()
    qtbot.addWidget(matrix)
    matrix.set_theme(DARK)
    pairs = replace(class_pairs(started(), frame()), lane="M" * 18)
    matrix.show_lanes([Shown(pairs, DARK.lane(0))], np.arange(2), 2, str, 1.0)
    matrix.resize(44, 60)
    image = matrix.grab().toImage()
    edge = {image.pixelColor(image.width() - 1, y).getRgb()[:3] for y in range(14)}
    assert edge == {DARK.panel}


def view_of(qtbot, classes: int) -> PairsView:
    """Three lanes in which an item of every class was mined once, by one of the seventh class before it."""
    view, ids = PairsView(), np.arange(2 * classes)
    qtbot.addWidget(view)
    run = replace(
        started(),
        labels=ids % classes,
        ids=ids,
        held_out=np.zeros(len(ids), np.bool_),
        class_names=tuple(map(str, range(classes))),
    )
    anchors = ids[:classes]
    triplets = np.stack((anchors, anchors + classes, (anchors + 7) % classes), 1).astype(np.int32)
    frames = [
        Frame(
            lane, 10, np.zeros((len(ids), 3), np.float32), triplets, classes, separation=np.zeros(classes, np.float32)
        )
        for lane in ("random", "knn", "lsh")
    ]
    view.show_run(run, [frame.lane for frame in frames], frames)
    with qtbot.waitExposed(view):
        view.show()
    return view


def test_that_a_list_beside_many_classes_leaves_the_matrices_room_to_be_read(qtbot):
    view = view_of(qtbot, classes=100)
    for width, listed in ((380, True), (290, False)):
        view.resize(width, 170)
        assert view.list.isVisible() is listed and view.matrix.isVisible()
        assert view.matrix.side(view.matrix.width()) >= LEAST_MATRIX_PX


def test_that_the_list_takes_the_place_of_small_matrices_that_hold_next_to_nothing(qtbot):
    view = view_of(qtbot, classes=800)
    for width, drawn in ((380, True), (290, False)):
        view.resize(width, 170)
        assert view.list.isVisible() and view.matrix.isVisible() is drawn
    qtbot.waitUntil(lambda: view.list.width() > 250, timeout=2000)
