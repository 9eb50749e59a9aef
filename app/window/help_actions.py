"""What the Help menu opens: every command by name, the reports of faults, and what this program is."""

from __future__ import annotations

from collections.abc import Iterable

from PyQt6.QtCore import Qt, QUrl
from PyQt6.QtGui import QAction, QDesktopServices
from PyQt6.QtWidgets import QMessageBox, QWidget

import hnm_core
from app.panels.command_palette import CommandPalette
from app.window.settings import data_dir


def open_palette(window: QWidget, actions: Iterable[QAction]) -> None:
    """Show the command palette in the middle of `window`."""
    palette = CommandPalette(list(actions), window)
    palette.move(window.mapToGlobal(window.rect().center()) - palette.rect().center())
    palette.show()


def open_reports() -> None:
    """Open the folder of reports in the desktop's file manager."""
    folder = data_dir() / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))


def show_about(window: QWidget) -> None:
    """Version, and what the picture means."""
    box = QMessageBox(window)
    box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    box.setWindowTitle("About HNM Lab")
    box.setText(
        f"HNM Lab {hnm_core.__version__}\n\nHard negative mining made visible. Every point is an "
        "item in the embedding; lines join anchors to the negatives mined for them, the bolder the harder, and blue "
        "ones to positives."
    )
    box.open()
