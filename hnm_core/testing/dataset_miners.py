"""`check_dataset_miner`: what every miner over the whole set promises (`hnm_core.miners.base.DatasetMiner`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.miners.base import DatasetMiner, ExplainsEmptySet, MiningContext, Pairs, Triplets
from hnm_core.run.timing import PhaseClock, wall_clock
from hnm_core.testing.banks import KINDS, bank_of, of_same_class
from hnm_core.testing.expect import expect, expect_refused, torch_threads, unchanged

MinerFactory = Callable[..., DatasetMiner]
DISTANCES = (Distance(), Distance("cosine"), Distance(normalized=True))


def check_dataset_miner(
    factory: MinerFactory,
    *,
    complete: bool = True,
    distances: Sequence[Distance] = DISTANCES,
    dims: Sequence[int] = (1, 3, 20),
) -> None:
    """Raises `AssertionError` with a sentence where a miner breaks a promise.

    Args:
        factory: called as factory(generator=..., distance=...), a miner that has seen no bank.
        complete: whether every anchor that has both a positive and a negative gives a tuple.
        distances: that it supports.
        dims: that it supports.
    """
    distance, dim = distances[0], dims[-1]
    with torch_threads(1):
        expect_refused(
            lambda: _make(factory, distance).mine(torch.tensor([0]), _context(distance)), "mining before a refresh"
        )
        for each in distances:
            for columns in dims:
                for kind in KINDS:
                    _check_tuples(factory, kind, columns, each, complete)
        _check_refreshing(factory, distance, dim)
        _check_storage(factory, distance, dim)
        _check_clock(factory, distance, dim)
    _check_repeatable(factory, distance, dim)


def _make(factory: MinerFactory, distance: Distance) -> DatasetMiner:
    miner = factory(generator=torch.Generator().manual_seed(11), distance=distance)
    expect(isinstance(miner, DatasetMiner), "a miner over the whole set needs refresh(bank, context) and mine(...)")
    return miner


def _context(distance: Distance, seed: int = 0, clock: PhaseClock | None = None) -> MiningContext:
    return MiningContext(1, 0, torch.Generator().manual_seed(seed), distance, clock)


def _mined(factory: MinerFactory, bank: Bank, anchors: Tensor, distance: Distance, seed: int = 0) -> Triplets | Pairs:
    miner, context = _make(factory, distance), _context(distance, seed)
    miner.refresh(bank, context)
    return miner.mine(anchors, context)


def _check_tuples(factory: MinerFactory, kind: str, dim: int, distance: Distance, complete: bool) -> None:
    plain = bank_of(kind, dim)
    bank = Bank(plain.embeddings.clone().requires_grad_(), plain.labels)
    where = f"{distance}, '{kind}' bank of {len(bank)} points in {dim}-D"
    anchors = torch.cat([torch.arange(len(bank)).flip(0)[::2], torch.zeros(2, dtype=torch.int64)])
    miner, context = _make(factory, distance), _context(distance)
    with unchanged(bank, where):
        miner.refresh(bank, context)
        tuples = miner.mine(anchors, context)
        nothing = miner.mine(anchors[:0], context)
    _check_shape(tuples, len(bank), where)
    _check_meaning(tuples, bank, anchors, where)
    _check_shape(nothing, len(bank), f"no anchors, {where}")
    expect(not len(nothing[0]) and not len(nothing[-1]), f"{where}: no anchors must give no tuples")
    sizes = of_same_class(bank, torch.arange(len(bank))).sum(1)
    can = (sizes > 1) & (sizes < len(bank))
    if complete:
        missing = set(anchors[can[anchors]].tolist()) - set(tuples[0].tolist())
        expect(not missing, f"{where}: anchor {min(missing, default=-1)} has partners but gave no tuple")
    if isinstance(miner, ExplainsEmptySet):
        reason = miner.explain_empty()
        expect(reason is not None and bool(str(reason)), f"{where}: explain_empty must say why there is no tuple")


def _check_shape(tuples: Triplets | Pairs, rows: int, where: str) -> None:
    expect(isinstance(tuples, (Triplets, Pairs)), f"{where}: must give Triplets or Pairs, not {type(tuples).__name__}")
    for name, vector in zip(tuples._fields, tuples, strict=True):
        expect(vector.dtype == torch.int64, f"{where}: {name} must be int64, not {vector.dtype}")
        expect(vector.ndim == 1, f"{where}: {name} must be a vector, not of shape {tuple(vector.shape)}")
        inside = (vector >= 0) & (vector < rows)
        expect(bool(inside.all()), f"{where}: {name} holds what is no row of the bank")
        expect(not vector.requires_grad, f"{where}: {name} must carry no gradient")
    lengths = [len(vector) for vector in tuples]
    halves = [lengths] if len(tuples) == 3 else [lengths[:2], lengths[2:]]
    expect(all(len(set(half)) == 1 for half in halves), f"{where}: lengths {lengths} do not fit together")


def _check_meaning(tuples: Triplets | Pairs, bank: Bank, anchors: Tensor, where: str) -> None:
    if isinstance(tuples, Triplets):
        pulling, positive, pushing, negative = tuples.anchor, tuples.positive, tuples.anchor, tuples.negative
    else:
        pulling, positive, pushing, negative = tuples
    for anchor in (pulling, pushing):
        expect(bool(torch.isin(anchor, anchors).all()), f"{where}: a tuple's anchor was not asked for")
    labels = bank.labels
    expect(bool((labels[pulling] == labels[positive]).all()), f"{where}: a positive is of another class")
    expect(bool((pulling != positive).all()), f"{where}: an anchor is its own positive")
    expect(bool((labels[pushing] != labels[negative]).all()), f"{where}: a negative is of the anchor's class")


def _check_repeatable(factory: MinerFactory, distance: Distance, dim: int) -> None:
    bank, anchors = bank_of("clustered", dim, n=300), torch.arange(300)
    answers = []
    for threads in (1, 2, 1):
        with torch_threads(threads):
            answers.append(_mined(factory, bank, anchors, distance, seed=4))
            expect(torch.get_num_threads() == threads, "a miner must leave torch's number of threads alone")
    for answer, words in ((answers[1], "two threads and one"), (answers[2], "equal generators")):
        same = all(torch.equal(got, first) for got, first in zip(answer, answers[0], strict=True))
        expect(same, f"{words} must give the same tuples")


def _check_refreshing(factory: MinerFactory, distance: Distance, dim: int) -> None:
    large, small = bank_of("random", dim), bank_of("clustered", dim, n=30, seed=5)
    anchors = torch.arange(30)
    alone = _mined(factory, large, anchors, distance, seed=2)
    one, other = _make(factory, distance), _make(factory, distance)
    one.refresh(large, _context(distance, 1))
    other.refresh(small, _context(distance, 1))
    again = one.mine(anchors, _context(distance, 2))
    same = all(torch.equal(got, first) for got, first in zip(again, alone, strict=True))
    expect(same, "two miners must not share what they have seen")
    one.refresh(small, _context(distance, 1))
    renewed = one.mine(anchors, _context(distance, 2))
    _check_shape(renewed, 30, "after a refresh with a smaller bank")
    _check_meaning(renewed, small, anchors, "after a refresh with a smaller bank")


def _check_storage(factory: MinerFactory, distance: Distance, dim: int) -> None:
    source = torch.Generator().manual_seed(1)
    points = torch.randn(60, dim, generator=source).half()  # values that each of the types can hold
    classes = torch.randint(3, (60,), generator=source)
    wide = torch.zeros(60, 2 * dim)
    wide[:, ::2] = points.float()
    anchors = torch.arange(60)
    plain = _mined(factory, Bank(points.float(), classes), anchors, distance)
    forms = {
        "half": (points, classes),
        "double": (points.double(), classes.to(torch.int32)),
        "non-contiguous": (wide[:, ::2], classes),
        "with labels at the ends of int64": (points.float(), torch.tensor([-(2**63), 0, 2**63 - 1])[classes]),
    }
    for name, (embeddings, labels) in forms.items():
        got = _mined(factory, Bank(embeddings, labels), anchors, distance)
        same = all(torch.equal(vector, first) for vector, first in zip(got, plain, strict=True))
        expect(same, f"embeddings {name} give other tuples than plain float32")
    strided = _mined(factory, Bank(points.float(), classes), torch.arange(120)[::2] // 2, distance)
    same = all(torch.equal(vector, first) for vector, first in zip(strided, plain, strict=True))
    expect(same, "anchors that are not contiguous give other tuples")
    spoilt = points.float().clone()
    spoilt[3, 0] = torch.inf
    expect_refused(lambda: _mined(factory, Bank(spoilt, classes), anchors, distance), "infinity in the embeddings")


def _check_clock(factory: MinerFactory, distance: Distance, dim: int) -> None:
    bank, anchors = bank_of("random", dim), torch.arange(50)
    plain = _mined(factory, bank, anchors, distance)
    miner, context = _make(factory, distance), _context(distance, clock=wall_clock())
    miner.refresh(bank, context)
    timed = miner.mine(anchors, context)
    same = all(torch.equal(got, first) for got, first in zip(timed, plain, strict=True))
    expect(same, "a clock must not change what is mined")
