"""The end of a window: everything behind it ends first, in order, while the run's mailbox is still emptied."""

from __future__ import annotations

import time

from PyQt6.QtCore import QObject, pyqtSignal

from app.stage.stage import Stage
from app.window.bridge import RunBridge
from app.window.exporting import Exporting
from app.window.jobs import Jobs
from app.window.messages import Messages
from app.window.preparation import Preparation

LIMIT_S = 20.0
"""So long the window waits; then it goes, and the run is given up."""


class Closing(QObject):
    """`ended()` once nothing is left behind the window, or too much time has passed: the bridge is closed then."""

    ended = pyqtSignal()

    def __init__(
        self,
        *,
        bridge: RunBridge,
        stage: Stage,
        jobs: Jobs,
        exporting: Exporting,
        preparation: Preparation | None,
        messages: Messages,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bridge, self._stage, self._jobs, self._exporting = bridge, stage, jobs, exporting
        self._preparation, self._messages = preparation, messages
        self._since: float | None = None
        self.over = False
        """Whether `ended` was said."""

    @property
    def begun(self) -> bool:
        """Whether the window is on its way out."""
        return self._since is not None

    def begin(self) -> None:
        """Ask everything to end."""
        self._since = time.perf_counter()
        self._stage.close()
        self._stage.panes.set_hint("Stopping ...")
        self._messages.say("Stopping ...")
        self._bridge.stop()
        self._exporting.close()
        self._jobs.cancel()
        if self._preparation is not None:
            self._preparation.cancel()

    def go_on(self) -> None:
        """Look whether everything has ended; to be called with every tick."""
        if self._since is None or (self._busy and time.perf_counter() - self._since < LIMIT_S):
            return
        self.over = True
        self._bridge.close()
        self.ended.emit()

    @property
    def _busy(self) -> bool:
        preparing = self._preparation is not None and self._preparation.busy
        return self._bridge.active or self._jobs.busy or self._exporting.busy or preparing
