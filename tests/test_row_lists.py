from __future__ import annotations

import torch

from hnm_core.row_lists import RowLists


def made() -> RowLists:
    """[2, 5], [], [0], [1, 2, 6] of 7 rows, from pairs in no order, one of them twice."""
    anchor = torch.tensor([3, 0, 3, 2, 0, 3, 0])
    row = torch.tensor([6, 5, 1, 0, 2, 2, 5])
    return RowLists.of_pairs(anchor, row, 4, 7)


def as_lists(lists: RowLists) -> list[list[int]]:
    return [part.tolist() for part in lists.row.split(lists.sizes.tolist())]


def test_that_pairs_become_ascending_lists_without_doubles() -> None:
    lists = made()
    assert as_lists(lists) == [[2, 5], [], [0], [1, 2, 6]]
    assert (len(lists), lists.sizes.tolist(), lists.rows) == (4, [2, 0, 1, 3], 7)
    assert lists.anchor.tolist() == [0, 0, 2, 3, 3, 3]


def test_that_some_lists_come_in_the_order_asked_for_also_twice() -> None:
    assert as_lists(made().at(torch.tensor([3, 1, 0, 3]))) == [[1, 2, 6], [], [2, 5], [1, 2, 6]]
    assert as_lists(made().at(torch.tensor([], dtype=torch.int64))) == []


def test_that_joined_lists_hold_what_either_holds_once() -> None:
    other = RowLists.of_pairs(torch.tensor([0, 1, 3]), torch.tensor([5, 4, 0]), 4, 7)
    assert as_lists(made().joined(other)) == [[2, 5], [4], [0], [0, 1, 2, 6]]


def test_that_a_list_holds_its_rows_and_neither_those_of_others_nor_minus_one() -> None:
    asked = torch.tensor([[2, 1, -1], [2, 0, -1], [0, 6, -1], [6, 5, -1]])
    held = [[True, False, False], [False] * 3, [True, False, False], [True, False, False]]
    assert made().hold(asked).tolist() == held
    assert not bool(RowLists.empty(4, 7).hold(asked).any())
