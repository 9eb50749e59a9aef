"""What leads a newcomer in: the gallery of presets."""

from __future__ import annotations

from collections.abc import Callable

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QWidget

from app.panels.gallery import Gallery
from app.picture.theme import Theme
from app.presets import cards


def open_gallery(window: QWidget, current: str, theme: Theme, choose: Callable[[str], object]) -> None:
    """Show the presets as pictures over `window`; `choose` gets the name of the one that is taken."""
    gallery = Gallery(cards(), theme, current, window)
    gallery.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    gallery.chosen.connect(choose)
    gallery.open()
