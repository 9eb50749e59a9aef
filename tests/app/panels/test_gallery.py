from __future__ import annotations

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtGui import QFont, QFontMetrics, QImage

from app.panels.gallery import Gallery, lines_of
from app.picture.theme import DARK, LIGHT
from app.presets import PICTURE_SIZE, Card, cards
from hnm_core.spec.resources import FIRST_PRESET, preset_names, retrieval_preset_names


@pytest.fixture
def gallery(qtbot):
    made = Gallery(cards(), DARK, "digits")
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    made.list.setFocus()
    return made


def test_that_every_preset_has_a_card_with_a_title_and_one_line_and_the_first_comes_first():
    assert sorted(card.name for card in cards()) == sorted([*preset_names(), *retrieval_preset_names()])
    assert cards()[0].name == FIRST_PRESET
    assert all(card.title and card.see and len(card.see) < 110 and not card.see.endswith(".") for card in cards())


@pytest.mark.parametrize("look", ["dark", "light"])
def test_that_every_card_has_a_picture_on_the_ground_of_its_look(look, qapp):
    for card in cards():
        picture = QImage(str(card.picture(look)))
        assert (picture.width(), picture.height()) == PICTURE_SIZE, card.name
        assert (picture.pixelColor(2, 2).lightness() > 128) == (look == "light"), card.name


def test_that_it_opens_on_the_preset_that_is_shown_and_enter_chooses(gallery, qtbot):
    assert gallery.list.currentItem().data(Qt.ItemDataRole.UserRole).name == "digits"
    with qtbot.waitSignal(gallery.chosen) as heard:
        qtbot.keyClick(gallery.list, Qt.Key.Key_Return)
    assert heard.args == ["digits"]


def test_that_arrow_keys_move_among_the_cards(gallery, qtbot):
    before = gallery.list.currentRow()
    qtbot.keyClick(gallery.list, Qt.Key.Key_Right)
    assert gallery.list.currentRow() == before + 1
    qtbot.keyClick(gallery.list, Qt.Key.Key_Down)
    assert gallery.list.currentRow() > before + 2, "a row further down"


def test_that_typing_searches_all_that_is_said_of_a_preset(gallery, qtbot):
    qtbot.keyClicks(gallery.list, "s")
    qtbot.keyClicks(gallery.line, "oft nearest")
    assert gallery.line.text() == "soft nearest"
    assert gallery.shown == ["snnl"]
    with qtbot.waitSignal(gallery.chosen) as heard:
        qtbot.keyClick(gallery.line, Qt.Key.Key_Return)
    assert heard.args == ["snnl"]


def test_that_a_search_without_a_match_says_so_and_chooses_nothing(gallery, qtbot):
    gallery.line.setFocus()
    qtbot.keyClicks(gallery.line, "xylophone")
    assert gallery.nothing.isVisible()
    with qtbot.assertNotEmitted(gallery.chosen):
        qtbot.keyClick(gallery.line, Qt.Key.Key_Return)
    gallery.line.clear()
    assert len(gallery.shown) == len(cards())


def test_that_a_click_on_a_card_chooses_it(gallery, qtbot):
    place = gallery.list.visualItemRect(gallery.list.item(0)).center()
    with qtbot.waitSignal(gallery.chosen) as heard:
        qtbot.mouseClick(gallery.list.viewport(), Qt.MouseButton.LeftButton, pos=place)
    assert heard.args == [FIRST_PRESET]


def test_that_cards_and_the_search_line_have_names_for_those_who_hear_them(gallery, qtbot):
    item = gallery.list.item(0)
    assert item.data(Qt.ItemDataRole.AccessibleTextRole).startswith("Mining pays. Groups come apart")
    assert gallery.line.accessibleName() == "Search the presets"
    assert gallery.list.accessibleName() == "Presets"


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_that_a_preset_without_a_picture_has_a_card_all_the_same(theme, qtbot):
    made = Gallery([Card("nobody", "No picture", "Nothing to see", "", ())], theme)
    qtbot.addWidget(made)
    with qtbot.waitExposed(made):
        made.show()
    rect = made.list.visualItemRect(made.list.item(0))
    drawn = made.list.viewport().grab(rect).toImage()
    inside = drawn.pixelColor(drawn.width() // 2, 30)
    assert (inside.red(), inside.green(), inside.blue()) == theme.cloud_bottom


def test_that_lines_are_broken_between_words_and_the_last_is_cut(qapp):
    font = QFont()
    width = QFontMetrics(font).horizontalAdvance("one two three ")
    lines = lines_of("one two three four five six seven eight", font, width, 2)
    assert lines[0] == "one two three"
    assert len(lines) == 2
    assert lines[1].endswith("…")
    assert lines_of("short", font, width, 3) == ["short"]
