"""The searches on CUDA kernels, whose own source runs on the CPU here, against brute force in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.neighbors.cuda import launches, operands, products
from hnm_core.neighbors.cuda.codes import CudaCodes
from hnm_core.neighbors.cuda.low_dim import CudaLowDim
from hnm_core.neighbors.cuda.products import CudaProducts
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.found import SearchCancelled
from hnm_core.neighbors.lsh_scan import LshScan
from hnm_core.neighbors.options import LshScanOptions
from hnm_core.relevance import SameClass
from tests.families import across, one_in
from tests.neighbors.oracle import KINDS, assert_exact, assert_exact_for_vectors, bank_of, queries_for

from .cpu import CpuKernels

METRICS = ("euclidean", "squared-euclidean", "cosine", "inner-product")


def check(search: CudaLowDim | CudaProducts, bank: Bank, distance: Distance, ks: tuple[int, ...], count: int) -> None:
    anchors = torch.randperm(len(bank), generator=torch.Generator().manual_seed(1))[:count]
    search.build(bank)
    for k in ks:
        assert_exact(search.nearest_negatives(anchors, k), bank, anchors, k, distance, False)
        assert_exact(search.farthest_positives(anchors, k), bank, anchors, k, distance, True)


@pytest.mark.parametrize(("dim", "kind"), across([1, 2, 3, 8], KINDS))
def test_that_low_dimensional_answers_are_those_of_brute_force(on_cpu: CpuKernels, dim: int, kind: str) -> None:
    check(CudaLowDim(device_kernels=on_cpu), bank_of(kind, dim, n=301), Distance(), (1, 10, 64), 37)
    assert set(on_cpu.launched) == {f"nearest_{dim}", f"farthest_{dim}"}


@pytest.mark.parametrize(("metric", "dim"), across(METRICS[:3], range(1, 9)))
def test_that_every_metric_is_searched_in_every_low_dimension(on_cpu: CpuKernels, dim: int, metric: str) -> None:
    for normalized in (False, True):
        distance = Distance(metric, normalized)
        check(CudaLowDim(distance, on_cpu), bank_of("clustered", dim), distance, (3,), 33)
    coordinates = dim + (metric == "cosine")
    assert on_cpu.launched[0] == f"nearest_{coordinates}"


@pytest.mark.parametrize(("dim", "kind"), across([3, 24, 130], KINDS))
def test_that_products_give_the_answers_of_brute_force(on_cpu: CpuKernels, dim: int, kind: str) -> None:
    check(CudaProducts(device_kernels=on_cpu), bank_of(kind, dim, n=301), Distance(), (1, 10, 64), 37)
    assert "select_float" in on_cpu.launched


@pytest.mark.parametrize(("normalized", "metric"), across([False, True], METRICS))
def test_that_products_search_every_metric(on_cpu: CpuKernels, metric: str, normalized: bool) -> None:
    distance = Distance(metric, normalized)
    for kind in ("clustered", "duplicated", "offset"):
        check(CudaProducts(distance, on_cpu), bank_of(kind, 40), distance, (1, 10), 40)


@pytest.mark.parametrize("search", [CudaLowDim, CudaProducts])
def test_that_short_and_huge_embeddings_are_searched_exactly(on_cpu: CpuKernels, search: type) -> None:
    bank = bank_of("random", 3)
    points = bank.embeddings * torch.logspace(-7, 1, len(bank))[:, None]
    points[7] = 0
    for distance in (Distance(), Distance("cosine")):
        check(search(distance, on_cpu), Bank(points, bank.labels), distance, (10,), 40)
    for size in (1e-25, 1e25):
        check(search(Distance(), on_cpu), Bank(bank.embeddings * size, bank.labels), Distance(), (3,), 40)


@pytest.mark.parametrize("search", [CudaLowDim, CudaProducts])
@pytest.mark.parametrize("n", [1, 2, 33])
def test_that_more_neighbours_than_there_are_rows_are_filled_up(on_cpu: CpuKernels, search: type, n: int) -> None:
    for kind in ("one", "single", "random"):
        check(search(device_kernels=on_cpu), bank_of(kind, 4, n=n), Distance(), (1, 70), n)


def test_that_ties_go_to_the_smallest_rows(on_cpu: CpuKernels) -> None:
    """Rows of two classes at one point each: all negatives of an anchor are equally far."""
    labels = torch.arange(400) % 2
    bank = Bank(labels[:, None].float().expand(-1, 3), 1 - labels)
    search = CudaLowDim(device_kernels=on_cpu)
    search.build(bank)
    anchors = torch.tensor([0, 1, 399])
    assert search.nearest_negatives(anchors, 3).row.tolist() == [[1, 3, 5], [0, 2, 4], [0, 2, 4]]
    assert search.farthest_positives(anchors, 3).row.tolist() == [[2, 4, 6], [3, 5, 7], [1, 3, 5]]


@pytest.mark.parametrize("farthest", [False, True])
def test_that_the_answer_depends_neither_on_the_grid_nor_on_the_order_of_threads(
    compiled_folder: Path, monkeypatch: pytest.MonkeyPatch, farthest: bool
) -> None:
    """Whole coordinates, so that many distances tie; the columns in one share and in several."""
    monkeypatch.setattr(launches, "_SHARE", 64)
    source = torch.Generator().manual_seed(0)
    bank = Bank(torch.randint(5, (700, 2), generator=source).float(), torch.randint(3, (700,), generator=source))
    anchors = torch.randint(700, (50,), generator=source)  # with repetitions, unordered
    answers = []
    for blocks, seed in ((1, 0), (8, 100), (22, 200)):
        search = CudaLowDim(device_kernels=CpuKernels(compiled_folder, blocks, seed))
        search.build(bank)
        ask = search.farthest_positives if farthest else search.nearest_negatives
        answers.append(ask(anchors, 13))
    for answer in answers[1:]:
        assert torch.equal(answer.row, answers[0].row)
        assert torch.equal(answer.distance, answers[0].distance)
    assert_exact(answers[0], bank, anchors, 13, Distance(), farthest)


def test_that_anchors_come_in_pieces_where_lists_are_long(on_cpu: CpuKernels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launches, "_LIST_BYTES", 1 << 14)
    bank, anchors, seen = bank_of("random", 3), torch.arange(100), []
    search = CudaLowDim(device_kernels=on_cpu)
    search.build(bank)
    found = search.nearest_negatives(anchors, 5, lambda done, total: seen.append((done, total)))
    assert_exact(found, bank, anchors, 5, Distance(), False)
    assert seen == [(0, 100), (32, 100), (64, 100), (96, 100), (100, 100)]
    with pytest.raises(SearchCancelled):
        search.nearest_negatives(anchors, 5, lambda done, total: done < 64)


@pytest.mark.parametrize("search", [CudaLowDim, CudaProducts])
def test_that_no_anchors_have_no_neighbours_and_a_wrong_question_is_refused(on_cpu: CpuKernels, search: type) -> None:
    made = search(device_kernels=on_cpu)
    with pytest.raises(InputError, match="Build the search"):
        made.nearest_negatives(torch.arange(2), 1)
    made.build(bank_of("random", 3))
    for found in (made.nearest_negatives(torch.arange(0), 4), made.farthest_positives(torch.arange(0), 4)):
        assert found.row.shape == found.distance.shape == (0, 4)
    with pytest.raises(InputError, match="k = 0"):
        made.nearest_negatives(torch.arange(2), 0)


def test_that_what_the_low_dimensional_kernels_cannot_do_is_refused(on_cpu: CpuKernels) -> None:
    with pytest.raises(InputError, match="inner product"):
        CudaLowDim(Distance("inner-product"), on_cpu)
    with pytest.raises(InputError, match="8 dimensions, not 9"):
        CudaLowDim(device_kernels=on_cpu).build(bank_of("random", 9))
    with pytest.raises(InputError, match="the tensors are on cpu"):
        CudaLowDim().build(bank_of("random", 3))


@pytest.mark.parametrize("metric", one_in(2, METRICS))
def test_that_products_come_in_tiles_and_anchors_in_chunks(
    on_cpu: CpuKernels, monkeypatch: pytest.MonkeyPatch, metric: str
) -> None:
    """Chunks that lie inside one class, and that reach over several."""
    monkeypatch.setattr(products, "_TILE", 1_024)
    monkeypatch.setattr(products, "_ROWS", 16)
    monkeypatch.setattr(launches, "_SELECT_SHARE", 16)
    for kind in ("imbalanced", "many", "one"):
        check(CudaProducts(Distance(metric), on_cpu), bank_of(kind, 20), Distance(metric), (1, 20), 90)


@pytest.mark.parametrize(("metric", "kind"), across(METRICS, KINDS))
def test_that_bfloat16_parts_give_the_answers_of_brute_force(on_cpu: CpuKernels, kind: str, metric: str) -> None:
    distance = Distance(metric)
    check(CudaProducts(distance, on_cpu, in_parts=True), bank_of(kind, 21), distance, (1, 10), 40)
    check(CudaProducts(distance, on_cpu, in_parts=True), bank_of(kind, 1), distance, (1, 10), 40)


@pytest.mark.parametrize("in_parts", [False, True])
@pytest.mark.parametrize("kind", ["normal", "wide", "positive", "one large", "one coordinate"])
def test_that_products_are_no_further_off_than_is_allowed_for(kind: str, in_parts: bool) -> None:
    source = torch.Generator().manual_seed(0)
    left, right = torch.randn(61, 75, generator=source), torch.randn(203, 75, generator=source)
    match kind:
        case "wide":
            left, right = left * 10 ** (6 * torch.randn(75, generator=source)), right.exp()
        case "positive":
            left, right = left.abs() + 1, right.abs() + 1
        case "one large":
            left[:, 3] *= 1e4
        case "one coordinate":
            left, right = left[:, :1], right[:, :1]
    made = operands.operands(left, right, in_parts=in_parts)
    assert made.in_parts == in_parts
    tile = made.multiply(made.queries, 8, 208, torch.empty(61 * 200))
    truth = left.double() @ right[8:].double().T
    allowed = made.rounding * left.double().norm(dim=1)[:, None] * right[8:].double().norm(dim=1)
    off = (tile[:, :195].double() - truth).abs()
    assert (off <= allowed).all()
    assert (off > 1e-3 * allowed).any()  # the bound is not beside the point
    assert (tile[:, 195:] == 0).all()


def test_that_rounding_of_products_hides_no_neighbour(on_cpu: CpuKernels, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two hundred negatives within what products can tell of each other: the anchors in doubt are searched again."""
    asked = []
    nearest = Dense.nearest
    monkeypatch.setattr(Dense, "nearest", lambda self, query, k: (asked.append(len(query)), nearest(self, query, k))[1])
    source = torch.Generator().manual_seed(3)
    direction = torch.nn.functional.normalize(torch.randn(300, 64, generator=source))
    points = direction * (1 + 1e-4 * torch.rand(300, 1, generator=source))
    points[:20] = 1e-3 * torch.randn(20, 64, generator=source)
    points[280:] *= 300  # far rows make the bound of the rounding wide
    bank = Bank(points, (torch.arange(300) >= 20).long())
    search = CudaProducts(device_kernels=on_cpu)
    search.build(bank)
    anchors = torch.arange(20)
    for k in (1, 10):
        assert_exact(search.nearest_negatives(anchors, k), bank, anchors, k, Distance(), False)
    assert sum(asked) > 0


