"""How large a recording is said to become, beside what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hnm_core.recording import record, size
from hnm_core.run.events import Alarm, RunStarted
from hnm_core.training import setup
from hnm_core.training.experiment import Experiment
from tests.training.test_experiment import config


@pytest.mark.parametrize("made", [0, 1, 7, 8, 9, 23, 24, 25, 100, 1000])
def test_that_as_many_frames_are_counted_as_are_kept(made: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size, "FRAMES_AT_FULL_RATE", 8)
    kept = 0
    for seen in range(made):
        kept += seen % (1 << (kept // 8)) == 0
    assert size.kept_frames(made) == kept


def test_that_a_recording_becomes_about_as_large_as_expected(tmp_path: Path) -> None:
    of = config({"name": "random", "miner": "random"}, {"name": "twin", "miner": "random"}, steps=200, frame_every=2)
    events = list(record(Experiment(of).run(), tmp_path / "run"))
    started = next(event for event in events if isinstance(event, RunStarted))
    files = [path for path in (tmp_path / "run").rglob("*.bin") if path.name in ("steps.bin", "frames.bin")]
    written = sum(path.stat().st_size for path in files)
    assert written == pytest.approx(size.expected_bytes(of, len(started.ids)), rel=0.25)


def test_that_a_large_recording_is_told_before_it_begins_and_a_small_one_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    of = config({"name": "random", "miner": "random"}, steps=4, frame_every=2)
    told = [event for event in Experiment(of).run() if isinstance(event, Alarm) and event.code == "C38"]
    assert not told
    monkeypatch.setattr(setup, "LARGE_RECORDING", 1)
    told = [event for event in Experiment(of).run() if isinstance(event, Alarm) and event.code == "C38"]
    assert len(told) == 1 and "frame_every" in told[0].message
