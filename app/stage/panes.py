"""The clouds side by side: one pane a lane, one way of looking at all of them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PyQt6.QtCore import Qt, QTimer, pyqtSignal
from PyQt6.QtGui import QFontMetricsF
from PyQt6.QtWidgets import QHBoxLayout, QSplitter, QVBoxLayout, QWidget

from app.limits import MAX_PANES
from app.picture.camera import Camera, followed
from app.picture.edges import EDGE_KINDS
from app.picture.missed_edges import MissedPair
from app.picture.scene import CATEGORIES, column_range
from app.picture.selection import Selection
from app.picture.theme import Theme
from app.stage.pane import Pane, Wish
from app.views.class_key import ClassKey
from app.views.cloud_view import CloudView
from app.views.color_scale import ColorScale
from app.views.edge_key import EdgeKey
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
CHIP_SHARE = 0.35
"""Of a pane's height, for its title and its status lines."""
TWO_LINES_FROM_PX = 300
"""Lower panes have one line under the cloud, cut where it is too long."""
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
        self.key, self.edge_key = ClassKey(self), EdgeKey(self)
        self.scale = ColorScale(self)
        self.edge_key.chosen.connect(self.set_edge_kinds)
        self._seen_kinds: set[str] = set()
        self._panes: list[Pane] = []
        self._started: RunStarted | None = None
        self._edges = True
        self._wish = Wish(theme, frozenset(EDGE_KINDS))
        self._linked = True
        self._same_scale = False
        self._smooth = True
        self._slow_motion = False
        self._lasso = self._names = False
        self._following = True
        self._ready = True
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
        keys = QHBoxLayout()
        keys.setContentsMargins(0, 0, 0, 0)
        keys.setSpacing(0)
        keys.addWidget(self.edge_key)
        keys.addWidget(self.key, 1)
        keys.addWidget(self.scale)
        whole.addLayout(keys)
        self.setMinimumSize(200, 120)

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
        self._seen_kinds = set()
        self.edge_key.show_kinds(())
        self._started, self._wish = None, replace(self._wish, selected_id=None)
        self._make(lanes[:MAX_PANES])
        for pane in self._panes:
            pane.clear()
            pane.chip = None
            pane.view.set_chip("")
            pane.view.set_selected(None)
        self._following = True
        self._show_key()
        self.set_hint(hint)

    def begin(self, started: RunStarted, hint: str = "") -> None:
        """Empty panes for the lanes of a run; frames of it may follow."""
        self.show_lanes(tuple(lane.name for lane in started.config.lanes), hint)
        self._started = started
        self._wish_names()
        self._show_key()

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

    def set_ready(self, ready: bool) -> None:
        """Whether clouds can be drawn; until then panes say that the renderer is being prepared."""
        self._ready = ready
        for pane in self._panes:
            pane.stale = pane.frame is not None
            self._overlay(pane)

    def show_frame(self, frame: Frame) -> None:
        """Show a frame in its lane's pane. A frame of a lane without a pane is ignored."""
        for pane in self._panes:
            if pane.lane == frame.lane and pane.frame is not frame:
                pane.take(frame)

    def set_chip(self, lane: str, text: str, details: str = "") -> None:
        """The figures of a lane, as many lines as leave the cloud in sight; the rest and the details in a tooltip."""
        for pane in self._panes:
            if pane.lane == lane:
                metrics = QFontMetricsF(pane.view.font())
                lines = wrapped(text, pane.view.width() - CHIP_MARGIN_PX, metrics.horizontalAdvance).splitlines()
                most = max(1, int(CHIP_SHARE * pane.view.height() / metrics.height()) - 1)
                pane.chip = "\n".join(lines[:most])
                whole = "\n".join(text.replace("\n", " · ").split(" · "))
                pane.view.set_details(f"{whole}\n{details}".strip())

    def set_title(self, lane: str, title: str) -> None:
        """What the pane of a lane is called."""
        for number, pane in enumerate(self._panes):
            if pane.lane == lane:
                pane.title = title
                pane.view.set_title(title, self._theme.lane(number))

    def set_theme(self, theme: Theme) -> None:
        """Change colours."""
        self._theme, self._wish = theme, replace(self._wish, theme=theme)
        self.key.set_theme(theme)
        self.edge_key.set_theme(theme)
        self.scale.set_theme(theme)
        for number, pane in enumerate(self._panes):
            pane.view.set_theme(theme)
            pane.show_pair(pane.pair, theme)
            pane.view.set_title(pane.title or pane.lane, self._theme.lane(number))
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
        self._wish = replace(self._wish, color_by=name, spread=None)
        self._show_key()
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
        self.key.set_isolated(selection.classes)
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
        self._following = False
        for pane in self._panes:
            pane.flies = False
            camera = pane.zoomed_to(ids)
            if camera is not None:
                pane.aim(camera)

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
        self._linked = linked
        for pane in self._panes if linked else []:
            pane.linked = True
            pane.aim(_turned_like(pane.camera, self._panes[0].camera))

    def is_linked(self, lane: str) -> bool:
        """Whether the camera of a lane turns with others."""
        return self._linked and self._pane(lane).linked

    def link(self, lane: str, linked: bool) -> None:
        """Turn one cloud by itself, or with the others again."""
        pane = self._pane(lane)
        pane.linked = linked
        other = next((one for one in self._panes if one.linked and one is not pane), None)
        if linked and other is not None:
            pane.aim(_turned_like(pane.camera, other.camera))

    @property
    def focused_lane(self) -> str:
        """The lane whose cloud has the keyboard; empty where none has."""
        return next((pane.lane for pane in self._panes if pane.view.hasFocus()), "")

    def set_same_scale(self, same: bool) -> None:
        """Look at all clouds from the same distance, so that their sizes can be compared; or at each from near by."""
        self._same_scale = same

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

    def follow(self) -> None:
        """Bring the clouds back into view and keep them there."""
        self._following = True
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
            for pane, wanted in zip(self._panes, self._wanted(), strict=True)
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
        if pane.stale and self._ready and self._started is not None and pane.frame is not None:
            self._stage(pane, self._started, pane.frame)
        pane.glide()
        camera = pane.camera.orbited(turn, 0.0) if turn else pane.camera
        flight = pane.flight()
        if flight is not None:
            camera = followed(camera, _turned_like(flight, camera), seconds)
        elif wanted is not None and self._following:
            camera = followed(camera, _turned_like(wanted, camera), seconds)
        pane.aim(camera)

    def _stage(self, pane: Pane, started: RunStarted, frame: Frame) -> None:
        self._spread_colors()
        wish = self._wish if self._edges else replace(self._wish, edge_kinds=frozenset())
        self._show_edge_key(frame, noisy=started.true_labels is not None)
        notes = pane.stage(started, frame, wish, smoothly=self._smooth)
        pane.view.set_caption(_caption(" · ".join(text for text in notes if text), pane.view))
        first = pane.fitted is None
        fitted = pane.refit(frame)
        if first:
            pane.aim(pane.between_labels(fitted))
            self._overlay(pane)

    def _wanted(self) -> list[Camera | None]:
        """Where every camera should be: round its own cloud, as near as it can be; at the distance that the largest
        cloud needs where all have one scale."""
        fitted = [pane.fit() for pane in self._panes]
        known = [camera for camera in fitted if camera is not None]
        if self._same_scale and known:
            distance, radius = max(camera.distance for camera in known), max(camera.radius for camera in known)
            fitted = [camera and replace(camera, distance=distance, radius=radius) for camera in fitted]
        return [camera and pane.between_labels(camera) for camera, pane in zip(fitted, self._panes, strict=True)]

    def _on_camera(self, source: CloudView, camera: Camera) -> None:
        """The user moved the camera of one view. The others go along; nobody answers, so there is no echo."""
        moved_pane = next(pane for pane in self._panes if pane.view is source)
        before, moved_pane.camera = moved_pane.camera, camera
        if camera.distance != before.distance or camera.target != before.target:
            self._following = False
            for pane in self._panes:
                pane.flies = False
        if not self._linked or not moved_pane.linked:
            return
        moved = [now - was for now, was in zip(camera.target, before.target, strict=True)]
        nearer = camera.distance / before.distance
        for pane in self._panes:
            if pane is not moved_pane and pane.linked:
                scale = pane.camera.distance / before.distance  # so that all move by the same part of their picture
                x, y, z = (at + scale * by for at, by in zip(pane.camera.target, moved, strict=True))
                turned = _turned_like(pane.camera, camera)
                pane.aim(replace(turned, target=(x, y, z), distance=pane.camera.distance * nearer))

    def _show_key(self) -> None:
        """The classes by colour, where it is they that points are coloured by; groups of classes have no names."""
        started = self._started
        grouped = started is not None and started.groups is not None and self._wish.color_by != "label"
        by_class = self._wish.color_by in ("class", "group", "label")
        if by_class or self._wish.color_by in CATEGORIES:
            self.scale.hide()
        shown = started is not None and by_class and not grouped
        self.key.show_classes(started.class_names if started is not None and shown else ())

    def _spread_colors(self) -> None:
        """One range for the colours of a column in all panes, so that equal colours mean equal values; made anew when
        the values have left it or fill it no more."""
        name = self._wish.color_by
        if name in CATEGORIES:
            return
        ranges = [column_range(frame.columns[name]) for frame in self.frames if name in frame.columns]
        known = [spread for spread in ranges if spread is not None]
        if not known:
            return
        low, high = min(low for low, _ in known), max(high for _, high in known)
        old = self._wish.spread
        if old is None or max(abs(low - old[0]), abs(high - old[1])) > SPREAD_SLACK * (old[1] - old[0]):
            self._wish = replace(self._wish, spread=(low, high))
            self.scale.show_range(name.replace("_", " "), low, high)
            self._restage()

    def _show_edge_key(self, frame: Frame, *, noisy: bool) -> None:
        """The kinds of edges that the run has had so far: the key does not come and go from frame to frame."""
        if not self._edges:
            self.edge_key.show_kinds(())
            return
        kinds = set() if not len(frame.triplets) else {"positive", "false"} if noisy else {"positive"}
        if frame.hardness is not None:
            kinds |= {"hard", "semi_hard", "easy"}
        elif kinds:
            kinds |= {"negative"}
        if not kinds <= self._seen_kinds or self.edge_key.isHidden():
            self._seen_kinds |= kinds
            self.edge_key.show_kinds(self._seen_kinds)

    def _restage(self) -> None:
        for pane in self._panes:
            pane.stale = pane.frame is not None

    def _overlay(self, pane: Pane) -> None:
        if not self._ready:
            pane.view.set_overlay("Preparing the renderer, once per machine ...")
        else:
            pane.view.set_overlay(None if pane.fitted is not None else pane.hint or self._hint or None)

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
    """`text` with its lines broken at " · " where they are wider than `room`."""
    lines = []
    for line in text.splitlines():
        filled = ""
        for part in line.split(" · "):
            longer = f"{filled} · {part}" if filled else part
            if filled and width_of(longer) > room:
                lines.append(filled)
                filled = part
            else:
                filled = longer
        lines.append(filled)
    return "\n".join(lines)


def _caption(text: str, view: CloudView) -> str:
    """The notes under a cloud, in a second line where one is too narrow and the pane is high enough for two."""
    metrics = QFontMetricsF(view.font())
    if view.height() < TWO_LINES_FROM_PX:
        return text
    return wrapped(text, view.width() - CHIP_MARGIN_PX, metrics.horizontalAdvance)


def _turned_like(camera: Camera, other: Camera) -> Camera:
    return replace(camera, azimuth=other.azimuth, elevation=other.elevation)


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