def check_vectors(search: CudaLowDim | CudaProducts, bank: Bank, distance: Distance, ks: tuple[int, ...]) -> None:
    """Anchors that are no rows, with every kind of label; and rows as vectors get what rows get."""
    search.build(bank)
    vectors, every = queries_for(bank)
    for labels in every.values():
        query = SameClass(bank).of_vectors(vectors, labels)
        for k in ks:
            assert_exact_for_vectors(search.nearest(query, k), bank, vectors, labels, k, distance, False)
            assert_exact_for_vectors(search.farthest(query, k), bank, vectors, labels, k, distance, True)
    rows = torch.arange(0, len(bank), 17)
    by_row = search.nearest_negatives(rows, 5)
    found = search.nearest_to(bank.embeddings[rows], 5, bank.labels[rows])
    assert torch.equal(found.row, by_row.row)
    assert torch.equal(found.distance, by_row.distance)
    assert search.nearest_to(vectors[:0], 3).row.shape == (0, 3)


@pytest.mark.parametrize(("dim", "kind"), across([2, 3, 8], ["random", "duplicated", "many"]))
def test_that_vectors_are_compared_with_every_row(on_cpu: CpuKernels, dim: int, kind: str) -> None:
    check_vectors(CudaLowDim(device_kernels=on_cpu), bank_of(kind, dim, n=301), Distance(), (1, 10))


