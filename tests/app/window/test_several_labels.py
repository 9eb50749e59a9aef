"""Items with several labels each in the window: recorded, played, and asked for by mouse and keys."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QEvent, QPointF, Qt
from PyQt6.QtGui import QMouseEvent
from PyQt6.QtWidgets import QApplication

from app.picture.scene import label_color
from app.window.main_window import MainWindow
from hnm_core.recording import open_recording, record
from hnm_core.training.experiment import Experiment
from tests.app import engine
from tests.app.window.test_inspector import click, seen, settle
from tests.recording import made_up

LEFT = Qt.MouseButton.LeftButton
NAMES = ("cat", "night", "blur", "sea", "boat", "snow", "city")
ITEMS = 90


def table() -> np.ndarray:
    """(ITEMS, 7) of 0 and 1: one to three labels an item, the last with all, and one with none."""
    rng = np.random.default_rng(4)
    y = np.zeros((ITEMS, len(NAMES)), np.int64)
    for row, count in zip(y, rng.integers(1, 4, ITEMS), strict=True):
        row[rng.choice(len(NAMES), count, replace=False)] = 1
    y[-1], y[0] = 1, 0
    return y


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a real run that shows 60 of 90 items."""
    made = tmp_path_factory.mktemp("tagged")
    y = table()
    x = y @ np.random.default_rng(1).normal(size=(len(NAMES), 8)) + np.random.default_rng(2).normal(size=(ITEMS, 8)) / 3
    np.savez(made / "tagged.npz", x=x.astype(np.float32), y=y, class_names=np.array(NAMES))
    data = {"name": "file", "options": {"path": str(made / "tagged.npz")}}
    config = engine.config(data=data, steps=6, frame_every=3, shown=60)
    list(record(Experiment(config).run(), made / "run"))
    return made / "run"


@pytest.fixture
def window(open_window, qtbot, folder: Path) -> MainWindow:
    return played(open_window(), qtbot, folder)


def played(window: MainWindow, qtbot, folder: Path) -> MainWindow:
    window.files.play(folder)
    qtbot.waitUntil(lambda: len(window.stage.panes.frames) == 2, timeout=20_000)
    window.stage.go_live()
    settle(qtbot, window)
    return window


def named(item: int) -> list[str]:
    """The labels of an item, by the table that the run was given."""
    return [name for name, has in zip(NAMES, table()[item], strict=True) if has]


def drawn(window: MainWindow, qtbot) -> list[int]:
    qtbot.waitUntil(lambda: window.stage.panes.arrived, timeout=10_000)
    scene = window.stage.panes.views[0].scene
    return sorted(scene.ids[scene.radii > 0].tolist())


def having(window: MainWindow, label: str) -> list[int]:
    """Of the items that the first cloud draws those with a label."""
    ids = window.stage.panes.views[0].scene.ids.tolist()
    return sorted(item for item in ids if label in named(item))


def hovered(window: MainWindow, item: int) -> str:
    view = window.stage.panes.views[0]
    place = view.scene.place_of(item)
    xs, ys, _ = view.camera.project(view.scene.positions[place : place + 1], view.width(), view.height())
    here = QPointF(float(xs[0]), float(ys[0]))
    none = Qt.MouseButton.NoButton
    for at in (QPointF(1, 1), here):
        event = QMouseEvent(QEvent.Type.MouseMove, at, view.mapToGlobal(at), none, none, Qt.KeyboardModifier.NoModifier)
        QApplication.sendEvent(view, event)
    return window.stage._figures.text("point")


def choose_colour(window: MainWindow, qtbot, text: str) -> None:
    """By the arrow keys."""
    colour = window.controls.colour
    colour.setFocus()
    qtbot.keyClick(colour, Qt.Key.Key_Home)
    for _ in range(colour.count()):
        if colour.currentText() != text:
            qtbot.keyClick(colour, Qt.Key.Key_Down)
    assert colour.currentText() == text


def press_in_key(window: MainWindow, qtbot, label: str, modifier=Qt.KeyboardModifier.NoModifier) -> None:
    key = window.stage.panes.keys.classes
    qtbot.mouseClick(key, LEFT, modifier, pos=key.place_of(NAMES.index(label)).center().toPoint())


def test_that_a_run_tells_the_labels_of_all_items_also_of_those_that_it_does_not_show(folder: Path) -> None:
    started = open_recording(folder).started
    assert len(started.ids) == 60 and started.several is not None
    assert [[NAMES[label] for label in started.several.of(item)] for item in range(ITEMS)] == [
        named(item) for item in range(ITEMS)
    ]


def test_that_hovering_and_the_inspector_tell_all_labels(window, qtbot) -> None:
    on_top = seen(window)
    one = next(item for item in on_top if len(named(item)) == 3)
    assert f"point {one} · labels {', '.join(named(one))}" in hovered(window, one)
    single = next(item for item in on_top if len(named(item)) == 1)
    assert f"point {single} · label {named(single)[0]}" in hovered(window, single)
    click(qtbot, window, one)
    view = window.stage.inspecting.view
    qtbot.waitUntil(lambda: f"Point {one}" in view.title.text(), timeout=5000)
    assert f"Labels: {', '.join(named(one))}" in view.about.text()
    qtbot.waitUntil(lambda: not view.data.isHidden(), timeout=20_000)
    assert "Label" not in view.data.words.text(), "nothing is said twice"


