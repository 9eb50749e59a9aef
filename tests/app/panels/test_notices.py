"""What is said in the window in words of a file's."""

from __future__ import annotations

from pathlib import Path

import pytest
from PyQt6.QtGui import QColor, QImage
from PyQt6.QtWidgets import QLabel

from app.panels.notices import About, Banner

RED = QColor("red")


def shows_red(picture: QImage) -> bool:
    return any(
        picture.pixelColor(x, y) == RED for x in range(0, picture.width(), 4) for y in range(0, picture.height(), 4)
    )


@pytest.fixture
def picture(tmp_path: Path) -> str:
    """Words that would load a local file where they were taken for a page."""
    image = QImage(64, 64, QImage.Format.Format_RGB32)
    image.fill(RED)
    assert image.save(str(tmp_path / "red.png"))
    return f'<img src="{tmp_path / "red.png"}" width="64" height="64">'


def test_that_words_of_a_file_load_no_picture(qtbot, picture):
    about, banner = About(), Banner()
    for widget in (about, banner):
        qtbot.addWidget(widget)
        widget.resize(800, 200)
    about.say(picture, f"left out: '{picture}' (text)")
    banner.show_error(f"There is no column '{picture}'.")
    for widget in (about, banner):
        widget.show()
        assert not shows_red(widget.grab().toImage())
    about.set_brief(True)
    assert "<img" not in about.toolTip(), "tooltips are pages where they look like some"


def test_that_what_to_look_for_stands_in_a_tooltip_where_it_would_take_the_room_of_the_clouds(qtbot):
    about, text = About(), "Half of the edges in this lane are mined. " * 6
    qtbot.addWidget(about)
    about.say("Mining pays", text)
    about.resize(1200, 80)
    about.show()
    label = about.findChild(QLabel, "text")
    assert label.isVisibleTo(about) and not about.toolTip()
    about.resize(280, 80)
    assert not label.isVisibleTo(about) and "Half of the edges" in about.toolTip()
    about.resize(1200, 80)
    assert label.isVisibleTo(about)
