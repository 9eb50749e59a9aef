"""The curves: what is drawn is what the history says."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPoint, QPointF, Qt
from PyQt6.QtGui import QEnterEvent, QFocusEvent
from PyQt6.QtWidgets import QApplication, QFileDialog

from app.history.chance import chance_of
from app.history.outline import Outline
from app.history.spread import spread
from app.picture.theme import DARK, LIGHT
from app.views import curve_plot
from app.views.curves_view import CurvesView
from app.views.legend import LaneLegend
from hnm_core.run.evaluated import Evaluated
from hnm_core.run.events import StepRecord
from hnm_core.run.history import RunHistory, StepColumns
from hnm_core.run.raw import RawScore
from hnm_core.run.series import decimate, smoothed
from tests.app.fake_runs import run_history

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(scope="module")
def history():
    return run_history(1000)


@pytest.fixture
def view(qtbot):
    view = CurvesView()
    qtbot.addWidget(view)
    view.resize(900, 260)
    with qtbot.waitExposed(view):
        view.show()
    return view


def chance_line(view):
    """The one dotted level of the metric."""
    (line,) = (line for line in view.metric_plot.level_lines if line.pen.style() is Qt.PenStyle.DotLine)
    return line


def drawn(plot, name):
    """The points of a lane's line, what is left and right of the cursor together."""
    line, future = plot._lines[name].line, plot._lines[name].future
    x, y = line.getData()
    if future.isVisible():
        x, y = (np.concatenate(parts) for parts in zip((x, y), (a[1:] for a in future.getData()), strict=True))
    return x, y


def test_that_short_curves_are_drawn_point_for_point(view, history):
    view.show_history(history)
    x, y = drawn(view.metric_plot, "knn")
    steps, values = history.lanes["knn"].metric("map_at_r")
    assert np.array_equal(x, steps)
    assert np.array_equal(y, values)


