"""Long work that the user asked for and may call off: copies, exports, videos. And the program's event loop.

qasync lives here and nowhere else: a job is a coroutine that waits for a thread of its own. Frames and steps never
come this way.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import qasync
from PyQt6.QtCore import QObject, pyqtBoundSignal, pyqtSignal
from PyQt6.QtWidgets import QApplication

from app.progress import Progress
from app.window.errors import BugReporter
from hnm_core.errors import InputError
from hnm_core.system import memory

PROGRESS_S = 0.1
"""At most so often progress is handed to the window."""
BROKEN_LOOP_S = 0.01
"""Without a display Qt does not wait for events; so long we do."""


class Jobs(QObject):
    """Runs jobs on threads; all signals are emitted on the GUI thread.

    `started(title)`, `progressed(title, done, total)` (total 0 while unknown), `ended(title, outcome)` where outcome is
    empty for success, "cancelled", or a sentence that says what went wrong.
    """

    started = pyqtSignal(str)
    progressed = pyqtSignal(str, int, int)
    ended = pyqtSignal(str, str)

    def __init__(self, app: QApplication, bugs: BugReporter, *, already_running: bool = False) -> None:
        super().__init__()
        self._app = app
        self._loop = qasync.QEventLoop(app, already_running=already_running)
        self._loop.set_exception_handler(self._on_loop_error)
        self._bugs = bugs
        self._running: dict[str, tuple[asyncio.Task[None], threading.Event]] = {}

    @property
    def busy(self) -> bool:
        """Whether a job runs."""
        return bool(self._running)

    def run(self, title: str, work: Callable[[Progress], Any], done: Callable[[Any], None] | None = None) -> None:
        """Run `work(progress)` on a thread, then `done(its result)` on the GUI thread unless it was called off.

        Raises:
            InputError: a job of that title still runs.
        """
        if title in self._running:
            raise InputError(f"'{title}' is still at work; wait for it or cancel it.")
        cancelled = threading.Event()
        self._running[title] = (self._loop.create_task(self._watch(title, work, done, cancelled)), cancelled)
        self.started.emit(title)

    def cancel(self, title: str | None = None) -> None:
        """Call off the job of that title, None for everything; `busy` says when all have ended."""
        for known, (_, cancelled) in self._running.items():
            if title in (None, known):
                cancelled.set()

    async def _watch(
        self,
        title: str,
        work: Callable[[Progress], Any],
        after: Callable[[Any], None] | None,
        cancelled: threading.Event,
    ) -> None:
        result: asyncio.Future[Any] = self._loop.create_future()
        last = 0.0

        def progress(done: int, total: int) -> bool:
            nonlocal last
            now = time.monotonic()
            if now - last >= PROGRESS_S or done >= total:
                last = now
                self._loop.call_soon_threadsafe(self.progressed.emit, title, done, total)
            return not cancelled.is_set()

        def run() -> None:
            try:
                value = work(progress)
            except BaseException as error:  # noqa: BLE001  handed over to the coroutine, which tells the user
                self._loop.call_soon_threadsafe(result.set_exception, error)
            else:
                self._loop.call_soon_threadsafe(result.set_result, value)

        thread = threading.Thread(target=run, name=f"hnm-job {title}", daemon=False)
        thread.start()
        outcome = ""
        try:
            value = await result
            if cancelled.is_set():
                outcome = "cancelled"
            elif after is not None:
                after(value)
        except (InputError, OSError) as error:
            outcome = "cancelled" if cancelled.is_set() else str(error)
        except Exception as error:  # noqa: BLE001  a bug in the job must not take the window with it
            ran_out = memory.ran_out(error)
            outcome = memory.RAN_OUT if ran_out else f"{type(error).__name__}: {error}"
            outcome = "cancelled" if cancelled.is_set() else outcome
            if not cancelled.is_set() and not ran_out:
                self._bugs.report_exception(error, title)
        finally:
            thread.join()
            del self._running[title]
        self.ended.emit(title, outcome)

    def run_until(self, closed: pyqtBoundSignal, end: Callable[[], object]) -> bool:
        """Run the program until the signal `closed` comes; whether the display was there until then.

        Qt leaves its event loop when the connection to the display breaks. Then `end()` is called, which asks for an
        orderly end, and what waits in the loop is handled until `closed` comes.
        """
        over = False

        def stop() -> None:
            nonlocal over
            over = True
            self._loop.stop()

        closed.connect(stop)
        self._loop.run_forever()
        lost = not over
        if lost:
            end()
        while not over:
            self._app.processEvents()
            time.sleep(BROKEN_LOOP_S)
        self._app.processEvents()  # what was still under way when the signal came
        return not lost

    def close(self) -> None:
        """Let go of the event loop."""
        self._loop.close()

    def _on_loop_error(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, BaseException):
            self._bugs.report_exception(error, str(context.get("message", "")))
        else:
            self._bugs.report(str(context.get("message", "An asynchronous call failed")), repr(context))
