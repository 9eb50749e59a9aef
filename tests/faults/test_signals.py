"""Ctrl+C, a request to terminate, a terminal that is closed: every command ends in order, whatever it is at."""

from __future__ import annotations

import os
import pty
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hnm_core.kernels import SEARCH_KERNELS
from hnm_core.recording import open_recording, record
from hnm_core.run.events import RunFinished
from tests.families import across, one_in
from tests.faults.commands import LITTLE
from tests.forked import Forks, Process
from tests.video.conftest import growing_run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals and terminals as Linux has them")

ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.toml"
    path.write_text(LITTLE)
    return path


def wait_until(process: Process, condition: Callable[[], object]) -> None:
    """Raises `TimeoutError` where it never becomes true, and tells what the process said where it ended before."""
    until = time.monotonic() + 60
    while not condition():
        assert process.running, process.wait()
        if time.monotonic() > until:
            raise TimeoutError(process.err.read_text())
        time.sleep(0.005)


def said(process: Process, word: str) -> Callable[[], bool]:
    return lambda: word in process.err.read_text()


@pytest.mark.parametrize("kind", ENDS, ids=lambda kind: kind.name)
def test_that_a_run_that_is_told_to_end_has_a_whole_recording_and_a_table(
    lab: Forks, tiny: Path, tmp_path: Path, kind: signal.Signals
) -> None:
    (tmp_path / "out").touch()
    run = lab.start("run", tiny, "--steps", "1000000", "--record", tmp_path / "run", cwd=tmp_path, out=tmp_path / "out")
    steps = tmp_path / "run" / "00-one" / "steps.bin"
    wait_until(run, lambda: steps.exists() and steps.stat().st_size > 0)
    run.send(kind)
    if kind == signal.SIGHUP:
        os.kill(run.pid, kind)  # a shell that ends sends it, too
    ended = run.wait()
    assert ended.status == 130, ended
    finished = open_recording(tmp_path / "run").finished
    assert isinstance(finished, RunFinished) and finished.stopped
    assert open_recording(tmp_path / "run").weights("one") is not None
    assert (tmp_path / "out").read_text().startswith("lane") and "Recorded in" in ended.err


