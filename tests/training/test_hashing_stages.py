"""The stages of the hashing margin in a whole run: what is asked for by TOML or `--set` is what every step uses."""

from __future__ import annotations

import itertools
import tomllib

import pytest

from hnm_core.losses.base import Batch, Terms
from hnm_core.losses.hashing import TripletHashingLoss
from hnm_core.run.events import OptionChanged, RunFinished
from hnm_core.spec import config
from hnm_core.spec.compatibility import check
from hnm_core.spec.config import ExperimentConfig
from hnm_core.training.experiment import Experiment

TOML = """
steps = 10
[data]
name = "blobs"
[data.options]
points = 120
[model]
name = "head"
[model.options]
embedding = 32
[sampler]
batch = 32
[[lanes]]
name = "hash"
miner = "batch-hard"
loss = "dtsh"
distance = "inner-product"
[lanes.loss_options]
alpha_stages = [1, 2, 4, 8, 16]
"""


@pytest.fixture
def staged(tmp_path) -> ExperimentConfig:
    (tmp_path / "hash.toml").write_text(TOML)
    return config.load(tmp_path / "hash.toml")


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, float]]:
    """Of every call of the loss: whether it was on the batch itself, and its alpha."""
    calls: list[tuple[bool, float]] = []
    compute = TripletHashingLoss.compute

    def watched(loss: TripletHashingLoss, batch: Batch) -> Terms:
        terms = compute(loss, batch)
        calls.append((batch.same_set, loss.margin))
        return terms

    monkeypatch.setattr(TripletHashingLoss, "compute", watched)
    return calls


def changes(experiment: ExperimentConfig) -> list[tuple[int, str]]:
    """Steps at which a run says that alpha changed, and what it is then."""
    events = list(Experiment(experiment).run())
    assert isinstance(events[-1], RunFinished) and not events[-1].failed_lanes
    return [(event.step, event.value) for event in events if isinstance(event, OptionChanged)]


def test_that_a_run_goes_through_its_stages_in_equal_shares_of_its_steps(staged: ExperimentConfig, seen: list) -> None:
    assert config.from_dict(staged.to_dict()) == staged
    assert changes(staged) == [(3, "2"), (5, "4"), (7, "8"), (9, "16")]
    assert [alpha for _, alpha in seen] == [1, 1, 2, 2, 4, 4, 8, 8, 16, 16]


def test_that_the_command_line_sets_stages_and_where_they_begin(staged: ExperimentConfig, seen: list) -> None:
    options = "lanes.hash.loss_options"
    named = config.with_settings(staged, [f"{options}.alpha_stages=[3, 12.5]", f"{options}.stage_starts=[9]"])
    assert config.from_dict(tomllib.loads(config.dump(named))) == named
    assert changes(named) == [(9, "12.5")]
    assert [alpha for _, alpha in seen] == [3.0] * 8 + [12.5] * 2


@pytest.mark.parametrize("schedule", [{"schedule": "doubling", "stage_epochs": 1}, {"alpha_stages": [1.0, 2.0]}])
def test_that_the_part_of_a_loss_over_past_embeddings_is_of_the_same_stage(
    staged: ExperimentConfig, seen: list, schedule: dict
) -> None:
    lane = staged.lanes[0].model_copy(update={"memory": 64, "loss_options": schedule})
    changes(staged.model_copy(update={"lanes": (lane,)}))
    both = [(own[1], past[1]) for own, past in itertools.pairwise(seen) if own[0] and not past[0]]
    assert len(both) > 5 and len({own for own, _ in both}) > 1
    assert all(own == past for own, past in both)


def test_that_a_stage_of_more_bits_than_there_are_is_refused_before_the_run(staged: ExperimentConfig) -> None:
    wide = config.with_settings(staged, ["lanes.hash.loss_options.alpha_stages=[1, 32, 2]"])
    (finding,) = [found for found in check(wide) if found.rule == "C20"]
    assert finding.level == "refuse" and "alpha = 32 is a margin in bits" in finding.sentence
    assert "C20" not in {found.rule for found in check(staged)}
