"""Starts the window. The order of the steps matters, and each line says why it stands where it stands."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import tempfile
import threading
from dataclasses import dataclass
from pathlib import Path

from app.limits import check_lanes
from hnm_core.config import ExperimentConfig
from hnm_core.errors import InputError

__all__ = ["GuiRequest", "check_lanes", "run_gui"]

SWITCH_INTERVAL_S = 5e-6
"""A training step is some hundred short torch calls, each of which takes the interpreter anew. At Python's own 5 ms the
window stutters; the shorter the interval, the less training waits for the window too (0.5 ms: a fifth fewer steps)."""

STACK_BYTES = 16 << 20
"""macOS gives threads small stacks, and torch needs more."""

DEFAULT_SIZE = (1500, 900)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class GuiRequest:
    """What the window is asked to open with."""

    config: ExperimentConfig
    preset: str | None = None
    size: tuple[int, int] | None = None
    """Width and height in logical pixels; None takes the last one."""
    autoplay: bool = False
    quit_after: float | None = None
    """Seconds after the window is shown."""
    stats: Path | None = None
    """File for the figures, written on quitting."""
    recording: Path | None = None
    """Folder of a recording to play instead of training."""


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
    if sys.platform == "win32":
        import torch  # noqa: F401  after PyQt it may not load at all there

    sys.setswitchinterval(SWITCH_INTERVAL_S)
    threading.stack_size(STACK_BYTES)
    log.debug("switch interval %g s, thread stacks %d bytes", SWITCH_INTERVAL_S, STACK_BYTES)

    from PyQt6.QtWidgets import QApplication

    app = QApplication.instance() or QApplication(["hnm-lab"])
    assert isinstance(app, QApplication)
    app.setApplicationName("HNM Lab")
    app.setDesktopFileName("hnm-lab")
    app.setStyle("Fusion")
    app.setQuitOnLastWindowClosed(False)  # closing is orderly: the window says when it is over

    import pyqtgraph  # noqa: F401  sets an exception hook on import; ours comes after it and calls it

    from app.errors import BugReporter

    bugs = BugReporter()
    bugs.install()
    try:
        return _open(app, bugs, request)
    finally:
        bugs.uninstall()


def _open(app: object, bugs: object, request: GuiRequest) -> int:
    from PyQt6.QtCore import QTimer
    from PyQt6.QtGui import QIcon
    from PyQt6.QtWidgets import QApplication

    from app import stats
    from app.bridge import RunBridge
    from app.errors import BugReporter
    from app.jobs import Jobs
    from app.main_window import MainWindow
    from app.preparation import Preparation
    from app.settings import Settings
    from hnm_core import recording
    from hnm_core.resources import resource_dir

    assert isinstance(app, QApplication) and isinstance(bugs, BugReporter)
    app.setWindowIcon(QIcon(str(resource_dir() / "icons" / "hnm-lab.svg")))
    jobs = Jobs(app, bugs)
    bridge = RunBridge(recorder=recording.record)
    window = MainWindow(
        request.config,
        bridge=bridge,
        jobs=jobs,
        bugs=bugs,
        settings=Settings.of_the_user(),
        preparation=Preparation(bugs),
        preset=request.preset or "",
        new_folder=_new_folder,
    )
    window.resize(*(request.size or DEFAULT_SIZE))
    window.restore(keep_size=request.size is not None)
    window.show()
    if request.recording is not None:
        folder = request.recording
        QTimer.singleShot(0, lambda: window.attempt(lambda: window.files.play(folder)))
    elif request.autoplay:
        window.actions_by_key["orbit"].setChecked(True)
        QTimer.singleShot(0, lambda: window.attempt(window.start))
    if request.quit_after is not None:
        QTimer.singleShot(round(request.quit_after * 1000), window.close)
    jobs.run_until(window.closed)
    figures = window.figures_of_run()
    jobs.close()
    if request.stats is not None:
        stats.write(request.stats, figures)
    if bridge.active:
        _give_up()
    return 0


def _new_folder(title: str) -> Path:
    from hnm_core import recording

    recording.prune()
    return recording.new_run_dir(title)


def _give_up() -> None:
    """The training thread does not answer. It would keep the process alive for ever, so leave without it."""
    from app.errors import write_report

    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file, all_threads=True)
        file.seek(0)
        path = write_report("The training thread did not stop", file.read())
    log.error("The training thread did not stop; the process ends without it. Report: %s", path)
    logging.shutdown()
    os._exit(1)
