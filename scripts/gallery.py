"""Makes what the gallery shows of the presets, from real runs: `NAME-dark.webp`, `NAME-light.webp` and
`NAME.preview.npz` in `resources/gallery`.

    python scripts/gallery.py [--runs FOLDER] [NAME ...]

Runs that are in FOLDER already are taken as they are. Ten minutes for all presets on two cores.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from PyQt6.QtGui import QImage

from app.picture import preview, raster
from app.picture.camera import Camera, fit
from app.picture.scene import build_scene
from app.picture.theme import DARK, LIGHT, Theme
from app.presets import PICTURE_SIZE, Card, cards, picture_path, preview_path
from hnm_core import recording
from hnm_core.recording import Recording, open_recording
from hnm_core.run.events import Frame
from hnm_core.spec import config as configuration
from hnm_core.spec.resources import FIRST_PRESET, preset_names, preset_path
from hnm_core.training.experiment import Experiment

QUALITY = 84
MOMENTS, POINTS = 10, 640
FIRST_MOMENTS, FIRST_POINTS = 24, 1500
"""The preset that is shown first has more of both."""
EDGES = 90
FILLED = 0.74
"""So much of a picture the cloud takes that reaches farthest, without the last 2 % of its points."""
GAP_PX = 4
"""Between two clouds on one picture."""


def main() -> None:
    """Run, draw, thin; say how large it all is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="presets; all unless given")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "gallery", help="where the runs are kept")
    asked = parser.parse_args()
    for card in cards():
        if card.name in (asked.names or preset_names()):
            run = trained(card.name, asked.runs / card.name)
            for theme in (DARK, LIGHT):
                draw(run, card, theme)
            first = card.name == FIRST_PRESET
            thinned = preview.thin(
                run, moments=FIRST_MOMENTS if first else MOMENTS, points=FIRST_POINTS if first else POINTS
            )
            preview.save(thinned, preview_path(card.name))
            files = [picture_path(card.name, "dark"), picture_path(card.name, "light"), preview_path(card.name)]
            print(card.name, *(f"{file.stat().st_size / 1000:.0f} kB" for file in files), flush=True)


def trained(name: str, folder: Path) -> Recording:
    """The recording of a preset, made now unless it is there."""
    if not (folder / "run.json").exists():
        print(f"training {name} ...", flush=True)
        for _event in recording.record(Experiment(configuration.load(preset_path(name))).run(), folder):
            pass
    return open_recording(folder)


def draw(run: Recording, card: Card, theme: Theme) -> None:
    """The last clouds of the card's lanes, side by side."""
    width, height = PICTURE_SIZE
    lanes = card.lanes or run.lanes[-1:]
    each = (width - GAP_PX * (len(lanes) - 1)) // len(lanes)
    pixels = np.empty((height, width, 4), np.uint8)
    pixels[:] = (*reversed(theme.grid), 255)
    frames = [run.frame(lane, -1) for lane in lanes]
    for place, (frame, camera) in enumerate(zip(frames, at_one_scale(frames, each, height), strict=True)):
        scene = build_scene(run.started, frame, theme, max_edges=EDGES)
        left = place * (each + GAP_PX)
        pixels[:, left : left + each] = raster.render(scene, camera, each, height, theme, supersample=2).pixels
    image = QImage(pixels.tobytes(), width, height, 4 * width, QImage.Format.Format_RGB32)
    path = picture_path(card.name, theme.name)
    if not image.save(str(path), "WEBP", QUALITY):
        raise SystemExit(f"{path} cannot be written")


def at_one_scale(frames: list[Frame], width: int, height: int) -> list[Camera]:
    """A camera for each cloud, all at the distance at which the largest fills its picture."""
    cameras = [fit(frame.positions, width / height) for frame in frames]
    distance, radius = max(camera.distance for camera in cameras), max(camera.radius for camera in cameras)
    cameras = [replace(camera, distance=distance, radius=radius) for camera in cameras]
    reach = 0.0
    for frame, camera in zip(frames, cameras, strict=True):
        x, y, _depth = camera.project(frame.positions, width, height)
        for places, size in ((x, width), (y, height)):
            reach = max(reach, float(np.quantile(np.abs(2 * places / size - 1), 0.98)))
    return [camera.zoomed(FILLED / reach) for camera in cameras]


if __name__ == "__main__":
    main()
