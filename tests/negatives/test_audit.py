"""The figures of an audit against counting by hand."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

import hnm_core
from hnm_core import data
from hnm_core.data.base import LoadCancelled
from hnm_core.data.judged import Items, JudgedSet
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.suspects import suspects
from hnm_core.negatives.mining import judged_set
from hnm_core.negatives.to_file import LabelledSet
from hnm_core.studies.auditing import MOST_ANCHORS, WAYS, Audit, Row, audit, request, with_front

from .sets import by_rules, similarities, small

ALL = 100_000
"""Anchors: nobody is left out."""
EXACT = {"exact": ("exact", {})}


def row_of(made: Audit, search: str, way: str) -> Row:
    (found,) = [row for row in made.rows if (row.search, row.way) == (search, way)]
    return found


def judged() -> JudgedSet:
    given = small()
    return judged_set(given.queries, given.documents, given.positives)


def noisy_digits() -> LabelledSet:
    found = data.create("label-noise", of="digits", noise=0.1)
    return LabelledSet(found.name, Items(found.ids, None, found.x), found.y, found.y_true)


@pytest.fixture(scope="module")
def of_digits() -> Audit:
    return audit(noisy_digits(), request(EXACT, anchors=ALL))


def test_that_figures_of_a_few_items_are_those_of_counting_by_hand() -> None:
    # On a line: class 0 at 0 and 5, class 1 at 1 and 7, class 2 at 3 and 20.
    x = np.array([[0.0], [5.0], [1.0], [7.0], [3.0], [20.0]], np.float32)
    given = LabelledSet("line", Items(np.arange(6), None, x), np.array([0, 0, 1, 1, 2, 2]))
    asked = request(EXACT, {"semi-hard": {"select": "semi-hard"}}, negatives=1, distance=Distance("euclidean"))
    made = audit(given, asked)
    nearest = row_of(made, "exact", "nearest")
    # The nearest of another class: 0-1, 5-7 or 5-3, 1-0, 7-5, 3-1 or 3-5, 20-7.
    assert nearest.similarity == pytest.approx(-(1 + 2 + 1 + 2 + 2 + 13) / 6)
    # The positives are at 5, 5, 6, 6, 17 and 17.
    assert nearest.lead == pytest.approx((4 + 3 + 5 + 4 + 15 + 4) / 6)
    assert (nearest.kept, nearest.filled, nearest.negatives, nearest.without, nearest.recall) == (1, 1, 6, 0, 1)
    semi_hard = row_of(made, "exact", "semi-hard")
    # Farther than 5: 7 from 0 (and 20); than 5: 15 from 5; than 6: 19 from 1; than 6: 7 from 7; nothing than 17 but
    # from 20 the 19 to 1.
    assert semi_hard.similarity == pytest.approx(-(7 + 15 + 19 + 7 + 19) / 5)
    assert semi_hard.lead == pytest.approx(-(2 + 10 + 13 + 1 + 2) / 5)
    assert (semi_hard.negatives, semi_hard.without, semi_hard.filled) == (5, 1, 5 / 6)
    assert (made.truth, math.isnan(nearest.known)) == (False, True)


def test_that_known_false_negatives_of_noisy_digits_are_those_that_are_counted(of_digits: Audit) -> None:
    given = noisy_digits()
    assert given.items.embeddings is not None
    assert given.true_labels is not None
    assert of_digits.truth
    for way, options in WAYS.items():
        mined = hnm_core.mine(given.items.embeddings, labels=given.labels, **options)
        there = mined.negative >= 0
        true = given.true_labels[mined.anchor][:, None] == given.true_labels[mined.negative.clip(0)]
        row = row_of(of_digits, "exact", way)
        assert row.known == pytest.approx(true[there].mean())
        assert (row.negatives, row.without) == (there.sum(), (~there.any(1)).sum())
        assert row.fewer == (there.any(1) & ~there.all(1)).sum()
    assert row_of(of_digits, "exact", "nearest").known > 0.7
    assert row_of(of_digits, "", "random").known < 0.06


def test_that_suspected_ones_of_noisy_digits_are_those_of_the_suspects(of_digits: Audit) -> None:
    given = noisy_digits()
    assert given.items.embeddings is not None
    found = suspects(torch.from_numpy(given.items.embeddings), torch.from_numpy(given.labels), Distance("cosine"))
    rather = dict(enumerate(given.labels.tolist())) | dict(zip(found.row.tolist(), found.instead.tolist(), strict=True))
    mined = hnm_core.mine(given.items.embeddings, labels=given.labels)
    pairs = [(anchor, row) for anchor, line in enumerate(mined.negative.tolist()) for row in line]
    row = row_of(of_digits, "exact", "nearest")
    assert row.suspected == pytest.approx(np.mean([rather[anchor] == rather[other] for anchor, other in pairs]))
    assert "vote" in of_digits.evidence


def test_that_hardness_kept_is_between_that_of_random_ones_and_that_of_the_nearest(of_digits: Audit) -> None:
    nearest, chance = row_of(of_digits, "exact", "nearest"), row_of(of_digits, "", "random")
    assert (nearest.kept, chance.kept) == (1, 0)
    window = row_of(of_digits, "exact", "rank window 10 to 40")  # all anchors get all, so means of means are means
    expected = (window.similarity - chance.similarity) / (nearest.similarity - chance.similarity)
    assert window.kept == pytest.approx(expected)
    margin = row_of(of_digits, "exact", "relative margin 0.1")
    assert margin.hardness == pytest.approx(margin.kept * margin.negatives / (3 * 1_797))


def test_that_hardness_kept_of_a_way_is_that_of_the_anchors_that_got_some() -> None:
    given = small()
    similarity = similarities(given.queries, given.documents)
    made = audit(judged(), request(EXACT, {"margin": {"relative_margin": 0.3}}, negatives=1, anchors=ALL))
    got = [
        by_rules(similarity[anchor], positives, negatives=1, looked_at=64, relative_margin=0.3)
        for anchor, positives in enumerate(given.positives)
    ]
    some = [anchor for anchor, rows in enumerate(got) if rows]
    own = sum(similarity[anchor, got[anchor][0]] for anchor in some)
    best = sum(
        similarity[anchor, by_rules(similarity[anchor], given.positives[anchor], negatives=1, looked_at=1)[0]]
        for anchor in some
    )
    row = row_of(made, "exact", "margin")
    assert 0 < len(some) < 50
    assert row.without == 60 - len(some)
    floor = (row.kept * best - own) / (row.kept - 1)  # what random ones must have summed up to
    allowed = [np.delete(similarity[anchor], given.positives[anchor]) for anchor in some]
    spread = sum(each.var() for each in allowed) ** 0.5
    assert abs(floor - sum(each.mean() for each in allowed)) < 4 * spread


def test_that_a_judged_set_suspects_what_is_nearer_than_every_positive() -> None:
    given = small()
    queries = given.queries + np.random.default_rng(5).standard_normal(given.queries.shape, np.float32)
    similarity = similarities(queries, given.documents)
    made = audit(judged_set(queries, given.documents, given.positives), request(EXACT, negatives=4, anchors=ALL))
    scores, leads = [], []
    for anchor, positives in enumerate(given.positives):
        for row in by_rules(similarity[anchor], positives, negatives=4, looked_at=4):
            scores.append(similarity[anchor, row])
            leads.append(similarity[anchor, row] - similarity[anchor, positives].max())
    row = row_of(made, "exact", "nearest")
    assert row.negatives == len(scores)
    assert row.similarity == pytest.approx(np.mean(scores), abs=1e-6)
    assert row.lead == pytest.approx(np.mean(leads), abs=1e-6)
    assert 0 < row.suspected < 1
    assert row.suspected == pytest.approx(np.mean(np.array(leads) > 0))
    assert row.filled == 1, "queries without a positive cannot have negatives"
    assert row.without == sum(not positives for positives in given.positives)
    assert row_of(made, "exact", "semi-hard").suspected == 0
    assert made.evidence_is_filter


def test_that_recall_is_the_share_of_the_exact_candidates_that_a_search_finds() -> None:
    given = small(documents=2_000)
    poor = {"tables": 1, "bits": 6, "probes": 0}
    asked = request({"poor": ("lsh-buckets", poor)}, {}, negatives=5, anchors=ALL)
    made = audit(judged_set(given.queries, given.documents, given.positives), asked)
    both = [
        hnm_core.mine(given.queries, given.documents, given.positives, num_negatives=5, **options).negative
        for options in ({"search": "lsh-buckets", "search_options": poor}, {})
    ]
    found = sum(len(set(one) & set(other) - {-1}) for one, other in zip(*(side.tolist() for side in both), strict=True))
    wanted = sum(bool(positives) for positives in given.positives) * 5
    # the nine queries without a positive are searched for, too, so that shares differ a little
    assert row_of(made, "poor", "nearest").recall == pytest.approx(found / wanted, abs=0.08)
    assert row_of(made, "poor", "nearest").recall < 0.9
    assert row_of(made, "exact", "nearest").recall == 1


@pytest.mark.parametrize("kind", ["judged", "classes"])
def test_that_a_sample_is_of_the_anchors_alone_and_is_told(kind: str) -> None:
    given = judged() if kind == "judged" else noisy_digits()
    whole = audit(given, request(EXACT, {}, anchors=ALL))
    part = audit(given, request(EXACT, {}, anchors=25, seed=4))
    other = audit(given, request(EXACT, {}, anchors=25, seed=5))
    assert (part.anchors, part.of_anchors) == (25, whole.anchors)
    assert part.candidates == whole.candidates
    one, two = (row_of(made, "exact", "nearest").similarity for made in (part, other))
    assert one != two
    assert one == pytest.approx(row_of(whole, "exact", "nearest").similarity, abs=0.2)
    assert request().anchors == MOST_ANCHORS


def test_that_a_search_that_refuses_the_set_is_left_out_with_its_reason() -> None:
    made = audit(judged(), request({"kdtree": ("kdtree", {})}, {}))
    assert {row.search for row in made.rows} == {"exact", ""}
    assert "8 dimensions" in made.skipped["kdtree"]


def test_that_the_front_holds_what_nothing_beats_and_the_advice_says_why() -> None:
    sample = audit(judged(), request(EXACT, {})).rows[0]

    def row(search: str, way: str, kept: float, false: float, filled: float, seconds: float) -> Row:
        return replace(
            sample, search=search, way=way, kept=kept, suspected=0.0, known=false, filled=filled, build_s=0.0,
            search_s=seconds,
        )  # fmt: skip

    rows = with_front(
        [
            row("exact", "nearest", 1.0, 0.5, 1.0, 9.0),
            row("exact", "margin", 0.9, 0.1, 1.0, 10.0),
            row("routed", "margin", 0.89, 0.1, 1.0, 2.0),
            row("lsh", "margin", 0.4, 0.1, 1.0, 1.0),
            row("exact", "strict", 0.95, 0.2, 0.5, 1.0),
            row("", "random", 0.0, 0.01, 1.0, 0.1),
            row("exact", "nothing", math.nan, math.nan, 0.0, 0.1),
        ]
    )
    assert [each.front for each in rows] == [True, True, False, False, False, True, False]
    made = Audit(rows, 10, 10, 10, 3, "by hand", True, {})
    assert made.advice == (
        "Take 'margin' with routed: it leaves most hardness in true negatives, keeping 89.0 % with 10.0 % known false "
        "negatives (the nearest: 50.0 %) and 100.0 % of the negatives asked for; of the 2 searches that come as far it "
        "takes the least of the time."
    )
    slower = replace(made, rows=[replace(each, search_s=6.0) if each.search == "routed" else each for each in rows])
    assert slower.advice.startswith("Take 'margin' with exact")
    assert "less than half of the time" in slower.advice
    built = [replace(each, build_s=5.0) if each.search == "routed" else each for each in rows]
    assert "with exact" in replace(made, rows=built).advice
    many = replace(made, rows=built, of_anchors=1_000)
    assert "with routed" in many.advice, "what is built once counts little where many more are searched for"
    assert "that all anchors should take" in many.advice
    assert replace(made, rows=rows[5:]).advice.startswith("No advice")


def test_that_it_can_be_called_off() -> None:
    seen = []

    def stop(done: int, total: int, what: str) -> bool:
        seen.append((done, total, what))
        return done < 2

    with pytest.raises(LoadCancelled):
        audit(judged(), request(EXACT, anchors=ALL), stop)
    assert seen == [(0, 6, "ways"), (1, 6, "ways"), (2, 6, "ways")]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"negatives": 0}, "1 to 100"),
        ({"anchors": 0}, "at least 1"),
        ({"searches": {"exakt": ("exakt", {})}}, "Did you mean exact"),
        ({"ways": {"more": {"negatives": 9}}}, "same for all ways"),
        ({"ways": {"more": {"relative_margn": 0.1}}}, "relative_margn"),
    ],
)
def test_that_what_does_not_go_is_refused(asked: dict, words: str) -> None:
    with pytest.raises(InputError, match=words):
        request(**asked)
