"""What was missed, in words, from hand-made measurements."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from app.history.missed import NOT_LISTED, filling_words, missed, ordinal
from hnm_core.run.events import Misses, OptionChanged, SearchUsed, StepRecord
from hnm_core.run.history import RunHistory
from hnm_core.run.misses import Buckets, CellUnvisited, CodesDiffer, Reason, TablesPart, occupied, packed
from hnm_core.spec.config import from_dict
from hnm_core.spec.request import Request
from hnm_core.training.retrieval_request import told_of
from tests.app import runs

WHOLE = np.array([100, 110]), np.array([101, 111]), np.array([0.5, 0.0])


def told(step: int, reason: Reason | None, lane: str = "lsh") -> Misses:
    found, distance = np.array([-1, 102]), np.array([np.nan, 0.25])
    return Misses(lane, step, 40, 90, *WHOLE, found, distance, reason)


def flags(*rows: str) -> np.ndarray:
    return packed(np.array([[letter == "1" for letter in row] for row in rows]))


CODES = flags("1000000100000001", "0100000000000000")


def history(*lanes: dict, events: tuple = (), steps: int = 60) -> RunHistory:
    of = from_dict({**runs.config().to_dict(), "lanes": list(lanes), "eval_every": 50, "steps": 70})
    history = RunHistory()
    history.add(runs.started(of))
    for lane in of.lanes:
        for step in range(1, steps + 1):
            measured = {"mining_recall": step / 100, "hardness_regret": 0.5} if step % 50 == 0 else {}
            history.add(StepRecord(lane.name, step, 1.0, metrics=measured))
    for event in events:
        history.add(event)
    return history


LSH = {"name": "lsh", "miner": "lsh", "miner_options": {"bits": 16}}


@pytest.mark.parametrize(
    ("reason", "words", "details"),
    [
        (
            CodesDiffer(16, 64, np.array([3, 1]), np.array([412, 65]), np.array([2000, 2000]), CODES),
            ("differs in 3 of 16 bits; rank 412 of 2,000", "differs in 1 of 16 bits; rank 65 of 2,000"),
            "The 64 most similar codes were measured exactly.\nBits that differ: 0, 7, 15.",
        ),
        (
            TablesPart(8, 2, 10, 1000, flags(8 * "0", "01000000"), flags(8 * "0", "01010000"), np.array([1, 0])),
            (
                "shares no bucket in 8 tables; keys differ in 1 bit or more",
                "in a searched bucket in 2 of 8 tables, cut down to 1,000 rows",
            ),
            "Keys have 10 bits; 2 further buckets are searched in each table.",
        ),
        (
            CellUnvisited(40, 8, np.array([1, 17]), np.array([12, 9])),
            ("not visited: green (12th nearest, 8 visited)", "not visited: class 17 (9th nearest, 8 visited)"),
            "40 cells in all: classes, parts of wide ones, or several small ones.",
        ),
        (None, ("", ""), ""),
    ],
)  # fmt: skip
def test_that_each_way_to_search_tells_why_in_its_own_words(
    reason: Reason | None, words: tuple[str, str], details: str
) -> None:
    (lane,) = missed(history(LSH, events=(told(50, reason),)))
    assert (lane.note, lane.step, lane.short) == ("", 50, "90")
    assert lane.summary == "missed 90 of 40 at step 50, the worst 2 listed"
    assert (lane.recall.tolist(), lane.regret.tolist()) == ([0.5], [0.5])
    first, second = lane.rows
    assert (first.why, second.why) == words
    assert first.details == details
    assert (first.anchor, first.nearest, first.found, first.farther) == (100, 101, -1, "nothing returned")
    assert (second.anchor, second.nearest, second.found, second.farther) == (110, 111, 102, "0.250")


def test_that_documents_have_no_classes_to_name_and_old_recordings_say_that_nothing_was_listed() -> None:
    of = told_of(Request(preset="code-search"))[0]
    run = RunHistory()
    run.add(replace(runs.started(runs.config()), config=of, class_names=("document", "query")))
    for step in range(1, 101):
        run.add(StepRecord("lsh", step, 1.0, metrics={"mining_recall": 0.5} if step % 50 == 0 else {}))
    lanes = {lane.lane: lane for lane in missed(run)}
    assert (lanes["lsh"].note, lanes["lsh"].short) == (NOT_LISTED, "recall only")
    if "bm25" in lanes:  # else what finds its negatives is not installed
        assert lanes["bm25"].short == "words" and "words they share" in lanes["bm25"].note
    run.add(told(100, CellUnvisited(40, 8, np.array([0, 0]), np.array([12, 9]))))
    (lsh,) = (lane for lane in missed(run) if lane.lane == "lsh")
    assert (lsh.note, lsh.short) == ("", "90")
    assert lsh.rows[0].why == "its cell was not visited (12th nearest, 8 visited)"
    assert lsh.rows[0].details == "40 cells in all."


def test_that_lanes_without_misses_say_why() -> None:
    lanes = (
        LSH,
        {"name": "exact", "miner": "knn"},
        {"name": "chance", "miner": "random"},
        {"name": "batch", "miner": "batch-hard"},
        {"name": "never", "miner": "lsh", "hard_share": 0.0},
    )
    notes = {lane.lane: (lane.note, lane.short) for lane in missed(history(*lanes))}
    assert notes == {
        "lsh": ("is measured at step 70; what it missed is listed then", "..."),
        "exact": ("searches exactly, so it misses nothing", "exact"),
        "chance": ("draws at random, without a search", "random"),
        "batch": ("mines inside the batch, without a search", "in batch"),
        "never": ("draws at random, without a search", "random"),
    }
    assert missed(RunHistory()) == []


def test_that_what_was_missed_goes_with_the_step_and_with_the_miner() -> None:
    change = OptionChanged("lsh", 55, "miner", '"routed"', '"lsh"', asked=True)
    options = OptionChanged("lsh", 55, "miner_options", "{}", '{"bits": 16}', asked=True)
    run = history(LSH, events=(told(50, None), change, options))
    assert missed(run, 49)[0].note == "is measured at step 50; what it missed is listed then"
    assert missed(run, 54)[0].step == 50
    assert missed(run)[0].note == "is measured at step 70; what it missed is listed then", "another miner since"


def test_that_each_lane_is_told_at_a_step_of_its_own_where_it_has_one() -> None:
    run = history(LSH, {**LSH, "name": "twin"}, events=(told(50, None), told(50, None, "twin")))
    behind, ahead = missed(run, 54, {"lsh": 49})
    assert behind.note == "is measured at step 50; what it missed is listed then" and ahead.step == 50
    assert [lane.step for lane in missed(run, 49, {"lsh": 50, "twin": 54})] == [50, 50]


def test_ordinals() -> None:
    assert [ordinal(n) for n in (1, 2, 3, 4, 11, 12, 13, 21, 112, 1002)] == [
        "1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "112th", "1,002nd",
    ]  # fmt: skip


def test_that_the_filling_of_buckets_is_told_by_sizes_that_double() -> None:
    sizes = np.array([1, 1, 2, 3, 4, 5, 8, 9, 300])
    histogram = occupied(sizes)
    assert histogram.tolist() == [2, 1, 2, 2, 1, 0, 0, 0, 0, 1]
    line, details = filling_words(Buckets(1_200, 300, histogram, 87.6, 240.2))
    assert line == "1,200 buckets, up to 300 rows; 88 compared (p95 240)"
    assert details == "buckets by how many rows they hold: 1: 2, 2: 1, 3-4: 2, 5-8: 2, 9-16: 1, 257-512: 1"


def test_that_every_lane_tells_how_it_searches_and_what_became_of_the_negatives_that_it_used():
    used = {"used_recall": 0.25, "used_of": 3.0}
    run = history({"name": "knn"}, LSH, {"name": "random", "miner": "random"})
    for lane, words in (("knn", "exact, by a tree"), ("lsh", "by a scan")):
        run.add(StepRecord(lane, 61, 1.0, metrics=used))
        run.add(SearchUsed(lane, 61, "miner", words))
    knn, lsh, random = missed(run)
    assert (knn.search, knn.how) == (
        "exact, by a tree",
        "still nearest 25.0%: so many of those handed out were among the 3 nearest",
    )
    assert lsh.tag == "..." and lsh.used_words == knn.used_words and (random.search, random.how) == ("", "")
    run.add(told(61, None))
    assert missed(run)[1].how == "still nearest 25.0%: so many of those handed out were among the 3 nearest · by a scan"
    assert [lane.search for lane in missed(run, 60)] == [""] * 3
