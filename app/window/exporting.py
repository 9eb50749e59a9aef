"""Videos and pictures of what is shown: the sheet that asks what they shall be, their preview, and the queue."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from PyQt6.QtCore import QObject, QUrl
from PyQt6.QtGui import QDesktopServices, QGuiApplication, QImage
from PyQt6.QtWidgets import QWidget

from app.picture.theme import Theme
from app.stage.stage import Stage
from app.window.jobs import Jobs
from app.window.look import Look
from app.window.messages import Messages
from app.window.renders import Renders
from hnm_core.errors import InputError

if TYPE_CHECKING:
    from app.panels.export_sheet import ExportSheet
    from app.video.order import Order
    from app.video.previewing import FilmPreview


class Exporting(QObject):
    """One sheet at most; videos that it has asked for are made whether it is open or not."""

    def __init__(self, window: QWidget, *, stage: Stage, jobs: Jobs, look: Look, messages: Messages) -> None:
        super().__init__(window)
        self._window, self._stage, self._look, self._messages = window, stage, look, messages
        self.renders = Renders(jobs=jobs, messages=messages, parent=self)
        self.sheet: ExportSheet | None = None
        self._preview: FilmPreview | None = None
        self._ending: list[FilmPreview] = []
        self.renders.changed.connect(self._show_renders)

    @property
    def busy(self) -> bool:
        """Whether a preview is still drawn that nobody wants any more."""
        self._ending = [preview for preview in self._ending if preview.busy]
        return bool(self._ending)

    def open(self, folder: Path, stem: str) -> None:
        """Ask what a video of a recording shall be; `stem` is the name that it is offered."""
        from app.panels.export_sheet import ExportSheet  # both load the encoder, which most windows never need
        from app.video.previewing import FilmPreview

        if self.sheet is not None:
            self.sheet.close()
        sheet = ExportSheet(
            folder,
            self._stage.history.last_step,
            self._look.theme,
            Path.cwd() / stem,
            self._window,
            self._stage.past_step,
        )
        preview = FilmPreview()
        sheet.preview_asked.connect(preview.ask)
        sheet.picture_asked.connect(preview.look_at)
        sheet.copy_asked.connect(preview.copy)
        sheet.render_asked.connect(self._render)
        sheet.closed.connect(self._end_sheet)
        sheet.queue.cancel_asked.connect(self.renders.cancel)
        sheet.queue.clear_asked.connect(self.renders.clear)
        sheet.queue.folder_asked.connect(self._open_folder)
        preview.planned.connect(sheet.show_planned)
        preview.drawn.connect(sheet.show_picture)
        preview.estimated.connect(sheet.show_estimate)
        preview.failed.connect(sheet.show_failure)
        preview.copied.connect(self._copied)
        self.sheet, self._preview = sheet, preview
        self._show_renders()
        sheet.show()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        if self.sheet is not None:
            self.sheet.set_theme(theme)

    def redraw(self) -> None:
        """The recording has changed, and with it what a video of it shows."""
        if self._preview is not None:
            self._preview.again()

    def close(self) -> None:
        """The window closes: no sheet, and no video is begun any more."""
        if self.sheet is not None:
            self.sheet.close()
        self.renders.cancel_all()

    def _end_sheet(self) -> None:
        if self.sheet is not None and self._preview is not None:
            self._preview.close()
            self._ending.append(self._preview)
            self.sheet.deleteLater()
            self.sheet = self._preview = None

    def _render(self, order: Order, out: Path) -> None:
        assert self.sheet is not None
        try:
            self.renders.add(order, out)
        except (InputError, OSError) as error:
            self.sheet.refuse(str(error))
        else:
            self.sheet.offer_another_name()

    def _show_renders(self) -> None:
        if self.sheet is not None:
            self.sheet.show_renders(self.renders.renders)

    def _open_folder(self, number: int) -> None:
        folder = self.renders.folder(number)
        if not QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder))):
            self._messages.notice(f"No program opens folders here; the video lies in '{folder}'.")

    def _copied(self, image: QImage) -> None:
        clipboard = QGuiApplication.clipboard()
        if clipboard is not None:
            clipboard.setImage(image)
            self._messages.say(f"Copied a picture of {image.width()} x {image.height()}")
