from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from app.window.main_window import MainWindow


@pytest.fixture
def open_window(qtbot, tmp_path: Path, raster_kernels: None) -> Iterator[Callable[..., MainWindow]]:
    """Opens windows and closes them in order at the end."""
    from tests.app import windows

    opened: list[MainWindow] = []

    def build(**options: object) -> MainWindow:
        window = windows.make_window(tmp_path, **options)
        opened.append(window)
        with qtbot.waitActive(window):
            window.show()
            window.activateWindow()
        return window

    yield build
    for window in opened:
        if window.isVisible():
            with qtbot.waitSignal(window.closed, timeout=10_000):
                window.close()
        window.jobs.close()
        window.deleteLater()


@pytest.fixture
def training(open_window, qtbot) -> MainWindow:
    """A window whose lanes have trained for a few steps and stand still, so that a test asks for every further one."""
    from hnm_core.run.events import RunState
    from tests.app import engine

    window = open_window(config=engine.config(), source=engine.source)
    for done in (1, 2, 3):
        window.actions_by_key["step"].trigger()
        qtbot.waitUntil(
            lambda done=done: [len(lane) for lane in window.stage.history.lanes.values()] == [done, done],
            timeout=30_000,
        )
    qtbot.waitUntil(lambda: window.bridge.state is RunState.PAUSED, timeout=5000)
    return window
