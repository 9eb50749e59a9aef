"""Pictures of items in the clouds: which ones each pane shows, and their pixels, which the training process knows."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import QObject, pyqtSignal

from app.picture.thumbnails import hardest_ends, most_edges, roomy
from app.stage.choice import Choice
from app.stage.pane import Pane
from app.stage.panes import PaneGrid
from app.training.looking import Pictured
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.shown import places_of

CHOSEN_S = 0.4
"""So often it is worked out which points of a pane have room."""
EDGES_S = 1.5
"""And so long the ends of the hardest edges keep their pictures, also when harder ones have been mined."""
MOST_SELECTED = 16
"""So many selected points come before the others that have room."""
MOST_ASKED = 64
MOST_KEPT = 4000
"""Pictures that are kept; beyond them all are asked for anew."""
NO_PICTURES = "These data hold no pictures."
CHANGED = "No pictures in the clouds: the data are not those that this run was trained on."


class Thumbnails(QObject):
    """`asked(config, ids, run)`: pictures of items are wanted; `take` shall get the answers. `told(sentence)` when
    there are none and the user should know why.
    """

    asked = pyqtSignal(object, object, int)
    told = pyqtSignal(str)

    def __init__(self, panes: PaneGrid, choice: Choice, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._panes, self._choice = panes, choice
        self._started: RunStarted | None = None
        self._run = 0
        self._on = True
        self._none = ""
        """Why there are none, once that is known"""
        self._pixels: dict[int, NDArray[np.uint8]] = {}
        self._waiting: set[int] = set()
        self._hovered = -1
        self._edges: dict[str, tuple[Frame, float, list[int]]] = {}
        self._chosen_at: dict[str, float] = {}
        self._turn = 0
        panes.point_hovered.connect(self._on_hover)
        choice.changed.connect(self._choose_anew)

    def begin(self, started: RunStarted | None) -> None:
        """Another run is shown, or none."""
        self._started, self._run, self._none = started, self._run + 1, ""
        self._pixels, self._waiting, self._edges, self._hovered = {}, set(), {}, -1
        self._choose_anew()
        self._show_none()

    def set_shown(self, on: bool) -> None:
        """Show pictures where there is room, or none."""
        self._on = on
        self._choose_anew()
        if not on:
            self._show_none()
        elif self._none:
            self.told.emit(self._none)

    def take(self, answers: Sequence[Pictured]) -> None:
        """Pictures that came in."""
        started = self._started
        for answer in answers:
            if answer.run != self._run or started is None:
                continue
            self._waiting.difference_update(answer.item_ids.tolist())
            if answer.problem or answer.pictures is None:
                self._end(f"No pictures in the clouds: {answer.problem}" if answer.problem else "")
            elif not _fits(answer, started):
                self._end(CHANGED)
            else:
                self._pixels |= zip(answer.item_ids.tolist(), answer.pictures, strict=True)
                self._choose_anew()

    def advance(self) -> None:
        """One tick: look after one pane at most."""
        if not self._on or self._none or self._started is None or not self._panes.panes:
            return
        now = time.perf_counter()
        self._turn = (self._turn + 1) % len(self._panes.panes)
        pane = self._panes.panes[self._turn]
        if now - self._chosen_at.get(pane.lane, 0.0) >= CHOSEN_S and pane.view.scene is not None:
            self._chosen_at[pane.lane] = now
            wanted = self._wanted(pane, now)
            self._ask(self._started, wanted)
            pane.view.set_thumbnails(wanted, self._pixels)

    def _wanted(self, pane: Pane, now: float) -> list[int]:
        """Items of a pane, the most important first."""
        view, scene = pane.view, pane.view.scene
        assert scene is not None
        shown = view.thumbnail_ids
        room = roomy(scene, view.camera, max(view.width(), 1), max(view.height(), 1), shown)
        first = self._hovered, self._choice.item_id, *self._hardest(pane, now)
        selected = self._choice.selection.ids[:MOST_SELECTED].tolist()
        return [item_id for item_id in dict.fromkeys((*first, *selected, *room)) if item_id >= 0]

    def _hardest(self, pane: Pane, now: float) -> list[int]:
        frame, scene = pane.frame, pane.view.scene
        if frame is None or scene is None:
            return []
        of, since, ends = self._edges.get(pane.lane, (None, 0.0, []))
        if now - since >= EDGES_S or of is frame:
            ends = hardest_ends(scene, frame, most_edges(pane.view.height()))
            self._edges[pane.lane] = frame, since if of is frame else now, ends
        return ends

    def _ask(self, started: RunStarted, wanted: list[int]) -> None:
        missing = [item_id for item_id in wanted if item_id not in self._pixels and item_id not in self._waiting]
        if not missing:
            return
        if len(self._pixels) > MOST_KEPT:
            self._pixels = {item_id: self._pixels[item_id] for item_id in wanted if item_id in self._pixels}
        asked = tuple(missing[:MOST_ASKED])
        self._waiting |= set(asked)
        self.asked.emit(started.config, asked, self._run)

    def _end(self, why: str) -> None:
        """There are no pictures of this run."""
        self._none = why or NO_PICTURES
        self._show_none()
        if why:
            self.told.emit(why)

    def _show_none(self) -> None:
        for view in self._panes.views:
            view.set_thumbnails((), {})

    def _on_hover(self, item_id: int) -> None:
        self._hovered = item_id
        self._choose_anew()

    def _choose_anew(self) -> None:
        self._chosen_at = {}


def _fits(answer: Pictured, started: RunStarted) -> bool:
    """Whether the data have the classes that the run had, as far as both tell of the same items."""
    places = places_of(started.ids, answer.item_ids)
    known = places >= 0
    return bool((started.labels[places[known]] == answer.labels[known]).all())
