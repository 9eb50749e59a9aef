"""How large a recording of a run is going to be."""

from __future__ import annotations

import math

from hnm_core.recording import layout
from hnm_core.recording.lane_writer import FRAMES_AT_FULL_RATE
from hnm_core.spec.config import ExperimentConfig

PACKED = 1 / 3
"""What packing leaves of a cloud, about: from 0.25 where a step lies between frames to 0.4 where ten do."""


def expected_bytes(config: ExperimentConfig, shown: int) -> int:
    """Bytes that steps and clouds of `shown` items take by the end, about: edges and guests vary and are left out."""
    clouds = kept_frames(1 + config.steps // config.frame_every)
    cloud = int(PACKED * layout.to_dtype(layout.frame_layout(shown)).itemsize)
    step = layout.to_dtype(layout.step_layout()).itemsize
    return len(config.lanes) * (clouds * cloud + config.steps * step)


def kept_frames(made: int) -> int:
    """Of so many frames of a lane, how many are kept: all of the first 10,000, then every second one for as many, then
    every fourth, and so on."""
    halvings = int(math.log2(made / FRAMES_AT_FULL_RATE + 1))
    whole = FRAMES_AT_FULL_RATE * ((1 << halvings) - 1)
    return halvings * FRAMES_AT_FULL_RATE + math.ceil((made - whole) / (1 << halvings))
