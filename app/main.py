"""Starts the window. The order of the steps matters, and each line says why it stands where it stands."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.limits import check_lanes
from app.training.process import TrainingProcess
from hnm_core.errors import InputError
from hnm_core.run.events import RunFailed
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.request import preset_of
from hnm_core.system import ends

if TYPE_CHECKING:
    from PyQt6.QtWidgets import QApplication

    from app.window.errors import BugReporter

__all__ = ["GuiRequest", "check_lanes", "run_gui"]

SWITCH_INTERVAL_S = 5e-6
"""So soon the window takes the interpreter back from a thread that opens a recording or renders a video. At Python's
own 5 ms it stutters beside them."""

STACK_BYTES = 16 << 20
"""macOS gives threads small stacks, and a video's encoder needs more."""

DEFAULT_SIZE = (1500, 900)
GREET_MS = 1200
"""After the window has been seen for so long, a newcomer is shown round."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GuiRequest:
    """What the window is asked to open with."""

    config: ExperimentConfig
    size: tuple[int, int] | None = None
    """Width and height in logical pixels; None takes the last one."""
    autoplay: bool = False
    quit_after: float | None = None
    """Seconds after the window is shown."""
    stats: Path | None = None
    """File for the figures, written on quitting."""
    recording: Path | None = None
    """Folder of a recording to play instead of training."""
    plug_ins: tuple[Path, ...] = ()
    """Files that were loaded here and that the training process has to load too."""

    @property
    def automated(self) -> bool:
        """Whether nobody need be there: it starts, ends or measures by itself. Then nothing greets."""
        return self.autoplay or self.quit_after is not None or self.stats is not None


def check_display() -> None:
    """Raises `InputError` where no window can be shown; Qt itself would abort the process."""
    if not sys.platform.startswith("linux") or os.environ.get("QT_QPA_PLATFORM"):
        return
    if not os.environ.get("DISPLAY") and not os.environ.get("WAYLAND_DISPLAY"):
        raise InputError(
            "There is no display to open a window on. Train without one with hnm-lab run, or set "
            "QT_QPA_PLATFORM=offscreen to run the window unseen."
        )


def run_gui(request: GuiRequest) -> int:
    """Open the window and come back when it is closed; the exit status.

    Raises:
        InputError: too many lanes, or no display.
    """
    check_lanes(request.config)
    check_display()
    os.environ["QT_API"] = "PyQt6"  # before qasync and pyqtgraph look for a binding
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    threading.stack_size(STACK_BYTES)
    log.debug("switch interval %g s, thread stacks %d bytes", SWITCH_INTERVAL_S, STACK_BYTES)
    training = TrainingProcess(request.plug_ins)
    if request.recording is None:
        training.warm_up()  # first of all: the engine loads while the window is built

    from PyQt6.QtWidgets import QApplication

    app = QApplication.instance() or QApplication(["hnm-lab"])
    assert isinstance(app, QApplication)
    app.setApplicationName("HNM Lab")
    app.setDesktopFileName("hnm-lab")
    app.setStyle("Fusion")
    app.setQuitOnLastWindowClosed(False)  # closing is orderly: the window says when it is over

    import pyqtgraph  # noqa: F401  sets an exception hook on import; ours comes after it and calls it

    from app.window.errors import BugReporter

    bugs = BugReporter()
    bugs.install()
    try:
        return _open(app, bugs, training, request)
    finally:
        training.close()
        bugs.uninstall()


def _open(app: QApplication, bugs: BugReporter, training: TrainingProcess, request: GuiRequest) -> int:
    from PyQt6.QtCore import QTimer
    from PyQt6.QtGui import QIcon

    from app.stage import stats
    from app.window import desktop
    from app.window.bridge import RunBridge
    from app.window.jobs import Jobs
    from app.window.main_window import MainWindow
    from app.window.preparation import Preparation
    from app.window.settings import Settings
    from hnm_core.spec.resources import resource_dir

    app.setWindowIcon(QIcon(str(resource_dir() / "icons" / "hnm-lab.svg")))
    jobs = Jobs(app, bugs)
    bridge = RunBridge(training)
    settings = Settings.of_the_user()
    window = MainWindow(
        request.config,
        bridge=bridge,
        jobs=jobs,
        bugs=bugs,
        settings=settings,
        preparation=Preparation(bugs),
        desktop=desktop.of_this_machine(app),
        new_folder=lambda title: _new_folder(title, window.messages.notice),
        previews=not request.automated,
        plug_ins=request.plug_ins,
    )
    window.resize(*(request.size or DEFAULT_SIZE))
    window.docks.restore(settings, keep_size=request.size is not None)
    window.show()
    if request.recording is not None:
        folder = request.recording
        QTimer.singleShot(0, lambda: window.messages.attempt(lambda: window.files.play(folder)))
    elif request.autoplay:
        window.actions_by_key["orbit"].setChecked(True)
        QTimer.singleShot(0, lambda: window.messages.attempt(window.run.start))
    elif preset_of(request.config) and not request.automated:
        QTimer.singleShot(GREET_MS, window.greet)
    if request.quit_after is not None:
        QTimer.singleShot(round(request.quit_after * 1000), window.close)
    with ends.handled(lambda *_: window.close()):
        displayed = jobs.run_until(window.closed, window.close)
    figures = window.figures_of_run()
    jobs.close()
    if request.stats is not None:
        stats.write(request.stats, figures)
    if bridge.active:
        return _give_up(training)
    if not displayed:
        kept = f" What was shown is recorded in {window.stage.folder}." if window.stage.folder is not None else ""
        log.error("The display was lost, so the window has gone.%s", kept)
    return 0 if displayed else 1


def _new_folder(title: str, say: Callable[[str], None]) -> Path:
    from hnm_core.recording import make_room, new_run_dir, room

    if leaving := room.in_words(make_room()):
        say(leaving)
    return new_run_dir(title)


def _give_up(training: TrainingProcess) -> int:
    """The run did not stop in time and was broken off; the exit status. What the window can no longer show is kept."""
    from app.window.errors import write_report

    for event in training.drain().events:
        if isinstance(event, RunFailed):
            log.error("%s Report: %s", event.message, write_report(event.message, event.traceback))
    return 1
