"""A writer that is killed at any moment: everything that was told is there, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hnm_core.recording import replay
from hnm_core.recording.layout import RUN_FILE
from tests.faults.judging import TRIES, Counts, judged, truth

KILLS = 12

KILLING = """
import mmap, os, random, signal, struct, sys, time
from hnm_core.recording import record
from tests.faults.judging import truth

events = truth(steps=120, points=8)
rng = random.Random(4)
for number in range(int(sys.argv[2])):
    told = mmap.mmap(-1, 8)
    folder = os.path.join(sys.argv[1], str(number))
    child = os.fork()  # no thread runs yet
    if child == 0:
        for count, event in enumerate(record(iter(events), folder), 1):
            told[:] = struct.pack("<q", count)
            time.sleep(0.001)
        os._exit(0)
    time.sleep(rng.random())
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    print(*struct.unpack("<q", told), flush=True)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX's")
def test_that_a_killed_writer_loses_nothing_that_was_told(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLING, str(tmp_path), str(KILLS * TRIES)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    counts, events = Counts("a writer killed by signal 9"), truth(steps=120, points=8)
    for number, told in enumerate(map(int, done.stdout.split())):
        folder = tmp_path / str(number)
        if told == 0 and not (folder / RUN_FILE).is_file():
            continue  # it was killed before there was a recording
        outcome = judged(folder, events)
        counts.take(outcome)
        assert outcome in ("whole", "lost"), number
        assert len(list(replay(folder))) >= told
    counts.report()
    assert counts.tries > 0
