"""Which items t-SNE lays out, and what a frame is whose items stand elsewhere."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.picture import laid_out as module
from app.picture.laid_out import chosen_ids, is_whole, laid_out
from app.picture.scene import build_scene
from app.picture.theme import DARK
from tests.app import runs

STARTED = runs.started(runs.config("one", "two"))
FRAMES = [runs.frame("one", 4), replace(runs.frame("two", 4), separation=np.array([0.5, -0.5], np.float32))]


def test_that_few_items_are_all_laid_out():
    assert chosen_ids(STARTED, FRAMES).tolist() == STARTED.ids.tolist()


def test_that_of_many_a_part_of_every_class_is_with_what_was_mined_hardest(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MOST_ITEMS", 20)
    monkeypatch.setattr(module, "MOST_MINED", 6)
    ids = chosen_ids(STARTED, FRAMES)
    assert len(ids) == 20 and (np.diff(ids) > 0).all() and set(ids) <= set(STARTED.ids)
    # of lane "two" the triplet of separation -0.5 comes first, of lane "one", which tells none, the first
    assert {100, 103, 101, 104, 107, 102} <= set(ids)
    counts = np.bincount(STARTED.labels[np.searchsorted(STARTED.ids, ids)])
    assert (counts >= 4).all()
    assert chosen_ids(STARTED, FRAMES).tolist() == ids.tolist()


def test_that_the_other_items_are_nowhere_and_neither_are_edges_to_them():
    ids = np.array([100, 101, 104, 107, 130])
    places = np.arange(15, dtype=np.float32).reshape(5, 3)
    frame = laid_out(STARTED, FRAMES[0], ids, places, 12)
    assert frame.projection == "t-SNE of 5 of 60 items, step 12 · distances between clusters mean nothing"
    assert frame.step == FRAMES[0].step and frame.triplets is FRAMES[0].triplets
    np.testing.assert_array_equal(frame.positions[[0, 1, 4, 7, 30]], places)
    assert np.isnan(np.delete(frame.positions, [0, 1, 4, 7, 30], axis=0)).all()
    scene = build_scene(STARTED, frame, DARK)
    ends = {tuple(scene.ids[list(pair)].tolist()) for pair in scene.edges}
    assert ends == {(100, 101), (104, 107)}, "not to 103 and 102, which are not laid out"
    everywhere = build_scene(STARTED, FRAMES[0], DARK)
    assert len(everywhere.edges) == 4 and scene.edges_total == everywhere.edges_total
    whole = laid_out(STARTED, FRAMES[0], STARTED.ids, FRAMES[0].positions, 4)
    assert whole.projection.startswith("t-SNE of 60 items, step 4 ·")


@pytest.mark.parametrize(("projection", "whole"), [("", True), ("2-D output", True), ("PCA of 16-D, 93%", False)])
def test_that_a_projection_is_no_whole_embedding(projection: str, whole: bool):
    assert is_whole(replace(FRAMES[0], projection=projection)) is whole
