"""What the run of a recording came to."""

from __future__ import annotations

from typing import Any

from hnm_core.recording.reader import Recording
from hnm_core.recording.summary import lane_facts, summarised
from hnm_core.run.results import LaneResult, lane_result


def inspected(recording: Recording) -> tuple[dict[str, Any], list[LaneResult]]:
    """What a recording holds, see `Recording.summary`, and what its run came to. Steps are read once, and one lane at a
    time has room in memory."""
    both = recording.of_each_lane(lambda lane: (lane_facts(recording, lane), lane_result(lane)))
    return summarised(recording, [facts for facts, _ in both]), [result for _, result in both]
