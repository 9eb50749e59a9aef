from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from app.main_window import MainWindow


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
