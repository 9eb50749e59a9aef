"""What the panes say and name of a set too large to show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.picture.theme import DARK
from app.stage.panes import PaneGrid
from hnm_core.run.shown import item_of
from tests.recording import made_up


@pytest.mark.usefixtures("raster_kernels")
def test_that_the_pane_of_a_large_set_says_how_many_are_shown_and_names_its_guests(qtbot) -> None:
    rng = np.random.default_rng(0)
    start = made_up.started(lanes=("knn",))
    cloud = made_up.with_guests(rng, made_up.frame(rng, "knn", 2))
    grid = PaneGrid(DARK)
    qtbot.addWidget(grid)
    grid.resize(700, 500)
    grid.begin(start)
    grid.show_frame(cloud)
    grid.advance(0.1, orbiting=False)
    view = grid.view("knn")
    qtbot.waitUntil(lambda: view.scene is not None, timeout=3000)
    assert "60 of 600 items shown" in view.caption.replace("\n", " ")
    assert cloud.guests is not None and view.scene.guests == len(cloud.guests.ids)
    guest = int(cloud.guests.ids[0])
    assert item_of(start, grid.frames, guest) == (guest % 5, False)
    grid.begin(replace(start, items_total=60))
    grid.show_frame(replace(cloud, step=3))
    grid.advance(0.1, orbiting=False)
    assert "items shown" not in view.caption
