"""Data of the user's own, dropped on the window: read, judged and fitted at once, off the GUI thread."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from PyQt6.QtCore import Qt

from app.window.main_window import MainWindow
from hnm_core.data import files
from hnm_core.run.events import RunState
from hnm_core.spec import config as configuration
from hnm_core.spec.resources import preset_path
from tests.app import runs
from tests.app.window.test_main_window import drop, press, train, wait_for

CTRL = Qt.KeyboardModifier.ControlModifier


def embeddings(path: Path, items: int = 60, width: int = 48, classes: int = 6) -> Path:
    x = np.random.default_rng(0).normal(size=(items, width)).astype(np.float32)
    np.savez(path, x=x, y=np.arange(items) % classes)
    return path


def about(window: MainWindow) -> str:
    return window.about._text.text()


def refused(qtbot, window: MainWindow, *words: str) -> None:
    """The banner says so, and the experiment is what it was."""
    qtbot.waitUntil(lambda: all(word in window.banner.text for word in words), timeout=5000)
    assert window.form.config().data.name == "blobs"


def test_that_what_was_loaded_and_chosen_is_said_and_undone(open_window, qtbot, tmp_path):
    window = open_window()
    before = window.form.config()
    drop(window, embeddings(tmp_path / "mine.npz"))
    qtbot.waitUntil(lambda: window.form.config().data.name == "file", timeout=5000)
    assert about(window).startswith("60 x 48, 6 classes. They look like embeddings")
    assert "'head', one linear layer to 48 dimensions, instead of 'mlp' to 3" in about(window)
    assert window.form.model.name == "head" and window.windowTitle() == "mine.npz - HNM Lab"
    assert window.banner.text == ""
    press(qtbot, window, Qt.Key.Key_Z, CTRL)
    assert window.form.config() == before and about(window) == "Three blobs move apart."


def test_that_a_small_table_keeps_the_network_and_a_network_of_the_users_choice_stays(open_window, qtbot, tmp_path):
    of = runs.config(model={"name": "mlp", "options": {"embedding": 20}})
    window = open_window(config=of)
    (tmp_path / "table.csv").write_text("a,b,label\n" + "\n".join(f"{n},{n * n},{n % 2}" for n in range(12)))
    for path, words in (
        (
            tmp_path / "table.csv",
            "12 x 2, 2 classes. Columns: 2 features 'a', 'b'; label 'label'. The model is still 'mlp' to 20",
        ),
        (embeddings(tmp_path / "wide.npz"), "60 x 48, 6 classes. The model is still 'mlp' to 20 dimensions"),
    ):
        drop(window, path)
        qtbot.waitUntil(lambda words=words: about(window).startswith(words), timeout=5000)
        assert window.form.config().model == of.model


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"x": np.zeros((8, 3))}, ["mine.npz", "no array 'y'"]),
        ({"x": np.zeros((8, 3)), "y": np.zeros(8, int)}, ["mine.npz"]),
        ({"x": np.full((8, 3), np.nan), "y": np.arange(8) % 2}, ["mine.npz", "'x'"]),
        ({"x": np.zeros((8, 3)), "y": np.arange(8)}, ["mine.npz"]),
    ],
)
def test_that_a_bad_file_is_refused_when_it_is_dropped_and_changes_nothing(
    open_window, qtbot, tmp_path, content, words
):
    window = open_window()
    np.savez(tmp_path / "mine.npz", **content)
    drop(window, tmp_path / "mine.npz")
    refused(qtbot, window, *words)


def test_that_a_bad_table_is_refused_by_its_line(open_window, qtbot, tmp_path):
    window = open_window()
    (tmp_path / "bad.csv").write_text("a,label\n1,x\n2,y\n3,x\nfour,y\n")
    drop(window, tmp_path / "bad.csv")
    refused(qtbot, window, "bad.csv", "line 5")


def test_that_data_that_the_lanes_cannot_do_with_are_taken_and_the_reason_is_said(open_window, qtbot, tmp_path):
    lane = {"name": "all", "miner": "triplet-margin"}  # so many triplets only where classes are few
    window = open_window(config=configuration.from_dict({"sampler": {"batch": 1000}, "lanes": [lane]}))
    drop(window, embeddings(tmp_path / "few.npz", classes=2))
    qtbot.waitUntil(lambda: window.form.config().data.name == "file", timeout=5000)
    qtbot.waitUntil(lambda: "million triplets a step" in window.banner.text, timeout=5000)


def test_that_a_folder_of_pictures_by_class_is_taken_as_one(open_window, qtbot, tmp_path):
    image = pytest.importorskip("PIL.Image")
    for kind in ("cats", "dogs"):
        (tmp_path / "photos" / kind).mkdir(parents=True)
        for number in range(3):
            image.new("RGB", (40, 30), (number * 50, 0, 0)).save(tmp_path / "photos" / kind / f"{number}.png")
    window = open_window()
    drop(window, tmp_path / "photos")
    qtbot.waitUntil(lambda: window.form.config().data.name == "images", timeout=5000)
    assert about(window).startswith("6 pictures of 32 x 32 in colour, 2 classes.")
    assert window.windowTitle() == "photos - HNM Lab"


def test_that_any_other_folder_is_told_apart_from_recordings_and_pictures(open_window, qtbot, tmp_path):
    window = open_window()
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "read.me").write_text("nothing")
    drop(window, tmp_path / "notes")
    refused(qtbot, window, "no recording", "run.json", "one for each class")


def test_that_a_long_read_leaves_the_window_alive_says_so_and_gives_way_to_what_is_dropped_later(
    open_window, qtbot, tmp_path, monkeypatch
):
    window = open_window()
    slow, go_on, build = threading.Event(), threading.Event(), files.build

    def held(options, **more):
        if "slow" in options.path:
            slow.set()
            assert go_on.wait(10)
        return build(options, **more)

    monkeypatch.setattr(files, "build", held)
    drop(window, embeddings(tmp_path / "slow.npz"))
    qtbot.waitUntil(slow.is_set, timeout=5000)
    assert window.job_line.isVisible() and "slow.npz" in window.job_line.name.toolTip()
    train(qtbot, window, rounds=5)  # the window goes on
    press(qtbot, window, Qt.Key.Key_R)
    wait_for(qtbot, window, RunState.IDLE)
    drop(window, embeddings(tmp_path / "quick.npz"))
    qtbot.waitUntil(lambda: window.form.config().title == "quick.npz", timeout=5000)
    go_on.set()
    qtbot.waitUntil(lambda: not window.jobs.busy, timeout=5000)
    assert window.form.config().title == "quick.npz"


def test_that_on_a_preset_whose_losses_need_its_network_the_network_stays(open_window, qtbot, tmp_path):
    of = configuration.load(preset_path("snnl"))
    window = open_window(config=of)
    drop(window, embeddings(tmp_path / "mine.npz"))
    qtbot.waitUntil(lambda: window.form.config().data.name == "file", timeout=5000)
    assert window.form.config().model == of.model


def test_that_vectors_and_labels_of_any_names_are_read_when_they_are_dropped_together(open_window, qtbot, tmp_path):
    window = open_window()
    np.save(tmp_path / "first.npy", np.random.default_rng(0).normal(size=(60, 48)).astype(np.float32))
    np.save(tmp_path / "second.npy", np.arange(60) % 6)
    drop(window, tmp_path / "first.npy")
    refused(qtbot, window, "holds vectors alone")
    drop(window, tmp_path / "second.npy", tmp_path / "first.npy")
    qtbot.waitUntil(lambda: window.form.config().data.name == "file", timeout=5000)
    assert about(window).startswith("60 x 48, 6 classes. Labels: 'second.npy'.")
    assert window.form.config().data.options["labels"] == str(tmp_path / "second.npy")
