"""The user's own path of the camera: key frames taken while looking, kept with the recording, shown on the timeline."""

from __future__ import annotations

from pathlib import Path

from PyQt6.QtCore import QObject, pyqtSignal

from app.panels.undo_list import UndoList
from app.picture.camera_keys import KeyFrame, read_keys, take_key, write_keys
from app.stage.stage import Stage
from app.window.messages import Messages
from hnm_core.errors import InputError
from hnm_core.words import counted


class CameraPath(QObject):
    """`changed()`: the key frames of the recording that is shown are others now."""

    changed = pyqtSignal()

    def __init__(self, *, stage: Stage, messages: Messages, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._stage, self._messages = stage, messages
        self._folder: Path | None = None
        self._undo = UndoList[tuple[KeyFrame, ...]]()
        self.keys: tuple[KeyFrame, ...] = ()
        """By step"""
        self.last = False
        """Whether a key frame is what the user changed last, so that undo is for it"""

    def follow(self) -> None:
        """Another recording may be shown: its key frames. Raises `InputError` where they cannot be read."""
        folder = self._stage.folder
        if folder == self._folder:
            return
        self._folder, self.last = folder, False
        self._undo.forget()
        self.keys = ()
        self._stage.timeline.set_keys(())
        if folder is not None:
            self._show(tuple(read_keys(folder)))

    def take(self) -> None:
        """The present camera, of the cloud that has the keyboard or else of the first, is that of the present step.

        Raises:
            InputError: nothing is shown, there are too many, or they cannot be kept.
        """
        self.follow()
        panes, step = self._stage.panes, self._stage.timeline.step
        pane = next((one for one in panes.panes if one.lane == panes.focused_lane), next(iter(panes.panes), None))
        if self._folder is None or pane is None or pane.frame is None:
            raise InputError("There is no cloud to look at yet. Press Space to train, or open a recording.")
        before, again = self.keys, any(key.step == step for key in self.keys)
        self._changed(before, tuple(take_key(self._folder, pane.camera, step)))
        what = "Another camera for" if again else "The camera is a key frame of"
        self._messages.say(f"{what} step {step:,}; {self._count()}. The template own-path follows them.")

    def remove(self) -> None:
        """Take the key frame that is nearest to the present step away. Raises `InputError` where there is none."""
        self.follow()
        if self._folder is None or not self.keys:
            raise InputError("This recording has no key frame of the camera. C takes one.")
        step = self._stage.timeline.step
        nearest = min(self.keys, key=lambda key: abs(key.step - step))
        self._keep(self.keys, tuple(key for key in self.keys if key is not nearest))
        self._messages.say(f"The key frame of step {nearest.step:,} is gone; {self._count()}.")

    def undo(self) -> bool:
        """Take the last change of key frames back; False where none was the last thing that was changed."""
        if not self.last or not self._undo.can_undo or self._folder is None:
            return False
        keys = self._undo.undo(self.keys)
        self._write(keys)
        self._messages.say(f"Undone: {self._count()} of the camera.")
        return True

    def redo(self) -> bool:
        """Do again what was taken back, likewise."""
        if not self.last or not self._undo.can_redo or self._folder is None:
            return False
        keys = self._undo.redo(self.keys)
        self._write(keys)
        self._messages.say(f"Done again: {self._count()} of the camera.")
        return True

    def yield_undo(self) -> None:
        """Something else was changed: undo is for that from now on."""
        self.last = False

    def _keep(self, before: tuple[KeyFrame, ...], after: tuple[KeyFrame, ...]) -> None:
        self._write(after)
        self._changed(before, after)

    def _write(self, keys: tuple[KeyFrame, ...]) -> None:
        assert self._folder is not None
        write_keys(self._folder, keys)
        self._show(keys)

    def _changed(self, before: tuple[KeyFrame, ...], after: tuple[KeyFrame, ...]) -> None:
        self._undo.keep(before)
        self.last = True
        self._show(after)

    def _show(self, keys: tuple[KeyFrame, ...]) -> None:
        self.keys = keys
        self._stage.timeline.set_keys([key.step for key in keys])
        self.changed.emit()

    def _count(self) -> str:
        return counted(len(self.keys), "key frame")
