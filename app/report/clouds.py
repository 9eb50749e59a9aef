"""Clouds of a recording for a page: a few frames of a part of the items, small enough to be sent."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.picture.theme import DARK, Rgb
from hnm_core.recording import Recording
from hnm_core.run.events import Frame

FRAMES = 8
MOST_POSITIONS = 120_000
"""Of all lanes and frames together: about a megabyte of text."""
MOST_POINTS = 1500
MOST_EDGES = 300
"""Of a frame."""
_REACH = 99.0
"""Per cent of the points that lie in the picture; a few far ones make the others no dot."""


def clouds(recording: Recording) -> dict[str, dict[str, Any]]:
    """By lane, where it has frames, values for JSON: `steps` of its frames, `labels` of the points, `colours` of the
    classes, `positions` as base64 of (frames, points, 3) int16, and for each frame the hard pairs, by places."""
    found = {}
    for lane in recording.lanes:
        steps = recording.frame_steps(lane)
        if len(steps):
            count = min(FRAMES, len(steps))
            chosen = np.unique(np.linspace(0, len(steps) - 1, count).round().astype(int))
            most = min(MOST_POINTS, MOST_POSITIONS // (FRAMES * len(recording.lanes)))
            found[lane] = _cloud(recording, [recording.frame(lane, int(place)) for place in chosen], most)
    return found


def _cloud(recording: Recording, frames: list[Frame], most: int) -> dict[str, Any]:
    started = recording.started
    places = _stratified(started.labels, most)
    hard = [_hard_pairs(frame, started.ids) for frame in frames]
    places = np.unique(np.concatenate((places, *(pairs[: most // (4 * len(frames))].ravel() for pairs in hard))))
    edges = []
    for pairs in hard:
        there = np.isin(pairs, places).all(axis=1)
        edges.append(np.searchsorted(places, pairs[there]).tolist())
    positions = np.stack([_scaled(frame.positions[places]) for frame in frames])
    return {
        "steps": [frame.step for frame in frames],
        "labels": started.labels[places].tolist(),
        "colours": [colour(rgb) for rgb in DARK.classes],
        "positions": base64.b64encode(positions.astype("<i2").tobytes()).decode(),
        "edges": edges,
        "projection": frames[-1].projection,
    }


def colour(rgb: Rgb) -> str:
    """As CSS has it."""
    return "#{:02x}{:02x}{:02x}".format(*rgb)


def _stratified(labels: NDArray[np.int64], most: int) -> NDArray[np.int64]:
    """Places of at most so many items, of every class as many as its share."""
    by_class = np.argsort(labels, kind="stable")
    places: NDArray[np.int64] = by_class[np.linspace(0, len(labels) - 1, min(most, len(labels))).astype(int)]
    return places


def _hard_pairs(frame: Frame, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """(n, 2) places of anchors and negatives that were nearer than the positives, the hardest first."""
    if frame.separation is None:
        return np.zeros((0, 2), np.int64)
    hard = np.flatnonzero(frame.separation < 0)
    hard = hard[np.argsort(frame.separation[hard], kind="stable")]
    ends = frame.triplets[hard][:, (0, 2)].astype(np.int64)
    places = np.searchsorted(ids, ends).clip(max=len(ids) - 1)
    shown: NDArray[np.int64] = places[(ids[places] == ends).all(axis=1)]
    return shown[:MOST_EDGES]


def _scaled(positions: NDArray[np.float32]) -> NDArray[np.float64]:
    """Whole steps of -32,767 to 32,767 round the middle; what is not finite lies in the middle."""
    finite = np.isfinite(positions).all(axis=1)
    if not finite.any():
        return np.zeros(positions.shape)
    around = positions.astype(np.float64) - np.median(positions[finite].astype(np.float64), axis=0)
    around[~finite] = 0
    reach = np.percentile(np.linalg.norm(around[finite], axis=1), _REACH) or 1.0  # however it is turned
    steps: NDArray[np.float64] = np.rint((around / reach).clip(-1, 1) * 32767)
    return steps
