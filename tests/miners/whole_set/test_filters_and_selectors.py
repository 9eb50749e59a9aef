"""Filters and selectors of the whole-set miners, against brute force written from their definitions."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
import torch
from scipy import stats

from hnm_core import miners
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.miners.base import MiningContext, Triplets
from hnm_core.miners.whole_set.searching import SearchingMiner

DISTANCES = (
    Distance(),
    Distance("squared-euclidean"),
    Distance("cosine"),
    Distance("inner-product"),
    Distance(normalized=True),
)
BAND = 1e-5
"""So near to a threshold float32 may decide either way."""


def context(distance: Distance, seed: int = 0) -> MiningContext:
    return MiningContext(1, 0, torch.Generator().manual_seed(seed), distance)


def some_bank(n: int = 90, classes: int = 5, dim: int = 4, seed: int = 0) -> Bank:
    source = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=source) * 7 - 9
    return Bank(torch.randn(n, dim, generator=source), labels)


def mine(
    bank: Bank, anchors: torch.Tensor, distance: Distance = DISTANCES[0], seed: int = 0, **options: object
) -> tuple[Triplets, SearchingMiner]:
    miner = miners.create("knn", distance=distance, **options)
    assert isinstance(miner, SearchingMiner)
    about = context(distance, seed)
    miner.refresh(bank, about)
    return miner.mine(anchors, about), miner


def table(bank: Bank, distance: Distance) -> np.ndarray:
    """(N, N) float64 distances, from their definitions."""
    x = bank.embeddings.double()
    if distance.normalized or distance.metric == "cosine":
        x = x / (x.square().sum(1, keepdim=True) + 1e-6).sqrt()
    match distance.metric:
        case "euclidean":
            found = (x[:, None] - x[None]).square().sum(-1).sqrt()
        case "squared-euclidean":
            found = (x[:, None] - x[None]).square().sum(-1)
        case "cosine":
            found = 1 - x @ x.T
        case "inner-product":
            found = -x @ x.T
    return found.numpy()


def candidates(bank: Bank, distances: np.ndarray, anchor: int, length: int) -> list[int]:
    """Rows of other classes, nearest first."""
    labels = bank.labels.numpy()
    rows = [row for row in np.argsort(distances[anchor], kind="stable") if labels[row] != labels[anchor]]
    return [int(row) for row in rows[:length]]


def test_that_the_defaults_draw_what_the_plain_formula_draws() -> None:
    """Presets owe their numbers to this: one uniform number for each anchor, then the positives, nothing else."""
    bank, anchors = some_bank(), torch.arange(90).flip(0).repeat(2)
    distances = table(bank, Distance())
    got, miner = mine(bank, anchors, seed=5, pool=4)
    about = context(Distance(), 5)
    fraction = torch.rand(len(anchors), generator=about.generator, dtype=torch.float64).tolist()
    rest = torch.rand(len(anchors), generator=about.generator, dtype=torch.float64).tolist()
    negatives = [
        candidates(bank, distances, anchor, 4)[int(share * 4)]
        for anchor, share in zip(anchors.tolist(), fraction, strict=True)
    ]
    positives = []
    for anchor, share in zip(anchors.tolist(), rest, strict=True):
        same = [row for row in range(90) if bank.labels[row] == bank.labels[anchor] and row != anchor]
        positives.append(same[int(share * len(same))])
    assert got.anchor.tolist() == anchors.tolist()
    assert got.negative.tolist() == negatives
    assert got.positive.tolist() == positives
    untouched = context(Distance(), 5).generator
    torch.rand(2 * len(anchors), generator=untouched, dtype=torch.float64)
    miner_left = miner.counts()
    assert miner_left["filled"] == miner_left["without_candidate"] == 0
    assert torch.equal(torch.rand(3, generator=about.generator), torch.rand(3, generator=untouched))


FILTERS = {
    "rank": {"rank_min": 3},
    "window": {"rank_min": 2, "rank_max": 9},
    "bounds": {"min_distance": "low", "max_distance": "high"},
    "absolute": {"absolute_margin": 0.1},
    "relative": {"relative_margin": 0.05},
    "all": {"rank_min": 1, "min_distance": "low", "absolute_margin": 0.02, "relative_margin": 0.3},
}


@pytest.mark.parametrize("distance", DISTANCES, ids=str)
@pytest.mark.parametrize("guard", ["paired", "nearest"])
@pytest.mark.parametrize("kind", FILTERS)
def test_that_filters_keep_and_count_what_their_definitions_say(distance: Distance, guard: str, kind: str) -> None:
    bank, anchors = some_bank(), torch.arange(90)
    distances = table(bank, distance)
    low, high = np.quantile(distances, [0.1, 0.5])
    values = {"low": float(low), "high": float(high)}
    options = {name: values.get(value, value) for name, value in FILTERS[kind].items()}
    got, miner = mine(bank, anchors, distance, select="hardest", guard=guard, candidates=20, fill=False, **options)
    pairs = dict(zip(got.anchor.tolist(), zip(got.positive.tolist(), got.negative.tolist(), strict=True), strict=True))
    # The positives depend on chance; ask for the same ones without any filter.
    positive_of = dict(zip(*(v.tolist() for v in mine(bank, anchors, distance, select="hardest")[0][:2]), strict=True))
    looked_at = options.get("rank_max") or options.get("rank_min", 0) + (20 if kind not in ("rank",) else 1)
    removed: Counter[str] = Counter()
    close = 0
    for anchor in anchors.tolist():
        guarding = positive_of[anchor]
        if guard == "nearest":
            same = [r for r in range(90) if bank.labels[r] == bank.labels[anchor] and r != anchor]
            guarding = min(same, key=lambda row: distances[anchor, row])
        d_p = distances[anchor, guarding]
        s_p = 1 - d_p if distance.metric == "cosine" else -d_p if distance.metric == "inner-product" else None
        kept, unsure = [], False
        for rank, row in enumerate(candidates(bank, distances, anchor, looked_at)):
            d_n = distances[anchor, row]
            limits = {
                "min_distance": (options.get("min_distance", -math.inf), 1),
                "max_distance": (options.get("max_distance", math.inf), -1),
                "absolute_margin": (d_p + options.get("absolute_margin", -math.inf), 1),
            }
            if "relative_margin" in options:  # in the words of similarities where there is one
                m = options["relative_margin"]
                size = abs(s_p) if s_p is not None else d_p
                limits["relative_margin"] = (d_p + m * size, 1)
            near = any(abs(d_n - limit) < BAND for limit, _ in limits.values())
            unsure, close = unsure or near, close + near
            if rank < options.get("rank_min", 0):
                removed["rank_window"] += 1
                continue
            wrong = next((name for name, (limit, side) in limits.items() if side * (d_n - limit) < 0), None)
            if wrong:
                removed[wrong] += 1
            else:
                kept.append(row)
        expected = (positive_of[anchor], kept[0]) if kept else None
        assert unsure or pairs.get(anchor) == expected
    assert close < 9
    counts = miner.counts()
    for name in ("rank_window", "min_distance", "max_distance", "absolute_margin", "relative_margin"):
        assert abs(counts.get(f"dropped_{name}", 0) - removed[name]) <= close
    assert counts["mined"] == len(pairs) == len(anchors) - counts["without_candidate"]


def test_that_the_relative_margin_of_a_negative_similarity_shuts_out_what_is_harder_than_the_positive() -> None:
    """s_p = -0.5, m = 0.05: s_n = -0.48 is refused, though (1 - m) s_p = -0.475 would let it through."""
    angles = torch.tensor([0.0, math.acos(-0.5), math.acos(-0.48), math.acos(-0.53)])
    points = 5 * torch.stack([angles.cos(), angles.sin()], 1)
    bank = Bank(points, torch.tensor([0, 0, 1, 1]))
    got, _ = mine(bank, torch.tensor([0]), Distance("cosine"), select="hardest", relative_margin=0.05)
    assert got.negative.tolist() == [3]
    loose, _ = mine(bank, torch.tensor([0]), Distance("cosine"), select="hardest", relative_margin=0.0)
    assert loose.negative.tolist() == [3]
    free, _ = mine(bank, torch.tensor([0]), Distance("cosine"), select="hardest")
    assert free.negative.tolist() == [2]


@pytest.mark.parametrize(("metric", "of_score"), [("cosine", lambda s: 1 - s), ("inner-product", lambda s: -s)])
def test_that_a_bound_on_the_score_is_the_bound_on_the_distance(metric: str, of_score) -> None:
    bank, anchors, distance = some_bank(), torch.arange(90), Distance(metric)
    by_score, one = mine(bank, anchors, distance, min_score=0.1, max_score=0.6, candidates=30)
    by_distance, other = mine(
        bank, anchors, distance, min_distance=of_score(0.6), max_distance=of_score(0.1), candidates=30
    )
    assert torch.equal(by_score.negative, by_distance.negative)
    assert one.counts() == other.counts()
    assert one.counts()["dropped_min_distance"] > 0


def test_that_bounds_on_a_similarity_are_refused_where_there_is_none() -> None:
    with pytest.raises(InputError, match=r"max_score = 0\.9 bounds a similarity, .* bound it by min_distance"):
        miners.create("knn", max_score=0.9)
    with pytest.raises(InputError, match="needs points on the unit sphere"):
        miners.create("knn", select="distance-weighted")


@pytest.mark.parametrize("margin", [None, 0.2, 1.0])
def test_that_semi_hard_takes_the_nearest_that_is_farther_than_the_positive(margin: float | None) -> None:
    bank, anchors = some_bank(), torch.arange(90)
    distances = table(bank, Distance())
    options = {} if margin is None else {"margin": margin}
    got, _ = mine(bank, anchors, select="semi-hard", candidates=90, fill=False, **options)
    positive_of = dict(zip(*(v.tolist() for v in mine(bank, anchors, select="hardest")[0][:2]), strict=True))
    found = dict(zip(got.anchor.tolist(), got.negative.tolist(), strict=True))
    for anchor, positive in positive_of.items():
        d_p = distances[anchor, positive]
        inside = [
            row
            for row in candidates(bank, distances, anchor, 90)
            if d_p < distances[anchor, row] <= d_p + (math.inf if margin is None else margin)
        ]
        assert found.get(anchor) == (inside[0] if inside else None)


def test_that_a_rank_window_is_drawn_from_evenly() -> None:
    bank = some_bank()
    got, _ = mine(bank, torch.full((6000,), 11), select="rank-window", rank_min=4, rank_max=10)
    window = candidates(bank, table(bank, Distance()), 11, 10)[4:]
    counts = np.bincount(got.negative.numpy(), minlength=90)
    assert counts[window].sum() == 6000
    assert stats.chisquare(counts[window]).pvalue > 1e-4


@pytest.mark.parametrize("distance", [Distance(normalized=True), Distance("cosine"), Distance("inner-product", True)])
@pytest.mark.parametrize("dim", [2, 3, 8])
def test_that_distance_weighted_draws_follow_the_weights_of_wu(distance: Distance, dim: int) -> None:
    bank = some_bank(dim=dim, n=60, classes=3)
    got, _ = mine(bank, torch.full((8000,), 7), distance, select="distance-weighted", candidates=60)
    d = table(bank, Distance(normalized=True))[7]
    w = np.maximum(d, 0.5) ** (2 - dim) * (1 - np.maximum(d, 0.5) ** 2 / 4) ** (-(dim - 3) / 2)
    w[(d >= 1.4) | (bank.labels == bank.labels[7]).numpy()] = 0
    counts = np.bincount(got.negative.numpy(), minlength=60)
    assert counts[w == 0].sum() == 0
    assert stats.chisquare(counts[w > 0], 8000 * w[w > 0] / w.sum()).pvalue > 1e-4


@pytest.mark.parametrize("select", ["pool", "hardest", "semi-hard", "rank-window", "distance-weighted"])
def test_that_several_negatives_of_an_anchor_differ_and_share_its_positive(select: str) -> None:
    bank, distance = some_bank(), Distance(normalized=True)
    got, miner = mine(bank, torch.arange(90), distance, select=select, negatives=5, fill=False)
    of_anchor: dict[int, list[tuple[int, int]]] = {}
    for anchor, positive, negative in zip(*(vector.tolist() for vector in got), strict=True):
        of_anchor.setdefault(anchor, []).append((positive, negative))
    assert max(map(len, of_anchor.values())) == 5
    for rows in of_anchor.values():
        assert len({positive for positive, _ in rows}) == 1
        assert len({negative for _, negative in rows}) == len(rows)
    if select == "hardest":
        distances = table(bank, distance)
        assert [n for _, n in of_anchor[3]] == candidates(bank, distances, 3, 5)
    assert miner.counts()["mined"] == len(got.anchor)


def test_that_a_pool_smaller_than_what_is_asked_for_grows_to_it() -> None:
    got, miner = mine(some_bank(), torch.arange(90), pool=2, negatives=4)
    assert len(got.anchor) == 360 and miner.counts()["filled"] == 0


@pytest.mark.parametrize("select", ["semi-hard", "rank-window", "distance-weighted"])
@pytest.mark.parametrize("negatives", [2, 5, 9, 12])
def test_that_random_negatives_that_fill_up_differ_from_those_that_were_found(select: str, negatives: int) -> None:
    source = torch.Generator().manual_seed(0)
    bank = Bank(torch.randn(15, 3, generator=source), torch.arange(15) % 5 // 2)  # nine others of most anchors
    options = {"rank_max": 2} if select == "rank-window" else {}
    distance = Distance(normalized=True)
    for seed in range(20):
        got, miner = mine(bank, torch.arange(15), distance, seed, select=select, negatives=negatives, **options)
        rows: dict[int, list[int]] = {}
        for anchor, negative in zip(got.anchor.tolist(), got.negative.tolist(), strict=True):
            rows.setdefault(anchor, []).append(negative)
        for anchor, found in rows.items():
            others = (bank.labels != bank.labels[anchor]).nonzero()[:, 0].tolist()
            assert len(found) == len(set(found)) == min(negatives, len(others)) and set(found) <= set(others)
        assert miner.counts()["filled"] > 0 or negatives == 2


def test_that_what_fills_up_is_drawn_evenly_from_what_is_left() -> None:
    bank = Bank(torch.arange(12.0)[:, None], torch.tensor([0] * 3 + [1] * 3 + [2] * 6))
    got, _ = mine(bank, torch.full((4000,), 4), select="rank-window", rank_max=1, negatives=3)
    rows = got.negative.view(-1, 3)
    assert (rows[:, 0] == rows[0, 0]).all()
    counts = np.bincount(rows[:, 1:].flatten().numpy(), minlength=12)
    left = np.array([row for row in range(12) if row not in (3, 4, 5, int(rows[0, 0]))])
    assert counts.sum() == counts[left].sum() == 8000
    assert stats.chisquare(counts[left]).pvalue > 1e-4


def test_that_drawing_without_replacement_from_a_pool_is_even() -> None:
    bank = some_bank()
    got, _ = mine(bank, torch.full((3000,), 20), pool=5, negatives=2)
    pairs = Counter(map(tuple, got.negative.reshape(-1, 2).tolist()))
    assert len(pairs) == 20
    assert stats.chisquare(list(pairs.values())).pvalue > 1e-4


def test_that_missing_negatives_are_filled_with_random_ones_and_marked() -> None:
    bank, anchors = some_bank(), torch.arange(90)
    strict = {"select": "hardest", "max_distance": 0.9}
    without, miner = mine(bank, anchors, fill=False, **strict)
    filled, other = mine(bank, anchors, **strict)
    short = set(range(90)) - set(without.anchor.tolist())
    assert short and without.anchor.tolist()
    assert filled.anchor.tolist() == list(range(90))
    assert set(filled.anchor[other.filled].tolist()) == short
    assert torch.equal(filled.negative[~other.filled], without.negative)
    assert (bank.labels[filled.negative] != bank.labels[filled.anchor]).all()
    assert other.counts()["filled"] == other.counts()["without_candidate"] == len(short)
    assert miner.counts()["filled"] == 0 and not miner.filled.any()


def reason(bank: Bank, anchors: torch.Tensor, **options: object) -> str:
    got, miner = mine(bank, anchors, fill=False, **options)
    assert not len(got.anchor)
    why = miner.explain_empty()
    assert why is not None and why.words.startswith("No triplets: ") and why.words.endswith(".")
    return why.code


def test_that_an_empty_answer_is_explained() -> None:
    bank, every = some_bank(), torch.arange(90)
    points = bank.embeddings
    assert reason(Bank(points, torch.zeros(90, dtype=torch.int64)), every) == "no_negatives"
    assert reason(Bank(points, torch.arange(90)), every) == "no_positives"
    assert reason(bank, every[:0]) == "no_anchors"
    assert reason(bank, every, min_distance=1e6) == "all_filtered(min_distance)"
    assert reason(bank, every, max_distance=1e-9, relative_margin=5.0, rank_min=1) == "all_filtered(max_distance)"
    apart = Bank(bank.class_of_row[:, None].float() * 100 + points[:, :1], bank.labels)
    assert reason(apart, every, select="semi-hard", margin=0.5) == "all_easy"
    assert reason(Bank(torch.ones(90, 3), bank.labels), every, select="semi-hard") == "collapsed"
    mixed = Bank(torch.where(torch.arange(4)[:, None] % 2 == 0, 0.0, 9.0).expand(4, 2), torch.tensor([0, 0, 1, 1]))
    assert reason(mixed, torch.arange(4), select="semi-hard") == "none_in_range"
    _, miner = mine(bank, every)
    assert miner.explain_empty() is None
    assert miners.create("knn").explain_empty() is None and miners.create("knn").counts() == {}


def test_that_the_names_of_sentence_transformers_mean_the_same() -> None:
    familiar = {"range_min": 2, "range_max": 12, "num_negatives": 3, "sampling_strategy": "random"}
    own = {"rank_min": 2, "rank_max": 12, "negatives": 3, "select": "rank-window"}
    assert miners.create("knn", **familiar).options == miners.create("knn", **own).options
    assert miners.create("knn", sampling="top").options.select == "hardest"
    with pytest.raises(InputError, match="range_min is another name of rank_min"):
        miners.create("knn", range_min=1, rank_min=2)
    with pytest.raises(InputError, match="sampling = 'best' is not allowed: it is 'top' or 'random'"):
        miners.create("knn", sampling="best")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rank_min": 5, "rank_max": 5}, "rank_max = 5 must be larger than rank_min = 5"),
        ({"min_distance": 2, "max_distance": 1}, "min_distance = 2.0 must not be larger than max_distance = 1.0"),
        ({"min_distance": 2, "max_score": 1}, "bound the same side"),
        ({"relative_margin": -0.1}, "relative_margin = -0.1 is not allowed"),
        ({"negatives": 0}, "negatives = 0 is not allowed"),
        ({"select": "soft"}, "select = 'soft' is not allowed"),
    ],
)
def test_that_options_that_make_no_sense_are_refused(options: dict[str, object], words: str) -> None:
    with pytest.raises(InputError, match=words.replace(".", r"\.")):
        miners.create("knn", **options)
