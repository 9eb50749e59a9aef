"""What lies beyond watching a run: what its networks score, and its options searched; each a job that can be called
off, its outcome a table in a window of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from PyQt6.QtCore import QDir
from PyQt6.QtWidgets import QFileDialog, QWidget

from app.panels.result_card import ResultCard
from app.panels.tune_dialog import TuneDialog
from app.stage.stage import Stage
from app.training import studies
from app.training.seeds import experiment_file, folder_of
from app.training.studies import Search, Table
from app.window.bridge import RunBridge
from app.window.jobs import Jobs
from app.window.messages import Messages
from hnm_core.errors import InputError
from hnm_core.run.events import RunStarted
from hnm_core.spec.data_files import DATA_PATTERNS
from hnm_core.training.retrieval_config import to_train

EVALUATE, TUNE = "Evaluate", "Tune"


class Studies:
    """`window` stands behind dialogs; `root` keeps what was tried."""

    def __init__(
        self,
        window: QWidget,
        *,
        bridge: RunBridge,
        stage: Stage,
        jobs: Jobs,
        messages: Messages,
        root: Path,
        plug_ins: Sequence[Path],
    ) -> None:
        self._window, self._bridge, self._stage, self._jobs = window, bridge, stage, jobs
        self._messages, self._root, self._plug_ins = messages, root, tuple(plug_ins)
        self.card: ResultCard | None = None
        """What was shown last; None before, and once it was closed."""

    def evaluate(self) -> None:
        """Score every lane's network on the run's held-out items. Raises `InputError` where there is none to score."""
        self._evaluate(None)

    def evaluate_file(self) -> None:
        """Ask for a file of data and score every lane's network on it. Raises `InputError` as above."""
        self._recorded()
        title, patterns = "Evaluate on data of your own", f"Data ({DATA_PATTERNS})"
        dialog = QFileDialog(self._window, title, QDir.currentPath(), patterns)
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.fileSelected.connect(lambda name: self._messages.attempt(lambda: self._evaluate(Path(name))))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def tune(self) -> None:
        """Ask what to search and search it, from what the run began with. Raises `InputError` where there is no run."""
        self._bridge.refuse_while_starting()
        started = self._stage.history.started
        if started is None:
            raise InputError("There is no run to tune: press Train first, or open a recording.")
        dialog = TuneDialog(to_train(started.config), self._window)
        dialog.chosen.connect(lambda search: self._messages.attempt(lambda: self._tune(started, search)))
        dialog.open()

    def _evaluate(self, source: Path | None) -> None:
        started, folder = self._recorded()
        on = "its held-out items" if source is None else f"'{source.name}'"
        self._jobs.run(
            EVALUATE,
            lambda progress: studies.evaluated(folder, source, self._plug_ins, progress),
            lambda table: self._show(f"'{started.config.title or folder.name}' on {on}", table),
        )
        self._messages.say(f"Scoring the networks on {on} in the background.")

    def _tune(self, started: RunStarted, search: Search) -> None:
        config = started.config
        name = hashlib.sha256(repr((folder_of(config, self._root).name, search.lane, search.options)).encode())
        folder = self._root / name.hexdigest()[:16]
        file = experiment_file(config, folder)
        self._jobs.run(
            TUNE,
            lambda progress: studies.tuned(file, search, folder, self._plug_ins, progress),
            lambda table: self._show(f"'{config.title}', lane '{search.lane}' tuned", table),
        )
        self._messages.say(f"Trying {search.trials:,} settings of '{search.lane}' in the background.")

    def _recorded(self) -> tuple[RunStarted, Path]:
        """The run that is shown and its recording. Raises `InputError` where there is none, or it is still on."""
        started, folder = self._stage.history.started, self._stage.folder
        if started is None or folder is None:
            raise InputError("There is no recorded run to evaluate: press Train first, or open a recording.")
        if self._bridge.active and not self._stage.replaying and self._stage.history.ended is None:
            raise InputError("The run is still on. Its networks can be evaluated when it has ended.")
        return started, folder

    def _show(self, title: str, table: Table) -> None:
        card = self.card = ResultCard(title, table, self._window)
        card.destroyed.connect(lambda: self._forget(card))
        card.show()

    def _forget(self, card: ResultCard) -> None:
        if self.card is card:
            self.card = None
