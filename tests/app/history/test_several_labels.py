"""What runs over items with several labels each say of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from app.history.class_pair_words import cell_text
from app.history.class_pairs import class_pairs
from app.history.finding import matches, nothing_fits
from app.history.inspection import facts, inspect
from app.history.tracks import Mentions
from hnm_core.run.evaluated import Evaluated
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.shown import class_words, item_words, label_counts, names_in_short
from hnm_core.run.told_labels import ToldLabels
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


def telling() -> RunStarted:
    """0 sea and sky, 1 sky, 2 nothing, 3 sea; and 9, a guest of some frame, of which the rarest alone is told."""
    several = ToldLabels(np.array([0, 0, 1, 3]), np.array([0, 1, 1, 0]))
    return replace(started(shares=True), several=several)


def test_that_an_item_is_called_by_all_of_its_labels_and_a_label_is_found_in_all():
    run = telling()
    assert [item_words(run, item, label) for item, label in ((0, 0), (1, 1), (2, 2), (9, 1))] == [
        "labels sea, sky",
        "label sky",
        "no label",
        "rarest label sky",
    ]
    told = [facts(run, [], item) for item in (0, 1, 2)]
    assert [one.labels for one in told if one is not None] == [("sea", "sky"), ("sky",), ()]
    assert [match.text for match in matches(run, [], "label sky")] == [
        "label sky: 2 points, isolate",
        "0 · sea, sky",
        "1 · sky",
    ]
    assert nothing_fits(run) == "No point and no label fits"


def test_that_many_labels_are_cut_with_their_count():
    names = ("cat", "night", "blur", "sea")
    assert [names_in_short(names, room) for room in (0, 10, 11, 16, 99)] == [
        "cat +3",
        "cat +3",
        "cat +3",
        "cat, night +2",
        "cat, night, blur, sea",
    ]


def test_that_partners_and_neighbours_tell_what_they_share():
    frame = Frame("knn", 1, np.eye(4, 3, dtype=np.float32), np.array([[0, 3, 1], [3, 0, 1]], np.int32), 2)
    none = Mentions(np.empty((0, 3), np.int64), np.empty(0, np.float32), 0)
    first, last = (inspect(telling(), frame, none, item, [1]) for item in (0, 3))
    assert [one.words for one in first.positives] == ["label sea; shares sea"]
    assert [one.words for one in first.negatives] == ["label sky; shares sky"]
    assert [one.words for one in last.negatives] == ["label sky; shares no label"]


def test_that_labels_are_counted_each_and_once_where_no_more_than_the_rarest_is_told():
    run, every = telling(), np.ones(5, np.bool_)
    ids, labels = np.append(run.ids, 9), np.append(run.labels, 1)
    assert label_counts(run, ids, labels, every).tolist() == [2, 3, 1]
    assert label_counts(replace(run, several=None), ids, labels, every).tolist() == [2, 2, 1]
