"""Asks what a video, a picture or the charts of a run shall be, and shows it before it is made."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from PyQt6.QtCore import QSize, Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QAction, QCloseEvent, QImage, QKeySequence
from PyQt6.QtWidgets import (
    QComboBox,
    QDialog,
    QDoubleSpinBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QScrollArea,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from app.limits import VIDEO_SIDES
from app.panels.captions_table import CaptionsTable
from app.panels.film_view import WAITING, FilmView
from app.panels.problem_label import ProblemLabel
from app.panels.render_list import Render, RenderList
from app.picture.theme import Theme
from app.plain import Label, plain_tip
from app.video.estimate import Estimate
from app.video.formats import MAX_FPS
from app.video.order import Kind, Order
from app.video.previewing import Planned
from app.video.renderer import MAX_SECONDS, MIN_SECONDS
from app.video.template import DEFAULT, Template, load
from hnm_core import words
from hnm_core.errors import InputError
from hnm_core.spec.resources import template_names
from hnm_core.system import paths

SIZE = QSize(1180, 800)
AROUND_PX = 40
"""A sheet leaves so much of its window in sight."""
OPTIONS_PX = 344
SETTLED_MS = 200
"""So long nothing is edited before the preview is drawn anew."""
OWN_SIZE = (-1, -1)
OWN_FILE = "\0"
SIZES: tuple[tuple[str, tuple[int, int] | None], ...] = (
    ("As the template", None),
    ("1080p, 1920 x 1080", (1920, 1080)),
    ("720p, 1280 x 720", (1280, 720)),
    ("4K, 3840 x 2160", (3840, 2160)),
    ("8K, 7680 x 4320", (7680, 4320)),
    ("Square, 1080 x 1080", (1080, 1080)),
    ("Vertical, 1080 x 1920", (1080, 1920)),
    ("Own", OWN_SIZE),
)
NUMBERED = "%05d.png"


@dataclass(frozen=True)
class FileKind:
    """A kind of file that can be made."""

    words: str
    suffix: str
    kind: Kind = "film"

    @property
    def numbered(self) -> bool:
        """Whether it is a folder of pictures."""
        return self.kind == "film" and self.suffix == ".png"


FORMATS = (
    FileKind("MP4 (H.264), plays everywhere", ".mp4"),
    FileKind("WebM (VP9), small", ".webm"),
    FileKind("GIF, at most 720 pixels", ".gif"),
    FileKind("PNG pictures in a new folder", ".png"),
    FileKind("PNG, the picture of one step", ".png", "still"),
    FileKind("SVG, the charts as a drawing", ".svg", "charts"),
    FileKind("PDF, the charts as a drawing", ".pdf", "charts"),
)
MAKE = {"film": "Make video", "still": "Make picture", "charts": "Make drawing"}


class ExportSheet(QDialog):
    """`preview_asked(Order, room, number, anew)`, `picture_asked(number)`, `copy_asked()`: for the preview; `anew` says
    that what was told of this film is forgotten.
    `render_asked(Order, Path)`: make it. `closed()`: it is out of sight, and nothing more is wanted of the preview.

    Args:
        folder: of the recording.
        last_step: of the run.
        shown_step: the one that the window shows, where a picture of one step begins.
        out: the name without an ending that the video is offered; a number is added where there is a file already.
    """

    preview_asked = pyqtSignal(object, object, int, bool)
    picture_asked = pyqtSignal(int)
    copy_asked = pyqtSignal()
    render_asked = pyqtSignal(object, object)
    closed = pyqtSignal()

    def __init__(
        self,
        folder: Path,
        last_step: int,
        theme: Theme,
        out: Path,
        parent: QWidget | None = None,
        shown_step: int | None = None,
    ) -> None:
        super().__init__(parent)
        self.setWindowTitle("Make a video or a picture")
        self.setModal(False)
        self._folder, self._last_step, self._stem = folder, last_step, out
        self._shown_step = last_step if shown_step is None else shown_step
        self._chosen: Template = load(DEFAULT)
        self._planned: Order | None = None
        self._rate = 1.0  # pictures a second of what is planned
        self._queued: set[Path] = set()
        self._typed = ""  # the name of the file that was offered last
        self._settled = QTimer(self)
        self._settled.setSingleShot(True)
        self._settled.setInterval(SETTLED_MS)
        self._settled.timeout.connect(self._ask)
        self.view, self.captions, self.queue = FilmView(theme), CaptionsTable(), RenderList()
        self._make_options(theme)
        self._lay_out()
        self._connect()
        self._offer_name()
        room = parent.size() - QSize(AROUND_PX, AROUND_PX) if parent is not None else SIZE
        self.resize(SIZE.expandedTo(QSize(min(room.width(), 1500), min(room.height(), 940))).boundedTo(room))
        self._show_template()
        self.template.setFocus()

    def _make_options(self, theme: Theme) -> None:
        self.template, self.size_box, self.format, self.look = QComboBox(), QComboBox(), QComboBox(), QComboBox()
        for name in template_names():
            self.template.addItem(name, name)
            self.template.setItemData(self.template.count() - 1, load(name).about, Qt.ItemDataRole.ToolTipRole)
        self.template.addItem("Own file ...", OWN_FILE)
        for text, size in SIZES:
            self.size_box.addItem(text, size)
        for kind in FORMATS:
            self.format.addItem(kind.words, kind)
        self.look.addItems(("dark", "light"))
        self.look.setCurrentText(theme.name)
        self.about = Label()
        self.about.setWordWrap(True)
        self.width_box, self.height_box, self.fps = QSpinBox(), QSpinBox(), QSpinBox()
        for box, value in ((self.width_box, 1920), (self.height_box, 1080)):
            box.setRange(*VIDEO_SIDES)
            box.setSingleStep(2)
            box.setValue(value)
        self.fps.setRange(1, MAX_FPS)
        self.seconds = QDoubleSpinBox()
        self.seconds.setRange(MIN_SECONDS, MAX_SECONDS)
        self.seconds.setDecimals(1)
        self.seconds.setSuffix(" s")
        self.first, self.last = QSpinBox(), QSpinBox()
        for box in (self.first, self.last):
            box.setRange(0, self._last_step)
            box.setGroupSeparatorShown(True)
        self.last.setValue(self._last_step)
        self.file, self.browse = QLineEdit(), QPushButton("Browse ...")
        self.browse.setAutoDefault(False)
        self.estimate, self.problem = Label(), ProblemLabel()
        self.estimate.setWordWrap(True)
        self.estimate.setAccessibleName("Estimate")
        self.render_button, self.close_button = QPushButton(MAKE["film"]), QPushButton("Close")
        self.render_button.setToolTip("Put this into the queue (Ctrl+Return)")
        self.close_button.setToolTip("Videos that are being made go on (Esc)")
        for button in (self.render_button, self.close_button):
            button.setAutoDefault(False)  # Enter ends the editing of a number, no more
        names: Sequence[tuple[QWidget, str]] = (
            (self.template, "Template"),
            (self.size_box, "Size"),
            (self.width_box, "Width in pixels"),
            (self.height_box, "Height in pixels"),
            (self.seconds, "Length in seconds"),
            (self.fps, "Pictures a second"),
            (self.format, "Kind of file"),
            (self.look, "Look"),
            (self.first, "First step"),
            (self.last, "Last step"),
            (self.file, "File of the video"),
            (self.browse, "Choose the file"),
        )
        for widget, name in names:
            widget.setAccessibleName(name)

    def _lay_out(self) -> None:
        form = self._form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow("Template", self.template)
        form.addRow("", self.about)
        form.addRow("Size", self.size_box)
        self._own_size = _row(self.width_box, Label("x"), self.height_box)
        form.addRow("", self._own_size)
        form.addRow("Length", self.seconds)
        form.addRow("Pictures a second", self.fps)
        self._steps = _row(self.first, Label("to"), self.last)
        form.addRow("Steps", self._steps)
        form.addRow("Look", self.look)
        form.addRow("Kind of file", self.format)
        form.addRow("File", self.file)
        form.addRow("", self.browse)
        form.addRow(self.estimate)
        form.addRow(self.problem)
        inside = QWidget()
        inside.setLayout(form)
        form.setContentsMargins(0, 0, 6, 0)
        area = QScrollArea()
        area.setWidgetResizable(True)
        area.setFrameShape(QFrame.Shape.NoFrame)
        area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        area.setWidget(inside)
        area.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        area.setFixedWidth(OPTIONS_PX)
        right, left = QVBoxLayout(), QVBoxLayout()
        right.addWidget(area, 1)
        right.addWidget(_row(self.render_button, self.close_button))
        left.addWidget(self.view, 1)
        left.addWidget(self.captions)
        upper, whole = QHBoxLayout(), QVBoxLayout(self)
        upper.addLayout(left, 1)
        upper.addLayout(right)
        whole.addLayout(upper, 1)
        whole.addWidget(self.queue)
        order: Sequence[QWidget] = (
            *(self.template, self.size_box, self.width_box, self.height_box, self.seconds, self.fps),
            *(self.first, self.last, self.look, self.format, self.file, self.browse, self.render_button),
            *(self.close_button, self.view.play_button, self.view.bar, self.view.copy_button, self.captions.table),
            *(self.captions.add_button, self.captions.remove_button, self.captions.found_button),
        )
        for one, other in pairwise(order):
            QWidget.setTabOrder(one, other)

    def _connect(self) -> None:
        self.template.activated.connect(self._template_chosen)
        self.size_box.currentIndexChanged.connect(self._on_size)
        for box in (self.width_box, self.height_box, self.fps, self.first, self.last):
            box.valueChanged.connect(self._change)
        self.seconds.valueChanged.connect(self._change)
        self.look.currentIndexChanged.connect(self._change)
        self.format.currentIndexChanged.connect(self._on_format)
        self.file.textChanged.connect(self._say_problem)
        self.browse.clicked.connect(self._browse)
        self.captions.edited.connect(self._change)
        self.captions.chosen.connect(self.view.go_to)
        self.view.moved.connect(self._moved)
        self.view.copy_asked.connect(self.copy_asked)
        self.view.picture.resized.connect(self._settled.start)
        self.render_button.clicked.connect(self._render)
        self.close_button.clicked.connect(self.close)
        for keys, work in (("Ctrl+Return", self._render), ("Ctrl+Shift+C", self.copy_asked.emit)):
            self._add_shortcut(keys, work)

    def _add_shortcut(self, keys: str, work: Callable[[], object]) -> None:
        action = QAction(self)
        action.setShortcut(QKeySequence(keys))
        action.setShortcutContext(Qt.ShortcutContext.WindowShortcut)
        action.triggered.connect(lambda _on=False: work())
        self.addAction(action)

    # What it asks for

    @property
    def _kind(self) -> FileKind:
        chosen = self.format.currentData()
        assert isinstance(chosen, FileKind)
        return chosen

    @property
    def order(self) -> Order:
        """What the fields say."""
        chosen = self._chosen
        size = self.size_box.currentData()
        if size == OWN_SIZE:
            size = (self.width_box.value(), self.height_box.value())
        kind, look = self._kind, self.look.currentText()
        if kind.kind == "charts":
            return Order(self._folder, suffix=kind.suffix, theme=look, kind="charts")
        if kind.kind == "still":
            return Order(self._folder, self.template.currentData(), kind.suffix, size, theme=look, kind="still")
        seconds, fps = self.seconds.value(), self.fps.value()
        first, last = self.first.value(), self.last.value()
        return Order(
            self._folder,
            self.template.currentData(),
            kind.suffix,
            size,
            None if math.isclose(seconds, chosen.seconds, abs_tol=0.05) else seconds,
            None if fps == chosen.fps else fps,
            look,
            (first or None, None if last == self._last_step else last),
            self.captions.captions if self.captions.own else None,
        )

    @property
    def out(self) -> Path:
        """Where it shall go; ~ of somebody whom nobody knows stays as it is."""
        return Path(os.path.expanduser(self.file.text().strip()))  # noqa: PTH111  Path raises

    # What it is told

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self.view.set_theme(theme)

    def show_planned(self, planned: Planned) -> None:
        """The film can be made, and will be so."""
        if planned.order != self.order:
            return  # something else was asked for meanwhile
        self._planned, self._rate = planned.order, planned.fps
        width, height = planned.size
        match planned.order.kind:
            case "film":
                self.view.set_length(planned.pictures, planned.fps)
                self.captions.show_found(planned.captions, planned.run_from, planned.run_seconds)
                told = f"{width} x {height}, {planned.pictures:,} pictures, {planned.fps:g} a second. Estimating ..."
                self.estimate.setText(told + (f"\n{planned.note}" if planned.note else ""))
            case "still":
                first, last = planned.steps
                wanted = self._shown_step if self.view.step is None else self.view.step
                self.view.set_moments(first, last, min(max(wanted, first), last))
                self.estimate.setText(f"{width} x {height}. The bar below the picture chooses the step.")
            case "charts":
                self.view.set_length(1, 1.0)
                self.estimate.setText("All lanes at the end of the run, in lines that can be scaled to any size.")
        self._moved(self.view.number)  # the same share of another length is another picture
        self._say_problem()

    def show_picture(self, number: int, image: QImage) -> None:
        """A picture of it."""
        if self._planned is not None:
            self.view.picture.show_image(image, number)

    def show_estimate(self, order: Order, found: Estimate) -> None:
        """How long it will take, and how large it will be."""
        if order == self.order:
            seconds = f"{found.seconds:.0f} s" if found.seconds < 100 else f"{found.seconds / 60:.0f} min"
            before = self.estimate.text().replace(" Estimating ...", "")
            head, _, note = before.partition("\n")
            told = (
                f"{head}\nEstimate: about {seconds} to make, about {words.size(found.file_bytes)} "
                f"({found.sampled} pictures were made to find out)"
            )
            self.estimate.setText(f"{told}\n{note}" if note else told)

    def show_failure(self, sentence: str) -> None:
        """It cannot be made, or estimated."""
        self.estimate.setText("")
        self.problem.say(sentence)
        if self._planned != self.order:
            self._planned = None
            self.view.picture.clear()
            self.view.picture.say("There is no preview of this.")
            self._enable()

    def show_renders(self, renders: Sequence[Render]) -> None:
        """The queue; its names are taken."""
        queued = {render.out for render in renders if not render.ended}
        if queued != self._queued:
            self._queued = queued
            if self._planned is not None:  # a name may be taken now, or free again
                self._say_problem()
        self.queue.show_renders(renders)

    def refuse(self, sentence: str) -> None:
        """What was asked for last cannot be done."""
        self.problem.say(sentence)

    def offer_another_name(self) -> None:
        """This one is taken now."""
        if self.file.text() == self._typed:
            self._offer_name()

    # What the user does

    def _change(self) -> None:
        """The film is another one now: drawn once nothing has been edited for a moment."""
        self._planned = None
        self.problem.say("")
        self.view.stop()
        self.estimate.setText("")
        if not self.view.picture.image.isNull():
            self.view.picture.say(WAITING)
        self._enable()
        self._settled.start()

    def _ask(self) -> None:
        first_look = self._kind.kind == "still" and self.view.step is None  # what is in the bar is of a film
        number = self._shown_step if first_look else self.view.number
        self.preview_asked.emit(self.order, self.view.picture.room, number, self._planned is None)

    def _moved(self, number: int) -> None:
        self.captions.set_now(number / (self.fps.value() if self._planned is None else self._rate))
        self.picture_asked.emit(number)

    def _template_chosen(self) -> None:
        if self.template.currentData() == OWN_FILE:
            dialog = QFileDialog(self, "A template of your own", "", "Templates (*.toml)")
            dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
            dialog.fileSelected.connect(self.use_template)
            dialog.rejected.connect(lambda: self.template.setCurrentIndex(0))
            dialog.finished.connect(dialog.deleteLater)
            dialog.open()
            return
        self._show_template()

    def use_template(self, path: str) -> None:
        """Take a template from a file."""
        place = self.template.findData(path)
        if place < 0:
            place = self.template.count() - 1
            self.template.insertItem(place, Path(path).name, path)
        self.template.setCurrentIndex(place)
        self._show_template()

    def _show_template(self) -> None:
        """What it is, and its own length and rate."""
        try:
            self._chosen = load(self.template.currentData())
        except InputError as error:
            self._change()
            self._settled.stop()
            self.show_failure(str(error))
            return
        self.about.setText(self._chosen.about)
        self.template.setToolTip(plain_tip(self._chosen.about))
        self.size_box.setItemText(0, f"As the template, {self._chosen.size.replace('x', ' x ')}")
        self.seconds.setValue(self._chosen.seconds)
        self.fps.setValue(self._chosen.fps)
        self._on_size()

    def _on_size(self) -> None:
        self._show_rows()
        self._change()

    def _show_rows(self) -> None:
        """What has a say in this kind of file."""
        kind = self._kind.kind
        for widget in (self.seconds, self.fps, self._steps):
            self._form.setRowVisible(widget, kind == "film")
        for widget in (self.template, self.about, self.size_box):
            self._form.setRowVisible(widget, kind != "charts")
        self._form.setRowVisible(self._own_size, kind != "charts" and self.size_box.currentData() == OWN_SIZE)
        self.captions.setVisible(kind == "film")

    def _on_format(self) -> None:
        kind = self._kind
        if self.file.text() == self._typed:
            self._offer_name()
        else:
            path = self.out
            path = path.parent if path.name == NUMBERED else path.with_suffix("")
            self.file.setText(str(path / NUMBERED if kind.numbered else path.with_suffix(kind.suffix)))
        self.render_button.setText(MAKE[kind.kind])
        self._show_rows()
        self._change()

    def _offer_name(self) -> None:
        """A name that is not taken."""
        kind, number = self._kind, 1
        while True:
            stem = self._stem if number == 1 else self._stem.with_name(f"{self._stem.name}-{number}")
            taken = stem if kind.numbered else stem.with_name(stem.name + kind.suffix)
            out = taken / NUMBERED if kind.numbered else taken
            if paths.at_a_glance(taken) == "missing" and out not in self._queued:
                break
            number += 1
        self._typed = str(out)
        self.file.setText(self._typed)
        self.file.setCursorPosition(len(self._typed))

    def _browse(self) -> None:
        numbered = self._kind.numbered
        dialog = QFileDialog(self, "Where it goes", str(self.out.parent.parent if numbered else self.out.parent))
        dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
        if numbered:
            dialog.selectFile(self.out.parent.name)
        else:
            dialog.selectFile(self.out.name)
            dialog.setDefaultSuffix(self._kind.suffix.removeprefix("."))
        dialog.fileSelected.connect(lambda name: self.file.setText(str(Path(name) / NUMBERED) if numbered else name))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()

    def _say_problem(self) -> None:
        """What is to be known of the name of the file."""
        out = self.out
        exists = not self._kind.numbered and paths.at_a_glance(out) == "file"
        self.problem.say(f"'{out.name}' is there already and will be replaced." if exists else "")
        self._enable()

    def _enable(self) -> None:
        self.render_button.setEnabled(self._planned == self.order and bool(self.file.text().strip()))

    def _render(self) -> None:
        if self.render_button.isEnabled():
            order, out = self.order, self.out
            if out.suffix.lower() != order.suffix:
                typed = self.file.text().strip()  # "./" or ".mp4" have no ending
                odd = f"'{typed}' is no name for it: give one such as 'film{order.suffix}'."
                ended = f"'{out.name}' must end in {order.suffix}, as the kind of file says."
                self.problem.say(ended if out.suffix else odd)
                return
            self.problem.say("")
            self.render_asked.emit(replace(order, at=self.view.step), out)

    def closeEvent(self, event: QCloseEvent | None) -> None:
        super().closeEvent(event)
        self._end()

    def reject(self) -> None:
        """Esc."""
        super().reject()
        self._end()

    def _end(self) -> None:
        self.view.stop()
        self._settled.stop()
        self.closed.emit()


def _row(*widgets: QWidget) -> QWidget:
    holder = QWidget()
    layout = QHBoxLayout(holder)
    layout.setContentsMargins(0, 0, 0, 0)
    for widget in widgets:
        layout.addWidget(widget, 0 if isinstance(widget, Label) else 1)
    return holder
