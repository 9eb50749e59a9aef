"""The typed options of a section: made once, never those of another choice, and no part of what a section is."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import pytest

from hnm_core.errors import InputError
from hnm_core.spec.config import DataConfig, ExperimentConfig, LaneConfig, ModelConfig, SamplerConfig, from_dict
from hnm_core.spec.registry import DATASETS, LOSSES, MINERS, MODELS, SAMPLERS, Registry

WRITTEN: dict[str, Any] = {
    "data": {"name": "blobs", "options": {"points": 80}},
    "model": {"name": "head", "options": {"embedding": 5}},
    "sampler": {"name": "balanced", "options": {"classes": 4}},
    "lanes": [
        {
            "name": "one", "miner": "knn", "miner_options": {"pool": 5}, "loss": "margin",
            "loss_options": {"learn_beta": "one"}, "sampler": {"name": "random"},
        },
    ],
}  # fmt: skip


def parts(config: ExperimentConfig) -> list[tuple[Registry[Any], Any, str, dict[str, Any]]]:
    """Registry, typed part, name and options as written, of every choice of a configuration."""
    lane = config.lanes[0]
    sections = [(DATASETS, config.data), (MODELS, config.model), (SAMPLERS, config.sampler), (SAMPLERS, lane.sampler)]
    return [
        *((registry, section.part, section.name, section.options) for registry, section in sections if section),
        (MINERS, lane.miner_part, lane.miner, lane.miner_options),
        (LOSSES, lane.loss_part, lane.loss, lane.loss_options),
    ]


def test_that_typed_options_are_what_was_written_with_the_defaults_and_made_once() -> None:
    config = from_dict(WRITTEN)
    again = parts(config)
    for (registry, part, name, written), (_, same, _, _) in zip(parts(config), again, strict=True):
        assert part.entry is registry.entry(name) and part is same
        assert part.options == registry.entry(name).options.model_validate(written)
    assert config.to_dict()["lanes"][0]["miner_options"] == {"pool": 5}


@pytest.mark.parametrize("looked_at_before", [False, True])
@pytest.mark.parametrize("deep", [False, True])
def test_that_a_copy_with_other_choices_has_their_options(looked_at_before: bool, deep: bool) -> None:
    lane = LaneConfig(name="a", miner="knn", miner_options={"pool": 5}, loss="dtsh")
    if looked_at_before:
        assert (lane.miner_part.entry.name, lane.loss_part.entry.name) == ("knn", "dtsh")
    other = lane.model_copy(update={"miner": "batch-hard", "miner_options": {"max_tuples": 7}}, deep=deep)
    assert other.miner_part == MINERS.part("batch-hard", {"max_tuples": 7})
    assert other.loss_part == lane.loss_part
    wider = lane.model_copy(update={"miner_options": {"pool": 9}}, deep=deep)
    assert wider.miner_part == MINERS.part("knn", {"pool": 9}) and lane.miner_part == MINERS.part("knn", {"pool": 5})
    for section in (DataConfig(), ModelConfig(), SamplerConfig()):
        name = {"digits": "noise", "mlp": "cnn", "random": "neighbours"}[section.part.entry.name]
        assert section.model_copy(update={"name": name}, deep=deep).part.entry.name == name


def test_that_typed_options_are_no_part_of_what_a_section_is() -> None:
    plain, looked_at = LaneConfig(name="a", miner="knn"), LaneConfig(name="a", miner="knn")
    assert looked_at.miner_part.entry.name == "knn"
    assert plain == looked_at and repr(plain) == repr(looked_at)
    assert plain.model_dump() == looked_at.model_dump()
    assert pickle.dumps(plain) == pickle.dumps(looked_at)


def test_that_copies_and_pickles_are_equal_and_have_their_options() -> None:
    config = from_dict(WRITTEN)
    for other in (copy.copy(config), copy.deepcopy(config), config.model_copy(), pickle.loads(pickle.dumps(config))):
        assert other == config
        assert [part for _, part, _, _ in parts(other)] == [part for _, part, _, _ in parts(config)]


def test_that_a_pickled_configuration_is_read_without_torch() -> None:
    code = (
        "import pickle, sys; lane = pickle.load(sys.stdin.buffer).lanes[0]; assert lane.miner_part.options.pool == 5;"
        "assert not {'torch', 'numba', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(from_dict(WRITTEN)), check=True, timeout=60)


def test_that_a_lane_by_itself_says_what_is_wrong_when_it_is_asked() -> None:
    lane = LaneConfig(name="a", miner="knn", miner_options={"pool": 0}, loss="nothing")
    with pytest.raises(InputError, match="pool = 0 is not allowed"):
        _ = lane.miner_part
    with pytest.raises(InputError, match="Unknown loss 'nothing'"):
        _ = lane.loss_part


@pytest.mark.parametrize(
    ("miner", "hard_share", "mines"),
    [
        ("knn", 0.5, True),
        ("knn", 0.0, False),
        ("random", 1.0, False),
        ("random", 0.0, False),
        ("batch-hard", 0.5, True),
        ("batch-hard", 0.0, True),  # all that it finds in a batch is used
        ("none", 0.0, True),
        ("TripletMarginMiner", 1.0, True),
    ],
)
def test_that_a_lane_mines_unless_chance_alone_chooses(miner: str, hard_share: float, mines: bool) -> None:
    assert LaneConfig(name="a", miner=miner, hard_share=hard_share).mines is mines
