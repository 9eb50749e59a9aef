"""Miners of pytorch-metric-learning by name."""

from __future__ import annotations

import inspect
import subprocess
import sys

import pytest
import torch
from pytorch_metric_learning import miners as library

from hnm_core import losses, miners
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.miners.pml_options import PmlMinerOptions
from hnm_core.seeding import generator
from hnm_core.spec.registry import MINERS
from hnm_core.testing.batch_miners import check_batch_miner

GONE = "MaximumLossMiner"
NAMES = [name for name in MINERS.names() if issubclass(MINERS.entry(name).options, PmlMinerOptions) and name != GONE]


def constructor(kind: type) -> dict[str, object]:
    """Names and defaults of all arguments along the bases, without what every class of the library takes."""
    found: dict[str, object] = {}
    for base in kind.__mro__:
        if "__init__" not in vars(base) or not base.__module__.startswith("pytorch_metric_learning."):
            continue
        for parameter in inspect.signature(base.__init__).parameters.values():
            if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                found.setdefault(parameter.name, parameter.default)
    return {name: default for name, default in found.items() if name not in ("self", "distance", "collect_stats")}


def test_that_every_miner_of_the_library_is_listed() -> None:
    there = {name for name, kind in vars(library).items() if inspect.isclass(kind) and name != "BaseMiner"}
    assert set(NAMES) == there


@pytest.mark.parametrize("name", NAMES)
def test_that_options_and_defaults_are_those_of_the_constructor(name: str) -> None:
    wanted = constructor(getattr(library, name))
    if name == "BatchHardMiner":
        wanted = {}  # its strategies are fixed
    assert MINERS.validate(name, {}).model_dump() == wanted


@pytest.mark.parametrize("name", NAMES)
def test_that_the_library_s_miners_keep_our_contract(name: str) -> None:
    if name == "EmbeddingsAlreadyPackagedAsTriplets":
        pytest.skip("it looks at no labels, so its tuples are what the rows are")
    check_batch_miner(lambda chance: miners.create(name, chance), dims=(3,))


@pytest.mark.parametrize("name", NAMES)
def test_that_the_library_s_miners_feed_our_losses(name: str) -> None:
    chance = generator(0, "batch")
    labels = torch.arange(24) % 4
    if name == "EmbeddingsAlreadyPackagedAsTriplets":
        labels = torch.tensor([0, 0, 1]).repeat(8)
    points = torch.randn(24, 3, generator=chance).requires_grad_()
    found = miners.create(name)(points, labels)
    for loss in ("triplet-margin", "contrastive"):
        losses.create(loss)(points, labels, found).backward()
    assert bool(torch.isfinite(points.grad).all())


def test_that_a_lane_s_distance_reaches_the_library() -> None:
    points, labels = 3 * torch.randn(30, 4, generator=generator(0, "batch")), torch.arange(30) % 3
    for distance in (Distance(), Distance("squared-euclidean"), Distance("euclidean", normalized=True)):
        ours = miners.create("triplet-margin", distance=distance, margin=0.4)(points, labels)
        theirs = miners.create("TripletMarginMiner", distance=distance, margin=0.4)(points, labels)
        assert {*zip(*(v.tolist() for v in ours), strict=True)} == {*zip(*(v.tolist() for v in theirs), strict=True)}
    similar = miners.create("TripletMarginMiner", distance=Distance("cosine"), type_of_triplets="hard")(points, labels)
    ours = miners.create("triplet-margin", distance=Distance("cosine"), type_of_triplets="hard")(points, labels)
    assert {*zip(*(v.tolist() for v in ours), strict=True)} == {*zip(*(v.tolist() for v in similar), strict=True)}


def test_that_draws_follow_the_lane_s_generator_alone() -> None:
    points, labels = torch.randn(40, 3, generator=generator(0, "batch")), torch.arange(40) % 4

    def drawn(seed: int) -> list[list[int]]:
        return [v.tolist() for v in miners.create("DistanceWeightedMiner", generator(seed, "draws"))(points, labels)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_that_angles_do_not_change_with_the_length_of_rows() -> None:
    points, labels = torch.randn(20, 3, generator=generator(0, "batch")), torch.arange(20) % 4
    lengths = torch.linspace(0.5, 5, 20)[:, None]
    mined = [miners.create("AngularMiner")(rows, labels) for rows in (points, lengths * points)]
    assert torch.equal(torch.stack(tuple(mined[0])), torch.stack(tuple(mined[1])))


def test_that_what_cannot_be_is_said_in_a_sentence() -> None:
    with pytest.raises(InputError, match=r"has no MaximumLossMiner since 1\.0; take the miner 'maximum-loss'"):
        miners.create(GONE)
    with pytest.raises(InputError, match="cannot go with neg_strategy = semihard"):
        miners.create("BatchEasyHardMiner", pos_strategy="all")
    with pytest.raises(InputError, match="Did you mean margin"):
        miners.create("TripletMarginMiner", margn=0.3)
    with pytest.raises(InputError, match="Did you mean TripletMarginMiner"):
        miners.create("TripletMarginsMiner")
    with pytest.raises(InputError, match="needs Euclidean distance on normalised embeddings"):
        miners.create("AngularMiner", distance=Distance())
    with pytest.raises(InputError, match="7 rows are no triplets"):
        miners.create("EmbeddingsAlreadyPackagedAsTriplets")(torch.zeros(7, 2), torch.zeros(7).long())


def test_that_without_the_library_names_are_listed_and_the_sentence_says_what_to_install() -> None:
    code = """
import sys
sys.modules["pytorch_metric_learning"] = None
from hnm_core.spec.registry import LOSSES, MINERS
assert MINERS.validate("TripletMarginMiner", {"margin": 0.3}).margin == 0.3
assert "TripletMarginLoss" in LOSSES.names() and "torch" not in sys.modules
from hnm_core import losses, miners
from hnm_core.errors import InputError
for create, name in ((miners.create, "TripletMarginMiner"), (losses.create, "TripletMarginLoss")):
    try:
        create(name)
    except InputError as error:
        assert 'pip install "hnm-lab[pml]"' in str(error), error
    else:
        raise AssertionError(name)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
