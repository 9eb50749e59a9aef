"""Pictures of the clouds at a few moments, by the window's raster, as PNG in the address itself."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape

import numpy as np
from numpy.typing import NDArray

from app.picture.camera import fit
from app.picture.raster import Workspace, render
from app.picture.scene import build_scene
from app.picture.theme import DARK
from hnm_core.recording import Recording

MOMENTS = 3
SIDE = 360
MOST_LANES = 6
"""Of more lanes there are no pictures; a picture takes about 0.2 MB."""


def pictures(recording: Recording) -> str:
    """A row of pictures for each lane: its first frame, one in the middle, its last."""
    if len(recording.lanes) > MOST_LANES:
        return ""
    work, drawn = Workspace(), []
    for lane in recording.lanes:
        steps = recording.frame_steps(lane)
        for place in np.unique(np.linspace(0, len(steps) - 1, MOMENTS).round().astype(int)) if len(steps) else ():
            frame = recording.frame(lane, int(place))
            if not np.isfinite(frame.positions).all(axis=1).any():
                continue
            scene = build_scene(recording.started, frame, DARK)
            picture = render(scene, fit(scene.positions), SIDE, SIDE, DARK, supersample=2, workspace=work)
            words = f"{lane}, step {frame.step:,}"
            address = base64.b64encode(png(picture.pixels[:, :, 2::-1])).decode()
            drawn.append(
                f'<figure><img src="data:image/png;base64,{address}" width="{SIDE}" height="{SIDE}" '
                f'alt="Cloud of {escape(words)}"><figcaption>{escape(words)}</figcaption></figure>'
            )
    return f'<div class="clouds">{"".join(drawn)}</div>' if drawn else ""


def png(pixels: NDArray[np.uint8]) -> bytes:
    """(H, W, 3) red, green and blue as a PNG file."""
    height, width, _ = pixels.shape
    above = np.concatenate((np.zeros_like(pixels[:1]), pixels[:-1]))  # rows as differences from the row above: filter 2
    rows = np.concatenate((np.full((height, 1), 2, np.uint8), (pixels - above).reshape(height, -1)), axis=1)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
