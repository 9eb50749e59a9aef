"""Kernels launched by hand on the CPU; and that what watches them there sees the mistakes it is there for."""

from __future__ import annotations

import ctypes
import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hnm_core.neighbors.cuda import best, launches
from hnm_core.neighbors.cuda.launches import Anchors, TileSelect
from hnm_core.neighbors.cuda.source import source
from tests.families import across

from . import cpu
from .cpu import CpuKernels, CudaError

COUNT, COLUMNS = 41, 3_000


def classes_of(sizes: list[int]) -> tuple[Tensor, Tensor]:
    """(N,) where the class of each place starts and ends."""
    ends = torch.tensor(sizes).cumsum(0)
    of_place = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return (ends - torch.tensor(sizes))[of_place], ends[of_place]


@pytest.mark.parametrize(
    ("farthest", "kind", "k"), across([False, True], ["float", "int", "equal"], [1, 33, 64, 500, COLUMNS + 100])
)
def test_that_the_best_of_all_tiles_are_kept(on_cpu: CpuKernels, k: int, kind: str, farthest: bool) -> None:
    """Tiles of several widths, filled up with better numbers, with terms of the columns; NaN and infinity stay out."""
    source = torch.Generator().manual_seed(k)
    product = torch.randn(COUNT, COLUMNS, generator=source)
    term = torch.randn(COLUMNS, generator=source)
    if kind == "float":
        product[3, 5], product[4, 6], product[5, :] = torch.nan, -torch.inf, torch.inf
    if kind == "equal":
        product, term = torch.full_like(product, 2.0), torch.zeros_like(term)
    if kind == "int":
        product, term = (10 * product).int(), (10 * term).int()
    low, high = classes_of([1, 700, 1, 1_500, 798])
    places = torch.randperm(COLUMNS, generator=source)[:COUNT].sort().values
    anchors = Anchors(places.int(), low[places].int(), high[places].int(), places.int())

    select = TileSelect(on_cpu, anchors, k, 1_200, farthest=farthest)
    starts = [0, 1_200, 1_201, 2_000, 2_990, COLUMNS]
    for start, end in pairwise(starts):
        columns = end - start
        tile = torch.full((COUNT, columns + -columns % launches.WIDE), -99, dtype=product.dtype)
        tile[:, :columns] = product[:, start:end]
        terms = torch.nn.functional.pad(term[start:end], (0, tile.shape[1] - columns), value=-99)
        select.add(tile, columns, terms, -2, start, begins=start == 0, ends=end == COLUMNS)
    keys = select.best()

    score = term.double() - 2 * product.double()
    place = torch.arange(COLUMNS)
    inside = (place >= low[places, None]) & (place < high[places, None])
    allowed = (inside if farthest else ~inside) & (place != places[:, None]) & (score < torch.inf)
    for anchor in range(COUNT):
        chosen = sorted((score[anchor, p].float().item(), p) for p in place[allowed[anchor]].tolist())[:k]
        there = best.rows(keys)[anchor] >= 0
        assert best.rows(keys)[anchor][there].tolist() == [p for _, p in chosen]
        if kind != "int":
            assert best.float_scores(keys)[anchor][there].numpy() == pytest.approx([s for s, _ in chosen], rel=1e-6)
        assert not there[len(chosen) :].any()


@pytest.mark.parametrize("product", [False, True])
@pytest.mark.parametrize("dim", [1, 31, 32, 130])
def test_that_chosen_columns_are_measured_exactly_and_equal_rows_alike(
    on_cpu: CpuKernels, dim: int, product: bool
) -> None:
    source = torch.Generator().manual_seed(dim)
    points = torch.randn(50, dim, generator=source)
    points[30:] = points[7]
    queries = torch.randn(50, dim, generator=source)
    order = torch.randperm(50, generator=source).int()
    places = torch.tensor([0, 3, 4, 40, 49, 49, 2, 1, 0])
    anchors = Anchors(places.int(), places.int(), places.int(), places.int())
    chosen = torch.stack([torch.randperm(50, generator=source)[:45] for _ in places])
    chosen[2, 5:], chosen[3, 0] = -1, best.NO_KEY
    there = chosen.where((chosen >= 0) & (chosen < 50), 0)
    pairs = queries.double()[places, None], points.double()[there]
    truth = -(pairs[0] * pairs[1]).sum(2) if product else (pairs[0] - pairs[1]).square().sum(2)
    for farthest in (False, True):
        keys = launches.measure(on_cpu, points, queries, order, anchors, chosen, product=product, farthest=farthest)
        none = (chosen < 0) | (chosen == best.NO_KEY)
        assert ((keys == best.NO_KEY) == none).all()
        assert torch.equal(best.rows(keys), order.long()[there].masked_fill(none, -1))
        scores = best.float_scores(keys)
        torch.testing.assert_close(
            scores[~none].double(), (-truth if farthest else truth)[~none], rtol=1e-6, atol=1e-6 if product else 0
        )
        for line, columns in zip(scores, chosen, strict=True):
            assert len(set(line[(columns >= 30) & (columns < 50)].tolist())) <= 1


