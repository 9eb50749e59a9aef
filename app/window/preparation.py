"""What must be there before clouds can be drawn: compiled kernels, loaded.

Both take a while, so neither happens on the GUI thread: kernels are compiled by a process of their own, once per
machine; a helper thread loads them. The engine is loaded by the training process, see `app.training`.
"""

from __future__ import annotations

import importlib
import subprocess
import threading
from collections.abc import Callable

from PyQt6.QtCore import QObject, QTimer, pyqtSignal

from app.window.errors import BugReporter
from hnm_core import kernels

RASTER_KERNELS = "app.picture.raster"
POLL_MS = 100


def load_renderer() -> None:
    """Draw once, if that takes no compiler: the first call of a kernel is the slow one."""
    if kernels.ready(RASTER_KERNELS):
        importlib.import_module(RASTER_KERNELS).warm_up()


def in_words(progress: kernels.Progress | None) -> str:
    """What panes say while the renderer is prepared."""
    share = f", {100 * progress.done / progress.total:.0f} %" if progress is not None and progress.total else ""
    return f"Preparing the renderer, once for this machine{share}\u00a0..."


class Preparation(QObject):
    """`renderer_ready` is emitted once, from the GUI thread, and before it `renderer_progressed(text)`, as `text` says
    how far it is."""

    renderer_ready = pyqtSignal()
    renderer_progressed = pyqtSignal(str)

    def __init__(
        self,
        bugs: BugReporter,
        load: Callable[[], None] = load_renderer,
        modules: tuple[str, ...] = (RASTER_KERNELS, kernels.SEARCH_KERNELS),
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._bugs = bugs
        self._load = load
        self._modules = modules
        self._compiler: subprocess.Popen[bytes] | None = None
        self._loader: threading.Thread | None = None
        self._renderer_ready = False
        self._begun = False
        self.text = in_words(None)
        """What is going on, for people to read"""
        self._timer = QTimer(self)
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self._poll)

    @property
    def begun(self) -> bool:
        """Whether `start` was called."""
        return self._begun

    @property
    def busy(self) -> bool:
        """Whether something is still being prepared."""
        return self._loader is not None or self._compiler is not None

    def start(self) -> None:
        """Begin; returns at once."""
        self._begun = True
        try:
            self._compiler = kernels.compile_in_background(*self._modules)
        except Exception as error:  # noqa: BLE001  then the first picture compiles: late, but not never
            self._bugs.report_exception(error, "The compiler of the renderer could not be started")
        self._loader = threading.Thread(target=self._run_loader, name="hnm-renderer-loader", daemon=False)
        self._loader.start()
        self._timer.start()

    def cancel(self) -> None:
        """End the compiler; the loader cannot be interrupted, `busy` says when it is through."""
        if self._compiler is not None and self._compiler.poll() is None:
            self._compiler.terminate()
            self._compiler.wait()

    def _run_loader(self) -> None:
        try:
            self._load()
        except Exception as error:  # noqa: BLE001  shown in the window; the first picture will say it again
            self._bugs.report_exception(error, "The renderer could not be loaded")

    def _poll(self) -> None:
        if self._compiler is not None and self._compiler.poll() is not None:
            self._compiler = None
        if self._loader is not None and not self._loader.is_alive():
            self._loader.join()
            self._loader = None
        compiled = self._compiler is None or kernels.ready(RASTER_KERNELS)
        if not self._renderer_ready and compiled and self._loader is None:
            self._renderer_ready = True  # also when the compiler failed: the first picture then compiles by itself
            self.renderer_ready.emit()
        if not self._renderer_ready and (text := in_words(kernels.progress(RASTER_KERNELS))) != self.text:
            self.text = text
            self.renderer_progressed.emit(text)
        if not self.busy:
            self._timer.stop()
