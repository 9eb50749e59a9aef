"""One lane on screen: its newest frame as a scene that glides to where it should be, and a camera that follows."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from app.picture.camera import Camera, fit, moved_down, snug
from app.picture.candidates import looked_at
from app.picture.missed_edges import MissedPair, end_colors, flown_to, not_drawn, with_pair
from app.picture.motion import Motion, motion
from app.picture.planes import outlines
from app.picture.scene import EVERYTHING, Scene, build_scene
from app.picture.selection import Selection
from app.picture.slow_motion import Act, SlowMotion, last_step_of, slow_motion
from app.picture.theme import Theme
from app.picture.trails import with_trails
from app.views.cloud_marks import Mark
from app.views.cloud_view import CloudView
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.shown import drawn_places, has_several_labels

MAX_EDGES = 1000
NEAREST_ZOOM = 0.3
"""A few points are looked at from no nearer than this share of the cloud's radius."""
FITTED_POINTS = 1500
"""A cloud is framed by about so many of its points: it is done for every frame."""
AHEAD_DEGREES, EVERY_DEGREES = 12.0, 4.0
"""A cloud is framed as it is seen while the camera turns by so much to either side, and again after every so much: a
long one fills its pane from the side and from its end, and in between the camera glides."""
LEAST_FREE = 0.5
"""Share of a pane's height that a cloud may take, however much its labels cover."""


@dataclass(frozen=True)
class Wish:
    """What is to be seen of the clouds, in all panes."""

    theme: Theme
    edge_kinds: frozenset[str]
    color_by: str = "class"
    color_label: int = -1
    """Colours tell which items have this label, where items have several each; -1: `color_by` says what they mean"""
    selected_id: int | None = None
    spread: tuple[float, float] | None = None
    """What the colours of a column go over"""
    selection: Selection = EVERYTHING
    ways: Callable[[Frame], tuple[NDArray[np.int64], NDArray[np.float32]] | None] | None = None
    """Of the points with trails their (K,) ids and where they stood up to a frame, (F, K, 3); None where none has"""
    class_names: tuple[str, ...] | None = None
    """Names to write at the clusters; None for none"""
    planes: bool = False
    """Whether planes of a hash are drawn"""


