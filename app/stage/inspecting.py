"""Keeps the inspector at what the panes show: gathers what the frames so far told of the chosen point, and hands on
what each lane shows of it now."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal

from app.history.finding import Match, matches, nothing_fits
from app.history.inspection import facts, inspect
from app.history.playback import Past
from app.history.tracks import Tracks
from app.picture.scene import class_colors
from app.picture.theme import Rgb, Theme
from app.picture.trails import MOST_TRAILS
from app.stage.choice import Choice
from app.stage.panes import PaneGrid
from app.training.looking import Looked
from app.views.inspector_view import NOTHING, InspectorView
from hnm_core.errors import InputError
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.shown import has_several_labels, label_counts, label_words, places_of, text_of
from hnm_core.spec.registry import is_over_documents

SHOWN_S = 0.25
"""While a run trains the inspector says something new so often."""
CHANGED = "The data are not those that this run was trained on."
MOST_CLASSES = 5
WHAT_TO_DO = "I isolates them, H hides them, Z zooms to them, Shift+I selects the others, Esc none."
REFRESH_S = 0.5
"""And so often one looks what has been recorded since."""


class Inspecting(QObject):
    """`recorded` gives what is recorded of the run that is shown; None where nothing is, and then what is counted is
    counted from the moment on at which the point was chosen. `look_asked(config, id)`: what the data tell of a point is
    wanted; `take` shall get the answer.
    """

    look_asked = pyqtSignal(object, int)

    def __init__(
        self,
        panes: PaneGrid,
        choice: Choice,
        theme: Theme,
        recorded: Callable[[], Past | None],
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._panes, self._choice, self._theme, self._recorded = panes, choice, theme, recorded
        self.view = InspectorView(self._find, lambda: nothing_fits(self._started))
        self.view.set_theme(theme)
        self._started: RunStarted | None = None
        self._tracks: Tracks | None = None
        self._moment: tuple[tuple[str, int], ...] = ()
        self._looked: Looked | None = None
        self._asked = -1
        self._trails = True
        self._trails_shown = False
        self._new = self._stale = False
        """Whether another point was chosen, and whether there is something new to show of it."""
        self._shown_at = self._refreshed_at = 0.0
        self.view.point_chosen.connect(choice.pick)
        self.view.class_chosen.connect(choice.isolate_class)
        self.view.back_asked.connect(choice.back)
        choice.changed.connect(self._begin_tracks)

    def begin(self, started: RunStarted | None) -> None:
        """Another run is shown, or none."""
        self._started, self._tracks = started, None
        self._choice.begin(started)
        self.view.line.clear()

    def set_theme(self, theme: Theme) -> None:
        """Recolour."""
        self._theme = theme
        self.view.set_theme(theme)
        self._new = self._stale = True

    def advance(self) -> None:
        """One tick: read on in the recording, and show what is new."""
        now = time.perf_counter()
        if self._started is None or self._tracks is None:
            return
        moment = tuple((frame.lane, frame.step) for frame in self._panes.frames)
        more = self._read_on(self._tracks, now)
        if more or moment != self._moment:
            self._moment, self._stale = moment, True
        if more:
            self._show_trails()
        due = self._new or now - self._shown_at >= SHOWN_S
        if self._asked != self._choice.item_id and self._choice.item_id >= 0 and self.view.isVisible():
            self._asked = self._choice.item_id
            if not is_over_documents(self._started.config.data.name):  # whose texts the run tells, and there is no more
                self.look_asked.emit(self._started.config, self._asked)
        if self._stale and due and self._choice.item_id >= 0 and self.view.isVisible():
            self._new, self._stale, self._shown_at = False, False, now
            self._show(self._started, self._tracks, self._panes.frames)

    @property
    def tracks(self) -> Tracks | None:
        """What is known of the chosen point; None where none is chosen."""
        return self._tracks

    def take(self, looked: Looked | None) -> None:
        """What the data tell of an item, if it is that which is looked at."""
        if looked is None or looked is self._looked or looked.item_id != self._asked or self._started is None:
            return
        if self._started.several is not None:  # which the run itself tells
            looked = looked._replace(labels=None)
        self._looked = looked if _fits(looked, self._started) else Looked(looked.item_id, problem=CHANGED)
        self.view.show_data(self._looked)
        self._new = self._stale = True

    def set_trails(self, shown: bool) -> None:
        """Draw the ways that selected points went, or not."""
        self._trails = shown
        self._show_trails()

    def _begin_tracks(self) -> None:
        self._new = self._stale = True
        started, item_id, ids = self._started, self._choice.item_id, self._choice.ids[:MOST_TRAILS]
        if self._choice.selection.pair is not None:
            ids = ids[:0]  # it is edges that are looked at, and some ways of very many would lie over them
        self._tracks, self._refreshed_at = None, 0.0
        if self._looked is not None and self._looked.item_id != item_id:
            self._looked = None
            self.view.show_data(None)
        if item_id < 0:
            self._asked = -1
        if started is not None and len(ids):
            self._tracks = Tracks(started, item_id, np.union1d(ids, [item_id]) if item_id >= 0 else ids)
        if item_id < 0:
            self.view.show_nothing(self._selected_text() or NOTHING)
        self._show_trails()

    def _show_trails(self) -> None:
        wanted = self._ways if self._trails and self._tracks is not None else None
        if wanted is not None or self._trails_shown:
            self._panes.set_ways(wanted)
        self._trails_shown = wanted is not None

    def _ways(self, frame: Frame) -> tuple[NDArray[np.int64], NDArray[np.float32]] | None:
        tracks = self._tracks
        return None if tracks is None else (tracks.path_ids, tracks.paths(frame.lane, frame.step))

    def _read_on(self, tracks: Tracks, now: float) -> bool:
        """Take in frames that are recorded, or seen where none are; whether there were any."""
        try:
            past = self._recorded()
            if past is None:
                for frame in self._panes.frames:
                    tracks.take(frame)
                return False
            more = tracks.read_on(past.recording)
            if not more and now - self._refreshed_at >= REFRESH_S:
                self._refreshed_at = now
                past.recording.refresh()
                more = tracks.read_on(past.recording)
        except InputError:
            return False  # a recording that has only just begun; one that is damaged is told where it is shown
        return more

    def _show(self, started: RunStarted, tracks: Tracks, frames: list[Frame]) -> None:
        known = facts(started, frames, self._choice.item_id)
        if known is None:
            words = f"Point {self._choice.item_id} is not among the points that are shown at this moment."
            self.view.show_nothing(words if frames else NOTHING)
            return
        looked = self._looked
        near = () if looked is None else tuple(one.item_id for one in looked.neighbours)
        lanes = [
            inspect(started, frame, tracks.mentions(frame.lane, frame.step), known.item_id, near) for frame in frames
        ]
        self.view.show_point(known, lanes, self._class_colours(started), partial(text_of, started))

    def _selected_text(self) -> str:
        """How many points are selected, and of which classes; empty where none are."""
        ids, started = self._choice.selection.ids, self._started
        if started is None or not len(ids):
            return ""
        counts = label_counts(started, started.ids, started.labels, np.isin(started.ids, ids))
        most = np.argsort(-counts, kind="stable")[:MOST_CLASSES].tolist()
        named = [f"{counts[label]:,} of {label_words(started, label)}" for label in most if counts[label]]
        more = int((counts > 0).sum()) - len(named)
        kind = "labels" if has_several_labels(started) else "classes"
        listed = ", ".join(named) + (f" and {more} more {kind}" if more else "")
        return f"{len(ids):,} point{'s' if len(ids) != 1 else ''} selected: {listed}.\n{WHAT_TO_DO}"

    def _class_colours(self, started: RunStarted) -> dict[str, Rgb]:
        """Of each class by name, as the clouds have it: that of its group where there are groups."""
        shown = np.arange(len(started.class_names))
        if started.groups is not None:
            shown[started.labels] = started.groups
        colours = class_colors(shown, self._theme).tolist()
        return {name: (r, g, b) for name, (r, g, b) in zip(started.class_names, colours, strict=True)}

    def _find(self, text: str) -> list[Match]:
        return matches(self._started, self._panes.frames, text) if self._started is not None else []


def _fits(looked: Looked, started: RunStarted) -> bool:
    """Whether the data have the classes that the run had, as far as both tell of the same items."""
    told = {looked.item_id: looked.label, **{one.item_id: one.label for one in looked.neighbours}}
    ids = np.array(list(told), np.int64)
    places = places_of(started.ids, ids)
    known = places >= 0
    labels = np.array(list(told.values()), np.int64)
    return bool(looked.problem) or bool((started.labels[places[known]] == labels[known]).all())
