"""Training towers on queries and documents: what is mined, what is measured, and what recordings tell of it."""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hnm_core import kernels
from hnm_core.data.judged import Items, JudgedSet, Judgements
from hnm_core.errors import InputError
from hnm_core.models.bag import TwoTowers
from hnm_core.recording import record, replay
from hnm_core.recording.reader import Recording
from hnm_core.run.control import Control
from hnm_core.run.events import Alarm, Event, Frame, Misses, RunFinished, RunStarted, StepRecord, WarmupEnded, Weights
from hnm_core.run.history import RunHistory
from hnm_core.run.item_texts import item_text
from hnm_core.run.misses import CellUnvisited, CodesDiffer, TablesPart
from hnm_core.training import query_negatives
from hnm_core.training.judged_lists import judged_lists
from hnm_core.training.retrieval import retrieval_items, train_retrieval
from hnm_core.training.retrieval_config import RetrievalConfig, asked_as, retrieval_config
from tests.recording.made_up import assert_same_event

TOPICS = 60
TOWERS = {"rows": 4096, "width": 32, "embedding": 16}


def little_set(topics: int = TOPICS) -> JudgedSet:
    """A query for each topic, which shares a rare word with its document and common words with others; one query that
    nothing answers, one that stands among the documents, and a copy of a relevant document."""
    rng = np.random.default_rng(0)
    common = [f"common{word}" for word in range(12)]
    queries = [f"find {rng.choice(common)} rare{topic} {rng.choice(common)}" for topic in range(topics)]
    documents = [f"rare{topic} {' '.join(rng.choice(common, 6))} text{topic}" for topic in range(topics)]
    documents += [documents[0], queries[1], "nothing else"]
    queries += ["who knows"]
    rows = np.arange(topics)
    judged = Judgements(rows, rows.copy(), np.ones(topics, np.float32))
    ids = [f"q{row}" for row in range(len(queries))], [f"d{row}" for row in range(len(documents))]
    return JudgedSet("little", Items(ids[0], queries), Items(ids[1], documents), judged)


def config(lanes: Iterable[dict[str, Any]], **more: Any) -> RetrievalConfig:
    values = {
        "steps": 30,
        "batch": 16,
        "eval_every": 10,
        "frame_every": 10,
        "towers": TOWERS,
        "optimizer": {"lr": 0.02},
    }
    return retrieval_config({**values, "lanes": list(lanes), **more})


LANES: list[dict[str, Any]] = [
    {"name": "in-batch"},
    {"name": "random", "negatives": "random", "options": {"negatives": 2}},
    {"name": "exact", "negatives": "knn", "options": {"pool": 1}, "refresh_every": 5},
    {"name": "lsh", "negatives": "lsh", "refresh_every": 5},
    {"name": "filtered", "negatives": "knn", "options": {"relative_margin": 0.05}, "refresh": "drift", "warmup": 10},
    {"name": "epoch", "negatives": "routed", "refresh": "epoch"},
]
if importlib.util.find_spec("bm25s") is not None:
    LANES.append({"name": "bm25", "negatives": "bm25", "options": {"pool": 5, "negatives": 2}})


@pytest.fixture(scope="module")
def told() -> list[Event]:
    return list(train_retrieval(little_set(), config(LANES)))


def steps_of(events: Iterable[Event], lane: str) -> list[StepRecord]:
    return [event for event in events if isinstance(event, StepRecord) and event.lane == lane]


def test_that_every_kind_of_negatives_trains_and_is_told_from_first_to_last(told: list[Event]) -> None:
    assert isinstance(told[0], RunStarted) and isinstance(told[-1], RunFinished)
    assert told[-1].steps == dict.fromkeys((lane["name"] for lane in LANES), 30)
    assert not [event for event in told if isinstance(event, Alarm) and event.level != "hint"]
    for lane in LANES:
        records = steps_of(told, lane["name"])
        assert [record.step for record in records] == list(range(1, 31))
        assert records[-1].loss < records[0].loss
        measured = [record.metrics["mrr_at_10"] for record in records if "mrr_at_10" in record.metrics]
        assert len(measured) == 4
        assert measured[-1] > measured[0] + 0.1
    assert told[0].chance is not None and told[0].chance["precision_at_1"] == pytest.approx(1 / 63, rel=0.1)


def test_that_negatives_are_never_relevant_nor_copies_nor_the_query_itself(told: list[Event]) -> None:
    data = little_set()
    items = retrieval_items(data, config(LANES))
    lists, documents = judged_lists(data), len(data.documents)
    barred = lists.positives.joined(lists.excluded)
    assert barred.at(torch.tensor([0, 1])).row.tolist() == [0, TOPICS, 1, TOPICS + 1]
    frames = [event for event in told if isinstance(event, Frame)]
    assert {frame.lane for frame in frames} == {lane["name"] for lane in LANES}
    trained = set(items.train.tolist())
    for frame in frames:
        query, positive, negative = torch.from_numpy(frame.triplets.astype(np.int64)).T
        place = items.query_place[query - documents]
        assert set(place.tolist()) <= trained, "held-out queries mine nothing"
        assert lists.positives.at(place).hold(positive[:, None]).all()
        assert not barred.at(place).hold(negative[:, None]).any()
        assert len(negative)


