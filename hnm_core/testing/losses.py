"""Whether a loss keeps its promises: `check_loss(lambda: MyLoss(...))` is a plug-in's whole test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from hnm_core.losses.base import Loss, LossContext
from hnm_core.testing.expect import expect, expect_refused

ContextFactory = Callable[[Tensor], LossContext]
"""From embeddings (B, D) to what the loss is told about the step."""


class Case(NamedTuple):
    """One batch with the name of what is odd about it."""

    name: str
    embeddings: Tensor
    labels: Tensor


def degenerate_batches(embedding: int = 3, classes: int = 4) -> list[Case]:
    """Batches that every loss must come through with a finite value and gradient. Labels are 0 ... classes - 1."""
    source = torch.Generator().manual_seed(0)

    def points(n: int, dim: int = embedding) -> Tensor:
        return torch.randn(n, dim, generator=source)

    balanced = torch.arange(12) % classes
    twins, zero_row, repeated = points(12), points(12), points(12)
    twins[1] = twins[0]
    zero_row[4] = 0
    repeated[classes] = repeated[0]
    unbalanced = torch.zeros(12, dtype=torch.int64)
    unbalanced[9:] = torch.arange(3) % classes
    return [
        Case("no row", points(0), balanced[:0]),
        Case("one row", points(1), balanced[:1]),
        Case("two rows of one class", points(2), torch.zeros(2, dtype=torch.int64)),
        Case("two rows of two classes", points(2), torch.arange(2) % classes),
        Case("one class", points(12), torch.zeros(12, dtype=torch.int64)),
        Case("one item a class", points(classes), torch.arange(classes)),
        Case("a class size that does not divide the batch", points(13), torch.arange(13) % classes),
        Case("unbalanced classes", points(12), unbalanced),
        Case("all rows equal", points(1).expand(12, embedding).clone(), balanced),
        Case("all rows zero", torch.zeros(12, embedding), balanced),
        Case("equal rows of different classes", twins, balanced),
        Case("equal rows of one class", repeated, balanced),
        Case("a zero row", zero_row, balanced),
        Case("tiny numbers", 1e-12 * points(12), balanced),
        Case("large numbers", 1e4 * points(12), balanced),
        Case("rows not contiguous in memory", points(12, 2 * embedding)[:, ::2], balanced),
    ]


def check_loss(
    factory: Callable[[], Loss],
    *,
    embedding: int | None = None,
    classes: int = 4,
    any_labels: bool = True,
    reference: bool = True,
    context: ContextFactory | None = None,
) -> None:
    """Run a loss through odd batches, tuples of three and four, a reference set, half and double precision.

    Args:
        factory: makes the loss anew.
        embedding: the only size it takes; None tries 1, 2, 3 and 512.
        classes: labels are 0 ... classes - 1.
        any_labels: whether it takes labels beyond those, negative and huge.
        reference: whether it takes ref_emb and ref_labels.
        context: what to tell it; None tells nothing.

    Raises:
        AssertionError: a promise is broken; the message says which, on what batch.
    """
    state = torch.get_rng_state()
    for dim in (1, 2, 512) if embedding is None else ():
        for case in degenerate_batches(dim, classes):
            _check_value(factory(), case, context)
    cases = degenerate_batches(embedding or 3, classes)
    for case in cases:
        _check_value(factory(), case, context)
        for name, tuples in _some_tuples(case.labels, case.labels, same_set=True):
            _check_value(factory(), case._replace(name=f"{case.name}, {name}"), context, tuples)
    usual = next(case for case in cases if case.name.startswith("a class size"))
    _check_precision(factory, usual, context)
    _check_order(factory, usual, context)
    if any_labels:
        _check_labels(factory, usual, context)
    if reference:
        _check_reference(factory, usual, context)
    _check_refusals(factory, usual, context)
    expect(torch.equal(state, torch.get_rng_state()), "the global random state was used; take a generator instead")


def _check_value(
    loss: Loss, case: Case, context: ContextFactory | None, tuples: tuple[Tensor, ...] | None = None
) -> Tensor:
    embeddings = case.embeddings.clone().requires_grad_()
    kept, labels = embeddings.detach().clone(), case.labels.clone()
    told = context(embeddings) if context else None
    value = loss(embeddings, case.labels, tuples, None, None, told)
    where = f"({case.name}, {tuple(case.embeddings.shape)})"
    expect(value.ndim == 0, f"the loss must be a scalar, not {tuple(value.shape)} {where}")
    expect(value.dtype in (torch.float32, torch.float64), f"the loss is {value.dtype}, less than float32 {where}")
    expect(bool(torch.isfinite(value)), f"the loss is {value.item()} {where}")
    (gradient,) = torch.autograd.grad(value, embeddings, allow_unused=True) if value.requires_grad else (None,)
    if gradient is None:
        raise AssertionError(f"the loss is not connected to the embeddings {where}")
    expect(bool(torch.isfinite(gradient).all()), f"the gradient is not finite {where}")
    expect(torch.equal(embeddings.detach(), kept), f"the embeddings were changed in place {where}")
    expect(torch.equal(case.labels, labels), f"the labels were changed in place {where}")
    terms = loss.terms(embeddings, case.labels, tuples, None, None, told)
    value, again = value.detach(), loss.reduce(terms, embeddings).detach()
    expect(bool(torch.isclose(again, value, rtol=1e-5)), f"reduce(terms) is {float(again)}, not {float(value)} {where}")
    for part in terms.parts:
        expect(part.value.shape == part.anchor.shape, f"a part has not one anchor a term {where}")
        inside = not len(part.anchor) or 0 <= int(part.anchor.min()) <= int(part.anchor.max()) < len(embeddings)
        expect(inside, f"a part's anchors are not rows of the embeddings {where}")
    for name, figure in terms.figures.items():
        expect(figure.ndim == 0 and not figure.requires_grad, f"figure '{name}' is no scalar without gradient {where}")
    if terms.separation is not None and tuples is not None:
        expect(terms.separation.shape == tuples[0].shape, f"separation has not one number a triplet {where}")
    return value


def _check_precision(factory: Callable[[], Loss], case: Case, context: ContextFactory | None) -> None:
    single = _check_value(factory(), case, context)
    for dtype, tolerance in ((torch.float64, 1e-3), (torch.float16, 5e-2), (torch.bfloat16, 3e-1)):
        other = _check_value(factory(), case._replace(embeddings=case.embeddings.to(dtype)), context)
        off = abs(float(other) - float(single))
        expect(off <= tolerance * (1 + abs(float(single))), f"{dtype} gives {float(other)}, float32 {float(single)}")


def _check_order(factory: Callable[[], Loss], case: Case, context: ContextFactory | None) -> None:
    """The same call twice gives the same number."""
    first, second = (_check_value(factory(), case, context) for _ in range(2))
    expect(torch.equal(first, second), f"two equal calls give {float(first)} and {float(second)}")


def _check_labels(factory: Callable[[], Loss], case: Case, context: ContextFactory | None) -> None:
    """Labels are names: other numbers, the same loss."""
    plain = _check_value(factory(), case, context)
    odd = case._replace(name="labels negative and huge", labels=(case.labels - 1) * 2**40)
    other = _check_value(factory(), odd, context)
    expect(bool(torch.isclose(plain, other, rtol=1e-5)), f"renamed labels give {float(other)}, not {float(plain)}")


def _check_reference(factory: Callable[[], Loss], case: Case, context: ContextFactory | None) -> None:
    other = torch.randn(7, case.embeddings.shape[1], generator=torch.Generator().manual_seed(1))
    for n in (7, 0):
        ref, ref_labels = other[:n], case.labels[:n]
        forms = [("all pairs", None), *_some_tuples(case.labels, ref_labels, same_set=False)]
        for name, tuples in forms:
            embeddings = case.embeddings.clone().requires_grad_()
            told = context(embeddings) if context else None
            value = factory()(embeddings, case.labels, tuples, ref, ref_labels, told)
            (gradient,) = torch.autograd.grad(value, embeddings)
            finite = bool(torch.isfinite(value)) and bool(torch.isfinite(gradient).all())
            expect(finite, f"not finite with a reference set of {n} rows, {name}")


def _check_refusals(factory: Callable[[], Loss], case: Case, context: ContextFactory | None) -> None:
    told = context(case.embeddings) if context else None
    for bad in (torch.nan, torch.inf):
        broken = case.embeddings.clone()
        broken[2, 0] = bad
        expect_refused(partial(factory(), broken, case.labels, None, None, None, told), f"a row with {bad}")


def _some_tuples(labels: Tensor, ref_labels: Tensor, *, same_set: bool) -> Iterator[tuple[str, tuple[Tensor, ...]]]:
    """Empty tuples, triplets, pairs of different number, and the same repeated."""
    empty = torch.zeros(0, dtype=torch.int64)
    yield "no triplet", (empty, empty, empty)
    yield "no pair", (empty, empty, empty, empty)
    same = labels[:, None] == ref_labels[None]
    negative = (~same).nonzero()
    if same_set:
        same = same & ~torch.eye(len(labels), dtype=torch.bool)
    positive = same.nonzero()
    if len(positive):
        yield "positive pairs alone", (*positive.T, empty, empty)
    if len(negative):
        yield "negative pairs alone", (empty, empty, *negative.T)
    if len(positive) and len(negative):
        yield "one pair each", (*positive[:1].T, *negative[:1].T)
        yield "pairs repeated", (*positive.repeat(2, 1).T, *negative[::2].repeat(3, 1).T)
    anchors, which = (positive[:, :1] == negative[None, :, 0]).nonzero(as_tuple=True)
    if len(anchors):
        triplets = torch.stack((positive[anchors, 0], positive[anchors, 1], negative[which, 1]))[:, ::3]
        yield "triplets", tuple(triplets)
        yield "triplets repeated", tuple(triplets.repeat(1, 2))
