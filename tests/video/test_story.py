"""What a film says the run came to: no more than the items that were measured can tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.video.story import Story
from hnm_core.recording import open_recording, record
from hnm_core.run.events import RunFinished, RunStarted, StepRecord
from hnm_core.spec.config import ExperimentConfig, LaneConfig

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
