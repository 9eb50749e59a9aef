"""Which choices go together, before anything runs."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
import torch

from hnm_core import losses, miners
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.losses.base import Problem
from hnm_core.spec import config as configuration
from hnm_core.spec.compatibility import Finding, check, idle_fields, impossible, refuse
from hnm_core.spec.config import ExperimentConfig, LaneConfig
from hnm_core.spec.registry import LOSSES, MINERS
from hnm_core.spec.resources import preset_names, preset_path


def made(batch: int = 64, lr: float = 1e-3, **lane: Any) -> ExperimentConfig:
    return configuration.from_dict(
        {"sampler": {"batch": batch}, "optimizer": {"lr": lr}, "lanes": [{"name": "one", **lane}]}
    )


def rules(config: ExperimentConfig, level: str, **known: Any) -> set[str]:
    return {finding.rule for finding in check(config, **known) if finding.level == level}


UNIT = {"distance": "euclidean", "normalize": True}


@pytest.mark.parametrize(
    ("rule", "level", "lane"),
    [
        ("C1", "refuse", {"miner": "batch-hard", "loss": "PNPLoss", "distance": "cosine"}),
        ("C2", "warn", {"miner": "batch-hard", "loss": "ProxyNCALoss"}),
        ("C3", "warn", {"miner": "batch-hard", "loss": "NPairsLoss"}),
        ("C4", "warn", {"miner": "batch-hard", "loss": "AngularLoss", **UNIT}),
        ("C5", "refuse", {"miner": "angular"}),
        ("C5", "refuse", {"miner": "DistanceWeightedMiner", "distance": "cosine"}),
        ("C6", "refuse", {"loss": "CircleLoss"}),
        ("C6", "refuse", {"loss": "FastAPLoss"}),
        ("C7", "warn", {"miner": "batch-hard", "loss": "SignalToNoiseRatioContrastiveLoss"}),
        ("C8", "refuse", {"loss": "ContrastiveLoss", "distance": "cosine"}),
        ("C5", "refuse", {"miner": "knn", "miner_options": {"max_score": 0.5}}),
        ("C5", "refuse", {"miner": "knn", "miner_options": {"select": "distance-weighted"}}),
        ("C6", "refuse", {"loss": "hcl"}),
        ("C6", "refuse", {"loss": "snnl", "distance": "inner-product"}),
        ("C6", "refuse", {"loss": "triplet-margin", "loss_options": {"squared": True}, "distance": "cosine"}),
        ("C8", "refuse", {"loss": "contrastive", "loss_options": {"pos_margin": 1.0}}),
        ("C16", "refuse", {"miner": "batch-hard", "memory": 9, "loss": "snnl", "loss_options": {"layers": "all"}}),
        ("C30", "refuse", {"loss": "soft-info-nce", "loss_options": {"weighting": "given"}}),
        ("C31", "refuse", {"loss": "snnl", "loss_options": {"primary": "reconstruction"}}),
        ("C32", "refuse", {"loss": "VICRegLoss", "miner": "none"}),
        ("C33", "refuse", {"loss": "ManifoldLoss", "loss_options": {"K": 65}, "miner": "none", "distance": "cosine"}),
        ("C34", "refuse", {"miner": "maximum-loss", "miner_options": {"loss": "ArcFaceLoss"}, "distance": "cosine"}),
        ("C34", "refuse", {"miner": "maximum-loss", "miner_options": {"miner": "none"}}),
        ("C34", "refuse", {"miner": "maximum-loss", "miner_options": {"loss": "no-such-loss"}}),
        ("C35", "warn", {"miner": "knn", "memory": 100}),
        ("C35", "warn", {"miner": "batch-hard", "refresh_every": 5}),
        ("C35", "warn", {"miner": "batch-hard", "hard_share": 1.0}),
        ("C35", "warn", {"miner": "knn", "refresh_lag": 5}),
        ("C35", "warn", {"miner": "knn", "refresh": "epoch", "refresh_every": 5}),
        ("C35", "warn", {"miner": "knn", "miner_options": {"margin": 0.5}}),
        ("C9", "warn", {"loss": "triplet-margin", "loss_options": {"margin": 2.5}, **UNIT}),
        ("C11", "warn", {"miner": "semihard-negative", "loss_options": {"margin": 0.2}}),
        ("C12", "refuse", {"miner": "EmbeddingsAlreadyPackagedAsTriplets"}),
        ("C15", "refuse", {"miner": "lsh", "miner_options": {"family": "sign"}}),
        ("C21", "info", {"loss": "snnl", "loss_options": {"schedule": "learned", "factor": -1.0}}),
        ("C21", "info", {"loss": "snnl", "loss_options": {"schedule": "searched", "factor": -1.0}}),
        ("C40", "warn", {"loss": "snnl", "loss_options": {"primary": "cross-entropy", "factor": 10.0}}),
        ("C40", "warn", {"loss": "snnl", "loss_options": {"primary": "cross-entropy", "factor": -10.0}}),
        ("C22", "warn", {"loss": "snnl", "loss_options": {"temperature": 21.0}, **UNIT}),
        ("C22", "warn", {"loss": "snnl", "loss_options": {"temperature": 10.5}, "distance": "cosine"}),
        ("C25", "warn", {"miner": "knn", "miner_options": {"pool": 1}, "hard_share": 1.0, "lr": 0.1}),
        ("C26", "warn", {"miner": "distance-weighted", **UNIT}),
        ("C28", "refuse", {"loss": "SmoothAPLoss", "distance": "cosine"}),
    ],
)
def test_that_each_rule_speaks_of_what_it_is_about(rule: str, level: str, lane: dict[str, Any]) -> None:
    found = [finding for finding in check(made(**lane)) if finding.rule == rule]
    assert [finding.level for finding in found] == [level]
    assert found[0].lane == "one"
    assert found[0].sentence.endswith(".")


@pytest.mark.parametrize(
    "lane",
    [
        {"miner": "angular", **UNIT},
        {"miner": "triplet-margin"},
        {"miner": "batch-hard", "loss": "CircleLoss", "distance": "cosine"},
        {"loss": "ContrastiveLoss", "loss_options": {"pos_margin": 1.0, "neg_margin": 0.0}, "distance": "cosine"},
        {"miner": "semihard-negative", "loss_options": {"margin": 1.0}},
        {"miner": "lsh", "miner_options": {"family": "sign"}, "normalize": True},
        {"miner": "knn", "miner_options": {"pool": 1}, "hard_share": 1.0, "warmup": 100},
        {"loss": "snnl", "loss_options": {"primary": "cross-entropy", "factor": 0.3}},
        {
            "loss": "snnl",
            "loss_options": {"primary": "cross-entropy", "factor": 10.0, "temperature": 1.0, "schedule": "annealed"},
            "distance": "cosine",
        },
    ],
)
def test_that_what_goes_together_is_left_alone(lane: dict[str, Any]) -> None:
    assert [finding for finding in check(made(**lane), classes=10) if finding.level != "info"] == []


@pytest.mark.parametrize(
    "lane",
    [
        {"loss_options": {"schedule": "learned", "temperature": 100.0}, **UNIT},
        {"loss_options": {"temperature": 100.0}},  # whether that is much shows in the first batch
        {"loss_options": {"temperature": 19.0}, **UNIT},
        {"loss_options": {"factor": -1.0}},
    ],
)
def test_that_nothing_is_said_of_a_temperature_that_moves_or_may_be_right(lane: dict[str, Any]) -> None:
    assert {finding.rule for finding in check(made(loss="snnl", **lane))} & {"C21", "C22"} == set()


DISTANCES = [
    {"distance": name, "normalize": normalize} for name in configuration.DISTANCES for normalize in (False, True)
]
VARIANTS: dict[str, list[dict[str, Any]]] = {
    "contrastive": [
        {"variant": variant, "pos_margin": pos, "neg_margin": neg}
        for variant in ("hinge", "halved", "online", "squared-2019")
        for pos, neg in ((0, 1), (1, 0), (1, 1), (-1, 0.5))
    ],
    "lifted-structure": [{}, {"pos_margin": 1, "neg_margin": 0}],
    "hcl": [{}, {"tau_plus": 0}],
    "triplet-margin": [{}, {"squared": True}],
}


def works(lane: LaneConfig) -> bool:
    """Whether the loss and the miner can be made and used on a small batch; the truth that the rules foretell."""
    distance = Distance(lane.distance, lane.normalize)
    source = torch.Generator().manual_seed(0)
    embeddings = torch.randn(16, 4, generator=source)
    labels = torch.arange(16) % 4
    try:
        miner = miners.create(lane.miner, source, distance=distance, **lane.miner_options)
        tuples = miner(embeddings, labels) if MINERS.entry(lane.miner).scope == "batch" else None
        if lane.loss_part.options.use == "none":
            tuples = None
        loss = losses.create(lane.loss, distance=distance, problem=Problem(4, 4), generator=source, **lane.loss_options)
        loss(embeddings, labels, tuples)
    except InputError:
        return False
    return True


def foretold(lane: dict[str, Any]) -> tuple[bool, set[str]]:
    """Whether it works, and the refusals that say that it does not. Proxies need more rows than this batch has."""
    config = made(**lane)
    return works(config.lanes[0]), rules(config, "refuse") - {"C12", "C19"}


@pytest.mark.parametrize("name", [name for name in LOSSES.names() if name != "ManifoldLoss"])
def test_that_a_loss_is_refused_before_a_run_just_where_it_cannot_work(name: str) -> None:
    miner = "none" if LOSSES.entry(name).options.use == "none" else "all-triplets"
    for options in VARIANTS.get(name, [{}]):
        for distance in DISTANCES:
            able, refused = foretold({"loss": name, "loss_options": options, "miner": miner, **distance})
            if refused == {"C8"} and name[0].isupper():
                continue  # the library takes margins the wrong way round, and pushes positives away
            assert able == (not refused), (name, options, distance, refused)


@pytest.mark.parametrize("name", MINERS.names())
def test_that_a_miner_is_refused_before_a_run_just_where_it_cannot_work(name: str) -> None:
    for distance in DISTANCES:
        for options in ({}, {"max_score": 0.5}, {"select": "distance-weighted"}):
            if options.keys() <= MINERS.entry(name).options.model_fields.keys():
                able, refused = foretold({"miner": name, "miner_options": options, **distance})
                if name != "EmbeddingsAlreadyPackagedAsTriplets" and refused != {"C15"}:
                    assert able == (not refused), (name, options, distance, refused)


@pytest.mark.parametrize("distance", [{"distance": "euclidean", "normalize": True}, {"distance": "cosine"}])
def test_that_what_maximum_loss_cannot_have_inside_is_refused_before_a_run(distance: dict[str, Any]) -> None:
    insides = [{"loss": name} for name in LOSSES.names()] + [{"miner": name} for name in MINERS.names()]
    for inside in insides:
        if inside.get("miner") != "EmbeddingsAlreadyPackagedAsTriplets":
            able, refused = foretold({"miner": "maximum-loss", "miner_options": inside, **distance})
            wrong_way_round = distance["distance"] == "cosine" and inside.get("loss", "")[:1].isupper()
            if able != (not refused):
                assert wrong_way_round and able, (inside, distance, refused)


@pytest.mark.parametrize(
    ("rule", "level", "lane"),
    [
        ("C22", "hint", {"loss": "snnl", "loss_options": {"temperature": 21.0}, **UNIT}),
        ("C26", "hint", {"miner": "distance-weighted", **UNIT}),
        ("C27", "hint", {"miner": "lsh"}),
        ("C35", "hint", {"miner": "knn", "memory": 100}),
        ("C2", "warning", {"miner": "batch-hard", "loss": "ProxyNCALoss"}),
        ("C25", "warning", {"miner": "knn", "miner_options": {"pool": 1}, "hard_share": 1.0, "lr": 0.1}),
    ],
)
def test_that_a_run_starts_with_hints_where_a_lane_could_learn_more_and_with_warnings_elsewhere(
    rule: str, level: str, lane: dict[str, Any]
) -> None:
    found = [finding for finding in check(made(**lane), items=1000) if finding.rule == rule]
    assert {finding.alarm_level for finding in found} == {level}


def test_that_fixes_mend_what_they_are_offered_for() -> None:
    for lane in (
        {"miner": "angular"},
        {"loss": "CircleLoss"},
        {"loss": "ContrastiveLoss", "distance": "cosine"},
        {"loss": "contrastive", "distance": "inner-product"},
        {"loss": "contrastive", "loss_options": {"pos_margin": 2.0}},
        {"loss": "hcl"},
        {"loss": "snnl", "loss_options": {"primary": "reconstruction"}},
        {"loss": "soft-info-nce", "loss_options": {"weighting": "given"}},
        {"miner": "knn", "miner_options": {"select": "distance-weighted"}},
    ):
        config = made(**lane)
        (finding,) = [finding for finding in check(config) if finding.level == "refuse"]
        assert finding.fix is not None
        mended = configuration.with_settings(config, [f"lanes.one.{setting}" for setting in finding.fix.split()])
        assert rules(mended, "refuse") == set()


def test_that_the_data_are_looked_at_where_they_are_known() -> None:
    mining = made(miner="batch-hard", batch=4)
    assert rules(mining, "refuse", classes=1) == {"C23"}
    assert "C24" in rules(mining, "warn", classes=5, smallest_class=1)
    assert "C18" in rules(mining, "warn", classes=100)
    assert "C18" not in rules(mining, "warn", classes=3)
    assert "C18" not in rules(made(miner="random", batch=4), "warn", classes=100)
    assert "C27" in rules(made(miner="lsh"), "info", items=1000)


@pytest.mark.parametrize(
    ("name", "options", "refused"),
    [
        ("digits", {}, True),
        ("label-noise", {"of": "digits"}, True),
        ("imbalanced", {}, True),
        ("fashion-mnist", {}, False),
        ("imbalanced", {"of": "label-noise", "of_options": {"of": "emnist"}}, False),
        ("file", {"path": "mine.npz"}, False),
    ],
)
def test_that_an_official_split_is_refused_where_a_set_is_known_to_have_none(
    name: str, options: dict[str, Any], refused: bool
) -> None:
    official = {"name": name, "options": options, "split": "official"}
    config = configuration.from_dict({"data": official, "lanes": [{"name": "one"}]})
    found = [finding for finding in check(config) if finding.rule == "C39"]
    assert len(found) == refused
    assert all(configuration.with_settings(config, [str(finding.fix)]).data.split == "items" for finding in found)


def test_that_a_step_that_cannot_be_held_in_memory_is_refused_unless_it_is_capped() -> None:
    big = made(miner="triplet-margin", batch=4096)
    (finding,) = [finding for finding in check(big, classes=10) if finding.level == "refuse"]
    assert finding.rule == "C19"
    assert "GB" in finding.sentence
    capped = made(miner="triplet-margin", batch=4096, miner_options={"max_tuples": 100_000})
    assert rules(capped, "refuse", classes=10) == set()
    assert "C19" in rules(made(miner="HDCMiner", batch=4096), "refuse", classes=10)
    assert rules(made(miner="HDCMiner", loss="contrastive", batch=4096), "refuse", classes=10) == set()


def test_that_a_form_learns_what_is_impossible_and_why() -> None:
    config = made(miner="angular", **UNIT)
    losses = impossible("loss", config, "one")
    assert "cosine" in losses["CircleLoss"]
    assert "known to be wrong" in losses["SmoothAPLoss"]
    assert "does not use mined tuples" in losses["PNPLoss"]
    assert "triplet-margin" not in losses and "TripletMarginLoss" not in losses
    assert set(impossible("distance", config, "one")) == {"squared-euclidean", "cosine", "inner-product"}
    out_of_place = impossible("miner", made(), "one")
    assert {"angular", "DistanceWeightedMiner", "MaximumLossMiner"} <= set(out_of_place)
    assert "since 1.0" in out_of_place["MaximumLossMiner"]
    assert "knn" not in out_of_place and "triplet-margin" not in out_of_place


def test_that_fields_of_a_lane_do_nothing_just_where_a_start_says_so() -> None:
    others = {"refresh_every": 7, "refresh_lag": 2, "drift_threshold": 2.0, "hard_share": 0.25, "memory": 9}
    for miner in ("knn", "random", "batch-hard", "none"):
        for refresh in ("steps", "epoch", "drift", "background"):
            said = [f.sentence for f in check(made(miner=miner, refresh=refresh, **others)) if f.rule == "C35"]
            idle = {name for name in idle_fields(miner, refresh) if name != "refresh" or refresh != "steps"}
            assert {sentence.split(" = ")[0] for sentence in said} == idle, (miner, refresh)


def test_that_presets_are_not_refused() -> None:
    for name in preset_names():
        assert rules(configuration.load(preset_path(name)), "refuse") == set(), name


def test_that_refusals_become_one_error() -> None:
    refuse([Finding("C27", "a", "info", "Only said."), Finding("C25", "a", "warn", "Careful.")])
    with pytest.raises(InputError, match=r"Lane 'a': No\. Never\."):
        refuse([Finding("C5", "a", "refuse", "No."), Finding("C23", "", "refuse", "Never.")])


def test_that_deciding_loads_no_torch() -> None:
    code = """
import sys
from hnm_core import config
from hnm_core.spec import compatibility
made = config.from_dict({"lanes": [{"name": "one", "miner": "angular"}]})
assert compatibility.check(made) and compatibility.impossible("loss", made, "one")
assert not {"torch", "numba", "pytorch_metric_learning"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
