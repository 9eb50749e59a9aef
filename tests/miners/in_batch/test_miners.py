"""Miners inside a batch against definitions in float64, the four-point vector, and pytorch-metric-learning."""

from __future__ import annotations

import copy
import itertools
import math
import pickle
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from pytorch_metric_learning import losses as library_losses
from pytorch_metric_learning import miners as library
from torch import Tensor

from hnm_core import kernels, losses, miners
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.miners.in_batch import draws, scan
from hnm_core.miners.in_batch.batch import KERNELS
from hnm_core.miners.in_batch.maximum_loss import MaximumLossMiner
from hnm_core.seeding import generator
from hnm_core.spec.registry import MINERS
from hnm_core.testing.batch_miners import check_batch_miner
from tests.families import across

OWN = [name for name in MINERS.names() if MINERS.entry(name).target.startswith("hnm_core.miners.in_batch.")]
FOUR_POINTS = torch.tensor([[math.cos(math.radians(a)), math.sin(math.radians(a))] for a in (0, 40, 90, 160)])
FOUR_LABELS = torch.tensor([0, 0, 1, 1])
BAND = 1e-5


@pytest.fixture(scope="module", autouse=True)
def batch_kernels(compile_kernels: Callable[[str], None]) -> None:
    """The kernels of the in-batch miners are compiled."""
    compile_kernels(KERNELS)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def batch(count: int = 48, dim: int = 3, classes: int = 6, seed: int = 0) -> tuple[Tensor, Tensor]:
    chance = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, classes, (count,), generator=chance)
    return torch.randn(count, dim, generator=chance) + 0.4 * labels[:, None], labels


def rows(*vectors: Tensor) -> set[tuple[int, ...]]:
    return set(zip(*(vector.tolist() for vector in vectors), strict=True))


def everything(labels: Tensor) -> Iterator[tuple[int, int, int]]:
    for a, p, n in itertools.product(range(len(labels)), repeat=3):
        if a != p and labels[a] == labels[p] and labels[a] != labels[n]:
            yield a, p, n


def unit(points: Tensor) -> Tensor:
    return torch.nn.functional.normalize(points.double())


@pytest.mark.parametrize("name", OWN)
def test_that_every_miner_keeps_the_contract_on_degenerate_batches(name: str) -> None:
    check_batch_miner(lambda chance: miners.create(name, chance))


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda miner: pickle.loads(pickle.dumps(miner))])
@pytest.mark.parametrize("name", OWN)
def test_that_a_copy_mines_what_the_miner_would_have_mined(name: str, copied: Callable[[Any], Any]) -> None:
    miner, points = miners.create(name, generator(7, name)), batch(160, dim=4)
    miner(*points)  # some chance is used up, and memory for long lists handed out
    copy_of_it = copied(miner)
    for seed in (1, 2):
        again = batch(160, dim=4, seed=seed)
        expected = miner(*again)
        found = copy_of_it(*again)
        assert type(found) is type(expected)
        assert all(torch.equal(*vectors) for vectors in zip(found or (), expected or (), strict=True))


def test_that_the_four_points_give_the_worked_tuples() -> None:
    def mined(name: str, **options: object) -> list[set[tuple[int, ...]]]:
        found = miners.create(name, **options)(FOUR_POINTS, FOUR_LABELS)
        return [rows(*found)] if len(found) == 3 else [rows(*found[:2]), rows(*found[2:])]

    assert mined("triplet-margin", type_of_triplets="hard") == [{(2, 3, 1)}]
    assert mined("triplet-margin", type_of_triplets="semihard") == [{(1, 0, 2)}]
    easy = {(0, 1, 2), (0, 1, 3), (1, 0, 3), (2, 3, 0), (3, 2, 0), (3, 2, 1)}
    assert mined("triplet-margin", type_of_triplets="easy") == [easy]
    assert mined("batch-hard") == [{(0, 1, 2), (1, 0, 2), (2, 3, 1), (3, 2, 1)}]
    assert mined("batch-easy-hard") == [{(0, 1), (1, 0), (2, 3), (3, 2)}, {(0, 2), (1, 2), (2, 0), (3, 1)}]
    assert mined("multi-similarity") == [{(2, 3)}, {(2, 1)}]
    assert mined("pair-margin") == [{(0, 1), (1, 0), (2, 3), (3, 2)}, set()]
    assert mined("hdc") == [{(2, 3), (3, 2)}, {(1, 2), (2, 1), (0, 2), (2, 0)}]
    assert mined("angular") == [{(2, 3, 1), (3, 2, 1)}]


