"""Miners over the whole set where items have several labels each, against the table of pairs that share one."""

from __future__ import annotations

from unittest.mock import patch

import pytest
import torch

from hnm_core import miners, several_labels
from hnm_core.bank import Bank
from hnm_core.miners.base import DatasetMiner, MiningContext, Triplets
from hnm_core.several_labels import SeveralLabels

SOURCE = torch.Generator().manual_seed(4)
X = torch.randn((300, 6), generator=SOURCE)
TABLE = torch.rand((300, 5), generator=SOURCE) < 0.15
TABLE[::10] = False
SHARED = ((TABLE.int() @ TABLE.T.int()) > 0).fill_diagonal_(True)
APART = torch.cdist(X.double(), X.double())
WITH_LABEL = TABLE.any(1).nonzero()[:, 0]
MINERS = ("random", "knn", "lsh", "lsh-buckets", "routed")


def mined(name: str, table: torch.Tensor = TABLE, **options: object) -> tuple[Triplets, DatasetMiner]:
    miner = miners.create(name, **options)
    assert isinstance(miner, DatasetMiner)
    miner.refresh(Bank(X, SeveralLabels.of_table(table)), MiningContext())
    found = miner.mine(torch.arange(300), MiningContext())
    assert isinstance(found, Triplets)
    return found, miner


@pytest.mark.parametrize("positives", ["random", "hardest", "easiest"])
@pytest.mark.parametrize("name", MINERS)
def test_that_positives_share_a_label_and_negatives_none(name: str, positives: str) -> None:
    (anchor, positive, negative), miner = mined(name, positives=positives)
    assert bool(SHARED[anchor, positive].all())
    assert not bool(SHARED[anchor, negative].any())
    assert not bool((anchor == positive).any())
    assert set(anchor.tolist()) == set(WITH_LABEL.tolist()), "only what has no label is no anchor"
    if positives != "random":
        others = SHARED.clone().fill_diagonal_(False)
        wanted = APART.masked_fill(~others, -torch.inf if positives == "hardest" else torch.inf)
        best = wanted.argmax(1) if positives == "hardest" else wanted.argmin(1)
        assert torch.equal(positive, best[anchor])
    counts = miner.counts()  # type: ignore[attr-defined]
    assert counts["anchors"] == 300
    assert counts["mined"] == len(anchor)


def test_that_random_draws_are_even_and_room_changes_none_of_them() -> None:
    whole = mined("random")[0]
    with patch.object(several_labels, "PAIRS_AT_ONCE", 500):
        parted = mined("random")[0]
    assert all(map(torch.equal, whole, parted))
    miner = miners.create("random")
    assert isinstance(miner, DatasetMiner)
    miner.refresh(Bank(X, SeveralLabels.of_table(TABLE)), MiningContext())
    anchor = int(WITH_LABEL[0])
    triplets = miner.mine(torch.full((20_000,), anchor), MiningContext())
    for drawn, possible in ((triplets[1], SHARED[anchor].clone()), (triplets[2], ~SHARED[anchor])):
        possible[anchor] = False
        counts = drawn.bincount(minlength=300)
        expected = 20_000 / int(possible.sum())
        assert torch.equal(counts > 0, possible)
        assert float(counts[possible].max()) < expected + 6 * expected**0.5


def test_that_what_is_filled_up_shares_no_label() -> None:
    (anchor, _, negative), miner = mined("knn", negatives=3, fill=True, min_distance=3.0)
    assert int(miner.counts()["filled"]) > 0  # type: ignore[attr-defined]
    assert not bool(SHARED[anchor, negative].any())


def test_that_a_miner_tells_why_nothing_can_be_mined() -> None:
    for table, words in (
        (torch.ones((300, 1), dtype=torch.bool), "any two items share a label"),
        (torch.eye(300, dtype=torch.bool), "no anchor has another item that shares a label with it"),
    ):
        for name in ("random", "knn"):
            found, miner = mined(name, table)
            assert not len(found.anchor)
            assert words in miner.explain_empty().words  # type: ignore[attr-defined]
