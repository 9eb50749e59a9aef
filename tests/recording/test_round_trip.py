"""What goes into a recording comes out of it, through our reader and through plain numpy."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hnm_core.errors import InputError
from hnm_core.recording import header, lane_writer, layout, open_recording, record, replay
from hnm_core.recording.export import steps_table
from hnm_core.run.events import (
    METRICS,
    TUPLE_COUNTS,
    Alarm,
    Event,
    Frame,
    OptionChanged,
    RunFailed,
    RunFinished,
    RunStarted,
    StepRecord,
)
from hnm_core.run.timing import Phase
from tests.recording import made_up, other_reader


def test_that_replay_yields_every_event_in_its_place(tmp_path: Path) -> None:
    events = list(made_up.run())
    passed = list(record(iter(events), tmp_path / "run"))
    assert all(out is event for out, event in zip(passed, events, strict=True))
    replayed = list(replay(tmp_path / "run"))
    assert len(replayed) == len(events)
    for again, event in zip(replayed, events, strict=True):
        made_up.assert_same_event(again, event)


def test_that_numpy_json_and_zlib_are_enough_to_read_a_recording(tmp_path: Path) -> None:
    events = list(record(made_up.run(), tmp_path))
    run = json.loads((tmp_path / "run.json").read_text())
    lane = run["lanes"][1]
    folder = tmp_path / lane["folder"]
    steps = np.fromfile(folder / "steps.bin", np.dtype(run["step_dtype"]))
    index = other_reader.entries_of(folder)
    parts = other_reader.parts_of(folder)
    records = [event for event in events if isinstance(event, StepRecord) and event.lane == lane["name"]]
    clouds = [event for event in events if isinstance(event, Frame) and event.lane == lane["name"]]
    assert steps["loss"].tolist() == [event.loss for event in records]
    assert index["step"].tolist() == [event.step for event in clouds]
    for entry, (frame,), edges, hardness, cloud in zip(
        index, parts["frames"], parts["edges"], parts["hardness"], clouds, strict=True
    ):
        assert edges.tolist() == [tuple(triplet) for triplet in cloud.triplets.tolist()]
        if cloud.age is not None:
            assert hardness["age"].tolist() == cloud.age.tolist()
        low, high = entry["box"].astype(float)
        positions = np.where(frame["positions"] == 65_535, np.nan, low + frame["positions"] * (high - low) / 65_534)
        finite = np.isfinite(cloud.positions)
        np.testing.assert_array_equal(np.isfinite(positions), finite)
        np.testing.assert_allclose(positions[finite], cloud.positions[finite], atol=(high - low).max() / 65_535)
        for name, column in cloud.columns.items():
            np.testing.assert_array_equal(frame[name], column)
    np.testing.assert_array_equal(np.load(tmp_path / "labels.npy"), made_up.started().labels)


def test_that_metrics_of_layers_are_lines_of_json_beside_the_steps_of_lanes_that_have_them(tmp_path: Path) -> None:
    records = [event for event in record(made_up.run(), tmp_path) if isinstance(event, StepRecord)]
    measured = [event for event in records if event.lane == "KNN" and event.metrics]
    folders = {lane["name"]: lane["folder"] for lane in json.loads((tmp_path / "run.json").read_text())["lanes"]}
    lines = [json.loads(line) for line in (tmp_path / folders["KNN"] / "layers.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [event.step for event in measured] == [3, 6, 9]
    assert [line["entanglement/hidden1"] for line in lines] == [1.0, 2.0, 3.0]
    assert lines[1]["entanglement/block 2.ü:1"] is None
    assert not (tmp_path / folders["knn"] / "layers.jsonl").exists()
    recording = open_recording(tmp_path)
    steps, values = recording.layer_metrics("KNN")["entanglement/hidden1"]
    assert (steps.tolist(), values.tolist()) == ([3, 6, 9], [1.0, 2.0, 3.0])
    assert recording.layer_metrics("knn") == {}
    lanes = {lane["lane"]: lane for lane in recording.summary()["lanes"]}
    assert (lanes["KNN"]["entanglement/hidden1"], lanes["KNN"]["entanglement_chance"]) == (3.0, 2.5)
    assert "entanglement/hidden1" not in lanes["knn"]


def test_that_layers_of_a_step_that_was_not_written_any_more_are_left_out(tmp_path: Path) -> None:
    list(record(made_up.run(), tmp_path))
    made_up.as_schema_4(tmp_path)  # whose lines can be written by hand
    folder = tmp_path / "00-knn"
    with (folder / "layers.jsonl").open("a") as file:
        file.write('{"step": 12, "entanglement/hidden1": 4.0}\n{"step": 15, "entangl')
    recording = open_recording(tmp_path)
    assert recording.torn_bytes == len('{"step": 15, "entangl')
    assert recording.layer_metrics("KNN")["entanglement/hidden1"][0].tolist() == [3, 6, 9]
    table = steps_table(recording, "KNN")
    assert len(table["step"]) == len(table["entanglement/hidden1"]) == 10
    events = list(made_up.run())
    for again, event in zip(replay(tmp_path), events, strict=True):
        made_up.assert_same_event(again, made_up.without_candidates(event))
    assert recording.losses == ()


def test_that_a_recording_with_fewer_names_than_today_is_read_as_it_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names are only ever added at the end; a reader takes them from the recording's own header."""
    before = {"METRICS": METRICS[:5], "TUPLE_COUNTS": TUPLE_COUNTS[:5], "Phase": tuple(Phase)[:9]}
    assert before["METRICS"] == ("precision_at_1", "map_at_r", "knn_accuracy", "mining_recall", "mean_distance")
    assert before["TUPLE_COUNTS"] == ("mined", "hard", "semi_hard", "easy", "missing")
    assert (before["Phase"][0], before["Phase"][-1]) == (Phase.EMBED, Phase.STEP)
    events = [
        replace(event, phase_ms={phase: ms for phase, ms in event.phase_ms.items() if phase in before["Phase"]})
        if isinstance(event, StepRecord)
        else event
        for event in made_up.run(lanes=("knn",))
    ]
    with monkeypatch.context() as old:
        for module in (layout, header, lane_writer):
            for name, names in before.items():
                if hasattr(module, name):
                    old.setattr(module, name, names)
        list(record(iter(events), tmp_path))
    written = json.loads((tmp_path / "run.json").read_text())
    assert "bank_age" not in written["metrics"] and "filled" not in written["step_dtype"]["names"]
    assert "other" not in written["phases"] and "other_ms" not in written["step_dtype"]["names"]
    for again, event in zip(replay(tmp_path), events, strict=True):
        made_up.assert_same_event(again, event)
    assert open_recording(tmp_path).summary()["lanes"][0]["map_at_r"] is not None


