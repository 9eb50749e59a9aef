"""The past of a run, read back from its folder: which frame every lane had at a step. No Qt, no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np

from app.progress import Progress
from hnm_core.errors import InputError
from hnm_core.recording import Recording, open_recording
from hnm_core.run import changeable
from hnm_core.run.events import Frame, LaneForked
from hnm_core.run.history import RunHistory
from hnm_core.spec.config import ExperimentConfig

NOBODY: Mapping[str, int] = MappingProxyType({})


class Past:
    """Frames of a recording, also of one that is still being written."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    @classmethod
    def of(cls, folder: Path) -> Past:
        """Open a folder. Raises `InputError` when it holds no recording."""
        return cls(open_recording(folder))

    @property
    def last_step(self) -> int:
        """The step of the newest frame of any lane."""
        steps = [self.recording.frame_steps(lane) for lane in self.recording.lanes]
        return max((int(known[-1]) for known in steps if len(known)), default=0)

    def frames_at(self, step: int, step_of: Mapping[str, int] = NOBODY) -> list[Frame]:
        """Of every lane the newest frame not after `step`, or its first; lanes without frames are left out, those
        that were forked off later, and those whose cloud at that step is lost. `step_of`: lanes that are looked at at
        another step."""
        frames, absent = [], self.later_lanes(step, step_of).keys() | self.lost_lanes(step, step_of).keys()
        for lane in self.recording.lanes:
            if lane in absent:
                continue
            steps = self.recording.frame_steps(lane)
            if len(steps):
                place = int(np.searchsorted(steps, step_of.get(lane, step), side="right")) - 1
                frames.append(self.recording.frame(lane, max(place, 0)))
        return frames

    def later_lanes(self, step: int, step_of: Mapping[str, int] = NOBODY) -> dict[str, int]:
        """Lanes that were forked off after `step`, and at which step that was; `step_of` as above."""
        begins = self.recording.begins
        return {lane: begins[lane] for lane in begins if begins[lane] > step_of.get(lane, step)}

    def lost_lanes(self, step: int, step_of: Mapping[str, int] = NOBODY) -> dict[str, int]:
        """Lanes whose clouds at `step` are lost, and the step of the last that is left; `step_of` as above."""
        lost = self.recording.clouds_lost_after
        return {lane: last for lane, last in lost.items() if step_of.get(lane, step) > last}

    def next_step(self, step: int) -> int | None:
        """The step of the first frame after `step` in any lane; None at the end."""
        later = [known[known > step] for lane in self.recording.lanes if len(known := self.recording.frame_steps(lane))]
        return min((int(steps[0]) for steps in later if len(steps)), default=None)


def with_forks(history: RunHistory) -> ExperimentConfig:
    """What a recording was made with, as one experiment: the lanes it began with, and those that were forked off, as
    they were then. `history` is that of a recording, so its run has started."""
    assert history.started is not None, "a recording begins with it"
    config = history.started.config
    lanes = list(config.lanes)
    for change in history.changes:
        if isinstance(change, LaneForked):
            first = change.step + 1  # what it was given counts from its own first step on
            lanes.append(changeable.among(config, history.lane_configs(first)[change.lane]))
    return config.model_copy(update={"lanes": tuple(lanes)})


def load(folder: Path, progress: Progress) -> tuple[Past, RunHistory]:
    """A whole recording: its frames on demand, its figures in memory.

    Raises:
        InputError: the folder holds no recording, or the user called it off.
    """

    def go_on(done: int, total: int) -> None:
        if not progress(done, total):
            raise InputError("Opening the recording was called off.")

    recording = open_recording(folder)
    recording.check(lambda done, total: go_on(done, 2 * total))  # what is damaged is no part of the past
    return Past(recording), recording.history(lambda done, total: go_on(total + done, 2 * total))
