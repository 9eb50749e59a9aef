"""The program as a user starts it: a process of its own, on a real X server, driven from outside."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.xvfb,
    pytest.mark.skipif(shutil.which("xvfb-run") is None, reason="xvfb-run is not installed"),
]

TINY = """
title = "Tiny"
steps = 1000000
frame_every = 5
[data]
name = "blobs"
options = { classes = 4, points = 200, dim = 8 }
[model]
options = { widths = [16] }
[sampler]
batch = 64
[[lanes]]
name = "one"
[[lanes]]
name = "two"
"""


def launch(tmp_path: Path, *arguments: str, script: str = "") -> subprocess.Popen[str]:
    """The window under a virtual screen; `script` runs in the shell beside it."""
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
    command = f'"{sys.executable}" -W error -m app gui tiny.toml {" ".join(arguments)} & P=$!; {script} wait $P'
    return subprocess.Popen(
        ["xvfb-run", "-a", "-s", "-screen 0 1200x800x24", "bash", "-c", command],
        cwd=tmp_path,
        env=environment | {"PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_that_the_window_trains_paints_and_quits_by_itself_with_its_figures(tmp_path, raster_kernels):
    started = time.monotonic()
    process = launch(tmp_path, "--size 1000x700 --autoplay --quit-after 14 --stats stats.json")
    out, errors = process.communicate(timeout=90)
    assert (process.returncode, out, errors) == (0, "", "")
    assert time.monotonic() - started > 14
    figures = json.loads((tmp_path / "stats.json").read_text())
    assert figures["window"] == [1000, 700]
    assert (figures["panes"], figures["points"], figures["threads"]) == (2, 200, 1)
    assert figures["fps"] > 3
    assert set(figures["steps_per_s"]) == {"one", "two"}
    assert min(figures["steps_per_s"].values()) > 1
    assert 0 < figures["frame_ms"]["p50"] <= figures["frame_ms"]["p99"]
    assert figures["stall_ms"]["p99"] <= figures["stall_ms"]["max"]
    assert figures["peak_mb"] > 50


@pytest.mark.skipif(shutil.which("xdotool") is None, reason="xdotool is not installed")
def test_that_real_keys_train_and_quit(tmp_path, raster_kernels, user_folders):
    window = (
        "WINDOW=$(xdotool search --sync --onlyvisible --name 'Tiny - HNM Lab' | head -1); xdotool windowfocus $WINDOW;"
    )
    wait = "for _ in $(seq 400); do test $(cat $XDG_DATA_HOME/hnm-lab/runs/*/*/steps.bin | wc -c) -gt 9000 && break; "
    keys = f"sleep 1; xdotool key space; {{ {wait} sleep 0.1; done; }} 2>/dev/null; xdotool key ctrl+q;"
    process = launch(tmp_path, "--size 1000x700", script=window + keys)
    _, errors = process.communicate(timeout=90)
    assert (process.returncode, errors) == (0, "")
    (run,) = (user_folders / "data" / "hnm-lab" / "runs").iterdir()
    from hnm_core.recording import open_recording

    recording = open_recording(run)
    assert recording.step_count("one") > 10
    assert recording.finished is not None
    assert recording.finished.stopped


def test_that_a_display_that_dies_ends_the_program_with_a_sentence_and_a_whole_recording(tmp_path, user_folders):
    (tmp_path / "tiny.toml").write_text(TINY, encoding="utf-8")
    screen = subprocess.Popen(
        ["Xvfb", "-displayfd", "1", "-screen", "0", "800x600x24"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    with screen:
        assert screen.stdout is not None
        display = f":{int(screen.stdout.readline())}"
        environment = {name: value for name, value in os.environ.items() if name != "QT_QPA_PLATFORM"}
        process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "app", "gui", "tiny.toml", "--autoplay"],
            cwd=tmp_path,
            env=environment | {"DISPLAY": display, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        runs = user_folders / "data" / "hnm-lab" / "runs"
        deadline = time.monotonic() + 60
        while not (written := [path.stat().st_size for path in runs.glob("*/*-one/steps.bin")]) or written[0] < 5000:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        screen.kill()
    try:
        out, errors = process.communicate(timeout=60)
    finally:
        process.kill()  # one that does not end by itself must not go on without a window
    (run,) = runs.iterdir()
    said = f"The display was lost, so the window has gone. What was shown is recorded in {run}.\n"
    assert (process.returncode, out, errors) == (1, "", said)
    from hnm_core.recording import open_recording
    from hnm_core.recording.layout import step_layout, to_dtype

    recording = open_recording(run)
    assert recording.step_count("one") >= written[0] // to_dtype(step_layout()).itemsize, "what was there is kept"
    assert recording.losses == ()
    assert recording.finished is not None
    assert recording.finished.stopped