def test_that_mined_triplets_are_as_hard_as_their_way_says(told: list[Event]) -> None:
    def easy(lane: str) -> float:
        records = steps_of(told, lane)[12:20]
        return float(np.mean([record.tuples["easy"] / record.tuples["mined"] for record in records]))

    assert easy("exact") < easy("random")
    assert {record.tuples["mined"] for record in steps_of(told, "random")} == {32}
    assert {record.tuples["mined"] for record in steps_of(told, "exact")} == {16}
    assert sum(record.tuples["filtered"] for record in steps_of(told, "filtered") if record.mining) > 0


def test_that_snapshots_are_as_old_as_the_policy_says_and_a_warm_up_ends(told: list[Event]) -> None:
    ages = {record.step: record.metrics.get("bank_age") for record in steps_of(told, "exact") if record.metrics}
    assert ages == {1: 0, 10: 4, 20: 4, 30: 4}, "taken at steps 1, 6, 11, ..."
    assert [event.step for event in told if isinstance(event, WarmupEnded)] == [11]
    assert [record.mining for record in steps_of(told, "filtered")] == [False] * 10 + [True] * 20
    epochs = {record.step: record.metrics.get("bank_age") for record in steps_of(told, "epoch") if record.metrics}
    assert epochs == {1: 0, 10: 0, 20: 1, 30: 2}, "an epoch of 48 queries is three steps"


def test_that_lanes_with_equal_options_are_equal_and_frames_change_nothing(told: list[Event]) -> None:
    twice = [{**LANES[2], "name": "one"}, {**LANES[2], "name": "two"}]
    twice += [{**LANES[1], "name": "by chance"}, {**LANES[1], "name": "by the same"}]
    again = list(train_retrieval(little_set(), config(twice), frames=False))
    losses = [[record.loss for record in steps_of(again, name)] for name in ("one", "two")]
    assert losses[0] == losses[1] == [record.loss for record in steps_of(told, "exact")]
    by_chance = [[record.loss for record in steps_of(again, name)] for name in ("by chance", "by the same")]
    assert by_chance[0] == by_chance[1] == [record.loss for record in steps_of(told, "random")]
    weights = {event.lane: event.arrays for event in again if isinstance(event, Weights)}
    assert all((weights["one"][name] == weights["two"][name]).all() for name in weights["one"])
    assert not [event for event in again if isinstance(event, Frame)]
    other = list(train_retrieval(little_set(), config(twice[:1], seed=1), frames=False))
    assert losses[0] != [record.loss for record in steps_of(other, "one")]


def test_that_a_recording_tells_what_was_told(told: list[Event], tmp_path: Path) -> None:
    events = list(record(train_retrieval(little_set(), config(LANES)), tmp_path / "run"))
    assert not [event for event in events if isinstance(event, Alarm) and event.code.startswith("recording")]
    recording = Recording(tmp_path / "run")
    started = recording.started
    assert started.class_names == ("document", "query")
    assert np.bincount(started.labels).tolist() == [63, 61]
    assert started.held_out.sum() == 12 + 1, "those that are measured, and the one that nothing answers"
    assert [lane.miner for lane in started.config.lanes][:3] == ["none", "random (queries and documents)", "knn"]
    with pytest.raises(InputError, match="over queries and documents, which `hnm-lab run` trains"):
        started.config.model.part.entry.load()
    replayed = [event for event in replay(tmp_path / "run") if isinstance(event, StepRecord)]
    assert [(one.lane, one.loss) for one in replayed] == [
        (one.lane, one.loss) for one in told if isinstance(one, StepRecord)
    ]
    assert {name: one.metrics for one in replayed if (name := one.lane) and one.step == 30} == {
        one.lane: one.metrics for one in told if isinstance(one, StepRecord) and one.step == 30
    }


def test_that_a_set_shown_in_part_brings_mined_items_as_guests() -> None:
    events = list(train_retrieval(little_set(), config(LANES[:1], shown=20, steps=10)))
    started, frame = events[0], next(event for event in events if isinstance(event, Frame))
    assert isinstance(started, RunStarted)
    assert (len(started.ids), started.items_total) == (20, 124)
    assert frame.guests is not None
    assert set(frame.triplets.ravel().tolist()) <= {*started.ids.tolist(), *frame.guests.ids.tolist()}


