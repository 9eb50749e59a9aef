"""What of a tick's events the window has to say or to do, found in one pass. No Qt."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hnm_core.run.events import Alarm, Event, LaneForked, OptionChanged, RunFailed, RunStarted


@dataclass(frozen=True)
class News:
    """What is new to the user."""

    told: tuple[RunFailed | LaneForked | Alarm, ...] = ()
    """What is told each for itself, in order."""
    taken_up: tuple[OptionChanged, ...] = ()
    """Changes asked for, without those that came with a new lane."""
    touches_form: bool = False
    """Whether the form may differ from the run in other ways than before."""


def news(events: Iterable[Event]) -> News:
    """Sort the events of a tick."""
    told: list[RunFailed | LaneForked | Alarm] = []
    taken_up: list[OptionChanged] = []
    new_lanes: set[str] = set()
    touches_form = False
    for event in events:
        match event:
            case LaneForked():
                new_lanes.add(event.lane)  # before the changes that it comes with
                told.append(event)
                touches_form = True
            case Alarm():
                told.append(event)
                touches_form = True
            case OptionChanged():
                if event.asked and event.lane not in new_lanes:
                    taken_up.append(event)
                touches_form = True
            case RunFailed():
                told.append(event)
            case RunStarted():
                touches_form = True
            case _:
                pass
    return News(tuple(told), tuple(taken_up), touches_form)
