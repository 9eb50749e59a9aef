"""`hnm_core.mine` against its rules written down an anchor at a time, and what it promises beside them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

import hnm_core
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.negatives.anchors import of_classes, of_judged
from hnm_core.negatives.mining import Mined, Miner, SearchFinder, blocks_of, joined, judged_set
from hnm_core.negatives.options import checked
from hnm_core.neighbors.found import SearchCancelled
from hnm_core.spec.registry import NEIGHBORS
from tests.families import one_in

from .sets import by_rules, similarities, small

CHOICES: list[dict[str, Any]] = [
    {},
    {"num_negatives": 7},
    {"range_min": 3},
    {"range_min": 2, "range_max": 9, "num_negatives": 20},
    {"max_score": 0.3},
    {"min_score": 0.1, "num_negatives": 9},
    {"absolute_margin": 0.1},
    {"relative_margin": 0.2, "range_min": 1},
    {"absolute_margin": 0.05, "relative_margin": 0.05, "max_score": 0.6, "min_score": -0.2, "candidates": 150},
]


def rows_of(line: np.ndarray) -> list[int]:
    return line[line >= 0].tolist()


def same(one: Mined, other: Mined) -> bool:
    arrays = ("anchor", "offsets", "positive", "positive_score", "negative", "score", "why")
    equal = all(getattr(one, name).tobytes() == getattr(other, name).tobytes() for name in arrays)
    return equal and one.removed == other.removed and one.alike == other.alike


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_that_negatives_are_those_that_the_rules_leave(choice: dict[str, Any]) -> None:
    given = small()
    mined = hnm_core.mine(given.queries, given.documents, given.positives, **choice)
    similarity = similarities(given.queries, given.documents)
    filtered = any("margin" in name or "score" in name for name in choice)
    count, rank_min = choice.get("num_negatives", 3), choice.get("range_min", 0)
    looked_at = choice.get("range_max") or rank_min + max(count, choice.get("candidates", 64) if filtered else 0)
    limits = {name: value for name, value in choice.items() if "margin" in name or "score" in name}
    for anchor, positives in enumerate(given.positives):
        expected = by_rules(
            similarity[anchor], positives, negatives=count, looked_at=looked_at, rank_min=rank_min, **limits
        )
        assert rows_of(mined.negative[anchor]) == expected
        assert mined.positive[mined.offsets[anchor] : mined.offsets[anchor + 1]].tolist() == positives
    own = np.take_along_axis(similarity, mined.negative.clip(0), 1)
    assert np.allclose(mined.score, np.where(mined.negative >= 0, own, -np.inf), atol=1e-6)
    assert mined.score.dtype == mined.positive_score.dtype == np.float32


@pytest.mark.parametrize("choice", [{}, {"sampling_strategy": "random", "candidates": 20}, {"relative_margin": 0.3}])
def test_that_every_anchor_is_there_and_the_reasons_add_up(choice: dict[str, Any]) -> None:
    given = small()
    mined = hnm_core.mine(given.queries, given.documents, given.positives, num_negatives=12, **choice)
    assert mined.anchor.tolist() == list(range(60))
    assert mined.reasons["no positive"] == sum(not positives for positives in given.positives)
    assert mined.enough + sum(mined.reasons.values()) == 60
    full = (mined.negative >= 0).all(1)
    assert mined.enough == full.sum()
    if "relative_margin" in choice:
        assert mined.reasons["relative_margin"] > 0
        assert mined.removed["relative_margin"] > 0


def test_that_too_few_documents_are_the_reason_where_there_are_too_few() -> None:
    given = small(documents=6)
    positives = [[0, 1, 2, 3], [0], list(range(6))]
    mined = hnm_core.mine(given.queries[:3], given.documents, positives, num_negatives=5)
    assert [len(rows_of(line)) for line in mined.negative] == [2, 5, 0]
    assert mined.reasons == {"few documents": 2}
    assert (mined.enough, mined.some) == (1, 1)


@pytest.mark.parametrize(
    "choice",
    one_in(
        2,
        [
            {"search": "exact", "absolute_margin": 0.05},
            {"search": "exact", "sampling_strategy": "random", "keep_positives": "random"},
            {"search": "lsh-scan", "select": "pool", "pool": 9, "candidates": 30},
            {"search": "routed", "select": "distance-weighted", "candidates": 40},
            {"search": "exact", "like": "sentence-transformers", "sampling_strategy": "random", "range_max": 20},
        ],
    ),
    ids=str,
)
def test_that_neither_blocks_nor_threads_change_a_byte(choice: dict[str, Any]) -> None:
    given = small()
    search = choice.pop("search")
    one = hnm_core.mine(given.queries, given.documents, given.positives, search=search, seed=3, **choice)
    torch.set_num_threads(2)
    assert same(one, hnm_core.mine(given.queries, given.documents, given.positives, search=search, seed=3, **choice))
    if search == "exact":
        other = hnm_core.mine(given.queries, given.documents, given.positives, search=search, seed=4, **choice)
        drawn = choice.get("sampling_strategy") == "random"
        assert (other.negative.tobytes() != one.negative.tobytes()) == drawn
    judged = judged_set(given.queries, given.documents, given.positives)
    asked = checked({**choice, "seed": 3})
    for size in (1, 7, 59):
        anchors = of_judged(judged, asked)
        miner = Miner(anchors, asked, Distance("cosine"), SearchFinder(NEIGHBORS.part(search, {}), Distance("cosine")))
        assert same(one, joined([block.mined for block in blocks_of(miner, size)]))


@pytest.mark.parametrize("positives", ["random", "hardest", "easiest"])
def test_that_an_anchor_stands_with_one_positive_where_that_is_asked_for(positives: str) -> None:
    given = small()
    mined = hnm_core.mine(
        given.queries, given.documents, given.positives, keep_positives=positives, absolute_margin=0.0
    )
    similarity = similarities(given.queries, given.documents)
    for anchor, own in enumerate(given.positives):
        kept = mined.positive[mined.offsets[anchor] : mined.offsets[anchor + 1]].tolist()
        assert len(kept) == bool(own)
        if not own:
            continue
        scores = {row: similarity[anchor, row] for row in own}
        if positives != "random":
            best = (min if positives == "hardest" else max)(scores, key=lambda row: scores[row])
            assert kept == [best]
        assert kept[0] in own
        assert not set(rows_of(mined.negative[anchor])) & set(own), "other positives are no negatives either"
        assert (mined.score[anchor][mined.negative[anchor] >= 0] <= scores[kept[0]] + 1e-6).all()


def test_that_margins_speak_of_the_farthest_positive_or_of_the_nearest() -> None:
    given = small()
    similarity = similarities(given.queries, given.documents)
    for guard, pick in (("paired", min), ("nearest", max)):
        mined = hnm_core.mine(given.queries, given.documents, given.positives, absolute_margin=0.1, guard=guard)
        for anchor, own in enumerate(given.positives):
            if own:
                limit = pick(similarity[anchor, row] for row in own) - 0.1
                assert (mined.score[anchor] <= limit + 1e-6).all()


def test_that_semi_hard_negatives_are_farther_than_the_positive_and_the_nearest_of_these() -> None:
    given = small()
    mined = hnm_core.mine(
        given.queries, given.documents, given.positives, select="semi-hard", keep_positives="easiest", candidates=199
    )
    similarity = similarities(given.queries, given.documents)
    for anchor, own in enumerate(given.positives):
        if own:
            nearest = max(similarity[anchor, row] for row in own)
            order = [r for r in np.argsort(-similarity[anchor]) if r not in own and similarity[anchor, r] < nearest]
            assert rows_of(mined.negative[anchor]) == order[:3]


def test_that_random_ones_are_drawn_evenly_from_all_that_are_left() -> None:
    given = small(queries=2_000, documents=50)
    positives = [[0]] * 2_000
    mined = hnm_core.mine(
        given.queries, given.documents, positives, sampling_strategy="random", candidates=49, num_negatives=2
    )
    counts = np.bincount(mined.negative.ravel(), minlength=50)
    assert counts[0] == 0
    expected = 4_000 / 49
    assert (np.abs(counts[1:] - expected) < 5 * expected**0.5).all()
    assert (mined.negative[:, 0] != mined.negative[:, 1]).all()


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "inner-product"])
def test_that_items_of_classes_get_the_nearest_of_other_classes(metric: str) -> None:
    given = small(documents=150)
    labels = np.arange(150) % 9 * 5 - 2
    mined = hnm_core.mine(given.documents, labels=labels, metric=metric, num_negatives=4)
    points = given.documents.astype(np.float64)
    score = {
        "euclidean": -np.sqrt(np.square(points[:, None] - points[None]).sum(2)),
        "cosine": similarities(given.documents, given.documents),
        "inner-product": points @ points.T,
    }[metric]
    score = np.where(labels[:, None] == labels[None], -np.inf, score)
    assert np.array_equal(mined.negative, np.argsort(-score, axis=1, kind="stable")[:, :4])
    assert np.allclose(mined.score, -np.sort(-score, axis=1)[:, :4], rtol=1e-5, atol=1e-5)
    assert (np.diff(mined.offsets) == 1).all()
    assert (labels[mined.positive] == labels).all()
    assert (mined.positive != np.arange(150)).all()


def test_that_items_of_classes_get_the_same_in_blocks_of_any_size() -> None:
    given = small(documents=150)
    labels = np.arange(150) % 9
    one = hnm_core.mine(given.documents, labels=labels, sampling_strategy="random", relative_margin=0.1)
    asked = checked({"sampling_strategy": "random", "relative_margin": 0.1})
    for size in (1, 40):
        miner = Miner(
            of_classes(given.documents, labels),
            asked,
            Distance("cosine"),
            SearchFinder(NEIGHBORS.part("exact", {}), Distance("cosine")),
        )
        assert same(one, joined([block.mined for block in blocks_of(miner, size)]))


def test_that_a_class_of_one_item_has_no_positive_and_one_class_no_negatives() -> None:
    given = small(documents=10)
    mined = hnm_core.mine(given.documents, labels=np.array([0] * 9 + [1]))
    assert mined.reasons == {"no positive": 1, "few documents": 9}
    mined = hnm_core.mine(given.documents, labels=np.zeros(10, np.int64))
    assert mined.reasons == {"few documents": 10}


def test_that_positives_are_sets_and_numbers_of_any_kind_and_arrays_lie_as_they_like() -> None:
    expected = hnm_core.mine(GIVEN.queries, GIVEN.documents, [[0], [1], [2], [3]], num_negatives=2)
    mixed = [np.uint64([0]), [1], np.int8([2]), [3]]
    for positives in ([{0}, {1}, {2}, {3}], [0, 1, 2, 3], np.arange(4)[:, None], mixed):
        made = hnm_core.mine(GIVEN.queries, GIVEN.documents, positives, num_negatives=2)
        assert np.array_equal(made.negative, expected.negative)
    fixed = GIVEN.queries.copy()
    fixed.flags.writeable = False
    double = fixed.astype(">f8")
    for queries in (fixed, np.asfortranarray(fixed), double, np.repeat(fixed, 2, 0)[::2], torch.tensor(double + 0.0)):
        made = hnm_core.mine(queries, GIVEN.documents, [0, 1, 2, 3], num_negatives=2)
        assert np.array_equal(made.score, expected.score)


def test_that_pairs_are_positives_by_their_places() -> None:
    given = small(queries=40)
    pairs = given.documents[:40]
    mined = hnm_core.mine(given.queries, pairs)
    assert mined.positive.tolist() == list(range(40))
    assert same(mined, hnm_core.mine(torch.from_numpy(given.queries), pairs, [[row] for row in range(40)]))


def test_that_documents_that_are_the_same_come_once_and_never_beside_a_positive_that_they_are() -> None:
    given = small(queries=8, documents=30)
    documents = np.concatenate((given.documents, given.documents[:12]))  # rows 30 .. 41 are rows 0 .. 11
    positives = [[place] for place in range(7)] + [[35]]  # and 35 is 5
    mined = hnm_core.mine(given.queries, documents, positives, num_negatives=29)
    assert mined.alike == {"documents": 12}
    assert mined.negative.max() < 30
    for anchor in range(7):
        assert sorted(rows_of(mined.negative[anchor])) == [row for row in range(30) if row != anchor]
    assert 5 not in mined.negative[7]
    assert mined.positive.tolist() == [*range(7), 35], "what was judged is told as it was judged"


def test_that_the_same_text_is_the_same_document_however_it_was_encoded() -> None:
    given = small(queries=4, documents=20)
    text = [f"text {row % 15}" for row in range(20)]  # 15 .. 19 are 0 .. 4
    mined = hnm_core.mine(given.queries, given.documents, [[0], [1], [2], [18]], document_text=text, num_negatives=14)
    assert mined.alike == {"documents": 5}
    assert mined.negative.max() < 15
    assert 3 not in mined.negative[3]


def test_that_what_is_only_alike_is_another_document() -> None:
    rows = np.ones((3, 4), np.float32)
    rows[1] *= 1 + 1e-6
    rows[2] *= 2  # at cosine distance 0, and yet other numbers
    mined = hnm_core.mine(rows[:1] - 0.5, rows, [[0]], num_negatives=2)
    assert mined.alike == {}
    assert sorted(mined.negative[0]) == [1, 2]


def test_that_a_query_among_the_documents_is_no_negative_of_itself() -> None:
    given = small(queries=5, documents=20)
    queries = given.documents[:5]
    positives = [[10], [11], [12], [13], [14]]
    by_embedding = hnm_core.mine(queries, given.documents, positives, num_negatives=18)
    names = [f"d{row}" for row in range(20)]
    by_text = hnm_core.mine(
        given.queries, given.documents, positives, num_negatives=18, query_text=names[:5], document_text=names
    )
    for mined in (by_embedding, by_text):
        assert mined.alike == {"queries among the documents": 5}
        assert all(anchor not in mined.negative[anchor] for anchor in range(5))


def test_that_a_positive_with_the_querys_id_is_not_taken_for_the_query() -> None:
    given = small(queries=4, documents=10)
    made = judged_set(given.queries, given.documents, [[0], [1], [2], [3]])
    names = [f"n{row}" for row in range(10)]
    named = replace(
        made, queries=replace(made.queries, ids=[*names[:3], "n7"]), documents=replace(made.documents, ids=names)
    )
    anchors = of_judged(named, checked({}))
    assert anchors.alike == {"queries among the documents": 1}
    assert anchors.judged.excluded.row.tolist() == [7]
    assert anchors.judged.excluded.sizes.tolist() == [0, 0, 0, 1]


def test_that_queries_of_one_text_do_not_get_each_others_positives() -> None:
    given = small(queries=3, documents=12)
    mined = hnm_core.mine(
        given.queries,
        given.documents,
        [[0], [1], [2]],
        num_negatives=11,
        query_text=["same", "other", "same"],
        document_text=[f"d{row}" for row in range(12)],
    )
    assert mined.alike == {"queries": 1, "positives of the same query": 2}
    assert not {0, 2} & set(mined.negative[0].tolist() + mined.negative[2].tolist())
    assert 0 in mined.negative[1]


def test_that_items_of_classes_that_are_the_same_come_once_and_not_for_each_other() -> None:
    given = small(documents=12)
    points = np.concatenate((given.documents, given.documents[:4]))
    labels = np.array([0] * 6 + [1] * 6 + [1] * 4)  # 12 .. 15 are 0 .. 3, with another label
    mined = hnm_core.mine(points, labels=labels, num_negatives=9)
    assert mined.alike == {"documents": 4}
    assert 12 not in mined.negative[0]
    assert sorted(rows_of(mined.negative[4])) == [6, 7, 8, 9, 10, 11, 12, 13, 14] or len(mined.negative[4]) == 9
    for line in mined.negative:
        spots = [row % 12 for row in rows_of(line)]
        assert len(set(spots)) == len(spots)


def test_that_a_row_of_zeros_wins_nothing() -> None:
    given = small(queries=5, documents=30)
    documents = given.documents.copy()
    documents[7] = 0
    queries = given.queries[:5].copy()
    queries[2] = 0
    mined = hnm_core.mine(queries, documents, [[0], [1], [2], [3], [4]], num_negatives=3)
    assert np.isfinite(mined.score).all()
    assert (mined.score[:, 0] > 0)[[0, 1, 3, 4]].all()
    assert mined.score[2].tolist() == [0, 0, 0]


def test_that_progress_is_told_and_can_call_it_off() -> None:
    given = small()
    calls: list[tuple[int, int]] = []
    hnm_core.mine(
        given.queries, given.documents, given.positives, progress=lambda done, total: calls.append((done, total))
    )
    assert (calls[0], calls[-1]) == ((0, 60), (60, 60))
    with pytest.raises(SearchCancelled):
        hnm_core.mine(given.queries, given.documents, given.positives, progress=lambda _done, _total: False)


GIVEN = small(queries=4, documents=10)
WRONG: list[tuple[dict[str, Any], str]] = [
    ({"positives": None}, "4 queries and 10 documents"),
    ({"positives": [[0]]}, "There are 1 lists of positives for 4 queries"),
    ({"positives": [[0], [1], [2], [10]]}, "Positive 10 is no row of the documents; their rows are 0 to 9"),
    ({"positives": [[0], [-1], [2], [3]]}, "Positive -1 is no row"),
    ({"positives": [[0.5], [1], [2], [3]]}, "of integers for each query, not float64"),
    ({"documents": None, "positives": None}, "Give documents with positives, or labels"),
    ({"labels": np.zeros(4, np.int64)}, "labels are of items without documents"),
    ({"documents": None, "positives": None, "labels": np.zeros(3, np.int64)}, "labels must be 4 integers"),
    ({"documents": np.full((10, 24), np.nan, np.float32)}, "10 of 10 embeddings of the documents hold NaN"),
    ({"queries": 1e300 * GIVEN.queries.astype(float)}, "4 of 4 embeddings of the queries are too large or too small"),
    ({"documents": 1e-60 * GIVEN.documents.astype(float)}, "10 of 10 embeddings of the documents are too large or too"),
    ({"queries": np.ma.masked_greater(GIVEN.queries, 0)}, "The queries have masked numbers"),
    ({"queries": torch.ones(4, 24).to_sparse()}, "The queries must be a table with numbers"),
    ({"documents": torch.ones(10, 24, device="meta")}, "The documents must be a table with numbers"),
    ({"positives": {0: [0], 1: [1], 2: [2], 3: [3]}}, "lists of rows, one for each query, not a dict"),
    ({"positives": 4}, "lists of rows, one for each query, not a int"),
    ({"positives": [[[1], [2, 3]], [1], [2], [3]]}, r"a list of integers for each query, not object \(query 0\)"),
    ({"positives": [[0], [[1, 2]], [2], [3]]}, r"not an array of the shape \(1, 2\) \(query 1\)"),
    ({"positives": [[0], [2**63], [2], [3]]}, r"Positive 9223372036854775808 is no row of the documents \(query 1\)"),
    ({"query_text": "four", "document_text": ["a"] * 10}, "query_text must be a list of text"),
    ({"query_text": ["a", "b", "c", None], "document_text": ["a"] * 10}, "query_text must be a list of text"),
    ({"documents": np.zeros((10, 3), np.float32)}, "24 dimensions and its documents 3"),
    ({"queries": [[1.0]]}, "The queries must be a table of floats"),
    ({"queries": np.zeros((4, 2), int)}, r"of shape \(N, D\), not int64 of \(4, 2\)\."),
    ({"queries": np.zeros((0, 2), np.float32)}, r"queries need at least one row and one column, not shape \(0, 2\)"),
    ({"document_text": ["a"]}, "document_text has 1 texts for 10 embeddings"),
    ({"search": "nearest"}, "Unknown neighbour search 'nearest'"),
    ({"metric": "manhattan"}, "Unknown distance 'manhattan'"),
    ({"num_negatives": 0}, "negatives"),
    ({"negative": 3}, "negative"),
    ({"num_negatives": 3, "negatives": 3}, "another name"),
    ({"metric": "euclidean", "max_score": 0.5}, "max_score = 0.5 bounds a similarity"),
    ({"metric": "euclidean", "select": "distance-weighted"}, "unit sphere"),
    ({"like": "sentence-transformers", "pool": 3}, "pool is unknown to sentence-transformers"),
    ({"like": "sentence-transformers", "metric": "euclidean"}, "goes with the cosine"),
    ({"like": "sentence-transformers", "range_max": 2}, "more than the 2 candidates"),
]


@pytest.mark.parametrize(("change", "words"), WRONG, ids=[words for _, words in WRONG])
def test_that_wrong_input_is_refused_in_a_sentence(change: dict[str, Any], words: str) -> None:
    positives = [[0], [1], [2], [3]]
    given = {"queries": GIVEN.queries, "documents": GIVEN.documents, "positives": positives, **change}
    with pytest.raises(InputError, match=words):
        hnm_core.mine(**given)
