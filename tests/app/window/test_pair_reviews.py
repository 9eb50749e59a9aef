"""Doubtful pairs reviewed in a real window by real keys; the terminal sees what was decided here, and the reverse."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest
from typer.testing import CliRunner

from app.progress import Progress
from app.training import suspects, suspects_child
from app.training.messages import DoubtfulPairs, Rank, Refused
from app.training.run import experiment
from app.views.pair_review_view import PairReviewView
from hnm_core import kernels
from hnm_core.cli.commands import make_app
from hnm_core.data.pair_review import PairDecision, read
from hnm_core.errors import InputError
from hnm_core.run.events import RunState
from tests.app.window.test_main_window import drop, press
from tests.app.window.test_reviews import LEFT, dialog_of

CONFIG = """
steps = 2
batch = 4
eval_every = 2
[retrieval]
source = "{source}"
[towers]
rows = 512
width = 8
embedding = 8
[[lanes]]
name = "in-batch"
"""
ANSWERS = [
    f"the {word} opens the {word} with\n\ta {word}\x1b[31m <b>key</b>" for word in ("gate", "door", "case", "box")
]
"""Each is written down once more with a word in front, and nobody judged that."""


@pytest.fixture(scope="module", autouse=True)
def search_kernels(compile_kernels) -> None:
    compile_kernels(kernels.SEARCH_KERNELS)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Queries that are nearer to what nobody judged than to their answers."""
    folder = tmp_path / "set"
    (folder / "qrels").mkdir(parents=True)
    queries = [f"{text} how" for text in ANSWERS]
    documents = [*(f"{text} and so on and on" for text in ANSWERS), *(f"{text} how now" for text in ANSWERS)]
    for name, letter, texts in (("queries", "q", queries), ("corpus", "d", documents)):
        lines = [json.dumps({"_id": f"{letter}{row}", "text": text}) for row, text in enumerate(texts)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    judged = "".join(f"q{row}\td{row}\t1\n" for row in range(len(ANSWERS)))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{judged}")
    (tmp_path / "little.toml").write_text(CONFIG.format(source=folder))
    return folder


@pytest.fixture
def window(open_window, qtbot, folder, monkeypatch):
    """A window whose run on these has ended; what ranks needs no process of its own."""

    def ranked(request: Rank, _plug_ins: Sequence[Path], progress: Progress) -> DoubtfulPairs:
        found = suspects_child.ranked(request, lambda far: None if progress(*far) else pytest.fail("called off"))
        if isinstance(found, Refused):
            raise InputError(found.sentence)
        assert isinstance(found, DoubtfulPairs)
        return found

    monkeypatch.setattr(suspects, "ranked", ranked)
    window = open_window(source=experiment)
    drop(window, folder.parent / "little.toml")
    press(qtbot, window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: window.bridge.state is RunState.FINISHED and not window.bridge.active, timeout=60_000)
    return window


def begin(window, qtbot, path: Path, lane: str | None = None) -> PairReviewView:
    dialog = dialog_of(window)
    assert dialog.windowTitle() == "Review doubtful pairs"
    dialog.where.setCurrentIndex(dialog.where.findData(lane))
    dialog.file.put(str(path))
    qtbot.mouseClick(dialog.go, LEFT)
    qtbot.waitUntil(lambda: window.reviews.on or bool(window.banner.text), timeout=60_000)
    assert window.banner.text == ""
    assert isinstance(window.reviews.view, PairReviewView)
    return window.reviews.view


def terminal(folder: Path, path: Path, keys: str) -> str:
    ended = CliRunner().invoke(
        make_app(), ["review", str(path), "--data", str(folder), "--encoder", "hashed-words"], input=keys
    )
    assert ended.exit_code == 0
    return ended.stderr


def test_that_window_and_terminal_go_through_one_queue_in_one_file(window, qtbot, folder, tmp_path):
    path = tmp_path / "decided.jsonl"
    terminal(folder, path, "kq")
    first = read(path).decisions
    view = begin(window, qtbot, path)
    assert view.isVisible() and window.focusWidget() is view and view.where.text().startswith("2 of 4 doubtful")
    pair = view.queue[1]
    assert (first[0].query, first[0].document) == (view.queue[0].query.name, view.queue[0].document.name)
    assert window.stage.choice.item_id == pair.item_id == int(str(pair.document.name)[1:])
    shown = view.document.toPlainText()
    assert "\N{SYMBOL FOR ESCAPE}[31m <b>key</b>" in shown and "with\n    a " in shown, "as it is, and on its lines"
    assert view.document_name.text() == f"Document {pair.document.name}"
    assert view.place_found.text() == f"Score {pair.score:.3f}, rank {pair.rank}" and pair.rank == 1
    assert pair.query.text == view.query.toPlainText() and pair.relevant.text == view.relevant.toPlainText()
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_R)
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_D)
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_U)
    assert view.place == 2 and view.verdict.text() == "Not decided yet"
    assert read(path).decisions == (*first, PairDecision(pair.query.name, pair.document.name, "relevant"))
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Left)
    assert view.verdict.text() == "Relevant" and "1 kept as negatives, 0 dropped, 1 relevant" in view.counts.text()
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Escape)
    assert not window.reviews.on
    assert "keep 1, drop 2, relevant 1" in terminal(folder, path, "dd"), "it goes on behind the window's"


def test_that_a_lane_ranks_too_and_a_new_run_obeys_what_was_decided(window, qtbot, tmp_path):
    path = tmp_path / "decided.jsonl"
    view = begin(window, qtbot, path, "in-batch")
    assert not view.train.isEnabled(), "nothing is decided"
    made = [view.key_of(pair) for pair in view.queue[:2]]
    assert len(made) == 2
    for key in (Qt.Key.Key_R, Qt.Key.Key_D):
        QTest.keyClick(window.focusWidget(), key)
    before = window.stage.history.started
    qtbot.mouseClick(view.train, LEFT)
    qtbot.waitUntil(lambda: window.stage.history.started not in (None, before), timeout=60_000)
    qtbot.waitUntil(lambda: not window.bridge.active, timeout=60_000)
    assert window.stage.history.started.config.data.options["review"] == str(path)
    assert "relevant 1, neither 1, negatives 0" in window.statusBar().currentMessage()
    again = begin(window, qtbot, path)
    assert "0 kept as negatives, 1 dropped, 1 relevant" in again.counts.text(), (
        "the queue is of the data before the review, so the file goes on"
    )


def test_that_a_file_of_other_decisions_is_refused_before_anybody_waits(window, qtbot, tmp_path):
    labels = tmp_path / "labels.jsonl"
    labels.write_text('{"item": 3, "label": "x", "verdict": "keep"}\n')
    dialog = dialog_of(window)
    dialog.file.put(str(labels))
    qtbot.mouseClick(dialog.go, LEFT)
    assert "no decision of a review of queries and documents" in dialog.problem.text() and dialog.isVisible()
