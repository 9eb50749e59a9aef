"""What stands over the clouds of the run: whose it is, how good it is, and what is to be said of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from app.picture.missed_edges import MissedPair, end_colors
from app.picture.theme import Theme
from app.video import path, typeface
from app.video.callouts import callouts
from app.video.canvas import Align, Canvas
from app.video.clouds import Clouds, Shot
from app.video.hardest import Region
from app.video.layout import Box, Frame
from app.video.run_plan import RunPlan
from app.video.story import Story

NAME, VALUE, SMALL = 40, 48, 26
"""Sizes of type, in units."""
LOW = 230
"""Lower panes, in units, have no room for a note under the cloud, nor for what a value is: charts say that."""
LEAST_NAME, LEAST_NOTE = 0.8, 0.75
"""Smaller shares of their sizes are for names and notes that have no other room."""
NEAR = 0.6
"""So far the eye has gone in to two classes when their names appear."""
CORNER = 14
"""Radius of the corners of a pane, likewise."""


class Labels:
    """Of one scene."""

    def __init__(
        self,
        plan: RunPlan,
        story: Story,
        clouds: Clouds,
        frame: Frame,
        theme: Theme,
        shot: Callable[[int, float, float], Shot | None],
    ) -> None:
        """`shot`: what is drawn of a lane, by its place, the share of the scene that has passed, and the aspect."""
        self._plan, self._story, self._clouds = plan, story, clouds
        self._frame, self._theme, self._shot = frame, theme, shot
        self._beside = typeface.width("0.00", VALUE * frame.unit, bold=True) + frame.px(16)
        """Pixels that a value takes of the line of a name"""

    def panes(self, canvas: Canvas, boxes: Sequence[Box], share: float, near: float = 0.0) -> None:
        """Over clouds side by side; `near` is how far the eye has gone in to the two classes of the plan's region."""
        dealt = self._plan.dealt(share)
        for place, box in reversed(list(enumerate(boxes))):
            if dealt <= 0 and place:
                continue
            canvas.rounded(box, CORNER, self._theme.window)
            step = self._plan.lanes[place].step(self._plan.place(share))
            seen = path.ease((dealt - 0.4) / 0.6) * _uncovered(box, boxes[:place])
            self._lane(canvas, box, place, share, seen)
            if dealt < 1 and place == 0:
                line = self._corner(box, NAME)
                words = "all lanes, still the same"
                canvas.text(line, words, self._theme.text, NAME, bold=True, opacity=1 - path.ease(dealt / 0.5))
            if why := self._clouds.why_none(self._plan.names[place], step):
                canvas.text(box, why, self._theme.muted, 32, Align.MIDDLE)
            if self._plan.region is not None and near > NEAR:
                self._region(canvas, box, place, share, self._plan.region, path.ease((near - NEAR) / (1 - NEAR)))
            for begin, end, miss in self._plan.missed:
                gone = (share - begin) / max(end - begin, 1e-9)
                if 0 <= gone <= 1:
                    self._miss(canvas, box, place, share, miss.pair, path.ease(gone / 0.25))

    def _region(self, canvas: Canvas, box: Box, place: int, share: float, region: Region, opacity: float) -> None:
        step = self._plan.lanes[place].step(self._plan.place(share))
        shot = self._shot(place, share, box.width / box.height)
        film = self._clouds.film(self._plan.names[place], step)
        if shot is None or film is None:
            return
        xs, ys, _ = shot.camera.project(region.middles(film, step), box.width, box.height)
        callouts(canvas, box, xs, ys, [(name, self._theme.text, opacity) for name in region.names])

    def _miss(self, canvas: Canvas, box: Box, place: int, share: float, pair: MissedPair, opacity: float) -> None:
        shot = self._shot(place, share, box.width / box.height)
        if shot is None:
            return
        ends = [("anchor", pair.anchor, self._theme.text)]
        ends += [(word, item, color) for (item, word), color in zip(pair.ends, end_colors(self._theme), strict=False)]
        positions = shot.scene.positions[[shot.scene.place_of(item) for _, item, _ in ends]]
        xs, ys, _ = shot.camera.project(positions, box.width, box.height)
        callouts(canvas, box, xs, ys, [(word, color, opacity) for word, _, color in ends])

    def wipe(self, canvas: Canvas, box: Box, share: float, divider: int) -> None:
        """Over two lanes in one picture, and the line between them; over one lane where there is no other."""
        x = box.x + divider
        canvas.rounded(box, CORNER, self._theme.window)
        room = self._frame.px(240)
        self._lane(canvas, box, 0, share, min(max(divider / room - 0.5, 0.0), 1.0), Align.LEFT)
        if len(self._plan.names) > 1:
            canvas.line([(x, box.y), (x, box.bottom)], self._theme.text, 4)
            canvas.dot(x, box.y + box.height / 2, 16, self._theme.text)
            seen = min(max((box.width - divider) / room - 0.5, 0.0), 1.0)
            self._lane(canvas, box, 1, share, seen, Align.RIGHT)

    def foot(self, box: Box, step: float) -> float:
        """How much of the height of a pane notes take under its cloud at a step, 0 where there are none."""
        noted = self._noted(box) and any(self._clouds.note(name, step) for name in self._plan.names)
        return self._frame.px(1.8 * SMALL) / max(box.height, 1) if noted else 0.0

    def _noted(self, box: Box) -> bool:
        return box.height >= self._frame.px(LOW)

    def _is_narrow(self, box: Box) -> bool:
        """Whether names would be small beside their values in a pane that has room for them above each other."""
        room = (self._corner(box, NAME).width - self._beside) / LEAST_NAME
        size = NAME * self._frame.unit
        return box.height > box.width and any(typeface.width(name, size, bold=True) > room for name in self._plan.names)

    def _lane(
        self, canvas: Canvas, box: Box, place: int, share: float, opacity: float, side: Align | None = None
    ) -> None:
        """Name and quality of a lane in the upper corners of its cloud and a note below; in a wipe all of it stands on
        its own side, in narrow panes on the left."""
        half_seen = side is not None
        side = side or (Align.LEFT if self._is_narrow(box) else None)
        lane, ground = self._plan.lanes[place], self._theme.cloud_top
        line = self._corner(box, NAME)
        room = line if side else line.left(max(line.width - self._beside, 0.4 * line.width))
        left, half = side or Align.LEFT, 0.5
        canvas.text(room, lane.name, lane.color, NAME, left, bold=True, opacity=opacity, least=half, ground=ground)
        metric = self._story.metric
        value = lane.value(metric, self._plan.place(share)) if metric else math.nan
        if math.isfinite(value):
            number = Box(line.x, line.y + self._frame.px(NAME * 1.4 if side else 0), line.width, line.height)
            under = Box(line.x, number.y + self._frame.px(VALUE * 0.98), line.width, self._frame.px(SMALL * 1.3))
            for room, text, color, size in (
                (number, f"{value:.2f}", self._theme.text, VALUE),
                (under, self._story.word if self._noted(box) else "", self._theme.muted, SMALL),
            ):
                where = side or Align.RIGHT
                canvas.text(room, text, color, size, where, bold=size == VALUE, opacity=opacity, ground=ground)
        if self._noted(box):
            step, px, low = lane.step(self._plan.place(share)), SMALL * self._frame.unit, self._theme.cloud_bottom
            foot = Box(line.x, box.bottom - self._frame.px(SMALL * 2), line.width, self._frame.px(SMALL * 1.4))
            if half_seen:
                foot = foot.left(0.48 * foot.width) if left is Align.LEFT else foot.rest_right(0.52 * foot.width)
            words = self._clouds.note(lane.name, step)
            if typeface.width(words, LEAST_NOTE * px) > foot.width:
                words = self._clouds.note(lane.name, step, short=True)
            canvas.text(foot, words, self._theme.muted, SMALL, left, opacity=opacity, least=0.6, ground=low)

    def _corner(self, box: Box, size: float) -> Box:
        pad = self._frame.px(20)
        return Box(box.x + pad, box.y + self._frame.px(14), max(box.width - 2 * pad, 1), self._frame.px(size * 1.3))


def _uncovered(box: Box, above: Sequence[Box]) -> float:
    """How far a pane has come out from under those that lie above it, 1 where all of it has, 0 while a twentieth or
    more of it is covered: its words would stand among theirs."""
    covered = 0.0
    for other in above:
        wide = min(box.right, other.right) - max(box.x, other.x)
        high = min(box.bottom, other.bottom) - max(box.y, other.y)
        covered = max(covered, max(wide, 0) * max(high, 0) / max(box.width * box.height, 1))
    return 1 - min(20 * covered, 1.0)
