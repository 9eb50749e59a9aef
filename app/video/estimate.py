"""How long a film will take to make and how large it will be, judged by some of its pictures made and encoded."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from app.video.encoder import Encoder, VideoCancelledError
from app.video.formats import VideoFormat
from app.video.pictures import Pictures

PLACES = (0.2, 0.45, 0.7, 0.95)
"""Shares of the film at which clips are made."""
CLIP = 5
"""Pictures of a clip."""
KEY_EVERY = {".mp4": 250, ".webm": 128}
"""Of so many pictures one stands for itself and the others tell what changed: the encoders' own habits. In other kinds
of files all pictures are alike."""


@dataclass(frozen=True)
class Estimate:
    """What a film is likely to come to, while the machine is as busy as it was."""

    seconds: float
    """To make it"""
    file_bytes: int
    sampled: int
    """Pictures that were made to find out"""


@dataclass(frozen=True)
class _Cost:
    """Of a clip."""

    seconds: float
    file_bytes: int


def estimate(
    pictures: Pictures, video: VideoFormat, setup_s: float, wanted: Callable[[], bool] = lambda: True
) -> Estimate | None:
    """Make clips of a film at its full size, of one picture and of `CLIP`: what the others add is what a picture costs.

    Args:
        pictures: of the full size.
        video: what the file will be.
        setup_s: how long it took to make `pictures` ready, which the film takes too.
        wanted: asked between pictures whether anybody still waits.

    Returns:
        None where nobody waits any more.

    Raises:
        InputError: there is no encoder, or no room for the clips.
    """
    total, each, first, sampled = len(pictures), list[_Cost](), list[_Cost](), 0
    clip = min(CLIP, total)
    with TemporaryDirectory(prefix="hnm-lab-") as folder:
        for number, share in enumerate(PLACES):
            start = min(int(share * total), total - clip)
            try:
                one = _clip(pictures, video, Path(folder) / f"one-{number}", start, 1, wanted)
                several = _clip(pictures, video, Path(folder) / f"several-{number}", start, clip, wanted)
            except VideoCancelledError:
                return None
            more = max(clip - 1, 1)
            first.append(one)
            each.append(
                _Cost(max(several.seconds - one.seconds, 0) / more, max(several.file_bytes - one.file_bytes, 0) // more)
            )
            sampled += 1 + clip
    seconds = sum(cost.seconds for cost in each) / len(each)
    whole = sum(cost.file_bytes for cost in first) / len(first)
    changed = sum(cost.file_bytes for cost in each) / len(each)
    keys = math.ceil(total / KEY_EVERY.get(video.suffix, total))
    return Estimate(setup_s + total * seconds, round(keys * whole + (total - keys) * changed), sampled)


def _clip(
    pictures: Pictures, video: VideoFormat, out: Path, start: int, count: int, wanted: Callable[[], bool]
) -> _Cost:
    out = out / "%05d.png" if video.suffix == ".png" else out.with_suffix(video.suffix)
    began = time.perf_counter()
    with Encoder(out, video, wanted) as encoder:
        for pixels in pictures.clip(start, count):
            encoder.write(pixels)
            if not wanted():
                raise VideoCancelledError
    assert encoder.info is not None
    return _Cost(time.perf_counter() - began, encoder.info.file_bytes)
