"""Queries and documents in the window: dropped, opened or chosen, trained, and looked at."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QDockWidget

from app.offers import offer
from app.panels.tune_dialog import TuneDialog
from app.training import seeds
from app.training.run import experiment
from app.views.misses_view import ROW
from app.window.main_window import MainWindow
from hnm_core import kernels
from hnm_core.recording import open_recording
from hnm_core.run.events import RunState
from hnm_core.run.item_texts import in_sight
from hnm_core.spec.config import read_toml
from hnm_core.spec.registry import is_over_documents
from hnm_core.spec.request import Request
from hnm_core.training.retrieval_config import asked_as, retrieval_config, told_as
from hnm_core.training.retrieval_request import told_of
from tests.app.window.test_main_window import drop, press

LITTLE = """
steps = 6
batch = 8
eval_every = 2
frame_every = 2
[retrieval]
source = "{source}"
[towers]
rows = 512
width = 8
embedding = 8
[[lanes]]
name = "in-batch"
[[lanes]]
name = "drawn"
negatives = "random"
options = {{ negatives = 2 }}
"""


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.jsonl"
    lines = [json.dumps({"query": f"what is number {n}", "positive": f"{n}\nfollows {n - 1}"}) for n in range(40)]
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def beir(tmp_path: Path) -> Path:
    folder = tmp_path / "beir"
    (folder / "qrels").mkdir(parents=True)
    for name, letter in (("queries", "q"), ("corpus", "d")):
        lines = [json.dumps({"_id": f"{letter}{n}", "text": f"{letter} number {n}"}) for n in range(40)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    judged = "".join(f"q{n}\td{n}\t1\n" for n in range(40))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    return folder


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("query,positive\n" + "".join(f"what is number {n},{n} follows {n - 1}\n" for n in range(40)))
    return path


@pytest.fixture
def parquet(tmp_path: Path) -> Path:
    path = tmp_path / "table.parquet"
    texts = {"anchor": [f"what is number {n}" for n in range(40)], "positive": [f"{n} follows" for n in range(40)]}
    pyarrow.parquet.write_table(pa.table(texts), path)
    return path


@pytest.fixture
def little(tmp_path: Path, pairs: Path) -> Path:
    path = tmp_path / "little.toml"
    path.write_text(LITTLE.format(source=pairs))
    return path


def over_documents(window: MainWindow) -> bool:
    return is_over_documents(window.form.config().data.name)


def test_that_what_a_drop_will_do_is_said_before(pairs: Path, beir: Path, table: Path, parquet: Path, little: Path):
    for path in (pairs, beir, table, parquet):
        offered = offer([path], running=False)
        assert offered.text == f"Drop to train on the queries and documents of '{path.name}'"
        assert offered.kind == "documents"
        assert not offer([path], running=True).accepted
    assert offer([little], running=False).text == "Drop to open the configuration 'little.toml'"
    little.write_text(little.read_text().replace("batch", "bathc"))
    assert "bathc" in offer([little], running=False).text


def test_that_a_configuration_is_opened_trained_recorded_and_looked_at(open_window, qtbot, little, tmp_path):
    window = open_window(source=experiment)
    drop(window, little)
    assert over_documents(window) and not window.form.fields.isVisible()
    assert [card.details.summary.text() for card in window.form.documents.lanes.cards] == [
        "all at their defaults",
        "negatives 2",
    ]
    press(qtbot, window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.bridge.state is RunState.FINISHED, timeout=60_000)
    assert window.stage.panes.lanes == ["in-batch", "drawn"]
    history = window.stage.history
    assert history.lane("drawn").latest("mrr_at_10") > 0
    assert window.outcome.isVisible() and not window.outcome.go_on.isEnabled() and window.outcome.seeds.isEnabled()
    assert "keep no checkpoints" in window.outcome.go_on.toolTip()
    for key, words in ((Qt.Key.Key_G, "keep no checkpoints"), (Qt.Key.Key_N, "neither changed nor forked")):
        press(qtbot, window, key)
        assert words in window.banner.text
    window.actions_by_key["tune"].trigger()
    dialog = next(each for each in window.findChildren(TuneDialog) if each.isVisible())
    assert "scored by MRR@10" in dialog.rule.text() and dialog.options.toPlainText() == "optimizer.lr=1e-4..1e-2"
    dialog.reject()
    inspecting = window.stage.inspecting
    inspecting.view.line.setText("number 17")
    inspecting.view.line.returnPressed.emit()
    qtbot.waitUntil(lambda: inspecting.view.title.text() == "Query 17", timeout=5_000)
    assert inspecting.view.about.text().startswith("what is number 17\n")
    assert window.stage.panes.keys.classes.names == ("document", "query")
    started = open_recording(window.stage.folder).started
    document = next(item for item, told in started.texts.items() if told.text == "17\nfollows 16")
    window.stage._name_point(document)
    assert "document 17 · 17↵follows 16" in window.stage._figures.text("point")


@pytest.mark.parametrize(
    "which", ["pairs", "beir", *[pytest.param(kind, marks=pytest.mark.thorough) for kind in ("table", "parquet")]]
)
def test_that_dropped_queries_and_documents_are_read_told_and_ready(open_window, qtbot, request, which):
    window, path = open_window(source=experiment), request.getfixturevalue(which)
    before = window.form.config()
    drop(window, path)
    qtbot.waitUntil(lambda: over_documents(window), timeout=10_000)
    assert "40 queries, 40 documents" in window.about._text.text()
    assert window.windowTitle() == f"{path.name} - HNM Lab"
    assert asked_as(window.form.config()).retrieval.source == str(path)
    assert window.form.refusal() == ""
    press(qtbot, window, Qt.Key.Key_Z, Qt.KeyboardModifier.ControlModifier)
    assert window.form.config() == before and window.form.fields.isVisibleTo(window.form)


def test_that_embeddings_without_texts_are_refused_with_what_is_needed(open_window, qtbot, tmp_path):
    import numpy as np

    folder = tmp_path / "vectors"
    folder.mkdir()
    for name in ("queries", "documents"):
        np.save(folder / f"{name}.npy", np.eye(4, dtype=np.float32))
    (folder / "qrels.tsv").write_text("".join(f"{n}\t{n}\t1\n" for n in range(4)))
    window = open_window(source=experiment)
    drop(window, folder)
    qtbot.waitUntil(lambda: "text" in window.banner.text, timeout=10_000)
    assert not over_documents(window)


def test_that_the_preset_is_chosen_by_its_name(open_window):
    window = open_window(source=experiment)
    names = [window.controls.preset.itemData(place) for place in range(window.controls.preset.count())]
    assert "code-search" in names
    window.controls.preset_chosen.emit("code-search")
    assert over_documents(window) and window.form.refusal() == ""
    assert window.controls.preset.currentData() == "code-search"


def test_that_five_seeds_of_documents_are_of_what_trains_them(little, tmp_path):
    told, _ = told_of(Request(config=little))
    file = seeds.experiment_file(told, seeds.folder_of(told, tmp_path / "kept"))
    assert retrieval_config(read_toml(file)) == asked_as(told)
    assert seeds.command(told, file, ()) == f"hnm-lab compare {file} --seeds 5"
    preset, _ = told_of(Request(preset="code-search"))
    assert seeds.command(preset, file, ()) == "hnm-lab compare --preset code-search --seeds 5"


def test_that_what_is_told_of_a_run_is_enough_to_train_it():
    config = retrieval_config(
        {
            "title": "All of it",
            "about": "words",
            "seed": 4,
            "held_out": 0.3,
            "validation": 0.1,
            "shown": 50,
            "retrieval": {"source": "code-search", "options": {"packages": "installed"}},
            "towers": {"dropout": 0.2, "shared": False},
            "loss": {"temperature": 0.1, "symmetric": True},
            "optimizer": {"name": "sgd", "lr": 0.5},
            "lanes": [
                {"name": "a"},
                {"name": "b", "negatives": "random", "options": {"negatives": 3}, "warmup": 2},
                {"name": "c", "negatives": "bm25", "options": {"k1": 2.0, "pool": 7}},
                {"name": "d", "negatives": "lsh", "options": {"bits": 64}, "refresh": "epoch"},
                {"name": "e", "negatives": "knn", "refresh": "drift", "drift_threshold": 0.5, "refresh_every": 9},
                {"name": "f", "negatives": "random"},
            ],
        }
    )
    assert asked_as(told_as(config, "code-search")) == config


def test_that_what_a_search_missed_of_documents_is_listed_by_its_words_and_a_click_draws_both_edges(
    open_window, qtbot, little, compile_kernels
):
    compile_kernels(kernels.SEARCH_KERNELS)
    lane = 'name = "lsh"\nnegatives = "lsh"\noptions = { bits = 8, rescore = 1, pool = 1 }\n'
    little.write_text(f"{little.read_text()}[[lanes]]\n{lane}")
    window = open_window(source=experiment)
    drop(window, little)
    press(qtbot, window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.bridge.state is RunState.FINISHED, timeout=60_000)
    view, stage = window.stage.misses, window.stage
    dock = next(dock for dock in window.findChildren(QDockWidget) if dock.widget() is view)
    dock.raise_()
    qtbot.waitUntil(lambda: view.tabs.tabText(0).endswith("in batch"), timeout=5_000)
    assert view.tabs.tabText(1).endswith("random") and view.tabs.currentIndex() == 2
    told, started = stage.history.lane("lsh").misses_at(), stage.history.started
    assert told.step == 6 and len(told) > 2
    qtbot.waitUntil(lambda: view._lanes[2].step == 6 and view.tree.topLevelItemCount() == len(told), timeout=10_000)
    texts = started.texts
    item = next(
        view.tree.topLevelItem(row) for row in range(len(told)) if view.tree.topLevelItem(row).data(0, ROW).found >= 0
    )
    missed = item.data(0, ROW)
    wanted = [f"{texts[end].name} · {in_sight(texts[end].text)}" for end in (missed.anchor, missed.nearest)]
    assert item.text(0) == wanted[0] and item.text(1).startswith(wanted[1])
    assert texts[missed.anchor].text.startswith("what is number") and "follows" in item.text(1)
    assert texts[missed.anchor].text in item.toolTip(0) and "rank" in item.text(4)
    place = view.tree.visualItemRect(item).center()
    qtbot.mouseClick(view.tree.viewport(), Qt.MouseButton.LeftButton, pos=place)
    cloud = stage.panes.view("lsh")
    far = cloud.camera.distance
    qtbot.waitUntil(
        lambda: (
            cloud.scene.edges[-2:].tolist()
            == [
                [cloud.scene.place_of(missed.anchor), cloud.scene.place_of(end)]
                for end in (missed.nearest, missed.found)
            ]
        ),
        timeout=10_000,
    )
    qtbot.waitUntil(lambda: cloud.camera.distance < far, timeout=10_000)
    assert not stage.inspecting.view.data.words.text(), "there is nothing beside the text to ask the data for"
    pairs = stage.pairs
    next(dock for dock in window.findChildren(QDockWidget) if dock.widget() is pairs).raise_()
    qtbot.waitUntil(lambda: pairs.matrix.width() > pairs.width() / 2, timeout=5_000)  # else nobody reads what it says
    dock.raise_()
    before = [view.tree.topLevelItem(row).text(0) for row in range(len(told))]
    folder = stage.folder
    window.session.reset()
    qtbot.waitUntil(lambda: not view.tabs.count(), timeout=10_000)
    window.files.take(folder)
    qtbot.waitUntil(lambda: stage.replaying, timeout=20_000)
    stage.timeline.set_playing(False)
    stage._seek(6)
    qtbot.waitUntil(lambda: view.tree.topLevelItemCount() == len(told), timeout=10_000)
    assert [view.tree.topLevelItem(row).text(0) for row in range(len(told))] == before
