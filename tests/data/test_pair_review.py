"""Decisions on pairs of a query and a document, kept by their ids and applied to their set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from hnm_core.data.judged import Items, JudgedSet, Judgements
from hnm_core.data.pair_review import PairDecision, PairReview, applied, fingerprint, read, reviewing, same_set, subject
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.negatives.anchors import of_judged
from hnm_core.negatives.options import MineOptions
from hnm_core.negatives.parts import hash_of
from hnm_core.training.judged_lists import judged_lists
from hnm_core.training.measured_queries import measured_queries


@pytest.fixture
def judged() -> JudgedSet:
    """Three queries and five documents, of which the first three are theirs."""
    rows, vectors = np.arange(3), np.eye(5, dtype=np.float32)
    queries = Items(np.array([7, 8, 9]), [f"what {row}?" for row in rows], vectors[:3])
    documents = Items([f"d{row}" for row in range(5)], [f"answer {row}" for row in range(5)], vectors)
    return JudgedSet("set", queries, documents, Judgements(rows, rows, np.ones(3, np.float32)))


def test_that_texts_tell_sets_apart_whose_ids_are_line_numbers_and_embeddings_alone_do_not(
    judged: JudgedSet,
) -> None:
    whole = fingerprint(judged)
    swapped = [judged.documents.text[row] for row in (1, 0, 2, 3, 4)]
    assert not same_set(whole, fingerprint(replace(judged, documents=replace(judged.documents, text=swapped))))
    bare = replace(judged, queries=replace(judged.queries, text=None))
    assert same_set(whole, fingerprint(bare)) and same_set(fingerprint(bare), whole)
    old = judged.judgements
    fewer = replace(judged, judgements=Judgements(old.query[:2], old.document[:2], old.grade[:2]))
    assert not same_set(whole, fingerprint(fewer)) and not same_set(fingerprint(bare), fingerprint(fewer))


DECISIONS = (
    PairDecision(7, "d3", "relevant"),
    PairDecision(8, "d3", "drop"),
    PairDecision(9, "d4", "keep"),
    PairDecision(9, "d3", "relevant"),
    PairDecision(9, "d3", "drop"),
)


def test_that_decisions_are_kept_by_ids_and_the_last_on_a_pair_counts(judged: JudgedSet, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with reviewing(path, subject(judged)) as ongoing:
        for decision in DECISIONS:
            ongoing.decide(decision)
        ongoing.decide(PairDecision(7, "d4", "keep"))
        assert ongoing.undo() == PairDecision(7, "d4", "keep")
    with reviewing(path, subject(judged)) as ongoing:
        assert ongoing.review == read(path)
    assert read(path).decisions == DECISIONS
    assert read(path).counts() == {"keep": 1, "drop": 2, "relevant": 1}


def test_that_a_set_has_what_is_relevant_what_is_not_and_what_is_neither(judged: JudgedSet) -> None:
    review = PairReview(DECISIONS, fingerprint(judged))
    made = applied(judged, review, Path("r.jsonl"))
    got = zip(made.judgements.query, made.judgements.document, made.judgements.grade, strict=True)
    assert list(got) == [(0, 0, 1), (0, 3, 1), (1, 1, 1), (2, 2, 1), (2, 4, 0)]
    assert made.left_out is not None and made.left_out.query.tolist() == [1, 2]
    assert made.left_out.document.tolist() == [3, 3]
    assert "1 more documents are relevant to a query, 1 are not, and 2 are neither" in made.as_read
    plain = hash_of(made.queries, made.documents, made.judgements)
    assert hash_of(made.queries, made.documents, made.judgements, made.left_out) != plain, "another question"
    lists = judged_lists(made)
    assert lists.positives.row.tolist() == [0, 3, 1, 2]
    assert lists.excluded.anchor.tolist() == [1, 2] and lists.excluded.row.tolist() == [3, 3]
    for like in ("hnm-lab", "sentence-transformers"):
        anchors = of_judged(made, MineOptions(like=like))
        assert anchors.stands_with.row.tolist() == [0, 3, 1, 2], "nobody stands with what is neither"
        barred = anchors.judged.positives.joined(anchors.judged.excluded)
        assert {(1, 3), (2, 3)} <= set(zip(barred.anchor.tolist(), barred.row.tolist(), strict=True)), like


def test_that_what_was_dropped_is_not_ranked_for_its_query_and_neither_are_its_copies_negatives(
    judged: JudgedSet,
) -> None:
    texts = [*list(judged.documents.text or ())[:4], "answer 3 "]
    twice = replace(judged, documents=replace(judged.documents, text=texts))
    made = applied(twice, PairReview(DECISIONS[1:2], fingerprint(twice)), Path("r.jsonl"))
    lists = judged_lists(made)
    assert lists.left_out.anchor.tolist() == [1, 1] and lists.left_out.row.tolist() == [3, 4]
    measured = measured_queries(made, lists, torch.arange(3))
    near = torch.tensor([[1.0, 0.0]] * 3)
    documents = torch.tensor([[0.6, 0.8], [0.6, 0.8], [0.6, 0.8], [1.0, 0.0], [1.0, 0.0]])
    each = measured.scores(near, documents, Distance("cosine")).each[:, 0]  # MRR
    assert each[1] > each[0] == each[2], "only the second query is spared what was dropped for it"


def test_that_a_review_of_another_set_and_unknown_ids_are_refused(judged: JudgedSet, tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with pytest.raises(InputError, match="is a review of other data: 'set' has 3 queries and 5 documents"):
        applied(judged, PairReview((), "other"), path)
    for decision, words in (
        (PairDecision(1, "d3", "keep"), "decides on the query '1', which 'set' does not have"),
        (PairDecision("7", "d3", "keep"), "decides on the query '7'"),
        (PairDecision(7, "d9", "drop"), "decides on the document 'd9'"),
    ):
        with pytest.raises(InputError, match=words):
            applied(judged, PairReview((decision,)), path)
    path.write_text('{"item": 3, "label": "x", "verdict": "keep"}\n')
    with pytest.raises(InputError, match=r"line 1: .* is no decision of a review of queries and documents"):
        read(path)
    path.write_text('{"review": 1, "of": "1-2-3", "data": "x"}\n')
    with pytest.raises(InputError, match="is a review of other data"), reviewing(path, subject(judged)):
        pass