def test_that_the_smooth_curve_lies_before_its_raw_ghost_and_both_end_at_the_last_step(view):
    run = run_history(300)
    view.show_history(run)
    lane = run.lanes["lsh"]
    items = view.loss_plot._lines["lsh"]
    assert items.ghost.zValue() < items.seam.zValue() < items.line.zValue()
    x, lower, upper = spread(lane.steps.astype(float), lane.loss, int(view.loss_plot.getPlotItem().vb.width()) // 4)
    band_x, band_y = items.ghost.getData()
    assert np.array_equal(band_x, np.concatenate((x, x[::-1])))
    assert np.array_equal(band_y, np.concatenate((upper, lower[::-1])))
    assert (x[0], x[-1]) == (1, 300)
    assert np.allclose(items.line.getData()[1], smoothed(lane.loss, view._factor))
    assert items.line.opts["pen"].widthF() == 2.0


def test_that_no_smoothing_draws_the_loss_itself_and_no_ghost(view):
    run = run_history(300)
    view.show_history(run)
    view.smoothing.setValue(0)
    assert np.array_equal(drawn(view.loss_plot, "knn")[1], run.lanes["knn"].loss)
    assert not view.loss_plot._lines["knn"].ghost.isVisible()


def test_that_a_long_curve_is_drawn_with_two_points_a_pixel_and_keeps_its_extremes(view, history):
    run = run_history(6000)
    view.show_history(run)
    view.smoothing.setValue(0)
    x, y = drawn(view.loss_plot, "random")
    assert len(x) <= 2 * view.loss_plot.getPlotItem().vb.width() + 2
    assert (y.min(), y.max()) == (run.lanes["random"].loss.min(), run.lanes["random"].loss.max())


def test_that_all_data_are_in_view_and_a_growing_run_stays_in_view(view):
    for steps in (100, 700):
        run = run_history(steps)
        view.show_history(run)
        (left, right), _ = view.loss_plot.getPlotItem().vb.viewRange()
        assert left <= 1
        assert steps <= right <= 1.2 * steps, "with room for the names"


def test_that_the_training_clock_puts_every_lane_on_its_own_time(view, history):
    view.show_history(history)
    view.axis_box.setCurrentIndex(view.axis_box.findData("seconds"))
    for name in ("random", "knn"):
        lane = history.lanes[name]
        steps, _ = lane.metric("map_at_r")
        assert np.array_equal(drawn(view.metric_plot, name)[0], lane.seconds[steps - 1])
    assert drawn(view.loss_plot, "knn")[0][-1] > 1.2 * drawn(view.loss_plot, "random")[0][-1]


def test_that_a_log_axis_shows_logarithms_and_round_ticks(view, history):
    view.show_history(history)
    view.smoothing.setValue(0)
    before = drawn(view.metric_plot, "knn")[1]
    view.log_box.setChecked(True)
    view.resize(1400, 260)
    y = view.loss_plot._lines["knn"].line.getData()[1]
    assert np.isclose(y.min(), np.log10(history.lanes["knn"].loss.min()))
    assert np.array_equal(drawn(view.metric_plot, "knn")[1], before)
    low, high = view.loss_plot.getPlotItem().vb.viewRange()[1]
    assert low <= y[-1] <= high


def test_that_a_loss_of_zero_is_a_gap_on_a_log_axis_and_no_error(view):
    from hnm_core.run.events import StepRecord

    run = run_history(50, lanes=1)
    run.add(StepRecord("random", 51, 0.0))
    run.add(StepRecord("random", 52, 0.5))
    view.show_history(run)
    view.smoothing.setValue(0)
    view.log_box.setChecked(True)
    y = view.loss_plot._lines["random"].line.getData()[1]
    assert np.isnan(y[50])
    assert np.isclose(y[51], np.log10(0.5))


def test_that_a_constant_loss_is_a_flat_line(view):
    from hnm_core.run.events import StepRecord

    run = RunHistory()
    for step in range(1, 3000):
        run.add(StepRecord("one", step, 0.7))
    view.show_history(run)
    low, high = view.loss_plot.getPlotItem().vb.viewRange()[1]
    y = drawn(view.loss_plot, "one")[1]
    assert np.ptp(y) < 1e-6 * (high - low)


def test_that_the_chance_line_is_the_chance_level_of_the_metric_shown(view, history):
    view.show_history(history)
    assert chance_line(view).value() == chance_of(history.started)["map_at_r"]
    # 300 held-out items, 30 of each of 10 classes
    view.metric_box.setCurrentIndex(view.metric_box.findData("precision_at_1"))
    assert chance_line(view).value() == pytest.approx(29 / 299)
    view.metric_box.setCurrentIndex(view.metric_box.findData("mean_distance"))
    assert not view.metric_plot.level_lines


def test_that_a_run_over_queries_and_documents_shows_their_metric_and_one_over_classes_its_own(view, history):
    run = run_history(100)
    chance = {"mrr_at_10": 0.001, "precision_at_1": 0.0005}
    run.started = replace(run.started, chance=chance)
    view.show_history(run)
    assert view.metric_box.currentText() == "MRR@10"
    view.metric_box.setCurrentIndex(view.metric_box.findData("precision_at_1"))
    view.show_history(history)
    assert view.metric_box.currentText() == "precision@1", "both have it"
    view.metric_box.setCurrentIndex(view.metric_box.findData("recall_at_100"))
    view.show_history(run_history(50))
    assert view.metric_box.currentText() == "MAP@R"


def test_that_what_the_features_score_as_they_are_is_a_dashed_line_with_a_name_in_the_metric_shown(view):
    run = run_history(200)
    scores = {"map_at_r": 0.95, "precision_at_1": 0.97}
    run.started = replace(run.started, raw=(RawScore("raw embeddings", "euclidean", scores),))
    view.show_history(run)
    lines = {line.label.textItem.toPlainText(): line for line in view.metric_plot.level_lines}
    line = lines["raw embeddings 0.950"]
    assert line.value() == 0.95 and line.pen.style() is Qt.PenStyle.DashLine
    low, high = view.metric_plot.getPlotItem().vb.viewRange()[1]
    assert low < 0.95 < high, "above every lane, and yet in view"
    inside = view.metric_plot.getPlotItem().vb.sceneBoundingRect()
    for level in lines.values():
        assert inside.contains(level.label.sceneBoundingRect().center()), level.label.textItem.toPlainText()
        assert level.label.sceneBoundingRect().top() >= inside.top() - 3, "its name has room at the upper edge"
    view.metric_plot.hovered.emit(50.5)
    assert view.readout.text() == "step 50 · raw embeddings 0.950"
    view.metric_box.setCurrentIndex(view.metric_box.findData("precision_at_1"))
    assert "raw embeddings 0.970" in {level.text for level in view.metric_plot.levels}
    for metric in ("knn_accuracy", "mean_distance"):
        view.metric_box.setCurrentIndex(view.metric_box.findData(metric))
        assert not any(level.dashed for level in view.metric_plot.levels)
    assert not view.loss_plot.level_lines
    view.show_history(run_history(200))
    assert not any(level.dashed for level in view.metric_plot.levels), "an earlier recording tells nothing of it"


def test_that_a_level_that_is_small_is_not_called_zero(view):
    run = run_history(200)
    run.started = replace(run.started, raw=(RawScore("raw features", "euclidean", {"map_at_r": 0.0002}),))
    view.show_history(run)
    assert "raw features < 0.001" in {level.text for level in view.metric_plot.levels}


def test_that_levels_are_there_though_the_history_was_shown_before_its_run_began(view):
    run = RunHistory()
    view.show_history(run)
    started = run_history(40).started
    run.add(replace(started, raw=(RawScore("raw pixels", "euclidean", {"map_at_r": 0.5}),)))
    view.show_history(run)
    run.add(StepRecord("knn", 1, 0.5, metrics={"map_at_r": 0.4}))
    view.show_history(run)
    assert [level.text for level in view.metric_plot.levels] == ["chance 0.021", "raw pixels 0.500"]


def test_that_levels_take_the_colours_of_the_theme_and_names_of_two_close_ones_do_not_meet(view):
    run = run_history(200)
    raw = RawScore("raw pixels", "euclidean", {"map_at_r": 0.5})
    run.started = replace(run.started, raw=(raw, replace(raw, distance="cosine", metrics={"map_at_r": 0.51})))
    view.show_history(run)
    view.set_theme(LIGHT)
    dashed = [line for line in view.metric_plot.level_lines if line.pen.style() is Qt.PenStyle.DashLine]
    assert [line.pen.color().getRgb()[:3] for line in view.metric_plot.level_lines] == [LIGHT.muted] * 3
    first, second = (line.label.sceneBoundingRect() for line in dashed)
    assert first.top() > second.bottom(), "the lower one has its name below it, the upper one above"


def test_that_only_lanes_that_measured_a_metric_have_a_curve_of_it(view, history):
    view.show_history(history)
    view.metric_box.setCurrentIndex(view.metric_box.findData("mining_recall"))
    assert len(drawn(view.metric_plot, "lsh")[0]) == 20
    assert len(drawn(view.metric_plot, "knn")[0]) == 0


def test_that_words_stand_where_nothing_was_measured(view):
    view.show_history(RunHistory())
    assert "appears here" in view.loss_plot._message.text()
    run = run_history(40, lanes=2)
    view.show_history(run)
    assert view.loss_plot._message.text() == ""
    assert "every 50 steps" in view.metric_plot._message.text()
    view.metric_box.setCurrentIndex(view.metric_box.findData("mining_recall"))
    assert "approximate" in view.metric_plot._message.text()


def test_that_scrubbing_puts_a_cursor_at_the_step_and_values_of_then_into_the_legend(view, history):
    view.show_history(history, 600)
    assert any(line.x == 600 and not line.dashed for line in view.loss_plot._drawn_verticals)
    lane = history.lanes["knn"]
    assert view.metric_legend.chips["knn"].value == f"{lane.latest('map_at_r', 600):.3f}"
    assert float(view.loss_legend.chips["knn"].value) == pytest.approx(lane.smoothed_loss(view._factor)[599], rel=5e-3)
    assert view.readout.text() == "step 600"
    view.show_history(history)
    assert all(line.dashed for line in view.loss_plot._drawn_verticals)
    assert view.metric_legend.chips["knn"].value == f"{lane.latest('map_at_r'):.3f}"


@pytest.mark.parametrize("log", [False, True])
def test_that_a_cursor_that_moves_cuts_lines_anew_and_works_nothing_else_out(view, history, monkeypatch, log):
    view.log_box.setChecked(log)
    view.show_history(history, 600)
    worked: list[str] = []
    for name in ("spread", "decimate"):
        done = getattr(curve_plot, name)
        monkeypatch.setattr(curve_plot, name, lambda *args, name=name, done=done: worked.append(name) or done(*args))
    for plot in (view.loss_plot, view.metric_plot):
        for items in plot._lines.values():
            items.ghost.sigPlotChanged.connect(lambda _: worked.append("ghost"))
            items.line.sigPlotChanged.connect(lambda _: worked.append("line"))
    view.show_history(history, 600)
    assert worked == []
    view.show_history(history, 301)
    assert set(worked) == {"line"}
    moved = view.grab().toImage()
    view.set_theme(DARK)  # everything anew
    view.loss_plot._current = view.metric_plot._current = False
    view.show_history(history, 301)
    assert {"spread", "decimate"} <= set(worked)
    assert view.grab().toImage() == moved
    view.show_history(history)
    assert all(not items.future.isVisible() for items in view.loss_plot._lines.values())
    view.loss_plot.bring_forward("knn")
    view.show_history(history, 100)
    x, _ = view.loss_plot._lines["random"].line.getData()
    assert x[-1] <= 100 < view.loss_plot._lines["random"].future.getData()[0][1]


def test_that_on_the_training_clock_every_lane_has_a_cursor_of_its_own(view, history):
    view.axis_box.setCurrentIndex(view.axis_box.findData("seconds"))
    view.show_history(history, 600)
    cursors = [line for line in view.loss_plot._drawn_verticals if not line.dashed]
    assert [line.x for line in cursors] == [lane.seconds[599] for lane in history.lanes.values()]


def test_that_what_happened_is_marked_and_named_under_the_mouse(view, history):
    view.show_history(history)
    marks = [(line.x, line.text) for line in view.loss_plot._drawn_verticals]
    assert (201.0, "knn, step 201: warm-up over, knn mines") in marks
    assert (600.0, "random, step 600: All points have moved to one spot.") in marks
    view.loss_plot.hovered.emit(600.5)
    assert view.readout.text() == "random, step 600: All points have moved to one spot."


def test_that_the_mouse_draws_one_crosshair_through_both_plots(view, history, qtbot):
    view.show_history(history)
    QApplication.processEvents()
    vb = view.loss_plot.getPlotItem().vb
    scene = vb.mapViewToScene(QPointF(425.0, 0.3))
    qtbot.mouseMove(view.loss_plot.viewport(), view.loss_plot.mapFromScene(scene))
    qtbot.waitUntil(lambda: view.metric_plot._crosshair.isVisible())
    assert view.metric_plot._crosshair.value() == pytest.approx(425, abs=4)
    assert view.readout.text().startswith("step ")
    expected = history.lanes["lsh"].latest("map_at_r", 425)
    assert view.metric_legend.chips["lsh"].value == f"{expected:.3f}"
    view.loss_plot.hovered.emit(float("nan"))
    assert not view.metric_plot._crosshair.isVisible()


def test_that_a_click_in_the_legend_hides_a_lane_in_both_plots(view, history, qtbot):
    view.show_history(history)
    with qtbot.waitSignal(view.lane_toggled) as heard:
        qtbot.mouseClick(view.loss_legend.chips["random"], LEFT)
    assert heard.args == ["random", False]
    assert set(view.loss_plot._lines) == set(view.metric_plot._lines) == {"knn", "lsh"}
    assert not view.metric_legend.chips["random"].isChecked()
    assert not any("random" in line.text for line in view.loss_plot._drawn_verticals)
    qtbot.mouseClick(view.metric_legend.chips["random"], LEFT)
    assert set(view.loss_plot._lines) == {"random", "knn", "lsh"}


def test_that_lanes_keep_their_colours_when_another_is_hidden(view, history, qtbot):
    view.set_theme(LIGHT)
    view.show_history(history)
    qtbot.mouseClick(view.loss_legend.chips["random"], LEFT)
    assert [curve.colour for curve in view.loss_plot._curves] == list(LIGHT.lanes[1:3])


def test_that_zooming_stops_following_and_a_double_click_brings_everything_back(view, history, qtbot):
    view.show_history(history)
    assert not view.fit_button.isVisible()
    vb = view.loss_plot.getPlotItem().vb
    vb.setXRange(100, 200, padding=0)
    vb.sigRangeChangedManually.emit([True, True])
    view.show_history(run_history(1200))
    assert vb.viewRange()[0] == [100, 200]
    assert view.fit_button.isVisible()
    x, _ = drawn(view.loss_plot, "knn")
    assert x[0] >= 99
    assert x[-1] <= 201
    qtbot.mouseDClick(view.loss_plot.viewport(), LEFT, pos=QPoint(150, 80))
    assert vb.viewRange()[0][1] > 1200
    assert not view.fit_button.isVisible()


def test_that_a_narrow_view_shows_one_plot_at_a_time(view, history, qtbot):
    view.show_history(history)
    assert view.loss_plot.isVisible()
    assert view.metric_plot.isVisible()
    view.resize(320, 200)
    assert view.width() == 320
    assert view.loss_plot.isVisible()
    assert not view.metric_plot.isVisible()
    qtbot.mouseClick(view.tabs, LEFT, pos=view.tabs.tabRect(1).center())
    assert view.metric_plot.isVisible()
    assert not view.loss_plot.isVisible()


def test_that_a_new_run_forgets_the_lanes_of_the_run_before(view, history):
    view.show_history(history)
    view.show_history(run_history(20, lanes=1))
    assert list(view.loss_legend.chips) == ["random"]
    assert set(view.loss_plot._lines) == {"random"}


def test_that_the_table_holds_every_step_exactly(view, tmp_path):
    run = run_history(120, lanes=2)
    view.show_history(run)
    path = tmp_path / "curves.csv"
    view.export_csv(path)
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["lane"] for row in rows] == ["random"] * 120 + ["knn"] * 120
    lane = run.lanes["knn"]
    assert np.array_equal([float(row["loss"]) for row in rows[120:]], lane.loss)
    assert np.array_equal([float(row["training_seconds"]) for row in rows[120:]], lane.seconds)
    measured = [(int(row["step"]), float(row["map_at_r"])) for row in rows[120:] if row["map_at_r"]]
    assert measured == list(zip(*(column.tolist() for column in lane.metric("map_at_r")), strict=True))


