from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QPushButton

from app.panels.gallery import Gallery
from app.window.recent import MOST, Recent
from app.window.settings import Settings
from hnm_core.recording import record
from hnm_core.run.control import Control
from hnm_core.spec import config as configuration
from tests.app import runs


@pytest.fixture
def settings(tmp_path) -> Settings:
    return Settings(tmp_path / "window.ini")


@pytest.fixture
def opened(tmp_path) -> dict[str, Path]:
    """A file of each kind."""
    np.savez(tmp_path / "mine.npz", x=np.zeros((8, 3), np.float32), y=np.arange(8) % 2)
    (tmp_path / "mine.toml").write_text(configuration.dump(runs.config("three")), encoding="utf-8")
    for _event in record(runs.source(seconds_a_round=0)(runs.config(steps=3), Control()), tmp_path / "run"):
        pass
    return {name: tmp_path / name for name in ("mine.npz", "mine.toml", "run")}


def rows(window) -> list[tuple[str, bool]]:
    window.recent_menu.fill()
    return [(action.text(), action.isEnabled()) for action in window.recent_menu.actions() if action.text()]


def test_that_what_was_opened_is_in_the_menu_the_newest_first_and_opens_again(open_window, qtbot, settings, opened):
    window = open_window(settings=settings)
    assert not window.recent_menu.isEnabled()
    for count, path in enumerate(opened.values(), 1):
        window.files.take(path)
        qtbot.waitUntil(lambda count=count: len(window.recent.paths) == count, timeout=5000)
    assert window.stage.replaying
    clear = ("Clear the list of recent files", True)
    assert rows(window) == [("run", True), ("mine.toml", True), ("mine.npz", True), clear]
    window.recent_menu.actions()[2].trigger()
    qtbot.waitUntil(lambda: window.session.title == "mine.npz", timeout=5000)
    assert [text for text, _ in rows(window)][:3] == ["mine.npz", "run", "mine.toml"]
    assert Recent(settings).paths == window.recent.paths, "the next start knows them"
    opened["mine.toml"].unlink()
    assert rows(window)[2] == ("mine.toml (gone)", False)
    window.actions_by_key["clear_recent"].trigger()
    assert window.recent.paths == Recent(settings).paths == []
    assert not window.actions_by_key["clear_recent"].isEnabled()


def test_that_vectors_open_again_with_the_labels_that_they_were_opened_with(open_window, qtbot, settings, tmp_path):
    vectors, labels = tmp_path / "vectors.npy", tmp_path / "classes.csv"
    np.save(vectors, np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32))
    labels.write_text("\n".join("ab"[row % 2] for row in range(12)) + "\n", encoding="utf-8")
    window = open_window(settings=settings)
    window.files.take(vectors, labels)
    qtbot.waitUntil(lambda: window.recent.paths == [vectors], timeout=5000)
    window._take(Path(runs.__file__))  # anything else
    window.session.set_experiment(runs.config())
    again = Recent(settings)
    assert again.paths == [vectors] and again.labels_of(vectors) == labels, "the next start knows them"
    window.recent_menu.fill()
    assert str(labels) in window.recent_menu.actions()[0].toolTip()
    window.recent_menu.actions()[0].trigger()
    qtbot.waitUntil(lambda: window.session.title == "vectors.npy", timeout=5000)
    assert window.session.config.data.options["labels"] == str(labels)


def test_that_what_cannot_be_opened_is_not_remembered(open_window, qtbot, settings, tmp_path):
    window = open_window(settings=settings)
    (tmp_path / "wrong.toml").write_text("steps = -3\n")
    window._take(tmp_path / "wrong.toml")
    window._take(tmp_path / "notes.docx")
    assert window.banner.text
    assert window.recent.paths == []


def test_that_the_gallery_has_those_that_are_there_below_its_cards(open_window, qtbot, settings, opened):
    window = open_window(settings=settings)
    window.recent.note(Path("gone.npz"))
    window.recent.note(opened["mine.npz"])
    window.actions_by_key["gallery"].trigger()
    buttons = [button for button in window.findChild(Gallery).findChildren(QPushButton) if button.text()]
    assert [button.text() for button in buttons] == ["mine.npz"]
    qtbot.mouseClick(buttons[0], Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: window.session.title == "mine.npz", timeout=5000)


def test_that_the_list_is_short_without_repetitions_and_absolute(settings, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    recent = Recent(settings)
    for number in range(MOST + 3):
        recent.note(Path(f"{number}.npz"))
    recent.note(Path("5.npz"))
    assert len(recent.paths) == MOST
    assert recent.paths[0] == tmp_path / "5.npz"
    assert recent.paths.count(tmp_path / "5.npz") == 1


@pytest.mark.parametrize("text", ["{", '{"a": 1}', '[1, null, "/a/b.npz"]', "7"])
def test_that_a_setting_that_somebody_edited_does_no_harm(settings, text):
    settings.keep("recent", text)
    assert Recent(settings).paths == ([Path("/a/b.npz")] if "b.npz" in text else [])
