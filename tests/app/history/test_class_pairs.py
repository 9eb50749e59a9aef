"""Which classes are mined against which, against plain loops over the triplets."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from app.history.class_axis import MOST_CLASSES, alike, class_axis, clustered
from app.history.class_pair_words import caption, cell_text, details, lane_text, part_text, share_text
from app.history.class_pairs import ClassPairs, class_pairs, ranked
from app.history.words import shared_and_own
from hnm_core.run.events import Frame, Guests, RunStarted
from hnm_core.run.hardness import Hardness
from hnm_core.spec.config import ExperimentConfig

POINTS = 300


def started(classes: int = 7, noisy: bool = False) -> RunStarted:
    labels = np.arange(POINTS) % classes
    truth = np.where(np.arange(POINTS) % 9 == 0, (labels + 1) % classes, labels) if noisy else None
    names = tuple(f"c{label}" for label in range(classes))
    held_out = np.zeros(POINTS, np.bool_)
    return RunStarted(ExperimentConfig(), labels, np.arange(POINTS) * 2, held_out, names, true_labels=truth)


def frame(count: int = 500, margin: float = 0.3, seed: int = 0, lane: str = "knn") -> Frame:
    """Random tuples, every tenth without a negative, every eleventh without an anchor."""
    rng = np.random.default_rng(seed)
    triplets = (rng.integers(0, POINTS, (count, 3)) * 2).astype(np.int32)
    triplets[::10, 2] = -1
    triplets[::11, 0] = -1
    separation = rng.normal(0.2, 0.4, count).astype(np.float32)
    bins = np.zeros(64, np.int64)
    return Frame(
        lane,
        40,
        np.zeros((POINTS, 3), np.float32),
        triplets,
        count,
        separation=separation,
        age=rng.integers(0, 8, count).astype(np.int32),
        hardness=Hardness(margin, 1, 1, 1, 1.0, 0, bins),
    )


def counted(run: RunStarted, told: Frame) -> tuple[Counter, Counter, Counter]:
    """Mined, hard and false pairs by class, in a loop."""
    label = dict(zip(run.ids.tolist(), run.labels.tolist(), strict=True))
    truth = {} if run.true_labels is None else dict(zip(run.ids.tolist(), run.true_labels.tolist(), strict=True))
    if told.guests is not None:
        label |= dict(zip(told.guests.ids.tolist(), told.guests.labels.tolist(), strict=True))
        if told.guests.true_labels is not None:
            truth |= dict(zip(told.guests.ids.tolist(), told.guests.true_labels.tolist(), strict=True))
    mined, hard, false = Counter(), Counter(), Counter()
    for (anchor, _, negative), separation in zip(told.triplets.tolist(), told.separation.tolist(), strict=True):
        if anchor >= 0 and negative >= 0:
            pair = label[anchor], label[negative]
            mined[pair] += 1
            hard[pair] += separation <= 0
            false[pair] += bool(truth) and truth[anchor] == truth[negative]
    return mined, hard, false


def made(counts: dict[tuple[int, int], int], lane: str = "knn") -> ClassPairs:
    """Pairs that were mined so often, the most first."""
    order = sorted(counts, key=lambda pair: -counts[pair])
    anchor, negative = (np.array([pair[side] for pair in order], np.int64) for side in (0, 1))
    mined = np.array([counts[pair] for pair in order], np.int64)
    none = np.zeros(len(order), np.int64)
    return ClassPairs(lane, 1, anchor, negative, mined, none, none, True, 8, int(mined.sum()), int(mined.sum()))


@pytest.mark.parametrize("noisy", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_that_every_pair_of_classes_is_counted_as_a_loop_counts_it(seed, noisy):
    run, told = started(noisy=noisy), frame(seed=seed)
    pairs = class_pairs(run, told)
    mined, hard, false = counted(run, told)
    assert {(a, n) for a, n in zip(pairs.anchor.tolist(), pairs.negative.tolist(), strict=True)} == set(mined)
    for anchor in range(7):
        for negative in range(7):
            pair = anchor, negative
            assert pairs.of(anchor, negative) == (mined[pair], hard[pair], false[pair])
    assert pairs.total == sum(mined.values()) and pairs.hard_known
    assert pairs.mined.tolist() == sorted(mined.values(), reverse=True)
    assert (pairs.steps, pairs.told, pairs.tuples) == (8, 500, 500)
    assert (sum(false.values()) > 0) is noisy


def test_that_guests_are_counted_by_their_own_classes():
    run, told = started(noisy=True), frame()
    guests = Guests(
        ids=np.array([1001, 1003]),
        labels=np.array([5, 6]),
        positions=np.zeros((2, 3), np.float32),
        true_labels=np.array([5, 1]),
    )
    triplets = told.triplets.copy()
    triplets[1::7, 0], triplets[2::5, 2] = 1001, 1003
    told = replace(told, triplets=triplets, guests=guests)
    mined, hard, false = counted(run, told)
    pairs = class_pairs(run, told)
    for pair in mined:
        assert pairs.of(*pair) == (mined[pair], hard[pair], false[pair])
    assert pairs.total == sum(mined.values())


def test_that_a_frame_without_tuples_or_without_their_hardness_says_so():
    run = started()
    none = class_pairs(run, replace(frame(), triplets=np.empty((0, 3), np.int32), separation=None, age=None))
    assert none.total == 0 and len(none.mined) == 0 and none.steps == 0
    assert none.share_of(np.arange(3)) == 1.0 and none.of(0, 1) == (0, 0, 0)
    old = class_pairs(run, replace(frame(), separation=None, age=None, hardness=None))
    assert old.total > 0 and not old.hard_known and old.hard.sum() == 0
    assert ", " not in cell_text(old, 0, 1, str)


def test_that_a_matrix_has_the_counts_of_its_classes_in_their_order():
    run, told = started(), frame()
    pairs, (mined, _, _) = class_pairs(run, told), counted(run, told)
    classes = np.array([4, 0, 6])
    expected = [[mined[row, column] for column in classes.tolist()] for row in classes.tolist()]
    assert pairs.matrix(classes).tolist() == expected
    assert pairs.share_of(classes) == pytest.approx(np.sum(expected) / sum(mined.values()))
    assert pairs.matrix(classes, pairs.mined * 2).tolist() == (2 * np.array(expected)).tolist()


def test_that_the_largest_shares_come_first_whichever_lane_they_are_of():
    lanes = [made({(0, 1): 6, (1, 0): 4}, "a"), made({(2, 1): 90, (1, 2): 10}, "b")]
    found = ranked(lanes, 3)
    assert [(pair.lane, pair.anchor, pair.negative) for pair in found] == [("b", 2, 1), ("a", 0, 1), ("a", 1, 0)]
    assert [pair.share for pair in found] == [0.9, 0.6, 0.4]


def test_that_classes_that_are_mined_together_stand_together():
    groups = [(0, 5, 9), (1, 2, 7), (3, 4, 6, 8)]
    counts = {(a, n): 20 for group in groups for a in group for n in group if a != n}
    counts |= {(a, n): 1 for a in range(10) for n in range(10) if a != n and (a, n) not in counts}
    axis = class_axis([made(counts)], 10)
    assert sorted(axis.tolist()) == list(range(10))
    place = {label: at for at, label in enumerate(axis.tolist())}
    for group in groups:
        places = sorted(place[label] for label in group)
        assert places == list(range(places[0], places[0] + len(group)))
    assert class_axis([made(counts)], 10, by_label=True).tolist() == list(range(10))


def test_that_the_ends_that_meet_are_the_nearest_there_are():
    chain = np.zeros((6, 6))
    order = [3, 0, 5, 1, 4, 2]
    for one, other in pairwise(order):
        chain[one, other] = chain[other, one] = 1.0
    found = clustered(chain).tolist()
    assert found in (order, order[::-1])


def test_that_an_order_stays_until_another_is_clearly_better():
    rng = np.random.default_rng(3)

    def noisy(strong: list[tuple[int, int]]) -> ClassPairs:
        counts = {(a, n): int(rng.integers(8, 13)) for a in range(8) for n in range(8) if a != n}
        return made(counts | {(a, n): 200 for pair in strong for a, n in (pair, pair[::-1])})

    strong = [(0, 4), (1, 5), (2, 6), (3, 7)]
    first = class_axis([noisy(strong)], 8)
    for _ in range(10):
        kept = class_axis([noisy(strong)], 8, first)
        assert kept is first
    other = class_axis([noisy([(0, 1), (2, 3), (4, 5), (6, 7)])], 8, first)
    place = {label: at for at, label in enumerate(other.tolist())}
    assert all(abs(place[label] - place[label + 1]) == 1 for label in (0, 2, 4, 6))


def test_that_of_many_classes_those_that_are_mined_most_have_rows_and_keep_them():
    classes, rng = 11_000, np.random.default_rng(5)
    busy = rng.choice(classes, MOST_CLASSES, replace=False)
    counts = {(int(a), int(n)): 10 for a in busy for n in busy[:20] if a != n}
    counts |= {tuple(rng.integers(0, classes, 2).tolist()): 1 for _ in range(600)}
    pairs = made(counts)
    axis = class_axis([pairs], classes)
    assert sorted(axis.tolist()) == sorted(busy.tolist())
    inside = sum(count for (a, n), count in counts.items() if a in busy and n in busy)
    assert pairs.share_of(axis) == pytest.approx(inside / sum(counts.values()))
    quiet = int(busy[3])
    less = {pair: 0 if quiet in pair else count for pair, count in counts.items()}
    fewer = made({pair: count for pair, count in less.items() if count})
    assert class_axis([fewer], classes, axis) is axis, "a row that is quiet for once stays"
    elsewhere = made({((a + 17) % classes, (n + 17) % classes): count for (a, n), count in counts.items()})
    assert sorted(class_axis([elsewhere], classes, axis).tolist()) == sorted((busy + 17) % classes)


def test_that_every_lane_weighs_the_same_however_much_it_tells():
    few, many = made({(0, 1): 2, (2, 3): 1}), made({(0, 1): 1000, (1, 0): 2000})
    near = alike([few, many], np.arange(4))
    shares = few.matrix(np.arange(4)) / 3 + many.matrix(np.arange(4)) / 3000
    both = shares + shares.T
    assert near[0, 1] == pytest.approx(both[0, 1] / np.sqrt(both[0].sum() * both[1].sum()))
    np.testing.assert_array_equal(near, near.T)


def test_that_cells_and_captions_say_what_is_counted():
    run, told = started(noisy=True), frame()
    pairs, (mined, hard, false) = class_pairs(run, told), counted(run, told)
    pair = max(false, key=lambda each: (false[each], mined[each]))
    share = mined[pair] / pairs.total
    assert cell_text(pairs, *pair, str) == (
        f"{pair[0]} anchors → {pair[1]}: {mined[pair]} of {pairs.total} mined pairs ({share_text(share)}), "
        f"{hard[pair]} hard, {false[pair]} false: truly of the anchor's class"
    )
    assert [share_text(value) for value in (1.0, 0.714, 0.0449, 0.0004, 0.0)] == [
        "100 %",
        "71 %",
        "4.5 %",
        "0.04 %",
        "0 %",
    ]
    few = made({(0, 1): 71, (1, 2): 29})
    assert caption([few], np.array([0, 1]), 11_000) == "2 of 11,000 classes, 71 % of pairs"
    assert lane_text(few, np.array([0, 1]), 11_000) == "71 % of 100 pairs" and caption([few], np.arange(3), 3) == ""
    assert "positives are not counted" in cell_text(few, 1, 1, str)
    assert part_text([few, replace(few, tuples=5_024)]) == "of the hardest 100 of 5,024 tuples"
    assert part_text([few]) == part_text([]) == ""
    part = details(replace(few, tuples=512))
    assert "the hardest 100 of 512 tuples of its last 8 steps" in part and "knn at step 1" in part


def test_that_what_all_names_of_classes_share_is_said_once():
    assert shared_and_own(("group 1, class 2", "group 13, class 0")) == ("group, class", ("1, 2", "13, 0"))
    assert shared_and_own(("class 1", "class 12")) == ("class", ("1", "12"))
    for names in ((), ("a",), ("one boot", "bag"), ("a b", "a b"), ("3", "8"), ("ankle boot", "t shirt")):
        assert shared_and_own(names) == ("", names)
