"""Clouds that were thinned to keep up, once nothing moves any more."""

from __future__ import annotations

import numpy as np
import pytest
from PyQt6.QtTest import QTest

from app.picture.theme import DARK
from app.stage.panes import PaneGrid
from hnm_core.run.events import Frame, RunStarted
from hnm_core.spec.config import from_dict

POINTS = 4000


@pytest.mark.thorough
def test_that_thinned_clouds_come_to_rest_in_full_though_their_captions_and_so_their_cameras_change(
    qtbot, raster_kernels
):
    grid = PaneGrid(DARK)
    qtbot.addWidget(grid)
    grid.resize(900, 500)
    lanes = from_dict({"lanes": [{"name": "a"}, {"name": "b"}]})
    labels = np.arange(POINTS) % 3
    grid.begin(RunStarted(lanes, labels, np.arange(POINTS), np.zeros(POINTS, np.bool_), tuple("xyz")))
    grid.show()
    qtbot.waitExposed(grid)
    for view in grid.views:
        view.paint_budget_ms = 0.0
    positions = np.random.default_rng(0).normal(size=(POINTS, 3)).astype(np.float32)
    for lane in "ab":
        grid.show_frame(Frame(lane, 1, positions, np.array([[1, 4, 2]], np.int32), 1))
    for _ in range(40):
        grid.advance(0.03, orbiting=True)
        QTest.qWait(35)
    assert all("of the unmined points drawn" in view.caption for view in grid.views)

    def rests() -> bool:
        grid.advance(0.03, orbiting=False)
        return all("all points drawn" in view.caption for view in grid.views)

    qtbot.waitUntil(rests, timeout=15_000)
    QTest.qWait(300)
    paints = [view.paint_count for view in grid.views]
    for _ in range(20):
        grid.advance(0.03, orbiting=False)
        QTest.qWait(35)
    assert [view.paint_count for view in grid.views] == paints
    assert all(view.picture().points_in_view > 0.98 * POINTS for view in grid.views)
    grid.show_lanes(("a", "b"), "")
    assert [view.caption for view in grid.views] == ["", ""]
