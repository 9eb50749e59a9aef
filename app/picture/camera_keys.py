"""Key frames of a camera, taken by the user and kept with a recording: a path that a film can follow. No Qt."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

from app.picture.camera import MAX_ELEVATION, Camera
from hnm_core.errors import InputError
from hnm_core.recording.layout import CAMERA_FILE
from hnm_core.system.regular_files import read_regular
from hnm_core.system.whole_files import whole_file

FILE = CAMERA_FILE
FORMAT = 1
MOST_KEYS = 200
_MOST_BYTES = 1 << 20
_BOUNDS = {
    "step": (0.0, 1e15),
    "azimuth": (0.0, 360.0),
    "elevation": (-MAX_ELEVATION, MAX_ELEVATION),
    "distance": (1e-3, 1e3),
    "right": (-1e3, 1e3),
    "up": (-1e3, 1e3),
    "ahead": (-1e3, 1e3),
}


@dataclass(frozen=True)
class KeyFrame:
    """Where a camera was at a step, relative to the ball that holds the cloud: the cloud may be larger by then."""

    step: int
    azimuth: float
    """Degrees, as in `Camera`; likewise the elevation"""
    elevation: float
    distance: float
    """From what it looks at, in radii of the ball"""
    right: float
    """From the middle of the ball to what it looks at, in radii: along x; `up` is along y and `ahead` along z"""
    up: float
    ahead: float

    def seen_from(self, framed: Camera) -> Camera:
        """The camera that this is where the cloud is framed by another."""
        x, y, z = framed.center
        size = framed.radius
        target = (x + self.right * size, y + self.up * size, z + self.ahead * size)
        return replace(
            framed,
            target=target,
            azimuth=self.azimuth,
            elevation=self.elevation,
            distance=self.distance * size,
        )


def key_frame(camera: Camera, step: int) -> KeyFrame:
    """The present camera of a cloud as a key frame."""
    away = [(a - b) / camera.radius for a, b in zip(camera.target, camera.center, strict=True)]
    return KeyFrame(step, camera.azimuth % 360, camera.elevation, camera.distance / camera.radius, *away)


def read_keys(folder: Path) -> list[KeyFrame]:
    """The key frames of a recording, by step; none where none were taken.

    Raises:
        InputError: the file is damaged, or holds what cannot be.
    """
    path = folder / FILE
    try:
        told = json.loads(read_regular(path, _MOST_BYTES).decode())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror or error}.") from None
    except (ValueError, RecursionError):
        raise InputError(f"'{path}' is damaged: it is no JSON.") from None
    keys = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(told, dict) or told.get("format") != FORMAT or not isinstance(keys, list):
        raise InputError(f"'{path}' is damaged, or of a newer version: it holds no keys of format {FORMAT}.")
    if len(keys) > MOST_KEYS:
        raise InputError(f"'{path}' holds {len(keys):,} key frames; at most {MOST_KEYS} are allowed.")
    return _in_order([_checked(path, place, key) for place, key in enumerate(keys, 1)])


def write_keys(folder: Path, keys: Sequence[KeyFrame]) -> None:
    """Keep these key frames, in place of those before; whole or not at all.

    Raises:
        InputError: they are too many, or the file cannot be written.
    """
    if len(keys) > MOST_KEYS:
        raise InputError(f"A recording keeps at most {MOST_KEYS} key frames; take some away first.")
    told = {"format": FORMAT, "keys": [asdict(key) for key in _in_order(keys)]}
    try:
        with whole_file(folder / FILE) as part:
            part.write_text(json.dumps(told, indent=1), encoding="utf-8")
    except OSError as error:
        raise InputError(f"'{folder / FILE}' cannot be written: {error.strerror or error}.") from error


def take_key(folder: Path, camera: Camera, step: int) -> list[KeyFrame]:
    """Keep the present camera as the key frame of a step, in place of one that the step has already; returns all.

    Raises:
        InputError: as `read_keys` and `write_keys`.
    """
    keys = [key for key in read_keys(folder) if key.step != step]
    keys = _in_order([*keys, key_frame(camera, step)])
    write_keys(folder, keys)
    return keys


def _checked(path: Path, place: int, key: object) -> KeyFrame:
    names = [field.name for field in fields(KeyFrame)]
    if not isinstance(key, dict) or set(key) != set(names):
        raise InputError(f"'{path}' is damaged: key {place} must hold {', '.join(names)}.")
    for name, (low, high) in _BOUNDS.items():
        value = key[name]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not (math.isfinite(value) and low <= value <= high):
            raise InputError(f"'{path}' is damaged: {name} of key {place} must lie in {low:g}..{high:g}.")
    return KeyFrame(int(key["step"]), *(float(key[name]) for name in names[1:]))


def _in_order(keys: Sequence[KeyFrame]) -> list[KeyFrame]:
    """By step; of one step the last."""
    return [key for _, key in sorted({key.step: key for key in keys}.items())]
