"""That every alarm comes of a run that deserves it, and not of the same run with the advice followed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnm_core.config import from_dict
from hnm_core.events import Alarm, RunFinished
from hnm_core.experiment import Experiment
from hnm_core.kernels import SEARCH_KERNELS
from tests.families import one_in

HARDEST = {"miner": "knn", "miner_options": {"pool": 1, "positives": "hardest"}, "hard_share": 1.0}
SMALL = {"model": {"name": "mlp", "options": {"widths": [16], "embedding": 3}}}
DEEP = {"model": {"name": "mlp", "options": {"widths": [100, 50, 25, 10], "embedding": 3}}}
BLOBS = {"data": {"name": "blobs", "options": {"points": 400, "separation": 8}}}
NOISY = {"data": {"name": "label-noise", "held_out": 0.25, "options": {"noise": 0.2}}}

SICK: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "all-hard": (HARDEST, {}),
    "all-easy": ({"loss_options": {"margin": 0.01}, "miner": "random"}, BLOBS),
    "tiny-signal": ({"miner": "none", "loss_options": {"margin": 0.01}}, BLOBS),
    "empty-miner": ({"miner": "triplet-margin", "miner_options": {"type_of_triplets": "hard"}}, BLOBS),
    "false-negatives": ({"miner": "knn", "hard_share": 1.0}, NOISY),
    "C22": ({"miner": "none", "loss": "snnl", "loss_options": {"temperature": 9000.0}}, {"steps": 5}),
    "chance": ({"miner": "none", "loss": "snnl", "loss_options": {"temperature": 9000.0}}, {"steps": 205}),
    "plateau": ({**HARDEST, "loss_options": {"margin": 0.5}}, {**DEEP, "steps": 200, "optimizer": {"lr": 0.002}}),
    "collapse": (HARDEST, {**DEEP, "steps": 80, "optimizer": {"lr": 0.01}}),
    "stale-bank": ({"miner": "knn", "refresh_every": 1000}, {**SMALL, "eval_every": 5, "optimizer": {"lr": 0.02}}),
    "starved-search": ({"miner": "lsh-buckets", "miner_options": {"bits": 24, "tables": 1}}, {"steps": 10}),
    "low-recall": ({"miner": "lsh", "miner_options": {"bits": 8, "rescore": 4}}, {"steps": 10}),
    "degenerate-buckets": ({"miner": "lsh-buckets", "miner_options": {"bits": 2, "tables": 1}}, {"steps": 10}),
}

MENDED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "all-hard": ({"hard_share": 0.5}, {}),
    "all-easy": ({"loss_options": {"margin": 50.0}}, {}),
    "tiny-signal": ({"loss_options": {"margin": 50.0}}, {}),
    "empty-miner": ({"miner_options": {"type_of_triplets": "all", "margin": 50.0}}, {}),
    "false-negatives": ({"miner": "random"}, {}),
    "C22": ({"loss_options": {}}, {}),
    "chance": ({"loss_options": {"temperature": 100.0}}, {}),
    "plateau": ({"hard_share": 0.5, "miner_options": {}, "warmup": 200}, {}),
    "collapse": ({"hard_share": 0.5, "miner_options": {}, "warmup": 80}, {"optimizer": {"lr": 0.001}}),
    "stale-bank": ({"refresh_every": 1}, {}),
    "starved-search": ({"miner_options": {"bits": 6, "tables": 8}}, {}),
    "low-recall": ({"miner_options": {"bits": 512, "rescore": 64}}, {}),
    "degenerate-buckets": ({"miner_options": {"bits": 12, "family": "affine"}}, {}),
}


def alarms(lane: dict[str, Any], fields: dict[str, Any]) -> set[str]:
    values = {
        "steps": 60,
        "eval_every": 10,
        "device": "cpu",
        "threads": 1,
        "data": {"name": "digits", "held_out": 0.25},
        "model": {"name": "identity"},
        "sampler": {"batch": 64},
    }
    *events, end = Experiment(from_dict({**values, **fields, "lanes": [{"name": "a", **lane}]})).run(frames=False)
    assert isinstance(end, RunFinished)
    return {event.code for event in events if isinstance(event, Alarm)}


@pytest.mark.parametrize("code", one_in(2, [*SICK]))
def test_that_a_run_that_deserves_it_is_told_and_one_that_is_mended_is_not(
    code: str, compile_kernels: Callable[[str], None]
) -> None:
    lane, fields = SICK[code]
    if lane["miner"].startswith("lsh"):
        compile_kernels(SEARCH_KERNELS)  # without them a search of so few items compares all, and misses none
    assert code in alarms(lane, fields)
    better, other = MENDED[code]
    assert code not in alarms({**lane, **better}, {**fields, **other})


@pytest.mark.thorough
@pytest.mark.parametrize("far", [1e4, 1.0])
def test_that_the_gradient_of_an_item_far_from_all_others_is_told(far: float, tmp_path: Path) -> None:
    source = np.random.default_rng(0)
    y = np.arange(640) % 4
    x = source.normal(size=(640, 6)) + 2 * np.eye(4, 6)[y]
    x[5] *= far
    np.savez(tmp_path / "x.npz", x=x.astype(np.float32), y=y)
    told = alarms(
        {"miner": "random", "loss": "contrastive"},
        {
            "steps": 400,
            "eval_every": 400,
            "data": {"name": "file", "held_out": 0.0, "options": {"path": str(tmp_path / "x.npz")}},
            "model": {"name": "mlp", "options": {"widths": [], "embedding": 3}},
            "optimizer": {"name": "sgd", "lr": 1e-9},
        },
    )
    assert ("exploding" in told) == (far > 1)
