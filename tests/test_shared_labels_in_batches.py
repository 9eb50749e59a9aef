"""Losses, miners inside a batch and batches themselves for rows that have several labels each: positives share one."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from hnm_core import losses, miners
from hnm_core.data import sampling
from hnm_core.data.item_labels import ItemLabels, of_table
from hnm_core.errors import InputError
from hnm_core.seeding import generator
from hnm_core.several_labels import SeveralLabels
from hnm_core.spec.registry import LOSSES, MINERS, SAMPLERS

SOURCE = torch.Generator().manual_seed(5)
X = torch.nn.functional.normalize(torch.randn(24, 6, generator=SOURCE, dtype=torch.float64))
TABLE = torch.rand(24, 5, generator=SOURCE) < 0.25
TABLE[3] = TABLE[17] = False  # two without any
CLASSES = torch.arange(24) % 4
KIN = [[i != j and any(TABLE[i, a] and TABLE[j, a] for a in range(5)) for j in range(24)] for i in range(24)]
"""Who shares a label, by the definition."""

OURS = [name for name in LOSSES.names() if not LOSSES.part(name, {}).options.own_weights and name[0].islower()]
SHARING = [name for name in OURS if LOSSES.part(name, {}).options.shares_labels]
IN_BATCH = [
    name
    for name in MINERS.names()
    if MINERS.part(name, {}).entry.scope == "batch" and MINERS.part(name, {}).options.shares_labels and name != "none"
]


def others(i: int) -> tuple[list[int], list[int]]:
    """The positives and the negatives of row i."""
    return [j for j in range(24) if KIN[i][j]], [j for j in range(24) if j != i and not KIN[i][j]]


def dots(i: int, rows: list[int], temperature: float) -> list[float]:
    return [float(X[i] @ X[j]) / temperature for j in rows]


def lse(values: list[float]) -> float:
    return math.log(sum(math.exp(value) for value in values))


def away(i: int, j: int) -> float:
    return math.sqrt(sum(float(a - b) ** 2 for a, b in zip(X[i], X[j], strict=True)))


def sup_con() -> float:
    values = []
    for i in range(24):
        positive, negative = others(i)
        if positive:
            values.append(lse(dots(i, positive + negative, 0.1)) - sum(dots(i, positive, 0.1)) / len(positive))
    return sum(values) / len(values)


def nt_xent() -> float:
    values = []
    for i in range(24):
        positive, negative = others(i)
        values += [lse([one, *dots(i, negative, 0.1)]) - one for one in dots(i, positive, 0.1)]
    return sum(values) / len(values)


def contrastive() -> float:
    pull = [away(i, j) for i in range(24) for j in others(i)[0]]
    push = [max(0.0, 1.0 - away(i, j)) for i in range(24) for j in others(i)[1]]
    return sum(pull) / len(pull) + sum(push) / sum(value > 0 for value in push)


def triplet() -> float:
    values = [max(0.0, away(i, p) - away(i, n) + 0.05) for i in range(24) for p in others(i)[0] for n in others(i)[1]]
    return sum(values) / sum(value > 0 for value in values)


def snnl() -> float:
    values = []
    for i in range(24):
        positive, negative = others(i)
        if positive:
            near = [-(away(i, j) ** 2) / 0.5 for j in positive]
            values.append(lse(near + [-(away(i, j) ** 2) / 0.5 for j in negative]) - lse(near))
    return sum(values) / len(values)


def multi_similarity() -> float:
    values = []
    for i in range(24):
        positive, negative = others(i)
        pull = sum(math.exp(-2 * (s - 0.5)) for s in dots(i, positive, 1.0))
        push = sum(math.exp(50 * (s - 0.5)) for s in dots(i, negative, 1.0))
        values.append(math.log(1 + pull) / 2 + math.log(1 + push) / 50)
    return sum(values) / len(values)


DEFINED: list[tuple[str, dict[str, object], Callable[[], float]]] = [
    ("sup-con", {"temperature": 0.1}, sup_con),
    ("nt-xent", {"temperature": 0.1}, nt_xent),
    ("contrastive", {"neg_margin": 1.0}, contrastive),
    ("triplet-margin", {"margin": 0.05}, triplet),
    ("snnl", {"temperature": 0.5, "schedule": "fixed"}, snnl),
    ("multi-similarity", {"alpha": 2.0, "beta": 50.0, "base": 0.5}, multi_similarity),
]


@pytest.mark.parametrize(("name", "options", "definition"), DEFINED, ids=[one[0] for one in DEFINED])
def test_that_a_loss_of_several_labels_is_what_loops_over_pairs_say(
    name: str, options: dict[str, object], definition: Callable[[], float]
) -> None:
    loss = losses.create(name, **options)
    assert float(loss(X, TABLE)) == pytest.approx(definition(), rel=1e-6)
    assert float(loss(X, TABLE.long())) == float(loss(X, TABLE))


@pytest.mark.parametrize("name", SHARING)
def test_that_one_label_each_as_a_table_is_a_class(name: str) -> None:
    table = torch.nn.functional.one_hot(CLASSES, 4)
    values = []
    for labels in (CLASSES, table):
        loss = losses.create(name)
        x = X.float().requires_grad_()
        value = loss(x, labels)
        value.backward()
        values.append((value.detach(), x.grad))
        past = loss(x, labels, None, X.flip(0).float(), labels.flip(0))
        values.append((past.detach(), None))
    assert torch.equal(values[0][0], values[2][0])
    assert torch.equal(values[1][0], values[3][0])
    assert torch.equal(values[0][1], values[2][1])


@pytest.mark.parametrize("name", [name for name in OURS if name not in SHARING])
def test_that_a_loss_of_classes_refuses_a_table(name: str) -> None:
    with pytest.raises(InputError, match="one class a row"):
        losses.create(name)(X, TABLE)


@pytest.mark.parametrize("name", IN_BATCH)
def test_that_miners_take_as_positives_who_share_a_label_and_as_negatives_who_do_not(name: str) -> None:
    for reference in (None, X.flip(0).float()):
        miner = miners.create(name, generator=generator(0, "test"))
        mined = miner(X.float(), TABLE, reference, None if reference is None else TABLE.flip(0))
        rows = [[int(row) for row in vector] for vector in mined]
        turn = 0 if reference is None else 23
        real = [(a, abs(turn - p), "+") for a, p in zip(rows[0], rows[1], strict=True)]
        real += [
            (a, abs(turn - n), "-") for a, n in zip(rows[-2] if len(rows) == 4 else rows[0], rows[-1], strict=True)
        ]
        assert real
        for anchor, other, kind in real:
            if reference is None:
                assert anchor != other
            shares = KIN[anchor][other] or (anchor == other and bool(TABLE[anchor].any()))
            assert shares is (kind == "+")


def test_that_batch_hard_takes_the_farthest_that_shares_a_label_and_the_nearest_that_does_not() -> None:
    anchor, positive, negative = miners.create("batch-hard")(X, TABLE)
    expected = []
    for i in range(24):
        pull, push = others(i)
        if pull and push:
            expected.append((i, max(pull, key=lambda j: away(i, j)), min(push, key=lambda j: away(i, j))))
    assert list(zip(anchor.tolist(), positive.tolist(), negative.tolist(), strict=True)) == expected


@pytest.mark.parametrize("name", IN_BATCH)
def test_that_a_miner_finds_the_same_in_a_table_of_one_label_each(name: str) -> None:
    table = torch.nn.functional.one_hot(CLASSES, 4)
    found = [miners.create(name, generator=generator(0, "t"))(X.float(), labels) for labels in (CLASSES, table)]
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (TABLE[:5], "must have shape"),
        (TABLE.float(), "must have shape"),
        (TABLE.long() * 2, "0 and 1 alone"),
        (TABLE[:, :1], r"not \(24, 1\)"),
    ],
)
def test_that_a_wrong_table_is_refused_in_one_sentence(labels: Tensor, said: str) -> None:
    for part in (losses.create("sup-con"), miners.create("batch-hard")):
        with pytest.raises(InputError, match=said):
            part(X, labels)
        with pytest.raises(InputError, match="do not go together"):
            part(X, TABLE, ref_emb=X, ref_labels=CLASSES)


def test_that_the_table_of_a_batch_tells_who_shares_a_label() -> None:
    several = SeveralLabels.of_table(TABLE)
    rows = torch.tensor([20, 3, 7, 7, 0])
    table = several.table(rows)
    assert several.table(torch.tensor([3, 17])).tolist() == [[False, False]] * 2
    common = (table.long() @ table.long().T) > 0
    assert common.tolist() == [[KIN[i][j] or (i == j and i != 3) for j in rows.tolist()] for i in rows.tolist()]


def labelled(items: int = 300) -> ItemLabels:
    source = np.random.default_rng(1)
    return of_table(source.random((items, 9)) < np.linspace(0.05, 0.5, 9), "a test")


def test_that_balanced_batches_hold_items_of_each_drawn_label_and_none_twice() -> None:
    labels = labelled()
    part = SAMPLERS.part("balanced", {"classes": 3, "per_class": 4})
    sampler = sampling.build(part, labels=labels.rarest(), batch=12, seed=0, several=labels)
    table = labels.table()
    seen = np.zeros_like(table)
    for epoch in (0, 1):
        batches = sampler.batches(epoch)
        for rows in batches:
            assert len(np.unique(rows)) == len(rows) <= 12
            assert (table[rows].sum(0) >= 4).sum() >= 3
            seen[rows] = True
        assert all(np.array_equal(one, again) for one, again in zip(batches, sampler.batches(epoch), strict=True))
    assert seen.any(1)[labels.sizes > 0].all()
    assert not seen.any(1)[labels.sizes == 0].any()
    assert f"{(labels.sizes == 0).sum()} items without a label are in no batch" in sampler.notes[0]


def test_that_a_batch_is_smaller_where_every_item_with_a_label_is_in_it() -> None:
    labels = of_table(np.array([[1, 1], [1, 1], [1, 0]]), "a test")
    part = SAMPLERS.part("balanced", {"classes": 2, "per_class": 2})
    batches = sampling.build(part, labels=labels.rarest(), batch=4, seed=0, several=labels).batches(0)
    assert batches
    assert all(len(np.unique(rows)) == len(rows) <= 3 for rows in batches)
