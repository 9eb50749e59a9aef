"""Miners and losses as parts of somebody's PyTorch program."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from pytorch_metric_learning import losses as library
from torch import nn

from hnm_core import losses, miners, neighbors
from hnm_core.bank import Bank
from hnm_core.distances import METRICS, Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.codes import code_retrieval
from hnm_core.evaluation.ranking import ranking
from hnm_core.evaluation.retrieval import retrieval
from hnm_core.losses.base import Problem
from hnm_core.miners.in_batch.memory_bank import MemoryBank
from hnm_core.spec.registry import LOSSES, MINERS, NEIGHBORS

IN_BATCH = [
    name
    for name in MINERS.names()
    if MINERS.entry(name).scope == "batch" and not getattr(MINERS.entry(name).options, "gone", "")
]
EVERY_LOSS = [name for name in LOSSES.names() if not getattr(LOSSES.entry(name).options, "bug", "")]
OWN = [name for name in LOSSES.names() if name.islower()]

copied = pytest.mark.parametrize("copied", [copy.deepcopy, lambda part: pickle.loads(pickle.dumps(part))])


def batch(count: int = 48, dim: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(1)
    labels = torch.arange(count) % 6
    return torch.randn(count, dim, generator=source) + 0.2 * labels[:, None], labels


@pytest.mark.parametrize("name", IN_BATCH)
def test_that_a_miner_is_a_module_that_the_librarys_containers_take(name: str) -> None:
    rows, labels = batch()
    miner, twin = (miners.create(name, torch.Generator().manual_seed(4)) for _ in range(2))
    assert isinstance(miner, nn.Module)
    assert not [*miner.parameters()]
    assert not miner.state_dict()
    loss = losses.create("triplet-margin")
    both = library.MultipleLosses([loss, library.ContrastiveLoss()], miners=[miner, None], weights=[2, 0])
    assert torch.equal(both(rows, labels), 2 * loss(rows, labels, twin(rows, labels)) + 0)


def test_that_a_librarys_memory_of_past_batches_takes_a_miner_and_a_loss() -> None:
    rows, labels = batch()
    memory = library.CrossBatchMemory(
        losses.create("contrastive"), embedding_size=24, memory_size=96, miner=miners.create("multi-similarity")
    )
    values = [memory(rows + step, labels) for step in range(3)]
    assert all(torch.isfinite(value) for value in values)


@copied
@pytest.mark.parametrize("name", EVERY_LOSS)
def test_that_a_copy_of_a_loss_gives_what_the_loss_gives(name: str, copied: Callable[[Any], Any]) -> None:
    rows, labels = batch(60)
    loss = losses.create(name, problem=Problem(6, 24))
    more = {"ref_emb": rows.flip(0), "ref_labels": labels} if name == "VICRegLoss" else {}
    loss(rows, labels, **more)  # has seen a batch
    found = copied(loss)(rows, labels, **more)
    torch.testing.assert_close(found, loss(rows, labels, **more), rtol=0, atol=0, equal_nan=True)


@copied
@pytest.mark.parametrize("dim", [8, 40])
@pytest.mark.parametrize("name", [name for name in NEIGHBORS.names() if name != "faiss"])
def test_that_a_copy_of_a_search_answers_and_chooses_on_its_own(
    name: str, dim: int, copied: Callable[[Any], Any]
) -> None:
    rows, labels = batch(300, 8 if name == "kdtree" else dim)
    search = neighbors.create(name)
    search.build(Bank(rows, labels))
    expected = search.nearest_negatives(torch.arange(300), 5)
    twin = copied(search)
    assert torch.equal(twin.nearest_negatives(torch.arange(300), 5).row, expected.row)
    twin.build(Bank(rows.flip(0), labels))
    assert twin.nearest_negatives(torch.arange(300), 5).row.shape == (300, 5)


@pytest.mark.parametrize("name", IN_BATCH)
def test_that_the_batch_given_as_its_own_reference_pairs_no_row_with_itself(name: str) -> None:
    rows, labels = batch()
    alone, with_itself = (miners.create(name, torch.Generator().manual_seed(4)) for _ in range(2))
    expected, found = alone(rows, labels), with_itself(rows, labels, rows, labels)
    assert all(torch.equal(*pair) for pair in zip(found or (), expected or (), strict=True))


@pytest.mark.parametrize("size", [12, 46])
@pytest.mark.parametrize("mined", [False, True])
@pytest.mark.parametrize("name", [name for name in OWN if name not in ("circle", "soft-info-nce")])
def test_that_a_penalty_on_the_gradient_has_a_gradient_itself(name: str, mined: bool, size: int) -> None:
    source = torch.Generator().manual_seed(2)
    labels = torch.arange(size) % 4
    rows = torch.randn(size, 3, generator=source, dtype=torch.float64, requires_grad=True)
    loss = losses.create(name, problem=Problem(4, 3)).double()  # but of the two whose weights count as constants
    tuples = miners.create("all-triplets")(rows, labels) if mined else None
    step = torch.randn(size, 3, generator=source, dtype=torch.float64)

    def slope(at: torch.Tensor, create_graph: bool = False) -> torch.Tensor:
        return torch.autograd.grad(loss(at, labels, tuples), at, create_graph=create_graph)[0]

    (bend,) = torch.autograd.grad((slope(rows, True) * step).sum(), rows, allow_unused=True)
    bend = torch.zeros_like(rows) if bend is None else bend
    tiny = 1e-6
    ahead, behind = ((rows.detach() + side * tiny * step).requires_grad_() for side in (1, -1))
    torch.testing.assert_close(bend, (slope(ahead) - slope(behind)) / (2 * tiny), rtol=1e-3, atol=1e-5)


def test_that_a_write_into_the_callers_tensors_changes_no_answer() -> None:
    for name in NEIGHBORS.names():
        rows, labels = batch(200, 8)
        search, bank = neighbors.create(name), Bank(rows, labels)
        search.build(bank)
        untouched = neighbors.create(name)
        untouched.build(Bank(rows.clone(), labels.clone()))
        kept, of_whom = rows.clone(), labels.clone()
        rows.normal_(generator=torch.Generator().manual_seed(9))
        labels.zero_()
        anchors = torch.arange(200)
        for ask in ("nearest_negatives", "farthest_positives"):
            one, other = getattr(search, ask)(anchors, 5), getattr(untouched, ask)(anchors, 5)
            assert torch.equal(one.row, other.row), name
            assert torch.equal(one.distance, other.distance), name
        assert torch.equal(bank.embeddings, kept)
        assert torch.equal(bank.labels, of_whom)


MEASURES: dict[str, Callable[[Any, Any], object]] = {
    "retrieval": retrieval,
    "ranking": ranking,
    "codes": code_retrieval,
    "bank": Bank,
    "miner": lambda x, y: miners.create("triplet-margin")(x, y),
    "library's miner": lambda x, y: miners.create("TripletMarginMiner")(x, y),
    "loss": lambda x, y: losses.create("contrastive")(x, y),
    "library's loss": lambda x, y: losses.create("ContrastiveLoss")(x, y),
    "memory": lambda x, y: MemoryBank(5).add(x, y, torch.arange(len(x)), 0),
}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, y: (x, y.float()), "integers"),
        (lambda x, y: (x, y.numpy()), "ndarray"),
        (lambda x, y: (x, y.tolist()), "a list"),
        (lambda x, y: (x, y[:-1]), "48"),
        (lambda x, y: (x, y[:, None]), "48"),
        (lambda x, y: (x.numpy(), y), "float|tensor"),
    ],
)
def test_that_labels_and_rows_of_another_kind_are_refused_in_a_sentence(
    measure: str, change: Callable[[Any, Any], tuple[Any, Any]], words: str
) -> None:
    with pytest.raises(InputError, match=words):
        MEASURES[measure](*change(*batch()))


@pytest.mark.parametrize("name", NEIGHBORS.names())
def test_that_more_neighbours_than_rows_are_filled_up_and_more_than_memory_holds_refused(name: str) -> None:
    rows, labels = batch(48, 8)
    search = neighbors.create(name)
    search.build(Bank(rows, labels))
    found = search.nearest_negatives(torch.arange(48), 100)
    assert found.row.shape == (48, 100) and bool((found.row[:, 48:] == -1).all())
    with pytest.raises(InputError, match=r"k = 1,099,511,627,776 neighbours of 48 anchors: .* there are 48 rows\."):
        search.nearest_negatives(torch.arange(48), 1 << 40)


def test_that_a_reference_set_that_is_no_tensor_is_refused_by_a_miner_in_a_sentence() -> None:
    rows, labels = batch()
    for wrong in (rows.tolist(), rows.numpy()):
        with pytest.raises(InputError, match="ref_emb must be a floating-point tensor of shape"):
            miners.create("triplet-margin")(rows, labels, wrong, labels)


def test_that_codes_with_nan_are_refused() -> None:
    rows, labels = batch()
    rows[3, 2] = rows[7, 0] = torch.nan
    with pytest.raises(InputError, match="Codes hold NaN"):
        code_retrieval(rows, labels)


SIZES = [1e-42, 1e-25, 1e-4, 1e4, 1e19, 1e30]


def by_angle(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """(L, R) float64 cosine distances from their definition."""
    left, right = (side.double() / side.double().norm(dim=1, keepdim=True) for side in (left, right))
    return 1 - left @ right.T


@pytest.mark.parametrize("without_kernels", [False, True])
@pytest.mark.parametrize("dim", [8, 40])
@pytest.mark.parametrize("name", ["exact", "dense", "kdtree"])
@pytest.mark.parametrize("distance", [Distance("cosine"), Distance(normalized=True)], ids=str)
def test_that_a_search_by_angle_finds_the_right_rows_at_any_length(
    name: str, dim: int, distance: Distance, without_kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "kdtree" and (dim > 8 or without_kernels):
        pytest.skip("the tree is compiled, and for few dimensions")
    if without_kernels:
        monkeypatch.setattr("hnm_core.kernels.ready", lambda _module: False)
    rows, labels = batch(200, dim)
    scaled = rows * torch.tensor(SIZES)[torch.arange(200) % len(SIZES), None]
    search = neighbors.create(name, distance=distance)
    search.build(Bank(scaled, labels))
    others = labels[:, None] == labels
    for vectors, found in (
        (scaled, search.nearest_negatives(torch.arange(200), 3)),
        (rows[:50] * 1e-30, search.nearest_to(rows[:50] * 1e-30, 3, labels[:50])),
    ):
        truth = by_angle(vectors, scaled).masked_fill(others[: len(vectors)], torch.inf)
        assert ((truth.gather(1, found.row) - truth.sort(1).values[:, :3]).abs() < 1e-6).all()
        assert torch.isfinite(found.distance).all()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("distance", [Distance("cosine"), Distance(normalized=True)], ids=str)
def test_that_metrics_and_miners_by_angle_do_not_depend_on_lengths(distance: Distance, size: float) -> None:
    rows, labels = batch()
    rows = rows.bfloat16().float()
    if size < 1e-38:
        rows = (rows * 64).round() / 64  # numbers that the smallest of float32 hold
    scaled = rows * 2.0 ** round(torch.log2(torch.tensor(size)).item())
    there, plain = retrieval(scaled, labels, distance), retrieval(rows, labels, distance)
    assert there == plain
    if size > 1e18:
        return
    miner = [miners.create("batch-hard", distance=distance) for _ in range(2)]
    assert all(torch.equal(*pair) for pair in zip(miner[0](scaled, labels), miner[1](rows, labels), strict=True))


@pytest.mark.parametrize("name", NEIGHBORS.names())
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [1e-30, 1e20, 3e37])
def test_that_what_leaves_float32_is_refused_in_a_sentence_and_never_told(name: str, metric: str, size: float) -> None:
    if (name, metric) == ("kdtree", "inner-product"):
        pytest.skip("the tree is not for products")
    rows, labels = batch(200, 8)
    distance = Distance(metric)
    vanish = size < 1 and metric in ("inner-product", "squared-euclidean")
    leaves = size > 1 and (metric in ("inner-product", "squared-euclidean") or (metric == "euclidean" and size > 1e36))
    search = neighbors.create(name, distance=distance)
    if vanish or leaves:
        with pytest.raises(InputError, match="vanish in float32" if vanish else "do not fit float32"):
            search.build(Bank(rows * size, labels))
        search.build(Bank(rows, labels))
        if metric == "inner-product" and size > 1e36:
            with pytest.raises(InputError, match=r"The vectors are up to .* inner products do not fit"):
                search.nearest_to(rows[:3] * size, 2)
        return
    search.build(Bank(rows * size, labels))
    found = search.nearest_negatives(torch.arange(200), 3)
    assert torch.isfinite(found.distance).all()
    assert (found.row >= 0).all()
