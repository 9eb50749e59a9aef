"""The entanglement of each layer in the window: a line a layer, the dotted one of chance, and which shade is which."""

from __future__ import annotations

import csv

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from app.picture.theme import DARK, LIGHT
from app.views.curves_view import CurvesView
from app.views.layer_key import layer_colour
from hnm_core.run.events import RunStarted, StepRecord
from hnm_core.run.history import RunHistory
from hnm_core.spec.config import ExperimentConfig, LaneConfig
from tests.app.fake_runs import run_history

LAYERS = ("hidden1", "hidden2", "embedding")


def entangled_run(steps: int = 60, every: int = 10) -> RunHistory:
    """Lanes one and two have layers, lane plain has none; all see the same batches."""
    names = ("one", "two", "plain")
    config = ExperimentConfig(steps=steps, eval_every=every, lanes=tuple(LaneConfig(name=name) for name in names))
    labels = np.arange(40) % 4
    history = RunHistory()
    history.add(RunStarted(config, labels, np.arange(40), labels == 9, tuple("abcd"), items_total=40))
    for step in range(1, steps + 1):
        for lane, name in enumerate(names):
            metrics = {"map_at_r": step / 100} if step % every == 0 else {}
            if metrics and name != "plain":
                metrics |= {f"entanglement/{layer}": value_of(lane, place, step) for place, layer in enumerate(LAYERS)}
                metrics |= {f"temperature/{layer}": 2.0 + place for place, layer in enumerate(LAYERS)}
                metrics |= {"entanglement_chance": 2.3 + step / 1e4}
            history.add(StepRecord(name, step, 1.0, metrics=metrics))
    return history


def value_of(lane: int, layer: int, step: int) -> float:
    return 1.0 + lane - layer / 10 - step / 1000


@pytest.fixture
def view(qtbot):
    view = CurvesView()
    qtbot.addWidget(view)
    view.resize(1400, 300)
    with qtbot.waitExposed(view):
        view.show()
    view.metric_box.setCurrentIndex(view.metric_box.findData("entanglement"))
    return view


def lines(view):
    """What is drawn and not empty, by name."""
    curves = {curve.name: curve for curve in view.metric_plot._curves}
    return {name: curve for name, curve in curves.items() if len(curve.x)}


def test_that_each_layer_of_each_lane_that_has_some_is_a_line_and_chance_is_one_dotted_one(view):
    view.show_history(entangled_run())
    drawn = lines(view)
    levels = [curve for curve in drawn.values() if curve.dotted]
    assert len(levels) == 1, "lanes that see the same batches have the same level"
    assert np.allclose(levels[0].y, 2.3 + levels[0].x / 1e4)
    solid = {name for name, curve in drawn.items() if not curve.dotted}
    assert solid == {f"{lane}/{layer}" for lane in ("one", "two") for layer in LAYERS}
    for lane, name in enumerate(("one", "two")):
        for place, layer in enumerate(LAYERS):
            x, y = view.metric_plot._lines[f"{name}/{layer}"].line.getData()
            assert x.tolist() == [10, 20, 30, 40, 50, 60]
            assert np.allclose(y, [value_of(lane, place, step) for step in x])


def test_that_layers_of_a_lane_are_shades_that_end_in_its_own_colour(view):
    for theme in (DARK, LIGHT):
        view.set_theme(theme)
        view.show_history(entangled_run())
        for place, name in enumerate(("one", "two")):
            shades = [lines(view)[f"{name}/{layer}"].colour for layer in LAYERS]
            assert shades[-1] == theme.lane(place)
            apart = [sum(abs(a - b) for a, b in zip(shade, theme.panel, strict=True)) for shade in shades]
            assert apart == sorted(apart), "from pale to strong"
            assert apart[0] > 40, "the palest can still be seen"
            assert np.diff(apart).min() > 40, "neighbours can be told apart"
    assert layer_colour((1, 2, 3), 0, 1, DARK) == (1, 2, 3)


def test_that_the_key_names_the_layers_while_they_are_shown_and_takes_no_room_otherwise(view):
    view.show_history(entangled_run())
    assert view.layer_key.isVisible()
    assert view.layer_key.layers == LAYERS and view.layer_key.chance
    dark = view.layer_key.grab().toImage()
    painted = {dark.pixelColor(x, y).rgb() for x in range(0, dark.width(), 2) for y in range(dark.height())}
    assert len(painted) > 4, "samples in different shades, and text"
    view.metric_box.setCurrentIndex(view.metric_box.findData("map_at_r"))
    assert not view.layer_key.isVisible()
    view.metric_box.setCurrentIndex(view.metric_box.findData("temperature"))
    assert view.layer_key.layers == LAYERS and not view.layer_key.chance
    assert {name: set(curve.y) for name, curve in lines(view).items()}["two/hidden2"] == {3.0}
    view.resize(560, 300)
    view.layer_key.grab()  # with no room for the names they are cut short


def test_that_the_legend_tells_all_layers_where_there_is_room_and_the_last_where_there_is_little(view):
    view.show_history(entangled_run())
    assert view.metric_legend.chips["one"].value == "0.940, 0.840, 0.740"
    assert view.metric_legend.chips["plain"].value == ""
    view.show_history(entangled_run(), 25)
    assert view.metric_legend.chips["two"].value == "1.98, 1.88, 1.78"
    view.metric_legend.resize(190, 20)
    assert view.metric_legend.chips["two"].value == "1.78"


def test_that_hiding_a_lane_hides_its_layers_and_with_the_last_of_them_the_key(view, qtbot):
    view.show_history(entangled_run())
    qtbot.mouseClick(view.metric_legend.chips["one"], Qt.MouseButton.LeftButton)
    assert {name.split("/")[0] for name, curve in lines(view).items() if not curve.dotted} == {"two"}
    qtbot.mouseClick(view.metric_legend.chips["two"], Qt.MouseButton.LeftButton)
    assert lines(view) == {}
    assert not view.layer_key.isVisible()


def test_that_a_run_without_layers_says_why_there_is_nothing(view):
    view.show_history(run_history(100))
    assert lines(view) == {}
    assert not view.layer_key.isVisible()
    assert "'snnl'" in view.metric_plot._message.text()
    view.show_history(entangled_run())
    assert view.metric_plot._message.text() == ""


def test_that_the_layers_are_columns_of_the_saved_table(view, tmp_path):
    view.show_history(entangled_run())
    view.export_csv(tmp_path / "curves.csv")
    with (tmp_path / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    found = [row["entanglement/hidden2"] for row in rows if row["lane"] == "two" and row["step"] in ("10", "11")]
    assert [float(found[0]), found[1]] == [value_of(1, 1, 10), ""]
    assert {row["entanglement/hidden2"] for row in rows if row["lane"] == "plain"} == {""}
