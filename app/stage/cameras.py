"""How the clouds side by side are looked at: together or each by itself, near or at one scale, followed or not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.picture.camera import Camera, followed
from app.stage.pane import Pane

SLACK = 0.2
"""A camera that is farther off its cloud than such a share of its size hurries."""


@dataclass
class Cameras:
    """What the user wants of all cameras."""

    linked: bool = True
    """Those of the panes that are linked themselves turn together."""
    same_scale: bool = False
    """All look from one distance, so that sizes can be compared; else each as near as its cloud allows."""
    following: bool = True
    """Each keeps its cloud in view, until the user zooms or moves one."""

    def wanted(self, panes: Sequence[Pane]) -> list[Camera | None]:
        """Where every camera should be: round its own cloud, as near as it can be; at the distance that the largest
        cloud needs where all have one scale. None where there is no cloud."""
        fitted = [pane.fit() for pane in panes]
        known = [camera for camera in fitted if camera is not None]
        if self.same_scale and known:
            distance, radius = max(camera.distance for camera in known), max(camera.radius for camera in known)
            fitted = [camera and replace(camera, distance=distance, radius=radius) for camera in fitted]
        return [camera and pane.between_labels(camera) for camera, pane in zip(fitted, panes, strict=True)]

    def move(self, pane: Pane, wanted: Camera | None, seconds: float, turn: float) -> None:
        """Bring the camera of a pane `seconds` nearer to where it should be, turned by so many degrees."""
        camera = pane.camera.orbited(turn, 0.0) if turn else pane.camera
        flight = pane.flight()
        if flight is not None:
            camera = followed(camera, turned_like(flight, camera), seconds)
        elif wanted is not None and self.following:
            camera = followed(camera, turned_like(wanted, camera), seconds, slack=SLACK)
        pane.aim(camera)

    def go_along(self, panes: Sequence[Pane], moved: Pane, camera: Camera) -> None:
        """The user moved the camera of one pane to `camera`. The others go along; nobody answers, so there is no
        echo."""
        before, moved.camera = moved.camera, camera
        if camera.distance != before.distance or camera.target != before.target:
            self.leave(panes)
        if not self.linked or not moved.linked:
            return
        went = [now - was for now, was in zip(camera.target, before.target, strict=True)]
        nearer = camera.distance / before.distance
        for pane in panes:
            if pane is not moved and pane.linked:
                scale = pane.camera.distance / before.distance  # so that all move by the same part of their picture
                x, y, z = (at + scale * by for at, by in zip(pane.camera.target, went, strict=True))
                turned = turned_like(pane.camera, camera)
                pane.aim(replace(turned, target=(x, y, z), distance=pane.camera.distance * nearer))

    def leave(self, panes: Sequence[Pane]) -> None:
        """From now on nothing but the user moves them."""
        self.following = False
        for pane in panes:
            pane.flies = False

    def link_all(self, panes: Sequence[Pane], linked: bool) -> None:
        """Turn all cameras together, or each by itself."""
        self.linked = linked
        for pane in panes if linked else []:
            pane.linked = True
            pane.aim(turned_like(pane.camera, panes[0].camera))

    def link(self, panes: Sequence[Pane], pane: Pane, linked: bool) -> None:
        """Turn one cloud by itself, or with the others again."""
        pane.linked = linked
        other = next((one for one in panes if one.linked and one is not pane), None)
        if linked and other is not None:
            pane.aim(turned_like(pane.camera, other.camera))

    def zoom_to(self, panes: Sequence[Pane], ids: NDArray[np.int64]) -> None:
        """Look at these points in every pane that shows any of them."""
        self.leave(panes)
        for pane in panes:
            camera = pane.zoomed_to(ids)
            if camera is not None:
                pane.aim(camera)


def turned_like(camera: Camera, other: Camera) -> Camera:
    """`camera` from the direction of `other`."""
    return replace(camera, azimuth=other.azimuth, elevation=other.elevation)
