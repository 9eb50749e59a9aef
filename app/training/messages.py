"""What crosses between the window's process and the training process: these, as pickles, and nothing else."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import IO, Any, NamedTuple

from app.training.looking import Looked, Pictured
from hnm_core.run.channel import Drained
from hnm_core.spec.config import ExperimentConfig


class Start(NamedTuple):
    """To the training process: run this. Sent only when the run before has ended."""

    config: ExperimentConfig
    folder: Path | None
    """Where to record it."""
    paused: bool
    rate: float | None
    """Steps of every lane a second; None for as many as can be done."""


class Ask(NamedTuple):
    """To the training process: call a method of the run's `hnm_core.run.control.Control`."""

    method: str
    values: tuple[Any, ...] = ()


class Look(NamedTuple):
    """To the training process: say what the data of a run tell of an item. Answered by a `Looked`; of several that
    wait only the last is."""

    config: ExperimentConfig
    item_id: int


class LookAtMany(NamedTuple):
    """To the training process: send the pictures of some items of the data of a run. Answered by a `Pictured`, which
    says the same number `run`; each is answered."""

    config: ExperimentConfig
    item_ids: tuple[int, ...]
    run: int


class Report(NamedTuple):
    """To the window: what came in since the last one. The first of all is empty and says that the engine is loaded."""

    drained: Drained = Drained()
    loading: str = ""
    """What a run that is starting reads or fetches, in words."""
    resident_mb: float | None = None
    """Memory of the training process."""
    ended: bool = False
    """Whether the run is over and its recording complete."""


Message = Start | Ask | Look | LookAtMany | Report | Looked | Pictured


def send(stream: IO[bytes], message: Message) -> None:
    """Write a message; read-only arrays arrive as read-only arrays. Raises `OSError` when nobody is left to read."""
    stream.write(pickle.dumps(message, protocol=5))
    stream.flush()


def receive(stream: IO[bytes]) -> Message | None:
    """The next message; None when the other process is gone, be it in the middle of a message."""
    try:
        message: Message = pickle.load(stream)
    except (EOFError, OSError, pickle.UnpicklingError):
        return None
    return message