def test_that_random_access_gives_any_frame_and_any_stretch_of_steps(tmp_path: Path) -> None:
    events = list(record(made_up.run(), tmp_path))
    recording = open_recording(tmp_path)
    assert recording.lanes == made_up.LANES
    assert recording.frame_steps("knn").tolist() == [2, 4, 6, 8, 10]
    clouds = [event for event in events if isinstance(event, Frame) and event.lane == "knn"]
    for index in (-1, 3, 0):
        made_up.assert_same_event(recording.frame("knn", index), clouds[index])
    assert recording.steps("knn", 3, 6)["step"].tolist() == [4, 5, 6]
    assert recording.step_count("knn") == 10
    with pytest.raises(IndexError):
        recording.frame("knn", 5)
    with pytest.raises(InputError, match="no lane 'ann'"):
        recording.frame("ann", 0)


def test_that_frames_cannot_be_written_to(tmp_path: Path) -> None:
    list(record(made_up.run(), tmp_path))
    frame = open_recording(tmp_path).frame("knn", 0)
    assert not any(array.flags.writeable for array in (frame.positions, frame.triplets, *frame.columns.values()))


def test_that_a_recording_can_be_watched_while_it_is_written(tmp_path: Path) -> None:
    events = made_up.run()
    passing = record(events, tmp_path)
    for event in passing:
        if isinstance(event, Frame):
            break
    recording = open_recording(tmp_path)
    assert recording.is_being_written and recording.finished is None
    assert recording.frame_steps("KNN").tolist() == [2] and recording.frame_steps("knn").tolist() == []
    for event in passing:
        recording.refresh()
        if isinstance(event, Frame):
            made_up.assert_same_event(recording.frame(event.lane, -1), event)
        elif isinstance(event, StepRecord):
            assert recording.steps(event.lane)["loss"][-1] == event.loss
    assert recording.finished is not None and not recording.is_being_written
    assert len(recording.events) == 5 and recording.torn_bytes == 0