def test_that_a_picture_is_saved_with_the_ending_it_needs(view, history, monkeypatch, tmp_path):
    view.show_history(history)
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "picture"), ""))
    view.menu_button.menu().actions()[1].trigger()
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("theme", [DARK, LIGHT], ids=lambda theme: theme.name)
def test_that_every_lane_is_on_the_screen_in_its_colour(view, history, theme):
    view.set_theme(theme)
    view.show_history(history)
    QApplication.processEvents()
    image = view.metric_plot.grab().toImage()
    seen = {image.pixelColor(x, y).getRgb()[:3] for x in range(image.width()) for y in range(image.height())}
    assert set(theme.lanes[:3]) <= seen
    assert theme.panel in seen


def test_that_the_chance_line_waits_for_the_first_measure(view, history):
    run = RunHistory()
    run.add(history.started)
    run.add(StepRecord("knn", 1, 0.5))
    view.show_history(run)
    assert chance_of(run.started)["map_at_r"] and not view.metric_plot.level_lines
    run.add(StepRecord("knn", 2, 0.5, metrics={"map_at_r": 0.4}))
    view.show_history(run)
    assert chance_line(view).isVisible()


def test_that_a_loss_of_known_chance_has_a_dotted_line_of_its_own_in_a_paler_colour(view):
    run = run_history(40)
    for name, level in (("random", 0.7), ("knn", 0.4)):
        for step in range(41, 61):
            run.add(StepRecord(name, step, 0.5, metrics={"chance": level}))
    view.show_history(run)
    assert set(view.loss_plot._lines) == {"random", "knn", "lsh", "random at chance", "knn at chance"}
    x, y = drawn(view.loss_plot, "knn at chance")
    assert x.tolist() == list(range(41, 61))
    assert set(y.tolist()) == {0.4}
    line, own = view.loss_plot._lines["knn at chance"].line, view.loss_plot._lines["knn"].line
    assert line.opts["pen"].style() is Qt.PenStyle.DotLine
    assert own.opts["pen"].style() is Qt.PenStyle.SolidLine
    assert line.opts["pen"].color() != own.opts["pen"].color()
    dots = {name for name, items in view.loss_plot._lines.items() if items.end.isVisible()}
    assert dots == {"random", "knn", "lsh"}  # where a lane stands, none on a level of chance