@pytest.mark.parametrize("kind", ["random", "offset"])
@pytest.mark.parametrize("dim", [3, 130])
def test_that_products_of_vectors_give_the_answers_of_brute_force(on_cpu: CpuKernels, dim: int, kind: str) -> None:
    for in_parts in (False, True):
        search = CudaProducts(device_kernels=on_cpu, in_parts=in_parts)
        check_vectors(search, bank_of(kind, dim, n=301), Distance(), (10,))


@pytest.mark.parametrize("metric", METRICS)
def test_that_every_metric_is_applied_to_vectors(on_cpu: CpuKernels, metric: str) -> None:
    distance, bank = Distance(metric), bank_of("clustered", 5)
    check_vectors(CudaProducts(distance, on_cpu), bank, distance, (10,))
    if metric != "inner-product":
        check_vectors(CudaLowDim(distance, on_cpu), bank, distance, (10,))


@pytest.mark.parametrize(("blocks", "share"), [(1, 4_096), (22, 64)])
def test_that_neither_first_limits_nor_shares_of_columns_hide_a_row_from_a_vector(
    on_cpu: CpuKernels, monkeypatch: pytest.MonkeyPatch, blocks: int, share: int
) -> None:
    """Limits come from a sample where columns are many; where shares are small each anchor has several lists."""
    on_cpu.blocks = blocks
    monkeypatch.setattr(launches, "_SHARE", share)
    monkeypatch.setattr(launches, "_SELECT_SHARE", share)
    bank = bank_of("duplicated", 2, n=9_003 if blocks == 1 else 1_203)
    vectors, every = queries_for(bank)
    for search in (CudaLowDim(device_kernels=on_cpu), CudaProducts(device_kernels=on_cpu)):
        search.build(bank)
        for labels in every.values():
            found = search.nearest_to(vectors, 10, labels)
            assert_exact_for_vectors(found, bank, vectors, labels, 10, Distance(), False)