@pytest.mark.parametrize("dim", [3, 40])
@pytest.mark.parametrize("with_kernels", [True, False], ids=["kernels", "torch"])
def test_that_triplets_are_parted_by_their_separation(
    dim: int, with_kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not with_kernels:
        monkeypatch.setattr(kernels, "ready", lambda _module: False)
        monkeypatch.setattr(scan, "TILE", 500)
    points, labels = batch(dim=dim)
    distance = torch.cdist(unit(points), unit(points), compute_mode="donot_use_mm_for_euclid_dist")
    separation = {(a, p, n): float(distance[a, n] - distance[a, p]) for a, p, n in everything(labels)}
    kinds = {
        "hard": lambda d: d <= 0,
        "semihard": lambda d: 0 < d <= 0.2,
        "easy": lambda d: d > 0.2,
        "all": lambda d: d <= 0.2,
    }
    found = {kind: rows(*miners.create("triplet-margin", type_of_triplets=kind)(points, labels)) for kind in kinds}
    for kind, belongs in kinds.items():
        odd = found[kind] ^ {triplet for triplet, d in separation.items() if belongs(d)}
        assert all(min(abs(separation[t]), abs(separation[t] - 0.2)) < BAND for t in odd)
    assert found["hard"] | found["semihard"] | found["easy"] == set(separation)
    assert len(found["hard"]) + len(found["semihard"]) + len(found["easy"]) == len(separation)


@pytest.mark.parametrize("name", ["triplet-margin", "angular"])
def test_that_several_threads_list_what_one_does(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    points, labels = batch(40, 5, classes=7, seed=3)
    labels[:3] = 100 + torch.arange(3)  # anchors without a positive
    alone = miners.create(name)(points, labels)
    assert len(alone[0]) > 100
    monkeypatch.setattr(scan, "WORTH_THREADS", 1)
    for threads in (2, 3, 16):
        torch.set_num_threads(threads)
        assert all(map(torch.equal, miners.create(name)(points, labels), alone))


@pytest.mark.parametrize(("name", "dim"), [("triplet-margin", 3), ("triplet-margin", 40), ("angular", 40)])
@pytest.mark.parametrize("reference", [False, True], ids=["batch", "reference"])
def test_that_kernels_find_what_torch_finds(
    name: str, dim: int, reference: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    points, labels = batch(90, dim, classes=7, seed=5)
    points[3] = points[40]
    given = (points, labels, *(batch(50, dim, classes=9, seed=6) if reference else ()))
    compiled = miners.create(name)(*given)
    monkeypatch.setattr(kernels, "ready", lambda _module: False)
    plain = miners.create(name)(*given)
    assert len(plain[0]) > 100
    assert all(map(torch.equal, compiled, plain))


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("columns", [1, 7, 8, 45, 128])
@pytest.mark.parametrize("way", ["plain", "streamed", "streamed by three threads"])
def test_that_lists_of_any_shape_are_what_the_rule_says(
    way: str, columns: int, kind: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way != "plain":
        monkeypatch.setattr(scan, "WORTH_STREAMING", 0)
    if "threads" in way:
        monkeypatch.setattr(scan, "WORTH_THREADS", 0)
        torch.set_num_threads(3)
    chance = torch.Generator().manual_seed(columns)
    first = torch.rand(20, columns, generator=chance, dtype=kind)
    first[torch.rand(first.shape, generator=chance) < 0.2] = torch.nan
    second = torch.rand(columns, columns, generator=chance, dtype=kind)
    anchor = torch.arange(20).repeat_interleave(3)
    positive = torch.randint(0, columns, (60,), generator=chance)
    base = torch.rand(60, generator=chance, dtype=kind)
    # From no negative at all to all of them: a part ends anywhere in a vector and in a line of the cache.
    base[::7], base[3::7] = 9, -9
    for other in (None, second):
        for low, high in ((-torch.inf, 0.3), (0.0, 10.0), (-torch.inf, torch.inf)):
            found = scan.Scan(first, base, anchor, positive, low, high, other)
            value = first[anchor] + (0 if other is None else other[positive]) - base[:, None]
            pair, negative = ((value > low) & (value <= high)).nonzero(as_tuple=True)
            counts = found.counts()
            assert torch.equal(counts, torch.bincount(pair, minlength=60))
            assert all(map(torch.equal, found.all(counts), (anchor[pair], positive[pair], negative)))


def test_that_equality_is_hard_at_zero_and_semihard_at_the_margin() -> None:
    line = torch.tensor([[0.0], [1.0], [-1.0], [1.5], [2.0]])
    labels = torch.tensor([0, 0, 1, 1, 1])
    mined = {
        kind: rows(
            *miners.create("triplet-margin", distance=Distance(), margin=0.5, type_of_triplets=kind)(line, labels)
        )
        for kind in ("hard", "semihard", "easy")
    }
    assert (0, 1, 2) in mined["hard"]  # both at distance 1
    assert (0, 1, 3) in mined["semihard"]  # 1.5 - 1 is the margin exactly
    assert (0, 1, 4) in mined["easy"]


@pytest.mark.parametrize(("angle", "dim", "same_set"), across([0.0, 20.0, 44.0, 89.0], [3, 20], [True, False]))
def test_that_angular_mining_measures_the_angle(same_set: bool, dim: int, angle: float) -> None:
    points, labels = batch(30, dim)
    others, other_labels = (points, labels) if same_set else batch(26, dim, seed=3)
    x, y = unit(points), unit(others)
    angles = {}
    for a, p, n in itertools.product(range(len(x)), range(len(y)), range(len(y))):
        if labels[a] == other_labels[p] != other_labels[n] and not (same_set and a == p):
            half, reach = (x[a] - y[p]).norm() / 2, (y[n] - (x[a] + y[p]) / 2).norm()
            angles[a, p, n] = math.degrees(math.atan2(half, reach))
    reference = () if same_set else (others, other_labels)
    found = rows(*miners.create("angular", angle=angle)(7 * points, labels, *reference))
    odd = found ^ {triplet for triplet, value in angles.items() if value > angle}
    assert all(abs(angles[triplet] - angle) < 1e-3 for triplet in odd)
    assert len(odd) < 5


SAME = {
    "triplet-margin": [{}, {"type_of_triplets": "hard"}, {"type_of_triplets": "easy", "margin": 0.05}],
    "batch-hard": [{}],
    "pair-margin": [{}, {"pos_margin": 0.6, "neg_margin": 1.3}],
    "multi-similarity": [{}, {"epsilon": 0.3}],
    "hdc": [{}, {"filter_percentage": 0.13}],
    "batch-easy-hard": [
        {"pos_strategy": pos, "neg_strategy": neg, **limits}
        for pos, neg in itertools.product(("easy", "semihard", "hard", "all"), repeat=2)
        if (pos, neg) not in {("semihard", "semihard"), ("semihard", "all"), ("all", "semihard")}
        for limits in ({}, {"allowed_pos_range": (0.2, 1.0), "allowed_neg_range": (0.5, 1.6)})
    ],
}  # fmt: skip
LIBRARY = {
    "triplet-margin": library.TripletMarginMiner, "batch-hard": library.BatchHardMiner,
    "pair-margin": library.PairMarginMiner, "multi-similarity": library.MultiSimilarityMiner,
    "hdc": library.HDCMiner, "batch-easy-hard": library.BatchEasyHardMiner,
}  # fmt: skip


@pytest.mark.parametrize("same_set", [True, False], ids=["batch", "reference"])
@pytest.mark.parametrize(("name", "options"), [(name, each) for name, all_ in SAME.items() for each in all_])
def test_that_tuples_are_those_of_pytorch_metric_learning(name: str, options: dict, same_set: bool) -> None:
    points, labels = (tensor for tensor in batch(60, 5, seed=1))
    points = points.double()
    reference = () if same_set else tuple(t.double() if t.is_floating_point() else t for t in batch(44, 5, seed=2))
    ours = miners.create(name, **options)(points, labels, *reference)
    theirs = LIBRARY[name](**options)(points, labels, *reference)
    halves = (slice(0, 3),) if len(ours) == 3 else (slice(0, 2), slice(2, 4))
    for half in halves:
        mined, wanted = rows(*ours[half]), rows(*theirs[half])
        if name == "hdc":  # of the last pair and its mirror image, just as far, either may be kept
            mined, wanted = (
                {tuple(sorted(pair)) for pair in pairs} if same_set else pairs for pairs in (mined, wanted)
            )
        assert mined == wanted
        assert len(ours[half][0]) == len(theirs[half][0])


def test_that_distance_weighted_draws_follow_one_over_distance_in_space() -> None:
    points, _ = batch(40, 3, seed=4)
    labels = torch.tensor([0] * 20 + [1] * 20)
    miner = miners.create("distance-weighted", generator(1, "draws"))
    counts = torch.zeros(40, 40, dtype=torch.float64)
    draws_of_one = 0
    for _ in range(400):
        anchor, positive, negative = miner(points, labels)
        draws_of_one = int((anchor == 0).sum())
        counts.index_put_((anchor, negative), torch.ones(len(anchor), dtype=torch.float64), accumulate=True)
        assert bool((labels[anchor] == labels[positive]).all())
    assert draws_of_one == 20  # as many as the class has rows, as the library does
    distance = torch.cdist(unit(points), unit(points))
    weight = (labels[:, None] != labels) * (distance < 1.4) / distance.clamp_min(0.5)
    expected = 8000 * weight / weight.sum(1, keepdim=True)
    assert float(counts[weight == 0].sum()) == 0
    used = weight > 0
    chi_square = float(((counts - expected).square() / expected)[used].sum())
    freedom = int(used.sum()) - int(used.any(1).sum())
    assert abs(chi_square - freedom) < 5 * math.sqrt(2 * freedom)


def test_that_distance_weighted_keeps_rows_that_underflow_in_high_dimensions() -> None:
    points, labels = batch(64, 128, classes=4, seed=5)
    near = torch.nn.functional.normalize(points[:8] + 0.01 * torch.randn(8, 128, generator=generator(0, "near")))
    points[8:16] = near  # some rows have very near negatives, others none within 1.2
    labels[8:16] = (labels[:8] + 1) % 4
    anchor = miners.create("distance-weighted")(points - points.mean(0), labels).anchor
    x = unit(points - points.mean(0))
    has = ((torch.cdist(x, x) < 1.4 - BAND) & (labels[:, None] != labels)).any(1)
    assert set(anchor.tolist()) >= set(has.nonzero()[:, 0].tolist())


def test_that_uniform_histogram_draws_as_often_from_every_filled_range() -> None:
    points, labels = batch(40, 3, seed=6)
    found = miners.create("uniform-histogram", num_bins=10, pos_per_bin=7, neg_per_bin=3)(points, labels)
    distance = torch.cdist(unit(points), unit(points), compute_mode="donot_use_mm_for_euclid_dist")
    same = labels[:, None] == labels
    for mask, half, per_bin in ((same & ~torch.eye(40).bool(), found[:2], 7), (~same, found[2:], 3)):
        low, high = float(distance[mask].min()), float(distance[mask].max())
        filled = torch.histc(distance[mask], 10, low, high) > 0
        drawn = torch.histc(distance[half[0], half[1]], 10, low, high)
        assert (drawn[filled] - per_bin).abs().max() <= per_bin * 0.5  # a pair at an edge may count for its neighbour
        assert int(drawn.sum()) == per_bin * int(filled.sum())


def test_that_selectors_choose_from_what_violates_the_margin() -> None:
    points, labels = batch(30, 2, classes=3, seed=7)
    d2 = torch.cdist(points.double(), points.double()).square()
    pairs = [(a, p) for a, p in itertools.combinations(range(30), 2) if labels[a] == labels[p]]
    lead = {(a, p): {n: float(d2[a, n] - d2[a, p]) for n in range(30) if labels[n] != labels[a]} for a, p in pairs}
    hardest = {(a, p, min(leads, key=leads.__getitem__)) for (a, p), leads in lead.items() if min(leads.values()) < 1}
    assert rows(*miners.create("hardest-negative")(points, labels)) == hardest
    seen: dict[str, set] = {"random-negative": set(), "semihard-negative": set()}
    for name, low in (("random-negative", -math.inf), ("semihard-negative", 0.0)):
        miner = miners.create(name, generator(2, name))
        wanted = {(a, p, n) for (a, p), leads in lead.items() for n, value in leads.items() if low < value < 1}
        for _ in range(150):
            found = rows(*miner(points, labels))
            assert len({(a, p) for a, p, _ in found}) == len(found) == len({(a, p) for a, p, _ in wanted})
            seen[name] |= found
        assert seen[name] <= wanted
        assert len(seen[name]) > 0.9 * len(wanted)
    assert rows(*miners.create("all-triplets")(points, labels)) == {(a, p, n) for a, p in pairs for n in lead[a, p]}


def test_that_pair_selectors_balance_and_take_the_closest() -> None:
    labels = torch.arange(160) % 10
    points = torch.randn(160, 3, generator=generator(0, "points"))
    everything_ = miners.create("all-pairs", balance=False)(points, labels)
    assert len(everything_.anchor1) + len(everything_.anchor2) == 12_720
    assert len(miners.create("all-triplets")(points, labels).anchor) == 172_800
    balanced = miners.create("all-pairs")(points, labels)
    assert len(balanced.anchor1) == len(balanced.anchor2) == 1200
    assert len(rows(*balanced[2:])) == 1200
    d2 = torch.cdist(points.double(), points.double()).square()
    closest = sorted((float(d2[i, j]), i, j) for i, j in zip(*everything_[2:], strict=True))[:1200]
    hard = miners.create("hard-negative-pairs")(points, labels)
    assert rows(*hard[2:]) == {(int(i), int(j)) for _, i, j in closest}


@pytest.mark.parametrize("with_kernels", [True, False], ids=["kernels", "torch"])
def test_that_caps_draw_evenly_from_all_triplets(with_kernels: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not with_kernels:
        monkeypatch.setattr(kernels, "ready", lambda _module: False)
    points, labels = batch(20, 3, classes=3, seed=8)
    full = rows(*miners.create("triplet-margin")(points, labels))
    seen: dict[tuple[int, ...], int] = dict.fromkeys(full, 0)
    miner = miners.create("triplet-margin", generator(0, "caps"), max_tuples=50)
    for _ in range(400):
        found = miner(points, labels)
        assert len(rows(*found)) == len(found.anchor) == miner.kept == 50
        assert miner.found == len(full)
        for triplet in rows(*found):
            seen[triplet] += 1
    expected = 400 * 50 / len(full)
    chi_square = sum((count - expected) ** 2 / (expected * (1 - 50 / len(full))) for count in seen.values())
    assert abs(chi_square - len(full)) < 5 * math.sqrt(2 * len(full))
    few = miners.create("triplet-margin", max_per_anchor=3)(points, labels)
    per_anchor = torch.bincount(few.anchor, minlength=20)
    available = torch.bincount(torch.tensor([t[0] for t in full]), minlength=20)
    assert torch.equal(per_anchor, available.clamp(max=3))
    assert rows(*few) <= full


def test_that_draws_without_repeats_are_exact_for_groups_of_any_size() -> None:
    counts = torch.tensor([0, 5, 10**12, 1, 700, 0, 200])
    found = draws.distinct(counts, 100, generator(0, "distinct"))
    ends = counts.cumsum(0)
    group = torch.searchsorted(ends, found, right=True)
    assert torch.bincount(group, minlength=7).tolist() == [0, 5, 100, 1, 100, 0, 100]
    assert len(torch.unique(found)) == len(found)


@pytest.mark.parametrize("name", [name for name in OWN if name not in ("none", "maximum-loss")])  # these know no ids
def test_that_rows_of_one_item_never_meet(name: str) -> None:
    points, labels = batch(40, 3, classes=4, seed=9)
    ids = torch.arange(40)
    ids[20:30], labels[20:30], points[20:30] = ids[:10], labels[:10], points[:10] + 0.01
    found = miners.create(name)(points, labels, ids=ids)
    assert len(found[0])
    for one, other in ((0, 1), (0, 2)) if len(found) == 3 else ((0, 1), (2, 3)):
        assert bool((ids[found[one]] != ids[found[other]]).all())
    older = miners.create(name)(points[:20], labels[:20], points[10:], labels[10:], ids=ids[:20], ref_ids=ids[10:])
    for one, other in ((0, 1), (0, 2)) if len(older) == 3 else ((0, 1), (2, 3)):
        assert bool((ids[:20][older[one]] != ids[10:][older[other]]).all())


def test_that_an_empty_result_says_why() -> None:
    points, labels = batch(30, 3, classes=3)

    def why(name: str, points: Tensor, labels: Tensor, **options: object) -> str:
        return miners.create(name, **options).explain_empty(points, labels)[0]

    collapsed = torch.ones(12, 3)
    assert why("batch-easy-hard", collapsed, torch.arange(12) % 3) == "collapsed"
    assert len(miners.create("batch-easy-hard")(collapsed, torch.arange(12) % 3).anchor1) == 0
    hard = miners.create("triplet-margin", type_of_triplets="hard")(collapsed, torch.arange(12) % 3)
    assert len(hard.anchor) == 12 * 3 * 8
    assert why("triplet-margin", collapsed, torch.arange(12) % 3, type_of_triplets="semihard") == "collapsed"
    assert why("triplet-margin", points, torch.arange(30)) == "no_positives"
    assert why("triplet-margin", points, torch.zeros(30).long()) == "no_negatives"
    assert why("triplet-margin", points[:0], labels[:0]) == "no_positives"
    apart = torch.nn.functional.one_hot(labels, 3).float() + 1e-3 * points
    code, words = miners.create("triplet-margin").explain_empty(apart, labels)
    assert code == "all_easy"
    assert "triplets are easy" in words
    assert why("pair-margin", points, labels, pos_margin=3.0, neg_margin=-1.0) == "none_in_range"
    assert why("triplet-margin", points, labels) == "found"
    broken = points.clone()
    broken[0, 0] = torch.nan
    assert why("triplet-margin", broken, labels) == "nonfinite"


@pytest.mark.parametrize("name", ["none", "maximum-loss", "triplet-margin"])
def test_that_rows_without_numbers_are_refused_by_miners_that_need_none_too(name: str) -> None:
    points, labels = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)), torch.arange(8) % 2
    broken = points.clone()
    broken[5, 1] = torch.nan
    for arguments in ((broken, labels), (points, labels, broken, labels)):
        with pytest.raises(InputError, match="NaN or infinity"):
            miners.create(name)(*arguments)


def test_that_a_loss_that_is_no_number_is_not_the_largest() -> None:
    values = iter([0.5, float("nan"), 0.7, float("nan"), 0.1])
    built = miners.create("maximum-loss", num_trials=5)
    seen = []

    def loss(embeddings: torch.Tensor, *_: object) -> torch.Tensor:
        seen.append(embeddings)
        return torch.tensor(next(values))

    miner = MaximumLossMiner(built.options, loss, built.inner, generator(0, "rows"))
    points = torch.randn(12, 3, generator=torch.Generator().manual_seed(0))
    miner(points, torch.arange(12) % 3)
    assert torch.equal(points[miner.rows], seen[2])


def test_that_distance_locked_miners_refuse_other_distances() -> None:
    for name in ("angular", "distance-weighted"):
        miners.create(name, distance=Distance("euclidean", normalized=True))
        for other in (Distance(), Distance("cosine"), Distance("squared-euclidean", normalized=True)):
            with pytest.raises(InputError, match="needs Euclidean distance on normalised embeddings"):
                miners.create(name, distance=other)


@pytest.mark.parametrize(
    ("points", "labels", "message"),
    [
        (torch.zeros(3), torch.zeros(3).long(), "shape"),
        (torch.zeros(3, 0), torch.zeros(3).long(), "at least one column"),
        (torch.zeros(3, 2).long(), torch.zeros(3).long(), "floating-point"),
        (torch.zeros(3, 2), torch.zeros(2).long(), "3 integers"),
        (torch.zeros(3, 2), torch.zeros(3), "3 integers"),
        (torch.full((3, 2), 1e30), torch.arange(3), "overflow"),
    ],
)
def test_that_wrong_input_is_one_sentence(points: Tensor, labels: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        miners.create("triplet-margin")(points, labels)


@pytest.mark.parametrize("name", OWN)
def test_that_our_miners_work_inside_the_losses_of_pytorch_metric_learning_and_ours(name: str) -> None:
    points, labels = batch(40, 3, classes=4, seed=10)
    points.requires_grad_()
    found = miners.create(name)(points, labels)
    library_losses.MultiSimilarityLoss()(points, labels, found).backward()
    library_losses.TripletMarginLoss()(points, labels, found).backward()
    losses.create("contrastive")(points, labels, found).backward()
    assert bool(torch.isfinite(points.grad).all())


def test_that_maximum_loss_returns_the_worst_of_its_sub_batches() -> None:
    points, labels = batch(40, 3, classes=4, seed=11)
    miner = miners.create("maximum-loss", generator(0, "trials"), num_trials=8, output_batch_size=12)
    found = miner(points, labels)
    assert len(miner.trial_losses) == 8
    assert set(torch.cat(tuple(found)).tolist()) <= set(miner.rows.tolist())
    assert len(miner.rows) == 12
    worst = losses.create("triplet-margin")(points[miner.rows], labels[miner.rows])
    ordered = miners.create("all-pairs", balance=False)(points[miner.rows], labels[miner.rows])
    again = losses.create("triplet-margin", distance=Distance("euclidean", normalized=True))(
        points[miner.rows], labels[miner.rows], ordered
    )
    assert float(again) == pytest.approx(float(miner.trial_losses.max()), rel=1e-5)
    assert float(worst) > 0