def test_that_looking_again_at_a_recording_copies_nothing_of_what_is_known(tmp_path: Path) -> None:
    list(record(made_up.run(), tmp_path))
    recording = open_recording(tmp_path)
    files = recording._lanes["KNN"]
    known = files.index
    assert len(known)
    recording.refresh()
    assert np.shares_memory(known, files.index)


def test_that_a_lane_forked_off_during_the_run_is_recorded(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    events = [made_up.started(lanes=("knn",)), made_up.step(rng, "knn", 1)]
    events += [made_up.step(rng, "fork", 2), made_up.frame(rng, "fork", 2), RunFinished({"knn": 1, "fork": 2}, 1.0)]
    passing = record(iter(events), tmp_path)
    next(passing), next(passing)
    recording = open_recording(tmp_path)
    assert recording.lanes == ("knn",)
    list(passing)
    recording.refresh()
    assert recording.lanes == ("knn", "fork")
    for again, event in zip(replay(tmp_path), events, strict=True):
        made_up.assert_same_event(again, event)


def test_that_above_ten_thousand_frames_a_lane_every_second_is_kept_and_always_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert lane_writer.FRAMES_AT_FULL_RATE == 10_000
    monkeypatch.setattr(lane_writer, "FRAMES_AT_FULL_RATE", 10)
    rng = np.random.default_rng(0)
    events = [made_up.started(4, ("a",)), *(made_up.frame(rng, "a", step, 4) for step in range(1, 62))]
    list(record(iter([*events, RunFinished({"a": 61}, 1.0)]), tmp_path))
    steps = open_recording(tmp_path).frame_steps("a").tolist()
    assert steps == [*range(1, 11), *range(11, 31, 2), *range(33, 61, 4), 61]
    assert isinstance(list(replay(tmp_path))[-1], RunFinished)


def test_that_a_cloud_without_one_finite_point_is_replayed_as_such(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    lost = made_up.frame(rng, "a", 1, 4)
    gone = Frame("a", 2, np.full((4, 3), np.nan, np.float32), lost.triplets, 0)
    point = Frame("a", 3, np.full((4, 3), 2.5, np.float32), lost.triplets, 0)
    wide = Frame("a", 4, np.array([[-3e38, 0, 0], [3e38, 1, 1], [0, 0, 0], [1, 1, 1]], np.float32), lost.triplets, 0)
    list(record([made_up.started(4, ("a",)), gone, point, wide], tmp_path))
    recording = open_recording(tmp_path)
    assert np.isnan(recording.frame("a", 0).positions).all()
    np.testing.assert_array_equal(recording.frame("a", 1).positions, point.positions)
    np.testing.assert_allclose(recording.frame("a", 2).positions, wide.positions, atol=6e38 / 65_535)


def test_that_replay_loads_neither_torch_nor_qt(tmp_path: Path) -> None:
    list(record(made_up.run(), tmp_path))
    code = (
        "import sys; from hnm_core.recording import replay; n = sum(1 for _ in replay(sys.argv[1]));"
        "print(n, [m for m in ('torch', 'PyQt6', 'sklearn', 'numba', 'pyarrow') if m in sys.modules])"
    )
    command = [sys.executable, "-c", code, tmp_path]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1) == [str(len(list(made_up.run()))), "[]\n"]


def test_that_a_failing_run_is_recorded_as_failed_and_raises(tmp_path: Path) -> None:
    def failing():
        yield from list(made_up.run())[:20]
        raise RuntimeError("out of luck")

    with pytest.raises(RuntimeError, match="out of luck"):
        list(record(failing(), tmp_path))
    *_, last = replay(tmp_path)
    assert isinstance(last, RunFailed)
    assert last.message == "RuntimeError: out of luck" and "in failing" in last.traceback and last.steps["KNN"] > 0


def test_that_closing_the_recorder_closes_the_run_and_the_recording(tmp_path: Path) -> None:
    closed = []

    def source():
        try:
            yield from made_up.run()
        finally:
            closed.append(True)

    passing = record(source(), tmp_path)
    for _ in range(12):
        next(passing)
    passing.close()
    assert closed == [True]
    recording = open_recording(tmp_path)
    assert isinstance(recording.finished, RunFinished) and recording.finished.stopped
    assert not recording.is_being_written and len(list(replay(tmp_path))) == 13


def test_that_a_closing_event_is_written_once(tmp_path: Path) -> None:
    passing = record(made_up.run(), tmp_path)
    for event in passing:
        if isinstance(event, RunFinished):
            break
    passing.close()
    finished = open_recording(tmp_path).finished
    assert isinstance(finished, RunFinished) and finished.seconds == 12.5 and not finished.stopped
    assert (tmp_path / "events.jsonl").read_text().count("RunFinished") == 1


def test_that_a_run_that_fails_before_it_starts_leaves_no_recording(tmp_path: Path) -> None:
    assert len(list(record([RunFailed("no such data")], tmp_path))) == 1
    assert list(tmp_path.iterdir()) == []


def test_that_of_two_runs_that_begin_together_one_gets_the_folder_and_the_other_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    first = record(made_up.run(), folder)
    with pytest.raises(InputError, match="another run is being recorded or copied into it"):
        record(made_up.run(), folder)
    events = list(first)
    with pytest.raises(InputError, match="not empty"):
        record(made_up.run(), folder)
    assert len(list(replay(folder))) == len(events)


@pytest.mark.parametrize("closed", [True, False])
def test_that_a_recording_that_is_closed_or_dropped_before_its_first_event_gives_the_folder_back(
    tmp_path: Path, closed: bool
) -> None:
    source = made_up.run()
    recorded = record(source, tmp_path)
    if closed:
        recorded.close()
        with pytest.raises(StopIteration):
            next(source)
    del recorded
    gc.collect()
    assert list(tmp_path.iterdir()) == []


def test_that_what_a_run_leaves_that_was_killed_before_it_began_is_no_content(tmp_path: Path) -> None:
    (tmp_path / layout.LOCK_FILE).touch()
    events = list(record(made_up.run(), tmp_path))
    assert len(list(replay(tmp_path))) == len(events)


def test_that_the_summary_tells_the_last_measured_metric(tmp_path: Path) -> None:
    events = list(record(made_up.run(), tmp_path))
    summary = open_recording(tmp_path).summary()
    measured = [e.metrics["map_at_r"] for e in events if isinstance(e, StepRecord) and e.lane == "knn" and e.metrics]
    lane = next(lane for lane in summary["lanes"] if lane["lane"] == "knn")
    assert lane["map_at_r"] == measured[-1] and lane["precision_at_1"] is None
    assert (lane["steps"], lane["frames"], summary["state"], summary["alarms"]) == (10, 5, "finished", 1)
    assert summary["items_shown"] == 60 and summary["classes"] == 5


def test_that_a_name_the_format_does_not_know_is_refused_and_not_lost(tmp_path: Path) -> None:
    strange = StepRecord("a", 1, 0.5, metrics={"luck": 1.0})
    with pytest.raises(ValueError, match="unknown metric 'luck'"):
        list(record([made_up.started(4, ("a",)), strange], tmp_path))


def test_that_a_started_run_equals_itself_through_the_files(tmp_path: Path) -> None:
    list(record(made_up.run(), tmp_path))
    first = next(replay(tmp_path))
    assert isinstance(first, RunStarted)
    made_up.assert_same_event(first, made_up.started())


def test_that_a_recording_from_before_true_labels_is_read_without_them(tmp_path: Path) -> None:
    list(record(made_up.run(), tmp_path))
    made_up.as_schema_4(tmp_path)
    (tmp_path / "true_labels.npy").unlink()
    first = next(replay(tmp_path))
    assert isinstance(first, RunStarted)
    assert first.true_labels is None
    np.testing.assert_array_equal(first.labels, made_up.started().labels)


def test_that_a_recording_of_schema_1_is_read(tmp_path: Path) -> None:
    """It knew no forked lanes, and of a changed option neither the value before nor whether it was asked for."""
    events = list(record(made_up.run(), tmp_path))
    run_file, lines = tmp_path / "run.json", tmp_path / "events.jsonl"
    content = json.loads(run_file.read_text())
    assert content["schema"] == 7
    made_up.as_schema_3(tmp_path)
    run_file.write_text(json.dumps({**json.loads(run_file.read_text()), "schema": 1}))
    old = [json.loads(line) for line in lines.read_text().splitlines()]
    stripped = [{name: value for name, value in line.items() if name not in ("before", "asked")} for line in old]
    lines.write_text("".join(json.dumps(line) + "\n" for line in stripped))
    assert len(lines.read_text()) < len("".join(json.dumps(line) + "\n" for line in old))
    for again, event in zip(replay(tmp_path), events, strict=True):
        made_up.assert_same_event(again, made_up.without_hardness(event))
    recording = open_recording(tmp_path)
    assert set(recording.begins.values()) == {0} and recording.summary()["changes"] == []


def test_that_a_recording_of_schema_2_is_read(tmp_path: Path) -> None:
    """Ends of warm-ups were changes of the miner in words, alarms had no level, and phases were told one by one."""
    events = list(made_up.run())
    events.insert(-1, Alarm("KNN", 8, "all-easy", "nothing to learn", "hint"))
    events.insert(-1, Alarm("KNN", 9, "stopped", "the end", "fatal"))
    list(record(iter(events), tmp_path))
    run_file, path = tmp_path / "run.json", tmp_path / "events.jsonl"
    made_up.as_schema_3(tmp_path)
    run_file.write_text(json.dumps({**json.loads(run_file.read_text()), "schema": 2}))
    lines = []
    for line in map(json.loads, path.read_text().splitlines()):
        if line["type"] == "Alarm":
            assert line.pop("level") in ("hint", "warning", "fatal")
        if line["type"] == "WarmupEnded":
            changed = {"option": "miner", "value": f"warm-up over, {line.pop('miner')} mines"}
            line |= {"type": "OptionChanged", **changed, "before": "", "asked": False}
        lines += [line, {"event": line["event"], "type": "PhaseDone", "lane": "knn", "step": 4, "phase": "search"}]
    assert [line["type"] for line in lines].count("OptionChanged") == 4
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for again, event in zip(replay(tmp_path), events, strict=True):
        made_up.assert_same_event(again, made_up.without_hardness(event))


@pytest.mark.parametrize(
    ("turn_into", "as_it_was"),
    [(made_up.as_schema_3, made_up.without_hardness), (made_up.as_schema_5, made_up.without_candidates)],
    ids=["3: how hard triplets are", "5: candidates"],
)
def test_that_a_recording_of_an_older_schema_is_read_without_what_it_did_not_tell(
    tmp_path: Path, turn_into: Callable[[Path], None], as_it_was: Callable[[Event], Event]
) -> None:
    events = list(record(made_up.run_of_a_large_set(), tmp_path))
    turn_into(tmp_path)
    clouds = [event for event in events if isinstance(event, Frame)]
    assert any(cloud.hardness is not None and cloud.candidates is not None for cloud in clouds)
    for again, event in zip(replay(tmp_path), events, strict=True):
        made_up.assert_same_event(again, as_it_was(event))
    recording = open_recording(tmp_path)
    assert recording.torn_bytes == 0 and recording.losses == ()


def test_that_changes_of_a_lane_that_is_not_there_are_damage(tmp_path: Path) -> None:
    events = list(made_up.run())
    events.insert(-1, OptionChanged("nobody", 7, "lr", "1", "2", asked=True))
    list(record(iter(events), tmp_path))
    with pytest.raises(InputError, match=r"events.jsonl' is damaged: .*'nobody'"):
        _ = open_recording(tmp_path).lane_configs