def test_that_what_is_drawn_already_is_not_drawn_again_and_whatever_is_new_is(view, history):
    view.show_history(history)
    QApplication.processEvents()
    drawn_again = {plot: [] for plot in (view.loss_plot, view.metric_plot)}
    for plot, regions in drawn_again.items():
        plot.scene().changed.connect(regions.append)

    def changed(do: Callable[[], None]) -> tuple[bool, bool]:
        for regions in drawn_again.values():
            regions.clear()
        do()
        QApplication.processEvents()
        return tuple(bool(regions) for regions in drawn_again.values())

    last = history.last_step
    assert changed(lambda: view.show_history(history)) == (False, False)
    history.add(StepRecord("knn", last + 1, 0.5))
    assert changed(lambda: view.show_history(history)) == (True, False)
    history.add(StepRecord("knn", last + 2, 0.5, metrics={"map_at_r": 0.9}))
    assert changed(lambda: view.show_history(history)) == (True, True)
    assert changed(lambda: view.show_history(history, last)) == (True, True)
    assert changed(lambda: view.show_history(history, last)) == (False, False)
    assert changed(lambda: view.set_theme(LIGHT)) == (True, True)
    assert changed(lambda: view.log_box.setChecked(True))[0]


def test_that_the_chance_line_of_a_metric_is_dotted_and_says_its_level(view, history):
    view.show_history(history)
    line = chance_line(view)
    assert line.isVisible()
    assert line.pen.style() is Qt.PenStyle.DotLine
    assert line.label.textItem.toPlainText() == f"chance {chance_of(history.started)['map_at_r']:.3f}"


