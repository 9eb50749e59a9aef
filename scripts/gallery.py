"""Makes what the gallery shows of the presets, from real runs: `NAME-dark.webp`, `NAME-light.webp` and
`NAME.preview.npz` in `resources/gallery`; and for the README the videos `NAME-TEMPLATE.webm` with a picture of each,
`NAME-TEMPLATE.webp`, in `docs/gallery`.

    python scripts/gallery.py [--runs FOLDER] [--only videos|pictures] [NAME ...]

Runs that are in FOLDER already are taken as they are. About twenty minutes for all
presets on two cores.
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
from app.video.order import Order
from hnm_core import recording
from hnm_core.recording import Recording, open_recording
from hnm_core.run.events import Frame
from hnm_core.spec import config as configuration
from hnm_core.spec.request import Request
from hnm_core.spec.resources import FIRST_PRESET, preset_path, retrieval_preset_names
from hnm_core.training.experiment import Experiment
from hnm_core.training.retrieval_experiment import RetrievalExperiment
from hnm_core.training.retrieval_request import resolve_retrieval

QUALITY = 84
MOMENTS, POINTS = 10, 640
FIRST_MOMENTS, FIRST_POINTS = 24, 1500
"""The preset that is shown first has more of both."""
EDGES = 90
FILLED = 0.74
"""So much of a picture the cloud takes that reaches farthest, without the last 2 % of its points."""
GAP_PX = 4
"""Between two clouds on one picture."""
DOCS = Path(__file__).resolve().parents[1] / "docs"
VIDEO_SIZE, VIDEO_FPS, VIDEO_SECONDS = (960, 540), 15, 12.0
MOST_BYTES = 3_000_000
"""Of a video, so that all of them together stay small beside the program."""
POSTER_AT, POSTER_QUALITY = 0.86, 80
"""The share of its run at which a video is pictured: lanes have come apart by then."""


def main() -> None:
    """Run, draw, thin; say how large it all is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="presets; all unless given")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "gallery", help="where the runs are kept")
    parser.add_argument("--only", choices=("pictures", "videos"), help="both unless given")
    asked = parser.parse_args()
    for card in cards():
        if not asked.names or card.name in asked.names:
            run = trained(card.name, asked.runs / card.name)
            files = []
            if asked.only != "videos":
                files += pictures(run, card)
            if asked.only != "pictures":
                for template in card.videos:
                    files += video(run, DOCS / "gallery", card.name, template)
            print(card.name, *(f"{file.stat().st_size / 1000:.0f} kB" for file in files), flush=True)


def trained(name: str, folder: Path) -> Recording:
    """The recording of a preset, made now unless it is there."""
    if not (folder / "run.json").exists():
        print(f"training {name} ...", flush=True)
        for _event in recording.record(experiment(name).run(), folder):
            pass
    return open_recording(folder)


def experiment(name: str) -> Experiment | RetrievalExperiment:
    """A preset, ready to run."""
    if name in retrieval_preset_names():
        return RetrievalExperiment(resolve_retrieval(Request(preset=name))[0])
    return Experiment(configuration.load(preset_path(name)))


def pictures(run: Recording, card: Card) -> list[Path]:
    """What the window's gallery shows of a preset."""
    for theme in (DARK, LIGHT):
        draw(run, card, theme)
    first = card.name == FIRST_PRESET
    thinned = preview.thin(run, moments=FIRST_MOMENTS if first else MOMENTS, points=FIRST_POINTS if first else POINTS)
    preview.save(thinned, preview_path(card.name))
    return [picture_path(card.name, "dark"), picture_path(card.name, "light"), preview_path(card.name)]


def video(run: Recording, folder: Path, name: str, template: str) -> list[Path]:
    """A film of a preset, and a picture of it as its link."""
    folder.mkdir(exist_ok=True)
    film, poster = folder / f"{name}-{template}.webm", folder / f"{name}-{template}.webp"
    order = Order(run.folder, template, ".webm", VIDEO_SIZE, VIDEO_SECONDS, VIDEO_FPS)
    made = order.render(film, lambda _done, _total: True)
    assert made is not None, "nobody calls it off"
    if made.file_bytes > MOST_BYTES:
        raise SystemExit(f"{film} has {made.file_bytes:,} bytes, more than {MOST_BYTES:,}")
    shown = order.pictures()
    begins, count = shown.run_span
    pixels = shown.at(begins + round(POSTER_AT * count))
    image = QImage(pixels.tobytes(), *VIDEO_SIZE, 4 * VIDEO_SIZE[0], QImage.Format.Format_RGB32)
    if not image.save(str(poster), "WEBP", POSTER_QUALITY):
        raise SystemExit(f"{poster} cannot be written")
    return [film, poster]


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
