"""Numbers taken elsewhere are the numbers of the recording."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from hnm_core.errors import InputError
from hnm_core.recording import export, open_recording, record
from hnm_core.run.events import Frame, LaneForked, OptionChanged, StepRecord, WarmupEnded
from hnm_core.run.results import Results
from hnm_core.run.timing import Phase
from tests.recording import made_up


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    list(record(made_up.run(), tmp_path / "run"))
    return tmp_path / "run"


def records_of(lane: str) -> list[StepRecord]:
    return [event for event in made_up.run() if isinstance(event, StepRecord) and event.lane == lane]


def columns_of(path: Path) -> dict[str, list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    return {name: [row[place] for row in rows] for place, name in enumerate(header)}


def test_that_csv_holds_every_step_and_the_last_cloud_of_every_lane(folder: Path) -> None:
    paths = export(folder, "csv")
    assert {path.parent for path in paths} == {folder / "export"} and len(paths) == 8
    steps = columns_of(folder / "export" / "knn.steps.csv")
    records = records_of("knn")
    assert [float(text) for text in steps["loss"]] == [event.loss for event in records]
    assert [text for text in steps["map_at_r"] if text] == [str(e.metrics["map_at_r"]) for e in records if e.metrics]
    assert [int(text) for text in steps["hard"]] == [event.tuples["hard"] for event in records]
    cloud = columns_of(folder / "export" / "knn.positions.csv")
    start = made_up.started()
    assert [int(text) for text in cloud["id"]] == start.ids.tolist()
    assert [int(text) for text in cloud["label"]] == start.labels.tolist()
    frame = open_recording(folder).frame("knn", -1)
    np.testing.assert_array_equal(np.array([float(text) for text in cloud["y"]], np.float32), frame.positions[:, 1])
    last = [event for event in made_up.run() if isinstance(event, Frame) and event.lane == "knn"][-1]
    assert [np.float32(text) for text in cloud["hardness"]] == last.columns["hardness"].tolist()


def test_that_results_are_a_row_a_lane_and_times_are_those_of_the_table_of_a_run(tmp_path: Path) -> None:
    events = list(made_up.run())
    events[-1:-1] = [LaneForked("new", 9, "knn"), StepRecord("new", 10, 0.5, {Phase.SEARCH: 1.0})]
    list(record(iter(events), tmp_path / "run"))
    export(tmp_path / "run", "csv", tmp_path)
    table, wanted = columns_of(tmp_path / "results.csv"), Results()
    for event in events:
        wanted.add(event)
    for place, result in enumerate(wanted.lanes()):
        found = {name: column[place] for name, column in table.items()}
        assert found["lane"] == result.lane
        assert float(found["mining_ms_p95"]) == pytest.approx(result.mining_ms_p95, rel=1e-5)
        steps = columns_of(tmp_path / f"{result.lane}.steps.csv")
        spent = [
            float(ms) for ms, mines in zip(steps["mining_ms"], steps["mining"], strict=True) if ms and mines == "1"
        ]
        assert np.mean(spent) == pytest.approx(result.mining_ms_mean, rel=1e-5)
    assert result.mining_ms_mean > 1.0, "the fork goes on with the bank of its parent, and pays for it"


def test_that_what_the_features_score_as_they_are_is_a_table_a_row_for_each_distance(folder: Path) -> None:
    export(folder, "csv")
    assert columns_of(folder / "export" / "raw.csv") == {
        "kind": ["raw embeddings"] * 2,
        "distance": ["euclidean", "cosine"],
        "map_at_r": ["0.5", ""],
    }
    made_up.edit_run_file(folder, raw=None)
    assert open_recording(folder).started.raw == (), "as recordings of earlier versions are"
    (folder / "export" / "raw.csv").unlink()
    assert "raw.csv" not in {path.name for path in export(folder, "csv")}


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_that_the_other_formats_hold_the_same_columns(folder: Path, tmp_path: Path, kind: str) -> None:
    export(folder, kind, tmp_path / "out")
    path = tmp_path / "out" / f"lsh + re.score.steps.{kind}"
    if kind == "npz":
        table = dict(np.load(path, allow_pickle=False))
    else:
        whole = pyarrow.parquet.read_table(path)
        table = {name: whole[name].to_numpy() for name in whole.column_names}
    assert table["loss"].tolist() == [event.loss for event in records_of("lsh + re.score")]
    assert np.isnan(table["precision_at_1"]).all()
    export(folder, "csv")
    assert list(table) == list(columns_of(folder / "export" / "knn.steps.csv"))


def test_that_metrics_of_layers_are_columns_of_the_lanes_that_have_them(folder: Path) -> None:
    export(folder, "csv")
    steps = columns_of(folder / "export" / "KNN.steps.csv")
    at = {"3": "1.0", "6": "2.0", "9": "3.0"}
    assert steps["entanglement/hidden1"] == [at.get(step, "") for step in steps["step"]]
    assert "entanglement/hidden1" not in columns_of(folder / "export" / "knn.steps.csv")


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_that_changes_and_forks_are_a_table_of_their_own(tmp_path: Path, kind: str) -> None:
    events = list(made_up.run())
    events[-1:-1] = [
        WarmupEnded("knn", 6, "knn"),
        OptionChanged("knn", 7, "miner", "lsh", "knn", asked=True),
        LaneForked("new", 8, "knn"),
    ]
    list(record(iter(events), tmp_path / "run"))
    path = next(path for path in export(tmp_path / "run", kind) if path.name == f"changes.{kind}")
    if kind == "csv":
        table = columns_of(path)
    elif kind == "npz":
        table = {name: column.tolist() for name, column in np.load(path, allow_pickle=False).items()}
    else:
        table = pyarrow.parquet.read_table(path).to_pydict()
    assert [str(step) for step in table.pop("step")] == ["7", "8"]
    assert table == {
        "lane": ["knn", "new"],
        "option": ["miner", "fork"],
        "before": ["knn", ""],
        "value": ["lsh", "knn"],
    }


def test_that_parquet_without_pyarrow_says_what_to_install(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InputError, match=r"pip install hnm-lab\[parquet\]"):
        export(folder, "parquet")
    assert not (folder / "export").exists()


def test_that_an_unknown_format_and_a_closed_folder_are_told(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"Unknown export format 'cvs'. Did you mean csv"):
        export(folder, "cvs")
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="Cannot export to"):
        export(folder, "csv", tmp_path / "file" / "out")


def test_that_a_recording_without_frames_exports_its_steps(tmp_path: Path) -> None:
    list(record(made_up.run(frame_every=100), tmp_path / "run"))
    names = [*(f"{lane}.steps.csv" for lane in made_up.LANES), "results.csv", "raw.csv"]
    assert [path.name for path in export(tmp_path / "run", "csv")] == names


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz"])
def test_that_a_field_of_several_numbers_of_another_version_becomes_columns(folder: Path, kind: str) -> None:
    made_up.as_schema_4(folder)  # before there were checksums
    told = json.loads((folder / "run.json").read_text())
    before = np.dtype(told["step_dtype"])
    told["step_dtype"]["names"].append("odds")
    told["step_dtype"]["formats"].append("(2,)<f4")
    for steps in folder.glob("*/steps.bin"):
        rows = np.fromfile(steps, before)
        wider = np.zeros(len(rows), np.dtype(told["step_dtype"]))
        for name in before.names:
            wider[name] = rows[name]
        wider["odds"] = np.arange(2 * len(rows)).reshape(-1, 2)
        wider.tofile(steps)
    (folder / "run.json").write_text(json.dumps(told))
    path = next(path for path in export(folder, kind) if path.name == f"knn.steps.{kind}")
    if kind == "csv":
        columns = {name: np.array(column) for name, column in columns_of(path).items() if name.startswith("odds")}
    elif kind == "parquet":
        columns = pyarrow.parquet.read_table(path).to_pydict()
    else:
        columns = dict(np.load(path))
    found = np.stack([np.array(columns[f"odds_{place}"], np.float64) for place in range(2)], axis=1)
    assert np.array_equal(found, np.arange(found.size).reshape(-1, 2)) and "odds" not in columns


def test_that_mined_pairs_are_told_by_ids_labels_and_when_they_were_mined(tmp_path: Path) -> None:
    list(record(made_up.run_of_a_large_set(), tmp_path / "run"))
    assert not [path for path in export(tmp_path / "run", "csv") if "pairs" in path.name]
    (path,) = (path for path in export(tmp_path / "run", "csv", pairs=True) if path.name == "knn.pairs.csv")
    table, row, start = columns_of(path), 0, made_up.started()
    for frame in (event for event in made_up.run_of_a_large_set() if isinstance(event, Frame) and event.lane == "knn"):
        label_of = dict(zip(start.ids.tolist(), start.labels.tolist(), strict=True)) | {-1: -1}
        if frame.guests is not None:
            label_of |= dict(zip(frame.guests.ids.tolist(), frame.guests.labels.tolist(), strict=True))
        for place, ends in enumerate(frame.triplets.tolist()):
            told = {name: int(table[name][row]) for name in table if name != "separation"}
            assert [told["anchor"], told["positive"], told["negative"]] == ends and told["frame"] == frame.step
            labels = [told[f"{name}_label"] for name in ("anchor", "positive", "negative")]
            assert labels == [label_of[item] for item in ends]
            if frame.separation is not None and frame.age is not None:
                assert told["mined"] == (frame.step - frame.age[place] if frame.age[place] >= 0 else -1)
                assert table["separation"][row] == (str(held) if np.isfinite(held := frame.separation[place]) else "")
            row += 1
    assert row == len(table["frame"]) > 20
