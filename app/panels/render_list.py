"""Videos that are made one after the other: how far each is, with buttons to call it off and to find it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from PyQt6.QtCore import Qt, pyqtSignal
from PyQt6.QtWidgets import QFrame, QHBoxLayout, QProgressBar, QPushButton, QScrollArea, QVBoxLayout, QWidget

from app.plain import Label, plain_tip

if TYPE_CHECKING:
    from app.video.order import Order  # loads the encoder

State = Literal["waiting", "at work", "done", "called off", "failed"]
BAR_PX, NAME_PX = 130, 190
ROW_PX = 30
HEIGHT_PX = 3 * ROW_PX + 6
"""Of the list: three rows, more are scrolled to."""


@dataclass(frozen=True)
class Render:
    """A video that is wanted, or was."""

    number: int
    out: Path
    order: Order
    state: State = "waiting"
    done: int = 0
    total: int = 0
    told: str = ""
    """What it came to, or what went wrong"""

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it."""
        return self.state not in ("waiting", "at work")

    @property
    def place(self) -> Path:
        """The file, or the folder of numbered pictures."""
        return self.out.parent if self.order.kind == "film" and self.order.suffix == ".png" else self.out

    @property
    def words(self) -> str:
        """How it is, in a line."""
        if self.state == "at work" and self.total:
            return f"{self.done:,} of {self.total:,} pictures"
        return self.told or {"at work": "getting ready ..."}.get(self.state, self.state)


class RenderList(QWidget):
    """`cancel_asked(number)`, `folder_asked(number)`, `clear_asked()`."""

    cancel_asked = pyqtSignal(int)
    folder_asked = pyqtSignal(int)
    clear_asked = pyqtSignal()

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.rows: dict[int, RenderRow] = {}
        self._heading = Label("Videos")
        self.clear_button = QPushButton("Clear")
        self.clear_button.setToolTip("Take those that have ended off this list; their files stay")
        self.clear_button.setAutoDefault(False)
        self.clear_button.clicked.connect(self.clear_asked)
        head = QHBoxLayout()
        head.addWidget(self._heading, 1)
        head.addWidget(self.clear_button)
        inside = QWidget()
        self._rows = QVBoxLayout(inside)
        self._rows.setContentsMargins(0, 0, 4, 0)
        self._rows.setSpacing(0)
        self._rows.addStretch(1)
        self.area = QScrollArea()
        self.area.setWidgetResizable(True)
        self.area.setFrameShape(QFrame.Shape.NoFrame)
        self.area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.area.setWidget(inside)
        self.area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.area.setFixedHeight(HEIGHT_PX)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(head)
        layout.addWidget(self.area)
        self.hide()

    def show_renders(self, renders: Sequence[Render]) -> None:
        """All of them, in order; hidden while there is none."""
        known = {render.number for render in renders}
        for number in [number for number in self.rows if number not in known]:
            row = self.rows.pop(number)
            self._rows.removeWidget(row)
            row.deleteLater()
        for render in renders:
            if render.number not in self.rows:
                row = self.rows[render.number] = RenderRow(render.number)
                row.cancel.clicked.connect(lambda _on=False, number=render.number: self.cancel_asked.emit(number))
                row.folder.clicked.connect(lambda _on=False, number=render.number: self.folder_asked.emit(number))
                self._rows.insertWidget(self._rows.count() - 1, row)
            self.rows[render.number].show_render(render)
        left = sum(not render.ended for render in renders)
        self._heading.setText(f"Videos: {left} to be made" if left else "Videos: all made")
        self.clear_button.setEnabled(left < len(renders))
        self.setVisible(bool(renders))


class RenderRow(QWidget):
    """One of them."""

    def __init__(self, number: int, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.number = number
        self.name, self.words, self.bar = Label(), Label(), QProgressBar()
        self.bar.setFixedWidth(BAR_PX)
        self.bar.setMaximumHeight(10)
        self.bar.setTextVisible(False)
        self.setFixedHeight(ROW_PX)
        self.name.setFixedWidth(NAME_PX)
        self.cancel, self.folder = QPushButton("Cancel"), QPushButton("Open folder")
        self.cancel.setAutoDefault(False)
        self.folder.setAutoDefault(False)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.name)
        layout.addWidget(self.bar)
        layout.addWidget(self.words, 1)
        layout.addWidget(self.cancel)
        layout.addWidget(self.folder)

    def show_render(self, render: Render) -> None:
        """How it is now."""
        name = render.place.name
        if self.name.accessibleName() != name:
            self.name.setAccessibleName(name)
            self.name.setText(self.fontMetrics().elidedText(name, Qt.TextElideMode.ElideMiddle, NAME_PX))
            self.name.setToolTip(plain_tip(str(render.out)))
            self.bar.setAccessibleName(f"How far {name} is")
            self.cancel.setAccessibleName(f"Cancel {name}")
            self.folder.setAccessibleName(f"Open the folder of {name}")
        self.words.setText(render.words)
        self.words.setToolTip(plain_tip(render.words))
        self.bar.setRange(0, 1 if render.ended or render.state == "waiting" else render.total)
        self.bar.setValue(1 if render.state == "done" else 0 if not render.total else render.done)
        self.bar.setVisible(not render.ended)
        self.cancel.setVisible(not render.ended)
        self.folder.setVisible(render.state == "done")
