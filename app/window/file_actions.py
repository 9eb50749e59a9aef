"""What the window does with files: asks for a path without stopping the world, then works on it."""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import TypeVar

from PyQt6.QtCore import QDir, QMimeData
from PyQt6.QtGui import QPixmap
from PyQt6.QtWidgets import QFileDialog, QWidget

from app.history import playback
from app.history.playback import Past
from app.limits import MAX_PANES
from app.panels.experiment_form import ExperimentForm
from app.panels.pack_dialog import PackDialog
from app.progress import Progress
from app.saving import PICTURES, write_picture
from app.stage.stage import Stage
from app.window.capturing import Capturing
from app.window.exporting import Exporting
from app.window.jobs import Jobs
from app.window.messages import Messages
from app.window.recent import Recent
from app.window.session import Session
from hnm_core import recording
from hnm_core.data import own as own_data
from hnm_core.data.retrieval import read
from hnm_core.data.retrieval.encoders import texts_of
from hnm_core.errors import InputError
from hnm_core.recording.layout import PACKED_SUFFIX, RUN_FILE
from hnm_core.run.history import RunHistory
from hnm_core.spec import compatibility
from hnm_core.spec import config as configuration
from hnm_core.spec.config import DataConfig
from hnm_core.spec.data_files import ANY_DATA_SUFFIX, DATA_PATTERNS, data_format, is_judged, is_review
from hnm_core.spec.request import Request, data_of, over_documents
from hnm_core.spec.resources import retrieval_preset_names
from hnm_core.system import paths
from hnm_core.system.whole_files import write_whole
from hnm_core.training.retrieval_config import to_train
from hnm_core.training.retrieval_request import told_of

Result = TypeVar("Result")

MOST_ABOUT = 2_000
"""Characters of what is said of an experiment."""