def signs(bank: Bank, bits: int, kind: str) -> torch.Tensor:
    source = torch.Generator().manual_seed(bits)
    match kind:
        case "random":
            return torch.rand(len(bank), bits, generator=source) < 0.5
        case "tied":
            return (torch.rand(7, bits, generator=source) < 0.5)[torch.randint(7, (len(bank),), generator=source)]
    return torch.ones(len(bank), bits, dtype=torch.bool)


@pytest.mark.parametrize(("bits", "product"), across([32, 64, 100, 256, 1000, 4096], [False, True]))
def test_that_the_rows_with_the_fewest_differing_bits_are_found(on_cpu: CpuKernels, bits: int, product: bool) -> None:
    bank = bank_of("imbalanced" if bits == 100 else "random", 3, n=300)
    places = torch.randperm(300, generator=torch.Generator().manual_seed(1))[:41].sort().values
    anchors, _ = SameClass(bank).query(bank.order[places]).by_place()
    classes = bank.class_of_row[bank.order]
    for kind in ("random", "tied", "equal"):
        code = signs(bank, bits, kind)
        codes = CudaCodes(code.split(128), len(bank), product=product, device_kernels=on_cpu)
        differing = (code[places, None] ^ code[None]).sum(2)
        differing[classes[places, None] == classes[None]] = bits + 1
        for candidates in (1, 50, 400):
            found = codes.nearest(anchors, candidates)
            order = differing.sort(dim=1, stable=True)  # ties to the first places
            expected = order.indices.masked_fill(order.values > bits, -1)
            expected = torch.nn.functional.pad(expected, (0, max(0, candidates - 300)), value=-1)[:, :candidates]
            assert torch.equal(found, expected)
            own = codes.coded([code[places]])
            as_vectors = anchors._replace(place=torch.full_like(places, -1), line=torch.arange(len(places)))
            assert torch.equal(codes.nearest(as_vectors, candidates, own), expected)
    assert on_cpu.launched[0] == ("select_int" if product else "nearest_codes")


