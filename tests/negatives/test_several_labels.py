"""Negatives of items with several labels each, against the table of all pairs that share one."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch

import hnm_core
from hnm_core import several_labels
from hnm_core.data.item_labels import ItemLabels
from hnm_core.data.judged import Items
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.negatives.choosing import NO_POSITIVE
from hnm_core.negatives.mining import Mined, Miner, SearchFinder, blocks_of, joined
from hnm_core.negatives.options import checked
from hnm_core.negatives.to_file import LabelledSet, anchors_of
from hnm_core.spec.registry import NEIGHBORS
from hnm_core.studies.auditing import audit, request

SOURCE = np.random.default_rng(5)
X = SOURCE.standard_normal((400, 8)).astype(np.float32)
TABLE = SOURCE.random((400, 6)) < 0.15
TABLE[:, 0] = SOURCE.random(400) < 0.5  # a label on half of them
TABLE[::9] = False
SHARED = (TABLE.astype(int) @ TABLE.T.astype(int)) > 0
np.fill_diagonal(SHARED, True)
SIMILARITY = (lambda unit: unit @ unit.T)(X.astype(np.float64) / np.linalg.norm(X.astype(np.float64), axis=1)[:, None])
WITHOUT = ~TABLE.any(1)


def labelled() -> LabelledSet:
    item, label = np.nonzero(TABLE)
    several = ItemLabels.of_pairs(item, label, 400, 6)
    return LabelledSet("set", Items(np.arange(400), None, X), several.rarest(), None, several)


def assert_true_to_labels(mined: Mined) -> None:
    anchors = np.arange(400)
    there = mined.negative >= 0
    assert not (SHARED[anchors[:, None], mined.negative] & there).any()
    owner = np.repeat(anchors, np.diff(mined.offsets))
    assert SHARED[owner, mined.positive].all()
    assert (owner != mined.positive).all()


def test_that_mined_negatives_are_the_nearest_that_share_no_label() -> None:
    mined = hnm_core.mine(X, labels=TABLE, negatives=4)
    assert_true_to_labels(mined)
    order = np.where(SHARED, -np.inf, SIMILARITY).argsort(1)[:, ::-1][:, :4]
    assert np.array_equal(mined.negative[~WITHOUT], order[~WITHOUT])
    assert np.diff(mined.offsets)[~WITHOUT].tolist() == [1] * int((~WITHOUT).sum())


def test_that_an_item_without_a_label_is_counted_and_may_be_the_negative_of_all() -> None:
    mined = hnm_core.mine(X, labels=torch.from_numpy(TABLE), negatives=4)
    assert len(mined) == 400, "nobody vanishes"
    assert mined.reasons == {"no positive": int(WITHOUT.sum())}
    assert (mined.why[WITHOUT] == NO_POSITIVE).all()
    assert (mined.negative[WITHOUT] == -1).all()
    assert WITHOUT[mined.negative[~WITHOUT]].any()


@pytest.mark.parametrize("keep", ["random", "hardest", "easiest"])
def test_that_an_anchor_stands_with_the_item_that_is_asked_for(keep: str) -> None:
    mined = hnm_core.mine(X, labels=TABLE, keep_positives=keep)
    assert_true_to_labels(mined)
    others = SHARED & ~np.eye(400, dtype=bool)
    if keep == "random":
        assert len(np.unique(mined.positive)) > 150
        return
    sign = -1 if keep == "hardest" else 1
    best = np.where(others, sign * SIMILARITY, -np.inf).argmax(1)
    assert np.array_equal(mined.positive, best[~WITHOUT])


def test_that_lists_sets_and_tables_of_labels_say_the_same() -> None:
    lists = [np.flatnonzero(row).tolist() for row in TABLE]
    ways = (TABLE, TABLE.astype(np.uint8), lists, [{-7 + 3 * label for label in one} for one in lists])
    first, *others = (hnm_core.mine(X, labels=labels) for labels in ways)
    for other in others:
        assert np.array_equal(first.negative, other.negative)
        assert np.array_equal(first.positive, other.positive)


def test_that_blocks_and_room_change_no_answer() -> None:
    def mined(size: int | None) -> Mined:
        options = checked({"negatives": 3, "select": "rank-window", "rank_max": 30, "keep_positives": "random"})
        distance = Distance("cosine")
        finder = SearchFinder(NEIGHBORS.part("exact", {}), distance)
        miner = Miner(anchors_of(labelled(), options), options, distance, finder)
        return joined([block.mined for block in blocks_of(miner, size)])

    whole = mined(None)
    with patch.object(several_labels, "PAIRS_AT_ONCE", 1_000):
        parted = mined(37)
    for name in ("anchor", "offsets", "positive", "negative", "why"):
        assert np.array_equal(getattr(whole, name), getattr(parted, name)), name


@pytest.mark.parametrize("search", ["exact", "routed", "lsh-scan", "lsh-buckets"])
def test_that_every_search_mines_what_shares_no_label(search: str) -> None:
    assert_true_to_labels(hnm_core.mine(X, labels=TABLE, search=search))


def test_that_an_audit_judges_by_what_is_nearer_than_the_positive() -> None:
    made = audit(labelled(), request(anchors=200))
    assert made.evidence_is_filter
    assert {row.search for row in made.rows} == {"exact", "routed", "lsh-scan", "lsh-buckets", ""}
    by_chance = next(row for row in made.rows if row.way == "random")
    assert by_chance.filled == 1.0
    assert by_chance.negatives == 3 * (200 - by_chance.without)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([[1]] * 399, "399 lists of labels for 400 items"),
        ([["a"]] * 400, "item 0 must be a list of integers"),
        ([[[1]]] * 400, "item 0 must be a list of integers"),
        (TABLE.astype(int) * 2, "holds 0 and 1 alone"),
        (TABLE.astype(np.float32), "400 integers, one for each item"),
        (TABLE[:, :0], "400 integers, one for each item"),
    ],
)
def test_that_labels_that_are_none_get_a_sentence(labels: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        hnm_core.mine(X, labels=labels)


def test_that_the_choice_of_sentence_transformers_is_of_no_items() -> None:
    with pytest.raises(InputError, match="like = sentence-transformers goes with"):
        hnm_core.mine(X, labels=TABLE, like="sentence-transformers")


def test_that_a_set_on_the_command_line_is_mined_whatever_it_came_in(tmp_path: Path) -> None:
    from hnm_core.negatives.to_file import Request, meta_of, mine_to_file

    for place, given in enumerate((labelled(), labelled())):
        out = tmp_path / f"{place}.jsonl"
        asked = Request(out, checked({}), NEIGHBORS.part("exact", {}), Distance("cosine"), "ids")
        mine_to_file(given, asked)
        assert '"kind": "several labels an item"' in meta_of(out).read_text(encoding="utf-8")
    assert (tmp_path / "0.jsonl").read_bytes() == (tmp_path / "1.jsonl").read_bytes()
