"""Filming the window while it works."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QColor, QPainter
from PyQt6.QtWidgets import QWidget

from app.panels.capture_mark import RED
from app.window.grabbing import fitted, grab
from app.window.pace import Pace
from tests.app.window.test_main_window import press

SHIFT = Qt.KeyboardModifier.ShiftModifier
WAIT_MS = 60_000


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def film(qtbot, window, modifier=Qt.KeyboardModifier.NoModifier, ms=1500) -> str:
    press(qtbot, window, Qt.Key.Key_V, modifier)
    assert window.capturing.on and window.capturing.mark.isVisible()
    qtbot.wait(ms)
    press(qtbot, window, Qt.Key.Key_V, modifier)
    assert not window.capturing.on and not window.capturing.mark.isVisible()
    qtbot.waitUntil(lambda: "Filmed" in window.banner.text, timeout=WAIT_MS)
    return window.banner.text


def decoded(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(video=0))
        assert stream.average_rate == 30 and {b.pts - a.pts for a, b in pairwise(frames)} == {frames[1].pts}
    return [frame.to_ndarray(format="rgb24") for frame in frames]


def test_that_v_films_the_window_at_a_constant_rate_until_pressed_again(training, qtbot, tmp_path):
    qtbot.wait(300)
    window = training.grab().toImage()
    said = film(qtbot, training)
    pictures = decoded(next(tmp_path.glob("*-window-1.mp4")))
    assert f"{len(pictures)} pictures at 30 a second" in said and len(pictures) >= 40
    assert "dropped" in said and "repeated" in said
    ratio = training.devicePixelRatioF()
    assert pictures[0].shape[:2] == (int(training.height() * ratio) // 2 * 2, int(training.width() * ratio) // 2 * 2)
    middle = pictures[-1].astype(int)
    for x, y in ((10, 10), (40, 60), (300, 40), (600, 790)):  # what is seen is in the film
        colour = window.pixelColor(x, y)
        assert np.abs(middle[y, x] - (colour.red(), colour.green(), colour.blue())).max() < 40
    reds = (np.abs(middle[:40, -120:] - RED).max(axis=2) < 40).sum()
    assert reds == 0  # the mark is on the screen alone


@pytest.mark.thorough
def test_that_one_cloud_is_filmed_and_a_second_film_replaces_none(training, qtbot, tmp_path):
    view = training.stage.panes.views[1]
    view.setFocus()
    sizes = []
    for _ in range(2):
        sizes.append((view.height() // 2 * 2, view.width() // 2 * 2))
        film(qtbot, training, SHIFT, ms=400)
        training.banner.dismiss()
        qtbot.wait(50)
    files = sorted(tmp_path.glob("*-cloud-*.mp4"))
    assert [path.stem[-1] for path in files] == ["1", "2"]
    assert [decoded(path)[0].shape[:2] for path in files] == sizes


@pytest.mark.thorough
def test_that_a_film_is_complete_when_the_window_closes_while_it_is_taken(open_window, qtbot, tmp_path):
    window = open_window()
    press(qtbot, window, Qt.Key.Key_V)
    qtbot.wait(400)
    with qtbot.waitSignal(window.closed, timeout=WAIT_MS):
        window.close()
    (path,) = tmp_path.glob("*.mp4*")
    assert path.suffix == ".mp4" and len(decoded(path)) >= 5


def test_that_a_place_that_cannot_be_written_is_said_and_nothing_is_filmed(open_window, qtbot, tmp_path, monkeypatch):
    window = open_window()
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path / "gone")
    press(qtbot, window, Qt.Key.Key_V)
    assert "cannot be written" in window.banner.text and not window.capturing.on


def test_that_a_window_of_another_size_by_now_is_fitted_into_the_film(qtbot):
    window = QWidget()
    qtbot.addWidget(window)
    window.setStyleSheet("background: rgb(10, 200, 30)")
    window.resize(201, 101)
    window.show()
    qtbot.waitExposed(window)
    without = QWidget(window)
    image = grab(window, window, without)
    exact = fitted(image, (200, 100))
    assert exact.shape == (100, 200, 4) and (exact[..., :3] == (30, 200, 10)).all()
    tall = fitted(image, (200, 200))
    assert (tall[:40] == (0, 0, 0, 255)).all() and tall[100, 100].tolist()[:3] == [30, 200, 10]


def test_that_what_covers_the_window_for_the_users_eyes_alone_is_not_grabbed(qtbot):
    class Mark(QWidget):
        def paintEvent(self, event):  # noqa: N802
            QPainter(self).fillRect(self.rect(), QColor(255, 0, 0))

    window = QWidget()
    qtbot.addWidget(window)
    ground = QWidget(window)
    ground.setStyleSheet("background: rgb(10, 200, 30)")
    ground.resize(200, 100)
    mark = Mark(window)
    mark.setGeometry(150, 10, 40, 20)
    window.resize(200, 100)
    window.show()
    qtbot.waitExposed(window)
    qtbot.wait(100)
    assert window.grab().toImage().pixelColor(170, 20) == QColor(255, 0, 0)
    assert {grab(window, window, mark).pixelColor(x, 20).name() for x in (100, 170)} == {"#0ac81e"}


def run(pace: Pace, start: float, seconds: float, first: int, rate: float, *, training: bool = True) -> int:
    for tick in range(int(seconds * 10) + 1):
        pace.note(start + tick / 10, first + round(rate * tick / 10), training=training)
    return first + round(rate * seconds)


def test_that_the_cost_to_training_is_told_against_its_pace_before():
    pace = Pace()
    step = run(pace, 0.0, 20.0, 0, 10.0)
    step = run(pace, 20.1, 7.0, step, 40.0)  # the last seconds count
    pace.begin()
    run(pace, 27.1, 5.0, step, 30.0)
    assert pace.end() == "Training made 30.0 steps a second, 40.0 before: 75 % of its pace."


def test_that_no_cost_is_made_up_where_it_was_not_measured():
    pace = Pace()
    pace.begin()
    run(pace, 0.0, 3.0, 0, 10.0, training=False)
    assert pace.end() == ""
    pace.begin()
    run(pace, 3.0, 3.0, 0, 10.0)
    assert pace.end() == "Training made 10.0 steps a second; its pace before is not known."
    run(pace, 6.0, 6.0, 0, 10.0)
    pace.begin()
    run(pace, 12.1, 1.0, 60, 10.0)
    run(pace, 13.2, 2.0, 70, 10.0, training=False)
    assert "is not known: the run did not train all along" in pace.end()
