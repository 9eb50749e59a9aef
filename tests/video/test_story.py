"""What a film says the run came to: no more than the items that were measured can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.video.story import Story
from hnm_core.recording import open_recording, record
from hnm_core.run.evaluated import Evaluated
from hnm_core.run.events import RunFinished, RunStarted, StepRecord
from hnm_core.spec.config import ExperimentConfig, LaneConfig
from hnm_core.training.retrieval_config import RetrievalConfig, told_as

ITEMS = 449


def ending(folder: Path, **values: float) -> Story:
    """A run whose lanes end with these MAP@R."""

    def events():
        config = ExperimentConfig(steps=1, lanes=tuple(LaneConfig(name=name) for name in values))
        ids = np.arange(ITEMS)
        yield RunStarted(config, ids % 2, ids, np.zeros(ITEMS, bool), ("a", "b"), items_total=ITEMS)
        for name, value in values.items():
            yield StepRecord(name, 1, 0.5, metrics={"map_at_r": value})
        yield RunFinished(dict.fromkeys(values, 1), 1.0)

    list(record(events(), folder / "run"))
    return Story(open_recording(folder / "run"))


@pytest.mark.parametrize(
    ("values", "title"),
    [
        ({"random": 0.75, "knn": 0.93, "lsh": 0.92}, "knn and lsh end level, ahead of random"),
        ({"random": 0.88, "knn": 0.921, "lsh": 0.884}, "knn ends ahead of random, not clearly of lsh"),
        ({"random": 0.75, "knn": 0.93}, "knn wins: MAP@R 0.93"),
        ({"random": 0.92, "knn": 0.93}, "No lane is clearly better"),
    ],
)
def test_that_lanes_are_called_level_or_ahead_only_where_the_measured_items_tell_them_so(tmp_path, values, title):
    found = ending(tmp_path, **values).finding()
    assert found is not None and found.title == title


def over_documents(folder: Path, total: int) -> Story:
    """A run over queries and documents, of `total` of which some are shown."""

    def events():
        config = told_as(RetrievalConfig(), "little")
        (lane,) = [lane.name for lane in config.lanes]
        ids = np.arange(ITEMS)
        yield RunStarted(config, ids % 2, ids, ids > 400, ("document", "query"), items_total=total)
        yield StepRecord(lane, 1, 0.5, metrics={"mrr_at_10": 0.2})
        yield RunFinished({lane: 1}, 1.0)

    list(record(events(), folder / "run"))
    return Story(open_recording(folder / "run"))


def test_that_queries_and_documents_are_called_so_and_none_is_counted_that_nobody_knows(tmp_path: Path) -> None:
    story = over_documents(tmp_path, total=9511)
    assert story.facts() == "9,511 queries and documents, 449 of them shown, 1 step each, seed 0"
    first, second, *_ = story.measured()
    assert first.endswith("one run, seed 0 · 9,511 queries and documents, 449 of them shown")
    assert second.startswith("MRR@10 on held-out queries · ")  # those that are shown are not all


def test_that_items_of_classes_are_counted_in_their_classes(tmp_path: Path) -> None:
    story = ending(tmp_path, knn=0.5)
    assert story.facts() == "449 items in 2 classes, 1 step each, seed 0"
    assert story.measured_on == "items trained on"


@pytest.mark.parametrize(("longer", "best", "said"), [
    (20, 0.93, "By step 10: knn leads: MAP@R 0.93"), (10, 0.93, "knn wins: MAP@R 0.93"),
    (20, 0.76, "By step 10: No lane is clearly better"),
])  # fmt: skip
def test_that_lanes_of_unequal_length_are_said_to_be_compared_where_the_shortest_ends(
    tmp_path: Path, longer: int, best: float, said: str
) -> None:
    def events():
        config = ExperimentConfig(steps=20, lanes=tuple(LaneConfig(name=name) for name in ("random", "knn")))
        ids = np.arange(ITEMS)
        yield RunStarted(config, ids % 2, ids, ids < 400, ("a", "b"), items_total=ITEMS)
        for step in (10, 20):
            for name, value in (("random", 0.75 + (step > 10) / 5), ("knn", best)):
                if step <= (longer if name == "random" else 10):
                    yield StepRecord(name, step, 0.5, metrics={"map_at_r": value})
        yield RunFinished({"random": longer, "knn": 10}, 1.0)

    list(record(events(), tmp_path / "run"))
    story = Story(open_recording(tmp_path / "run"))
    finding = story.finding()
    assert finding is not None and finding.title == said
    steps = "up to 20 steps" if longer == 20 else "10 steps each"
    assert story.facts() == f"449 items in 2 classes, {steps}, seed 0"
    assert story.measured()[1].startswith(f"MAP@R on 400 held-out items{' by step 10' if longer == 20 else ''} · ")


def test_that_items_that_are_not_shown_are_told_on_the_first_card_and_the_last(tmp_path: Path) -> None:
    story = over_documents(tmp_path, 9_511)
    assert story.facts().startswith("9,511 queries and documents, 449 of them shown, ")
    assert "9,511 queries and documents, 449 of them shown" in story.measured()[0]
    (tmp_path / "all").mkdir()
    assert "shown" not in over_documents(tmp_path / "all", ITEMS).facts()


def test_that_a_lane_that_takes_what_the_batch_has_is_the_one_without_mining(tmp_path: Path) -> None:
    def events():
        lanes = [{"name": "plain"}, {"name": "mined", "negatives": "knn"}, {"name": "worst", "negatives": "lsh"}]
        config = told_as(RetrievalConfig.model_validate({"lanes": lanes}), "little")
        ids = np.arange(ITEMS)
        yield RunStarted(config, ids % 2, ids, ids > 400, ("document", "query"), items_total=ITEMS)
        for name, value in (("plain", 0.3), ("mined", 0.5), ("worst", 0.1)):
            yield StepRecord(name, 1, 0.5, metrics={"mrr_at_10": value})
        yield RunFinished(dict.fromkeys(("plain", "mined", "worst"), 1), 1.0)

    list(record(events(), tmp_path / "run"))
    story = Story(open_recording(tmp_path / "run"))
    assert story.pair() == ("plain", "mined") and story.best_miner() == "mined"


def test_that_items_with_several_labels_are_not_said_to_be_in_classes(tmp_path: Path) -> None:
    def events():
        config, ids = ExperimentConfig(steps=1, lanes=(LaneConfig(name="knn"),)), np.arange(ITEMS)
        names = ("sea", "sky", "boat", "(no label)")
        yield RunStarted(
            config,
            ids % 2,
            ids,
            ids < 100,
            names,
            items_total=ITEMS,
            evaluated=Evaluated(100, 100, 100, 0, shares=True),
        )
        yield StepRecord("knn", 1, 0.5, metrics={"map_at_r": 0.5})
        yield RunFinished({"knn": 1}, 1.0)

    list(record(events(), tmp_path / "run"))
    assert Story(open_recording(tmp_path / "run")).facts() == "449 items with 3 labels, 1 step each, seed 0"
