"""Bugs of ours: a full report in a file, one sentence on the screen, and the window goes on.

PyQt aborts the process when an exception leaves a slot, so the hooks must be in place before the first widget, and
after the import of pyqtgraph, which sets a hook of its own.
"""

from __future__ import annotations

import logging
import re
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from PyQt6.QtCore import (
    PYQT_VERSION_STR,
    QT_VERSION_STR,
    QMessageLogContext,
    QObject,
    QtMsgType,
    pyqtSignal,
    qInstallMessageHandler,
)

from hnm_core.cli.reports import save_report

log = logging.getLogger(__name__)

DISPLAY_LOST = re.compile(r"The X11 connection broke")
"""How Qt begins to say that there is no display any more."""


def write_report(title: str, text: str) -> Path | None:
    """Write `text` into the user's reports folder; the path, or None when the folder cannot be written to."""
    try:
        return save_report(f"{title}\nQt {QT_VERSION_STR}, PyQt {PYQT_VERSION_STR}\n\n{text}")
    except OSError as error:
        log.error("The report could not be written: %s\n%s", error, text)
        return None


class BugReporter(QObject):
    """Turns exceptions nobody caught into reports. `reported(sentence, path)` comes from the GUI thread's queue."""

    reported = pyqtSignal(str, str)

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._seen: set[str] = set()
        self._before: tuple[Any, Any, Any] | None = None

    def report(self, title: str, text: str) -> None:
        """Write a report and tell the window, once for every different `text`: a bug in painting comes 30 times a
        second."""
        if text in self._seen:
            return
        self._seen.add(text)
        path = write_report(title, text)
        self.reported.emit(title, str(path) if path is not None else "")

    def report_exception(self, error: BaseException, where: str = "") -> None:
        """Report an exception that was caught where nothing better could be done."""
        text = "".join(traceback.format_exception(error))
        reason = f"{type(error).__name__}: {error}".strip().rstrip(":")
        self.report(f"{where}: {reason}" if where else reason, text)

    def install(self) -> None:
        """Take over the hooks of Python, of its threads and of Qt; the ones that were there are still called."""
        self._before = (sys.excepthook, threading.excepthook, qInstallMessageHandler(_log_qt_message))
        sys.excepthook = self._on_exception
        threading.excepthook = self._on_thread_exception

    def uninstall(self) -> None:
        """Put the former hooks back."""
        if self._before is not None:
            sys.excepthook, threading.excepthook, handler = self._before
            qInstallMessageHandler(handler)
            self._before = None

    def _on_exception(
        self, kind: type[BaseException], error: BaseException, trace: TracebackType | None = None
    ) -> None:
        if self._before is not None:
            self._before[0](kind, error, trace)
        if not issubclass(kind, KeyboardInterrupt):
            self.report_exception(error.with_traceback(trace))

    def _on_thread_exception(self, args: threading.ExceptHookArgs) -> None:
        if self._before is not None:
            self._before[1](args)
        if args.exc_value is not None:
            self.report_exception(args.exc_value, f"Thread {args.thread.name if args.thread else 'unknown'}")


def _log_qt_message(kind: QtMsgType, context: QMessageLogContext, message: str | None) -> None:
    level = {
        QtMsgType.QtDebugMsg: logging.DEBUG,
        QtMsgType.QtInfoMsg: logging.INFO,
        QtMsgType.QtWarningMsg: logging.WARNING,
    }.get(kind, logging.ERROR)
    if message is not None and DISPLAY_LOST.match(message):
        level = logging.DEBUG  # repeated with every look at the connection; what becomes of it we say
    logging.getLogger("app.qt").log(level, "%s", message)