def test_that_names_and_values_without_room_in_one_row_stand_in_more_and_every_one_is_whole(qtbot, view):
    legend = LaneLegend()
    qtbot.addWidget(legend)
    names = [f"lane number {place}" for place in range(6)]
    legend.resize(1200, 60)
    with qtbot.waitExposed(legend):
        legend.show()
    legend.set_lanes(names)
    legend.set_values(dict.fromkeys(names, "0.500"))
    whole = sum(chip.width_with("0.500") for chip in legend.chips.values())
    for share, per_row in ((1.05, 6), (0.55, 3), (0.36, 2)):
        legend.resize(int(share * whole), 60)
        QApplication.processEvents()
        rows = sorted({chip.y() for chip in legend.chips.values()})
        split = [[name for name, chip in legend.chips.items() if chip.y() == y] for y in rows]
        assert split == [names[first : first + per_row] for first in range(0, 6, per_row)]
        boxes = [chip.geometry() for chip in legend.chips.values()]
        assert not any(a.intersects(b) for a, b in combinations(boxes, 2))
        assert all(box.right() <= legend.width() for box in boxes)
        assert all(chip.width() >= chip.width_with("0.500") for chip in legend.chips.values())


def test_that_where_there_is_no_room_names_are_cut_and_values_are_not(qtbot):
    legend = LaneLegend()
    qtbot.addWidget(legend)
    names = [f"lane with a long name {place}" for place in range(6)]
    legend.resize(190, 60)
    with qtbot.waitExposed(legend):
        legend.show()
    legend.set_lanes(names)
    legend.set_values(dict.fromkeys(names, "0.500"))
    QApplication.processEvents()
    for chip in legend.chips.values():
        assert chip.value == "0.500"
        assert chip.minimumSizeHint().width() <= chip.width() < chip.width_with("0.500")
        assert chip.geometry().right() <= legend.width()