def test_that_a_terminal_that_is_closed_takes_nothing_with_it(lab: Forks, tiny: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    terminal = os.ttyname(theirs)
    run = lab.start(
        "run", tiny, "--steps", "1000000", "--record", tmp_path / "run", cwd=tmp_path, out=terminal, err=terminal,
        env={"TERM": "xterm"},
    )  # fmt: skip
    steps = tmp_path / "run" / "00-one" / "steps.bin"
    wait_until(run, lambda: steps.exists() and steps.stat().st_size > 0)
    os.close(theirs)
    os.close(ours)
    run.send(signal.SIGHUP)
    ended = run.wait()
    assert ended.status == 130, ended
    assert open_recording(tmp_path / "run").weights("one") is not None


def test_that_a_run_started_with_nohup_goes_on_when_the_terminal_is_closed(
    lab: Forks, tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = lab.start(
        "run", tiny, "--steps", "1000000", "--record", tmp_path / "run", cwd=tmp_path, ignored=[signal.SIGHUP]
    )
    steps = tmp_path / "run" / "00-one" / "steps.bin"
    wait_until(run, lambda: steps.exists() and steps.stat().st_size > 0)
    run.send(signal.SIGHUP)
    before = steps.stat().st_size
    wait_until(run, lambda: steps.stat().st_size > before)
    run.send(signal.SIGTERM)
    assert run.wait().status == 130


@pytest.fixture
def slow_data(tmp_path: Path) -> Path:
    """A plug-in with a data set that says when it begins to be made, and is never done."""
    path = tmp_path / "slow_data.py"
    path.write_text(
        """
import sys, time
from hnm_core.registry import DATASETS, Options

@DATASETS.register("slow", target="slow_data:make")
class SlowOptions(Options):
    "Never done."

def make(*_, **__):
    sys.stderr.write("loading\\n")
    sys.stderr.flush()
    while True:
        time.sleep(0.01)
"""
    )
    return path


@pytest.mark.parametrize(
    ("words", "kind"),
    across(
        [
            "run {config} --record {new}",
            "compare {config} --seeds 2 --out {new}-compared",
            "tune {config} --lane one --trials 2 --option optimizer.lr=1e-3..1e-2 --out {new}-tuned",
            "features slow {new}.npz --backbone mlp",
            "mine slow {new}.jsonl --format ids",
            "audit slow {new}-audited",
            "review {new}.jsonl --data slow --list",
        ],
        ENDS,
    ),
    ids=lambda value: getattr(value, "name", value),
)
def test_that_every_command_ends_in_order_before_its_first_step(
    lab: Forks, tiny: Path, slow_data: Path, tmp_path: Path, words: str, kind: signal.Signals
) -> None:
    tiny.write_text(
        LITTLE.replace('name = "blobs"', 'name = "slow"').replace("options = { classes", "# options = { classes")
    )
    arguments = words.format(config=tiny, new=tmp_path / "new").split()
    started = lab.start(*arguments, "--plugin", slow_data, cwd=tmp_path)
    wait_until(started, said(started, "loading"))
    started.send(kind)
    ended = started.wait()
    assert ended.status == 130, ended
    assert "Traceback" not in ended.err and "Interrupted." in ended.err
    if (tmp_path / "new").exists():
        assert list((tmp_path / "new").iterdir()) == []  # as if the run had never been


@pytest.mark.parametrize("kind", one_in(3, ENDS), ids=lambda kind: kind.name)
def test_that_a_tuning_and_a_comparison_that_are_told_to_end_keep_what_is_done(
    lab: Forks, tiny: Path, tmp_path: Path, kind: signal.Signals
) -> None:
    for words in ("compare {config} --seeds 9", "tune {config} --lane one --trials 9 --option optimizer.lr=1e-3..1e-2"):
        out = tmp_path / words.split()[0]
        arguments = [*words.format(config=tiny).split(), "--steps", "2000", "--out", out]
        started = lab.start(*arguments, cwd=tmp_path)
        wait_until(started, said(started, "Seed"))
        started.send(kind)
        ended = started.wait()
        assert ended.status == 130, ended
        assert "Traceback" not in ended.err


@pytest.mark.parametrize("kind", one_in(3, ENDS), ids=lambda kind: kind.name)
def test_that_a_bench_that_is_told_to_end_shows_what_it_has(
    lab: Forks, tmp_path: Path, kind: signal.Signals, compile_kernels: Callable[[str], None]
) -> None:
    for module in ("hnm_core.miners.in_batch.kernels", SEARCH_KERNELS):
        compile_kernels(module)
    (tmp_path / "out").touch()
    words = "bench losses --quick --repeat 1 --threads 1"
    bench = lab.start(*words.split(), cwd=tmp_path, out=tmp_path / "out")
    wait_until(bench, said(bench, "[2/"))
    bench.send(kind)
    ended = bench.wait()
    assert ended.status == 130, ended
    assert "Traceback" not in ended.err and "work" in (tmp_path / "out").read_text()


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "run"
    list(record(growing_run(), folder))
    return folder


@pytest.mark.usefixtures("raster_kernels")
@pytest.mark.parametrize(
    ("suffix", "kind"), across([".mp4", ".gif"], ENDS), ids=lambda value: getattr(value, "name", value)
)
def test_that_a_video_that_is_told_to_end_leaves_nothing(
    lab: Forks, recorded: Path, tmp_path: Path, kind: signal.Signals, suffix: str
) -> None:
    videos = tmp_path / "videos"
    videos.mkdir()
    render = lab.start("render", recorded, videos / f"out{suffix}", "--seconds", "600", cwd=tmp_path)
    wait_until(render, lambda: list(videos.iterdir()))
    render.send(kind)
    ended = render.wait()
    assert ended.status == 130, ended
    assert "Traceback" not in ended.err and list(videos.iterdir()) == []
