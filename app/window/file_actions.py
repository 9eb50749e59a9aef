"""What the window does with files: asks for a path without stopping the world, then works on it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QDir, QMimeData
from PyQt6.QtGui import QPixmap
from PyQt6.QtWidgets import QFileDialog, QWidget

from app.history import playback
from app.history.playback import Past
from app.panels.experiment_form import ExperimentForm
from app.progress import Progress
from app.stage.stage import Stage
from app.window.jobs import Jobs
from app.window.look import Look
from app.window.messages import Messages
from app.window.recent import Recent
from app.window.session import Session
from hnm_core import recording
from hnm_core.errors import InputError
from hnm_core.run.history import RunHistory
from hnm_core.spec import config as configuration
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.data_files import DATA_PATTERNS, DATA_SUFFIXES, data_format


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
        look: Look,
        messages: Messages,
        recent: Recent,
    ) -> None:
        self._recent = recent
        self._window, self._session, self._form, self._stage = window, session, form, stage
        self._jobs, self._look, self._messages = jobs, look, messages

    def open_recording(self) -> None:
        """Ask for a recording's folder and play it."""
        self._ask("Open a recording: its folder", self.play, folder=True, start=recording.runs_dir())

    def play(self, folder: Path) -> None:
        """Read a recording on a thread of its own, then show it."""

        def show(loaded: tuple[Past, RunHistory]) -> None:
            self._session.show_past(*loaded)
            self._recent.note(folder)

        self._jobs.run(
            f"Open {folder.name}",
            lambda progress: playback.load(folder, progress),
            show,
        )

    def open_data(self) -> None:
        """Ask for a file of data to train on."""
        self._ask("Open data", self.take, filters=f"Data ({DATA_PATTERNS})")

    def open_config(self) -> None:
        """Ask for a TOML file."""
        self._ask("Open a configuration", self.take, filters="Configurations (*.toml)")

    def take(self, path: Path) -> None:
        """Use a file for what it is: a configuration, a recording, or data. Raises `InputError` for anything else."""
        if path.is_dir():
            self.play(path)
        elif path.suffix.lower() == ".toml":
            self._session.set_experiment(configuration.load(path))
            self._recent.note(path)
        elif data_format(path) is not None:
            self._session.set_experiment(with_data(self._session.config, path))
            self._recent.note(path)
        else:
            raise InputError(
                f"'{path.name}' is of no use here: drop data ({', '.join(DATA_SUFFIXES)}), a configuration (.toml) or "
                "the folder of a recording."
            )

    def save_config(self) -> None:
        """Write the experiment in the form to a TOML file."""
        if refusal := self._form.refusal():
            raise InputError(refusal)
        text = configuration.dump(self._form.config())

        def write(path: Path) -> None:
            path.write_text(text, encoding="utf-8")
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

    def render_video(self) -> None:
        """Render the run to a video on a thread of its own."""
        source = self._recorded()
        theme = self._look.theme.name

        def start(path: Path) -> None:
            def work(progress: Progress) -> None:
                from app.video import renderer  # loads the encoder

                renderer.render(source, path, theme=theme, progress=progress)

            self._start(f"Render {path.name}", work, f"Wrote {path}")

        self._ask("Render a video", start, save=f"{self._file_name()}.mp4", filters="Videos (*.mp4 *.webm *.gif)")

    def screenshot(self) -> None:
        """Save a picture of the window as it is now."""
        picture: QPixmap = self._window.grab()

        def write(path: Path) -> None:
            path = path if path.suffix else path.with_suffix(".png")
            if not picture.save(str(path)):
                raise InputError(f"'{path}' cannot be written as a picture; give a name that ends in .png or .jpg.")
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


def with_data(config: ExperimentConfig, path: Path) -> ExperimentConfig:
    """The experiment on another file's data. Raises `InputError`."""
    values = config.to_dict()
    values["data"] = {"name": "file", "options": {"path": str(path)}, "held_out": config.data.held_out}
    values["title"], values["about"] = path.name, ""
    return configuration.from_dict(values, str(path))
