"""Doubtful labels reviewed in a real window by real keys and clicks; what is decided stands in the file afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt
from PyQt6.QtTest import QTest

from app.panels.review_dialog import ReviewDialog
from app.progress import Progress
from app.training import suspects, suspects_child
from app.training.messages import Rank, Refused, Suspects
from app.window import reviews
from hnm_core import data, kernels
from hnm_core.data.review import Decision, read, reviewing, subject
from hnm_core.errors import InputError
from hnm_core.recording import open_recording
from tests.app import engine, runs

LEFT = Qt.MouseButton.LeftButton
NOISY = {"name": "label-noise", "options": {"of": "blobs", "noise": 0.1, "of_options": {"points": 120, "classes": 4}}}


@pytest.fixture(scope="module", autouse=True)
def search_kernels(compile_kernels) -> None:
    compile_kernels(kernels.SEARCH_KERNELS)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Rank]:
    """No process of its own, which takes seconds to start; what was asked."""
    asked: list[Rank] = []

    def ranked(request: Rank, _plug_ins: Sequence[Path], progress: Progress) -> Suspects:
        asked.append(request)
        found = suspects_child.ranked(request, lambda far: None if progress(*far) else pytest.fail("called off"))
        if isinstance(found, Refused):
            raise InputError(found.sentence)
        return found

    monkeypatch.setattr(suspects, "ranked", ranked)
    return asked


@pytest.fixture
def window(open_window, qtbot):
    """A window whose run on data with wrong labels has ended."""
    window = open_window(config=engine.config(steps=4, data=NOISY), source=engine.source)
    window.actions_by_key["toggle_run"].trigger()
    qtbot.waitUntil(lambda: window.stage.history.ended is not None and not window.bridge.active, timeout=60_000)
    return window


def dialog_of(window) -> ReviewDialog:
    window.activateWindow()
    assert QTest.qWaitForWindowActive(window)
    QTest.keyClick(window, Qt.Key.Key_R, Qt.KeyboardModifier.ControlModifier | Qt.KeyboardModifier.ShiftModifier)
    return next(each for each in window.findChildren(ReviewDialog) if each.isVisible())


@pytest.fixture
def reviewing_window(window, qtbot, asked):
    """The same, in the middle of a review that has just begun."""
    dialog = dialog_of(window)
    qtbot.mouseClick(dialog.go, LEFT)
    qtbot.waitUntil(lambda: window.reviews.on or bool(window.banner.text), timeout=60_000)
    assert window.banner.text == ""
    window.activateWindow()  # without a window manager nobody does it when a dialog is gone
    qtbot.waitUntil(window.isActiveWindow, timeout=5000)
    return window


def queue_of(window) -> list[int]:
    return [suspect.item.item_id for suspect in window.reviews.view.queue]


def file_of(window) -> Path:
    return window.stage.folder.parent / f"{window.stage.folder.name}.review.jsonl"


def test_that_keys_decide_go_through_the_queue_and_undo_and_each_stands_in_the_file_at_once(reviewing_window, asked):
    window, view = reviewing_window, reviewing_window.reviews.view
    path, items = file_of(window), queue_of(window)
    assert asked[0].recording is None and len(items) > 4
    assert view.isVisible() and view.hasFocus() and path.name in view.file.text()
    assert window.stage.choice.item_id == items[0], "what is asked about is selected in all clouds"
    first = view.queue[0]
    assert first.instead in view.question.text() and "nearest" in view.evidence.text()

    QTest.keyClick(window.focusWidget(), Qt.Key.Key_K)
    assert not window.actions_by_key["class_names"].isChecked(), "K is the review's while that has the focus"
    assert read(path).decisions == (Decision(items[0], first.item.label, "keep"),)
    assert window.stage.choice.item_id == items[1]
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_D)
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_R)
    assert window.stage.history.started is not None, "R is the review's too"
    third = view.queue[2]
    assert [decision.verdict for decision in read(path).decisions] == ["keep", "drop", "relabel"]
    assert read(path).decisions[-1].to == third.instead != third.item.label
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_U)
    assert len(read(path).decisions) == 2 and view.place == 2, "it comes back to what was undone"
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Left)
    assert view.place == 1 and view.verdict.text() == "Dropped" and window.stage.choice.item_id == items[1]
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Right)
    assert view.place == 2 and view.verdict.text() == "Not decided yet"
    QTest.keyClick(window.focusWidget(), Qt.Key.Key_Escape)
    assert not view.isVisible() and not window.reviews.on and window.centralWidget().hasFocus()
    with reviewing(path, subject(data.build(window.session.config.data.part, seed=window.session.config.seed))):
        pass  # nobody holds it any more


def test_that_buttons_and_pictures_do_it_too_and_a_second_review_goes_on(reviewing_window, qtbot):
    window, view = reviewing_window, reviewing_window.reviews.view
    qtbot.mouseClick(view.drop, LEFT)
    qtbot.mouseClick(view.nearest.button, LEFT)
    near = view.queue[1].like[0]
    assert window.stage.choice.item_id == near.item_id and near.label == view.queue[1].instead
    assert view.hasFocus(), "a click leaves the keys where they are"
    assert [decision.verdict for decision in read(file_of(window)).decisions] == ["drop"]
    window.actions_by_key["reset_layout"].trigger()
    assert view.isVisible() and window.reviews.on, "the layout is put back with the review in it"
    view.close_asked.emit()
    qtbot.mouseClick(dialog_of(window).go, LEFT)
    qtbot.waitUntil(lambda: window.reviews.on, timeout=60_000)
    assert view.place == 1 and "1 dropped" in view.counts.text()


def test_that_an_embedding_can_be_looked_at_and_a_run_obeys_the_review(window, qtbot, asked):
    dialog = dialog_of(window)
    dialog.where.setCurrentIndex(dialog.where.findData("knn"))
    qtbot.mouseClick(dialog.go, LEFT)
    qtbot.waitUntil(lambda: window.reviews.on or bool(window.banner.text), timeout=60_000)
    assert (asked[0].recording, asked[0].lane) == (window.stage.folder, "knn")
    view, path = window.reviews.view, file_of(window)
    assert not view.train.isEnabled(), "a review that changes nothing trains nothing else"
    items = queue_of(window)
    for key in (Qt.Key.Key_D, Qt.Key.Key_R):
        QTest.keyClick(window.focusWidget(), key)
    before = window.stage.history.started
    qtbot.mouseClick(view.train, LEFT)
    qtbot.waitUntil(lambda: window.stage.history.started not in (None, before), timeout=60_000)
    started = window.stage.history.started
    assert started.config.data.name == "reviewed" and started.config.data.options["review"] == str(path)
    assert items[0] not in started.ids and items[0] in before.ids
    here = started.labels[started.ids == items[1]]
    assert here != before.labels[before.ids == items[1]]
    assert started.config.lanes == before.config.lanes and not window.reviews.on
    assert "left out 1, in another class 1" in window.statusBar().currentMessage()


@pytest.mark.thorough
def test_that_files_that_cannot_be_written_into_are_refused_in_a_sentence(window, qtbot, asked, tmp_path):
    other = tmp_path / "other.jsonl"
    with reviewing(other, subject(data.create("digits"))):
        pass
    noise = data.build(window.session.config.data.part, seed=window.session.config.seed)
    dialog = dialog_of(window)
    for name, words in {
        "review.txt": "must end in .jsonl",
        str(tmp_path / "no" / "r.jsonl"): "there is no folder",
        str(tmp_path / f"{'x' * 300}.jsonl"): "cannot be looked at",
    }.items():
        dialog.file.put(name)
        qtbot.mouseClick(dialog.go, LEFT)
        assert words in dialog.problem.text() and dialog.isVisible()
    (tmp_path / "folder.jsonl").mkdir()
    dialog.file.put(str(tmp_path / "folder.jsonl"))
    qtbot.mouseClick(dialog.go, LEFT)
    assert f"Cannot read '{tmp_path / 'folder.jsonl'}'" in dialog.problem.text() and dialog.isVisible()
    (tmp_path / "pairs.jsonl").write_text('{"query": "a", "positive": "b"}\n')
    dialog.file.put(str(tmp_path / "pairs.jsonl"))
    qtbot.mouseClick(dialog.go, LEFT)
    assert "no decision of a review" in dialog.problem.text() and not asked
    dialog.file.put(str(other))
    qtbot.mouseClick(dialog.go, LEFT)
    qtbot.waitUntil(lambda: bool(window.banner.text), timeout=60_000)
    assert "is a review of other data" in window.banner.text and not window.reviews.on
    window.banner.dismiss()
    with reviewing(tmp_path / "busy.jsonl", subject(noise)):
        dialog = dialog_of(window)
        dialog.file.put(str(tmp_path / "busy.jsonl"))
        qtbot.mouseClick(dialog.go, LEFT)
        qtbot.waitUntil(lambda: bool(window.banner.text), timeout=60_000)
        assert "is being reviewed by another program" in window.banner.text and not window.reviews.on


@pytest.mark.thorough
def test_that_a_decision_that_cannot_be_written_is_told_and_does_not_count(reviewing_window, monkeypatch):
    view = reviewing_window.reviews.view

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    QTest.keyClick(view, Qt.Key.Key_D)
    assert "No space left on device" in view.problem.text() and view.place == 0
    monkeypatch.undo()
    assert read(file_of(reviewing_window)).decisions == ()
    QTest.keyClick(view, Qt.Key.Key_D)
    assert view.problem.text() == "" and len(read(file_of(reviewing_window)).decisions) == 1


@pytest.mark.thorough
def test_that_without_a_run_there_is_nothing_to_review_and_another_run_ends_a_review(open_window, reviewing_window):
    reviewing_window.session.reset()
    assert not reviewing_window.reviews.on and not reviewing_window.reviews.view.isVisible()
    window = open_window(config=runs.config())
    window.actions_by_key["review"].trigger()
    assert "no run whose labels could be reviewed" in window.banner.text


@pytest.mark.thorough
def test_that_a_ranking_can_be_called_off(window, qtbot, monkeypatch):
    def ranked(_request: Rank, _plug_ins: Sequence[Path], progress: Progress) -> Suspects:
        while progress(0, 0):
            pass
        raise InputError("The ranking was called off.")

    monkeypatch.setattr(suspects, "ranked", ranked)
    qtbot.mouseClick(dialog_of(window).go, LEFT)
    qtbot.waitUntil(lambda: window.job_line.isVisible() and window.job_line.name.text() == reviews.TITLE, timeout=5000)
    qtbot.mouseClick(window.job_line.button, LEFT)
    qtbot.waitUntil(window.job_line.isHidden, timeout=5000)
    assert not window.reviews.on and window.banner.text == ""


@pytest.mark.thorough
def test_that_a_process_of_its_own_ranks_as_the_engine_does_and_says_how_far_it_is(window):
    folder = window.stage.folder
    far = []
    request = Rank(window.session.config, 3, folder, "random")
    found = suspects.ranked(request, (), lambda done, total: far.append((done, total)) is None)
    here = suspects_child.ranked(request, lambda _far: None)
    assert isinstance(here, Suspects) and here.of == found.of and here.found == found.found > 3
    assert [one.item.item_id for one in found.queue] == [one.item.item_id for one in here.queue]
    assert found.queue[0].evidence == here.queue[0].evidence and len(found.queue) == 3
    assert "features, of length" in found.queue[0].item.words and found.queue[0].item.picture is None
    wrong = data.build(open_recording(folder).config.data.part, seed=0)
    ids = {one.item.item_id for one in suspects_child.ranked(request._replace(most=99), lambda _far: None).queue}
    truly = set(wrong.ids[wrong.y != wrong.y_true].tolist())
    assert truly and len(ids & truly) > len(truly) / 4, "wrong labels are among them"
    assert isinstance(suspects_child.ranked(request._replace(lane="none"), lambda _far: None), Refused)
    with pytest.raises(InputError, match="called off"):
        suspects.ranked(request, (), lambda *_: False)
