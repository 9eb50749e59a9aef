"""Rules that hold in every test: no display, no trace in the user's folders, nothing left running, nothing logged as a
warning. A test that expects a warning in the log takes the fixture `caplog` and clears it.
"""

from __future__ import annotations

import gc
import itertools
import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import forked
from tests.forked import Forks

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
os.environ.setdefault("QT_API", "PyQt6")

LEAK_WAIT_S = 3.0
USERS = itertools.count()


KERNELS = (("hnm_core.neighbors.cpu",), ("app.picture.raster", "hnm_core.miners.in_batch.kernels"))
"""What is compiled, side by side."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("qt_log_ignore", "This plugin does not support")  # what the offscreen platform cannot do


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before a run of many tests on several processes: all kernels, so that none of them waits for a compiler."""
    if session.config.getoption("numprocesses", None) and not os.environ.get("PYTEST_XDIST_WORKER"):
        from hnm_core import kernels

        for compiler in [kernels.compile_in_background(*modules) for modules in KERNELS]:
            if compiler is not None:
                compiler.wait()


@pytest.fixture(autouse=True)
def user_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings and data go to a folder of the test's own. The cache stays: compiled kernels, data sets."""
    home = tmp_path_factory.mktemp(f"user{next(USERS)}", numbered=False)  # to number it, all folders would be listed
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    return home


@pytest.fixture(autouse=True)
def no_warnings_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    yield
    said = [record for record in caplog.get_records("call") if record.levelno >= logging.WARNING]
    assert not said, "logged: " + "; ".join(f"{record.name}: {record.getMessage()}" for record in said)


@pytest.fixture(autouse=True)
def no_threads_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    until = time.monotonic() + LEAK_WAIT_S
    while (left := set(threading.enumerate()) - before) and time.monotonic() < until:
        time.sleep(0.01)
    assert not left, f"threads left running: {sorted(thread.name for thread in left)}"


@pytest.fixture
def no_qt_left(qapp: object) -> Iterator[None]:
    """No window and no running timer outlives the test. In force for every test that uses `qtbot`, see below."""
    from PyQt6.QtCore import QCoreApplication, QEvent, QTimer
    from PyQt6.QtWidgets import QApplication

    windows = set(map(id, QApplication.topLevelWidgets()))
    gc.freeze()  # what is there already, a million objects of torch's among it, is not looked through below
    yield
    QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
    gc.collect()
    running = _running_timers(QTimer)
    gc.unfreeze()
    shown = [widget for widget in QApplication.topLevelWidgets() if id(widget) not in windows and widget.isVisible()]
    assert not shown, f"windows left open: {shown}"
    assert not running, f"timers left running: {[(timer, timer.parent(), timer.interval()) for timer in running]}"


def _running_timers(kind: type) -> list:
    """Those that were made since the last `gc.freeze`."""
    from PyQt6 import sip

    # By type(), because isinstance() asks each object for its class, and some of torch's answer with a warning.
    timers = [item for item in gc.get_objects() if issubclass(type(item), kind)]
    return [timer for timer in timers if not sip.isdeleted(timer) and timer.isActive()]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        names = getattr(item, "fixturenames", None)
        if names is not None and "qtbot" in names and "no_qt_left" not in names:
            names.insert(0, "no_qt_left")  # set up first, so torn down after everything else


@pytest.fixture(scope="session")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forks]:
    """Starts processes that begin at once. It takes some seconds to load what they have loaded."""
    if not hasattr(os, "fork"):
        pytest.skip("this system cannot fork processes")
    with forked.forks(tmp_path_factory.mktemp("forked")) as started:
        yield started


@pytest.fixture(scope="session")
def compile_kernels() -> Callable[[str], None]:
    """Has the kernels of a module compiled, once per machine, so that no test waits for a compiler."""
    from hnm_core import kernels

    def compile_module(module: str) -> None:
        process = kernels.compile_in_background(module)
        if process is not None and process.wait() != 0:
            pytest.fail(f"the kernels do not compile; see {sys.executable} -m hnm_core.kernels {module}")

    return compile_module


@pytest.fixture(scope="session")
def raster_kernels(compile_kernels: Callable[[str], None]) -> None:
    """The raster's kernels are compiled."""
    compile_kernels("app.picture.raster")
