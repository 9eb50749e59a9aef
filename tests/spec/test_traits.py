"""What a plug-in says of its parts on their options: the rules, the lists and changes while a lane trains go by it."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import Field

from hnm_core.errors import InputError
from hnm_core.run import changeable
from hnm_core.spec.compatibility import check, impossible
from hnm_core.spec.config import DISTANCES, ExperimentConfig, LaneConfig, from_dict
from hnm_core.spec.registry import LOSSES, MINERS, LossOptions, MinerOptions, Options, Registry
from hnm_core.spec.traits import Remark

NOWHERE = "somebody:build"


class PickyMiner(MinerOptions):
    """A miner inside the batch that declares what it can."""

    unit_euclidean_only = True
    triplet_share = 1.0
    cap_option = "at_most"
    margin: float = Field(0.3, description="lead of the positive")
    at_most: int | None = Field(None, description="tuples to keep")
    hard: bool = Field(True, description="only the hardest")

    @property
    def hardest_only(self) -> bool:
        return self.hard

    @property
    def wanted_margin(self) -> float:
        return self.margin

    def most_tuples(self, batch: int) -> int | None:
        return self.at_most

    def idle(self) -> dict[str, str]:
        return {} if self.hard else {"margin": "it belongs to hard = true"}


class PickyLoss(LossOptions):
    """A loss over triplets that declares what it can."""

    needs_triplets = True
    takes_reference = False
    margin: float = Field(0.3, description="lead of the positive")
    learns: bool = Field(False, description="train the margin")
    shy: bool = Field(True, description="take no cosine")

    @property
    def trains_weights(self) -> bool:
        return self.learns

    @property
    def needs_more(self) -> str:
        return "learns = true" if self.learns else ""

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        if self.shy and lane.distance == "cosine":
            yield Remark("shy", f"'{lane.loss}' shuns cosines.", "loss_options.shy=false")

    def remarks(self, lane: LaneConfig, items: int | None) -> Iterator[Remark]:
        if lane.warmup > 100:
            yield Remark("slow", f"'{lane.loss}' waits.", level="info")


class PlainMiner(Options):
    """A miner that declares nothing."""

    lock: str = Field("no trait of a miner", description="an option of its own")


class PlainLoss(Options):
    """A loss that declares nothing."""

    strength: float = Field(1.0, description="an option of its own")


@pytest.fixture(autouse=True)
def plug_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Registered for one test only."""
    for registry in (MINERS, LOSSES):
        registry.names()  # so that built-ins are there already
        monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    MINERS.register("picky", target=NOWHERE, scope="batch")(PickyMiner)
    MINERS.register("plain", target=NOWHERE, scope="batch")(PlainMiner)
    LOSSES.register("picky", target=NOWHERE)(PickyLoss)
    LOSSES.register("plain", target=NOWHERE)(PlainLoss)


def made(batch: int = 64, lr: float = 1e-3, **lane: Any) -> ExperimentConfig:
    return from_dict({"sampler": {"batch": batch}, "optimizer": {"lr": lr}, "lanes": [{"name": "one", **lane}]})


def found(config: ExperimentConfig, **known: Any) -> dict[str, str]:
    """Level by rule."""
    return {finding.rule: finding.level for finding in check(config, **known)}


UNIT: dict[str, Any] = {"distance": "euclidean", "normalize": True}


@pytest.mark.parametrize(
    ("rule", "level", "lane", "known"),
    [
        ("C5", "refuse", {"miner": "picky"}, {}),
        ("C9", "warn", {"loss": "picky", "loss_options": {"margin": 2.5}, **UNIT}, {}),
        ("C11", "warn", {"miner": "picky", "loss": "picky", "loss_options": {"margin": 0.4}, **UNIT}, {}),
        ("C16", "refuse", {"miner": "batch-hard", "memory": 9, "loss": "picky"}, {}),
        ("C19", "refuse", {"miner": "picky", "batch": 4096, **UNIT}, {"classes": 10}),
        ("C25", "warn", {"miner": "picky", "hard_share": 1.0, "lr": 0.1, **UNIT}, {}),
        ("C34", "refuse", {"miner": "maximum-loss", "miner_options": {"miner": "picky"}}, {}),
        (
            "C34",
            "refuse",
            {"miner": "maximum-loss", "miner_options": {"loss": "picky", "loss_options": {"learns": True}}},
            {},
        ),
        ("C35", "warn", {"miner": "picky", "miner_options": {"hard": False, "margin": 0.5}, **UNIT}, {}),
        ("shy", "refuse", {"loss": "picky", "distance": "cosine"}, {}),
        ("slow", "info", {"loss": "picky", "warmup": 200}, {}),
    ],
)
def test_that_a_rule_speaks_of_a_plug_in_that_declares_what_it_is_about(
    rule: str, level: str, lane: dict[str, Any], known: dict[str, Any]
) -> None:
    assert found(made(**lane), **known).get(rule) == level


