"""A miner of one's own in the window: trained in the training process, blamed for what it does, shown without it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from PyQt6.QtCore import Qt

from app.training.process import TrainingProcess
from hnm_core.recording import record
from hnm_core.run.events import RunState
from hnm_core.spec import plug_ins
from hnm_core.spec.config import from_dict
from hnm_core.spec.registry import MINERS
from hnm_core.training.experiment import Experiment
from tests.app.window.test_main_window import drop, press
from tests.plug_in_files import forgotten, write
from tests.spec.test_plug_ins import CONFIG

__all__ = ["forgotten"]


@pytest.fixture(autouse=True)
def _forget(forgotten: None) -> None:
    """What a test loads is gone after it."""


@pytest.mark.thorough
@pytest.mark.parametrize("alone", [True, False])
def test_that_the_training_process_loads_the_file_too_and_a_fault_in_it_is_told_as_the_plug_ins(
    open_window, qtbot, tmp_path, alone
):
    file = write(tmp_path)
    plug_ins.load_file(file)
    lanes = CONFIG["lanes"][:1] if alone else CONFIG["lanes"]
    training = TrainingProcess([file])
    window = open_window(config=from_dict({**CONFIG, "lanes": lanes}), training=training)
    press(qtbot, window, Qt.Key.Key_Space)
    state = RunState.FAILED if alone else RunState.FINISHED
    qtbot.waitUntil(lambda: window.bridge.state is state, timeout=60_000)
    for words in ("Lane 'mine' stopped", "the plug-in 'own_miner.py', line", "ArithmeticError: seven", "Report: "):
        assert words in window.banner.text
    assert "the program" not in window.banner.text
    report = Path(window.banner.text.rpartition("Report: ")[2])
    assert "own_miner.py" in report.read_text(encoding="utf-8")


def test_that_a_recording_opens_without_its_plug_in_and_training_it_is_refused_with_the_way_out(
    open_window, qtbot, tmp_path
):
    plug_ins.load_file(write(tmp_path))
    config = from_dict(CONFIG)
    for _ in record(Experiment(config).run(), tmp_path / "run"):
        pass
    MINERS._entries.pop("broken")
    sys.modules.pop("own_miner")
    window = open_window()
    drop(window, tmp_path / "run")
    qtbot.waitUntil(lambda: window.stage.replaying, timeout=10_000)
    assert window.form.config().to_dict() == config.to_dict()
    card = window.form.lanes.cards[0]
    assert card.miner.name == "broken" and card.miner.box.currentText() == "broken"
    assert "not here" in card.miner.help.text()
    assert any("--plugin FILE.py" in finding.sentence for finding in card.findings.shown)
    press(qtbot, window, Qt.Key.Key_R)
    press(qtbot, window, Qt.Key.Key_Space)
    assert "--plugin FILE.py" in window.banner.text and window.bridge.state is RunState.IDLE
    qtbot.mouseClick(window.form.lanes.cards[1].buttons["copy"], Qt.MouseButton.LeftButton)  # an edit keeps its options
    assert window.form.config().lanes[0].miner_options == {"depth": 7}
