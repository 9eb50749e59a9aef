"""A miner over a search: its options are the search's own, and a class of options is all that a new one needs."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch

from hnm_core import miners, neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.miners.base import CountsChoices, ExplainsEmptySet, MiningContext, SaysWhetherItLooks, Searching
from hnm_core.miners.whole_set.options import SEARCHING, SearchingOptions
from hnm_core.miners.whole_set.searching import SearchingMiner
from hnm_core.neighbors.base import Bucketing
from hnm_core.spec.registry import MINERS, NEIGHBORS
from hnm_core.testing import check_dataset_miner
from hnm_core.testing.banks import bank_of

OVER_A_SEARCH = ["knn", "lsh", "lsh-buckets", "routed"]
CHANGED: dict[str, dict[str, Any]] = {
    "knn": {},
    "lsh": {"bits": 128, "family": "affine", "rescore": 40, "center": False},
    "lsh-buckets": {"tables": 3, "bits": 5, "recall": 0.5, "probes": 2, "family": "sign", "center": False},
    "routed": {"recall": 0.5, "classes": 2},
}


@pytest.mark.parametrize("name", OVER_A_SEARCH)
def test_that_every_option_of_the_search_that_a_miner_has_reaches_it(name: str) -> None:
    options = MINERS.validate(name, {"pool": 7, **CHANGED[name]})
    assert isinstance(options, SearchingOptions)
    fields = NEIGHBORS.entry(options.search).options.model_fields
    assert CHANGED[name].keys() == (fields.keys() & type(options).model_fields.keys())
    for key in CHANGED[name]:
        assert type(options).model_fields[key].description == fields[key].description
    seed = {"seed": 11} if "seed" in fields else {}
    wanted = NEIGHBORS.validate(options.search, {**CHANGED[name], **seed})
    assert options.search_part(11 if seed else None).options == wanted


@pytest.mark.parametrize("name", OVER_A_SEARCH)
def test_that_a_generator_is_drawn_from_just_where_the_search_draws(name: str) -> None:
    source = torch.Generator().manual_seed(3)
    before = source.get_state()
    miners.create(name, source)
    draws = "seed" in NEIGHBORS.entry(MINERS.entry(name).options.search).options.model_fields
    assert torch.equal(source.get_state(), before) == (not draws)


def test_that_a_class_of_options_makes_a_miner_over_another_search(monkeypatch: pytest.MonkeyPatch) -> None:
    MINERS.names()
    monkeypatch.setattr(MINERS, "_entries", dict(MINERS._entries))

    @MINERS.register("by-products", target=SEARCHING, scope="dataset")
    class ByProductsOptions(SearchingOptions):
        """The nearest items of other classes, by tiled products."""

        search = "dense"

    check_dataset_miner(partial(miners.create, "by-products"), dims=(3,))
    bank, anchors = bank_of("random", 3), torch.arange(40)
    context = MiningContext(0, 0, torch.Generator().manual_seed(0), Distance())
    miner = miners.create("by-products", pool=1)
    miner.refresh(bank, context)
    mined = miner.mine(anchors, context)
    table = torch.cdist(bank.embeddings[anchors].double(), bank.embeddings.double())
    table[bank.labels[anchors, None] == bank.labels[None]] = torch.inf
    got = table.gather(1, mined.negative[:, None])[:, 0]
    torch.testing.assert_close(got, table.amin(1), rtol=1e-5, atol=1e-6)


def test_that_what_a_miner_can_do_is_seen_by_its_protocols() -> None:
    knn, chance = miners.create("knn", pool=4), miners.create("random")
    assert isinstance(knn, Searching) and isinstance(knn, SearchingMiner) and knn.pool == 4
    assert not isinstance(chance, Searching)
    for miner, looks in ((knn, True), (chance, False), (miners.create("random", positives="hardest"), True)):
        assert isinstance(miner, SaysWhetherItLooks) and miner.uses_embeddings is looks
        assert isinstance(miner, CountsChoices) and isinstance(miner, ExplainsEmptySet)


def test_that_a_search_with_buckets_is_told_from_one_without() -> None:
    buckets = neighbors.create("lsh-buckets", tables=2, bits=3)
    assert isinstance(buckets, Bucketing)
    bank = Bank(torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), torch.arange(50) % 5)
    buckets.build(bank)
    assert buckets.hashes and 50 / 8 <= buckets.occupancy(0).largest <= 50
    assert not isinstance(neighbors.create("exact"), Bucketing)
