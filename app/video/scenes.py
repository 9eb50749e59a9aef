"""The scenes of a film that are not the run: each paints its picture at a share of its time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.picture.camera import Camera
from app.picture.theme import Theme
from app.video import cards, path
from app.video.canvas import Align, painting
from app.video.closeup import CloseUp
from app.video.clouds import Clouds, Shot
from app.video.framing import Framing, View
from app.video.labels import CORNER
from app.video.layout import CAPTION, Box, Frame, arrange
from app.video.run_scene import HEAD
from app.video.story import Finding, Story
from app.video.template import Key

Pixels = NDArray[np.uint8]


ROOM = 0.9
"""How much of its part of a card a cloud takes."""
UPPER, HALF = 0.6, 0.54
"""Share of a tall picture in which a cloud stands over words, and of one that is about square."""


class Picturing(Protocol):
    """What paints a scene."""

    def draw(self, pixels: Pixels, share: float) -> None:
        """Paint the picture (H, W, 4) when a share (0..1) of the scene has passed."""


class Backdrop:
    """The cloud of one lane at one step behind a card: beside the words, or above them in a tall picture."""

    def __init__(
        self, clouds: Clouds, lane: str, step: float, frame: Frame, keys: Sequence[Key], pictures: int
    ) -> None:
        self._clouds, self._lane, self._frame, self._keys = clouds, lane, frame, keys
        film = clouds.film(lane, step)
        self._scene = film.at(step) if film is not None else None
        whole = frame.whole
        wide, upper = frame.wide, UPPER if frame.tall else HALF
        self.words = (
            frame.safe.left(0.56 * frame.safe.width).rest_below(0.26 * frame.safe.height)
            if wide
            else frame.safe.rest_below((upper + 0.04) * frame.safe.height)
        )
        """Where words may stand"""
        room = Box(whole.width // 2, 0, whole.width // 2, whole.height) if wide else whole.top(upper * whole.height)
        self._shift = (room.x + room.width / 2 - whole.width / 2, room.y + room.height / 2 - whole.height / 2)
        self._scale = room.height / whole.height
        positions = None if film is None else film.positions(step)
        aspect = room.width / room.height
        self._framing = Framing(
            [lambda _share: positions], lambda share: View(path.pose(keys, share).turned(Camera()), aspect), pictures
        )

    def draw(self, pixels: Pixels, share: float) -> None:
        """Paint the whole picture."""
        whole = self._frame.whole
        if self._scene is None:
            return
        camera = self._framing.camera(0, share).zoomed(ROOM * self._scale)
        camera = path.pose(self._keys, share).applied(camera, None)
        camera = camera.panned(*self._shift, whole.height)
        pixels[:] = self._clouds.picture(self._lane, whole.width, whole.height, Shot(self._scene, camera))


class TitleScene:
    """The question, before the cloud with which the run begins."""

    def __init__(self, backdrop: Backdrop, frame: Frame, story: Story, theme: Theme, lanes: Sequence[str]) -> None:
        self._backdrop, self._frame, self._story, self._theme = backdrop, frame, story, theme
        self._lanes = lanes

    def draw(self, pixels: Pixels, share: float) -> None:
        self._backdrop.draw(pixels, share)
        with painting(pixels, self._theme, self._frame.unit) as canvas:
            canvas.fill(self._frame.whole, self._theme.window, 0.62)
            cards.title_card(canvas, self._backdrop.words, self._story, self._lanes, share)


class FindingScene:
    """What came out, beside the cloud of the lane that ended best."""

    def __init__(self, backdrop: Backdrop, frame: Frame, story: Story, theme: Theme, finding: Finding) -> None:
        self._backdrop, self._frame, self._story, self._theme = backdrop, frame, story, theme
        self._finding = finding

    def draw(self, pixels: Pixels, share: float) -> None:
        self._backdrop.draw(pixels, share)
        with painting(pixels, self._theme, self._frame.unit) as canvas:
            cards.finding_card(canvas, self._backdrop.words, self._story, self._finding, share)


class EndScene:
    """The table, and how it was measured."""

    def __init__(self, frame: Frame, story: Story, theme: Theme) -> None:
        self._frame, self._story, self._theme = frame, story, theme

    def draw(self, pixels: Pixels, share: float) -> None:
        with painting(pixels, self._theme, self._frame.unit) as canvas:
            canvas.fill(self._frame.whole, self._theme.window)
            cards.end_card(canvas, self._frame, self._story, share)


class CloseUpScene:
    """One anchor and the negative that was mined for it."""

    def __init__(self, shot: CloseUp, clouds: Clouds, frame: Frame, story: Story, theme: Theme) -> None:
        self._shot, self._clouds, self._frame, self._story, self._theme = shot, clouds, frame, story, theme
        self._layout = arrange(frame, 1)
        box = self._layout.clouds[0]
        aspect = box.width / max(box.height, 1)
        self._aspect, direction = aspect, shot.direction()
        self._framing = Framing([lambda _share: shot.scene.positions], lambda _share: View(direction, aspect), 2)

    def draw(self, pixels: Pixels, share: float) -> None:
        theme, layout, shot = self._theme, self._layout, self._shot
        box = layout.clouds[0]
        camera = shot.camera(self._framing.camera(0, 0.0), self._aspect, share)
        with painting(pixels, theme, self._frame.unit) as canvas:
            canvas.fill(self._frame.whole, theme.window)
        self._clouds.draw(pixels, shot.lane, box, Shot(shot.seen(theme, share), camera))
        with painting(pixels, theme, self._frame.unit) as canvas:
            canvas.rounded(box, CORNER, theme.window)
            canvas.text(layout.title, self._story.question(), theme.text, HEAD, bold=True)
            canvas.text(layout.head, f"step {shot.step:,}", theme.muted, HEAD, Align.RIGHT)
            shot.labels(canvas, box, camera, share)
            text, seen = shot.caption(share)
            canvas.paragraph(layout.caption, text, theme.text, CAPTION, opacity=seen)
