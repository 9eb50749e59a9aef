"""The run itself: clouds, what is said of them, charts that grow, a sentence when something happens."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from weakref import proxy

import numpy as np
from numpy.typing import NDArray

from app.picture.camera import Camera, blend
from app.picture.camera_keys import KeyFrame
from app.picture.missed_edges import flown_to, with_pair
from app.picture.theme import Theme
from app.video import charts, path
from app.video.canvas import Align, Canvas, painting
from app.video.clock import in_turn
from app.video.clouds import Clouds, Shot
from app.video.figures import hardness_axis
from app.video.framing import Framing, View
from app.video.keys import paint_key
from app.video.labels import NAME, Labels
from app.video.layout import CAPTION, Box, Frame, arrange, fitting
from app.video.run_plan import RunPlan
from app.video.story import Story
from app.video.template import Scene
from hnm_core.run.hardness import Hardness

Pixels = NDArray[np.uint8]
HEAD = 36
"""Size of type, in units."""
TITLES = {
    "curve": "",
    "loss": "loss",
    "mining": "time spent mining",
    "hardness": "hardness of what is mined",
    "recall": "recall of the search",
    "race": "",
}


def _two_digits(value: float) -> str:
    """Two digits that count, also where the second is 0."""
    return f"{value:#.2g}".rstrip(".")


class RunScene:
    """Draws the scene, picture by picture."""

    def __init__(
        self,
        scene: Scene,
        plan: RunPlan,
        story: Story,
        clouds: Clouds,
        frame: Frame,
        theme: Theme,
        pictures: int,
        keys: Sequence[KeyFrame] = (),
    ) -> None:
        self._scene, self.plan, self._story, self._clouds = scene, plan, story, clouds
        self._frame, self._theme, self._keys = frame, theme, keys
        panes = 1 if scene.view == "wipe" else len(plan.names)
        scene = self._scene = scene.model_copy(update={"panels": fitting(frame, panes, scene.panels)})
        self.layout = arrange(frame, panes, scene.panels, key=scene.key)
        films = [film for name in plan.names if (film := clouds.films[name]) is not None]
        self._axis = hardness_axis(films) if "hardness" in scene.panels else None
        self._base = Camera()
        own = proxy(self)  # a scene that its own parts hold stays, with all its clouds, long after nobody wants it
        self._labels = Labels(plan, story, clouds, frame, theme, lambda *asked: own._shot(*asked))
        self._foot = min(self._labels.foot(self.layout.clouds[0], plan.lanes[0].step(plan.clock.last)), 0.12)
        tracks = [self._track(place) for place in range(len(plan.names))]
        self._framing = Framing(tracks, lambda share: own._view(share), max(pictures, 2))
        self._still = np.empty((frame.whole.height, frame.whole.width, 4), np.uint8)
        self._paint_still()

    def draw(self, pixels: Pixels, share: float) -> None:
        """Paint the picture when a share (0..1) of the scene has passed."""
        np.copyto(pixels, self._still)
        boxes = self._boxes(share)
        if self._scene.view == "wipe":
            divider = self._draw_wipe(pixels, share, boxes[0])
        else:
            self._draw_clouds(pixels, share, boxes)
        with painting(pixels, self._theme, self._frame.unit) as canvas:
            if self._scene.view == "wipe":
                self._labels.wipe(canvas, boxes[0], share, divider)
            else:
                near = path.pose(self._scene.camera, share).near
                self._labels.panes(canvas, boxes, share, near)
            self._paint_charts(canvas, share)
            self._paint_words(canvas, share)

    def _track(self, place: int) -> Callable[[float], NDArray[np.float32] | None]:
        name, lane = self.plan.names[place], self.plan.lanes[place]

        def positions(share: float) -> NDArray[np.float32] | None:
            step = lane.step(self.plan.place(share))
            film = self._clouds.film(name, step)
            return None if film is None else film.positions(step)

        return positions

    def _view(self, share: float) -> View:
        box = self._boxes(share)[0]
        labels = (NAME + 24) * self._frame.unit / max(box.height, 1)
        direction = path.pose(self._scene.camera, share).turned(self._base)
        if self._keys:
            step = self.plan.lanes[0].step(self.plan.place(share))
            direction = path.recorded(self._keys, step, self._base)
        foot = self._foot * path.ease(self.plan.dealt(share))  # one pane for all lanes has no note
        return View(direction, box.width / max(box.height, 1), min(0.6 * labels, 0.12), foot)

    def _boxes(self, share: float) -> list[Box]:
        """Where each cloud is; one over all others as long as lanes are the same."""
        dealt = path.ease(self.plan.dealt(share))
        if dealt >= 1:
            return list(self.layout.clouds)
        return [self.layout.whole.towards(box, dealt) for box in self.layout.clouds]

    def _shot(self, place: int, share: float, aspect: float) -> Shot | None:
        name, lane = self.plan.names[place], self.plan.lanes[place]
        step = lane.step(self.plan.place(share))
        film = self._clouds.film(name, step)
        if film is None:
            return None
        scene, camera = film.at(step), self._framing.camera(place, share)
        if self._keys:
            return Shot(scene, path.recorded(self._keys, step, camera))
        pose, region = path.pose(self._scene.camera, share), self.plan.region
        if region is None:
            if self._scene.look == "hardest":  # there is nothing to go in to
                pose = replace(pose, zoom=min(pose.zoom, 1.0))
            camera = pose.applied(camera, None)
        else:
            pose = replace(pose, zoom=min(pose.zoom, region.zoom(film, step, camera, aspect)))
            camera = pose.applied(camera, region.middle(film, step))
        if region is not None and pose.near > 0:
            scene = region.alone(scene, self._theme, pose.near)
        for begin, end, miss in self.plan.missed:
            gone = (share - begin) / max(end - begin, 1e-9)
            if 0 <= gone <= 1:
                close = flown_to(scene, miss.pair, aspect, 0.5, camera)
                way = path.ease(gone / 0.3) * path.ease((1 - gone) / 0.2)
                scene = with_pair(scene, self._theme, miss.pair)
                if close is not None:  # never farther off than the whole cloud needs
                    close = replace(close, distance=min(close.distance, camera.distance))
                    camera = blend(camera, close, way)
        return Shot(scene, camera)

    def _draw_clouds(self, pixels: Pixels, share: float, boxes: Sequence[Box]) -> None:
        alone = self.plan.dealt(share) <= 0
        places = [0] if alone else list(range(len(boxes)))
        drawn: dict[int, Pixels] = {}

        def draw(place: int) -> None:
            box = boxes[place]
            shot = self._shot(place, share, box.width / max(box.height, 1))
            if shot is not None:
                drawn[place] = self._clouds.picture(self.plan.names[place], box.width, box.height, shot)

        self._clouds.side_by_side(draw, places)
        for place in reversed(places):  # the first lies on top while panes are dealt
            box = boxes[place]
            pixels[box.y : box.bottom, box.x : box.right] = drawn.get(place, (*self._theme.cloud_bottom[::-1], 255))

    def _draw_wipe(self, pixels: Pixels, share: float, box: Box) -> int:
        """Two lanes in one picture. Returns the column where one ends and the other begins."""
        divider = round(box.width * (0.5 + 0.44 * math.cos(2 * math.pi * 0.85 * share)))
        if len(self.plan.names) == 1:  # there is nothing to compare it with
            divider = box.width
        shots = [self._shot(place, share, box.width / box.height) for place in range(len(self.plan.names))]
        drawn: dict[int, Pixels] = {}

        def draw(place: int) -> None:
            shot = shots[place]
            if shot is not None:
                drawn[place] = self._clouds.picture(self.plan.names[place], box.width, box.height, shot)

        self._clouds.side_by_side(draw, range(len(shots)))
        ground = np.full((1, 1, 4), (*self._theme.cloud_bottom[::-1], 255), np.uint8)
        whole = [np.broadcast_to(drawn.get(place, ground), (box.height, box.width, 4)) for place in range(len(shots))]
        pixels[box.y : box.bottom, box.x : box.x + divider] = whole[0][:, :divider]
        pixels[box.y : box.bottom, box.x + divider : box.right] = whole[-1][:, divider:]
        return divider

    def _moment(self, share: float) -> charts.Moment:
        plan, place = self.plan, self.plan.place(share)
        hardness: list[Hardness | None] = []
        costs: list[float] = []
        for name, lane in zip(plan.names, plan.lanes, strict=True):
            step = lane.step(place)
            if "hardness" in self._scene.panels:
                film = self._clouds.film(name, step)
                hardness.append(None if film is None else film.frame_at(step).hardness)
            if "mining" in self._scene.panels:
                costs.append(lane.mining_ms(place))
        return charts.Moment(
            place, plan.clock.last, plan.lanes, [mark for mark in plan.marks if mark <= place], hardness, costs
        )

    def _paint_charts(self, canvas: Canvas, share: float) -> None:
        if not self.layout.panels:
            return
        now, story = self._moment(share), self._story
        for name, box in zip(self._scene.panels, self.layout.panels, strict=True):
            title = TITLES[name] or story.word or "MAP@R"
            match name:
                case "curve":
                    on = f"on {story.measured_on}"
                    inner = charts.panel(canvas, box, title, on)
                    charts.curves(canvas, inner, now, lambda lane: lane.quality, levels=self._levels())
                case "loss":
                    inner = charts.panel(canvas, box, title, "smoothed")
                    charts.curves(canvas, inner, now, lambda lane: lane.loss, _two_digits)
                case "recall":
                    inner = charts.panel(canvas, box, title, "of true nearest negatives")
                    charts.curves(canvas, inner, now, lambda lane: lane.recall)
                case "mining":
                    charts.bars(canvas, charts.panel(canvas, box, title), now)
                case "hardness":
                    charts.hardness(canvas, charts.panel(canvas, box, title), now, self._axis)
                case "race":
                    inner = charts.panel(canvas, box, f"to {story.word} {story.goal:.2f}", "at equal training time")
                    charts.race(canvas, inner, now, story.goal, story.word)

    def _levels(self) -> list[tuple[float, str]]:
        chance = self._story.started.chance or {}
        metric = self._story.metric
        level = chance.get(metric, math.nan) if metric else math.nan
        levels = [(level, "chance")] if math.isfinite(level) else []
        if "race" in self._scene.panels and self._story.goal > 0:
            levels.append((self._story.goal, f"finish {self._story.goal:.2f}"))
        return levels

    def _paint_words(self, canvas: Canvas, share: float) -> None:
        theme, layout, plan = self._theme, self.layout, self.plan
        place, now = plan.place(share), share * plan.seconds
        timed = self._scene.clock == "time"
        counter = f"{place:.1f} s of training" if timed else f"step {place:,.0f} of {plan.clock.last:,.0f}"
        canvas.text(layout.head, counter, theme.muted, HEAD, Align.RIGHT)
        for caption in in_turn(plan.captions):
            if (seen := caption.opacity(now)) > 0:
                color = theme.text
                canvas.paragraph(layout.caption, caption.text, color, CAPTION, bold=False, opacity=seen)
        done = (place - plan.clock.first) / ((plan.clock.last - plan.clock.first) or 1.0)
        canvas.fill(layout.bar.left(done * layout.bar.width), theme.accent)

    def _paint_still(self) -> None:
        """What never changes."""
        theme, layout = self._theme, self.layout
        with painting(self._still, theme, self._frame.unit) as canvas:
            canvas.fill(self._frame.whole, theme.window)
            canvas.text(layout.title, self._story.question(), theme.text, HEAD, bold=True)
            canvas.fill(layout.bar, theme.grid)
            if layout.key.height:
                paint_key(canvas, layout.key, self._story, self.plan.names, self._scene.view)
