"""What leads a newcomer in: the gallery of presets, and all keys on one sheet."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from PyQt6.QtCore import Qt
from PyQt6.QtGui import QAction, QKeySequence
from PyQt6.QtWidgets import QWidget

from app.panels.gallery import Gallery
from app.panels.shortcut_sheet import ShortcutSheet
from app.picture.theme import Theme
from app.presets import cards
from app.views.keys import CLOUD_KEYS, TIMELINE_KEYS, KeyGroup
from app.window.actions import ACTIONS, MENUS


def open_gallery(window: QWidget, current: str, theme: Theme, choose: Callable[[str], object]) -> None:
    """Show the presets as pictures over `window`; `choose` gets the name of the one that is taken."""
    gallery = Gallery(cards(), theme, current, window)
    gallery.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    gallery.chosen.connect(choose)
    gallery.open()


def open_shortcuts(window: QWidget, actions: Mapping[str, QAction], theme: Theme) -> None:
    """Show what every key does over `window`."""
    sheet = ShortcutSheet(key_groups(actions), theme, window)
    sheet.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
    sheet.open()


def key_groups(actions: Mapping[str, QAction]) -> list[KeyGroup]:
    """The actions that have a key, by menu, then the keys of single views."""
    groups = []
    for menu in MENUS:
        rows = [(spec.text.removesuffix(" ..."), actions[spec.key].shortcut()) for spec in ACTIONS if spec.menu == menu]
        named = [
            (keys.toString(QKeySequence.SequenceFormat.NativeText), text) for text, keys in rows if not keys.isEmpty()
        ]
        if named:
            groups.append(KeyGroup(menu, tuple(named)))
    return [*groups, CLOUD_KEYS, TIMELINE_KEYS]
