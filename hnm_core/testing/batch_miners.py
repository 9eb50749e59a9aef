"""Conformance of a miner inside a batch: what `hnm_core.miners.base.BatchMiner` promises, on batches that are not nice.

    check_batch_miner(lambda generator: miners.create("my-miner", generator))

Needs no test framework: a broken promise raises `AssertionError` with a sentence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Generator, Tensor

from hnm_core.miners.base import BatchMiner, Pairs, Triplets
from hnm_core.testing.expect import expect, expect_refused

Factory = Callable[[Generator], BatchMiner]


def check_batch_miner(factory: Factory, *, dims: tuple[int, ...] = (1, 2, 3, 17), rows_multiple_of: int = 1) -> None:
    """Check a miner that `factory` builds around a generator.

    Args:
        factory: called anew for every batch.
        dims: numbers of coordinates to try.
        rows_multiple_of: only batches with so many rows or a multiple are tried.

    Raises:
        AssertionError: the promise that is broken, and by which batch.
    """
    for dim in dims:
        for name, rows, labels in degenerate_batches(dim):
            if len(rows) % rows_multiple_of == 0:
                _check_call(factory, f"{name}, {dim}-D", rows, labels, None, None)
        rows, labels = _blobs(24, dim, 4)
        other, other_labels = _blobs(30, dim, 5)
        _check_call(factory, f"a reference set, {dim}-D", rows, labels, other, other_labels)
        _check_determinism(factory, rows, labels)
        _check_refusal(factory, rows, labels)


def degenerate_batches(dim: int) -> Iterator[tuple[str, Tensor, Tensor]]:
    """(name, embeddings, labels) of batches that miners and losses trip over."""
    rows, labels = _blobs(24, dim, 4)
    yield "an ordinary batch", rows, labels
    yield "an empty batch", rows[:0], labels[:0]
    yield "one row", rows[:1], labels[:1]
    yield "one class", rows[:6], torch.zeros(6, dtype=torch.int64)
    yield "one item per class", rows[:6], torch.arange(6)
    yield "all rows equal", torch.ones(12, dim), torch.arange(12) % 3
    twins = rows.clone()
    twins[1] = twins[0]
    yield "two equal rows of different class", twins, labels
    zero = rows.clone()
    zero[3] = 0
    yield "a row of zeros", zero, labels
    yield "classes of 1, 2 and 21", rows, torch.tensor([7] + [9] * 2 + [-3] * 21)
    yield "labels far from 0", rows, labels * 10**15 - 2**62
    yield "labels of 8 bits", rows, labels.to(torch.int8)
    yield "double precision", rows.double(), labels
    yield "half precision", rows.half(), labels
    yield "rows that are not contiguous", rows.repeat(1, 2)[:, ::2][:, :dim], labels


def _blobs(count: int, dim: int, classes: int) -> tuple[Tensor, Tensor]:
    generator = Generator().manual_seed(17 * count + dim)
    labels = torch.arange(count) % classes
    return torch.randn(count, dim, generator=generator) + 0.5 * labels[:, None], labels


def _check_call(
    factory: Factory, where: str, rows: Tensor, labels: Tensor, ref_emb: Tensor | None, ref_labels: Tensor | None
) -> None:
    before, labels_before = rows.clone(), labels.clone()
    tracked = rows.clone().requires_grad_()
    given = tracked if rows.is_contiguous() else rows
    found = factory(Generator().manual_seed(0))(given, labels, ref_emb, ref_labels)
    expect(torch.equal(rows, before) and torch.equal(labels, labels_before), f"{where}: the batch was changed")
    if found is None:
        return
    expect(
        isinstance(found, Triplets | Pairs), f"{where}: must give Triplets, Pairs or None, not {type(found).__name__}"
    )
    partners = ref_labels if ref_labels is not None else labels
    for vector in found:
        expect(vector.dtype == torch.int64 and vector.ndim == 1, f"{where}: rows must be one-dimensional int64")
        expect(not vector.requires_grad and vector.device == rows.device, f"{where}: rows with gradient or elsewhere")
    if isinstance(found, Triplets):
        expect(len({len(vector) for vector in found}) == 1, f"{where}: vectors of triplets differ in length")
        pulled, pushed = (found.anchor, found.positive), (found.anchor, found.negative)
    else:
        pulled, pushed = (found.anchor1, found.positive), (found.anchor2, found.negative)
    for anchor, other in (pulled, pushed):
        expect(len(anchor) == len(other), f"{where}: the two ends of pairs differ in number")
        for vector, limit in ((anchor, len(rows)), (other, len(partners))):
            expect(bool(((vector >= 0) & (vector < limit)).all()), f"{where}: no such row")
    expect(bool((labels[pulled[0]] == partners[pulled[1]]).all()), f"{where}: a positive of another class")
    expect(bool((labels[pushed[0]] != partners[pushed[1]]).all()), f"{where}: a negative of the anchor's class")
    if ref_emb is None:
        expect(bool((pulled[0] != pulled[1]).all()), f"{where}: a row is a positive of itself")


def _check_determinism(factory: Factory, rows: Tensor, labels: Tensor) -> None:
    chance = torch.random.get_rng_state()
    first, second = (factory(Generator().manual_seed(5))(rows, labels) or () for _ in range(2))
    same = len(first) == len(second) and all(torch.equal(*both) for both in zip(first, second, strict=True))
    expect(same, "the same generator gave different tuples")
    expect(torch.equal(torch.random.get_rng_state(), chance), "the global generator was used")


def _check_refusal(factory: Factory, rows: Tensor, labels: Tensor) -> None:
    for value in (torch.nan, torch.inf):
        broken = rows.clone()
        broken[2, 0] = value
        miner = factory(Generator().manual_seed(0))
        expect_refused(partial(miner, broken, labels), f"a row with {value}")
