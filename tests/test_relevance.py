from __future__ import annotations

import copy

import pytest
import torch

from hnm_core.bank import Bank
from hnm_core.errors import InputError
from hnm_core.relevance import NO_CLASS, Ranges, SameClass, of_rows
from hnm_core.testing.banks import KINDS, bank_of, of_same_class, vectors_for

every_kind = pytest.mark.parametrize("kind", KINDS)


def some_rows(bank: Bank) -> torch.Tensor:
    """Rows in no order, some of them twice."""
    return torch.randint(len(bank), (37,), generator=torch.Generator().manual_seed(4))


@every_kind
def test_that_relevant_are_the_rows_with_the_same_label(kind: str) -> None:
    bank = bank_of(kind, 2)
    rows = some_rows(bank)
    query, labels = SameClass(bank).query(rows), of_same_class(bank, rows)
    relevant = query.ranges.hold(bank.place[None])
    assert torch.equal(relevant, labels)
    assert torch.equal(query.ranges.hold(query.place), torch.ones(37, dtype=torch.bool)), "an anchor is among them"
    assert torch.equal(query.positives, labels.sum(1) - 1)
    assert torch.equal(query.negatives, (~labels).sum(1))
    assert torch.equal(bank.classes[query.classes], bank.labels[rows])
    assert torch.equal(query.vectors, bank.embeddings[rows])


@every_kind
def test_that_anchors_by_place_ascend_with_their_ranges_and_know_where_they_stood(kind: str) -> None:
    bank = bank_of(kind, 2)
    query = SameClass(bank).query(some_rows(bank))
    placed, slots = query.by_place()
    for ascending in placed:
        assert bool((ascending.diff() >= 0).all())
    assert torch.equal(bank.order[placed.place], query.row[slots])
    assert torch.equal(Ranges(placed.low, placed.high).hold(bank.place[None]), of_same_class(bank, query.row[slots]))
    assert torch.equal(slots.sort().values, torch.arange(37))


def test_that_some_of_the_anchors_keep_what_is_relevant_to_them() -> None:
    bank = bank_of("random", 2)
    query = SameClass(bank).query(some_rows(bank))
    placed, _ = query.by_place()
    for which in (slice(3, 9), torch.tensor([0, 5, 30]), torch.arange(37) % 5 == 0):
        part = query.at(which)
        assert torch.equal(part.row, query.row[which])
        assert torch.equal(part.ranges.low, query.ranges.low[which])
        assert len(part) == len(part.row)
        assert all(torch.equal(one, all_[which]) for one, all_ in zip(placed.at(which), placed, strict=True))


@pytest.mark.parametrize(
    ("anchors", "words"),
    [
        (torch.tensor([100]), "Anchor 100 is no row of the bank; its rows are 0 to 99"),
        (torch.tensor([5, -1]), "Anchor -1 is no row"),
        (torch.tensor([5.0]), "integer rows"),
        (torch.tensor([[5]]), "one-dimensional"),
        (torch.tensor([True]), "not a mask"),
        ([5], "not a list"),
    ],
)
def test_that_what_is_no_row_cannot_be_asked_about(anchors: torch.Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        SameClass(bank_of("random", 2)).query(anchors)


def test_that_rows_of_any_integer_type_are_anchors() -> None:
    relevance = SameClass(bank_of("random", 2))
    for kind in (torch.uint8, torch.int16, torch.int32):
        query = relevance.query(torch.arange(100).to(kind)[::2])
        assert query.row.dtype == torch.int64
        assert torch.equal(query.row, torch.arange(0, 100, 2))


def test_that_a_copy_of_a_query_is_about_the_same_bank() -> None:
    query = SameClass(bank_of("random", 2)).query(torch.arange(5))
    assert copy.deepcopy(query).bank is query.bank


@every_kind
def test_that_relevant_to_a_vector_are_the_rows_with_the_label_that_came_with_it(kind: str) -> None:
    bank = bank_of(kind, 2)
    vectors, labels = vectors_for(bank)
    query, same = SameClass(bank).of_vectors(vectors, labels), labels[:, None] == bank.labels
    assert torch.equal(query.ranges.hold(bank.place[None]), same)
    assert torch.equal(query.positives, same.sum(1))
    assert torch.equal(query.negatives, (~same).sum(1))
    assert torch.equal(query.classes == NO_CLASS, ~same.any(1))
    assert query.unrestricted
    assert not query.at(same.any(1)).unrestricted
    part = query.at(torch.tensor([3, 0, 3]))
    assert torch.equal(part.vectors, vectors[[3, 0, 3]])
    assert torch.equal(part.positives, same.sum(1)[[3, 0, 3]])


def test_that_nothing_is_relevant_to_vectors_without_labels_or_with_one_that_no_row_has() -> None:
    bank = Bank(torch.zeros(3, 2), torch.tensor([-1, 7, 7]))
    relevance, vectors = SameClass(bank), torch.zeros(4, 2)
    assert torch.equal(relevance.of_vectors(vectors).positives, torch.zeros(4, dtype=torch.int64))
    query = relevance.of_vectors(vectors, torch.tensor([7, -1, 8, -(2**63)]))
    assert query.positives.tolist() == [2, 1, 0, 0], "-1 is a label like others where a row has it"
    assert relevance.of_vectors(vectors, torch.tensor([7, 7, 7, 9], dtype=torch.uint8)).negatives.tolist() == [
        1,
        1,
        1,
        3,
    ]


@every_kind
def test_that_vectors_come_by_ascending_ranges_and_know_where_they_stood(kind: str) -> None:
    bank = bank_of(kind, 2)
    vectors, labels = vectors_for(bank)
    placed, slots = SameClass(bank).of_vectors(vectors, labels).by_place()
    assert bool((placed.low.diff() >= 0).all())
    assert bool((placed.high.diff() >= 0).all())
    assert torch.equal(placed.line, slots)
    assert bool((placed.place == -1).all())
    relevant = Ranges(placed.low, placed.high).hold(bank.place[None])
    assert torch.equal(relevant, labels[slots, None] == bank.labels)


def test_that_vectors_are_kept_where_they_are_as_a_bank_would_have_them() -> None:
    relevance, vectors = SameClass(bank_of("random", 2)), torch.ones(3, 2)
    assert relevance.of_vectors(vectors).vectors.data_ptr() == vectors.data_ptr()
    for same in (vectors.half(), vectors.double(), vectors.clone().requires_grad_(), torch.ones(2, 3).T):
        made = relevance.of_vectors(same).vectors
        assert torch.equal(made, vectors)
        assert made.dtype == torch.float32
        assert made.is_contiguous()
        assert not made.requires_grad


def test_that_what_needs_rows_refuses_vectors() -> None:
    relevance = SameClass(bank_of("random", 2))
    query = relevance.query(torch.arange(3))
    assert of_rows(query) is query
    with pytest.raises(InputError, match="Here anchors must be rows of the bank; vectors that are none"):
        of_rows(relevance.of_vectors(torch.zeros(3, 2)))
