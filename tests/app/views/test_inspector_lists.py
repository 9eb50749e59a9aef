from __future__ import annotations

from app.history.inspection_words import Cell
from app.picture.theme import DARK, LIGHT
from app.views.inspector_lists import InspectorLists, shortened


def test_that_a_cell_without_room_keeps_what_tells_its_class_from_others(qtbot):
    lists = InspectorLists()
    qtbot.addWidget(lists)
    one, other = "group 1, class 2", "group 3, class 0"
    lists.show_lists(["a"], [], {one: (0, 0, 0), other: (9, 9, 9)}, anew=True)
    assert lists.in_short(Cell(f"7 · {one}", class_name=one)) == "7 · 1, 2"
    lists.show_lists(["a"], [], {"boot": (0, 0, 0), "ankle boot": (9, 9, 9)}, anew=True)
    assert lists.in_short(Cell("7 · boot", class_name="boot")) == "7 · boot"
    assert lists.in_short(Cell("and 3 more")) == "and 3 more"


def test_that_in_a_narrow_cell_the_id_of_an_item_stays_whole(qtbot):
    lists = InspectorLists()
    qtbot.addWidget(lists)
    one = "group 1, class 2"
    lists.show_lists(["a"], [], {one: (0, 0, 0), "group 3, class 0": (9, 9, 9)}, anew=True)
    cell = Cell(f"2334 · {one}", item_id=2334, class_name=one)
    for room, wanted in ((40, cell.text), (11, "2334 · 1, 2"), (8, "2334"), (2, "2334")):
        assert lists.fitted(cell, lambda text, room=room: len(text) <= room) == wanted


def test_that_a_note_without_room_keeps_its_numbers_whole_and_lets_its_first_words_go():
    note = "hard \N{MINUS SIGN}0.26 ×12"
    for room, wanted in ((14, note), (9, "\N{MINUS SIGN}0.26 ×12"), (4, "×12"), (1, "×12")):
        assert shortened(note, lambda text, room=room: len(text) <= room) == wanted


def test_that_lists_shown_anew_have_the_icons_they_had_so_that_no_picture_of_them_piles_up(qtbot):
    lists = InspectorLists()
    qtbot.addWidget(lists)

    def icons() -> list[int]:
        headers = [lists.horizontalHeaderItem(column) for column in range(2)]
        return [header.icon().cacheKey() for header in headers if header is not None]

    lists.show_lists(["a", "b"], [], {}, anew=True)
    before = icons()
    lists.show_lists(["a", "b"], [], {}, anew=True)
    assert icons() == before and len(set(before)) == 2
    lists.set_theme(LIGHT)
    assert not set(icons()) & set(before), "in the colours of another theme"
    lists.set_theme(DARK)
    assert icons() == before
