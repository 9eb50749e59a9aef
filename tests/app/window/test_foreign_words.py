"""Names of classes, titles and texts of alarms come from files of anybody's: they are shown as they are."""

from __future__ import annotations

import numpy as np
from PyQt6.QtGui import QTextDocument
from PyQt6.QtWidgets import QLabel, QTableWidget, QTreeWidget, QTreeWidgetItemIterator, QWidget

from app.plain import Label, plain_tip
from hnm_core import recording
from hnm_core.run.control import Control
from tests.app import engine
from tests.app.window.test_class_pairs import raise_tab
from tests.app.window.test_own_data import drop

PAGE = "<b>big</b> <img src='file:///tmp/x.png'>"


def recorded(folder, data):
    rng = np.random.default_rng(0)
    y = np.arange(120) % 4
    names = np.array([f"{PAGE} {place}" for place in range(4)])
    np.savez(data, x=(rng.normal(size=(4, 8))[y] + 0.2 * rng.normal(size=(120, 8))).astype(np.float32), y=names[y])
    lanes = (
        {"name": "lsh", "miner": "lsh", "miner_options": {"bits": 8, "rescore": 1, "pool": 3}},
        {"name": "batch", "miner": "batch-hard"},
    )
    of = engine.config(
        title=PAGE,
        about=PAGE,
        steps=8,
        eval_every=2,
        frame_every=1,
        lanes=lanes,
        data={"name": "file", "options": {"path": str(data)}},
    )
    for _ in recording.record(engine.source(of, Control()), folder):
        pass
    return folder


def tips(widget: QWidget):
    yield widget.toolTip()
    if isinstance(widget, QTreeWidget):
        items = QTreeWidgetItemIterator(widget)
        while (item := items.value()) is not None:
            yield from (item.toolTip(column) for column in range(widget.columnCount()))
            items += 1
    if isinstance(widget, QTableWidget):
        cells = (widget.item(row, column) for row in range(widget.rowCount()) for column in range(widget.columnCount()))
        yield from (item.toolTip() for item in cells if item is not None)


def as_read(tip: str) -> str:
    """What a reader of a tooltip sees, where Qt takes it for a page."""
    page = QTextDocument()
    page.setHtml(tip)
    return page.toPlainText()


def test_that_names_that_look_like_pages_are_shown_as_they_are(open_window, qtbot, tmp_path):
    window = open_window()
    window.resize(1600, 950)
    drop(window, recorded(tmp_path / "run", tmp_path / "mine.npz"))
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=10_000)
    window.stage.go_live()
    qtbot.waitUntil(lambda: bool(window.stage.panes.frames), timeout=10_000)
    window.stage.choice.pick(int(window.stage.history.started.ids[0]))
    shown, told = set(), set()
    for tab in ("Missed", "Class pairs", "Step time"):
        raise_tab(qtbot, window, tab)
        qtbot.wait(700)  # every panel has had its turn
        for widget in window.findChildren(QWidget):
            if isinstance(widget, QLabel) and "<b>" in widget.text():
                shown.add(type(widget))
                assert isinstance(widget, Label), f"{widget.objectName()} of {widget.parent()}: {widget.text()}"
            for tip in tips(widget):
                if "big" in tip:
                    told.add(type(widget))
                    assert "<b>" in as_read(tip), f"{type(widget)}: {tip}"
    assert shown == {Label} and len(told) >= 3


def test_that_a_tooltip_without_tags_is_left_as_it_is_and_one_with_tags_keeps_its_lines():
    assert plain_tip("a & b\nc") == "a & b\nc"
    assert as_read(plain_tip(f"{PAGE}\nand & more")) == f"{PAGE}\nand & more"
