"""The clouds side by side: one pane a lane, one way of looking at all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QFontMetricsF
from PyQt6.QtWidgets import QSplitter, QVBoxLayout, QWidget

from app.limits import MAX_PANES
from app.picture.camera import Camera
from app.picture.edges import EDGE_KINDS
from app.picture.missed_edges import MissedPair
from app.picture.selection import Selection
from app.picture.theme import Theme
from app.stage.cameras import Cameras
from app.stage.keys import Keys
from app.stage.pane import Pane, Wish
from app.views.cloud_labels import caption_font, caption_room
from app.views.cloud_view import CloudView
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.timing import Phase

SPREAD_SLACK = 0.1
"""By so much of its width the range of a column's colours may be off before it is made anew."""
ROW = 3
"""Most panes side by side."""
PAINT_BUDGET_MS = 40.0
"""For all panes of one tick; a pane that takes more than its share thins its context points."""
ORBIT_DEGREES_PER_S = 9.0
CHIP_MARGIN_PX = 30
CHIP_SHARE = 0.28
"""Of a pane's height, for its title and its status lines."""
ONE_STATUS_BELOW_PX = 180
"""Lower panes have one status line: the cloud needs the height."""
TWO_LINES_FROM_PX = 240
"""Lower panes have one line under the cloud, and what it has no room for in a tooltip."""
TURNS_MS = 30
"""All panes have had their turn after so much of a tick."""


