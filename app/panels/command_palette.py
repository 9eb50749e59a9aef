"""Find any command by a part of its name."""

from __future__ import annotations

from collections.abc import Sequence

from PyQt6.QtCore import QEvent, QObject, Qt
from PyQt6.QtGui import QAction, QKeyEvent, QKeySequence
from PyQt6.QtWidgets import QDialog, QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget


class CommandPalette(QDialog):
    """A line to type in and the actions whose text holds every word of it. Enter runs the chosen one."""

    def __init__(self, actions: Sequence[QAction], parent: QWidget | None = None) -> None:
        super().__init__(parent, Qt.WindowType.Popup)
        self.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._actions = actions
        self.line = QLineEdit()
        self.line.setPlaceholderText("Type a command")
        self.line.setClearButtonEnabled(True)
        self.line.textChanged.connect(self._fill)
        self.line.returnPressed.connect(self._run)
        self.line.installEventFilter(self)
        self.list = QListWidget()
        self.list.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.list.itemClicked.connect(self._run)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(8, 8, 8, 8)
        layout.addWidget(self.line)
        layout.addWidget(self.list)
        self.resize(460, 340)
        self._fill("")
        self.line.setFocus()

    def eventFilter(self, _watched: QObject | None, event: QEvent | None) -> bool:
        """Arrow keys move in the list while the line keeps the focus."""
        if isinstance(event, QKeyEvent) and event.type() == QEvent.Type.KeyPress:
            moves = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}
            if event.key() in moves and self.list.count():
                row = self.list.currentRow() + moves[Qt.Key(event.key())]
                self.list.setCurrentRow(min(max(row, 0), self.list.count() - 1))
                return True
        return False

    def _fill(self, text: str) -> None:
        """The commands with all the words: first those whose names have words that begin so, then those with them
        anywhere in their names, then those that speak of them."""
        words = text.lower().split()
        self.list.clear()
        found = []
        for action in self._actions:
            name = action.text().replace("&", "")
            for rank, where in enumerate((f" {name}", name, f"{name} {action.statusTip()}")):
                sought = [f" {word}" for word in words] if rank == 0 else words
                if action.isEnabled() and all(word in where.lower() for word in sought):
                    found.append((rank, action, name))
                    break
        for _, action, name in sorted(found, key=lambda match: match[0]):
            self._add(action, name)
        self.list.setCurrentRow(0)

    def _add(self, action: QAction, name: str) -> None:
        keys = action.shortcut().toString(QKeySequence.SequenceFormat.NativeText)
        item = QListWidgetItem(f"{name}    {keys}" if keys else name)
        item.setToolTip(action.statusTip())
        item.setData(Qt.ItemDataRole.UserRole, action)
        self.list.addItem(item)

    def _run(self) -> None:
        item = self.list.currentItem()
        self.close()
        if item is not None:
            item.data(Qt.ItemDataRole.UserRole).trigger()
