"""What the data of a run tell of single items."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from app.training import looking
from app.training.child import serve
from app.training.looking import MOST_SIDE, Looked, Looker, Pictured, labels_text, shrunk
from app.training.messages import Look, LookAtMany, receive, send
from app.training.process import TrainingProcess
from hnm_core import data
from hnm_core.data import downloads
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.request import Request
from hnm_core.training.retrieval_request import told_of
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
    send(asks, LookAtMany(of, (1, 2), 9))  # does not stand in for a question about one point
    answer = receive(answers)
    while isinstance(answer, Looked) and answer.item_id != 3:
        answer = receive(answers)
    assert isinstance(answer, Looked) and answer.label == Looker().look(of, 3).label
    many = receive(answers)
    assert isinstance(many, Pictured) and many.run == 9
    asks.close()
    thread.join(10)
    assert not thread.is_alive()
    for end in (commands, answers, reports):
        end.close()


@pytest.mark.thorough
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


def test_that_many_pictures_come_together_in_the_order_of_their_ids_without_those_that_are_not_there():
    dataset = data.create("digits")
    answer = Looker().pictures(config("digits"), (812, 3, 10**6, 40), 7)
    assert answer.run == 7 and answer.problem == "" and answer.item_ids.tolist() == [3, 40, 812]
    assert dataset.images is not None and answer.pictures is not None
    np.testing.assert_array_equal(answer.pictures, dataset.images[[3, 40, 812]])
    assert answer.labels.tolist() == dataset.y[[3, 40, 812]].tolist()


@pytest.mark.parametrize("shape", [(3, 150, 97), (2, 65, 65, 3), (4, 64, 10), (1, 700, 3)])
def test_that_large_pictures_are_shrunk_to_the_means_of_squares(shape):
    pictures = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    small, side = shrunk(pictures), -(-max(shape[1:3]) // MOST_SIDE)
    side = min(side, *shape[1:3])
    assert small.shape[1:3] == (shape[1] // side, shape[2] // side) and small.dtype == np.uint8
    for row in range(small.shape[1]):
        for column in range(small.shape[2]):
            square = pictures[:, row * side : (row + 1) * side, column * side : (column + 1) * side]
            np.testing.assert_array_equal(small[:, row, column], np.rint(square.mean((1, 2))))


def test_that_data_that_are_no_pictures_are_not_loaded_to_find_that_out(monkeypatch, tmp_path: Path):
    np.savez(tmp_path / "rows.npz", x=np.eye(12), y=np.arange(12) % 3)
    np.savez(tmp_path / "seen.npz", x=np.eye(12), y=np.arange(12) % 3, images=np.ones((12, 2, 2), np.uint8))
    (tmp_path / "rows.csv").write_text("label,a\nx,1\ny,2\n")

    def loaded(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the data were loaded")

    with monkeypatch.context() as patched:
        patched.setattr("hnm_core.data.build", loaded)
        without = [
            config("blobs", points=60, classes=3),
            config("label-noise", of="near-classes"),
            config("imbalanced"),
            config("file", path=str(tmp_path / "rows.npz")),
            config("file", path=str(tmp_path / "rows.csv")),
            told_of(Request(preset="code-search"))[0],
        ]
        for of in without:
            answer = Looker().pictures(of, (1, 2), 1)
            assert answer.pictures is None and answer.problem == "" and len(answer.item_ids) == 0
    for of in (config("file", path=str(tmp_path / "seen.npz")), config("label-noise", of="digits")):
        answer = Looker().pictures(of, (1, 2), 1)
        assert answer.pictures is not None and len(answer.pictures) == 2


def test_that_data_that_a_run_has_loaded_are_not_loaded_again_but_for_the_features_of_very_many(monkeypatch):
    of, dataset, looker, thrifty = config("digits"), data.create("digits"), Looker(), Looker()
    told = Looker().look(of, 5)
    looker.keep(of, dataset)
    with monkeypatch.context() as few:
        few.setattr(looking, "MOST_KEPT", dataset.x.nbytes - 1)
        thrifty.keep(of, dataset)

    def loaded(*_arguments: object, **_options: object) -> None:
        raise AssertionError("the data were loaded")

    monkeypatch.setattr("hnm_core.data.build", loaded)
    answer = looker.pictures(of, (5,), 1)
    assert answer.pictures is not None and dataset.images is not None
    np.testing.assert_array_equal(answer.pictures[0], dataset.images[5])
    assert looker.look(of, 5).neighbours == told.neighbours and thrifty.pictures(of, (5,), 1).pictures is not None
    for again in (lambda: looker.pictures(config("digits", seed=1), (5,), 1), lambda: thrifty.look(of, 5)):
        with pytest.raises(AssertionError, match="were loaded"):
            again()


def test_that_pictures_that_are_not_to_be_had_are_told_in_a_sentence(tmp_path: Path):
    np.savez(tmp_path / "own.npz", x=np.eye(12), images=np.ones((11, 2, 2), np.uint8), y=np.arange(12) % 3)
    answer = Looker().pictures(config("file", path=str(tmp_path / "own.npz")), (1,), 4)
    assert answer.run == 4 and answer.pictures is None
    assert answer.problem.startswith("The data are not to be had: ") and "own.npz" in answer.problem


def test_that_the_process_of_its_own_hands_out_every_batch_and_the_data_of_its_run(qtbot, tmp_path: Path):
    training = TrainingProcess()
    np.savez(
        tmp_path / "own.npz", x=np.eye(60), images=np.arange(960, dtype=np.uint8).reshape(60, 4, 4), y=np.arange(60) % 3
    )
    of = config("file", path=str(tmp_path / "own.npz")).model_copy(update={"steps": 1})
    got: list[Pictured] = []

    def all_there() -> bool:
        got.extend(training.pictured())
        return len(got) == 3

    try:
        assert training.pictured() == []
        training.start(of, None)
        qtbot.waitUntil(lambda: training.ready and not training.running, timeout=60_000)
        (tmp_path / "own.npz").unlink()  # the run has them
        for run, ids in ((1, (5,)), (2, (6, 7)), (2, (59, 0))):
            training.look_at_many(of, ids, run)
        training.look(of, 5)
        qtbot.waitUntil(all_there, timeout=60_000)
        assert [(one.run, one.item_ids.tolist()) for one in got] == [(1, [5]), (2, [6, 7]), (2, [0, 59])]
        assert got[0].pictures is not None and got[0].pictures[0, 0, 0] == 80
        qtbot.waitUntil(lambda: training.looked is not None, timeout=60_000)
        looked = training.looked
        assert looked is not None and looked.problem == "" and looked.row is not None and looked.row[5] == 1
    finally:
        training.close()


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes here")
def test_that_a_pipe_in_place_of_the_data_is_told_and_waited_for_by_nobody(tmp_path):
    os.mkfifo(tmp_path / "mine.npz")
    of = config("file", path=str(tmp_path / "mine.npz"))
    told = Looker().pictures(of, (1, 2), run=1)
    assert told.pictures is None and told.problem.startswith("The data are not to be had: ")


def test_that_an_item_of_several_labels_comes_with_all_of_them(tmp_path: Path):
    table = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0], [1, 0, 1]] * 3)
    np.savez(tmp_path / "tagged.npz", x=np.eye(12), y=table, class_names=np.array(["boat", "sea", "sky"]))
    of = config("file", path=str(tmp_path / "tagged.npz"))
    told = [Looker().look(of, item_id).labels for item_id in range(4)]
    assert told == [("boat", "sea"), ("sea",), (), ("boat", "sky")]
    assert [labels_text(labels) for labels in told if labels is not None] == [
        "Labels: boat, sea",
        "Label: sea",
        "It has no label.",
        "Labels: boat, sky",
    ]
    assert Looker().look(config("blobs"), 3).labels is None
