"""Frames every lane of a recording at one scale, through the whole run, without a jump."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.picture.camera import Camera, fit
from hnm_core.recording import Recording

KEYS = 80
"""Moments of the run at which the clouds are measured: closer together at its start, where clouds grow fastest."""

CALM = 0.04
"""Width of the camera's memory and foresight, as a share of the square root of the run."""


class Framing:
    """Where each lane's camera stands at each step. Clouds are measured before the first picture is drawn."""

    def __init__(self, recording: Recording, aspect: float, first: int, last: int) -> None:
        self._first, self._length = first, max(last - first, 1)
        self._roots = np.linspace(0, 1, KEYS)
        keys = first + self._length * self._roots**2
        self._centers: dict[str, NDArray[np.float64]] = {}
        log_radii = []
        self._unit = Camera()
        for lane in recording.lanes:
            steps = recording.frame_steps(lane)
            if not len(steps):
                continue
            places = np.clip(np.searchsorted(steps, keys, side="right") - 1, 0, len(steps) - 1)
            fits = {
                place: fit(recording.frame(lane, place).positions, aspect) for place in sorted(set(places.tolist()))
            }
            self._centers[lane] = np.array([fits[place].center for place in places.tolist()])
            radii = np.log([fits[place].radius for place in places.tolist()])
            radii[keys < recording.begins[lane]] = -np.inf  # a lane forked off later says nothing of the time before
            log_radii.append(radii)
            self._unit = fits[int(places[-1])]
        # The largest of the lanes, and of the moments near by: what grows fast stays in the picture.
        self._log_radii = _largest_near(np.max(log_radii, axis=0), reach=2)

    def camera(self, lane: str, step: float) -> Camera:
        """The camera of a lane at a step: a smooth function of the step."""
        root = np.sqrt(np.clip((step - self._first) / self._length, 0, 1))
        weights = np.exp(-0.5 * ((self._roots - root) / CALM) ** 2)
        weights /= weights.sum()
        x, y, z = (float(value) for value in weights @ self._centers[lane])
        radius = float(np.exp(weights @ self._log_radii))
        # All fits share the angle of view, so distance and radius keep their ratio.
        distance = self._unit.distance * radius / self._unit.radius
        return replace(self._unit, target=(x, y, z), center=(x, y, z), radius=radius, distance=distance)


def _largest_near(values: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    padded = np.pad(values, reach, mode="edge")
    largest: NDArray[np.float64] = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(axis=1)
    return largest
