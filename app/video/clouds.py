"""Draws clouds into their boxes: each lane by the window's raster, side by side on several threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.picture import raster
from app.picture.camera import Camera
from app.picture.scene import Scene
from app.picture.theme import Theme
from app.video.film import Film
from app.video.layout import Box
from hnm_core.recording import Recording
from hnm_core.run.events import LaneForked

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Shot:
    """One cloud to draw: a scene seen by a camera."""

    scene: Scene
    camera: Camera


class Clouds:
    """The lanes of a recording as films, and what it takes to draw them."""

    def __init__(self, recording: Recording, theme: Theme, edge_steps: float, supersample: int = 1) -> None:
        self.recording, self._theme, self._supersample = recording, theme, supersample
        self.films: dict[str, Film | None] = {}
        parents = {event.lane: event.parent for event in recording.events if isinstance(event, LaneForked)}
        for lane in recording.lanes:
            if len(recording.frame_steps(lane)):
                parent = self.films.get(parents.get(lane, ""))
                self.films[lane] = Film(recording, lane, theme, edge_steps, parent, recording.begins[lane])
            else:
                self.films[lane] = None
        self._lost = recording.clouds_lost_after
        self._workspaces: dict[str, raster.Workspace] = {}
        self._threads: ThreadPoolExecutor | None = None

    @contextmanager
    def on_threads(self) -> Iterator[None]:
        """Have lanes drawn side by side meanwhile: the raster lets go of the interpreter."""
        with ThreadPoolExecutor(min(len(self.films), os.cpu_count() or 1), "hnm-video") as self._threads:
            try:
                yield
            finally:
                self._threads = None

    def has_any(self) -> bool:
        """Whether there is a cloud at all."""
        return any(film is not None for film in self.films.values())

    def film(self, lane: str, step: float) -> Film | None:
        """The film of a lane where it can be shown at a step."""
        film = self.films[lane]
        if film is None or self.why_none(lane, step):
            return None
        return film

    def why_none(self, lane: str, step: float) -> str:
        """Why there is no cloud of a lane at a step; empty where there is one."""
        film = self.films[lane]
        if film is None:
            return "no frame was recorded"
        if step < self.recording.begins[lane] and film.still_parent(step) is None:
            return f"begins at step {self.recording.begins[lane]:,}"
        if step > (last := self._lost.get(lane, step)) and step >= self.recording.begins[lane]:
            return f"lost: damaged after step {last:,}"
        return ""

    def note(self, lane: str, step: float, *, short: bool = False) -> str:
        """What is to be said of the cloud of a lane, in its corner; `short` leaves out how many items are shown, which
        is the same for all lanes."""
        film = self.films[lane]
        if film is None or self.why_none(lane, step):
            return self.why_none(lane, step)
        parent = film.still_parent(step)
        until = f"as {parent.lane} until step {self.recording.begins[lane]:,}" if parent else ""
        return " · ".join(text for text in (until, film.projection(step) if short else film.note(step)) if text)

    def draw(self, pixels: Pixels, lane: str, box: Box, shot: Shot) -> None:
        """One cloud into its box, which may reach over the picture's edge."""
        pixels[box.y : box.bottom, box.x : box.right] = self.picture(lane, box.width, box.height, shot)

    def picture(self, lane: str, width: int, height: int, shot: Shot) -> Pixels:
        """One cloud; overwritten by the next one of the lane."""
        one_for_all = self._supersample > 1  # what supersampling needs is too large to have it for each lane
        work = self._workspaces.setdefault("" if one_for_all else lane, raster.Workspace())
        pixels = raster.render(
            shot.scene, shot.camera, width, height, self._theme, supersample=self._supersample, workspace=work
        ).pixels
        return pixels.copy() if one_for_all else pixels

    def side_by_side(self, work: Callable[[int], None], places: Sequence[int]) -> None:
        """Do something for each of some lanes; inside `on_threads` on as many threads as there are processors."""
        if self._threads is None or self._supersample > 1:
            for place in places:
                work(place)
        else:
            list(self._threads.map(work, places))