def test_that_points_are_coloured_by_one_label_that_is_chosen_by_keys(window, qtbot) -> None:
    colour, key = window.controls.colour, window.stage.panes.keys.classes
    offered = [colour.itemText(place) for place in range(colour.count())]
    assert offered[0] == "rarest label" and not {"class", "label"} & set(offered)
    assert offered[-len(NAMES) :] == list(NAMES)
    before = window.stage.panes.views[0].scene.colors
    choose_colour(window, qtbot, "snow")
    settle(qtbot, window)
    window.actions_by_key["edges"].trigger()  # what has a part in them is brighter
    settle(qtbot, window)
    scene = window.stage.panes.views[0].scene
    lit = (scene.colors == label_color(window.look.theme)).all(1)
    trained = ~np.isin(scene.ids, held_out(window))
    assert sorted(scene.ids[lit].tolist()) == [i for i in having(window, "snow") if i in set(scene.ids[trained])]
    assert len(np.unique(scene.colors[~lit & trained], axis=0)) == 1, "what has it not is of one grey"
    shown = set(window.stage.history.started.ids.tolist())
    count = len(shown & set(having(window, "snow")))
    assert f"{count} of 60 have snow" in window.stage.panes.views[0].caption.replace("\n", " ")
    assert "label snow" in key.toolTip()
    choose_colour(window, qtbot, "rarest label")
    window.actions_by_key["edges"].trigger()
    settle(qtbot, window)
    np.testing.assert_array_equal(window.stage.panes.views[0].scene.colors, before)


def held_out(window: MainWindow) -> np.ndarray:
    started = window.stage.history.started
    return started.ids[started.held_out]


def test_that_the_key_isolates_what_has_a_label_however_common(window, qtbot) -> None:
    everything = drawn(window, qtbot)
    press_in_key(window, qtbot, "boat")
    assert drawn(window, qtbot) == having(window, "boat")
    started = window.stage.history.started
    assert len(having(window, "boat")) > (started.labels == NAMES.index("boat")).sum(), "for some it is not the rarest"
    press_in_key(window, qtbot, "sea", Qt.KeyboardModifier.ControlModifier)
    assert drawn(window, qtbot) == sorted({*having(window, "boat"), *having(window, "sea")})
    window.actions_by_key["show_all"].trigger()
    assert drawn(window, qtbot) == everything
    key = window.stage.panes.keys.classes
    qtbot.mouseDClick(key, LEFT, pos=key.place_of(NAMES.index("boat")).center().toPoint())
    assert drawn(window, qtbot) == having(window, "boat")


def test_that_a_label_is_found_in_all_labels(window, qtbot) -> None:
    qtbot.keyClick(window, Qt.Key.Key_Slash)
    view = window.stage.inspecting.view
    qtbot.keyClicks(view.line, "boat")
    texts = [view.matches.item(row).text() for row in range(view.matches.count())]
    assert texts[0] == f"label boat: {len(having(window, 'boat'))} points, isolate"
    found = [int(text.split(" · ")[0]) for text in texts[1:]]
    assert found == having(window, "boat")[: len(found)] and len(found) > 5
    qtbot.keyClick(view.line, Qt.Key.Key_Return)
    assert drawn(window, qtbot) == having(window, "boat")


def test_that_the_colour_stays_with_the_label_when_another_run_of_it_is_played(window, qtbot, folder) -> None:
    choose_colour(window, qtbot, "sea")
    played(window, qtbot, folder)
    assert window.controls.colour.currentText() == "sea"
    assert "have sea" in window.stage.panes.views[0].caption.replace("\n", " ")


def test_that_a_recording_without_all_labels_shows_the_rarest_of_each(
    open_window, qtbot, folder: Path, tmp_path: Path
) -> None:
    old = shutil.copytree(folder, tmp_path / "old")
    for name in ("several_ids.npy", "several_labels.npy"):
        (old / name).unlink()
    arrays = json.loads((old / "run.json").read_text())["arrays"]
    made_up.edit_run_file(old, arrays={name: crc for name, crc in arrays.items() if "several" not in name})
    window = played(open_window(), qtbot, folder)
    choose_colour(window, qtbot, "sea")
    played(window, qtbot, old)
    colour = window.controls.colour
    assert colour.currentText() == "rarest label" and colour.count() == 5
    assert window.stage.panes._wish.color_label == -1
    one = next(item for item in seen(window) if len(named(item)) == 3)
    assert f"point {one} · rarest label " in hovered(window, one)
    press_in_key(window, qtbot, "boat")
    started = window.stage.history.started
    boats = set(started.ids[started.labels == NAMES.index("boat")].tolist())
    assert set(drawn(window, qtbot)) & set(started.ids.tolist()) == boats
    played(window, qtbot, folder)
    assert window.controls.colour.findText("sea") > 0


def test_that_a_point_of_a_set_with_classes_is_coloured_and_named_as_ever(open_window, qtbot) -> None:
    window = open_window()
    colour = window.controls.colour
    assert [colour.itemText(place) for place in range(2)] == ["class", "label"]