def test_that_codes_too_long_for_shared_memory_are_refused(on_cpu: CpuKernels) -> None:
    with pytest.raises(InputError, match="4160 bits are too long"):
        CudaCodes([torch.ones(300, 4_100, dtype=torch.bool)], 300, device_kernels=on_cpu)


@pytest.mark.parametrize("kind", one_in(3, ["clustered", "duplicated", "imbalanced"]))
def test_that_first_limits_from_a_sample_of_many_columns_hide_no_row(on_cpu: CpuKernels, kind: str) -> None:
    on_cpu.blocks = 1  # no shares
    check(CudaLowDim(device_kernels=on_cpu), bank_of(kind, 2, n=20_003), Distance(), (1, 10, 32, 33), 40)


@pytest.mark.parametrize("k", [1, 10, 32])
def test_that_a_first_limit_lets_pass_the_row_it_was_taken_from(on_cpu: CpuKernels, k: int) -> None:
    """The k nearest rows lie in the sample, one for each lane, so the limit is the distance of the last of them."""
    on_cpu.blocks = 1
    points = torch.full((20_000, 2), 1e3)
    points[:k, 0], points[:k, 1] = torch.arange(1.0, k + 1), 0
    points[-10:] = 0
    labels = (torch.arange(20_000) >= 19_990).long()
    search = CudaLowDim(device_kernels=on_cpu)
    search.build(Bank(points, labels))
    found = search.nearest_negatives(torch.arange(19_990, 20_000), k)
    assert torch.equal(found.row, torch.arange(k).expand(10, k))
    assert torch.equal(found.distance, torch.arange(1.0, k + 1).expand(10, k))


@pytest.mark.thorough
def test_that_a_hundred_thousand_rows_are_searched_as_brute_force_does(on_cpu: CpuKernels) -> None:
    source = torch.Generator().manual_seed(0)
    bank = Bank(torch.randn(100_003, 3, generator=source), torch.randint(10, (100_003,), generator=source))
    anchors = torch.randint(100_003, (512,), generator=source)
    search = CudaLowDim(device_kernels=on_cpu)
    search.build(bank)
    found = search.nearest_negatives(anchors, 10)
    points, truth = bank.embeddings.double().numpy(), []
    for anchor in anchors.tolist():
        squared = np.square(points - points[anchor]).sum(1)
        squared[(bank.labels == bank.labels[anchor]).numpy()] = np.inf
        rows = np.argpartition(squared, 10)[:10]
        truth.append(rows[np.argsort(squared[rows])])
    assert np.array_equal(found.row.numpy(), np.stack(truth))  # no two of these distances are equal


@pytest.mark.parametrize("family", ["sign", "affine"])
def test_that_the_scan_on_device_kernels_takes_the_candidates_that_the_processors_takes(
    on_cpu: CpuKernels, family: str
) -> None:
    bank = bank_of("clustered", 16, n=301)
    options = LshScanOptions(bits=64, family=family, rescore=300)
    anchors = torch.arange(0, 301, 9)
    device, host = LshScan(options, device_kernels=on_cpu), LshScan(options)
    for search in (device, host):
        search.build(bank)
    assert set(on_cpu.launched) == set()
    found, expected = device.nearest_negatives(anchors, 10), host.nearest_negatives(anchors, 10)
    assert "kernels of the device" in device.description
    assert set(on_cpu.launched) == {"nearest_codes", "measure_distances"}
    # Every negative is a candidate, so both are exact whichever rows tie at the last place.
    assert torch.allclose(found.distance, expected.distance, rtol=1e-5)
    by_vector = device.nearest_to(bank.embeddings[anchors], 10, bank.labels[anchors])
    assert torch.equal(by_vector.row, found.row)
    assert torch.equal(by_vector.distance, found.distance)
    few = LshScanOptions(bits=64, family=family, rescore=20)
    device, host = LshScan(few, device_kernels=on_cpu), LshScan(few)
    for search in (device, host):
        search.build(bank)
    near, nearest = device.nearest_negatives(anchors, 5), host.nearest_negatives(anchors, 5)
    assert (near.row == nearest.row).double().mean() > 0.9, "they may differ where codes tie at the last candidate"
