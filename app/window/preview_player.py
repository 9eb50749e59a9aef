"""The first look at a preset: a short recording of it plays in the panes until something else is to be shown."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

from PyQt6.QtCore import QObject, QTimer

from app.picture import preview
from app.picture.preview import Preview
from app.picture.theme import Theme
from app.presets import preview_path
from app.stage.stage import Stage
from app.views.preview_note import PLAYED, STILL, PreviewNote
from app.window.bridge import RunBridge
from app.window.session import HINT, Session
from hnm_core.errors import InputError
from hnm_core.run.events import RunState

TICK_MS = 40
RUN_S, REST_S = 9.0, 2.5
"""From the first moment to the last, and how long that is shown."""
ROUNDS = 8
"""Then it stands still at its end: nobody has looked for a while."""
LONGEST_TICK_S = 0.25

log = logging.getLogger(__name__)


class PreviewPlayer(QObject):
    """Plays once a preset has been chosen; a run, a recording, another experiment or an edited form ends it.

    Args:
        wanted: False for a player that never plays.
        still: whether things are not to move by themselves; then the end of the recording is shown.
        find: the file with the recording of a preset.
    """

    def __init__(
        self,
        *,
        session: Session,
        bridge: RunBridge,
        stage: Stage,
        wanted: bool,
        still: Callable[[], bool],
        find: Callable[[str], Path] = preview_path,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._session, self._bridge, self._stage, self._still, self._find = session, bridge, stage, still, find
        self._chosen = ""
        self._preview: Preview | None = None
        self._seconds, self._then = 0.0, 0.0
        self.note = PreviewNote(stage.panes)
        self._timer = QTimer(self)
        self._timer.setInterval(TICK_MS)
        self._timer.timeout.connect(self._advance)
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self._begin)
        if wanted:
            session.preset_changed.connect(self._on_preset)
            session.changed.connect(self._on_session)

    @property
    def shown(self) -> bool:
        """Whether the panes show the recording of a preset."""
        return self._preview is not None

    @property
    def moving(self) -> bool:
        """Whether it moves by itself."""
        return self._timer.isActive() and not self._still()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self.note.set_theme(theme)

    def follow_stillness(self) -> None:
        """Things may move by themselves from now on, or may not."""
        if self.shown:
            self._play()

    def stop(self) -> None:
        """End it; whoever shows something else has emptied the panes."""
        self._timer.stop()
        self._soon.stop()
        self._preview = None
        self.note.say("")

    def _on_preset(self, name: str) -> None:
        """A preset was chosen, and `_on_session` follows; or the form says something else now."""
        self._chosen = name
        if not name and self.shown:
            self.stop()
            self._stage.clear(self._session.config, HINT)

    def _on_session(self) -> None:
        self.stop()
        if self._chosen:
            self._soon.start(0)  # after what else is done now, be it a start

    def _begin(self) -> None:
        name, self._chosen = self._chosen, ""
        if self._bridge.state is not RunState.IDLE or self._bridge.active or self._stage.replaying:
            return
        path = self._find(name)
        if not path.is_file():
            return
        try:
            found = preview.load(path)
        except InputError as error:  # the window says what to do without it
            log.warning("%s", error)
            return
        if found.shows(self._session.config):
            self._preview = found
            self._stage.panes.begin(found.started, HINT)
            self._play()

    def _play(self) -> None:
        """From the beginning; or the end alone."""
        assert self._preview is not None
        self._seconds, self._then = 0.0, time.perf_counter()
        self.note.say("")
        self._show(self._preview.length - 1.0 if self._still() else 0.0)
        self._timer.start()

    def _advance(self) -> None:
        assert self._preview is not None
        now, panes, still = time.perf_counter(), self._stage.panes, self._still()
        seconds, self._then = min(now - self._then, LONGEST_TICK_S), now
        if not panes.isVisible() or any(view.picture() is None for view in panes.views):
            return  # not to be seen, or the renderer is still being prepared
        if not self.note.text():
            self.note.say(STILL if still else PLAYED)
        self._seconds += seconds
        before = self._seconds - seconds
        rounds, within = divmod(self._seconds, RUN_S + REST_S)
        if rounds > before // (RUN_S + REST_S) and rounds < ROUNDS:
            # The cloud is small again, and somewhere else: cameras that glided there would lose it on the way.
            self._stage.panes.begin(self._preview.started, HINT)
        if still or rounds >= ROUNDS:
            self._timer.stop()
            within = RUN_S
        self._show(min(within / RUN_S, 1.0) * (self._preview.length - 1.0))

    def _show(self, place: float) -> None:
        assert self._preview is not None
        for frame in self._preview.at(place):
            self._stage.panes.show_frame(frame)
