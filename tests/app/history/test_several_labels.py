"""What runs over items with several labels each say of them."""

from __future__ import annotations

import numpy as np

from app.history.class_pair_words import cell_text
from app.history.class_pairs import class_pairs
from app.history.finding import matches
from app.history.inspection import facts, inspect
from app.history.tracks import Mentions
from hnm_core.run.evaluated import Evaluated
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.shown import class_words
from tests.app import runs


def started(*, shares: bool) -> RunStarted:
    return RunStarted(
        runs.config(),
        labels=np.array([0, 1, 2, 0]),
        ids=np.arange(4),
        held_out=np.zeros(4, np.bool_),
        class_names=("sea", "sky", "(no label)"),
        items_total=4,
        evaluated=Evaluated(4, 4, 4, 0, shares=shares),
    )


def test_that_a_class_is_called_the_rarest_label_where_items_have_several():
    of_labels, of_classes = started(shares=True), started(shares=False)
    assert [class_words(of_labels, label) for label in range(3)] == ["rarest label sea", "rarest label sky", "no label"]
    assert class_words(of_classes, 0) == "class sea"
    told = facts(of_labels, [], 1)
    assert told is not None and told.words == "rarest label sky"
    assert matches(of_labels, [], "sea")[0].text == "rarest label sea: 2 points, isolate"


def test_that_a_pair_of_one_label_says_that_what_shares_a_label_is_no_negative():
    triplets = np.array([[0, 3, 1], [3, 0, 1]], np.int32)
    frame = Frame("knn", 1, np.zeros((4, 3), np.float32), triplets, 2)
    names = started(shares=True).class_names
    texts = [cell_text(class_pairs(started(shares=shares), frame), 0, 0, names.__getitem__) for shares in (True, False)]
    assert texts[0].startswith("sea: one label. What shares a label is no negative")
    assert texts[1].startswith("sea: one class.")


def test_that_neighbours_of_another_rarest_label_are_not_called_of_another_class():
    frame = Frame("knn", 1, np.eye(4, 3, dtype=np.float32), np.array([[0, 3, 1]], np.int32), 1)
    none = Mentions(np.empty((0, 3), np.int64), np.empty(0, np.float32), 0)
    of_labels, of_classes = (inspect(started(shares=shares), frame, none, 0, [1]) for shares in (True, False))
    for told in (of_labels.neighbours, of_labels.input_neighbours):
        assert told and not any(one.other_class for one in told)
    assert [one.words for one in of_labels.negatives] == ["rarest label sky"]
    assert of_labels.input_neighbours[0].words == "rarest label sky"
    assert of_classes.input_neighbours[0].other_class
