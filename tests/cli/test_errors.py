"""The user's mistakes: one or two sentences on standard error, status 2, and never a traceback."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.cli.conftest import TINY, Ended, Lab


def assert_is_the_users_mistake(ended: Ended, *words: str) -> None:
    """Status 2, nothing on standard output, and a short message that holds all `words`."""
    assert ended.status == 2, ended
    assert ended.out == ""
    assert ended.err.startswith("Error: ")
    assert ended.err.count("\n") == 1, ended.err
    assert "Traceback" not in ended.err
    for word in words:
        assert word in ended.err, (word, ended.err)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], ["--preset NAME"]),
        (["run", "--preset", "near-clases"], ["'near-clases'", "Did you mean near-classes"]),
        (["run", "--preset", "digits", "--miner", "knm"], ["'knm'", "Did you mean knn"]),
        (["run", "--preset", "digits", "--data", "digitz"], ["'digitz'", "Did you mean digits", ".npz"]),
        (["run", "--preset", "digits", "--set", "lanes.0.loss=tripletmargin"], ["Did you mean triplet-margin"]),
        (["run", "--preset", "digits", "--set", "lanes.0.loss_options.margin=-1"], ["margin = -1"]),
        (
            ["run", "--preset", "digits", "--set", "lanes.0.hard_share=1.5"],
            ["hard_share = 1.5", "lanes.random.hard_share = 1.5", "at most 1"],
        ),
        (["run", "--preset", "digits", "--set", "seed=often"], ["seed = 'often'", "whole number"]),
        (["run", "--preset", "digits", "--set", "seed"], ["KEY=VALUE"]),
        (["run", "--preset", "digits", "--set", "sead=1"], ["Did you mean seed"]),
        (["run", "--preset", "digits", "--steps", "0"], ["steps = 0"]),
        (["run", "--preset", "digits", "--steps", "many"], ["--steps", "valid int"]),
        (["run", "--preset", "digits", "--device", "tpu"], ["device = 'tpu'", "'cpu'"]),
        (["run", "missing.toml"], ["missing.toml"]),
        (["run", "missing.toml", "--preset", "digits"], ["not both"]),
        (["run", "--preset", "digits", "--data", "missing.npz"], ["missing.npz"]),
        (["run", "--preset", "digits", "--frobnicate"], ["--frobnicate"]),
        (["frobnicate"], ["frobnicate"]),
        (["--frobnicate"], ["--frobnicate"]),
        (["list"], ["WHAT"]),
        (["list", "things"], ["'things'"]),
        (["inspect", "no-such-run"], ["no-such-run"]),
        (["export", "no-such-run", "--to", "csv"], ["no-such-run"]),
        (["render", "no-such-run", "out.mp4"], ["no-such-run"]),
        (["render", "no-such-run", "out.mp4", "--size", "1920"], ["--size 1920", "1280x720"]),
        (["gui", "--size", "0x0"], ["--size 0x0"]),
        (["gui", "--size", "big"], ["--size big"]),
        (["gui", "--quit-after", "-1"], ["--quit-after -1"]),
        (["gui", "--stats", "no/such/folder/stats.json"], ["no/such/folder/stats.json"]),
        (["gui", *["--miner", "knn"] * 7], ["at most 6 lanes", "knn-7"]),
        (["demo", "no/such/folder/out.mp4"], ["no/such/folder/out.mp4"]),
        (["demo", "out.mp4", "--preset", "digit"], ["Did you mean digits"]),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else None,
)
def test_that_a_wrong_command_line_is_named(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert_is_the_users_mistake(lab(*arguments), *words)
    assert not [path for path in tmp_path.iterdir() if path.is_file()]


def test_that_no_display_is_said(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("QT_QPA_PLATFORM")
    assert_is_the_users_mistake(lab(), "no display", "hnm-lab run")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("seed = 1\nsteps = = 2\n", ["line 2"]),
        (TINY.replace('miner = "knn"', 'miner = "knnn"'), ["'two'", "Did you mean knn"]),
        (TINY.replace("pool = 2", "pole = 2"), ["'two'", "'pole'", "Did you mean pool"]),
        (TINY.replace("pool = 2", "pool = 0"), ["'two'", "pool = 0"]),
        (TINY.replace("pool = 2", 'pool = "two"'), ["pool = 'two'"]),
        (TINY.replace('name = "two"', 'name = "one"'), ["two lanes are called 'one'"]),
        (TINY.replace("batch = 16", "batch = true or false"), ["not valid TOML"]),
        (TINY.replace("[sampler]", "[samples]"), ["'samples'", "Did you mean sampler"]),
        ("lanes = []\n", ["lanes"]),
    ],
)
def test_that_a_wrong_configuration_is_named_with_its_file(
    lab: Lab, tmp_path: Path, text: str, words: list[str]
) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(text)
    assert_is_the_users_mistake(lab("run", path), *words)


def test_that_a_configuration_that_is_no_text_is_named(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert_is_the_users_mistake(lab("run", path), "mine.toml")
    assert_is_the_users_mistake(lab("run", tmp_path), str(tmp_path))


def save(path: Path, **arrays: object) -> Path:
    np.savez(path, **{name: np.asarray(array) for name, array in arrays.items()})
    return path


def test_that_wrong_data_files_are_named(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK\x03\x04 and then nothing")
    text = tmp_path / "text.csv"
    text.write_text("a,b\n1,2\n")
    files = [
        broken,
        text,
        save(tmp_path / "no-y.npz", x=np.zeros((4, 2))),
        save(tmp_path / "short-y.npz", x=np.zeros((4, 2)), y=[0, 1, 0]),
        save(tmp_path / "nan.npz", x=[[0.0, np.nan], [1, 2], [3, 4], [5, 6]], y=[0, 0, 1, 1]),
        save(tmp_path / "one-class.npz", x=np.eye(4), y=[0, 0, 0, 0]),
    ]
    for path in files:
        assert_is_the_users_mistake(lab("run", tiny, "--data", path), path.name.partition(".")[0])


def test_that_a_data_file_never_runs_code(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, ...]:
            return (Path.touch, (tmp_path / "ran",))

    path = tmp_path / "trap.npz"
    np.savez(path, x=np.array([Trap()], dtype=object), y=np.array([0]))
    assert_is_the_users_mistake(lab("run", tiny, "--data", path), "trap.npz")
    assert not (tmp_path / "ran").exists()


def test_that_a_folder_in_use_is_not_recorded_into(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    folder = tmp_path / "used"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    assert_is_the_users_mistake(lab("run", tiny, "--record", folder), "used", "not empty")
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]
    assert_is_the_users_mistake(lab("run", tiny, "--record", folder / "letter.txt"), "letter.txt")


@pytest.mark.skipif(os.geteuid() != 0 and not Path("/proc").is_dir(), reason="needs a place nobody can write to")
def test_that_a_place_that_cannot_be_written_is_named(lab: Lab, tiny: Path) -> None:
    assert_is_the_users_mistake(lab("run", tiny, "--record", "/proc/run"), "/proc/run")
    assert_is_the_users_mistake(lab("demo", "/proc/out.mp4"), "/proc/out.mp4")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_that_a_missing_gpu_is_said(lab: Lab, tiny: Path) -> None:
    assert_is_the_users_mistake(lab("run", tiny, "--device", "cuda"), "cuda")


def test_that_damaged_recordings_are_named(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    assert lab("run", tiny, "--record", run).status == 0
    commands = (["inspect", run], ["export", run, "--to", "csv"], ["render", run, tmp_path / "out.mp4"], ["gui", run])

    def assert_all_refuse(*words: str) -> None:
        for command in commands:
            assert_is_the_users_mistake(lab(*command), "run", *words)

    content = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**content, "schema": 99}))
    assert_all_refuse("newer version", "99")
    (run / "run.json").write_text(json.dumps(content)[:-40])
    assert_all_refuse("damaged")
    (run / "run.json").unlink()
    assert_all_refuse("run.json")
    (tmp_path / "empty").mkdir()
    assert_is_the_users_mistake(lab("inspect", tmp_path / "empty"), "empty")


def test_that_a_recording_is_played_as_it_is(lab: Lab, tiny: Path, tmp_path: Path) -> None:
    assert lab("run", tiny, "--record", tmp_path / "run").status == 0
    assert_is_the_users_mistake(lab("gui", tmp_path / "run", "--miner", "knn"), "is a recording")
