"""The fields of a run over queries and documents, by real keys and clicks: those that apply, and what they change."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import Qt

from app.history.pending import pending
from app.panels.documents_card import DocumentsCard
from app.panels.editors import ChoiceEditor
from app.panels.experiment_form import ExperimentForm
from app.panels.problem_label import ProblemLabel
from hnm_core.run import changeable
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.request import Request
from hnm_core.training.retrieval_config import asked_as, kinds_of_negatives, told_as
from hnm_core.training.retrieval_request import resolve_retrieval
from tests.app.panels.test_experiment_form import type_into


@pytest.fixture
def over_documents() -> ExperimentConfig:
    config, _ = resolve_retrieval(Request(preset="code-search", settings=("lanes.in-batch.name=batch",)))
    return told_as(config, "code-search")


@pytest.fixture
def form(qtbot, over_documents) -> ExperimentForm:
    form = ExperimentForm()
    qtbot.addWidget(form)
    form.resize(320, 900)
    with qtbot.waitActive(form):
        form.show()
        form.activateWindow()
    form.set_config(over_documents)
    return form


def wrong(form: ExperimentForm) -> list[str]:
    return [label.text() for label in form.findChildren(ProblemLabel) if label.isVisible()]


def choose(editor: ChoiceEditor, value: str) -> None:
    editor.box.setCurrentIndex(editor.box.findData(value))
    editor.box.activated.emit(editor.box.currentIndex())


def card(form: ExperimentForm, place: int) -> DocumentsCard:
    found = form.documents.lanes.cards[place]
    assert isinstance(found, DocumentsCard)
    return found


def test_that_fields_of_such_runs_stand_there_alone_and_say_what_the_run_is(form, over_documents):
    documents = form.documents
    assert documents.isVisible() and not form.fields.isVisible() and not wrong(form) and form.refusal() == ""
    assert documents.details["data"].summary.text() == "code-search, 20% of the queries held out"
    assert "batches of 128 queries, 300 steps, seed 0" in documents.details["training"].summary.text()
    assert form.config() == over_documents, "looking changes nothing"
    assert [lane.name.text() for lane in documents.lanes.cards] == [lane.name for lane in over_documents.lanes]
    names = {name for part in (documents.run, documents.own, documents.optimizer) for name in part.rows}
    assert {"batch", "steps", "held_out", "lr"} < names and not {"device", "threads", "checkpoint_every"} & names


def test_that_what_is_typed_changes_the_run_and_undo_takes_it_back(form, qtbot, over_documents):
    heard = []
    form.config_changed.connect(heard.append)
    for part in form.documents.details.values():
        part.open()
    type_into(qtbot, form.documents.run.line("batch"), "32")
    type_into(qtbot, form.documents.own.line("held_out"), "0.1")
    type_into(qtbot, form.documents.loss.line("temperature"), "0.2")
    type_into(qtbot, form.documents.towers.line("embedding"), "16")
    asked = asked_as(form.config())
    assert (asked.batch, asked.held_out, asked.loss.temperature, asked.towers.embedding) == (32, 0.1, 0.2, 16)
    assert len(heard) == 4 and heard[-1] == form.config()
    for _ in range(4):
        form.undo()
    assert form.config() == over_documents and form.documents.run.line("batch").text() == "128"
    type_into(qtbot, form.documents.data.line("source"), "other/pairs.jsonl")
    assert form.config().data.name == "pairs.jsonl (queries and documents)", "other data are called otherwise"


def test_that_a_lane_takes_other_negatives_with_the_options_that_these_have(form, qtbot):
    lane = card(form, 0)
    assert lane.negatives == "in-batch" and not lane.form.rows
    lane.details.open()
    assert lane.own.editor("warmup").isVisible() and not lane.own.editor("refresh_every").isVisible()
    choose(lane.choice, "knn")
    assert lane.own.editor("refresh_every").isVisible() and not lane.own.editor("drift_threshold").isVisible()
    assert "positives" not in lane.form.rows, "a step gives the positive"
    choose(lane.own.editor("refresh"), "drift")
    assert lane.own.editor("drift_threshold").isVisible()
    type_into(qtbot, lane.form.line("pool"), "7")
    made = asked_as(form.config()).lane("batch")
    assert (made.negatives, made.options, made.refresh) == ("knn", {"pool": 7}, "drift")
    choose(lane.choice, "bm25")
    made = asked_as(form.config()).lane("batch")
    assert (made.negatives, made.options) == ("bm25", {"pool": 7})
    assert lane.details._summary == "pool 7", "what is not shown is not told"
    qtbot.waitUntil(lane.form.editor("k1").isVisible)
    assert not lane.own.editor("refresh").isVisible()
    assert [lane.choice.box.itemData(row) for row in range(lane.choice.box.count())] == list(kinds_of_negatives())


def test_that_lanes_are_added_and_taken_out(form, qtbot):
    lanes = form.documents.lanes
    qtbot.mouseClick(card(form, 0).buttons["copy"], Qt.MouseButton.LeftButton)
    assert [lane.name for lane in form.config().lanes][:2] == ["batch", "batch-2"]
    count = len(lanes.cards)
    qtbot.mouseClick(card(form, 1).buttons["remove"], Qt.MouseButton.LeftButton)
    assert len(form.config().lanes) == count - 1
    type_into(qtbot, card(form, 0).name, "bm25")
    assert wrong(form) == ["Another lane is called 'bm25'; lane names must differ."]
    assert "name of lane 'bm25': Another lane" in form.refusal()


@pytest.mark.parametrize(
    ("of", "field", "typed", "said"),
    [
        ("run", "batch", "0", "0 is not allowed"),
        ("own", "held_out", "1", "1.0 is not allowed"),
        ("towers", "embedding", "x", "'x' is not allowed"),
        ("loss", "temperature", "0", "0.0 is not allowed"),
        ("optimizer", "lr", "0", "0.0 is not allowed"),
        ("optimizer", "options", "momentum = 0.9", "adam has no option 'momentum'"),
        ("data", "source", "\b", "It is not known where the queries and documents of this run lie"),
    ],
)
def test_that_what_is_wrong_is_said_beside_its_field_and_keeps_the_run(form, qtbot, of, field, typed, said):
    for part in form.documents.details.values():
        part.open()
    before = form.committed
    type_into(qtbot, getattr(form.documents, of).line(field), typed)  # \b takes away what is selected
    assert len(wrong(form)) == 1 and said in wrong(form)[0]
    assert form.committed == before and said in form.refusal()


def test_that_an_option_of_a_lane_is_judged_beside_it(form, qtbot):
    lane = card(form, [each.name for each in form.config().lanes].index("exact"))
    lane.details.open()
    type_into(qtbot, lane.form.line("pool"), "0")
    assert "0 is not allowed" in lane.form.rows["pool"].problem.text() and len(wrong(form)) == 1
    assert form.refusal().startswith("The form cannot be used as it stands. pool of lane 'exact': 0 is not allowed")


def test_that_everything_changed_waits_for_the_next_start(form, qtbot, over_documents):
    form.documents.details["loss"].open()
    form.set_running(True)
    assert "stay as they began" in form.running_note.text.text() and form.running_note.isVisible()
    type_into(qtbot, form.documents.loss.line("temperature"), "0.2")
    alone = {lane.name: changeable.alone(over_documents, lane.name) for lane in over_documents.lanes}
    found = pending(form.config(), over_documents, alone, list(alone))
    assert not found.changes and not found.lines and "temperature" in " ".join(found.later)
    form.show_pending(found)
    assert not form.running_note.button.isVisible()


def test_that_data_that_are_nowhere_named_have_no_fields_and_a_sentence(form, over_documents):
    nameless = over_documents.model_copy(update={"data": over_documents.data.model_copy(update={"options": {}})})
    form.set_config(nameless)
    assert "not known where the queries and documents" in form.refusal() and wrong(form) == [form.refusal()]
    assert not form.documents.lanes.isVisible() and form.config() == nameless
    form.set_config(over_documents)
    assert form.documents.lanes.isVisible() and not wrong(form)


def test_that_the_form_is_back_with_a_run_over_classes(form, over_documents):
    form.set_config(ExperimentConfig())
    before = form.config()
    form.set_config(over_documents, undoable=True)
    form.undo()
    assert form.config() == before
    assert form.fields.isVisible() and not form.documents.isVisible()
    assert not form.refusal()
    assert form.data.choice.isVisible() and form.lanes.isVisible()