@pytest.mark.parametrize(
    ("rule", "lane"),
    [
        ("C5", {"miner": "picky", **UNIT}),
        ("C11", {"miner": "picky", "loss": "picky", **UNIT}),
        ("C19", {"miner": "picky", "batch": 4096, "miner_options": {"at_most": 1000}, **UNIT}),
        ("C25", {"miner": "picky", "hard_share": 1.0, "lr": 0.1, "miner_options": {"hard": False}, **UNIT}),
        ("shy", {"loss": "picky", "distance": "cosine", "loss_options": {"shy": False}}),
    ],
)
def test_that_a_rule_is_silent_where_the_options_of_a_plug_in_meet_it(rule: str, lane: dict[str, Any]) -> None:
    assert rule not in found(made(**lane), classes=10)


def test_that_a_plug_in_that_declares_nothing_goes_with_everything_and_keeps_its_options() -> None:
    for distance in DISTANCES:
        for normalize in (False, True):
            config = made(miner="plain", loss="plain", distance=distance, normalize=normalize, memory=9)
            assert "refuse" not in found(config, classes=10).values()
            assert isinstance(config.lanes[0].miner_part.options, PlainMiner)
            assert config.lanes[0].miner_part.options.lock == "no trait of a miner"
            assert isinstance(config.lanes[0].loss_part.options, PlainLoss)
    assert MINERS.entry("plain").help == "A miner that declares nothing."
    with pytest.raises(InputError, match="strength = 'much' is not allowed: it must be a number"):
        made(loss="plain", loss_options={"strength": "much"})


@pytest.mark.parametrize("before", ["triplet-margin", "picky"])
def test_that_lists_grey_out_a_plug_in_with_its_own_sentence_whatever_the_lane_had_before(before: str) -> None:
    config = made(loss=before, distance="cosine")
    assert impossible("loss", config, "one")["picky"] == "'picky' shuns cosines."
    assert "needs Euclidean distance" in impossible("miner", config, "one")["picky"]
    assert not {"plain"} & impossible("miner", config, "one").keys()
    assert "cosine" in impossible("distance", made(loss="picky"), "one")


def test_that_a_loss_of_a_plug_in_that_trains_weights_waits_for_the_next_start() -> None:
    learning = changeable.alone(made(loss="picky", loss_options={"learns": True}), "one")
    with pytest.raises(InputError, match="a loss that trains weights of its own"):
        changeable.changed(learning, {"loss": "plain"})
    with pytest.raises(InputError, match="a loss that trains weights of its own"):
        changeable.changed(changeable.alone(made(loss="plain"), "one"), {"loss": "picky", "loss_options.learns": True})
    still = changeable.alone(made(loss="picky"), "one")
    assert changeable.changed(still, {"loss": "plain"}).lanes[0].loss == "plain"


def test_that_what_a_registry_takes_has_the_traits_of_its_kind() -> None:
    registry = Registry[MinerOptions]("thing", "hnm_core.errors", options=MinerOptions)
    assert registry.register("a", target=NOWHERE)(PlainMiner) is registry.entry("a").options
    assert registry.register("b", target=NOWHERE)(PickyMiner) is PickyMiner
    assert issubclass(registry.entry("a").options, MinerOptions) and issubclass(registry.entry("a").options, PlainMiner)
    assert registry.entry("b").options is PickyMiner
    assert list(registry.entry("a").options.model_fields) == ["lock"]


class Bare(Options):
    """In a registry for itself, so that its module's name can stand for what is registered."""

    pool: int = 3


def test_that_options_that_declare_no_traits_can_be_pickled(monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry[MinerOptions]("thing", "hnm_core.errors", options=MinerOptions)
    monkeypatch.setitem(globals(), "Bare", registry.register("bare", target=NOWHERE)(Bare))  # as the decorator does
    made = registry.validate("bare", {"pool": 5})
    assert isinstance(made, MinerOptions) and pickle.loads(pickle.dumps(made)) == made
