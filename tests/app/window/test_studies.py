"""What a run is asked beyond its end, in a real window: its networks scored, a lane tuned, as jobs."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog

from app.panels.tune_dialog import TuneDialog
from app.window import studies
from hnm_core import kernels
from hnm_core.words import number
from tests.app import engine, runs

LEFT = Qt.MouseButton.LeftButton


@pytest.fixture(scope="module", autouse=True)
def search_kernels(compile_kernels) -> None:
    compile_kernels(kernels.SEARCH_KERNELS)


@pytest.fixture
def window(open_window, qtbot):
    window = open_window(config=engine.config(steps=6, eval_every=3), source=engine.source)
    QTest.keyClick(window, Qt.Key.Key_Space)
    qtbot.waitUntil(window.outcome.isVisible, timeout=20_000)
    return window


def card_of(window, qtbot):
    qtbot.waitUntil(lambda: window.studies.card is not None or bool(window.banner.text), timeout=60_000)
    assert window.banner.text == ""
    return window.studies.card


def cells(card) -> dict[str, list[str]]:
    grid = card.grid
    rows = [[grid.item(row, column).text() for column in range(grid.columnCount())] for row in range(grid.rowCount())]
    return {name: values for name, *values in rows}


def test_that_networks_are_scored_on_what_was_held_out_and_on_a_file(window, qtbot, tmp_path):
    window.actions_by_key["evaluate"].trigger()
    assert window.job_line.isVisible() and window.job_line.name.text() == studies.EVALUATE
    card = card_of(window, qtbot)
    assert card.isVisible() and "Live" in card.windowTitle() and "held-out items" in card.words.text()
    lanes = window.stage.history.lanes
    found = cells(card)["MAP@R"]
    assert found[:2] == [number(lanes[name].latest("map_at_r"), 4) for name in ("random", "knn")]
    qtbot.mouseClick(card.copy, LEFT)
    assert f"MAP@R\t{found[0]}\t{found[1]}" in QGuiApplication.clipboard().text()
    QTest.keyClick(card, Qt.Key.Key_Escape)
    qtbot.waitUntil(lambda: window.studies.card is None, timeout=3000)

    draw = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", x=draw.normal(size=(40, 10)), y=np.arange(40) % 4)
    window.actions_by_key["evaluate_file"].trigger()
    dialog = next(each for each in window.findChildren(QFileDialog) if each.isVisible())
    dialog.fileSelected.emit(str(tmp_path / "mine.npz"))
    dialog.close()
    qtbot.waitUntil(lambda: bool(window.banner.text) or window.studies.card is not None, timeout=60_000)
    assert "features an item, but lane 'random' was trained on" in window.banner.text


def test_that_a_lane_is_tuned_by_what_is_asked_and_that_can_be_called_off(window, qtbot):
    window.actions_by_key["tune"].trigger()
    dialog = next(each for each in window.findChildren(TuneDialog) if each.isVisible())
    assert dialog.options.toPlainText() == "lanes.random.loss_options.margin=0.05..1.5"
    dialog.lane.setCurrentText("knn")
    assert dialog.options.toPlainText() == "lanes.knn.loss_options.margin=0.05..1.5"
    dialog.options.setPlainText("lanes.random.loss_options.margin=0.1..0.2")
    qtbot.mouseClick(dialog.go, LEFT)
    assert "belongs to lane 'random'" in dialog.problem.text() and dialog.isVisible()
    dialog.options.setPlainText("optimizer.lr=1e-7,0.01\n")
    dialog.trials.setValue(2)
    qtbot.mouseClick(dialog.go, LEFT)
    card = card_of(window, qtbot)
    found = cells(card)
    assert set(found) == {"1", "2"} and {found[place][0] for place in found} == {"1e-07", "0.01"}
    assert "Lane 'knn': held-out map_at_r: " in card.words.text() and "--set optimizer.lr=" in card.words.text()
    card.close()

    window.actions_by_key["tune"].trigger()
    again = next(each for each in window.findChildren(TuneDialog) if each.isVisible())
    again.trials.setValue(1000)
    qtbot.mouseClick(again.go, LEFT)
    qtbot.waitUntil(window.job_line.isVisible, timeout=5000)
    QTest.keyClick(window, Qt.Key.Key_Period, Qt.KeyboardModifier.ControlModifier)
    qtbot.waitUntil(window.job_line.isHidden, timeout=30_000)
    assert "called off" in window.statusBar().currentMessage() and window.banner.text == ""


def test_that_without_a_run_there_is_nothing_to_score_or_tune(open_window):
    window = open_window(config=runs.config())
    wrong = {"evaluate": "no recorded run", "evaluate_file": "no recorded run", "tune": "no run to tune"}
    for key, words in wrong.items():
        window.actions_by_key[key].trigger()
        assert words in window.banner.text
        window.banner.dismiss()
