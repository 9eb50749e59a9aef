"""The searches on a real CUDA device against the answers of the CPU. Skipped, with the reason, where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.base import NeighborSearch
from hnm_core.neighbors.cuda import best, kernels, launches
from hnm_core.neighbors.cuda.codes import CudaCodes
from hnm_core.neighbors.cuda.low_dim import CudaLowDim
from hnm_core.neighbors.cuda.products import CudaProducts
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.found import Neighbors
from hnm_core.neighbors.kdtree import KdTree
from hnm_core.relevance import SameClass
from tests.neighbors.oracle import KINDS, assert_exact, assert_exact_for_vectors, bank_of, queries_for

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch finds none"),
]


@pytest.fixture
def device() -> torch.device:
    """A device with kernels."""
    found = torch.device("cuda", torch.cuda.current_device())
    if reason := kernels.why_absent(found):
        pytest.skip(reason)
    return found


@contextmanager
def no_waiting() -> Iterator[None]:
    """Makes it an error to wait for the device, as every copy to the host does."""
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def there(bank: Bank) -> Bank:
    return Bank(bank.embeddings.cuda(), bank.labels.cuda())


def here(found: Neighbors) -> Neighbors:
    assert found.distance.is_cuda
    assert found.row.is_cuda
    return Neighbors(found.distance.cpu(), found.row.cpu())


def check(search: NeighborSearch, bank: Bank, distance: Distance, ks: tuple[int, ...]) -> None:
    anchors = torch.randperm(len(bank), generator=torch.Generator().manual_seed(1))[:70]
    search.build(there(bank))
    for k in ks:
        assert_exact(here(search.nearest_negatives(anchors, k)), bank, anchors, k, distance, False)
        assert_exact(here(search.farthest_positives(anchors, k)), bank, anchors, k, distance, True)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dim", [1, 2, 3, 5, 8, 24, 130])
def test_that_kernels_give_the_answers_of_brute_force(device: torch.device, dim: int, kind: str) -> None:
    bank = bank_of(kind, dim, n=1_001)
    if dim <= 8:
        check(CudaLowDim(), bank, Distance(), (1, 10, 64, 1_100))
    check(CudaProducts(), bank, Distance(), (1, 10, 64, 1_100))


@pytest.mark.parametrize("metric", ["euclidean", "squared-euclidean", "cosine", "inner-product"])
@pytest.mark.parametrize("dim", [3, 40])
def test_that_exact_takes_kernels_for_every_metric(device: torch.device, metric: str, dim: int) -> None:
    search = neighbors.create("exact", distance=Distance(metric))
    check(search, bank_of("clustered", dim), Distance(metric), (10,))
    assert "CUDA kernels" in search.description


@pytest.mark.parametrize("metric", ["euclidean", "squared-euclidean", "cosine", "inner-product"])
@pytest.mark.parametrize("dim", [3, 40])
def test_that_vectors_on_either_side_are_searched_on_the_device(device: torch.device, metric: str, dim: int) -> None:
    bank, distance = bank_of("clustered", dim), Distance(metric)
    vectors, every = queries_for(bank)
    for name, options in (("exact", {}), ("dense", {}), ("lsh-scan", {"rescore": 300})):
        search = neighbors.create(name, distance=distance, **options)
        search.build(there(bank))
        for labels in every.values():
            for given in (vectors, vectors.cuda()):
                found = here(search.nearest_to(given, 7, labels))
                assert_exact_for_vectors(found, bank, vectors, labels, 7, distance, False)


@pytest.mark.parametrize("dim", [3, 40])
def test_that_torch_alone_gives_the_same_answers(dim: int) -> None:
    check(Dense(), bank_of("clustered", dim), Distance(), (1, 10))


def test_that_a_large_bank_gives_the_rows_that_the_tree_finds(device: torch.device) -> None:
    source = torch.Generator().manual_seed(0)
    bank = Bank(torch.randn(100_000, 3, generator=source), torch.randint(10, (100_000,), generator=source))
    anchors = torch.randperm(100_000, generator=source)
    tree, search = KdTree(), CudaLowDim()
    tree.build(bank)
    search.build(there(bank))
    expected, found = tree.nearest_negatives(anchors, 10), here(search.nearest_negatives(anchors, 10))
    torch.testing.assert_close(found.distance, expected.distance, rtol=1e-5, atol=1e-7)
    assert (found.row == expected.row).float().mean() > 0.999  # near ties may fall either way


@pytest.mark.parametrize("product", [False, True])
@pytest.mark.parametrize("bits", [32, 256, 1000, 4096])
def test_that_codes_on_the_device_give_the_rows_with_the_fewest_differing_bits(
    device: torch.device, bits: int, product: bool
) -> None:
    source = torch.Generator().manual_seed(bits)
    bank = bank_of("random", 3, n=3_000)
    code = torch.rand(3_000, bits, generator=source) < 0.5
    places = torch.arange(0, 3_000, 31)
    classes = bank.class_of_row[bank.order]
    differing = torch.stack([(code[place] ^ code).sum(1) for place in places])
    differing[classes[places, None] == classes[None]] = bits + 1
    expected = differing.sort(dim=1, stable=True).indices[:, :100]
    codes = CudaCodes(code.cuda().split(1_024), len(bank), product=product, device_kernels=kernels.of(device))
    on_device = there(bank)
    anchors, _ = SameClass(on_device).query(on_device.order[places.cuda()]).by_place()
    assert torch.equal(codes.nearest(anchors, 100).cpu(), expected)


def test_that_kernels_wait_for_what_torch_was_given_before_on_their_stream(device: torch.device) -> None:
    plain = bank_of("random", 3, n=5_000)
    anchors = torch.arange(64)
    search = CudaLowDim()
    search.build(there(plain))
    points = search._points
    with torch.cuda.stream(torch.cuda.Stream()):
        torch.cuda.current_stream().wait_stream(torch.cuda.default_stream())
        moved = torch.zeros_like(points)
        torch.cuda._sleep(100_000_000)  # some 50 ms, after which the points arrive
        moved.copy_(points)
        search._points = moved
        found = search.nearest_negatives(anchors, 10)
        answer = here(found)
    assert_exact(answer, plain, anchors, 10, Distance(), False)


@pytest.mark.filterwarnings("ignore:Synchronization debug mode is a prototype")
def test_that_nothing_passes_through_the_host(device: torch.device) -> None:
    bank = there(bank_of("random", 3, n=5_000))
    device_kernels = kernels.of(device)
    points = bank.sorted_embeddings
    columns, order = points.T.contiguous(), bank.order.int()
    query = SameClass(bank).query(bank.order[::10])
    code = CudaCodes([points > 0], len(bank), device_kernels=device_kernels)
    with no_waiting():
        placed, _ = query.by_place()
        anchors = launches.anchors(placed)
        for farthest in (False, True):
            keys = launches.low_dim_best(device_kernels, columns, points, order, anchors, 10, farthest=farthest)
            scores, rows = best.float_scores(keys), best.rows(keys)
        found = code.nearest(placed, 10)
        launches.measure(device_kernels, points, points, order, anchors, found, product=False, farthest=False)
    assert bool((scores <= 0).all())
    assert bool((rows >= 0).all())
    assert bool((found >= 0).all())


@pytest.mark.parametrize("dim", [3, 64])
def test_that_memory_stays_far_below_a_matrix_of_all_pairs(device: torch.device, dim: int) -> None:
    source = torch.Generator().manual_seed(0)
    count = 60_000
    bank = there(Bank(torch.randn(count, dim, generator=source), torch.randint(10, (count,), generator=source)))
    search = neighbors.create("exact")
    search.build(bank)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    search.nearest_negatives(torch.arange(count, device=device), 10)
    assert torch.cuda.max_memory_allocated() - before < 1 << 30  # all pairs take 14 GiB
