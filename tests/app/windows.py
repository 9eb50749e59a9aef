"""Windows for tests: real ones, around hand-made runs, whose traces stay in the test's own folders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from PyQt6.QtWidgets import QApplication

from app.window.bridge import RunBridge, Training
from app.window.desktop import Desktop
from app.window.errors import BugReporter
from app.window.jobs import Jobs
from app.window.main_window import MainWindow
from app.window.preparation import Preparation
from app.window.settings import Settings
from hnm_core.run.control import Control
from hnm_core.run.events import Event
from hnm_core.spec.config import ExperimentConfig
from tests.app import runs
from tests.app.threads import TrainingThread

LONG = 1_000_000


def make_window(
    folder: Path,
    config: ExperimentConfig | None = None,
    source: Callable[[ExperimentConfig, Control], Iterator[Event]] | None = None,
    settings: Settings | None = None,
    preparation: Preparation | None = None,
    training: Training | None = None,
    previews: bool = False,
    desktop: Desktop | None = None,
) -> MainWindow:
    """A window on `config`, recording into `folder`/1, 2, ..."""
    app = QApplication.instance()
    assert isinstance(app, QApplication)
    bugs = BugReporter()
    made: list[Path] = []

    def new_folder(_title: str) -> Path:
        made.append(folder / str(len(made) + 1))
        return made[-1]

    window = MainWindow(
        config or runs.config(steps=LONG),
        bridge=RunBridge(training or TrainingThread(source or runs.source())),
        jobs=Jobs(app, bugs),
        bugs=bugs,
        settings=settings or Settings(None),
        preparation=preparation,
        new_folder=new_folder,
        previews=previews,
        desktop=desktop,
    )
    window.resize(1200, 800)
    return window