class FileActions:
    """One method for each row of the table's File menu. Faults of a file become a message in the window.

    `window` is what dialogs belong to and what a screenshot shows.
    """

    def __init__(
        self,
        window: QWidget,
        *,
        session: Session,
        form: ExperimentForm,
        stage: Stage,
        jobs: Jobs,
        messages: Messages,
        recent: Recent,
        exporting: Exporting,
        capturing: Capturing,
    ) -> None:
        self._recent, self._exporting, self._capturing = recent, exporting, capturing
        self._window, self._session, self._form, self._stage = window, session, form, stage
        self._jobs, self._messages = jobs, messages
        self._opening = object()  # what was asked for last; of two that are read at once it alone is shown

    def open_recording(self) -> None:
        """Ask for a recording's folder and play it."""
        self._ask("Open a recording: its folder", self.play, folder=True, start=recording.runs_dir())

    def play(self, folder: Path) -> None:
        """Read a recording on a thread of its own, then show it."""

        def show(loaded: tuple[Past, RunHistory]) -> None:
            self._session.show_past(*loaded)
            self._recent.note(folder)

        self._read(folder, lambda progress: playback.load(folder, progress), show)

    def open_packed(self) -> None:
        """Ask for a packed recording and play it."""
        self._ask("Open a packed recording", self.play_packed, filters=f"Packed recordings (*{PACKED_SUFFIX})")

    def play_packed(self, path: Path) -> None:
        """Unpack a recording among the others, unless it is there already, and play it."""

        def work(progress: Progress) -> tuple[Path, tuple[Past, RunHistory]] | None:
            folder = recording.unpacked(path, progress=progress)
            return None if folder is None else (folder, playback.load(folder, progress))

        def show(opened: tuple[Path, tuple[Past, RunHistory]] | None) -> None:
            if opened is not None:
                folder, loaded = opened
                self._session.show_past(*loaded)
                self._recent.note(folder)

        self._read(path, work, show)

    def compare(self) -> None:
        """Ask for another recording, and play both side by side."""
        self._recorded()  # says so where there is nothing to compare
        self._ask("Compare with a recording: its folder", self.play_beside, folder=True, start=recording.runs_dir())

    def play_beside(self, other: Path) -> None:
        """Join the run that is shown and a recording into a new one, and play that."""
        shown = self._recorded()
        if self._session.running:
            raise InputError("A run is on: wait until it has ended, then compare it.")

        def work(progress: Progress) -> tuple[Path, str, tuple[Past, RunHistory]] | None:
            both = recording.open_recording(shown), recording.open_recording(other)
            lanes = sum(len(one.lanes) for one in both)
            if lanes > MAX_PANES:
                raise InputError(f"The window shows at most {MAX_PANES} lanes, and together these have {lanes}.")
            recording.compared(*both)  # what cannot be compared leaves no folder
            folder = recording.new_run_dir(" beside ".join(one.config.title or one.folder.name for one in both))
            found = recording.join(shown, other, folder, progress=progress)
            if found is None:
                return None
            return folder, found.sentence, playback.load(folder, progress)

        def show(joined: tuple[Path, str, tuple[Past, RunHistory]] | None) -> None:
            if joined is not None:
                folder, sentence, loaded = joined
                self._session.show_past(*loaded)
                self._recent.note(folder)
                self._messages.say(sentence)

        self._read(other, work, show)

    def open_data(self) -> None:
        """Ask for a file of data to train on."""
        self._ask("Open data", self.take, filters=f"Data ({DATA_PATTERNS} *.gz)")

    def open_config(self) -> None:
        """Ask for a TOML file."""
        self._ask("Open a configuration", self.take, filters="Configurations (*.toml)")

    def take(self, path: Path, labels: Path | None = None) -> None:
        """Use a file for what it is: a configuration, a recording, or data, vectors with the `labels` in another file.
        Raises `InputError` for anything else.

        Data are read at once, on a thread of their own, and refused with what training would have said.
        """
        if paths.is_folder(path) and paths.exists(path / RUN_FILE):
            self.play(path)
        elif is_judged(path) and not is_review(path):
            self._take_documents(path)
        elif paths.is_folder(path):
            self._take_data(path, data_of(path))
        elif path.suffix == PACKED_SUFFIX:
            self.play_packed(path)
        elif path.suffix.lower() == ".toml":
            request = Request(path)
            if over_documents(request):
                self._session.set_experiment(*told_of(request))
            else:
                self._session.set_experiment(configuration.load(path))
            self._recent.note(path)
        elif data_format(path) is not None:
            own = data_of(path)
            named = {} if labels is None else {"labels": paths.text_of(labels)}
            self._take_data(path, DataConfig(name=own.name, options={**own.options, **named}), labels)
        else:
            raise InputError(
                f"'{path.name}' is of no use here: drop data ({ANY_DATA_SUFFIX}, or a folder with one folder of "
                f"pictures for each class), a configuration (.toml) or a recording (its folder, or {PACKED_SUFFIX})."
            )

    def _take_data(self, path: Path, own: DataConfig, labels: Path | None = None) -> None:
        self._session.refuse_during_run()
        config = self._session.config
        split = "classes" if config.data.split == "classes" else "items"  # whether it has its own is not known yet
        own = own.model_copy(update={"split": split, "held_out": config.data.held_out})

        def work(progress: Progress) -> own_data.OwnData:
            try:
                return own_data.read(config, own, lambda done, total, _what: progress(done, total))
            except InputError as error:
                raise InputError(_neither(error) if paths.is_folder(path) else str(error)) from None

        def show(read: own_data.OwnData) -> None:
            self._session.set_experiment(read.config)
            if read.several:
                self._form.know_several(read.config.data)
            self._recent.note(path, labels)
            compatibility.refuse(list(read.findings))  # the lanes can be mended, so the data stay

        self._read(path, work, show)

    def _take_documents(self, path: Path) -> None:
        """Queries and documents: the preset's lanes on them, once they could be read and have texts to train on."""
        self._session.refuse_during_run()
        told, notes = told_of(Request(preset=retrieval_preset_names()[0], data=paths.text_of(path)))

        def work(progress: Progress) -> str:
            data = read(str(path), progress=lambda done, total, _what: progress(done, total))
            texts_of(data)
            return data.as_read

        def show(as_read: str) -> None:
            self._session.set_experiment(told.model_copy(update={"about": as_read[:MOST_ABOUT]}), notes)
            self._recent.note(path)

        self._read(path, work, show)

    def _read(self, path: Path, work: Callable[[Progress], Result], show: Callable[[Result], None]) -> None:
        """Read something on a thread of its own and show it, unless something else was asked for meanwhile."""
        opening = self._opening = object()
        self._jobs.run(f"Open {path.name}", work, lambda read: show(read) if self._opening is opening else None)

    def save_config(self) -> None:
        """Write the experiment in the form to a TOML file."""
        if refusal := self._form.refusal():
            raise InputError(refusal)
        config = self._form.config()
        text = configuration.dump(to_train(config))

        def write(path: Path) -> None:
            write_whole(path, text)
            self._messages.say(f"Saved {path}")

        self._ask("Save the configuration", write, save=f"{self._file_name()}.toml", filters="Configurations (*.toml)")

    def save_recording(self) -> None:
        """Copy the run's folder."""
        source = self._recorded()
        self._ask(
            "Save the recording as a folder",
            lambda path: self._start(
                f"Save {path.name}",
                lambda _progress: recording.copy_run(source, path),
                f"Saved the recording as {path}",
            ),
            save=source.name,
        )

    def pack_recording(self) -> None:
        """Write the run into one file, with its checkpoints if it has any and the user wants them."""
        source = self._recorded()
        recorded, checkpoints = recording.pack_sizes(source)
        if not checkpoints:
            self._pack(source, checkpoints=False)
            return
        dialog = PackDialog(recorded, checkpoints, self._window)
        dialog.chosen.connect(lambda wanted: self._pack(source, checkpoints=wanted))
        dialog.open()

    def _pack(self, source: Path, *, checkpoints: bool) -> None:
        self._ask(
            "Pack the recording into one file",
            lambda path: self._start(
                f"Pack {path.name}",
                lambda progress: recording.pack(source, path, checkpoints=checkpoints, progress=progress),
                f"Packed the recording as {path}",
            ),
            save=f"{source.name}{PACKED_SUFFIX}",
            filters=f"Packed recordings (*{PACKED_SUFFIX})",
        )

    def report(self) -> None:
        """Write what the run came to as one page."""
        source = self._recorded()

        def start(path: Path) -> None:
            def work(progress: Progress) -> None:
                from app.report.report import write_report  # loads the tables of the commands

                write_report(source, path, progress=progress)

            self._start(f"Write {path.name}", work, f"Wrote {path}")

        self._ask("Write a report", start, save=f"{self._file_name()}.html", filters="Pages (*.html)")

    def render_video(self) -> None:
        """Ask what a video of the run shall be."""
        self._exporting.open(self._recorded(), self._file_name())

    def film_window(self) -> None:
        """Film the window, or end that."""
        self._capturing.toggle(self._free_name("window"))

    def film_pane(self) -> None:
        """Film the cloud that has the keyboard, or else the first; or end that."""
        panes = self._stage.panes
        lane = panes.focused_lane or next(iter(panes.lanes), "")
        if not lane:
            raise InputError("There is no cloud to film.")
        self._capturing.toggle(self._free_name("cloud"), panes.view(lane))

    def _free_name(self, what: str) -> Path:
        """The first file that is not there yet, beside where the program was started."""
        stem = f"{self._file_name()}-{what}"
        for number in count(1):
            path = Path.cwd() / f"{stem}-{number}.mp4"
            if not paths.exists(path):
                return path
        raise AssertionError("numbers do not end")

    def screenshot(self) -> None:
        """Save a picture of the window as it is now."""
        picture: QPixmap = self._window.grab()

        def write(path: Path) -> None:
            path = path if path.suffix else path.with_suffix(".png")
            kind = path.suffix.removeprefix(".").lower()
            if kind not in PICTURES:
                raise InputError(f"'{path}' cannot be written as a picture; give a name that ends in .png or .jpg.")
            write_picture(picture, path, kind)
            self._messages.say(f"Saved {path}")

        self._ask(
            "Save a picture of the window", write, save=f"{self._file_name()}.png", filters="Pictures (*.png *.jpg)"
        )

    def _recorded(self) -> Path:
        folder = self._stage.folder
        if folder is None:
            raise InputError("There is no run yet. Press Space to train, or open a recording.")
        return folder

    def _start(self, title: str, work: Callable[[Progress], object], after: str) -> None:
        self._jobs.run(title, work, lambda _result: self._messages.say(after))

    def _file_name(self) -> str:
        return re.sub(r"[^a-z0-9]+", "-", self._session.title.lower()).strip("-") or "hnm-lab"

    def _ask(
        self,
        title: str,
        then: Callable[[Path], None],
        *,
        folder: bool = False,
        save: str = "",
        filters: str = "",
        start: Path | None = None,
    ) -> None:
        """A file dialog that does not block: the run, the clouds and the clock go on behind it."""
        dialog = QFileDialog(self._window, title, str(start) if start is not None else QDir.currentPath(), filters)
        modes = QFileDialog.FileMode
        dialog.setFileMode(modes.Directory if folder else modes.AnyFile if save else modes.ExistingFile)
        if save:
            dialog.setAcceptMode(QFileDialog.AcceptMode.AcceptSave)
            dialog.selectFile(save)
            dialog.setDefaultSuffix(Path(save).suffix.removeprefix("."))
        dialog.fileSelected.connect(lambda name: self._messages.attempt(lambda: then(Path(name))))
        dialog.finished.connect(dialog.deleteLater)
        dialog.open()


def dropped_files(data: QMimeData | None) -> list[Path]:
    """The files and folders that are dragged over the window."""
    return [Path(url.toLocalFile()) for url in data.urls() if url.isLocalFile()] if data is not None else []


def _neither(error: InputError) -> str:
    """A folder that is of no use: what it was tried as, and why it is not that."""
    return f"It is no recording, for it has no {RUN_FILE}, and no pictures by class: {error}"