def test_that_minus_infinity_is_the_best_score_and_zeros_of_either_sign_tie(on_cpu: CpuKernels) -> None:
    tile = torch.tensor([[0.0, -0.0, 0.0, -torch.inf, 1.0, torch.nan, torch.inf, -0.0, 5.0] + [-9.0] * 7])
    anchors = Anchors(*(torch.tensor([place], dtype=torch.int32) for place in (8, 8, 9, 8)))
    select = TileSelect(on_cpu, anchors, 9, 9, farthest=False)
    select.add(tile, 9, None, 1, 0, begins=True, ends=True)
    assert best.rows(select.best()).tolist() == [[3, 0, 1, 2, 7, 4, -1, -1, -1]]


def test_that_keys_order_as_scores_do() -> None:
    score = np.array([-np.inf, -3e38, -1.5, -1e-40, 0.0, 1e-40, 1.0, 3e38, np.inf], np.float32)
    bits = score.view(np.int32).astype(np.int64)
    high = np.where(bits >= 0, bits, bits ^ 0x7FFFFFFF)
    keys = torch.from_numpy((high << 32) | 0xFFFFFFF0)
    assert (keys[1:] > keys[:-1]).all()
    assert np.array_equal(best.float_scores(keys).numpy(), score)
    assert (best.rows(keys) == 0xFFFFFFF0).all()


def test_that_lists_have_room_for_one_more_of_each_lane() -> None:
    for k in (1, 31, 96, 97, 1_000):
        assert best.capacity(k) >= k + best.LANES
        assert best.capacity(k) % best.LANES == 0


@pytest.mark.parametrize("columns", ["ascending", "descending"])
def test_that_the_order_of_the_columns_does_not_matter(on_cpu: CpuKernels, columns: str) -> None:
    """Nearest first, and nearest last, where every column beats what was found before."""
    position = torch.arange(2_000.0)
    if columns == "descending":
        position = position.flip(0)
    points = position[None]
    queries = torch.full((2_000, 1), -1.0)
    farthest_place = int(position.argmax())
    anchors = Anchors(*(torch.full((3,), place, dtype=torch.int32) for place in (farthest_place, 0, 0, farthest_place)))
    keys = launches.low_dim_best(
        on_cpu, points, queries, torch.arange(2_000, dtype=torch.int32), anchors, 20, farthest=False
    )
    assert best.float_scores(keys).tolist() == [[(x + 1.0) ** 2 for x in range(20)]] * 3


KERNEL = """
extern __shared__ unsigned long long shared_memory[];
extern "C" __global__ void reversed(const int* in, int* out) {
    int* tile = reinterpret_cast<int*>(shared_memory);
    tile[threadIdx.x] = in[threadIdx.x];
    __syncthreads();
    out[threadIdx.x] = tile[blockDim.x - 1 - threadIdx.x];
}
extern "C" __global__ void warp_sums(const int* in, int* out) {
    int sum = in[threadIdx.x];
    for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
    out[threadIdx.x] = sum + (__ballot_sync(0xffffffffu, threadIdx.x % 32 < 4) == 15u ? 1000 : 0);
}
"""


def launch(folder: Path, text: str, kernel: str, seed: int = 0, shared: int = 512) -> Tensor:
    numbers, out = torch.arange(128, dtype=torch.int32), torch.zeros(128, dtype=torch.int32)
    library: ctypes.CDLL = cpu.build(text, folder)
    cpu.launch(library, kernel, (1, 1), 128, shared, [numbers, out], seed)
    return out


