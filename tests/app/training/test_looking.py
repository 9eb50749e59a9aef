"""What the data of a run tell of single items."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from app.training.child import serve
from app.training.looking import Looked, Looker
from app.training.messages import Look, receive, send
from app.training.process import TrainingProcess
from hnm_core import data
from hnm_core.data import downloads
from hnm_core.spec.config import ExperimentConfig
from tests.app import runs


def config(name: str, seed: int = 0, **options: object) -> ExperimentConfig:
    return runs.config(data={"name": name, "options": options}, seed=seed)


@pytest.mark.parametrize("item_id", [0, 17, 119])
def test_that_the_nearest_in_the_data_are_those_that_a_search_through_all_finds(item_id):
    of = config("blobs", seed=5, points=120, classes=4)
    looked, dataset = Looker().look(of, item_id), data.create("blobs", seed=5, points=120, classes=4)
    away = np.linalg.norm(dataset.x.astype(float) - dataset.x[item_id], axis=1)
    away[item_id] = np.inf
    order = np.argsort(away)[: len(looked.neighbours)]
    assert [one.item_id for one in looked.neighbours] == dataset.ids[order].tolist() and len(order) == 6
    np.testing.assert_allclose([one.distance for one in looked.neighbours], away[order])
    assert [one.label for one in looked.neighbours] == dataset.y[order].tolist()
    assert looked.label == dataset.y[item_id] and looked.picture is None and looked.problem == ""
    np.testing.assert_array_equal(looked.row, dataset.x[item_id])


def test_that_an_item_of_pictures_comes_with_its_picture_also_of_another_set(tmp_path: Path):
    looker, dataset = Looker(), data.create("digits")
    looked = looker.look(config("digits"), 812)
    assert dataset.images is not None and looked.picture is not None
    np.testing.assert_array_equal(looked.picture, dataset.images[812])
    images = np.random.default_rng(0).integers(0, 255, (12, 4, 5, 3), np.uint8)
    np.savez(tmp_path / "own.npz", x=np.eye(12), images=images, y=np.arange(12) % 3)
    other = looker.look(config("file", path=str(tmp_path / "own.npz")), 7)
    assert other.problem == "" and other.picture is not None
    np.testing.assert_array_equal(other.picture, images[7])


def test_that_what_cannot_be_looked_up_is_told_in_a_sentence(tmp_path: Path):
    assert Looker().look(config("blobs"), 10**6).problem == "The data hold no item 1000000."
    gone = Looker().look(config("file", path=str(tmp_path / "gone.npz")), 1)
    assert gone.problem.startswith("The data are not to be had: ") and "gone.npz" in gone.problem


def test_that_nothing_is_fetched_to_look_at_a_point(monkeypatch, tmp_path: Path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def fetched(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr("urllib.request.urlopen", fetched)
    looked = Looker().look(config("kmnist"), 1)
    assert looked.problem == "The data are not on this machine, and are not fetched to look at a point."
    assert downloads.__name__ == "hnm_core.data.downloads"


def test_that_the_training_process_answers_the_last_question_and_ends():
    asked_end, ask_end = os.pipe()
    answered_end, answer_end = os.pipe()
    commands, asks = os.fdopen(asked_end, "rb"), os.fdopen(ask_end, "wb")
    answers, reports = os.fdopen(answered_end, "rb"), os.fdopen(answer_end, "wb")
    thread = threading.Thread(target=serve, args=(commands, reports))
    thread.start()
    of = config("blobs", points=60, classes=3)
    for item_id in (1, 2, 3):
        send(asks, Look(of, item_id))
    answer = receive(answers)
    while isinstance(answer, Looked) and answer.item_id != 3:
        answer = receive(answers)
    assert isinstance(answer, Looked) and answer.label == Looker().look(of, 3).label
    asks.close()
    thread.join(10)
    assert not thread.is_alive()
    for end in (commands, answers, reports):
        end.close()


def test_that_the_process_of_its_own_answers_without_a_run(qtbot):
    training = TrainingProcess()
    try:
        assert training.looked is None
        training.look(config("digits"), 100)
        qtbot.waitUntil(lambda: training.looked is not None, timeout=60_000)
        looked = training.looked
        assert looked is not None and looked.item_id == 100 and looked.picture is not None
        assert looked.picture.shape == (8, 8)
    finally:
        training.close()
