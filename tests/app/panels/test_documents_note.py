"""What the window shows of a run over queries and documents in the place of its form and its pairs of classes."""

from __future__ import annotations

import pytest

from app.panels.documents_note import SENTENCE
from app.panels.experiment_form import ExperimentForm
from app.panels.problem_label import ProblemLabel
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.request import Request
from hnm_core.training.retrieval_config import told_as
from hnm_core.training.retrieval_request import resolve_retrieval


@pytest.fixture
def over_documents() -> ExperimentConfig:
    config, _ = resolve_retrieval(Request(preset="code-search", settings=("lanes.in-batch.name=batch",)))
    return told_as(config, "code-search")


@pytest.fixture
def form(qtbot) -> ExperimentForm:
    form = ExperimentForm()
    qtbot.addWidget(form)
    form.resize(320, 700)
    form.show()
    return form


def test_that_a_sentence_stands_in_the_forms_place_and_nothing_red_is_seen(form, over_documents):
    form.set_config(over_documents)
    assert form.documents.isVisible()
    text = form.documents.text()
    assert text.startswith(SENTENCE)
    for part in ("Data: code-search, 20% of the queries held out", "128 queries, 300 steps, seed 0", "\n\nbatch: "):
        assert part in text
    assert "(queries and documents)" not in text
    assert not [label for label in form.findChildren(ProblemLabel) if label.isVisible()]
    assert not form.fields.isVisible()
    assert form.refusal() == ""
    nameless = over_documents.model_copy(update={"data": over_documents.data.model_copy(update={"options": {}})})
    form.set_config(nameless)
    assert "not known where the queries and documents" in form.refusal()


def test_that_the_form_is_back_with_a_run_over_classes(form, over_documents):
    before = form.config()
    form.set_config(over_documents, undoable=True)
    form.undo()
    assert form.config() == before
    assert form.fields.isVisible() and not form.documents.isVisible()
    assert not form.refusal()
    assert form.data.choice.isVisible() and form.lanes.isVisible()
