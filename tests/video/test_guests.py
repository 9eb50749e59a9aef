"""Films of sets too large to show: guests come and go with the edges that lead to them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from app.picture.theme import DARK
from app.video.film import Film
from hnm_core.recording import open_recording, record
from hnm_core.run.events import Frame, Guests, RunFinished, frozen
from tests.recording import made_up


def guest_frame(step: int, ids: list[int], where: list[float]) -> Frame:
    plain = made_up.frame(np.random.default_rng(step), "knn", 2)
    guests = Guests(
        np.array(ids),
        np.zeros(len(ids), np.int64),
        frozen(np.repeat(np.array(where, np.float32)[:, None], 3, 1)),
        {name: np.zeros(len(ids), np.float32) for name in plain.columns},
        groups=np.zeros(len(ids), np.int64),
        true_labels=np.ones(len(ids), np.int64),
    )
    triplets = frozen(np.array([[0, ids[0], ids[1]]], np.int32))
    return Frame("knn", step, plain.positions, triplets, 1, plain.columns, "PCA of 8-D, 90%", guests)


@pytest.fixture
def film(tmp_path: Path) -> Film:
    frames = [guest_frame(10, [1, 4], [100.0, 200.0]), guest_frame(20, [4, 7], [400.0, 700.0])]
    list(record([made_up.started(lanes=("knn",)), *frames, RunFinished({"knn": 20}, 1.0)], tmp_path / "run"))
    return Film(open_recording(tmp_path / "run"), "knn", DARK, edge_steps=1.0)


@pytest.mark.parametrize("share", [0.0, 0.25, 0.75])
def test_that_guests_shrink_away_and_those_of_both_frames_move_on_a_line(film: Film, share: float) -> None:
    scene = film.at(10 + 10 * share)
    assert scene.ids[60:].tolist() == [1, 4, 7] and scene.guests == 3
    np.testing.assert_allclose(scene.radii[60:], [1 - share, 1, share], rtol=1e-6)
    assert scene.positions[61, 0] == pytest.approx(200 + 200 * share)
    assert scene.positions[60, 0] == 100 and (share == 0 or scene.positions[62, 0] == 700)
    ends = {tuple(edge) for edge in scene.ids[scene.edges].tolist()}
    assert ends == ({(0, 1), (0, 4)} if share == 0 else {(0, 1), (0, 4), (0, 7)})


def test_that_the_last_frame_has_its_own_guests_only(film: Film) -> None:
    scene = film.at(20)
    assert scene.ids[60:][scene.radii[60:] > 0].tolist() == [4, 7]


def test_that_the_corner_says_how_many_items_are_shown(film: Film) -> None:
    assert film.note(15) == "60 of 600 items shown · PCA of 8-D, 90%"
