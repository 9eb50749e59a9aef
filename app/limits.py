"""What the window has room for. No Qt, so that the command line can refuse before a window is opened."""

from __future__ import annotations

from hnm_core.errors import InputError
from hnm_core.spec.config import ExperimentConfig

MAX_PANES = 6

WINDOW_SIDES = (16, 16_384)
"""Smallest and largest width and height of a window, in pixels."""
VIDEO_SIDES = (64, 7_680)
"""Of a video."""


def check_lanes(config: ExperimentConfig) -> None:
    """Raises `InputError` when the window has no room for the lanes of `config`."""
    if len(config.lanes) > MAX_PANES:
        names = ", ".join(lane.name for lane in config.lanes)
        raise InputError(
            f"The window shows at most {MAX_PANES} lanes and this experiment has {len(config.lanes)} ({names}): "
            "take lanes out, or train without a window with hnm-lab run."
        )