def test_that_a_lane_whose_numbers_break_down_ends_with_the_reason() -> None:
    given = config(LANES[:1], optimizer={"name": "sgd", "lr": 100, "options": {"weight_decay": 999}})
    *_, alarm, _, finished = train_retrieval(little_set(), given, frames=False)
    assert isinstance(alarm, Alarm) and isinstance(finished, RunFinished)
    assert alarm.fatal and "NaN or infinity" in alarm.message
    assert finished.failed_lanes == ("in-batch",) and finished.steps["in-batch"] < 30


@pytest.mark.parametrize(
    ("lane", "says"),
    [
        ({"negatives": "kmn"}, "Unknown kind of negatives 'kmn'. Did you mean knn"),
        ({"negatives": "batch-hard"}, "Unknown kind of negatives"),
        ({"negatives": "knn", "options": {"pool": 0}}, "pool = 0"),
        ({"negatives": "in-batch", "options": {"pool": 3}}, "pool"),
        ({"negatives": "bm25", "options": {"k1": -1}}, "k1 = -1"),
        ({"refresh": "background"}, "refresh"),
    ],
)
def test_that_lanes_that_cannot_be_are_refused_in_a_sentence(lane: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        config([{"name": "lane", **lane}])


def test_that_sets_without_texts_or_with_too_few_queries_are_refused() -> None:
    data = little_set()
    bare = JudgedSet("bare", Items(data.queries.ids), data.documents, data.judgements)
    with pytest.raises(InputError, match="'bare' has no texts"):
        train_retrieval(bare, config(LANES[:1]))
    one = Judgements(
        *(values[:1] for values in (data.judgements.query, data.judgements.document, data.judgements.grade))
    )
    with pytest.raises(InputError, match="1 queries with a relevant document"):
        train_retrieval(JudgedSet("one", data.queries, data.documents, one), config(LANES[:1]))


def test_that_lanes_end_with_the_first_step_that_begins_after_their_seconds() -> None:
    source = {"source": "code-search"}
    of = config([{"name": "quick"}], steps=100_000, seconds=0.2, eval_every=100_000, retrieval=source)
    events = list(train_retrieval(little_set(), of))
    history = RunHistory()
    for event in events:
        history.add(event)
    (started,) = (event for event in events if isinstance(event, RunStarted))
    assert started.config.seconds == 0.2 and asked_as(started.config).seconds == 0.2
    lane = history.lanes["quick"]
    assert lane.seconds[-2] >= 0.2 > (lane.seconds[-3] if len(lane) > 2 else 0)
    assert "mrr_at_10" in steps_of(events, "quick")[-1].metrics, "what it ended with is measured"
    assert [event.step for event in events if isinstance(event, Frame)][-1] == len(lane)
    assert isinstance(events[-1], RunFinished) and not events[-1].stopped


def test_that_single_steps_have_a_frame_each_and_a_pause_shows_all_lanes_where_they_stand() -> None:
    lanes = [{"name": "one"}, {"name": "other"}]

    def shown(control: Control, after: int) -> list[tuple[int, str]]:
        found = []
        for event in train_retrieval(little_set(), config(lanes, steps=9, frame_every=9), control=control):
            if isinstance(event, Frame):
                found.append((event.step, event.lane))
            if isinstance(event, StepRecord) and event.step == after and not control.stopped:
                control.pause()
                threading.Timer(0.5, control.stop).start()
        return sorted(found)

    assert shown(Control(), after=4) == [(step, lane) for step in (1, 4) for lane in ("one", "other")]
    slow = shown(Control(rate=19.0), after=4)
    assert slow == [(step, lane) for step in (1, 2, 3, 4) for lane in ("one", "other")]


def test_that_a_validation_part_is_neither_trained_on_nor_held_out() -> None:
    data = little_set()
    whole = retrieval_items(data, config(LANES[:1]))
    parted = retrieval_items(data, config(LANES[:1], validation=0.25))
    held_out, trained = set(whole.measured.place.tolist()), set(whole.train.tolist())
    chosen_by, left = set(parted.measured.place.tolist()), set(parted.train.tolist())
    assert (len(held_out), len(chosen_by)) == (12, 12)
    assert chosen_by | left == trained and not chosen_by & left and not chosen_by & held_out


def test_that_items_are_told_by_their_ids_and_texts(told: list[Event], tmp_path: Path) -> None:
    started = told[0]
    assert isinstance(started, RunStarted)
    data, items = little_set(), retrieval_items(little_set(), config(LANES))
    assert data.documents.text is not None and data.queries.text is not None
    assert len(started.texts) == started.items_total == len(data.documents) + len(data.queries)
    assert started.texts[2] == item_text("d2", data.documents.text[2])
    place = int(items.query_place[5])
    assert started.texts[len(data.documents) + 5] == item_text(f"q{place}", data.queries.text[place])
    for _ in record(told, tmp_path / "run"):
        pass
    assert Recording(tmp_path / "run").started.texts == started.texts


APPROXIMATE: list[dict[str, Any]] = [
    {"name": "lsh", "negatives": "lsh", "options": {"bits": 8, "rescore": 1, "pool": 1}},
    {"name": "buckets", "negatives": "lsh-buckets", "options": {"tables": 2, "bits": 6, "probes": 0, "pool": 1}},
    {"name": "routed", "negatives": "routed", "options": {"classes": 1, "pool": 1}},
    {"name": "knn", "negatives": "knn", "options": {"pool": 1}},
]
KINDS = {"lsh": CodesDiffer, "buckets": TablesPart, "routed": CellUnvisited}


@pytest.fixture(scope="module")
def approximate(compile_kernels) -> list[Event]:
    compile_kernels(kernels.SEARCH_KERNELS)
    return list(train_retrieval(little_set(400), config(APPROXIMATE, steps=10, eval_every=5, shown=100)))


def test_that_each_measurement_of_an_approximate_search_lists_what_it_missed_and_why(
    approximate: list[Event], tmp_path: Path
) -> None:
    data, run = little_set(400), config(APPROXIMATE, steps=10, eval_every=5, shown=100)
    items = retrieval_items(data, run)
    lists = items.lists.positives.joined(items.lists.excluded)
    again = list(_recorded(approximate, tmp_path))
    for lane, kind in KINDS.items():
        told = [event for event in approximate if isinstance(event, Misses) and event.lane == lane]
        assert [each.step for each in told] == [1, 5, 10]
        for each, kept in zip(told, (e for e in again if isinstance(e, Misses) and e.lane == lane), strict=True):
            assert_same_event(each, kept)
            assert 0 < len(each) <= each.total <= each.probed <= 401 and isinstance(each.reason, kind)
            record = approximate[approximate.index(each) - 1]
            assert isinstance(record, StepRecord) and (record.lane, record.step) == (lane, each.step)
            assert {"mining_recall", "hardness_regret"} <= record.metrics.keys()
        state = next(event.arrays for event in approximate if isinstance(event, Weights) and event.lane == lane)
        towers = TwoTowers(run.towers, torch.Generator())
        towers.load_state_dict({name: torch.tensor(value) for name, value in state.items()})
        queries, documents = (
            torch.nn.functional.normalize(towers.embed(words, side).double(), dim=1)
            for words, side in ((items.query_words, "query"), (items.document_words, "document"))
        )
        gaps = 1 - queries @ documents.T
        gaps[lists.anchor, lists.row] = torch.inf
        last = told[-1]
        place = items.query_place[torch.tensor(last.anchors) - len(documents)]
        nearest, found = torch.tensor(last.nearest), torch.tensor(last.found)
        np.testing.assert_allclose(gaps[place].min(1).values, last.nearest_distance, atol=1e-6)
        np.testing.assert_allclose(gaps[place, nearest], last.nearest_distance, atol=1e-6)
        there = found >= 0
        np.testing.assert_allclose(gaps[place, found][there], last.found_distance[there], atol=1e-6)
        assert np.isnan(last.found_distance[~there.numpy()]).all()
        assert (last.farther[there.numpy()] > 0).all()
    assert not any(isinstance(event, Misses) and event.lane == "knn" for event in approximate)


def test_that_frames_bring_what_was_missed_of_queries_that_are_trained_on(approximate: list[Event]) -> None:
    started = approximate[0]
    assert isinstance(started, RunStarted)
    items = retrieval_items(little_set(400), config(APPROXIMATE, shown=100))
    last = [event for event in approximate if isinstance(event, Misses) and event.lane == "lsh"][-1]
    frame = [event for event in approximate if isinstance(event, Frame) and event.lane == "lsh"][-1]
    assert frame.guests is not None and frame.step == last.step
    wanted = np.concatenate((last.anchors, last.nearest, last.found[last.found >= 0]))
    drawn = np.isin(wanted, np.concatenate((started.ids, frame.guests.ids)))
    assert drawn[wanted < items.trained].all() and not set(frame.guests.ids) & set(wanted[~drawn])


def test_that_telling_of_misses_changes_no_number_of_a_run(
    approximate: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query_negatives, "misses_of", lambda *_arguments: None)
    silent = list(train_retrieval(little_set(400), config(APPROXIMATE, steps=10, eval_every=5, shown=100)))
    assert not any(isinstance(event, Misses) for event in silent)
    for lane in KINDS:
        for one, other in zip(steps_of(approximate, lane), steps_of(silent, lane), strict=True):
            assert (one.loss, one.tuples, one.metrics) == (other.loss, other.tuples, other.metrics)


def _recorded(events: Iterable[Event], folder: Path) -> Iterable[Event]:
    for _ in record(iter(events), folder):
        pass
    return replay(folder)