def test_that_threads_of_a_block_share_memory_and_lanes_of_a_warp_exchange_values(compiled_folder: Path) -> None:
    for seed in range(5):
        assert launch(compiled_folder, KERNEL, "reversed", seed).tolist() == list(range(127, -1, -1))
        sums = [sum(range(warp * 32, warp * 32 + 32)) + 1000 for warp in range(4)]
        assert launch(compiled_folder, KERNEL, "warp_sums", seed).tolist() == [s for s in sums for _ in range(32)]


def test_that_a_missing_barrier_shows(compiled_folder: Path) -> None:
    without = KERNEL.replace("__syncthreads();", "")
    answers = [launch(compiled_folder, without, "reversed", seed).tolist() for seed in range(5)]
    assert all(answer != list(range(127, -1, -1)) for answer in answers)


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("__syncthreads();", "if (threadIdx.x < 64) __syncthreads();", "divergent: in block"),
        ("__syncthreads();", "if (threadIdx.x % 32 != 7) __syncthreads();", "divergent: in warp"),
        ("int sum =", "if (threadIdx.x == 40) return; int sum =", "divergent: in warp 1"),
        ("out[threadIdx.x] = tile", "out[threadIdx.x + 1] = tile", "beyond the memory of its tensor argument 1"),
        ("out[threadIdx.x] = tile", "out[static_cast<int>(threadIdx.x) - 1] = tile", "tensor argument 1"),
        ("tile[threadIdx.x] =", "tile[threadIdx.x + 1] =", "beyond its 512 bytes of shared memory"),
    ],
)
def test_that_divergence_and_writes_beyond_memory_are_errors(
    compiled_folder: Path, before: str, after: str, complaint: str
) -> None:
    wrong = KERNEL.replace(before, after)
    assert wrong != KERNEL
    with pytest.raises(CudaError, match=complaint):
        launch(compiled_folder, wrong, "warp_sums" if "sum" in before else "reversed")
    assert launch(compiled_folder, KERNEL, "reversed")[0] == 127  # and the next launch is unharmed


def test_that_what_a_device_would_refuse_is_refused(compiled_folder: Path) -> None:
    for threads, shared in ((100, 0), (2_048, 0), (128, 49 * 1_024)):
        with pytest.raises(CudaError, match="would refuse"):
            cpu.launch(cpu.build(KERNEL, compiled_folder), "reversed", (1, 1), threads, shared, [None, None])


@pytest.mark.parametrize(
    ("mistake", "instead"),
    [
        ("    __syncthreads();  // the tile before was read\n", ""),
        ("    __syncthreads();\n}", "}"),
        ("positive == FARTHEST", "(positive || true)"),
        ("below = own_score <= picked", "below = own_score < picked"),
        ("if (below == k ||", "if (below == k - 1 ||"),
    ],
)
def test_that_a_mistake_put_into_a_kernel_changes_its_answer_or_is_an_error(
    compiled_folder: Path, mistake: str, instead: str
) -> None:
    """The comparison with brute force is only worth something if it fails when a kernel is wrong."""
    text = re.sub(r"KERNELS\([^2D]\)\n", "", source("low_dim").replace("#pragma unroll 1\n", ""))
    wrong = text.replace(mistake, instead)
    assert wrong != text
    generator = torch.Generator().manual_seed(0)
    points = torch.randint(2, (2, 1_000), generator=generator).float()
    low, high = classes_of([400, 600])
    places = torch.arange(0, 1_000, 25)
    order = torch.arange(1_000).flip(0).int()  # so that of equal distances the last column counts
    answers = []
    for version in (text, wrong):
        keys = torch.full((len(places), 1, best.capacity(40)), -7)
        anchors = [places.int(), low[places].int(), high[places].int(), places.int()]
        try:
            cpu.launch(
                cpu.build(version, compiled_folder), "nearest_2", (2, 1), 256, 2_048,
                [points, points.T.contiguous(), 1_000, order, *anchors, len(places), 40, keys.shape[2], keys],
            )  # fmt: skip
        except CudaError as error:
            answers.append(str(error))
        else:
            answers.append(str(best.smallest(keys, 40).tolist()))
    assert answers[0] != answers[1]
    assert answers[0].startswith("[[")
