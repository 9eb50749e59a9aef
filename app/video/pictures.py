"""The pictures of a film, one after the other: scenes in their order, flowing into each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.picture.camera_keys import KeyFrame, read_keys
from app.picture.theme import theme as theme_named
from app.video.canvas import painting
from app.video.clock import Caption
from app.video.closeup import CloseUp, close_up
from app.video.clouds import Clouds
from app.video.formats import VideoFormat
from app.video.layout import arrange, fitting, frame_of
from app.video.run_plan import MOST_LANES, RunPlan, lanes_shown, plan
from app.video.run_scene import RunScene
from app.video.scenes import Backdrop, CloseUpScene, EndScene, FindingScene, Picturing, TitleScene
from app.video.story import Story
from app.video.template import Scene, Template
from app.video.typeface import ensure_text, lacking
from hnm_core.errors import InputError, unknown_name
from hnm_core.recording import Recording, open_recording

Pixels = NDArray[np.uint8]

THEMES = ("dark", "light")
EDGE_SECONDS = 0.45
"""The edges of one frame fade into those of the next over at least so much of the video, so that they don't flicker."""
CARDS_FROM = 6.0
"""A shorter film shows the run alone."""
FADE_S = 0.4
"""How long a scene takes to come out of the one before, and the end of a loop to become its beginning."""
AFTER_S = 0.02
"""Share of the run after the warm-up at which the close-up looks for what is mined."""


@dataclass(frozen=True)
class Wishes:
    """What a film shall be."""

    template: Template
    theme: str = "dark"
    seconds: float | None = None
    """None: as long as the template says"""
    steps: tuple[int | None, int | None] = (None, None)
    """The first and the last step that are shown; None: those of the recording"""
    captions: tuple[Caption, ...] | None = None
    """Sentences of the user's in place of those that are found"""
    supersample: int = 1
    """Every pixel of a cloud is drawn as so many squared"""
    still: bool = False
    """One picture of the run alone is wanted"""


@dataclass(frozen=True)
class Part:
    """A scene of the film with its pictures."""

    scene: Picturing
    first: int
    pictures: int

    def share(self, number: int) -> float:
        """How much of it has passed at a picture of the film."""
        return min(max((number - self.first) / max(self.pictures - 1, 1), 0.0), 1.0)


