from __future__ import annotations

import pytest

from app.panels.undo_list import MAX_UNDO, UndoList


def test_that_values_come_back_in_reverse_order_and_go_forth_again():
    values = UndoList[str]()
    assert (values.can_undo, values.can_redo) == (False, False)
    values.keep("a")
    values.keep("b")
    assert (values.undo("c"), values.undo("b")) == ("b", "a")
    assert (values.can_undo, values.can_redo) == (False, True)
    assert (values.redo("a"), values.redo("b")) == ("b", "c")
    assert (values.can_undo, values.can_redo) == (True, False)


def test_that_a_change_after_an_undo_forgets_what_was_undone():
    values = UndoList[str]()
    values.keep("a")
    values.undo("b")
    values.keep("a")
    assert (values.can_undo, values.can_redo) == (True, False)
    assert values.undo("c") == "a"


def test_that_the_oldest_go_first_and_forgetting_leaves_nothing():
    values = UndoList[int]()
    for number in range(MAX_UNDO + 5):
        values.keep(number)
    shown, back = MAX_UNDO + 5, []
    while values.can_undo:
        shown = values.undo(shown)
        back.append(shown)
    assert back == list(range(MAX_UNDO + 4, 4, -1))
    values.forget()
    assert not values.can_redo


def test_that_nothing_to_take_back_changes_nothing():
    values = UndoList[str]()
    for work in (values.undo, values.redo):
        with pytest.raises(IndexError):
            work("a")
    assert (values.can_undo, values.can_redo) == (False, False)
