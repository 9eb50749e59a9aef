"""Filming the window while it works."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from PyQt6.QtCore import QPoint, Qt
from PyQt6.QtGui import QColor, QGuiApplication, QPainter
from PyQt6.QtWidgets import QMenu, QWidget

from app.panels.capture_mark import RED, CaptureMark
from app.video import writers
from app.video.live import LiveFilm
from app.window import grabbing
from app.window.grabbing import grab
from app.window.pace import Pace
from hnm_core.errors import InputError
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


def test_that_without_an_encoder_nothing_is_filmed_and_no_file_is_begun(open_window, qtbot, tmp_path, monkeypatch):
    window = open_window()
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path)
    monkeypatch.setattr(writers, "H264", {"libnobody": {}})
    press(qtbot, window, Qt.Key.Key_V)
    assert "has no encoder for .mp4 (libnobody)" in window.banner.text and not window.capturing.on
    assert "Filming" not in window.statusBar().currentMessage() and not list(tmp_path.glob("*.mp4*"))


def test_that_a_film_that_fails_on_the_way_no_longer_says_that_it_is_on(open_window, qtbot, tmp_path, monkeypatch):
    def fail(*_args):
        raise InputError("'a.mp4' cannot be written: No space left on device.")

    window = open_window()
    monkeypatch.setattr(Path, "cwd", lambda: tmp_path)
    press(qtbot, window, Qt.Key.Key_V)
    assert window.capturing.on and "Filming" in window.statusBar().currentMessage()
    monkeypatch.setattr(LiveFilm, "take", fail)
    qtbot.waitUntil(lambda: not window.capturing.on, timeout=WAIT_MS)
    assert "no file is left: 'a.mp4' cannot" in window.banner.text
    assert "Filming" not in window.statusBar().currentMessage()
    qtbot.waitUntil(lambda: not list(tmp_path.iterdir()), timeout=WAIT_MS)


class Painted(QWidget):
    """Counts how often it is painted."""

    def __init__(self, window: QWidget, rgb: tuple[int, int, int]) -> None:
        super().__init__(window)
        self.colour, self.count = QColor(*rgb), 0

    def paintEvent(self, event):  # noqa: N802
        self.count += 1
        QPainter(self).fillRect(self.rect(), self.colour)


@pytest.fixture
def filmed(qtbot, raster_kernels):
    """A window of one colour with the mark over its corner."""
    window = QWidget()
    qtbot.addWidget(window)
    ground = Painted(window, (10, 200, 30))
    ground.resize(201, 101)
    mark = CaptureMark(window)
    window.resize(201, 101)
    window.show()
    mark.say(0)
    qtbot.waitExposed(window)
    qtbot.wait(100)
    return window, ground, mark


def colours(frame: av.VideoFrame) -> np.ndarray:
    return frame.to_ndarray(format="rgb24").astype(int)


GREEN = (10, 200, 30)


def test_that_a_window_of_another_size_by_now_is_fitted_into_the_film(filmed):
    window, _, mark = filmed
    exact = colours(grab(window, window, mark, (200, 100)))
    assert exact.shape == (100, 200, 3) and np.abs(exact - GREEN).max() <= 3
    tall = colours(grab(window, window, mark, (200, 200)))
    assert tall[:40].max() <= 3 and np.abs(tall[100, 100] - GREEN).max() <= 3


def test_that_the_mark_is_seen_by_the_user_and_not_by_the_film(filmed):
    window, _, mark = filmed
    seen, middle = window.grab().toImage(), mark.geometry().center()
    assert seen.pixelColor(middle.x() + 12, mark.y() + 2) == QColor(*RED)
    assert np.abs(colours(grab(window, window, mark, (200, 100))) - GREEN).max() <= 3


def test_that_a_film_paints_nothing_again_and_has_what_was_due_to_be_painted(filmed):
    window, ground, mark = filmed
    part = Painted(window, (200, 20, 20))
    part.setGeometry(40, 30, 64, 64)
    part.show()
    mark.raise_()
    window.repaint()
    before = ground.count, part.count
    for _ in range(5):
        picture = colours(grab(window, part, mark, (64, 64)))
    assert np.abs(picture - (200, 20, 20)).max() <= 3
    assert part.count == before[1] and ground.count <= before[0] + 5  # what lies below the mark, with it
    part.colour = QColor(20, 20, 200)
    part.update()
    assert np.abs(colours(grab(window, part, mark, (64, 64))) - (20, 20, 200)).max() <= 3
    assert part.count == before[1] + 1


def test_that_a_window_that_is_not_painted_in_memory_as_a_whole_is_painted_once_more(filmed, monkeypatch):
    window, ground, mark = filmed
    monkeypatch.setattr(grabbing, "SOME_BEHIND", (QGuiApplication.platformName(),))
    before = ground.count
    assert np.abs(colours(grab(window, window, mark, (200, 100))) - GREEN).max() <= 3
    assert ground.count > before
    window.hide()  # nothing at all is painted now
    assert np.abs(colours(grab(window, window, mark, (200, 100))) - GREEN).max() <= 3


def test_that_a_menu_over_the_window_is_in_the_film(filmed, qtbot):
    window, _, mark = filmed
    menu = QMenu(window)
    menu.setStyleSheet("background: rgb(200, 20, 20)")
    menu.addAction("Blank")
    menu.popup(window.mapToGlobal(QPoint(20, 30)))
    qtbot.waitUntil(menu.isVisible)
    place = window.mapFromGlobal(menu.geometry().topLeft())
    picture = colours(grab(window, window, mark, (200, 100)))
    menu.close()
    assert np.abs(picture[place.y() + 2, place.x() + 2] - (200, 20, 20)).max() <= 12
    assert np.abs(picture[5, 5] - GREEN).max() <= 3


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