def _pointed_at(chip):
    """Entered by the pointer. Sent to the chip itself: a moved cursor finds whatever window lies on top there."""
    middle = QPointF(chip.rect().center())
    QApplication.sendEvent(chip, QEnterEvent(middle, middle, QPointF(chip.mapToGlobal(chip.rect().center()))))


def _left(chip):
    QApplication.sendEvent(chip, QEvent(QEvent.Type.Leave))


def _focused(chip):
    assert chip.focusPolicy() & Qt.FocusPolicy.TabFocus
    QApplication.sendEvent(chip, QFocusEvent(QEvent.Type.FocusIn, Qt.FocusReason.TabFocusReason))


def _unfocused(chip):
    QApplication.sendEvent(chip, QFocusEvent(QEvent.Type.FocusOut, Qt.FocusReason.TabFocusReason))


@pytest.mark.parametrize(("comes", "goes"), [(_pointed_at, _left), (_focused, _unfocused)])
def test_that_the_other_lanes_step_back_while_one_is_pointed_at(view, history, comes, goes):
    view.show_history(history)
    QApplication.processEvents()
    chip = view.loss_legend.chips["knn"]
    comes(chip)
    for plot in (view.loss_plot, view.metric_plot):
        pens = {name: items.line.opts["pen"].color().getRgb()[:3] for name, items in plot._lines.items()}
        assert pens["knn"] == DARK.lanes[1]
        assert pens["random"] != DARK.lanes[0] and pens["lsh"] != DARK.lanes[2]
        assert plot._lines["knn"].line.zValue() > plot._lines["lsh"].line.zValue()
    assert not view.loss_plot._lines["lsh"].ghost.isVisible()
    goes(chip)
    assert view.loss_plot._lines["lsh"].line.opts["pen"].color().getRgb()[:3] == DARK.lanes[2]


