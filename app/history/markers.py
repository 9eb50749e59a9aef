"""What happened to lanes, as marks at steps: for the timeline, the curves and the list of notices. No Qt."""

from __future__ import annotations

from dataclasses import dataclass

from app.history.words import in_words
from hnm_core.run.events import Alarm, LaneForked, OptionChanged, WarmupEnded
from hnm_core.run.history import RunHistory


@dataclass(frozen=True)
class Marker:
    """Something that happened to a lane at a step."""

    lane: str
    step: int
    text: str
    kind: str
    """`option`, `warm-up`, `fork`, or the level of an alarm: `hint`, `warning`, `fatal`"""
    code: str = ""
    """of an alarm"""


def markers(history: RunHistory) -> list[Marker]:
    """Everything that was told, in its order."""
    return [_marker(event) for event in history.told]


def _marker(event: OptionChanged | WarmupEnded | LaneForked | Alarm) -> Marker:
    match event:
        case Alarm():
            return Marker(event.lane, event.step, event.message, event.level, event.code)
        case LaneForked():
            kind = "fork"
        case WarmupEnded():
            kind = "warm-up"
        case OptionChanged():
            kind = "option"
    return Marker(event.lane, event.step, in_words(event), kind)
