from __future__ import annotations

from itertools import pairwise

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QToolButton

from app.main import GuiRequest
from app.panels.gallery import Gallery
from app.views.preview_note import PLAYED, STILL
from app.window import preview_player
from app.window.motion import Motion
from app.window.session import HINT
from app.window.settings import Settings
from hnm_core.run.events import RunState
from hnm_core.spec import config as configuration
from hnm_core.spec.resources import preset_path
from tests.app import runs
from tests.app.windows import LONG

PATIENCE_MS = 60_000
"""For what a machine that has little else to do shows within a second."""


def preset(name: str = "near-classes", *settings: str) -> configuration.ExperimentConfig:
    return configuration.with_settings(configuration.load(preset_path(name)), settings)


def open_preset(open_window, qtbot, **options):
    window = open_window(**{"config": preset(), "previews": True, **options})
    qtbot.waitUntil(lambda: window.preview.note.text() != "", timeout=PATIENCE_MS)
    return window


def first_steps(window) -> list[int]:
    return [frame.step for frame in window.stage.panes.frames]


def test_that_a_preset_plays_its_recording_at_first_sight_and_says_what_it_is(open_window, qtbot):
    window = open_preset(open_window, qtbot)
    assert window.preview.note.isVisible()
    assert window.preview.note.text() == PLAYED
    assert window.stage.panes.lanes == ["random", "knn", "lsh"]
    before = window.stage.panes.frames[1].positions
    azimuth = window.stage.panes.views[0].camera.azimuth
    qtbot.waitUntil(lambda: window.stage.panes.frames[1].positions is not before, timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: window.stage.panes.views[0].camera.azimuth != azimuth, timeout=PATIENCE_MS)
    assert len(window.stage.history.lanes) == 0, "curves and times stay empty"
    assert window.stage.timeline.track.last_step == 0
    assert window.stage.folder is None


@pytest.mark.thorough
def test_that_it_begins_again_at_its_end_and_stands_still_after_some_rounds(open_window, qtbot, monkeypatch):
    for name, seconds in (("RUN_S", 0.2), ("REST_S", 0.1), ("ROUNDS", 2)):
        monkeypatch.setattr(preview_player, name, seconds)
    window = open_preset(open_window, qtbot)
    seen = []
    window.preview._timer.timeout.connect(lambda: seen.append(window.stage.panes.frames[0].step))
    qtbot.waitUntil(lambda: not window.preview.moving, timeout=PATIENCE_MS)
    assert any(later < earlier for earlier, later in pairwise(seen))
    assert first_steps(window) == [1000] * 3
    assert window.preview.note.isVisible()


def test_that_space_ends_it_and_trains(open_window, qtbot):
    window = open_preset(open_window, qtbot)
    qtbot.keyClick(window, Qt.Key.Key_Space)
    assert not window.preview.shown
    assert window.preview.note.isHidden()
    qtbot.waitUntil(lambda: window.bridge.state is RunState.RUNNING, timeout=PATIENCE_MS)
    qtbot.wait(100)
    assert not window.preview.shown
    qtbot.keyClick(window, Qt.Key.Key_R)
    qtbot.waitUntil(lambda: window.bridge.state is RunState.IDLE, timeout=PATIENCE_MS)
    qtbot.wait(100)
    assert not window.preview.shown, "first sight is over"
    assert window.stage.panes._hint == HINT


@pytest.mark.thorough
def test_that_another_preset_plays_its_own_and_an_edited_form_ends_it(open_window, qtbot):
    window = open_preset(open_window, qtbot)
    window.controls.preset_chosen.emit("types-of-triplets")
    qtbot.waitUntil(lambda: window.stage.panes.lanes == ["all", "hard", "semihard", "easy"], timeout=PATIENCE_MS)
    qtbot.waitUntil(lambda: len(window.stage.panes.frames) == 4 and window.preview.shown, timeout=PATIENCE_MS)
    qtbot.mouseClick(window.form.lanes.cards[0].buttons["remove"], Qt.MouseButton.LeftButton)
    assert not window.preview.shown
    assert window.stage.panes.lanes == ["hard", "semihard", "easy"]
    assert window.stage.panes.frames == []
    assert window.stage.panes._hint == HINT


@pytest.mark.thorough
@pytest.mark.parametrize("options", [{"config": preset("near-classes", "seed=5")}, {"previews": False}])
def test_that_a_changed_preset_or_an_automated_window_has_none(open_window, qtbot, options):
    window = open_window(**{"config": preset(), "previews": True, **options})
    qtbot.wait(100)
    assert not window.preview.shown
    assert window.stage.panes.frames == []
    assert window.stage.panes._hint == HINT


@pytest.mark.thorough
def test_that_a_damaged_recording_leaves_the_window_as_it_was(open_window, qtbot, tmp_path, caplog):
    window = open_window(config=preset(), previews=True)
    (tmp_path / "torn.npz").write_bytes(b"PK\x03\x04")
    window.preview._find = lambda _name: tmp_path / "torn.npz"
    window.controls.preset_chosen.emit("digits")
    qtbot.waitUntil(lambda: "torn.npz" in caplog.text, timeout=PATIENCE_MS)
    caplog.clear()
    assert not window.preview.shown
    assert window.stage.panes._hint == HINT


def test_that_with_reduced_motion_the_end_is_shown_and_nothing_moves(open_window, qtbot, tmp_path):
    settings = Settings(tmp_path / "window.ini")
    window = open_preset(open_window, qtbot, settings=settings)
    window.actions_by_key["reduced_motion"].trigger()
    qtbot.waitUntil(lambda: window.preview.note.text() == STILL, timeout=PATIENCE_MS)
    assert not window.preview.moving
    assert first_steps(window) == [1000] * 3
    assert not window.actions_by_key["orbit"].isEnabled()
    window.actions_by_key["orbit"].setChecked(True)  # as --autoplay does
    qtbot.wait(100)
    before = [view.camera for view in window.stage.panes.views]
    qtbot.wait(150)
    assert [view.camera for view in window.stage.panes.views] == before
    assert Motion(settings).reduced, "the next start knows it"
    window.actions_by_key["reduced_motion"].trigger()
    qtbot.waitUntil(lambda: window.preview.moving, timeout=PATIENCE_MS)
    assert not Motion(settings).reduced


def test_that_the_gallery_opens_beside_the_preset_box_and_shows_what_is_chosen(open_window, qtbot):
    window = open_window(config=preset())
    button = window.controls.widgetForAction(window.actions_by_key["gallery"])
    assert isinstance(button, QToolButton)
    qtbot.mouseClick(button, Qt.MouseButton.LeftButton)
    gallery = window.findChild(Gallery)
    qtbot.waitUntil(gallery.isVisible, timeout=PATIENCE_MS)
    assert gallery.size().width() <= window.width()
    qtbot.keyClick(gallery.list, Qt.Key.Key_Right)
    qtbot.keyClick(gallery.list, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: window.session.title == "Mining pays on real data", timeout=PATIENCE_MS)
    assert window.controls.preset.currentData() == "digits"


@pytest.mark.parametrize("given", [{"autoplay": True}, {"quit_after": 3.0}])
def test_that_what_runs_by_itself_is_known_as_automated(given):
    assert GuiRequest(runs.config(steps=LONG), **given).automated
    assert not GuiRequest(runs.config(steps=LONG)).automated
