"""Which points have pictures beside them, and where these stand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.picture.camera import Camera
from app.picture.edges import HARD, SEMI_HARD
from app.picture.scene import build_scene
from app.picture.theme import DARK
from app.picture.thumbnails import COME, MOST, STAY, hardest_ends, placed, roomy, side_px
from tests.app.picture.test_edges import frame, started

SIZE = (500.0, 420.0)


def boxes(found, height: float = SIZE[1]) -> np.ndarray:
    side = side_px(height)
    return np.array([(one.left, one.top, one.left + side, one.top + side) for one in found])


def test_that_pictures_overlap_neither_each_other_nor_labels_and_stay_inside():
    rng = np.random.default_rng(1)
    taken = [(0.0, 0.0, 260.0, 70.0), (0.0, 390.0, 300.0, 30.0)]
    for seed in range(20):
        xy = rng.uniform(-40, 540, (120, 2)) if seed % 2 else rng.normal(250, 60, (120, 2))
        xy[3] = np.nan
        found = placed(list(range(120)), xy, *SIZE, taken)
        assert 3 <= len(found) <= MOST
        held = boxes(found)
        assert (held >= 0).all() and (held[:, 2] <= SIZE[0]).all() and (held[:, 3] <= SIZE[1]).all()
        blocks = [*held.tolist(), *((left, top, left + wide, top + high) for left, top, wide, high in taken)]
        for place, one in enumerate(blocks[: len(held)]):
            for other in blocks[place + 1 :]:
                assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        for one in found:
            assert (one.x, one.y) == tuple(xy[one.item_id])
            assert np.hypot(one.x - one.left, one.y - one.top) < 2.5 * side_px(SIZE[1]), "beside its point"


def test_that_the_most_important_have_their_places_first():
    crowd = np.full((10, 2), 200.0)
    found = placed(list(range(70, 80)), crowd, *SIZE)
    assert [one.item_id for one in found] == list(range(70, 70 + len(found))) and len(found) < 10


def test_that_a_picture_keeps_its_side_while_points_move_a_little():
    rng = np.random.default_rng(2)
    xy = rng.uniform(60, 360, (25, 2))
    ids = list(range(25))
    before, moved, changes, lost = {}, xy.copy(), 0, 0
    first = placed(ids, moved, *SIZE)
    before = {one.item_id: one.side for one in first}
    fresh_changes = 0
    for _ in range(60):
        moved = moved + rng.normal(0, 0.7, moved.shape)
        found = placed(ids, moved, *SIZE, (), before)
        now = {one.item_id: one.side for one in found}
        changes += sum(now[item] != side for item, side in before.items() if item in now)
        lost += len(before.keys() - now.keys())
        without = {one.item_id: one.side for one in placed(ids, moved, *SIZE)}
        fresh_changes += sum(without.get(item) != side for item, side in before.items())
        before = now
    assert changes + lost <= 12, "far fewer than one a frame"
    assert fresh_changes > 4 * (changes + lost), "without memory they would jump about"


def test_that_points_apart_have_room_and_those_in_a_crowd_have_none():
    run, told = started(), frame()
    positions = np.random.default_rng(0).normal(0, 0.004, (400, 3)).astype(np.float32)
    apart = [3, 50, 111]
    positions[apart] = [(1, 0, 0), (0, 1, 0), (0, 0, 1)]
    scene = build_scene(run, told, DARK)
    scene = replace(scene, positions=positions)
    camera = Camera(distance=6.0)
    found = roomy(scene, camera, *SIZE, ())
    assert sorted(found) == sorted(scene.ids[apart].tolist())
    hidden = replace(scene, radii=np.where(np.arange(400) == 50, 0, scene.radii))
    assert scene.ids[50] not in roomy(hidden, camera, *SIZE, ())


def test_that_a_picture_needs_less_room_to_stay_than_to_come():
    run, told = started(), frame()
    scene = build_scene(run, told, DARK)
    for others in range(STAY + 3):
        positions = np.full((400, 3), 1e6, np.float32)
        positions[: others + 1] = 0.0
        crowd = replace(scene, positions=positions)
        camera = Camera(distance=10.0)
        own = int(scene.ids[0])
        assert (own in roomy(crowd, camera, *SIZE, ())) is (others <= COME)
        assert (own in roomy(crowd, camera, *SIZE, (own,))) is (others <= STAY)


@pytest.mark.parametrize("most", [1, 4, 1000])
def test_that_the_hardest_drawn_edges_are_those_that_a_loop_finds(most):
    run, told = started(), frame()
    scene = build_scene(run, told, DARK, max_edges=120)
    drawn = {
        tuple(scene.ids[edge].tolist())
        for edge, kind in zip(scene.edges, scene.edge_kinds, strict=True)
        if kind in (SEMI_HARD, HARD)
    }
    edges, expected = [], []
    for separation, (anchor, _, negative) in sorted(
        zip(told.separation.tolist(), told.triplets.tolist(), strict=True), key=lambda pair: pair[0]
    ):
        if (anchor, negative) in drawn and (anchor, negative) not in edges and len(edges) < most:
            assert separation <= told.hardness.margin
            edges.append((anchor, negative))
            expected += [item for item in (anchor, negative) if item not in expected]
    assert hardest_ends(scene, told, most) == expected and len(expected) > 1
    easy = build_scene(run, told, DARK, show_edges=("easy", "positive"))
    assert hardest_ends(easy, told, most) == []
