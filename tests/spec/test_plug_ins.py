"""A file of the user's that registers parts: what is loaded, what is refused, and whose fault is whose."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

import pytest

from hnm_core.errors import InputError
from hnm_core.recording import open_recording, record
from hnm_core.spec import compatibility, plug_ins
from hnm_core.spec.config import from_dict
from hnm_core.spec.registry import MINERS
from hnm_core.training.experiment import Experiment
from tests.plug_in_files import BROKEN, forgotten, write

__all__ = ["forgotten"]


@pytest.fixture(autouse=True)
def _forget(forgotten: None) -> None:
    """What a test loads is gone after it."""


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_that_what_is_no_file_is_refused_at_once_by_what_it_is(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "own_pipe.py")
    (tmp_path / "own_folder.py").mkdir()
    with pytest.raises(InputError, match="cannot be read: it is a named pipe, and only regular files are read"):
        plug_ins.load_file(tmp_path / "own_pipe.py")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        plug_ins.load_file(tmp_path / "own_folder.py")


def test_that_a_file_registers_and_is_loaded_once(tmp_path: Path) -> None:
    file = write(tmp_path)
    plug_ins.load_file(file)
    entry = MINERS.entry("broken")
    plug_ins.load_file(file)
    assert MINERS.entry("broken") is entry and "broken" in MINERS.names()
    assert entry.load() is sys.modules["own_miner"].Broken


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("gone.py", None, ["There is no plug-in file", "gone.py"]),
        ("own.txt", "", ["own.txt", "must be a Python file"]),
        ("own-miner.py", "", ["own-miner.py", "letters, digits and _"]),
        ("idle_one.py", "x = 1\n", ["idle_one.py", "registers nothing", "docs/your-own-miner.md"]),
        ("bad_import.py", "\n\nimport not_there_at_all\n", ["bad_import.py", "line 3", "not_there_at_all"]),
        ("bad_text.py", "def f():\n    return (\n", ["bad_text.py", "line 2", "SyntaxError"]),
        ("bad_call.py", "def f():\n    return 1 / 0\n\n\nf()\n", ["line 2", "ZeroDivisionError: division by zero."]),
        ("leaves.py", "raise SystemExit(3)\n", ["leaves.py", "line 1", "SystemExit"]),
        ("taken.py", BROKEN.replace('"broken"', '"knn"'), ["taken.py", "miner 'knn' is already registered"]),
        ("json.py", BROKEN, ["json.py", "there is a module 'json' already"]),
    ],
)
def test_that_what_is_wrong_with_a_file_is_one_sentence(
    tmp_path: Path, name: str, text: str | None, words: list
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as caught:
        plug_ins.load_file(tmp_path / name)
    for word in words:
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def test_that_a_file_can_import_those_beside_it(tmp_path: Path) -> None:
    (tmp_path / "beside_it.py").write_text('NAME = "broken"\n')
    file = write(tmp_path, "from beside_it import NAME\n" + BROKEN.replace('"broken"', "NAME"))
    plug_ins.load_file(file)
    assert "broken" in MINERS.names()


def test_that_a_fault_in_plug_in_code_is_the_plug_ins_with_its_line_and_any_other_the_programs(tmp_path: Path) -> None:
    plug_ins.load_file(write(tmp_path))
    miner = MINERS.entry("broken").load()(None)
    try:
        miner.mine(None, None)
    except ArithmeticError:
        report = traceback.format_exc()
    line = BROKEN.split("\n").index('        raise ArithmeticError("seven")') + 1
    assert plug_ins.at_fault(report) == f"the plug-in 'own_miner.py', line {line}"
    try:
        int("seven")
    except ValueError:
        report = traceback.format_exc()
    assert plug_ins.at_fault(report) == plug_ins.at_fault("") == "the program"


CONFIG = {
    "steps": 4,
    "data": {"name": "blobs", "options": {"points": 40, "classes": 4}},
    "lanes": [
        {"name": "mine", "miner": "broken", "miner_options": {"depth": 7}, "hard_share": 1.0},
        {"name": "knn", "miner": "knn"},
    ],
}


def test_that_a_fault_in_a_plug_in_ends_its_lane_and_names_it(tmp_path: Path) -> None:
    plug_ins.load_file(write(tmp_path))
    alarms = [event for event in Experiment(from_dict(CONFIG)).run() if getattr(event, "code", "") == "bug"]
    assert [alarm.lane for alarm in alarms] == ["mine"]
    assert "A fault of the plug-in 'own_miner.py', line" in alarms[0].message
    assert alarms[0].message.endswith("ArithmeticError: seven")


def test_that_a_recording_opens_without_the_plug_in_it_was_made_with_but_cannot_be_trained(tmp_path: Path) -> None:
    plug_ins.load_file(write(tmp_path))
    config = from_dict(CONFIG)
    for _ in record(Experiment(config).run(), tmp_path / "run"):
        pass
    plug_ins_gone(tmp_path)
    recording = open_recording(tmp_path / "run")
    assert recording.config.to_dict() == config.to_dict()
    history = recording.history()
    assert history.lane_configs()["mine"].lanes[0].miner_options == {"depth": 7}
    assert "broken" not in MINERS.names()
    refusals = [finding for finding in compatibility.check(recording.config) if finding.level == "refuse"]
    assert [(finding.lane, "--plugin FILE.py" in finding.sentence) for finding in refusals] == [("mine", True)]
    with pytest.raises(InputError, match="miner 'broken' comes from a plug-in that is not here"):
        MINERS.entry("broken").load()
    plug_ins.load_file(write(tmp_path))  # and once it is there again, it is itself again
    assert not [finding for finding in compatibility.check(from_dict(CONFIG)) if finding.level == "refuse"]


def plug_ins_gone(folder: Path) -> None:
    """As in a process that never heard of it."""
    MINERS._entries.pop("broken")
    sys.modules.pop("own_miner")


def test_that_a_configuration_still_has_to_name_what_is_there() -> None:
    with pytest.raises(InputError, match="Unknown miner 'brokn'"):
        from_dict({"lanes": [{"name": "a", "miner": "brokn"}]})
