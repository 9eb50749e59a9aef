"""Losses of mined tuples: both ways to the distances agree, memory stays within B x R and T, counts equal sorting."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from hnm_core import losses, miners
from hnm_core.distances import Distance
from hnm_core.losses import named_pairs, pairs
from hnm_core.losses.base import checked_batch
from hnm_core.losses.named_pairs import pair_distances
from hnm_core.spec.registry import LOSSES

from .batches import batch, value_and_gradient

OWN = [name for name in LOSSES.names() if LOSSES.entry(name).target.startswith("hnm_core.losses.") and name.islower()]
DISTANCES = [
    Distance(metric, normalized)
    for metric in ("euclidean", "squared-euclidean", "cosine", "inner-product")
    for normalized in (False, True)
]


def by_the_book(distance: Distance, left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Distance of every row to the same row of the other, written out."""
    if distance.normalized or distance.metric == "cosine":
        left, right = left / left.norm(dim=1, keepdim=True), right / right.norm(dim=1, keepdim=True)
    if distance.metric in ("cosine", "inner-product"):
        return float(distance.metric == "cosine") - (left * right).sum(1)
    squared = (left - right).square().sum(1)
    if distance.metric == "squared-euclidean":
        return squared
    return torch.where(squared > 0, squared, 1.0).sqrt() * (squared > 0)


def random_triplets(count: int, rows: int, ref_rows: int, seed: int = 0) -> tuple[torch.Tensor, ...]:
    """Triplets of any rows at all, many of them more than once."""
    source = torch.Generator().manual_seed(seed)
    return tuple(torch.randint(limit, (count,), generator=source) for limit in (rows, ref_rows, ref_rows))


