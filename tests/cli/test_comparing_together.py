"""Several programs at the folder of one comparison: each seed is trained once, whoever dies meanwhile."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hnm_core.errors import InputError
from hnm_core.spec.config import ExperimentConfig
from hnm_core.studies import folder as study_folder
from hnm_core.studies.folder import LOCK, alone_in, claim_folder
from hnm_core.system.locks import claimed

PROGRAM = """
import json, math, sys, time
from pathlib import Path
from types import SimpleNamespace
from hnm_core.run.events import RunFinished
from hnm_core.run.results import LaneResult
from hnm_core.spec.config import ExperimentConfig
from hnm_core.studies.comparing import run_seeds

folder, log, seconds = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])

def train(config):
    with log.open("a") as file:
        file.write(f"{config.seed}\\n")
    time.sleep(seconds)
    lane = LaneResult("a", 10, 0.1, config.seed / 8, *(math.nan,) * 6)
    ended = RunFinished({"a": 10}, 1.0)
    none, history = lambda *_: [], SimpleNamespace(ended=ended)
    return SimpleNamespace(lanes=lambda: [lane], curve=none, seconds=none, history=history)

trials = run_seeds(ExperimentConfig(), 4, folder, train, lambda said: print(said, file=sys.stderr))
print(json.dumps([[trial.seed, trial.lanes[0].map_at_r] for trial in trials]))
"""


def begin(tmp_path: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-c", PROGRAM, str(tmp_path / "out"), str(tmp_path / "log"), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def trained(tmp_path: Path) -> list[int]:
    log = tmp_path / "log"
    return [int(line) for line in log.read_text().split()] if log.exists() else []


def wait_for(tmp_path: Path, count: int) -> None:
    ends = time.monotonic() + 60
    while len(trained(tmp_path)) < count:
        assert time.monotonic() < ends, "nobody trains"
        time.sleep(0.01)


def test_that_two_programs_train_each_seed_once_and_both_tell_of_all(tmp_path: Path) -> None:
    programs = [begin(tmp_path, 0.4) for _ in range(2)]
    told = [program.communicate(timeout=60) for program in programs]
    assert [program.returncode for program in programs] == [0, 0], told
    assert sorted(trained(tmp_path)) == [0, 1, 2, 3]
    for out, _ in told:
        assert json.loads(out) == [[seed, seed / 8] for seed in range(4)]
    left = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert left == ["made-of.json", *(f"seed-{seed}.json" for seed in range(4)), "settings.json"]


def test_that_the_seed_of_a_killed_program_is_taken_over_and_that_of_a_living_one_waited_for(tmp_path: Path) -> None:
    first = begin(tmp_path, 60)
    wait_for(tmp_path, 1)
    second = begin(tmp_path, 0)
    wait_for(tmp_path, 4)
    assert trained(tmp_path) == [0, 1, 2, 3], "the first one's seed is its own"
    assert second.stderr is not None
    assert "Another program trains seed 0 in" in second.stderr.readline()
    first.send_signal(signal.SIGKILL)
    first.communicate()
    out, _ = second.communicate(timeout=60)
    assert trained(tmp_path) == [0, 1, 2, 3, 0]
    assert json.loads(out) == [[seed, seed / 8] for seed in range(4)]


def test_that_a_folder_is_claimed_by_one_program_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, asked = tmp_path / "out", ExperimentConfig()
    folder.mkdir()

    def meanwhile(_seconds: float) -> None:
        monkeypatch.undo()
        stack.__exit__(None, None, None)
        claim_folder(folder, "mine", asked, pytest.fail)

    monkeypatch.setattr(study_folder.time, "sleep", meanwhile)
    stack = claimed(folder / LOCK)
    assert stack.__enter__()
    with pytest.raises(InputError, match="holds results of other settings"):
        claim_folder(folder, "yours", asked, pytest.fail)
    assert (folder / "settings.json").read_text() == "mine"


def test_that_a_lock_file_that_a_killed_program_left_hinders_nobody(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    with alone_in(tmp_path), claimed(tmp_path / LOCK) as ours:
        assert not ours
    assert not (tmp_path / LOCK).exists()
