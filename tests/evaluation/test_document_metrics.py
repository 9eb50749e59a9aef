"""Metrics of ranked documents against brute force over all orders of ties, and against pytrec_eval."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from hnm_core.data.judged import Judgements
from hnm_core.distances import METRICS, Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.document_metrics import DOCUMENT_METRICS, document_chance, document_scores
from hnm_core.evaluation.ranked_documents import RankedDocuments, rank_documents
from hnm_core.row_lists import RowLists

QUERIES, DOCUMENTS = 10, 6


def judgements_of(grades: NDArray[np.float64]) -> Judgements:
    """Of a (Q, N) table, NaN where nothing was judged."""
    query, document = np.nonzero(~np.isnan(grades))
    return Judgements(query, document, grades[query, document].astype(np.float32))


def random_grades(seed: int, queries: int = QUERIES, documents: int = DOCUMENTS) -> NDArray[np.float64]:
    grades = np.random.default_rng(seed).choice([np.nan, -1, 0, 1, 2, 3], (queries, documents), p=[0.4, *[0.12] * 5])
    grades[0] = np.nan  # one that nobody judged
    grades[1] = 0  # one to which nothing is relevant
    return grades


def by_hand(order: tuple[int, ...], grades: NDArray[np.float64]) -> list[float]:
    """Of one query, in the order of `DOCUMENT_METRICS`, straight from the definitions."""
    gain = [max(float(np.nan_to_num(grades[document])), 0) for document in order]
    relevant = sum(max(grade, 0) > 0 for grade in np.nan_to_num(grades))
    hits = [g > 0 for g in gain]
    first = next((place for place, hit in enumerate(hits[:10], 1) if hit), None)
    ideal = sorted(np.clip(np.nan_to_num(grades), 0, None), reverse=True)
    dcg, best = (sum(g / math.log2(place + 1) for place, g in enumerate(line[:10], 1)) for line in (gain, ideal))
    average = sum(sum(hits[:place]) / place for place, hit in enumerate(hits, 1) if hit) / relevant
    return [
        1 / first if first else 0.0,
        dcg / best,
        sum(hits[:10]) / relevant,
        sum(hits[:100]) / relevant,
        average,
        float(hits[0]),
    ]


def orders(score: NDArray[np.float32]) -> list[tuple[int, ...]]:
    """Every order of the documents of a query in which scores descend."""
    return [order for order in itertools.permutations(range(len(score))) if all(np.diff(score[list(order)]) <= 0)]


def listed(score: NDArray[np.float32], depth: int | None = None) -> RankedDocuments:
    row = np.argsort(-score, axis=1, kind="stable")[:, :depth]
    found = np.take_along_axis(score, row, 1)
    return RankedDocuments(torch.arange(len(score)), torch.from_numpy(row), torch.from_numpy(found))


@pytest.mark.parametrize("levels", [1, 2, 4, 1000])
def test_that_expected_best_and_worst_are_those_over_all_orders_of_ties(levels: int) -> None:
    for seed in range(2):
        grades = random_grades(seed)
        score = np.random.default_rng(seed + 50).integers(levels, size=grades.shape).astype(np.float32)
        found = {
            ties: document_scores([listed(score)], judgements_of(grades), *grades.shape, ties=ties)  # type: ignore[arg-type]
            for ties in ("expected", "best", "worst")
        }
        for query in range(QUERIES):
            if not (grades[query] > 0).any():
                assert found["expected"].each[query].isnan().all()
                continue
            every = np.array([by_hand(order, grades[query]) for order in orders(score[query])])
            for ties, wanted in (("expected", every.mean(0)), ("best", every.max(0)), ("worst", every.min(0))):
                np.testing.assert_allclose(found[ties].each[query], wanted, atol=1e-12, err_msg=f"{ties}, {query}")
        without = int((~(grades > 0).any(1)).sum())
        assert (found["best"].queries, found["best"].without_positive) == (QUERIES - without, without)
        np.testing.assert_allclose(
            list(found["best"].means.values()), np.nanmean(found["best"].each.numpy(), axis=0), atol=1e-12
        )


def test_that_long_lists_equal_pytrec_eval() -> None:
    pytrec_eval = pytest.importorskip("pytrec_eval")
    rng = np.random.default_rng(3)
    grades = rng.choice([np.nan, 0, 1, 2], (30, 300), p=[0.8, 0.1, 0.06, 0.04])
    score = rng.permuted(np.tile(np.arange(300, dtype=np.float32), (30, 1)), axis=1)  # no two alike
    found = document_scores([listed(score)], judgements_of(grades), 30, 300)
    qrels = {str(q): {str(d): int(grades[q, d]) for d in range(300) if not np.isnan(grades[q, d])} for q in range(30)}
    run = {str(q): {str(d): float(score[q, d]) for d in range(300)} for q in range(30)}
    names = {"ndcg_cut_10": 1, "recall_10": 2, "recall_100": 3, "map": 4, "P_1": 5}
    theirs = pytrec_eval.RelevanceEvaluator(qrels, set(names)).evaluate(run)
    for name, column in names.items():
        wanted = [theirs[str(q)][name] for q in range(30)]
        np.testing.assert_allclose(found.each[:, column], wanted, atol=1e-9, err_msg=name)
    cut = document_scores([listed(score, 10)], judgements_of(grades), 30, 300)
    top = {q: dict(sorted(line.items(), key=lambda item: -item[1])[:10]) for q, line in run.items()}
    wanted = [
        line["recip_rank"] for line in pytrec_eval.RelevanceEvaluator(qrels, {"recip_rank"}).evaluate(top).values()
    ]
    np.testing.assert_allclose(cut.each[:, 0], wanted, atol=1e-9)
    np.testing.assert_allclose(cut.each[:, 0], found.each[:, 0], atol=1e-12)


def test_that_equal_scores_of_all_documents_are_worth_no_more_than_chance() -> None:
    """Whoever sorts the positives first finds an MRR of 1 here."""
    grades = np.full((3, 50), np.nan)
    grades[:, 0] = 1
    scores = document_scores([listed(np.zeros((3, 50), np.float32))], judgements_of(grades), 3, 50)
    chance = document_chance(judgements_of(grades), 3, 50, depth=50)
    assert scores.means == pytest.approx(chance, abs=1e-12)
    assert scores.means["mrr_at_10"] == pytest.approx(sum(1 / i for i in range(1, 11)) / 50)


def test_that_chance_is_the_mean_over_all_orders_of_graded_documents() -> None:
    grades = random_grades(9)
    equal = document_scores([listed(np.ones(grades.shape, np.float32))], judgements_of(grades), *grades.shape)
    chance = document_chance(judgements_of(grades), *grades.shape, depth=DOCUMENTS)
    assert equal.means == pytest.approx(chance, abs=1e-12)
    own = RowLists.of_pairs(torch.arange(QUERIES), torch.arange(QUERIES) % DOCUMENTS, QUERIES, DOCUMENTS)
    blocks = [listed(np.ones(grades.shape, np.float32))]
    without = document_scores(blocks, judgements_of(grades), *grades.shape, excluded=own)
    chance = document_chance(judgements_of(grades), *grades.shape, depth=DOCUMENTS, excluded=own)
    assert without.means == pytest.approx(chance, abs=1e-12)


def test_that_a_query_beside_its_duplicate_scores_the_same_in_whatever_order_documents_stand() -> None:
    """Document 0 is the query itself, 1 its exact duplicate, which is relevant."""
    vectors = torch.randn((6, 24), generator=torch.Generator().manual_seed(0))
    vectors[1] = vectors[0]
    for order in ([0, 1, 2, 3, 4, 5], [1, 0, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0]):
        grades = np.full((1, 6), np.nan)
        grades[0, order.index(1)] = 1
        own = RowLists.of_pairs(torch.tensor([0]), torch.tensor([order.index(0)]), 1, 6)
        ranked = list(rank_documents(vectors[:1], vectors[order]))
        with_itself = document_scores(ranked, judgements_of(grades), 1, 6)
        assert with_itself.means["precision_at_1"] == 0.5
        assert with_itself.means["ndcg_at_10"] == pytest.approx((1 + 1 / math.log2(3)) / 2)
        assert document_scores(ranked, judgements_of(grades), 1, 6, excluded=own).means["mrr_at_10"] == 1
        left_out = rank_documents(vectors[:1], vectors[order], excluded=own)
        assert document_scores(left_out, judgements_of(grades), 1, 6, excluded=own).means["ndcg_at_10"] == 1


def test_that_scores_coarser_than_float32_are_refused_and_embeddings_are_scored_in_float32() -> None:
    with pytest.raises(InputError, match="must be float32"):
        RankedDocuments(torch.arange(1), torch.arange(3)[None], torch.ones((1, 3), dtype=torch.bfloat16))
    query = torch.zeros((1, 64))
    query[0, 0] = 1
    documents = query.repeat(9, 1)
    documents[:, 1] = torch.arange(9) * 2e-3  # cosines that bfloat16 holds for equal
    assert (documents.bfloat16() @ query.bfloat16().T).unique().numel() == 1
    with torch.autocast("cpu", torch.bfloat16):
        (ranked,) = rank_documents(query, documents, depth=9)
    assert ranked.score.dtype == torch.float32
    assert ranked.row[0].tolist() == list(range(9))
    assert ranked.score.unique().numel() == 9


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("depth", [1, 3, 40])
def test_that_ranked_documents_are_those_of_brute_force_with_ties_uncut(metric: str, depth: int) -> None:
    rng = np.random.default_rng(1)
    documents = rng.standard_normal((60, 20)).astype(np.float32)
    documents[30:50] = documents[:20]  # duplicates
    documents[50:] = documents[0]
    queries = np.concatenate((documents[:4], rng.standard_normal((9, 20)))).astype(np.float32)
    pairs = rng.integers(60, size=(2, 70)) % [[13], [60]]
    excluded = RowLists.of_pairs(*map(torch.from_numpy, pairs), 13, 60)
    seen = []
    blocks = rank_documents(
        torch.from_numpy(queries),
        torch.from_numpy(documents),
        Distance(metric),
        depth=depth,
        excluded=excluded,  # type: ignore[arg-type]
    )
    for block in blocks:
        for query, row, score in zip(block.query.tolist(), block.row, block.score, strict=True):
            seen.append(query)
            q, d = queries[query].astype(np.float64), documents.astype(np.float64)
            true = {
                "cosine": d @ q / np.linalg.norm(d, axis=1) / np.linalg.norm(q),
                "inner-product": d @ q,
                "euclidean": -np.linalg.norm(d - q, axis=1),
                "squared-euclidean": -((d - q) ** 2).sum(1),
            }[metric]
            allowed = np.setdiff1d(np.arange(60), pairs[1][pairs[0] == query])
            order = allowed[np.argsort(-true[allowed], kind="stable")]
            row = row[row >= 0].numpy()
            np.testing.assert_allclose(true[row], true[order[: len(row)]], atol=1e-6)
            np.testing.assert_allclose(score[: len(row)], true[row], atol=1e-6)
            last = true[order[min(depth, len(order)) - 1]]
            assert set(row.tolist()) >= set(order[true[order] > last - 1e-9].tolist())
            assert not set(row.tolist()) - set(allowed.tolist())
            equal = np.flatnonzero(np.abs(np.diff(true[row])) < 1e-12)
            assert (score[equal] == score[equal + 1]).all(), "what is equal ties"
            assert (np.diff(row)[equal] > 0).all(), "in the order of rows"
    assert sorted(seen) == list(range(13))


def test_that_blocks_and_one_table_are_worth_the_same() -> None:
    grades = random_grades(4, 40, 30)
    score = np.random.default_rng(0).integers(9, size=grades.shape).astype(np.float32)
    whole = listed(score)
    parts = [
        RankedDocuments(whole.query[i : i + 7], whole.row[i : i + 7], whole.score[i : i + 7]) for i in range(0, 40, 7)
    ]
    one, many = (document_scores(blocks, judgements_of(grades), 40, 30) for blocks in ([whole], reversed(parts)))
    assert torch.equal(one.each.nan_to_num(-1), many.each.nan_to_num(-1))
    assert (one.judged_at_10, one.cut_off) == (many.judged_at_10, many.cut_off)


def test_that_a_list_which_may_end_inside_a_tie_is_counted_unless_it_says_that_it_is_whole() -> None:
    grades = np.array([[np.nan, np.nan, 1.0, np.nan]])
    cut = listed(np.ones((1, 4), np.float32), 2)
    assert document_scores([cut], judgements_of(grades), 1, 4).cut_off == 1
    whole = RankedDocuments(cut.query, cut.row, cut.score, whole=True)
    assert document_scores([whole], judgements_of(grades), 1, 4).cut_off == 0
    found = listed(np.array([[0, 0, 9, 1]], np.float32), 2)
    assert document_scores([found], judgements_of(grades), 1, 4).cut_off == 0, "all that is relevant was found before"


def test_that_what_was_not_judged_is_not_relevant_or_on_request_not_there() -> None:
    grades = np.array([[np.nan, 0.0, np.nan, 2.0]])
    ranked = listed(np.array([[4, 3, 2, 1]], np.float32))
    plain = document_scores([ranked], judgements_of(grades), 1, 4)
    condensed = document_scores([ranked], judgements_of(grades), 1, 4, judged_only=True)
    assert (plain.means["mrr_at_10"], condensed.means["mrr_at_10"]) == (0.25, 0.5)
    assert (plain.judged_at_10, condensed.judged_at_10) == (0.5, 1.0)


def test_that_no_query_with_a_positive_gives_no_number() -> None:
    scores = document_scores([listed(np.ones((2, 3), np.float32))], judgements_of(np.full((2, 3), np.nan)), 2, 3)
    assert (scores.queries, scores.without_positive) == (0, 2)
    assert all(math.isnan(value) for value in scores.means.values())
    assert list(scores.means) == list(DOCUMENT_METRICS)
    assert document_chance(judgements_of(np.zeros((2, 3))), 2, 3, depth=3) == {}


@pytest.mark.parametrize(
    ("row", "score", "says"),
    [
        ([[0, 1]], [[1.0, 2.0]], "must descend"),
        ([[-1, 1]], [[2.0, 1.0]], "no more documents"),
        ([[0, 1]], [[math.nan, 1.0]], "NaN"),
        ([[0, 0]], [[2.0, 1.0]], "names a document twice"),
        ([[0, 9]], [[2.0, 1.0]], "names document 9, but there are 4"),
    ],
)
def test_that_a_wrong_ranking_is_refused_in_a_sentence(
    row: list[list[int]], score: list[list[float]], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        ranked = RankedDocuments(torch.arange(1), torch.tensor(row), torch.tensor(score))
        document_scores([ranked], judgements_of(np.ones((1, 4))), 1, 4)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"depth": 2.5}, "depth = 2.5 is not allowed: it must be a whole number of at least 1"),
        ({"depth": True}, "depth = True is not allowed"),
        ({"distance": "cosine"}, "distance must be a Distance"),
        ({"documents": torch.zeros(5, 0), "queries": torch.zeros(2, 0)}, r"at least one column, not shape \(2, 0\)"),
        ({"queries": torch.ones(2, 3) * 1e20, "distance": Distance("inner-product")}, "inner products do not fit"),
        ({"documents": torch.ones(5, 3) * 1e20, "distance": Distance("squared-euclidean")}, "squared .* do not fit"),
        ({"queries": torch.ones(2, 3) * 1e-20, "distance": Distance("inner-product")}, "inner products vanish"),
    ],
)
def test_that_what_cannot_be_ranked_is_refused_in_a_sentence(change: dict[str, Any], says: str) -> None:
    documents = torch.ones(5, 3) * (1e-20 if "vanish" in says else 1e20)
    given: dict[str, Any] = {"queries": torch.ones(2, 3), "documents": documents} | change
    with pytest.raises(InputError, match=says):
        rank_documents(**given)


def test_that_long_queries_and_short_documents_are_ranked_where_their_products_fit() -> None:
    source = torch.Generator().manual_seed(2)
    queries, documents = torch.randn(4, 3, generator=source), torch.randn(9, 3, generator=source)
    (plain,) = rank_documents(queries, documents, Distance("inner-product"), depth=9)
    (scaled,) = rank_documents(queries * 2.0**90, documents * 2.0**-90, Distance("inner-product"), depth=9)
    assert torch.equal(plain.row, scaled.row) and torch.equal(plain.score, scaled.score)


@pytest.mark.parametrize(
    ("query", "document", "grade", "says"),
    [
        ([0, 1], [0], [1.0, 1.0], "2 queries, 1 documents and 2 grades"),
        ([-1, 3], [0, 1], [1.0, 1.0], "names query -1, but there are 4, from 0 on"),
        ([0, 1], [0, 5], [1.0, 1.0], "names document 5, but there are 5, from 0 on"),
        ([0, 1], [0, 1], [1.0, math.nan], "Grades hold NaN"),
    ],
)
def test_that_judgements_that_cannot_be_are_refused_in_a_sentence(
    query: list[int], document: list[int], grade: list[float], says: str
) -> None:
    rankings = rank_documents(torch.eye(4), torch.ones(5, 4))
    with pytest.raises(InputError, match=says):
        document_scores(rankings, Judgements(np.array(query), np.array(document), np.array(grade)), 4, 5)
