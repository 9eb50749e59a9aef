"""`--plugin FILE.py`: a fault in it is the plug-in's, and what it was recorded with can be looked at without it."""

from __future__ import annotations

import sys
from pathlib import Path

import tomli_w

from hnm_core.spec.registry import MINERS
from tests.cli.conftest import Lab
from tests.plug_in_files import forgotten, write
from tests.spec.test_plug_ins import CONFIG

__all__ = ["forgotten"]


def test_that_a_fault_in_a_plug_in_is_its_own_with_a_report_and_its_recording_can_be_inspected_without_it(
    lab: Lab, tmp_path: Path, forgotten: None
) -> None:
    (tmp_path / "mine.toml").write_text(tomli_w.dumps(CONFIG))
    ended = lab("run", tmp_path / "mine.toml", "--plugin", write(tmp_path), "--record", tmp_path / "run")
    assert ended.status == 1
    assert (
        "Error in lane 'mine': ArithmeticError: seven\nThis is a bug of the plug-in 'own_miner.py', line" in ended.err
    )
    assert "hnm-lab." not in ended.err and "The full report is in" in ended.err
    MINERS._entries.pop("broken")
    sys.modules.pop("own_miner")
    ended = lab("inspect", tmp_path / "run")
    assert ended.status == 0 and "mine" in ended.out
    ended = lab("run", tmp_path / "mine.toml")
    assert ended.status == 2 and "broken" in ended.err
