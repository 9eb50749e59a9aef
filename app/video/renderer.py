"""From a recording to a video: walks the run at exactly one picture every 1 / fps seconds, at any machine's speed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.picture import raster
from app.picture.edges import FALSE, HARD, NEGATIVE, POSITIVE, SEMI_HARD
from app.picture.theme import theme as theme_named
from app.video import templates
from app.video.encoder import Encoder, VideoCancelledError, VideoFormat, VideoInfo, video_format
from app.video.figures import figures_at
from app.video.film import Film
from app.video.framing import Framing
from app.video.overlay import Overlay, ensure_text
from hnm_core.errors import InputError, unknown_name
from hnm_core.recording import Recording, open_recording
from hnm_core.run.results import LaneResult, lane_result

MIN_SECONDS, MAX_SECONDS = 0.1, 3600.0
THEMES = ("dark", "light")

EDGE_SECONDS = 0.45
"""The edges of one frame fade into those of the next over at least so much of the video, so that they don't flicker."""

Progress = Callable[[int, int], object]
"""Called as progress(done, total) after every picture, and again and again while the end is written; returning False
calls the video off."""


def render(
    folder: str | Path,
    out: str | Path,
    *,
    template: str = "orbit",
    seconds: float = 12.0,
    size: tuple[int, int] = (1920, 1080),
    fps: int = 60,
    theme: str = "dark",
    progress: Progress | None = None,
) -> VideoInfo | None:
    """Render the recording in `folder` to the video file `out` (.mp4, .webm or .gif).

    The recorded steps are spread evenly over the video; clouds move on straight lines between recorded frames. A video
    of 6 seconds or more ends with 1.5 seconds of results. The same recording gives the same pictures every time. No
    display is needed; `out` appears when it is complete.

    Returns:
        What was written; None when `progress` called it off, and then no file is left.

    Raises:
        InputError: before the first picture: the recording is damaged or has no frame, `out` cannot be written, a
            value is not allowed, or the machine has no font.
    """
    if not MIN_SECONDS <= seconds <= MAX_SECONDS:
        raise InputError(f"seconds = {seconds:g} is not allowed: it must lie in {MIN_SECONDS}..{MAX_SECONDS:g}.")
    video = video_format(out, size, fps)
    pictures = Pictures(folder, video, template=template, seconds=seconds, theme=theme)

    def wanted(done: int = len(pictures)) -> bool:
        return progress is None or progress(done, len(pictures)) is not False

    encoder = Encoder(out, video, wanted)
    try:
        with encoder:
            for done, pixels in enumerate(pictures, 1):
                encoder.write(pixels)
                if not wanted(done):
                    raise VideoCancelledError
    except VideoCancelledError:
        return None
    return encoder.info


class Pictures:
    """The pictures of a video, one after the other. Iterating yields one (H, W, 4) array, painted anew each time."""

    def __init__(self, folder: str | Path, video: VideoFormat, *, template: str, seconds: float, theme: str) -> None:
        if theme not in THEMES:
            raise unknown_name("theme", theme, THEMES)
        self._path = templates.template(template)
        recording = open_recording(folder)
        self._app = ensure_text()
        self._theme = theme_named(theme)
        self._size = video.size
        self._timing = templates.timing(seconds, float(video.fps))
        self._layout = templates.arrange(*video.size, len(recording.lanes))
        self._last_step = _last_step(recording)
        run_seconds = max(self._timing.run_frames / float(video.fps), 1e-3)
        self._films = [
            Film(recording, lane, self._theme, EDGE_SECONDS / run_seconds * self._last_step)
            if len(recording.frame_steps(lane))
            else None
            for lane in recording.lanes
        ]
        if not any(self._films):
            raise InputError(f"The recording '{folder}' has no frames, so there is nothing to render.")
        cloud = self._layout.clouds[0]
        self._framing = Framing(recording, cloud.width / cloud.height, 0, self._last_step)
        history = recording.history()
        self._histories = [history.lane(lane) for lane in recording.lanes]
        self._overlay = Overlay(
            self._layout,
            video.size,
            self._theme,
            recording.lanes,
            recording.config.title or "Hard negative mining",
            recording.config.about,
            _edge_kinds(recording),
        )
        self._recording = recording
        self._workspaces = [raster.Workspace() for _ in self._films]

    def __len__(self) -> int:
        return self._timing.frames

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        width, height = self._size
        pixels = np.empty((height, width, 4), np.uint8)
        results: list[LaneResult] = []
        # The raster lets go of the interpreter, so lanes are drawn side by side.
        with ThreadPoolExecutor(min(len(self._films), os.cpu_count() or 1), "hnm-video") as threads:
            for number in range(self._timing.frames):
                step = self._timing.moment(number) * self._last_step
                turn = number / max(self._timing.frames - 1, 1)
                self._overlay.start(pixels)
                draw = partial(self._draw_cloud, pixels, step, turn)
                notes = list(threads.map(draw, range(len(self._films))))
                figures = [figures_at(lane, step) for lane in self._histories]
                self._overlay.finish(pixels, figures, notes, round(step), self._last_step)
                opacity = self._timing.end_card(number)
                if opacity > 0:
                    results = results or [lane_result(lane) for lane in self._histories]
                    self._overlay.end_card(pixels, results, _measured(self._recording), opacity)
                yield pixels

    def _draw_cloud(self, pixels: NDArray[np.uint8], step: float, turn: float, place: int) -> str:
        """Draw one lane into its place. Returns what is to be noted in its corner."""
        film, box = self._films[place], self._layout.clouds[place]
        if film is None:
            return "no frame was recorded"
        if step < (begins := self._recording.begins[film.lane]):
            return f"begins at step {begins:,}"
        camera = self._path(self._framing.camera(film.lane, step), turn)
        picture = raster.render(
            film.at(step), camera, box.width, box.height, self._theme, workspace=self._workspaces[place]
        )
        pixels[box.y : box.bottom, box.x : box.right] = picture.pixels
        return film.note(step)


def _last_step(recording: Recording) -> int:
    """The step at which the longest lane ends."""
    steps = [recording.frame_steps(lane) for lane in recording.lanes]
    return max((int(lane[-1]) for lane in steps if len(lane)), default=0)


def _edge_kinds(recording: Recording) -> tuple[int, ...]:
    """The kinds of edges that a viewer should know apart."""
    told = any(
        recording.frame(lane, -1).hardness is not None for lane in recording.lanes if len(recording.frame_steps(lane))
    )
    false = (FALSE,) if recording.started.true_labels is not None else ()
    return (HARD, SEMI_HARD, *false, POSITIVE) if told else (NEGATIVE, *false, POSITIVE)


def _measured(recording: Recording) -> str:
    """On what the figures were measured."""
    started, evaluated = recording.started, recording.started.evaluated
    parts = (
        started.versions.get("device", ""),
        f"{started.items_total:,} items",
        f"one run, seed {started.config.seed}",
        f"metrics on {evaluated.short if evaluated else 'held-out items'}" if started.held_out.any() else "",
    )
    return " · ".join(part for part in parts if part)
