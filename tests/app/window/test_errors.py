from __future__ import annotations

import sys
import tempfile
import threading
from pathlib import Path

import pytest
from PyQt6.QtCore import QTimer

from app.window.errors import BugReporter, write_report
from hnm_core.cli import reports


@pytest.fixture
def bugs(qapp):
    reporter = BugReporter()
    hooks = sys.excepthook, threading.excepthook
    sys.excepthook = threading.excepthook = lambda *_args: None  # pytest's own would count these bugs as ours
    reporter.install()
    yield reporter
    reporter.uninstall()
    sys.excepthook, threading.excepthook = hooks


def test_that_an_exception_in_a_slot_becomes_a_report_with_its_traceback(bugs, qtbot):
    def broken() -> None:
        raise LookupError("no such pane")

    with qtbot.waitSignal(bugs.reported, timeout=2000) as said:
        QTimer.singleShot(0, broken)
    title, path = said.args
    assert title == "LookupError: no such pane"
    text = Path(path).read_text(encoding="utf-8")
    assert 'raise LookupError("no such pane")' in text
    assert "Traceback" in text


def test_that_an_exception_in_a_thread_names_the_thread(bugs, qtbot):
    def broken() -> None:
        raise ValueError("seven")

    with qtbot.waitSignal(bugs.reported, timeout=2000) as said:
        thread = threading.Thread(target=broken, name="worker-7")
        thread.start()
        thread.join()
    assert said.args[0] == "Thread worker-7: ValueError: seven"


def test_that_the_same_bug_thirty_times_a_second_is_reported_once(bugs, user_folders):
    seen: list[str] = []
    bugs.reported.connect(lambda title, _path: seen.append(title))
    for _ in range(30):
        bugs.report("paint", "the same traceback")
    assert seen == ["paint"]
    assert len(list((user_folders / "data" / "hnm-lab" / "reports").iterdir())) == 1


def test_that_hooks_that_were_there_before_are_called_and_come_back(qapp):
    called: list[type] = []
    before = sys.excepthook
    sys.excepthook = lambda kind, _error, _trace: called.append(kind)
    try:
        mine = sys.excepthook
        reporter = BugReporter()
        reporter.install()
        sys.excepthook(KeyError, KeyError("x"), None)
        reporter.uninstall()
        assert called == [KeyError]
        assert sys.excepthook is mine
    finally:
        sys.excepthook = before


def test_that_old_reports_make_room(monkeypatch, user_folders):
    monkeypatch.setattr(reports, "MAX_REPORTS", 3)
    for number in range(5):
        assert write_report("title", f"text {number}") is not None
    texts = [path.read_text() for path in (user_folders / "data" / "hnm-lab" / "reports").iterdir()]
    assert len(texts) == 3
    assert any("text 4" in text for text in texts)


def test_that_a_folder_that_cannot_be_written_loses_the_report_but_not_the_program(monkeypatch, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    assert write_report("title", "the traceback") is None
    assert "the traceback" in caplog.text
    caplog.clear()
