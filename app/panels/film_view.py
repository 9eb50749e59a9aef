"""One picture of a film, as large as there is room for, with a bar to go through it."""

from __future__ import annotations

import time

from PyQt6.QtCore import QRectF, QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QColor, QImage, QPainter, QPaintEvent, QResizeEvent
from PyQt6.QtWidgets import QHBoxLayout, QSizePolicy, QSlider, QToolButton, QVBoxLayout, QWidget

from app.picture.theme import Theme
from app.plain import Label
from app.style import icon

LEAST = QSize(320, 220)
TICK_MS = 33
WAITING = "Drawing the preview ..."


class FilmPicture(QWidget):
    """The picture itself; words in its place while there is none. `resized()`."""

    resized = pyqtSignal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme, self._image, self._words = theme, QImage(), WAITING
        self.number = -1
        """Which picture of the film was shown last"""
        self.setMinimumSize(LEAST)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setAccessibleName("Preview of the video")

    @property
    def image(self) -> QImage:
        """What is shown; null where nothing is."""
        return self._image

    @property
    def words(self) -> str:
        """What is said in its place, or over it; empty where it is the picture that is wanted."""
        return self._words

    @property
    def room(self) -> tuple[int, int]:
        """Width and height in pixels of the screen."""
        ratio = self.devicePixelRatioF()
        return round(self.width() * ratio), round(self.height() * ratio)

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.update()

    def show_image(self, image: QImage, number: int) -> None:
        """Show a picture of the film."""
        self._image, self._words, self.number = image, "", number
        self.update()

    def say(self, words: str) -> None:
        """Words in place of a picture, or over the last one."""
        self._words = words
        self.update()

    def clear(self) -> None:
        """Take the picture away: it is of another film."""
        self._image = QImage()
        self.update()

    def paintEvent(self, event: QPaintEvent | None) -> None:
        painter = QPainter(self)
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        painter.fillRect(self.rect(), QColor(*self._theme.cloud_bottom))
        if not self._image.isNull():
            # One pixel of the picture is one of the screen where it has room; a film smaller than that stays small.
            size = QSize(self._image.size() / self.devicePixelRatioF()).scaled(
                self.size(), Qt.AspectRatioMode.KeepAspectRatio
            )
            left, top = (self.width() - size.width()) / 2, (self.height() - size.height()) / 2
            painter.setOpacity(0.35 if self._words else 1.0)
            painter.drawImage(QRectF(left, top, size.width(), size.height()), self._image)
            painter.setOpacity(1.0)
        if self._words:
            painter.setPen(QColor(*self._theme.text))
            box = self.rect().adjusted(24, 12, -24, -12)
            painter.drawText(box, int(Qt.AlignmentFlag.AlignCenter | Qt.TextFlag.TextWordWrap), self._words)

    def resizeEvent(self, event: QResizeEvent | None) -> None:
        super().resizeEvent(event)
        self.resized.emit()


class FilmView(QWidget):
    """A picture with a bar below: arrows go picture by picture, Page Up and Down by a second, Space plays.

    `moved(number)`: another picture is wanted. `copy_asked()`: this one on the clipboard.
    """

    moved = pyqtSignal(int)
    copy_asked = pyqtSignal()

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._fps, self._began, self._theme = 30.0, (0.0, 0), theme
        self._first_step: int | None = None
        self.picture, self.bar = FilmPicture(theme), QSlider(Qt.Orientation.Horizontal)
        self.bar.setAccessibleName("Picture of the video")
        self.bar.setToolTip("Go through the video: arrows by a picture, Page Up and Page Down by a second")
        self.bar.valueChanged.connect(self._moved)
        self.play_button, self.copy_button, self.now = QToolButton(), QToolButton(), Label()
        self.play_button.setCheckable(True)
        self.play_button.setAutoRaise(True)
        self.play_button.toggled.connect(self._play)
        self.copy_button.setText("Copy picture")
        self.copy_button.setToolTip("Put this picture, at the size of the video, on the clipboard")
        self.copy_button.clicked.connect(self.copy_asked)
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._advance)
        row = QHBoxLayout()
        row.addWidget(self.play_button)
        row.addWidget(self.bar, 1)
        row.addWidget(self.now)
        row.addWidget(self.copy_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.picture, 1)
        layout.addLayout(row)
        self.set_length(0, 30.0)
        self._paint_play()

    @property
    def number(self) -> int:
        """Which picture is wanted."""
        return self.bar.value()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.picture.set_theme(theme)
        self._paint_play()

    def set_length(self, pictures: int, fps: float) -> None:
        """How many pictures there are, so many a second. The same share of the film stays in sight."""
        share = self.bar.value() / max(self.bar.maximum(), 1)
        known, self._fps = self.bar.maximum() > 0, fps
        self.bar.blockSignals(True)
        self.bar.setRange(0, max(pictures - 1, 0))
        self.bar.setPageStep(max(round(fps), 1))
        self.bar.setValue(round(share * self.bar.maximum()) if known else self.bar.maximum() // 2)
        self.bar.blockSignals(False)
        self._first_step = None
        self._enable(pictures)

    def set_moments(self, first: int, last: int, shown: int) -> None:
        """A picture for each step, of which one is wanted; `shown` is where to begin."""
        self.bar.blockSignals(True)
        self.bar.setRange(0, last - first)
        self.bar.setPageStep(max((last - first) // 20, 1))
        self.bar.setValue(shown - first)
        self.bar.blockSignals(False)
        self._first_step = first
        self._enable(last - first + 1)

    def _enable(self, pictures: int) -> None:
        self.bar.setEnabled(pictures > 1)
        self.play_button.setEnabled(pictures > 1 and self._first_step is None)
        self.copy_button.setEnabled(pictures > 0)
        self._say_now()

    def go_to(self, seconds: float) -> None:
        """Show the picture at a time of the film."""
        self.bar.setValue(round(seconds * self._fps))

    def stop(self) -> None:
        """Stand still."""
        self.play_button.setChecked(False)

    def _moved(self, number: int) -> None:
        self._say_now()
        self.moved.emit(number)

    def _play(self, playing: bool) -> None:
        self._paint_play()
        if playing:
            start = 0 if self.bar.value() == self.bar.maximum() else self.bar.value()
            self._began = (time.perf_counter(), start)
            self._timer.start()
        else:
            self._timer.stop()

    def _advance(self) -> None:
        """At the film's own pace; pictures that are not drawn in time are passed over."""
        began, start = self._began
        number = start + int((time.perf_counter() - began) * self._fps)
        self.bar.setValue(min(number, self.bar.maximum()))
        if number >= self.bar.maximum():
            self.stop()

    @property
    def step(self) -> int | None:
        """The step whose picture is wanted, where there is a picture for each."""
        return None if self._first_step is None else self._first_step + self.bar.value()

    def _say_now(self) -> None:
        if self.step is not None:
            self.now.setText(f"step {self.step:,}")
            return
        length = (self.bar.maximum() + 1) / self._fps if self.bar.maximum() else 0.0
        self.now.setText(f"{self.bar.value() / self._fps:.2f} of {length:.2f} s" if length else "")

    def _paint_play(self) -> None:
        playing = self.play_button.isChecked()
        self.play_button.setIcon(icon("pause" if playing else "play", self._theme.text))
        tip = "Stop the preview" if playing else "Play the preview"
        self.play_button.setToolTip(tip)
        self.play_button.setAccessibleName(tip)
