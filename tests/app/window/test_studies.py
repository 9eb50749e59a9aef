"""What a run is asked beyond its end, in a real window: its networks scored, a lane tuned, as jobs."""

from __future__ import annotations

import json
import time

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QGuiApplication
from PyQt6.QtTest import QTest
from PyQt6.QtWidgets import QFileDialog

from app.panels.tune_dialog import TuneDialog
from app.training.commands import Ended
from app.window import studies
from hnm_core import kernels
from hnm_core.spec.config import load
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
    card = window.studies.card
    # until then keys go to the main window
    qtbot.waitUntil(card.isActiveWindow, timeout=5000)
    return card


def cells(card) -> dict[str, list[str]]:
    grid = card.grid
    rows = [[grid.item(row, column).text() for column in range(grid.columnCount())] for row in range(grid.rowCount())]
    return {name: values for name, *values in rows}


def test_that_networks_are_scored_on_what_was_held_out(window, qtbot):
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


def test_that_a_lane_is_tuned_and_a_file_scored_by_what_is_asked_and_that_can_be_called_off(window, qtbot, monkeypatch):
    told = {
        "columns": ["rank", "optimizer.lr", "score"],
        "rows": [["1", "0.01", "0.9"]],
        "of": "held-out 0.8",
        "notes": [],
    }
    asked, far = [], []

    def run(arguments, progress, how_far):
        asked.append(list(arguments))
        far.append(how_far("Seed 0\nSetting 1: 0.5\nSeed 1\nSetting 2: 0.9\n"))
        while "--data" in arguments and progress(*far[-1]):
            time.sleep(0.01)
        return Ended(0, json.dumps(told | {"lane": "knn", "settings": ["optimizer.lr=0.01"]}), "")

    monkeypatch.setattr("app.training.studies.run", run)
    window.actions_by_key["tune"].trigger()
    dialog = next(each for each in window.findChildren(TuneDialog) if each.isVisible())
    assert dialog.options.toPlainText() == "lanes.random.loss_options.margin=0.05..1.5"
    dialog.lane.setCurrentText("knn")
    assert dialog.options.toPlainText() == "lanes.knn.loss_options.margin=0.05..1.5"
    dialog.options.setPlainText("lanes.random.loss_options.margin=0.1..0.2")
    qtbot.mouseClick(dialog.go, LEFT)
    assert "belongs to lane 'random'" in dialog.problem.text() and dialog.isVisible()
    dialog.options.setPlainText("optimizer.lr=1e-7,0.01\n")
    dialog.trials.setValue(8)
    qtbot.mouseClick(dialog.go, LEFT)
    card = card_of(window, qtbot)
    assert cells(card) == {"1": ["0.01", "0.9"]} and far == [(2, 8)]
    assert card.words.text() == "Lane 'knn': held-out 0.8.\n--set optimizer.lr=0.01"
    command, file, *options = asked[0]
    assert command == "tune" and load(file) == window.session.config
    assert options[:6] == ["--option", "optimizer.lr=1e-7,0.01", "--lane", "knn", "--trials", "8"]
    card.close()

    window.actions_by_key["evaluate_file"].trigger()
    files = next(each for each in window.findChildren(QFileDialog) if each.isVisible())
    files.fileSelected.emit("mine.npz")
    files.close()
    qtbot.waitUntil(window.job_line.isVisible, timeout=5000)
    qtbot.mouseClick(window.job_line.button, LEFT)
    qtbot.waitUntil(window.job_line.isHidden, timeout=5000)
    assert asked[1] == ["evaluate", str(window.stage.folder), "--json", "--data", "mine.npz"]
    assert "called off" in window.statusBar().currentMessage() and window.banner.text == ""


def test_that_without_a_run_there_is_nothing_to_score_or_tune(open_window):
    window = open_window(config=runs.config())
    wrong = {"evaluate": "no recorded run", "evaluate_file": "no recorded run", "tune": "no run to tune"}
    for key, words in wrong.items():
        window.actions_by_key[key].trigger()
        assert words in window.banner.text
        window.banner.dismiss()
