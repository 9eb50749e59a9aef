"""When the picture of a cloud is made: only when something has changed, coarser where painting takes too long, and
finely once it stands still. No Qt."""

from __future__ import annotations

import logging
import time

import numpy as np
from numpy.typing import NDArray

from app.picture import raster
from app.picture.camera import Camera
from app.picture.scene import Scene
from app.picture.sketch import sketch
from app.picture.theme import Theme
from app.picture.thinning import DetailLevel, context_rank, same_sample, thinned
from hnm_core import kernels

FEWEST_POINTS = 1500
SMALLEST_SHARE = 1 / 256
"""A cloud is not thinned below these, however slow painting is: by then it is something else that takes the time."""
DEAREST_MS = 150.0
"""A picture that stands still is rendered finely unless that would take longer than this."""
LONGEST_WAIT_S = 90.0
"""So long one waits for compiled kernels that nobody is known to prepare; then they are compiled here, late but not
never."""
PICK_PX = 5
"""How near to a point the pointer must be."""

log = logging.getLogger(__name__)


class CloudPicture:
    """The newest picture of a scene, and whether another is due."""

    def __init__(self) -> None:
        self.scene: Scene | None = None
        self.picture: raster.Picture | None = None
        """Valid until the next one is rendered; None before the first, and where there is nothing to show."""
        self.failure: str | None = None
        """Why the last one could not be drawn"""
        self.failures = 0
        """Pictures that could not be rendered because of an exception"""
        self.fine = False
        """Whether it is that of a cloud that stands still: every point, and every pixel of the device"""
        self.kernels_ready = False
        """Whether pictures are rendered; until then they are sketches"""
        self.preparing = False
        """Whether somebody is known to prepare the kernels, so that they are waited for however long that takes"""
        self._workspace = raster.Workspace()
        self._stale = True
        self._waiting_since: float | None = None
        self._detail = DetailLevel()
        self._rank: NDArray[np.float64] | None = None

    def set_scene(self, scene: Scene | None) -> None:
        """Show `scene`; None for none."""
        if scene is None or self.scene is None or not same_sample(scene, self.scene):
            self._rank = None
        if scene is None:
            self._detail = DetailLevel()
        self.scene = scene
        self.invalidate()

    def invalidate(self) -> None:
        """Something moved or looks different."""
        self._stale, self.fine = True, False

    @property
    def share_drawn(self) -> float:
        """Share of the context points that is drawn; below 1 where painting took too long."""
        return 1.0 if self.fine else self._detail.share

    @property
    def moving_share(self) -> float:
        """The same for a cloud that moves."""
        return self._detail.share

    def can_be_made(self) -> bool:
        """Whether there is something to show; asks whether the kernels are there where they were not."""
        if self.scene is None or len(self.scene.ids) == 0:
            self.picture = None
            return False
        if not self.kernels_ready:
            now = time.monotonic()
            if self.preparing or self._waiting_since is None:
                self._waiting_since = now
            waited = now - self._waiting_since > LONGEST_WAIT_S
            self.kernels_ready = not self.preparing and (waited or kernels.ready(raster.RASTER_KERNELS))
            self._stale |= self.kernels_ready  # what there is is a sketch
        return True

    def make(self, camera: Camera, theme: Theme, width: float, height: float, scale: float) -> bool:
        """Make the picture if it is stale and can be made; whether that was done. `width` and `height` in logical
        pixels, of which a device has `scale` squared, which are told apart in a fine picture only."""
        if not self.can_be_made() or not self._stale:
            return False
        self._stale, self.failure = False, None
        scale = scale if self.fine else 1.0
        size = max(round(width * scale), 1), max(round(height * scale), 1)
        try:
            if self.kernels_ready:
                self.picture = raster.render(self._drawn(), camera, *size, theme, workspace=self._workspace)
            else:
                self.picture = sketch(self._drawn(), camera, *size, theme)
        except Exception as error:  # a pane that cannot draw says so and lets the rest of the window live
            self.failures += 1
            self.picture = None
            self.failure = f"The picture could not be drawn: {type(error).__name__}: {error}"
            log.exception("rendering failed")
        return True

    def adapt(self, ms: float, budget_ms: float) -> bool:
        """After a picture that took so long: draw fewer points, or more. Whether another picture is due."""
        if self.fine:
            return False
        share = self._detail.share
        points = len(self.scene.positions) if self.scene is not None else 0
        least = min(1.0, max(FEWEST_POINTS / max(points, 1), SMALLEST_SHARE))
        self._detail = self._detail.after(ms, budget_ms, least)
        if self._detail.share == share:
            return False
        self._stale = True
        return True

    def would_gain(self, scale: float) -> bool:
        """Whether a fine picture would differ from the one there is."""
        return not self.fine and (scale > 1 or self._detail.share < 1)

    def refine(self, ms: float, scale: float) -> bool:
        """The cloud stands still: make a fine picture next, unless that would take too long for what `ms` the last one
        took. Whether it is due."""
        if ms * max(scale, 1.0) ** 2 / self._detail.share > DEAREST_MS:
            return False
        self.fine = self._stale = True
        return True

    def pick(self, x: float, y: float, width: float) -> int:
        """Dataset id of the point nearest to a place in a widget of this width, within `PICK_PX`; -1 where there is
        none."""
        if self.picture is None or self.scene is None:
            return -1
        rows = self.picture.rows
        scale = rows.shape[1] / max(width, 1)
        column, line, reach = int(x * scale), int(y * scale), round(PICK_PX * scale)
        left, top = max(column - reach, 0), max(line - reach, 0)
        window = rows[top : max(line + reach + 1, 0), left : max(column + reach + 1, 0)]
        ys, xs = np.nonzero(window >= 0)
        if len(ys) == 0:
            return -1
        away = (ys + top - line) ** 2 + (xs + left - column) ** 2
        best = int(np.argmin(away))
        place = int(window[ys[best], xs[best]])
        if away[best] > reach * reach or place >= len(self.scene.ids):
            return -1
        return int(self.scene.ids[place])

    def _drawn(self) -> Scene:
        assert self.scene is not None
        if self.share_drawn >= 1:
            return self.scene
        if self._rank is None:
            self._rank = context_rank(self.scene)
        return thinned(self.scene, self._rank, self._detail.share)
