"""How many tuples of a batch a miner may find is what its options say."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hnm_core import miners
from hnm_core.distances import Distance
from hnm_core.miners.base import ExplainsEmptyBatch
from hnm_core.spec.registry import MINERS

CLASSES, OF_EACH = 4, 6
BATCH = CLASSES * OF_EACH
LABELS = torch.arange(BATCH) % CLASSES
TRIPLETS = BATCH * (OF_EACH - 1) * (BATCH - OF_EACH)
UNIT = Distance("euclidean", normalized=True)
LOOSE: dict[str, dict[str, Any]] = {
    "triplet-margin": {"margin": 100.0},
    "TripletMarginMiner": {"margin": 100.0},
    "angular": {"angle": 0.0},
    "AngularMiner": {"angle": 0.0},
    "pair-margin": {"pos_margin": 0.0, "neg_margin": 100.0},
    "PairMarginMiner": {"pos_margin": 0.0, "neg_margin": 100.0},
    "multi-similarity": {"epsilon": 100.0},
    "MultiSimilarityMiner": {"epsilon": 100.0},
    "hdc": {"filter_percentage": 1.0},
    "HDCMiner": {"filter_percentage": 1.0},
    "all-pairs": {"balance": False},
}
"""Options with which a miner finds the most."""

MANY = [
    name for name in MINERS.names() if MINERS.entry(name).options.triplet_share or MINERS.entry(name).options.many_pairs
]


def mined(name: str, **options: Any) -> tuple[torch.Tensor, ...]:
    source = torch.Generator().manual_seed(1)
    miner = miners.create(name, source, distance=UNIT, **options)
    found = miner(torch.randn(BATCH, 5, generator=source), LABELS)
    assert found is not None
    return tuple(found)


@pytest.mark.parametrize("name", MANY)
def test_that_a_miner_of_many_finds_as_many_as_its_options_say(name: str) -> None:
    options, found = MINERS.entry(name).options, mined(name, **LOOSE.get(name, {}))
    if options.triplet_share:
        assert len(found) == 3 and len(found[0]) == options.triplet_share * TRIPLETS
    else:
        joined = (found[0][:, None] == found[2][None, :]).sum()
        assert len(found) == 4 and TRIPLETS / 4 < int(joined) <= TRIPLETS


@pytest.mark.parametrize("name", [name for name in MINERS.names() if MINERS.entry(name).options.cap_option])
def test_that_a_capped_miner_finds_no_more_than_its_options_say(name: str) -> None:
    for cap in ({"max_tuples": 7}, {"max_per_anchor": 1}, {"max_tuples": 7, "max_per_anchor": 1}):
        most = MINERS.validate(name, cap).most_tuples(BATCH)
        found = mined(name, **{**LOOSE.get(name, {}), **cap})
        assert most == min(cap.get("max_tuples", 10**9), BATCH * cap.get("max_per_anchor", 10**9))
        assert max(len(vector) for vector in found) <= most
    assert MINERS.validate(name, {}).most_tuples(BATCH) is None


def test_that_our_miners_explain_an_empty_batch_and_the_librarys_do_not() -> None:
    assert isinstance(miners.create("batch-hard"), ExplainsEmptyBatch)
    assert not isinstance(miners.create("BatchHardMiner"), ExplainsEmptyBatch)