@pytest.fixture(params=["matrix", "one by one"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Whichever way would be taken, this one is."""
    for module in (named_pairs, pairs):
        monkeypatch.setattr(module, "are_many", lambda *_: request.param == "matrix")
    return request.param


@pytest.mark.parametrize("distance", DISTANCES, ids=str)
@pytest.mark.parametrize("dim", [3, 40])
def test_that_distances_of_named_pairs_are_those_of_their_rows_either_way(
    way: str, distance: Distance, dim: int
) -> None:
    x, _ = batch(n=12, dim=dim)
    ref, _ = batch(seed=1, n=9, dim=dim)
    anchor, positive, negative = random_triplets(200, 12, 9)
    weight = torch.randn(2, 200, generator=torch.Generator().manual_seed(2), dtype=torch.float64)

    def ours(both: torch.Tensor) -> torch.Tensor:
        left, right = distance.prepare(both[:12]), distance.prepare(both[12:])
        near, far = pair_distances(distance, left, right, (anchor, positive), (anchor, negative))
        return (weight[0] * near + weight[1] * far).sum()

    def wanted(both: torch.Tensor) -> torch.Tensor:
        left, right = both[:12], both[12:]
        near, far = (by_the_book(distance, left[anchor], right[other]) for other in (positive, negative))
        return (weight[0] * near + weight[1] * far).sum()

    found, expected = value_and_gradient(ours, torch.cat((x, ref))), value_and_gradient(wanted, torch.cat((x, ref)))
    assert torch.allclose(found[0], expected[0], rtol=1e-9)
    assert torch.allclose(found[1], expected[1], atol=1e-9)


TRIPLET_LOSSES = [
    ("triplet-margin", {}),
    ("triplet-margin", {"swap": True}),
    ("triplet-margin", {"squared": True, "margin": 0.5}),
    ("triplet-margin", {"smooth": True, "reduction": "anchor_mean"}),
    ("triplet-margin", {"distance": Distance("cosine"), "reduction": "mean"}),
    ("triplet-margin", {"distance": Distance("inner-product"), "reduction": "sum"}),
    ("hoffer-ailon", {}),
    ("margin", {"learn_beta": "one", "nu": 0.1}),
    ("dtsh", {}),
]


@pytest.mark.parametrize(("name", "options"), TRIPLET_LOSSES, ids=lambda given: str(given))
@pytest.mark.parametrize("with_reference", [False, True])
def test_that_a_loss_over_triplets_is_the_same_out_of_the_matrix_and_one_by_one(
    name: str, options: dict, with_reference: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = batch(n=20, dim=24)
    ties = "swap" not in options  # whose slope at a tie may be either side's
    if ties:
        x[3] = x[9] = x[4]  # distance 0
        x[5] = 0.0
    ref, ref_y = batch(seed=1, n=14, dim=24) if with_reference else (None, None)
    loss = losses.create(name, **options)
    for kind, bound in ((torch.float64, 1e-7), (torch.float32, 2e-5)):
        other = None if ref is None else ref.to(kind)
        for count in (0, 1, 3, 900):
            mined = random_triplets(count, 20, 20 if ref is None else 14)
            if not ties:
                mined = tuple(rows[mined[0] != mined[1]] for rows in mined)
            found = []
            for many in (False, True):
                monkeypatch.setattr(named_pairs, "are_many", lambda *_, many=many: many)
                found.append(
                    value_and_gradient(lambda e, mined=mined, o=other: loss(e, y, mined, o, ref_y), x.to(kind))
                )
            (listed, slope), (matrix, matrix_slope) = found
            scale = max(1.0, float(slope.abs().max()), float(listed.abs()))
            assert torch.isfinite(matrix_slope).all()
            assert torch.allclose(matrix, listed, atol=bound * scale)
            assert torch.allclose(matrix_slope, slope, atol=bound * scale)


class Largest(TorchDispatchMode):
    """The numbers of the largest tensor that is made."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        made = [leaf.untyped_storage().nbytes() // leaf.itemsize for leaf in tree_leaves(out) if torch.is_tensor(leaf)]
        self.numbers = max([self.numbers, *made])
        return out


@pytest.mark.parametrize(("name", "options"), [*((name, {}) for name in OWN), ("triplet-margin", {"swap": True})])
def test_that_a_loss_over_mined_triplets_makes_nothing_larger_than_the_triplets_or_a_few_batches_squared(
    name: str, options: dict
) -> None:
    n, dim = 48, 300
    x, y = batch(n=n, dim=dim, classes=6)
    mined = tuple(miners.create("triplet-margin", type_of_triplets="all")(x, y))
    assert len(mined[0]) > 2 * n * n
    x.requires_grad_()
    loss = losses.create(name, **options)
    with Largest() as seen:
        loss(x, y, mined).backward()
    assert 0 < seen.numbers <= max(n * dim, 6 * n * n, len(mined[0])) < len(mined[0]) * dim // 10


def test_that_few_triplets_of_many_rows_make_no_matrix() -> None:
    x, y = batch(n=2000, dim=8)
    mined = random_triplets(50, 2000, 2000)
    x.requires_grad_()
    for name in ("triplet-margin", "margin", "hoffer-ailon", "contrastive", "nt-xent", "multi-similarity"):
        with Largest() as seen:
            losses.create(name)(x, y, mined).backward()
        assert 0 < seen.numbers <= x.numel()


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("count", [0, 1, 30, 200, 5000])
@pytest.mark.parametrize("anchors", [40, 7])
def test_that_mined_pairs_are_each_named_pair_once_with_how_often(keep: bool, count: int, anchors: int) -> None:
    x, y = batch(n=40)
    ref, ref_y = batch(seed=1, n=33)
    anchor, positive, negative = random_triplets(count, anchors, 33)
    anchor = (anchor * 5) % 40  # not the first rows
    lines = pairs.pair_lines(
        checked_batch(x, y, (anchor, positive, negative), ref, ref_y, None), keep_multiplicity=keep
    )
    assert lines.anchor.tolist() == sorted(set(anchor.tolist()))
    for side, other in ((lines.positive, positive), (lines.negative, negative)):
        wanted: dict[tuple[int, int], int] = {}
        for pair in zip(anchor.tolist(), other.tolist(), strict=True):
            wanted[pair] = wanted.get(pair, 0) + 1
        line, place = side.mask.nonzero(as_tuple=True)
        named = list(zip(lines.anchor[line].tolist(), side.row[line, place].tolist(), strict=True))
        assert named == sorted(wanted)
        if keep:
            assert side.times[line, place].tolist() == [wanted[pair] for pair in named]
        else:
            assert side.times is None


@pytest.mark.parametrize("counted", [1, 10**9])
@pytest.mark.parametrize("whole", [1, 10**9])
@pytest.mark.parametrize("name", ["contrastive", "nt-xent", "sup-con", "multi-similarity", "circle", "snnl", "margin"])
def test_that_it_makes_no_difference_how_mined_pairs_are_kept(
    name: str, whole: int, counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, y = batch()
    mined = random_triplets(150, 30, 30)  # among them pairs that are both positive and negative
    for options in ({}, {"keep_multiplicity": True}) if name != "margin" else ({},):
        for four in (False, True):
            tuples = (mined[0], mined[1], mined[2], mined[1]) if four else mined
            loss = losses.create(name, **options)
            call = lambda e, loss=loss, tuples=tuples: loss(e, y, tuples)  # noqa: E731  (bound to this turn of the loop)
            plain = value_and_gradient(call, x)
            with monkeypatch.context() as patched:
                patched.setattr(pairs, "WHOLE", whole)
                patched.setattr(pairs, "COUNTED", counted)
                other = value_and_gradient(call, x)
            assert torch.allclose(plain[0], other[0], rtol=1e-12)
            assert torch.allclose(plain[1], other[1], atol=1e-12)


def test_that_gradients_of_mined_triplets_are_the_same_bits_at_every_call_and_thread_count() -> None:
    x, y = batch(n=64, dim=20, classes=8)
    mined = tuple(miners.create("triplet-margin", type_of_triplets="all")(x, y))
    threads = torch.get_num_threads()
    found = []
    try:
        for count in (1, 2, 2):
            torch.set_num_threads(count)
            found.append(value_and_gradient(lambda e: losses.create("triplet-margin")(e, y, mined), x.float()))
    finally:
        torch.set_num_threads(threads)
    assert all(torch.equal(found[0][1], other[1]) for other in found[1:])


@pytest.mark.parametrize("name", ["triplet-margin", "hoffer-ailon", "margin"])
def test_that_all_triplets_mined_are_all_triplets_there_are(name: str) -> None:
    x, y = batch(n=36, dim=40)
    mined = tuple(
        torch.tensor(rows)
        for rows in zip(
            *(
                (a, p, n)
                for a, p, n in itertools.product(range(36), repeat=3)
                if a != p and y[a] == y[p] and y[a] != y[n]
            ),
            strict=True,
        )
    )
    loss = losses.create(name)
    listed = value_and_gradient(lambda e: loss(e, y, mined), x)
    summed = value_and_gradient(lambda e: loss(e, y), x)
    assert torch.allclose(listed[0], summed[0], rtol=1e-9)
    assert torch.allclose(listed[1], summed[1], atol=1e-9)
