"""Candidates by chance: what may come back, each equally often, none twice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hnm_core.distances import Distance
from hnm_core.negatives.anchors import Anchors, of_classes, of_judged
from hnm_core.negatives.by_chance import ChanceFinder
from hnm_core.negatives.mining import judged_set
from hnm_core.negatives.options import MineOptions

from .sets import similarities, small

LABELS = np.array([2, 0, 1, 0, 2, 1, 0, 0, 1, 2])


def of_both_kinds() -> dict[str, tuple[Anchors, list[set[int]], np.ndarray]]:
    """Ten items of classes, and five queries of nine documents: anchors, what each may get, and similarities."""
    rows = np.random.default_rng(0).standard_normal((10, 4)).astype(np.float32)
    given = small(queries=5, documents=9, dim=4, seed=3)
    judged = judged_set(given.queries, given.documents, given.positives)
    return {
        "classes": (
            of_classes(rows, LABELS),
            [set(np.flatnonzero(label != LABELS).tolist()) for label in LABELS],
            similarities(rows, rows),
        ),
        "judged": (
            of_judged(judged, MineOptions()),
            [set(range(9)) - set(positives) for positives in given.positives],
            similarities(given.queries, given.documents),
        ),
    }


@pytest.mark.parametrize("kind", ["classes", "judged"])
def test_that_all_that_may_come_back_does_so_once_and_nothing_else(kind: str) -> None:
    anchors, allowed, similarity = of_both_kinds()[kind]
    found = ChanceFinder(Distance("cosine"), 1).find(anchors, slice(0, len(allowed)), 12, all_rows=False)
    for anchor, may in enumerate(allowed):
        row = found.row[anchor].tolist()
        assert sorted(row[: len(may)]) == sorted(may)
        assert set(row[len(may) :]) == {-1}
        assert found.distance[anchor, : len(may)].numpy() == pytest.approx(
            1 - similarity[anchor, row[: len(may)]], abs=1e-6
        )
        assert torch.isinf(found.distance[anchor, len(may) :]).all()


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["classes", "judged"])
def test_that_each_is_drawn_equally_often_at_each_place(kind: str) -> None:
    anchors, allowed, _ = of_both_kinds()[kind]
    draws = 800
    rows = torch.stack(
        [
            ChanceFinder(Distance("cosine"), seed).find(anchors, slice(0, 3), 3, all_rows=False).row
            for seed in range(draws)
        ]
    )
    for anchor in range(3):
        expected = draws / len(allowed[anchor])
        for place in range(3):
            counts = torch.bincount(rows[:, anchor, place])
            assert max(abs(float(counts[row]) - expected) for row in allowed[anchor]) < 5 * expected**0.5


def test_that_an_anchor_draws_the_same_in_any_block() -> None:
    anchors, allowed, _ = of_both_kinds()["classes"]
    finder = ChanceFinder(Distance("cosine"), 7)
    whole = finder.find(anchors, slice(0, len(allowed)), 3, all_rows=False).row
    assert torch.equal(finder.find(anchors, slice(4, 9), 3, all_rows=False).row, whole[4:9])