def test_that_lines_are_named_at_their_ends_apart_from_each_other(view, history):
    view.resize(1300, 320)
    view.show_history(history)
    QApplication.processEvents()
    plot = view.loss_plot
    labels = {name: items.label for name, items in plot._lines.items()}
    assert all(label.isVisible() and label.textItem.toPlainText() == name for name, label in labels.items())
    boxes = [label.mapRectToScene(label.boundingRect()) for label in labels.values()]
    assert not any(a.adjusted(0, 1, 0, -1).intersects(b.adjusted(0, 1, 0, -1)) for a, b in combinations(boxes, 2))
    area = plot.getPlotItem().vb.sceneBoundingRect()
    assert all(area.contains(box) for box in boxes)
    assert all(label.pos().x() > 1000 for label in labels.values()), "right of the last step"
    view.resize(560, 160)
    QApplication.processEvents()
    assert not any(items.label.isVisible() for items in plot._lines.values()), "no room"


def test_that_metrics_that_are_not_defined_are_told_in_words_in_place_of_an_empty_plot(view):
    run = run_history(20)
    for step in range(21, 31):
        run.add(StepRecord("knn", step, 0.5, metrics={"map_at_r": float("nan")}))
    view.show_history(run)
    assert "share a class" in view.metric_plot._message.text()
    run.add(StepRecord("knn", 31, 0.5, metrics={"map_at_r": 0.25}))
    view.show_history(run)
    assert view.metric_plot._message.text() == ""


