"""What a film says the run came to: no more than the items that were measured can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.video.story import Story
from hnm_core.recording import open_recording, record
from hnm_core.run.events import RunFinished, RunStarted, StepRecord
from hnm_core.spec.config import DataConfig, ExperimentConfig, LaneConfig
from hnm_core.spec.registry import OVER_DOCUMENTS

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
        config = ExperimentConfig(
            steps=1, lanes=(LaneConfig(name="bm25"),), data=DataConfig(name="two-texts" + OVER_DOCUMENTS)
        )
        ids = np.arange(ITEMS)
        yield RunStarted(config, ids % 2, ids, ids > 400, ("document", "query"), items_total=total)
        yield StepRecord("bm25", 1, 0.5, metrics={"mrr_at_10": 0.2})
        yield RunFinished({"bm25": 1}, 1.0)

    list(record(events(), folder / "run"))
    return Story(open_recording(folder / "run"))


def test_that_queries_and_documents_are_called_so_and_none_is_counted_that_nobody_knows(tmp_path: Path) -> None:
    story = over_documents(tmp_path, total=9511)
    assert story.facts() == "9,511 queries and documents, 1 step each, seed 0"
    first, second, *_ = story.measured()
    assert first.endswith("one run, seed 0 · 9,511 queries and documents")
    assert second.startswith("MRR@10 on held-out queries · ")  # those that are shown are not all


def test_that_items_of_classes_are_counted_in_their_classes(tmp_path: Path) -> None:
    story = ending(tmp_path, knn=0.5)
    assert story.facts() == "449 items in 2 classes, 1 step each, seed 0"
    assert story.measured_on == "items trained on"