class Pictures:
    """Iterating yields one (H, W, 4) array of blue, green, red, 255, painted anew each time."""

    def __init__(self, folder: str | Path, video: VideoFormat, wishes: Wishes) -> None:
        """Raises `InputError` where the film cannot be made."""
        if wishes.theme not in THEMES:
            raise unknown_name("theme", wishes.theme, THEMES)
        recording = open_recording(folder)
        recording.check()
        self._app = ensure_text()
        self._theme = theme_named(wishes.theme)
        self._size, self._fps, self._wishes = video.size, float(video.fps), wishes
        self._frame = frame_of(*video.size)
        self.steps = _steps(recording, wishes.steps)
        planned = lengths(wishes.template, wishes.seconds)
        if wishes.still:
            planned = [(wishes.template.run, wishes.template.run.seconds)]
        run_s = next(seconds for scene, seconds in planned if scene.kind == "run")
        self._clouds = Clouds(recording, self._theme, EDGE_SECONDS / run_s * self.steps[1], wishes.supersample)
        if not self._clouds.has_any():
            raise InputError(f"The recording '{folder}' has no frames, so there is nothing to render.")
        self.story = Story(recording)
        self._keys = _recorded_path(recording, wishes.template.run)
        self._check_room()
        made = [None if scene.kind == "run" else self._other(scene, seconds) for scene, seconds in planned]
        # What the recording has nothing for leaves its time to the run.
        run_s += sum(
            seconds for (scene, seconds), one in zip(planned, made, strict=True) if one is None and scene.kind != "run"
        )
        pictures = max(round(run_s * self._fps), 1)
        self.plan: RunPlan = plan(
            wishes.template.run,
            self.story,
            self._clouds,
            self._theme,
            pictures / self._fps,
            self.steps,
            wishes.captions,
        )
        self._parts: list[Part] = []
        spent = 0.0
        for (scene, seconds), one in zip(planned, made, strict=True):
            if one is None and scene.kind != "run":
                continue
            first = round(spent * self._fps)
            spent += run_s if one is None else seconds
            count = max(round(spent * self._fps) - first, 1)
            self._parts.append(Part(self._run_scene(count) if one is None else one, first, count))

    @property
    def lacking(self) -> str:
        """The letters of its words that no font of this machine holds."""
        captions = [caption.text for caption in self.plan.captions]
        return lacking([self.story.question(), *captions, *self.story.started.class_names])

    def __len__(self) -> int:
        return self._parts[-1].first + self._parts[-1].pictures

    def __iter__(self) -> Iterator[Pixels]:
        with self._clouds.on_threads():
            yield from self._drawn()

    def _drawn(self) -> Iterator[Pixels]:
        pixels = self.empty()
        before, last = self.empty(), len(self) - 1
        fade = round(FADE_S * self._fps)
        beginning: Pixels | None = None
        for place, part in enumerate(self._parts):
            for number in range(part.first, part.first + part.pictures):
                part.scene.draw(pixels, part.share(number))
                shown = number - part.first
                if place and shown < fade:
                    self._lay_over(pixels, before, 1 - (shown + 1) / (fade + 1))
                if number == 0 and self._wishes.template.loop:
                    beginning = pixels.copy()
                if beginning is not None and number > last - fade and last > 2 * fade:
                    self._lay_over(pixels, beginning, (number - last + fade) / (fade + 1))
                yield pixels
            np.copyto(before, pixels)

    def at_step(self, step: float) -> Pixels:
        """The picture of the run at a step."""
        run = next(part.scene for part in self._parts if isinstance(part.scene, RunScene))
        pixels = self.empty()
        run.draw(pixels, self.plan.clock.share_of(step))
        return pixels

    def at(self, number: int) -> Pixels:
        """One picture of the film by itself, without what flows into it from the scene before."""
        part = next(part for part in reversed(self._parts) if part.first <= number)
        pixels = self.empty()
        part.scene.draw(pixels, part.share(number))
        return pixels

    def clip(self, first: int, count: int) -> Iterator[Pixels]:
        """So many pictures from one on, each as `at` has it and drawn as fast as the whole film is."""
        with self._clouds.on_threads():
            for number in range(first, min(first + count, len(self))):
                yield self.at(number)

    @property
    def run_span(self) -> tuple[int, int]:
        """The first picture of the run, and how many show it. Captions are timed from the first one on."""
        part = next(part for part in self._parts if isinstance(part.scene, RunScene))
        return part.first, part.pictures

    def set_captions(self, captions: Sequence[Caption]) -> None:
        """Say these sentences; nothing else changes, so nothing else is worked out anew."""
        self.plan = replace(self.plan, captions=tuple(captions))
        for part in self._parts:
            if isinstance(part.scene, RunScene):
                part.scene.plan = self.plan

    def empty(self) -> Pixels:
        """An array for a picture."""
        width, height = self._size
        return np.zeros((height, width, 4), np.uint8)

    def _lay_over(self, pixels: Pixels, other: Pixels, opacity: float) -> None:
        with painting(pixels, self._theme, self._frame.unit) as canvas:
            canvas.picture(0, 0, other, opacity)

    def _check_room(self) -> None:
        run = self._wishes.template.run
        names = lanes_shown(run, self.story, self._clouds)
        if len(names) > MOST_LANES and run.view == "lanes":
            raise InputError(
                f"A video shows at most {MOST_LANES} lanes side by side and this recording has {len(names)}: name "
                "those to show in a template, as lanes of its run."
            )
        panes = 1 if run.view == "wipe" else len(names)
        arrange(self._frame, panes, fitting(self._frame, panes, run.panels), key=run.key)

    def _run_scene(self, pictures: int) -> RunScene:
        run = self._wishes.template.run
        return RunScene(run, self.plan, self.story, self._clouds, self._frame, self._theme, pictures, self._keys)

    def _other(self, scene: Scene, seconds: float) -> Picturing | None:
        """What paints a scene that is not the run; None where the recording has nothing for it."""
        story, frame, theme = self.story, self._frame, self._theme
        pictures = max(round(seconds * self._fps), 2)

        def backdrop(lane: str, step: int) -> Backdrop:
            return Backdrop(self._clouds, lane, step, frame, scene.camera, pictures)

        match scene.kind:
            case "title":
                names = lanes_shown(self._wishes.template.run, story, self._clouds)
                return TitleScene(backdrop(self._seen(names[-1]), self.steps[0]), frame, story, theme, names)
            case "end":
                return EndScene(frame, story, theme)
            case "finding":
                found = story.finding()
                if found is None:
                    return None
                return FindingScene(backdrop(self._seen(story.best()), self.steps[1]), frame, story, theme, found)
            case "close-up":
                shot = self._close_up()
                return None if shot is None else CloseUpScene(shot, self._clouds, frame, story, theme)
        raise AssertionError("the run is a scene of its own")

    def _seen(self, lane: str) -> str:
        """The lane, or the first that has a cloud."""
        with_cloud = [name for name, film in self._clouds.films.items() if film is not None]
        return lane if lane in with_cloud else with_cloud[0]

    def _close_up(self) -> CloseUp | None:
        lane = self._seen(self.story.best_miner())
        film = self._clouds.films[lane]
        assert film is not None
        starts = [moment.step for moment in self.story.moments if moment.kind == "warm-up" and lane in moment.lanes]
        start = (starts or [self.steps[0]])[0] + AFTER_S * (self.steps[1] - self.steps[0])
        for step in film.steps[film.steps >= start][:8].tolist():
            if (shot := close_up(film, step, self._theme)) is not None:
                return shot
        return None


def lengths(template: Template, seconds: float | None) -> list[tuple[Scene, float]]:
    """The scenes with their seconds: cards keep theirs and the run takes the rest, as long as the film is no shorter
    than the template's own; else all are shorter alike. A film of less than `CARDS_FROM` shows the run alone."""
    wanted = template.seconds if seconds is None else seconds
    if wanted < CARDS_FROM and wanted < template.seconds:
        return [(template.run, wanted)]
    others = template.seconds - template.run.seconds
    if wanted >= template.seconds:
        return [(scene, wanted - others if scene.kind == "run" else scene.seconds) for scene in template.scenes]
    return [(scene, scene.seconds * wanted / template.seconds) for scene in template.scenes]


def _steps(recording: Recording, wanted: Sequence[int | None]) -> tuple[int, int]:
    """The first and the last step that are shown. Raises `InputError` where there is nothing between."""
    steps = [recording.frame_steps(lane) for lane in recording.lanes]
    end = max((int(lane[-1]) for lane in steps if len(lane)), default=0)
    first = 0 if wanted[0] is None else wanted[0]
    last = end if wanted[1] is None else min(wanted[1], end)
    if not 0 <= first <= last:
        raise InputError(f"Steps {first:,} to {last:,} cannot be shown: the recording has steps 0 to {end:,}.")
    return first, last


def _recorded_path(recording: Recording, run: Scene) -> Sequence[KeyFrame]:
    if run.path != "recorded":
        return ()
    keys = read_keys(recording.folder)
    if not keys:
        raise InputError(
            f"The recording '{recording.folder}' holds no key frames of a camera: open it in the window and take some."
        )
    return keys
