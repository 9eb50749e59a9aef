"""Requests to a running experiment, obeyed between steps: pause, go on, keep to a rate, do so many steps, change an
option, go on in a new lane, tell the embeddings, stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Turn = Literal["step", "obey", "look", "stop"]

UNHURRIED_RATE = 20.0
"""Rounds a second up to which an eye follows single steps."""


@dataclass(frozen=True)
class ChangeRequest:
    """New values of a lane's options, to be taken up together."""

    lane: str
    changes: Mapping[str, Any]
    """By option, see `hnm_core.run.changeable`."""


@dataclass(frozen=True)
class ForkRequest:
    """A new lane that goes on from where `lane` stands."""

    lane: str
    new_lane: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Options in which the new lane differs."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """Where a lane has some items at a moment."""

    step: int
    """Steps that the lane has done."""
    vectors: NDArray[np.float32]
    """(K, E) embeddings, as the lane's distance sees them"""
    problem: str = ""
    """Why there are none"""


@dataclass(frozen=True, eq=False)
class EmbedRequest:
    """The embeddings of some items in every lane, as the networks are now."""

    ids: NDArray[np.int64]
    """(K,) dataset ids"""
    answer: Callable[[Mapping[str, Embedded]], None]
    """Gets them by lane, on the thread that trains."""


Request = ChangeRequest | ForkRequest | EmbedRequest


class Control:
    """Thread-safe; one side asks, the experiment reads between steps."""

    def __init__(self, *, paused: bool = False, rate: float | None = None) -> None:
        self._changed = threading.Condition()
        self._paused = paused
        self._rate = rate
        self._next_round = 0.0
        self._rounds_left = 0
        self._stopped = False
        self._looked = True
        """Whether what the last round left was told to those who look"""
        self._requests: list[Request] = []
        self.loading = ""
        """What the experiment reads or fetches before its first event, in words; set by the experiment."""

    def pause(self) -> None:
        """Stand still before the next step."""
        with self._changed:
            self._paused, self._rounds_left = True, 0
            self._changed.notify_all()

    def resume(self) -> None:
        """Go on."""
        with self._changed:
            self._paused = False
            self._changed.notify_all()

    def step(self, rounds: int = 1) -> None:
        """Pause after `rounds` more steps of every lane."""
        with self._changed:
            self._paused = True
            self._rounds_left += rounds
            self._changed.notify_all()

    def set_rate(self, rounds_per_s: float | None) -> None:
        """Do at most so many steps of every lane a second while going on; None for as many as can be done."""
        with self._changed:
            self._rate, self._next_round = rounds_per_s, 0.0
            self._changed.notify_all()

    def change(self, lane: str, option: str, value: Any) -> None:
        """Give an option of a lane a new value from its next step on, see `hnm_core.run.changeable`.

        The experiment answers with an event: `OptionChanged`; or an `Alarm` of code `refused` that says why not, and
        the run goes on as it was. An option that has that value already is no change and has no answer.
        """
        self.change_together({lane: {option: value}})

    def change_together(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        """As `change`, of several options and lanes before the same step: lane -> option -> value. What is asked of one
        lane is taken up as a whole or not at all."""
        with self._changed:
            self._requests += [ChangeRequest(lane, dict(options)) for lane, options in changes.items()]
            self._changed.notify_all()

    def fork(self, lane: str, new_lane: str, changes: Mapping[str, Any] | None = None) -> None:
        """Have a new lane go on from where `lane` stands before its next step, with other values of some options.

        Without `changes` the two stay equal. Answered by `LaneForked`, or by an `Alarm` of code `refused`.
        """
        with self._changed:
            self._requests.append(ForkRequest(lane, new_lane, dict(changes or {})))
            self._changed.notify_all()

    def embed(self, ids: NDArray[np.int64], answer: Callable[[Mapping[str, Embedded]], None]) -> None:
        """Have `answer` called with the embeddings of the items with these dataset ids, in every lane, before the next
        step and on the thread that trains. Nothing in the run changes, and no event tells of it."""
        with self._changed:
            self._requests.append(EmbedRequest(ids, answer))
            self._changed.notify_all()

    def requests(self) -> list[Request]:
        """Take what was asked for since the last time, oldest first."""
        with self._changed:
            taken, self._requests = self._requests, []
            return taken

    def stop(self) -> None:
        """End the run before the next step. Cannot be taken back."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    @property
    def stopped(self) -> bool:
        """Whether a stop was asked for; long work inside a step reads this to cancel itself."""
        return self._stopped

    @property
    def paused(self) -> bool:
        """Whether the run stands still or will before the next round."""
        return self._paused and self._rounds_left == 0

    @property
    def unhurried(self) -> bool:
        """Whether steps come one by one, or so slowly that each of them is looked at."""
        return self._paused or (self._rate is not None and self._rate <= UNHURRIED_RATE)

    def next_turn(self, *, looks: bool = False) -> Turn:
        """Wait while paused or ahead of the rate, then say what to do: a round of steps; before it, also while paused,
        to obey the `requests` there are; with `looks`, once when the run comes to stand still, to show how it stands;
        or to end it."""
        with self._changed:
            while not self._stopped:
                if self._requests:
                    return "obey"
                if self._paused and self._rounds_left > 0:
                    self._rounds_left -= 1
                    self._looked = False
                    return "step"
                if not self._paused and (wait := self._next_round - time.monotonic()) <= 0:
                    self._count_round()
                    self._looked = False
                    return "step"
                if looks and self._paused and not self._looked:
                    self._looked = True
                    return "look"
                self._changed.wait(None if self._paused else wait)
            return "stop"

    def _count_round(self) -> None:
        """Time that a slow round took too long is not made up for by faster ones."""
        if self._rate is not None:
            self._next_round = max(self._next_round + 1 / self._rate, time.monotonic())
