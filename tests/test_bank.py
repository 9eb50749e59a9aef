from __future__ import annotations

import copy

import pytest
import torch

from hnm_core.bank import Bank
from hnm_core.errors import InputError


def test_that_sorted_places_hold_each_class_in_one_range_and_keep_the_callers_order_inside() -> None:
    labels = torch.tensor([7, -(2**60), 7, 3, -(2**60), 2**62])
    points = torch.arange(12.0).view(6, 2)
    bank = Bank(points, labels, step=9)
    assert bank.classes.tolist() == [-(2**60), 3, 7, 2**62]
    assert bank.offsets.tolist() == [0, 2, 3, 5, 6]
    assert bank.order.tolist() == [1, 4, 3, 0, 2, 5]
    assert torch.equal(bank.place[bank.order], torch.arange(6))
    assert torch.equal(bank.sorted_embeddings, points[bank.order])
    assert torch.equal(bank.classes[bank.class_of_row], labels)
    assert (len(bank), bank.dim, bank.step) == (6, 2, 9)


def test_that_a_copy_of_a_bank_is_the_bank_because_nobody_changes_it() -> None:
    bank = Bank(torch.zeros(3, 2), torch.arange(3))
    assert copy.deepcopy([bank])[0] is bank


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_that_any_floating_type_is_taken_without_its_gradient(kind: torch.dtype) -> None:
    points = torch.tensor([[1.5, -2.0], [0.25, 4.0]], dtype=kind, requires_grad=True)
    bank = Bank(points.T.contiguous().T, torch.tensor([1, 2], dtype=torch.uint8))
    assert bank.embeddings.dtype == torch.float32
    assert not bank.embeddings.requires_grad
    assert bank.embeddings.is_contiguous()
    assert bank.embeddings.tolist() == [[1.5, -2.0], [0.25, 4.0]]
    assert bank.labels.dtype == torch.int64


def test_that_broken_embeddings_are_counted() -> None:
    points = torch.zeros(5, 3)
    points[1, 2], points[4, 0], points[4, 1] = torch.nan, torch.inf, -torch.inf
    with pytest.raises(InputError, match="2 of 5 embeddings hold NaN or infinity"):
        Bank(points, torch.arange(5))


@pytest.mark.parametrize(
    ("points", "labels", "words"),
    [
        (torch.zeros(4), torch.arange(4), r"shape \(N, D\)"),
        (torch.zeros(4, 2, dtype=torch.int64), torch.arange(4), "floating-point"),
        (torch.zeros(0, 2), torch.arange(0), r"at least one row and one column, not \(0, 2\)"),
        (torch.zeros(4, 0), torch.arange(4), r"not \(4, 0\)"),
        (torch.zeros(4, 2), torch.arange(3), r"shape \(4,\), one for each embedding, not \(3,\)"),
        (torch.zeros(4, 2).numpy(), torch.arange(4), r"not a ndarray \(float32, .* torch.as_tensor makes"),
        ([[0.0], [1.0]], torch.arange(2), "not a list"),
        (torch.zeros(2, 2), [0, 1], "not a list"),
        (torch.zeros(4, 2), torch.zeros(4), "integers, not torch.float32; labels.long"),
        (
            torch.zeros(4, 2),
            torch.zeros(4, dtype=torch.uint32),
            "integers that torch calculates with, not torch.uint32; labels.long",
        ),
        (torch.zeros(4, 2), torch.zeros(4, dtype=torch.bool), "integers, not torch.bool"),
    ],
)
def test_that_wrong_input_is_refused_in_a_sentence(points: torch.Tensor, labels: torch.Tensor, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Bank(points, labels)