class PaneGrid(QWidget):
    """Shows one frame per lane. Cameras turn together unless unlinked, each as near as its cloud allows or all at one
    scale; they follow the clouds until the user zooms or pans.

    `point_hovered(id)` (-1 for none) and `point_clicked(id)` (-1 for the ground) speak in dataset ids.
    `points_outlined(ids, add)`: points were selected with a box or a lasso.
    `menu_requested(lane, QPoint)`: a menu is asked for in the pane of a lane.
    """

    menu_requested = pyqtSignal(str, object)

    point_hovered = pyqtSignal(int)
    point_clicked = pyqtSignal(int)
    points_outlined = pyqtSignal(object, bool)

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self.keys, self.cameras = Keys(self), Cameras()
        self.keys.edges.chosen.connect(self.set_edge_kinds)
        self._panes: list[Pane] = []
        self._started: RunStarted | None = None
        self._edges = True
        self._wish = Wish(theme, frozenset(EDGE_KINDS))
        self._smooth = True
        self._slow_motion = False
        self._lasso = self._names = False
        self._preparing = ""
        self._hint = ""
        self._turns: list[Callable[[], None]] = []
        self._turn_timer = QTimer(self)
        self._turn_timer.setSingleShot(True)
        self._turn_timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._turn_timer.timeout.connect(self._take_turns)
        whole, self._layout = QVBoxLayout(self), QVBoxLayout()
        whole.setContentsMargins(0, 0, 0, 0)
        whole.setSpacing(0)
        whole.addLayout(self._layout, 1)
        whole.addWidget(self.keys)
        self.setMinimumSize(200, 120)

    @property
    def panes(self) -> list[Pane]:
        """In lane order."""
        return self._panes

    @property
    def views(self) -> list[CloudView]:
        """The panes' views, in lane order."""
        return [pane.view for pane in self._panes]

    @property
    def lanes(self) -> list[str]:
        """Names of the lanes shown, in order."""
        return [pane.lane for pane in self._panes]

    @property
    def frames(self) -> list[Frame]:
        """What the panes show, in lane order; a pane without a cloud has none."""
        return [pane.frame for pane in self._panes if pane.frame is not None]

    def view(self, lane: str) -> CloudView:
        """The view of a lane."""
        return self._pane(lane).view

    def show_lanes(self, lanes: tuple[str, ...], hint: str) -> None:
        """Empty panes for `lanes`, saying what to do."""
        self.keys.forget_edges()
        self._started, self._wish = None, replace(self._wish, selected_id=None)
        self._make(lanes[:MAX_PANES])
        for pane in self._panes:
            pane.clear()
            pane.chip = None
            pane.view.set_chip("")
            pane.view.set_selected(None)
        self.cameras.following = True
        self.keys.show_colors(self._started, self._wish.color_by, self._wish.color_label)
        self.set_hint(hint)

    def begin(self, started: RunStarted, hint: str = "") -> None:
        """Empty panes for the lanes of a run; frames of it may follow."""
        self.show_lanes(tuple(lane.name for lane in started.config.lanes), hint)
        self._started = started
        self._wish_names()
        self.keys.show_colors(self._started, self._wish.color_by, self._wish.color_label)

    def add_lane(self, lane: str, like: str) -> None:
        """One more pane, last in order, that looks at its cloud as the pane of the lane `like` does. No more than
        `MAX_PANES`."""
        if lane in self.lanes or len(self._panes) >= MAX_PANES:
            return
        pane = Pane(lane, self._new_view(), slow_motion=self._slow_motion)
        self._panes.append(pane)
        if like in self.lanes:
            pane.aim(self._pane(like).camera)
        self._turns = []
        self._arrange()
        pane.view.set_title(lane, self._theme.lane(len(self._panes) - 1))
        pane.view.set_selected(self._wish.selected_id)
        self._overlay(pane)

    def empty(self, lane: str, hint: str) -> None:
        """No cloud in the pane of a lane; it says why."""
        pane = self._pane(lane)
        if pane.frame is not None or pane.hint != hint:
            pane.clear(hint)
            self._overlay(pane)

    def set_hint(self, hint: str) -> None:
        """What panes without a cloud say."""
        self._hint = hint
        for pane in self._panes:
            self._overlay(pane)

    def set_preparing(self, text: str) -> None:
        """How far it is that the renderer is prepared: panes say so, and sketch their clouds until it is empty."""
        self._preparing = text
        for pane in self._panes:
            self._overlay(pane)

    def show_frame(self, frame: Frame) -> None:
        """Show a frame in its lane's pane. A frame of a lane without a pane is ignored."""
        for pane in self._panes:
            if pane.lane == frame.lane and pane.frame is not frame:
                pane.take(frame)

    def lay_out(self, frame: Frame, laid_out: Frame) -> None:
        """Draw `laid_out` in place of `frame` until `go_back`; frames of the lane that come are kept for then."""
        pane = self._pane(frame.lane)
        pane.lay_out(frame, laid_out)
        self.set_title(pane.lane, pane.title or pane.lane)
        self.follow()

    def go_back(self) -> None:
        """Draw frames as they are again."""
        if self.laid_out:
            for pane in self._panes:
                pane.go_back()
                self.set_title(pane.lane, pane.title or pane.lane)
            self.follow()

    @property
    def laid_out(self) -> bool:
        """Whether the items of any cloud stand elsewhere than their frame says."""
        return any(pane.laid_out is not None for pane in self._panes)

    def set_chip(self, lane: str, text: str, details: str = "", brief: str = "") -> None:
        """The figures of a lane, as many lines as leave the cloud in sight, `brief` where that is one; the rest and the
        details in a tooltip."""
        for pane in self._panes:
            if pane.lane == lane:
                metrics = QFontMetricsF(pane.view.font())
                lines = wrapped(text, pane.view.width() - CHIP_MARGIN_PX, metrics.horizontalAdvance).splitlines()
                height = pane.view.height()
                most = 1 if height < ONE_STATUS_BELOW_PX else max(1, int(CHIP_SHARE * height / metrics.height()) - 1)
                pane.chip = brief if brief and len(lines) > most == 1 else "\n".join(lines[:most])
                whole = "\n".join(text.replace("\n", " · ").split(" · "))
                pane.view.set_details(f"{whole}\n{details}".strip())

    def set_title(self, lane: str, title: str) -> None:
        """What the pane of a lane is called."""
        for number, pane in enumerate(self._panes):
            if pane.lane == lane:
                pane.title = title
                pane.view.set_title(pane.name, self._theme.lane(number))

    def set_theme(self, theme: Theme) -> None:
        """Change colours."""
        self._theme, self._wish = theme, replace(self._wish, theme=theme)
        self.keys.set_theme(theme)
        for number, pane in enumerate(self._panes):
            pane.view.set_theme(theme)
            pane.show_pair(pane.pair, theme)
            pane.view.set_title(pane.name, self._theme.lane(number))
            pane.stale = pane.frame is not None

    def set_edges(self, shown: bool) -> None:
        """Draw the mined pairs or not."""
        self._edges = shown
        self._restage()

    def set_edge_kinds(self, kinds: Collection[str]) -> None:
        """Which kinds of mined pairs are drawn, see `app.picture.edges.EDGE_KINDS`."""
        self._wish = replace(self._wish, edge_kinds=frozenset(kinds))
        self._restage()

    def set_color_by(self, name: str) -> None:
        """What colours mean: `class`, `label` or a column of the frames."""
        self._color_by(name, -1)

    def set_color_label(self, label: int) -> None:
        """Colours tell which items have a label, where items have several each."""
        self._color_by("class", label)

    def _color_by(self, name: str, label: int) -> None:
        self._wish = replace(self._wish, color_by=name, color_label=label, spread=None)
        self.keys.show_colors(self._started, name, label)
        self._restage()

    def select(self, point_id: int | None) -> None:
        """Mark a point in every pane."""
        self._wish = replace(self._wish, selected_id=point_id)
        for pane in self._panes:
            pane.view.set_selected(point_id)
        self._restage()

    def set_selection(self, selection: Selection) -> None:
        """What is ringed and what is left out, in every pane."""
        self._wish = replace(self._wish, selection=selection)
        self.keys.classes.set_isolated(selection.classes)
        self._restage()

    def set_ways(self, ways: Callable[[Frame], tuple[NDArray[np.int64], NDArray[np.float32]] | None] | None) -> None:
        """Where points with trails stood so far, see `Wish.ways`; call again when more is known."""
        self._wish = replace(self._wish, ways=ways)
        self._restage()

    def set_class_names(self, shown: bool) -> None:
        """Write the names of the classes at their clusters, or not."""
        self._names = shown
        self._wish_names()
        self._restage()

    def _wish_names(self) -> None:
        names = self._started.class_names if self._names and self._started is not None else None
        self._wish = replace(self._wish, class_names=names)

    def set_lasso(self, on: bool) -> None:
        """Whether a drag draws a lasso round points, in place of turning the clouds."""
        self._lasso = on
        for view in self.views:
            view.set_lasso(on)

    def zoom_to(self, ids: NDArray[np.int64]) -> None:
        """Look at these points in every pane that shows any of them."""
        self.cameras.zoom_to(self._panes, ids)

    def show_pair(self, lane: str, pair: MissedPair | None) -> None:
        """Let a missed negative stand out in the pane of a lane, which flies there, and none in the others."""
        for pane in self._panes:
            wanted = pair if pane.lane == lane else None
            if pane.pair != wanted:
                pane.show_pair(wanted, self._theme)

    def set_planes(self, shown: bool) -> None:
        """Draw the planes by which a hash cuts a 3-D cloud, or not."""
        self._wish = replace(self._wish, planes=shown)
        self._restage()

    def show_planes(self, lane: str, planes: NDArray[np.float64] | None) -> None:
        """By which planes the hash of a lane cuts its cloud; None where it has none."""
        for pane in self._panes:
            if pane.lane == lane and pane.planes is not planes:
                pane.planes, pane.stale = planes, pane.frame is not None

    def set_linked(self, linked: bool) -> None:
        """Turn all cameras together, or each by itself."""
        self.cameras.link_all(self._panes, linked)

    def is_linked(self, lane: str) -> bool:
        """Whether the camera of a lane turns with others."""
        return self.cameras.linked and self._pane(lane).linked

    def link(self, lane: str, linked: bool) -> None:
        """Turn one cloud by itself, or with the others again."""
        self.cameras.link(self._panes, self._pane(lane), linked)

    @property
    def focused_lane(self) -> str:
        """The lane whose cloud has the keyboard; empty where none has."""
        return next((pane.lane for pane in self._panes if pane.view.hasFocus()), "")

    def set_same_scale(self, same: bool) -> None:
        """Look at all clouds from the same distance, so that their sizes can be compared; or at each from near by."""
        self.cameras.same_scale = same

    def set_smooth(self, smooth: bool) -> None:
        """Let clouds glide from frame to frame, or jump."""
        self._smooth = smooth

    def set_slow_motion(self, slow: bool) -> None:
        """Show the way from frame to frame phase by phase."""
        for pane in self._panes:
            pane.slow_motion = slow
        self._slow_motion = slow

    @property
    def phases(self) -> frozenset[Phase]:
        """The phases of a step that are shown by themselves now; none where the clouds are not in slow motion."""
        acts = [pane.act for pane in self._panes]
        return next((act.phases for act in acts if act is not None), frozenset())

    @property
    def arrived(self) -> bool:
        """Whether every cloud stands where its frame says."""
        return all(pane.arrived for pane in self._panes)

    @property
    def at_rest(self) -> bool:
        """Whether, besides, every camera is where it should be."""
        return self.arrived and [pane.camera for pane in self._panes] == self.cameras.wanted(self._panes)

    def follow(self) -> None:
        """Bring the clouds back into view and keep them there."""
        self.cameras.following = True
        for pane in self._panes:
            pane.flies = False

    def advance(self, seconds: float, *, orbiting: bool) -> None:
        """One tick: build scenes that changed, move cameras. What stands still is not painted again.

        Panes have their turn one after the other within the tick, each with a paint of its own, so that the event loop
        is never kept for longer than one pane takes.
        """
        self._take_turns(len(self._turns))  # of the last tick, if it was too short
        turn = ORBIT_DEGREES_PER_S * seconds if orbiting else 0.0
        self._turns = [
            partial(self._move, pane, wanted, seconds, turn)
            for pane, wanted in zip(self._panes, self.cameras.wanted(self._panes), strict=True)
        ]
        self._take_turns()

    def _take_turns(self, count: int = 1) -> None:
        for move in self._turns[:count]:
            move()
        self._turns = self._turns[count:]
        if self._turns:
            self._turn_timer.start(TURNS_MS // len(self._panes))

    def _move(self, pane: Pane, wanted: Camera | None, seconds: float, turn: float) -> None:
        if pane.chip is not None:
            pane.view.set_chip(pane.chip)
            pane.chip = None
        if pane.stale and self._started is not None and pane.drawn is not None:
            self._stage(pane, self._started, pane.drawn)
        pane.glide()
        self._caption(pane)
        self.cameras.move(pane, wanted, seconds, turn)

    def _stage(self, pane: Pane, started: RunStarted, frame: Frame) -> None:
        spread = self.keys.spread(self.frames, self._wish.color_by)
        if spread != self._wish.spread:
            self._wish = replace(self._wish, spread=spread)
            self._restage()
        wish = self._wish if self._edges else replace(self._wish, edge_kinds=frozenset())
        if self._edges:
            self.keys.show_edges(frame, noisy=started.true_labels is not None)
        else:
            self.keys.edges.show_kinds(())
        notes = pane.stage(started, frame, wish, smoothly=self._smooth)
        pane.notes = " · ".join(text for text in notes if text)
        first = pane.fitted is None
        fitted = pane.refit(frame)
        if first:
            pane.aim(pane.between_labels(fitted))
            self._overlay(pane)

    def _caption(self, pane: Pane) -> None:
        """The notes under a cloud, in further lines where one is too narrow and the pane is high enough; else the first
        of them, as many as there is room for."""
        view = pane.view
        wanted = pane.notes, view.width(), view.height()
        if wanted == pane.captioned:
            return
        pane.captioned = wanted
        room, width_of = caption_room(view.width()), QFontMetricsF(caption_font(view.font())).horizontalAdvance
        if view.height() >= TWO_LINES_FROM_PX:
            shown = wrapped(pane.notes, room, width_of)
        else:
            shown = _filled(pane.notes.split(" · "), " · ", room, width_of)[0]
        view.set_caption(shown, pane.notes.replace(" · ", "\n"))

    def _on_camera(self, source: CloudView, camera: Camera) -> None:
        moved = next(pane for pane in self._panes if pane.view is source)
        self.cameras.go_along(self._panes, moved, camera)

    def _restage(self) -> None:
        for pane in self._panes:
            pane.stale = pane.frame is not None

    def _overlay(self, pane: Pane) -> None:
        pane.view.set_preparing(self._preparing)
        pane.view.set_overlay(None if pane.fitted is not None else self._preparing or pane.hint or self._hint or None)

    def _lane_of(self, view: CloudView) -> str:
        return next(pane.lane for pane in self._panes if pane.view is view)

    def _pane(self, lane: str) -> Pane:
        return next(pane for pane in self._panes if pane.lane == lane)

    def _make(self, lanes: tuple[str, ...]) -> None:
        """Panes for `lanes`; the widgets stay when their number does."""
        self._turns = []
        if len(lanes) != len(self._panes):
            self._panes = [Pane(lane, self._new_view(), slow_motion=self._slow_motion) for lane in lanes]
            self._arrange()
        for number, (pane, lane) in enumerate(zip(self._panes, lanes, strict=True)):
            pane.lane, pane.title = lane, ""
            pane.view.set_title(lane, self._theme.lane(number))

    def _arrange(self) -> None:
        """Give every view its place; those that were there before keep what they show."""
        views = [pane.view for pane in self._panes]
        for view in views:
            view.paint_budget_ms = PAINT_BUDGET_MS / len(views)
        before = self._layout.takeAt(0)
        self._layout.addWidget(_arranged(views))
        if before is not None and (widget := before.widget()) is not None:
            widget.setParent(None)
            widget.deleteLater()

    def _new_view(self) -> CloudView:
        view = CloudView(self._theme)
        view.setMinimumSize(120, 100)
        view.point_hovered.connect(self.point_hovered)
        view.point_clicked.connect(self.point_clicked)
        view.points_outlined.connect(self.points_outlined)
        view.set_lasso(self._lasso)
        view.camera_changed.connect(lambda camera, view=view: self._on_camera(view, camera))
        view.fit_requested.connect(self.follow)
        view.menu_requested.connect(lambda at, view=view: self.menu_requested.emit(self._lane_of(view), at))
        return view


def wrapped(text: str, room: float, width_of: Callable[[str], float]) -> str:
    """`text` with its lines broken at " · ", and where that does not do at commas, where they are wider than `room`."""
    lines = []
    for line in text.splitlines():
        for part in _filled(line.split(" · "), " · ", room, width_of):
            lines += [part] if width_of(part) <= room else _filled(part.split(", "), ", ", room, width_of)
    return "\n".join(lines)


def _filled(parts: list[str], between: str, room: float, width_of: Callable[[str], float]) -> list[str]:
    """Lines of as many parts as there is room for, one at least."""
    lines = parts[:1]
    for part in parts[1:]:
        longer = f"{lines[-1]}{between}{part}"
        if width_of(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def _arranged(views: list[CloudView]) -> QSplitter:
    """Up to three views in a row, four as two by two, five and six in two rows of three."""
    if len(views) <= ROW:
        return _splitter(Qt.Orientation.Horizontal, views)
    half = (len(views) + 1) // 2
    rows = [_splitter(Qt.Orientation.Horizontal, part) for part in (views[:half], views[half:])]
    return _splitter(Qt.Orientation.Vertical, rows)


def _splitter(orientation: Qt.Orientation, widgets: list[CloudView] | list[QSplitter]) -> QSplitter:
    splitter = QSplitter(orientation)
    splitter.setHandleWidth(1)
    splitter.setChildrenCollapsible(False)
    for place, widget in enumerate(widgets):
        splitter.addWidget(widget)
        splitter.setStretchFactor(place, 1)
    splitter.setSizes([10_000] * len(widgets))
    return splitter
