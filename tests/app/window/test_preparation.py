from __future__ import annotations

import threading

import pytest

from app.window import preparation
from app.window.errors import BugReporter
from app.window.preparation import Preparation
from hnm_core import kernels


@pytest.fixture
def compiler(monkeypatch):
    """Stands for the compiling process; `done` ends it."""

    class Process:
        done = False
        terminated = False

        def poll(self) -> int | None:
            return 0 if self.done else None

        def terminate(self) -> None:
            self.done = self.terminated = True

        def wait(self) -> int:
            return 0

    process = Process()
    monkeypatch.setattr(kernels, "compile_in_background", lambda *_modules: process)
    monkeypatch.setattr(kernels, "ready", lambda _module: False)
    return process


def test_that_the_renderer_counts_as_ready_only_when_the_compiler_has_ended(qtbot, compiler):
    said: list[str] = []
    prepared = Preparation(BugReporter(), load=lambda: None)
    prepared.renderer_ready.connect(lambda: said.append("renderer"))
    prepared.start()
    qtbot.wait(3 * preparation.POLL_MS)
    assert said == []
    assert prepared.busy
    compiler.done = True
    qtbot.waitUntil(lambda: said == ["renderer"], timeout=2000)
    assert not prepared.busy


def test_that_the_renderer_counts_as_ready_only_when_it_is_loaded(qtbot, compiler):
    compiler.done = True
    loaded = threading.Event()
    prepared = Preparation(BugReporter(), load=lambda: loaded.wait(5) and None)
    said: list[str] = []
    prepared.renderer_ready.connect(lambda: said.append("renderer"))
    prepared.start()
    qtbot.wait(3 * preparation.POLL_MS)
    assert said == []
    loaded.set()
    qtbot.waitUntil(lambda: said == ["renderer"], timeout=2000)


def test_that_the_renderer_is_loaded_by_a_thread_that_is_no_daemon(qtbot, compiler):
    compiler.done = True
    threads: list[threading.Thread] = []
    prepared = Preparation(BugReporter(), load=lambda: threads.append(threading.current_thread()))
    with qtbot.waitSignal(prepared.renderer_ready, timeout=2000):
        prepared.start()
    assert [(thread.name, thread.daemon) for thread in threads] == [("hnm-renderer-loader", False)]


def test_that_a_renderer_that_cannot_be_loaded_is_reported(qtbot, compiler):
    compiler.done = True

    def broken() -> None:
        raise ImportError("no compiler here")

    bugs = BugReporter()
    prepared = Preparation(bugs, load=broken)
    with qtbot.waitSignal(bugs.reported, timeout=2000) as said:
        prepared.start()
    qtbot.waitUntil(lambda: not prepared.busy, timeout=2000)
    assert "no compiler here" in said.args[0]


def test_that_cancelling_ends_the_compiler(qtbot, compiler):
    prepared = Preparation(BugReporter(), load=lambda: None)
    prepared.start()
    prepared.cancel()
    qtbot.waitUntil(lambda: not prepared.busy, timeout=2000)
    assert compiler.terminated


def test_that_it_tells_how_far_the_compiler_of_the_renderer_is(qtbot, compiler, monkeypatch):
    told = kernels.Progress(3, 12, "shade")
    monkeypatch.setattr(kernels, "progress", lambda module: told if module == preparation.RASTER_KERNELS else None)
    prepared = Preparation(BugReporter(), load=lambda: None)
    assert prepared.text == "Preparing the renderer, once for this machine\u00a0..."
    with qtbot.waitSignal(prepared.renderer_progressed, timeout=2000) as said:
        prepared.start()
    assert said.args == ["Preparing the renderer, once for this machine, 25 %\u00a0..."]
    compiler.done = True
    qtbot.waitUntil(lambda: not prepared.busy, timeout=2000)
