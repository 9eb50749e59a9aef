"""`inspect` and `export`: what a recording holds, and its numbers elsewhere."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from hnm_core.recording import open_recording, record
from tests.cli.conftest import Ended, Lab


@pytest.fixture
def ended(lab: Lab, tiny: Path, tmp_path: Path) -> Ended:
    """A recorded run in `tmp_path/run`."""
    ended = lab("run", tiny, "--record", tmp_path / "run")
    assert ended.status == 0
    return ended


@pytest.fixture
def run(ended: Ended, tmp_path: Path) -> Path:
    return tmp_path / "run"


def test_that_inspect_shows_the_facts_and_the_table_of_the_run(lab: Lab, run: Path, ended: Ended) -> None:
    shown = lab("inspect", run)
    facts = dict(line.split("\t", 1) for line in shown.out.split("\n\n")[0].splitlines())
    assert shown.status == 0
    assert facts["state"] == "finished"
    assert facts["torn bytes"] == "0"
    assert facts["data"].startswith("blobs: 90 items")
    assert facts["frames"] == ", ".join(
        f"{lane} {len(open_recording(run).frame_steps(lane))}" for lane in ("one", "two")
    )
    # Times are kept in less digits than they were measured with, so the table is compared up to them.
    results, used = ([line.split() for line in table.splitlines()] for table in shown.out.split("\n\n")[1:])
    told, used_then = ([line.split() for line in table.splitlines()] for table in ended.out.split("\n\n"))
    assert [line[:7] for line in results] == [line[:7] for line in told]
    assert used == used_then and [line[0] for line in used] == ["negatives", "one", "two", "two:"]


def test_that_inspect_lists_what_was_changed_and_forked_and_its_table_has_every_lane(lab: Lab, tmp_path: Path) -> None:
    from hnm_core.run.control import Control
    from hnm_core.run.events import StepRecord
    from hnm_core.training.experiment import Experiment
    from tests.app.engine import config

    control = Control()
    for event in record(Experiment(config(steps=8)).run(control), tmp_path / "run"):
        if isinstance(event, StepRecord) and (event.lane, event.step) == ("knn", 4):
            control.change("knn", "lr", 0.001)
            control.fork("knn", "new", {"miner": "lsh"})
    shown = lab("inspect", tmp_path / "run")
    facts, table, _ = shown.out.split("\n\n")
    told = [line.split("\t", 1)[1] for line in facts.splitlines() if line.startswith("change\t")]
    assert told == [
        "step 5, knn: optimizer.lr 0.002 → 0.001",
        "step 4, new: goes on from 'knn'",
        "step 5, new: miner knn → lsh",
    ]
    assert "\nchanges\t3\n" in facts
    assert [line.split()[:2] for line in table.splitlines()[1:-1]] == [["random", "8"], ["knn", "8"], ["new", "8"]]
    exported = lab("export", tmp_path / "run", "--to", "csv").out
    assert "new.steps.csv" in exported and "changes.csv" in exported and "raw.csv" in exported


def test_that_torn_bytes_are_counted(lab: Lab, run: Path) -> None:
    steps = next(run.glob("00-*/steps.bin"))
    steps.write_bytes(steps.read_bytes()[:-5])
    record = open_recording(run)
    shown = lab("inspect", run)
    assert shown.status == 0
    assert f"torn bytes\t{record.torn_bytes:,}" in shown.out
    assert record.torn_bytes > 0


def test_that_what_is_lost_is_said_by_inspect_and_export_and_the_rest_is_exported(lab: Lab, run: Path) -> None:
    whole = open_recording(run).steps("one")["loss"].tolist()
    steps = next(run.glob("00-*/steps.bin"))
    data = bytearray(steps.read_bytes())
    data[len(data) // 2 + 20] ^= 1
    steps.write_bytes(bytes(data))
    assert 1_050 < len(data) / 2 < 1_150
    lost = "Lane 'one' lost 3 records of steps (1.1 kB) after step 3: 00-one/steps.bin is damaged."
    told = [line for line in lab("inspect", run).out.splitlines() if line.startswith("lost")]
    assert told == [f"lost\t{lost}"]
    exported = lab("export", run, "--to", "csv")
    assert exported.status == 0 and exported.err == f"Damaged: {lost}\n"
    with (run / "export" / "one.steps.csv").open(newline="") as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == whole[:3]


def test_that_runs_are_listed_without_reading_their_data(lab: Lab, run: Path, own_data_folder: Path) -> None:
    runs = own_data_folder / "hnm-lab" / "runs"
    runs.mkdir(parents=True)
    for path in run.glob("*/*.bin"):
        path.unlink()
        path.mkdir()  # cannot be read
    title = open_recording(run).config.title
    run.rename(runs / "first-try")
    assert lab("list", "runs").out.split("\t")[:2] == ["first-try", title]


def test_that_a_run_is_found_by_its_name(lab: Lab, run: Path, own_data_folder: Path) -> None:
    runs = own_data_folder / "hnm-lab" / "runs"
    runs.mkdir(parents=True)
    run.rename(runs / "first-try")
    listed = lab("list", "runs").out.splitlines()
    assert [line.split("\t")[0] for line in listed] == ["first-try"]
    assert lab("inspect", "first-try").status == 0
    wrong = lab("inspect", "first-tri")
    assert wrong.status == 2
    assert "Did you mean first-try" in wrong.err


def test_that_an_export_holds_every_step_and_prints_its_paths(lab: Lab, run: Path) -> None:
    ended = lab("export", run, "--to", "csv")
    paths = [Path(line) for line in ended.out.splitlines()]
    assert ended.status == 0
    assert all(path.parent == run / "export" for path in paths)
    with next(path for path in paths if path.name == "two.steps.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    recorded = open_recording(run).steps("two")
    assert [int(row["step"]) for row in rows] == recorded["step"].tolist()
    assert [float(row["loss"]) for row in rows] == recorded["loss"].tolist()


@pytest.mark.parametrize("kind", ["npz", "parquet"])
def test_that_an_export_goes_where_it_is_told(lab: Lab, run: Path, tmp_path: Path, kind: str) -> None:
    ended = lab("export", run, "--to", kind, "--out", tmp_path / "elsewhere")
    assert ended.status == 0
    written = {path.name for path in (tmp_path / "elsewhere").iterdir()}
    assert {Path(line).name for line in ended.out.splitlines()} == written
    if kind == "npz":
        with np.load(tmp_path / "elsewhere" / "one.steps.npz", allow_pickle=False) as arrays:
            assert arrays["step"].tolist() == [1, 2, 3, 4, 5, 6]
