"""Runs on items with several labels each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hnm_core import data
from hnm_core.config import ExperimentConfig
from hnm_core.errors import InputError
from hnm_core.events import Frame, RunFinished, RunStarted, StepRecord
from hnm_core.experiment import Experiment
from hnm_core.recording import open_recording, record
from hnm_core.spec.registry import DATASETS
from hnm_core.studies.embedding import embed_data
from hnm_core.studies.evaluating import evaluate_run
from hnm_core.training.setup import prepare

SOURCE = np.random.default_rng(3)
CENTERS = 2 * SOURCE.standard_normal((8, 12))
TABLE = SOURCE.random((500, 8)) < 0.18
X = (TABLE @ CENTERS + 1.5 * SOURCE.standard_normal((500, 12))).astype(np.float32)
NAMES = np.array([f"tag {label}" for label in range(8)])
SHARED = (TABLE.astype(int) @ TABLE.T.astype(int)) > 0


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    np.savez(tmp_path / "tagged.npz", x=X, y=TABLE, class_names=NAMES)
    return tmp_path / "tagged.npz"


def lanes_of(path: Path, *lanes: dict[str, object], **more: object) -> ExperimentConfig:
    return ExperimentConfig.model_validate(
        {
            "data": {"name": "file", "options": {"path": str(path)}},
            "model": {"name": "mlp", "options": {"embedding": 8}},
            "steps": 60,
            "eval_every": 30,
            "frame_every": 30,
            "lanes": list(lanes),
        }
        | more
    )


def test_that_lanes_learn_from_who_shares_a_label_and_are_recorded(tagged: Path, tmp_path: Path) -> None:
    miners = ("random", "knn", "lsh", "lsh-buckets", "routed")
    lanes = [{"name": name, "miner": name, "loss": "triplet-margin", "refresh_every": 20} for name in miners]
    # the nearest of all at once is what collapses untrained networks
    experiment = Experiment(lanes_of(tagged, *lanes, optimizer={"lr": 1e-3}, steps=120))
    events = list(record(experiment.run(), tmp_path / "run"))
    assert isinstance(events[-1], RunFinished)
    started = next(event for event in events if isinstance(event, RunStarted))
    assert started.class_names == (*NAMES, "(no label)")
    assert started.evaluated is not None
    assert started.evaluated.shares
    assert 0.2 < started.chance["precision_at_1"] < 0.8
    for name in miners:
        steps = [event for event in events if isinstance(event, StepRecord) and event.lane == name]
        measured = [event.metrics for event in steps if "map_at_r" in event.metrics]
        assert measured
        assert "knn_accuracy" not in measured[-1]
        if name == "random":
            assert measured[-1]["map_at_r"] > started.chance["map_at_r"] + 0.1
    edges = 0
    for frame in (event for event in events if isinstance(event, Frame)):
        anchor, positive, negative = frame.triplets.T
        assert SHARED[anchor, positive].all()
        assert not SHARED[anchor, negative].any()
        edges += len(anchor)
    assert edges > 1_000
    assert open_recording(tmp_path / "run").started.evaluated == started.evaluated
    table, words = evaluate_run(str(tmp_path / "run"), 5, False, lambda _text: None)
    last = [event.metrics for event in events if isinstance(event, StepRecord) and event.lane == "random"][-1]
    assert table["random"]["map_at_r"] == pytest.approx(last["map_at_r"], abs=1e-6)
    assert "Relevant is what shares a label" in words


@pytest.mark.parametrize(
    ("lane", "more", "words"),
    [
        ({"miner": "BatchHardMiner", "loss": "triplet-margin"}, {}, "compares classes inside a batch"),
        ({"miner": "knn", "loss": "n-pairs", "distance": "cosine"}, {}, "'n-pairs' is made for one class"),
        ({"miner": "none", "loss": "ProxyAnchorLoss", "distance": "cosine"}, {}, "is made for one class"),
        ({"miner": "none", "loss": "TripletMarginLoss"}, {}, "'TripletMarginLoss' is made for one class"),
        ({"miner": "none", "loss": "snnl", "loss_options": {"primary": "cross-entropy"}}, {}, "'snnl' is made for one"),
        (
            {"miner": "knn", "loss": "triplet-margin"},
            {"sampler": {"name": "neighbours", "options": {}}},
            "'neighbours' goes by classes",
        ),
        ({"miner": "knn", "loss": "triplet-margin"}, {"data": {"split": "classes"}}, "cannot be split by classes"),
    ],
)
def test_that_what_needs_one_class_an_item_is_refused_in_a_sentence(
    tagged: Path, lane: dict[str, object], more: dict[str, object], words: str
) -> None:
    asked = lanes_of(tagged, {"name": "a", **lane}).model_dump()
    for section, values in more.items():
        asked[section] = asked[section] | values if section == "data" else values
    with pytest.raises(InputError, match=words):
        prepare(ExperimentConfig.model_validate(asked))


def test_that_what_is_embedded_keeps_all_labels_of_each_item(tagged: Path, tmp_path: Path) -> None:
    lane = {"name": "a", "miner": "random", "loss": "triplet-margin"}
    list(record(Experiment(lanes_of(tagged, lane, steps=2)).run(), tmp_path / "run"))
    assert embed_data(str(tmp_path / "run"), None, None, tmp_path / "out.npz", None) == (500, 8)
    with np.load(tmp_path / "out.npz") as written:
        assert np.array_equal(written["y"], TABLE)
        assert np.array_equal(written["class_names"], NAMES)
    again = data.build(DATASETS.part("file", {"path": str(tmp_path / "out.npz")}), several=True)
    assert again.several is not None
    assert np.array_equal(again.several.table(), TABLE)


@pytest.mark.parametrize("sampler", ["balanced", "random"])
def test_that_losses_and_miners_inside_the_batch_learn_from_who_shares_a_label(
    tagged: Path, tmp_path: Path, sampler: str
) -> None:
    lanes = [
        {"name": "semi", "miner": "semihard-negative", "loss": "TripletMarginLoss"},
        {"name": "memory", "miner": "batch-hard", "loss": "triplet-margin", "memory": 256},
        {"name": "all", "miner": "none", "loss": "sup-con", "distance": "cosine"},
        {"name": "pairs", "miner": "knn", "loss": "contrastive"},
    ]
    options = {"classes": 6, "per_class": 8} if sampler == "balanced" else {}
    chosen = {"name": sampler, "options": options, "batch": 48}
    asked = lanes_of(tagged, *lanes, steps=100, eval_every=100, optimizer={"lr": 1e-3}, sampler=chosen)
    events = list(record(Experiment(asked).run(), tmp_path / "run"))
    assert isinstance(events[-1], RunFinished)
    started = next(event for event in events if isinstance(event, RunStarted))
    for lane in lanes:
        steps = [event for event in events if isinstance(event, StepRecord) and event.lane == lane["name"]]
        assert steps[-1].step == 100
        assert steps[-1].metrics["map_at_r"] > started.chance["map_at_r"] + 0.05
    frames = [event for event in events if isinstance(event, Frame) and event.lane != "all"]
    assert sum(len(frame.triplets) for frame in frames) > 1_000
    for frame in frames:
        anchor, positive, negative = frame.triplets.T
        assert SHARED[anchor, positive].all()
        assert not SHARED[anchor, negative].any()
