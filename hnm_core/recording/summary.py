"""What a recording holds, as plain values for a table or JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from hnm_core.recording.checkpoints import newest_step
from hnm_core.recording.files import size_of
from hnm_core.run.events import (
    Alarm,
    LaneForked,
    OptionChanged,
    RunFailed,
    RunFinished,
    WarmupEnded,
    change_text,
)
from hnm_core.run.history import LaneHistory
from hnm_core.run.raw import by_name

if TYPE_CHECKING:
    from hnm_core.recording.reader import Recording


def lane_facts(lane: LaneHistory) -> dict[str, Any]:
    """What the history of a lane tells of it."""
    return {
        "lane": lane.name,
        "steps": int(lane.steps[-1]) if len(lane) else 0,
        "loss": _finite(lane.mean_loss()),
        **{metric: _finite(lane.latest(metric)) for metric in lane.metrics},
    }


def _whole(recording: Recording, facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of a lane, and how many clouds it has; metrics that it never measured are None, those of layers last."""
    frames = len(recording.frame_steps(facts["lane"]))
    row = {"lane": "", "steps": 0, "frames": frames, "loss": None, **dict.fromkeys(recording.metrics)}
    return row | facts


def summarised(recording: Recording, lanes: list[dict[str, Any]]) -> dict[str, Any]:
    """What the recording holds, as plain values for a table or JSON; `lanes` are the `lane_facts` of each."""
    started, finished = recording.started, recording.finished
    return {
        "folder": str(recording.folder),
        "title": started.config.title,
        "started": started.started,
        "versions": dict(started.versions),
        "data": started.config.data.name,
        "model": started.config.model.name,
        "items_shown": len(started.ids),
        "items_total": started.items_total,
        "held_out": int(started.held_out.sum()),
        "evaluated": None if started.evaluated is None else started.evaluated.text,
        "classes": len(np.unique(started.labels)),
        "state": _state(recording),
        "seconds": finished.seconds if isinstance(finished, RunFinished) else None,
        "raw": {name: dict(metrics) for name, metrics in by_name(started.raw).items()},
        "lanes": [_whole(recording, facts) for facts in lanes],
        "option_changes": sum(isinstance(event, OptionChanged | WarmupEnded) for event in recording.events),
        "changes": [
            {"lane": event.lane, "step": event.step, "text": change_text(event)}
            for event in recording.events
            if isinstance(event, LaneForked) or (isinstance(event, OptionChanged) and event.asked)
        ],
        "alarms": sum(isinstance(event, Alarm) for event in recording.events),
        "checkpoint": newest_step(recording.folder),
        "bytes": sum(map(size_of, recording.folder.rglob("*"))),
        "torn_bytes": recording.torn_bytes,
        "losses": list(recording.losses),
    }


def _state(recording: Recording) -> str:
    match recording.finished:
        case RunFinished(stopped=True):
            return "stopped"
        case RunFinished():
            return "finished"
        case RunFailed(message=message):
            return f"failed: {message}"
    return "being recorded" if recording.is_being_written else "broken off"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