@dataclass
class Pane:
    """One lane on screen."""

    lane: str
    view: CloudView
    frame: Frame | None = None
    camera: Camera = field(default_factory=Camera)
    """Where the view's camera was put last, by us or by the user."""
    fitted: Camera | None = None
    """What would frame the newest cloud, but for its labels; None before the first."""
    fitted_for: tuple[float, float, float, int] = (1.0, 1.0, 0.0, 0)
    """Width of the view by its height, share of the height without labels, elevation, and azimuth in parts of
    `EVERY_DEGREES`, for which that holds."""
    hint: str = ""
    """What it says while it has no cloud, in place of what all such panes say."""
    stale: bool = False
    """The scene must be built again before the next picture."""
    title: str = ""
    """What the view is called; the lane's name if empty."""
    linked: bool = True
    """Whether its camera turns with those of the others"""
    notes: str = ""
    """What there is to say under the cloud, parted by " · "."""
    captioned: tuple[str, int, int] = ("", 0, 0)
    """Of which notes its caption is, and for which size of the view."""
    chip: str | None = None
    """New status lines, shown with the pane's next turn."""

    pair: MissedPair | None = None
    """A missed negative that stands out"""
    planes: NDArray[np.float64] | None = None
    """By which its lane's hash cuts the cloud, see `hnm_core.run.misses.Buckets`"""
    flies: bool = False
    """Whether the camera goes to `pair` and stays with it"""

    slow_motion: bool = False
    """Whether the way from frame to frame is shown phase by phase."""
    laid_out: Frame | None = None
    """What is drawn in place of `frame`, whatever comes meanwhile: the same items elsewhere"""
    _later: Frame | None = None
    """The newest frame that came meanwhile"""
    _theme: Theme | None = None
    _motion: Motion | SlowMotion | None = None
    _moving_since: float = 0.0
    _frame_at: float = 0.0
    _frame_seconds: float = 0.0
    """When the newest frame came, and how long after the one before"""

    def clear(self, hint: str = "") -> None:
        """No cloud any more."""
        self.frame, self.fitted, self.stale, self.hint, self._motion = None, None, False, hint, None
        self.laid_out = self._later = None
        self.pair, self.flies, self.planes = None, False, None
        self.view.set_marks(())
        self.view.set_outlines([])
        self.view.set_notice("")
        self.view.set_scene(None)
        self.notes, self.captioned = "", ("", 0, 0)
        self.view.set_caption("")

    def take(self, frame: Frame) -> None:
        """The next frame, shown with the pane's next turn; while the cloud is laid out elsewhere, after that."""
        if self.laid_out is not None:
            self._later = frame
            return
        now = time.perf_counter()
        self._frame_seconds, self._frame_at = now - self._frame_at, now
        self.frame, self.stale = frame, True

    def lay_out(self, frame: Frame, laid_out: Frame) -> None:
        """Draw `laid_out` in place of `frame`, and go on showing that moment, until `go_back`."""
        self.frame, self.laid_out, self.stale = frame, laid_out, True

    def go_back(self) -> None:
        """Draw frames as they are, the newest first."""
        if self.laid_out is not None:
            self.laid_out, self.stale = None, self.frame is not None
            if self._later is not None:
                later, self._later = self._later, None
                self.take(later)

    @property
    def name(self) -> str:
        """What its view is called: its title, or its lane, and whether the cloud is another than the lane's own."""
        return f"{self.title or self.lane}{' · t-SNE' if self.laid_out is not None else ''}"

    @property
    def drawn(self) -> Frame | None:
        """What the cloud is made of: the frame, or what is drawn in its place."""
        return self.laid_out or self.frame

    def stage(self, started: RunStarted, frame: Frame, wish: Wish, *, smoothly: bool) -> tuple[str, ...]:
        """Make the scene of the frame. Returns what is to be noted under it."""
        slowly = self.slow_motion and smoothly and self.laid_out is None
        goal = _scene(started, last_step_of(frame) if slowly else frame, wish)
        ways = wish.ways(frame) if wish.ways is not None and self.laid_out is None else None
        if ways is not None:
            goal = with_trails(goal, *ways)
        self.view.set_class_names(wish.class_names)
        self._theme, self.stale = wish.theme, False
        looked = None
        if slowly:
            if frame.candidates is not None and wish.edge_kinds:
                several = has_several_labels(started)
                plain = _scene(started, frame, replace(wish, edge_kinds=frozenset()))
                looked = looked_at(frame.candidates, plain, wish.theme, wish.selection.pair, several=several)
            self._motion = slow_motion(self.view.scene, goal, wish.theme, looked)
        else:
            self._motion = motion(self.view.scene, goal, self._frame_seconds) if smoothly else None
        self._moving_since = time.perf_counter()
        if self._motion is None:
            self._show(goal)
        note = "" if wish.spread is not None and wish.color_by in frame.columns else goal.color_note
        searched = looked.texts if looked is not None else ()
        # The most telling first: where there is no room for all, what comes last is left out.
        texts = goal.edge_text, goal.filter_text, *searched, note, goal.items_text
        absent = "" if self.pair is None else not_drawn(goal, self.pair)
        return absent, *texts, self._cut(frame, wish), frame.projection

    def _cut(self, frame: Frame, wish: Wish) -> str:
        """Draw the planes of the hash where they are wished for; what is to be noted of them."""
        known = self.planes is not None and len(self.planes) > 0 and not frame.projection
        cuts = outlines(self.planes, frame.positions) if wish.planes and known and self.planes is not None else []
        self.view.set_outlines(cuts)
        count = f"{len(cuts)} hash plane{'s' if len(cuts) != 1 else ''}"
        if not wish.planes or known:
            return count if wish.planes else ""
        return "no hash planes in this space" if "bucket" in frame.columns else "no hash"

    def glide(self) -> None:
        """Bring the cloud to where it should be by now."""
        if self._motion is not None:
            way, gone = self._motion, time.perf_counter() - self._moving_since
            scene = way.at(gone)
            self._show(scene)
            there = scene is way.goal
            if there:
                self._motion = None
            if isinstance(way, SlowMotion):
                self.view.set_notice("" if there else way.words_at(gone))
                if there and self.drawn is not None:
                    self.refit(self.drawn)

    def _show(self, scene: Scene) -> None:
        """The scene, with the missed negative that is to stand out at each moment of its way."""
        if self.pair is not None and self._theme is not None:
            scene = with_pair(scene, self._theme, self.pair)
        self.view.set_scene(scene)

    @property
    def act(self) -> Act | None:
        """The part of a step that is shown by itself; None where none is."""
        if not isinstance(self._motion, SlowMotion):
            return None
        return self._motion.act_at(time.perf_counter() - self._moving_since)[0]

    @property
    def arrived(self) -> bool:
        """Whether the cloud stands where its frame says."""
        return self._motion is None and not self.stale

    @property
    def covered(self) -> tuple[float, float]:
        """Pixels at the top and at the bottom that labels take."""
        return self.view.covered

    def fit(self) -> Camera | None:
        """What frames the cloud as it is seen now; made anew only where something has changed."""
        wanted = self._wanted_fit()
        if self.drawn is not None and self.fitted is not None and wanted != self.fitted_for:
            self.refit(self.drawn)
        return self.fitted and replace(self.fitted, azimuth=self.camera.azimuth)

    def refit(self, frame: Frame) -> Camera:
        """What frames the cloud of `frame`; in slow motion also where it comes from."""
        self.fitted_for = aspect, free, _, part = self._wanted_fit()
        every = max(1, len(frame.positions) // FITTED_POINTS)
        some = frame.positions[::every]
        if isinstance(self._motion, SlowMotion):
            some = np.concatenate((some, self._motion.start[::every]))
        self.fitted = snug(some, aspect, replace(self.camera, azimuth=part * EVERY_DEGREES), free, AHEAD_DEGREES)
        return replace(self.fitted, azimuth=self.camera.azimuth)

    def between_labels(self, camera: Camera) -> Camera:
        """A fitted camera, with the cloud in the middle of what the labels leave."""
        top, bottom = self.covered
        height = max(self.view.height(), 1)
        return moved_down(camera, height, min(max((top - bottom) / 2, -height / 4), height / 4))

    def zoomed_to(self, ids: NDArray[np.int64]) -> Camera | None:
        """What shows those of the points with these ids that there are, from where the camera looks now; None where
        there are none."""
        scene = self.view.scene
        places = drawn_places(scene.ids, scene.sample, ids) if scene is not None else np.empty(0, np.int64)
        places = places[places >= 0]
        if scene is None or not len(places):
            return None
        near = fit(scene.positions[places], self.view.width() / max(self.view.height(), 1), self.camera)
        distance = max(near.distance, NEAREST_ZOOM * self.camera.radius)
        return self.between_labels(replace(self.camera, target=near.target, distance=distance))

    def show_pair(self, pair: MissedPair | None, theme: Theme) -> None:
        """Let a missed negative stand out and fly there, or no longer; with the pane's next turn."""
        if pair is None or self.pair is None or pair.anchor != self.pair.anchor:
            self.flies = pair is not None
        self.pair, self.stale = pair, self.frame is not None
        marks = () if pair is None else zip(pair.ends, end_colors(theme), strict=False)
        self.view.set_marks(tuple(Mark(item, words, color) for (item, words), color in marks))

    def flight(self) -> Camera | None:
        """Where the camera should be to see `pair`; None where it does not fly, or there is nothing to see."""
        scene = self.view.scene
        if self.pair is None or not self.flies or scene is None or self.fitted is None:
            return None
        aspect, free, *_ = self._wanted_fit()
        flight = flown_to(scene, self.pair, aspect, free, self.fitted)
        return None if flight is None else self.between_labels(flight)

    def aim(self, camera: Camera) -> None:
        """Move the view's camera; a view that stands still is not painted again."""
        if camera != self.camera:
            self.camera = camera
            self.view.set_camera(camera)

    def _wanted_fit(self) -> tuple[float, float, float, int]:
        height = max(self.view.height(), 1)
        free = max(LEAST_FREE, 1 - sum(self.covered) / height)
        part = round(self.camera.azimuth / EVERY_DEGREES)
        return self.view.width() / height, free, self.camera.elevation, part


def _scene(started: RunStarted, frame: Frame, wish: Wish) -> Scene:
    return build_scene(
        started,
        frame,
        wish.theme,
        show_edges=wish.edge_kinds,
        color_by=wish.color_by,
        color_label=wish.color_label,
        max_edges=MAX_EDGES,
        selected_id=wish.selected_id,
        spread=wish.spread,
        selection=wish.selection,
    )
