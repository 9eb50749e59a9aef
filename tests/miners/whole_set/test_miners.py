"""Whole-set miners against brute force, and their chance against the uniform distribution."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from scipy import stats

from hnm_core import miners, neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.miners.base import MiningContext
from hnm_core.miners.whole_set.options import KnnOptions
from hnm_core.miners.whole_set.searching import SearchingMiner
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.found import Neighbors, SearchProgress
from tests.families import one_in
from tests.miners.names import WHOLE_SET


def context(seed: int = 0, distance: Distance | None = None) -> MiningContext:
    return MiningContext(1, 0, torch.Generator().manual_seed(seed), distance or Distance())


def bank(n: int = 120, classes: int = 6, dim: int = 3, seed: int = 0) -> Bank:
    source = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=source) * 11 - 20
    return Bank(torch.randn(n, dim, generator=source), labels)


def mined(name: str, where: Bank, anchors: torch.Tensor, about: MiningContext | None = None, **options: object):
    about = about or context()
    miner = miners.create(name, torch.Generator().manual_seed(9), distance=about.distance, **options)
    miner.refresh(where, about)
    return miner.mine(anchors, about)


@pytest.mark.parametrize("name", WHOLE_SET)
@pytest.mark.parametrize("positives", ["random", "hardest", "easiest"])
def test_that_positives_are_of_the_class_and_not_the_anchor_and_negatives_are_of_another(
    name: str, positives: str
) -> None:
    where = bank()
    anchors = torch.arange(120).repeat(3)
    found = mined(name, where, anchors, positives=positives)
    assert len(found.anchor) > 300
    assert (where.labels[found.anchor] == where.labels[found.positive]).all()
    assert (found.anchor != found.positive).all()
    assert (where.labels[found.anchor] != where.labels[found.negative]).all()


@pytest.mark.parametrize("name", WHOLE_SET)
def test_that_the_same_generator_gives_the_same_tuples_and_another_gives_others(name: str) -> None:
    where, anchors = bank(), torch.arange(120)
    first, again = (mined(name, where, anchors, context(4)) for _ in range(2))
    other = mined(name, where, anchors, context(5))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.negative, other.negative)


@pytest.mark.parametrize("name", WHOLE_SET)
def test_that_the_bank_is_never_changed_and_no_gradient_flows(name: str) -> None:
    embeddings = torch.randn(60, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
    where = Bank(embeddings, torch.arange(60) % 4)
    before = [where.embeddings.clone(), where.labels.clone(), where.order.clone()]
    found = mined(name, where, torch.arange(60), positives="hardest")
    assert all(torch.equal(a, b) for a, b in zip(before, (where.embeddings, where.labels, where.order), strict=True))
    assert not any(vector.requires_grad for vector in found)
    assert not where.embeddings.requires_grad


@pytest.mark.parametrize(
    "distance", [Distance(), Distance("cosine"), Distance("inner-product"), Distance(normalized=True)]
)
@pytest.mark.parametrize("which", ["hardest", "easiest"])
def test_that_ranked_positives_are_those_of_brute_force(distance: Distance, which: str) -> None:
    where = bank(dim=4)
    anchors = torch.arange(120).flip(0)
    found = mined("random", where, anchors, context(distance=distance), positives=which)
    table = distance.pairwise(where.embeddings.double(), where.embeddings.double())
    same = where.labels[:, None] == where.labels[None, :]
    same.fill_diagonal_(False)
    worst = -math.inf if which == "hardest" else math.inf
    table = table.masked_fill(~same, worst)
    best = table.max(1).values if which == "hardest" else table.min(1).values
    got = table[found.anchor, found.positive]
    assert torch.allclose(got, best[found.anchor], atol=1e-6)


class OfRows:
    """A search of somebody else's, which knows rows and classes only."""

    approximate, description = False, "exact, as written elsewhere"

    def __init__(self) -> None:
        self._inner = neighbors.create("dense")

    def build(self, bank: Bank) -> None:
        self._inner.build(bank)

    def nearest_negatives(self, anchors: torch.Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        return self._inner.nearest_negatives(anchors, k, progress)

    def farthest_positives(self, anchors: torch.Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        return self._inner.farthest_positives(anchors, k, progress)


class Reversed(Dense):
    """Ours, with an answer to rows that is not ours: what is nearest stands last."""

    def nearest_negatives(self, anchors: torch.Tensor, k: int, progress: SearchProgress | None = None) -> Neighbors:
        found = super().nearest_negatives(anchors, k, progress)
        return Neighbors(found.distance.flip(1), found.row.flip(1))


def test_that_a_search_that_knows_rows_and_classes_only_serves_a_miner_as_well() -> None:
    where, options = bank(), KnnOptions(candidates=7, select="hardest", max_distance=1e9, positives="hardest")
    mined_by, searches = [], (OfRows(), Reversed(), neighbors.create("dense"))
    for search in searches:
        miner = SearchingMiner(options, search)
        miner.refresh(where, context())
        mined_by.append(miner.mine(torch.arange(len(where)), context()))
    found = searches[2].nearest_negatives(torch.arange(len(where)), 7).row
    assert torch.equal(mined_by[0].negative, found[:, 0])
    assert torch.equal(mined_by[1].negative, found[:, -1])
    assert all(torch.equal(one, other) for one, other in zip(mined_by[0], mined_by[2], strict=True))


def test_that_ranked_positives_do_not_depend_on_the_tile_size(monkeypatch: pytest.MonkeyPatch) -> None:
    where, anchors = bank(n=300, classes=9), torch.arange(300)
    whole = mined("random", where, anchors, positives="hardest")
    monkeypatch.setattr("hnm_core.miners.whole_set.positives.TILE_ENTRIES", 50)
    tiled = mined("random", where, anchors, positives="hardest")
    assert torch.equal(whole.positive, tiled.positive)


def test_that_random_positives_and_negatives_are_uniform() -> None:
    where = Bank(torch.randn(10, 2), torch.tensor([0, 0, 0, 0, 1, 1, 1, 2, 2, 3]))
    found = mined("random", where, torch.full((9000,), 5))
    positives = np.bincount(found.positive.numpy(), minlength=10)
    negatives = np.bincount(found.negative.numpy(), minlength=10)
    assert stats.chisquare(positives[[4, 6]]).pvalue > 1e-4
    assert stats.chisquare(negatives[[0, 1, 2, 3, 7, 8, 9]]).pvalue > 1e-4
    assert positives[[4, 6]].sum() == negatives[[0, 1, 2, 3, 7, 8, 9]].sum() == 9000


@pytest.mark.parametrize("name", ["knn", "lsh"])
def test_that_negatives_are_drawn_evenly_from_the_nearest_of_other_classes(name: str) -> None:
    where = bank(n=80, classes=4)
    pool = 3
    found = mined(name, where, torch.full((6000,), 17), pool=pool, **({"rescore": 80} if name == "lsh" else {}))
    distances = (where.embeddings - where.embeddings[17]).norm(dim=1)
    distances[where.labels == where.labels[17]] = math.inf
    nearest = distances.argsort()[:pool]
    counts = np.bincount(found.negative.numpy(), minlength=80)
    assert counts[nearest].sum() == 6000
    assert stats.chisquare(counts[nearest]).pvalue > 1e-4


@pytest.mark.parametrize("name", WHOLE_SET)
def test_that_anchors_without_a_partner_give_no_tuple(name: str) -> None:
    where = Bank(torch.randn(5, 3), torch.tensor([0, 0, 0, 1, 2]))
    found = mined(name, where, torch.tensor([3, 0, 4, 1]))
    assert found.anchor.tolist() == [0, 1]
    alone = mined(name, Bank(torch.randn(4, 3), torch.zeros(4, dtype=torch.int64)), torch.arange(4))
    assert [len(vector) for vector in alone] == [0, 0, 0]


@pytest.mark.parametrize("name", WHOLE_SET)
def test_that_no_anchors_give_empty_tuples(name: str) -> None:
    found = mined(name, bank(), torch.zeros(0, dtype=torch.int64))
    assert all(vector.dtype == torch.int64 and vector.shape == (0,) for vector in found)


@pytest.mark.parametrize("name", WHOLE_SET)
def test_that_mining_before_a_refresh_says_what_to_do(name: str) -> None:
    with pytest.raises(InputError, match="call refresh before mine"):
        miners.create(name).mine(torch.arange(3), context())


def test_that_a_wrong_option_names_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"Unknown option 'pol'\. Did you mean pool"):
        miners.create("knn", pol=3)
    with pytest.raises(InputError, match="pool = 0 is not allowed: it must be at least 1"):
        miners.create("knn", pool=0)


@pytest.mark.parametrize("search", one_in(2, ["exact", "lsh-scan"]))
def test_that_a_first_search_leaves_torchs_thread_count_alone(search: str) -> None:
    """numba's OpenMP layer sets the thread count that torch reads; unnoticed, that made training many times slower."""
    code = f"""
import torch
from hnm_core import neighbors
from hnm_core.bank import Bank
torch.set_num_threads(1)
found = neighbors.create({search!r})
found.build(Bank(torch.randn(500, 3), torch.arange(500) % 5))
found.nearest_negatives(torch.arange(100), 2)
assert torch.get_num_threads() == 1, torch.get_num_threads()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


@pytest.mark.parametrize("name", WHOLE_SET)
def test_that_a_whole_set_miner_called_like_one_inside_the_batch_says_what_it_wants(name: str) -> None:
    where = bank()
    with pytest.raises(InputError, match=r"whole set, not a batch.*refresh\(.*mine\("):
        miners.create(name)(where.embeddings, where.labels)


@pytest.mark.parametrize("name", WHOLE_SET)
def test_that_embeddings_in_place_of_a_bank_are_refused_and_the_last_bank_stays(name: str) -> None:
    where, about = bank(), context()
    miner = miners.create(name)
    with pytest.raises(InputError, match=r"Bank\(embeddings, labels\), not torch.float32 of shape \(120, 3\)"):
        miner.refresh(where.embeddings, about)
    miner.refresh(where, about)
    with pytest.raises(InputError, match="bank is needed"):
        miner.refresh(None, about)
    assert len(miner.mine(torch.arange(120), about).anchor) > 0


@pytest.mark.parametrize("name", WHOLE_SET)
def test_that_anchors_that_are_no_rows_are_refused(name: str) -> None:
    about, miner = context(), miners.create(name)
    miner.refresh(bank(), about)
    for anchors, words in (
        (torch.tensor([3, 120]), "Anchor 120 is no row"),
        (torch.tensor([-1]), "Anchor -1 is no row"),
        (torch.ones(120, dtype=torch.bool), "not a mask"),
        (torch.zeros(4), "integer rows"),
    ):
        with pytest.raises(InputError, match=words):
            miner.mine(anchors, about)


@pytest.mark.parametrize("name", [*WHOLE_SET, "random-negative", "batch-hard"])
def test_that_a_seed_in_place_of_a_generator_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"must be a torch\.Generator.*not 42"):
        miners.create(name, 42)
