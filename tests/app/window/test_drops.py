from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import QMimeData, QPoint, Qt, QUrl
from PyQt6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDragMoveEvent, QDropEvent
from PyQt6.QtWidgets import QApplication, QLineEdit, QMainWindow

from app.picture.theme import DARK, LIGHT
from app.window.drops import Drops

COPY, LEFT, NONE = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
AT = QPoint(100, 300)
"""Over the form, whose lines take text by themselves."""


@pytest.fixture
def data_file(tmp_path) -> Path:
    np.savez(tmp_path / "mine.npz", x=np.zeros((8, 3), np.float32), y=np.arange(8) % 2)
    return tmp_path / "mine.npz"


@pytest.fixture
def stand(qtbot) -> QMainWindow:
    """A window with a line to type in, and what was taken and refused."""
    window = QMainWindow()
    qtbot.addWidget(window)
    window.setCentralWidget(QLineEdit())
    window.taken, window.refused = [], []
    window.drops = Drops(window, take=window.taken.append, refuse=window.refused.append, running=lambda: False)
    window.resize(700, 400)
    with qtbot.waitExposed(window):
        window.show()
    window.drops.watch()
    return window


def files(*paths: Path) -> QMimeData:
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    data.setText("as file managers do")
    return data


def send(window, event) -> bool:
    """To where the system sends it; whether it was accepted."""
    QApplication.sendEvent(window.windowHandle(), event)
    return event.isAccepted()


def test_that_a_file_over_the_window_is_told_what_it_will_do_and_does_it_when_let_go(open_window, qtbot, data_file):
    window, data = open_window(), files(data_file)
    send(window, QDragEnterEvent(AT, COPY, data, LEFT, NONE))
    send(window, QDragLeaveEvent())
    assert window.drops.overlay.isHidden(), "taken away again"
    overlay = window.drops.overlay
    assert send(window, QDragEnterEvent(AT, COPY, data, LEFT, NONE))
    assert overlay.isVisible()
    assert overlay.geometry() == window.rect()
    assert overlay.text == "Drop to train on 'mine.npz'"
    assert send(window, QDragMoveEvent(AT, COPY, data, LEFT, NONE))
    assert window.session.title == "Hand-made", "nothing has happened yet"
    assert send(window, QDropEvent(AT.toPointF(), COPY, data, LEFT, NONE))
    assert overlay.isHidden()
    qtbot.waitUntil(lambda: window.session.title == "mine.npz", timeout=5000)


def test_that_what_cannot_be_opened_is_refused_with_the_reason(stand, tmp_path):
    window = stand
    (tmp_path / "letter.docx").write_bytes(b"PK")
    data = files(tmp_path / "letter.docx")
    assert not send(window, QDragEnterEvent(AT, COPY, data, LEFT, NONE))
    assert not send(window, QDragMoveEvent(AT, COPY, data, LEFT, NONE))
    assert window.drops.overlay.isVisible()
    assert window.drops.overlay.text.startswith("'letter.docx' cannot be opened")
    assert window.drops.overlay.accessibleDescription() == window.drops.overlay.text
    send(window, QDragLeaveEvent())
    assert window.drops.overlay.isHidden()
    assert window.refused == []
    send(window, QDropEvent(AT.toPointF(), COPY, data, LEFT, NONE))  # as some systems do all the same
    assert window.refused[0].startswith("'letter.docx' cannot be opened")
    assert window.taken == []


def test_that_text_goes_to_the_line_it_is_dragged_to(stand):
    window, text = stand, QMimeData()
    text.setText("knn")
    send(window, QDragEnterEvent(AT, COPY, text, LEFT, NONE))
    assert window.drops.overlay.isHidden()


def test_that_the_words_go_when_the_file_was_let_go_elsewhere(stand, qtbot, data_file):
    window, data = stand, files(data_file)
    send(window, QDragEnterEvent(AT, COPY, data, LEFT, NONE))
    qtbot.mouseClick(window.drops.overlay, LEFT)
    assert window.drops.overlay.isHidden()


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_that_the_words_stand_on_a_plate_of_the_look(stand, data_file, theme):
    window, data = stand, files(data_file)
    window.drops.set_theme(theme)
    send(window, QDragEnterEvent(AT, COPY, data, LEFT, NONE))
    centre = window.rect().center()
    plate = window.grab().toImage().pixelColor(centre.x(), centre.y() - 24)
    assert (plate.red(), plate.green(), plate.blue()) == theme.panel
