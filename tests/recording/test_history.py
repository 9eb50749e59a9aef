"""A history read from a recording's columns is that of the run, bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from app.history import playback
from app.history.chips import chip
from app.history.markers import markers
from hnm_core.recording import files, open_recording, reader, record, replay, results
from hnm_core.recording import steps as step_rows
from hnm_core.recording.results import inspected, open_inspected
from hnm_core.run.events import Event, LaneForked, OptionChanged, RunFinished, StepRecord
from hnm_core.run.history import LaneHistory, RunHistory
from hnm_core.run.results import Results
from tests.recording import made_up
from tests.run.random_runs import LAYERS, random_run


def folded(events: list[Event]) -> RunHistory:
    history = RunHistory()
    for event in events:
        history.add(event)
    return history


def assert_same_lane(one: LaneHistory, other: LaneHistory) -> None:
    assert (one.name, one.turns, one.forked_at, one.counted) == (
        other.name,
        other.turns,
        other.forked_at,
        other.counted,
    )
    assert (one.parent and one.parent.name) == (other.parent and other.parent.name)
    for column in ("steps", "loss", "seconds", "phase_ms", "tuples", "mining", "first_call"):
        a, b = getattr(one, column), getattr(other, column)
        assert a.dtype == b.dtype and np.array_equal(a, b, equal_nan=a.dtype.kind == "f"), column
    assert one.metrics.keys() == other.metrics.keys()
    for name, (steps, values) in one.metrics.items():
        assert np.array_equal(steps, other.metrics[name][0]), name
        assert np.array_equal(values, other.metrics[name][1], equal_nan=True), name
    for metric in ("entanglement", "temperature"):
        assert one.layers(metric) == other.layers(metric)


@pytest.mark.parametrize("seed", range(6))
def test_that_the_history_of_a_recording_is_that_of_its_run(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = list(record(random_run(seed), tmp_path))
    monkeypatch.setattr(reader, "_CHUNK", (4096, 37, 1)[seed % 3])
    live, read = folded(events), open_recording(tmp_path).history()
    assert list(live.lanes) == list(read.lanes) == ["one", "two", "new"]
    for name, lane in live.lanes.items():
        assert len(lane) > 0 or name == "new"
        assert_same_lane(read.lanes[name], lane)
        assert read.lanes[name].smoothed_loss(0.9).tobytes() == lane.smoothed_loss(0.9).tobytes()
        for step in (0, 1, 50, 333, None):
            assert repr(chip(read.lanes[name], step)) == repr(chip(lane, step))
    assert markers(read) == markers(live) != []
    assert read.running == live.running == [] and isinstance(read.ended, RunFinished)
    assert set(LAYERS) <= live.lanes["one"].metrics.keys()


@pytest.mark.parametrize("seed", range(3))
def test_that_the_results_of_a_recording_are_those_of_its_run_and_of_its_replay(tmp_path: Path, seed: int) -> None:
    events = list(record(random_run(seed), tmp_path))
    rows = Results(open_recording(tmp_path).history()).lanes()
    assert repr(inspected(open_recording(tmp_path))[1]) == repr(rows)
    assert repr(rows) == repr(Results(folded(events)).lanes())
    assert repr(rows) == repr(Results(folded(list(replay(tmp_path)))).lanes())


def told_at_once(folder: Path) -> str:
    recording, summary, results = open_inspected(folder)
    return repr((recording.losses, summary, results))


def told_after_opening(folder: Path) -> str:
    recording = open_recording(folder)
    recording.check()
    return repr((recording.losses, *inspected(recording)))


@pytest.mark.parametrize("seed", range(6))
def test_that_a_recording_tells_the_same_when_its_steps_are_taken_in_while_they_are_checked(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = random_run(seed)
    if seed % 2:
        events = (event for event in events if "new" not in (event.lane if hasattr(event, "lane") else ""))
    list(record(events, tmp_path))
    monkeypatch.setattr(files, "_PIECE", (1 << 20, 7_000, 1)[seed % 3])
    monkeypatch.setattr(reader, "_MANY_BYTES", (1 << 40, 0)[seed % 2])
    whole = told_at_once(tmp_path)
    assert whole == told_after_opening(tmp_path)
    steps = tmp_path / "00-one" / "steps.bin"
    damaged = bytearray(steps.read_bytes())
    damaged[len(damaged) // 3] ^= 4
    steps.write_bytes(damaged)
    assert whole != told_at_once(tmp_path) == told_after_opening(tmp_path)
    assert "steps.bin is damaged" in told_at_once(tmp_path)


def test_that_no_file_of_steps_is_read_twice_for_the_table_of_a_recording(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(record(made_up.run(), tmp_path))
    opened: list[str] = []

    def counting(path: Path) -> object:
        opened.append(Path(path).name)
        return open_regular(path)

    open_regular = files.open_regular
    monkeypatch.setattr(files, "open_regular", counting)
    recording, *_ = open_inspected(tmp_path)
    assert opened.count("steps.bin") == len(recording.lanes) == 3


def test_that_what_a_run_tells_while_its_recording_is_opened_belongs_to_what_it_came_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    run = record(
        iter(
            [
                made_up.started(lanes=("a", "b")),
                *(made_up.step(rng, lane, step) for step in range(1, 5) for lane in "ab"),
                OptionChanged("a", 5, "miner", "lsh", "knn", asked=True),
                LaneForked("c", 5, "b"),
                *(made_up.step(rng, lane, step) for step in range(5, 9) for lane in "abc"),
                RunFinished({}, 1.0),
            ]
        ),
        tmp_path,
    )
    for _ in range(9):
        next(run)
    view = results._told

    def slow(lane: LaneHistory) -> object:
        list(run)
        return view(lane)

    monkeypatch.setattr(results, "_told", slow)
    told = told_at_once(tmp_path)
    assert "lost" not in told
    assert told == told_after_opening(tmp_path)
    assert open_recording(tmp_path).history().lanes["a"].turns == [5]


def test_that_opening_and_the_table_of_a_recording_make_no_object_for_a_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    list(record(made_up.run(), tmp_path))

    def refuse(*_args: object, **_named: object) -> StepRecord:
        raise AssertionError("a record of a step was made")

    monkeypatch.setattr(step_rows, "StepRecord", refuse)
    with pytest.raises(AssertionError, match="was made"):
        list(replay(tmp_path))
    recording = open_recording(tmp_path)
    assert inspected(recording)[1][0].steps == 10
    assert recording.summary()["lanes"][0]["steps"] == 10
    _, history = playback.load(tmp_path, lambda _done, _total: True)
    assert history.last_step == 10


def test_that_the_summary_tells_the_loss_that_table_and_chip_tell(tmp_path: Path) -> None:
    events = list(record(made_up.run(), tmp_path))
    losses = [event.loss for event in events if isinstance(event, StepRecord) and event.lane == "knn"]
    finite = [loss for loss in losses if np.isfinite(loss)]
    assert len(finite) == len(losses) - 1
    recording = open_recording(tmp_path)
    history = recording.history()
    shown = (
        recording.summary()["lanes"][1]["loss"],
        inspected(recording)[1][1].loss,
        chip(history.lanes["knn"]).loss,
    )
    assert shown == pytest.approx([sum(finite) / len(finite)] * 3)


def test_that_names_the_reader_does_not_know_are_left_out_and_missing_ones_are_nothing(tmp_path: Path) -> None:
    """As of a version with other phases and counts."""
    events = list(record(made_up.run(), tmp_path))
    path = tmp_path / "run.json"
    run = json.loads(path.read_text())
    run["phases"].remove("search")
    run["tuple_counts"].remove("hard")
    renamed = {"embed_ms": "dream_ms", "mined": "dug"}
    run["phases"][run["phases"].index("embed")] = "dream"
    run["tuple_counts"][run["tuple_counts"].index("mined")] = "dug"
    run["step_dtype"]["names"] = [renamed.get(name, name) for name in run["step_dtype"]["names"]]
    made_up.edit_run_file(tmp_path, **run)
    lane = open_recording(tmp_path).history().lanes["knn"]
    assert lane.counted == set() and not lane.tuples.any()
    kept = [event for event in events if isinstance(event, StepRecord) and event.lane == "knn"]
    gone = ("search", "embed")
    spent = [sum(ms for phase, ms in event.phase_ms.items() if phase not in gone) for event in kept]
    np.testing.assert_allclose(lane.phase_ms.sum(1), spent, rtol=1e-6)


def test_that_progress_counts_the_steps_of_all_lanes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    list(record(made_up.run(), tmp_path))
    monkeypatch.setattr(reader, "_CHUNK", 6)
    told: list[tuple[int, int]] = []
    open_recording(tmp_path).history(lambda done, total: told.append((done, total)))
    assert told == [(done, 30) for done in (6, 10, 16, 20, 26, 30)]


def test_that_a_lane_is_known_before_its_first_step(tmp_path: Path) -> None:
    list(record(iter([made_up.started(lanes=("a",)), LaneForked("b", 3, "a")]), tmp_path))
    history = open_recording(tmp_path).history()
    assert [(name, len(lane), lane.forked_at) for name, lane in history.lanes.items()] == [("a", 0, 0), ("b", 0, 3)]
    assert history.ended is None