def test_that_an_empty_plot_has_plain_numbers_on_its_axes(view):
    view.show_history(RunHistory())
    low, high = view.loss_plot.getPlotItem().vb.viewRange()[0]
    assert low == 0
    assert high == pytest.approx(1, rel=0.1)


def test_that_the_metric_box_says_on_which_items_it_is_measured_and_why_a_metric_cannot_be_had(view):
    history = RunHistory()
    history.add(replace(run_history(1).started, evaluated=Evaluated(30, 30, 30, 30)))
    lane = history.started.config.lanes[0].name
    history.add(StepRecord(lane, 1, 1.0, metrics={"map_at_r": float("nan")}))
    view.show_history(history)
    assert "30 held-out items, each against all others" in view.metric_box.toolTip()
    view.metric_box.setCurrentIndex(view.metric_box.findData("map_at_r"))
    assert "none of the 30 held-out items" in view.metric_plot._message.text()


def test_that_a_redraw_of_a_long_run_looks_at_what_is_new_and_at_few_of_the_others(view, monkeypatch):
    history, steps = RunHistory(), 300_000
    lane = history.lane("knn")
    lane.reserve(2 * steps)
    columns = run_history(10).lanes["knn"]
    loss = np.random.default_rng(0).random(steps)
    lane.extend(
        StepColumns(
            step=np.arange(1, steps + 1),
            loss=loss,
            phase_ms=np.ones((steps, columns.phase_ms.shape[1]), np.float32),
            tuples=np.zeros((steps, columns.tuples.shape[1]), np.int64),
            counted=frozenset(),
            mining=np.ones(steps, np.bool_),
            first_call=np.zeros(steps, np.bool_),
            metrics={},
        )
    )
    for step in (steps + 1, steps + 2):
        view.show_history(history)  # the first time all is looked at, the second time columns have grown
        lane.add(StepRecord("knn", step, 0.5))
    thinned, compared = [], []
    monkeypatch.setattr(curve_plot, "decimate", lambda x, y, px: thinned.append(len(x)) or decimate(x, y, px))
    monkeypatch.setattr(curve_plot.np, "array_equal", lambda a, b, **_: compared.append(len(a)) or False)
    began = []
    monkeypatch.setattr(Outline, "begin", lambda outline: began.append(outline.highest))
    for upto in (None, steps // 2):
        view.show_history(history, upto)
    assert set(began) <= {-np.inf} and sum(compared) == 0
    assert 0 < max(thinned) < steps / 16


def test_that_a_loss_that_is_always_zero_lies_at_the_foot_of_a_common_scale(view):
    history = RunHistory()
    for step in (1, 2, 3):
        history.lane("knn").add(StepRecord("knn", step, 0.0))
    view.show_history(history)
    low, high = view.loss_plot.getPlotItem().vb.viewRange()[1]
    assert -0.1 < low <= 0 and 1 <= high < 1.2
