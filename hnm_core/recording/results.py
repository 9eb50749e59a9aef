"""What the run of a recording came to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hnm_core.recording.reader import Recording, open_and_view
from hnm_core.recording.summary import lane_facts, summarised
from hnm_core.run.history import LaneHistory
from hnm_core.run.results import LaneResult, lane_result

Told = tuple[dict[str, Any], LaneResult]


def open_inspected(folder: str | Path) -> tuple[Recording, dict[str, Any], list[LaneResult]]:
    """Open a recording, compare the data of its frames and all else with their checksums, and tell as `inspected` what
    it holds; no file of steps is read twice. Raises `InputError` as `hnm_core.recording.open_recording`."""
    recording, told = open_and_view(folder, _told)
    recording.check()
    return recording, *_both(recording, told)


def inspected(recording: Recording) -> tuple[dict[str, Any], list[LaneResult]]:
    """What a recording holds, see `Recording.summary`, and what its run came to. Steps are read once, and one lane at a
    time has room in memory."""
    return _both(recording, recording.of_each_lane(_told))


def _told(lane: LaneHistory) -> Told:
    return lane_facts(lane), lane_result(lane)


def _both(recording: Recording, told: list[Told]) -> tuple[dict[str, Any], list[LaneResult]]:
    return summarised(recording, [facts for facts, _ in told]), [result for _, result in told]
