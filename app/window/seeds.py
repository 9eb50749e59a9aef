"""The run that is shown, again with other seeds: one seed alone tells little of a method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtGui import QGuiApplication

from app.panels.outcome import Outcome
from app.stage.stage import Stage
from app.training import seeds
from app.window.bridge import RunBridge
from app.window.jobs import Jobs
from app.window.messages import Messages
from hnm_core.errors import InputError
from hnm_core.run.events import RunStarted
from hnm_core.spec.config import ExperimentConfig

TITLE = "Five seeds"


class Seeds:
    """Repeats the run as a job and says in `outcome` what came of it. `root` keeps the results."""

    def __init__(
        self,
        *,
        bridge: RunBridge,
        stage: Stage,
        jobs: Jobs,
        outcome: Outcome,
        messages: Messages,
        root: Path,
        plug_ins: Sequence[Path],
    ) -> None:
        self._bridge, self._stage, self._jobs = bridge, stage, jobs
        self._outcome, self._messages = outcome, messages
        self._root, self._plug_ins = root, tuple(plug_ins)
        jobs.started.connect(lambda title: outcome.set_repeating(True) if title == TITLE else None)
        jobs.ended.connect(lambda title, _outcome: outcome.set_repeating(False) if title == TITLE else None)

    def repeat(self) -> None:
        """Begin, with the configuration that the run began with. Raises `InputError` where there is no run, or where
        this is being done already; `OSError` where nothing can be written."""
        self._bridge.refuse_while_starting()
        started = self._stage.history.started
        if started is None:
            raise InputError("There is no run to repeat: press Train first, or open a recording.")
        config, folder = started.config, self.folder_of(started.config)
        file = seeds.experiment_file(config, folder)
        self._jobs.run(
            TITLE,
            lambda progress: seeds.repeat(config, file, folder, self._plug_ins, progress),
            lambda lines: self._show(started, lines),
        )
        command = seeds.command(config, file, self._plug_ins)
        clipboard = QGuiApplication.clipboard()
        assert clipboard is not None
        clipboard.setText(command)
        self._messages.say(f"Training with {seeds.SEEDS} seeds in the background. On the clipboard: {command}")

    def folder_of(self, config: ExperimentConfig) -> Path:
        """Where the results of a configuration are kept."""
        return seeds.folder_of(config, self._root)

    def _show(self, of: RunStarted, lines: tuple[str, ...]) -> None:
        if of is self._stage.history.started and self._outcome.says_something:
            self._outcome.say_of_seeds(lines)
        else:  # something else is shown by now
            self._messages.notice(f"{TITLE} of '{of.config.title}'. " + " · ".join(lines))
