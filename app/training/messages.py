"""What crosses between the window's process and those that work for it: these, as pickles, and nothing else."""

from __future__ import annotations

import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.training.looking import Looked, Pictured
from hnm_core.data.pair_review import Id, PairSubject
from hnm_core.data.review import Subject
from hnm_core.run.channel import Drained
from hnm_core.run.control import Embedded
from hnm_core.spec.config import ExperimentConfig


class Start(NamedTuple):
    """To the training process: run this. Sent only when the run before has ended."""

    config: ExperimentConfig
    folder: Path | None
    """Where to record it."""
    paused: bool
    rate: float | None
    """Steps of every lane a second; None for as many as can be done."""
    resume: Path | None = None
    """The recording whose run goes on, as it was, to the steps of `config`; None begins anew."""


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


class Embed(NamedTuple):
    """To the training process: tell the embeddings of some items between two steps. Answered by a `Moment`, unless the
    run ends before."""

    number: int
    """Of the question"""
    ids: NDArray[np.int64]
    """(K,) dataset ids"""


class Moment(NamedTuple):
    """To the window: the embeddings asked for."""

    number: int
    lanes: Mapping[str, Embedded]


class LayOut(NamedTuple):
    """To a process of `app.training.tsne_child`: lay items out by t-SNE, lane by lane. Answered by a `LaidOut` for each
    lane, or by `Refused`."""

    ids: NDArray[np.int64]
    """(K,) dataset ids, ascending"""
    labels: NDArray[np.int64]
    """(K,) their classes"""
    seed: int
    lanes: Mapping[str, Embedded]
    """Where they are; none where a recording tells it"""
    recording: Path | None = None
    """Whose lanes' networks embed the items, as they were at its end"""


class LaidOut(NamedTuple):
    """To the window: a lane laid out."""

    lane: str
    step: int
    positions: NDArray[np.float32]
    """(K, 3)"""
    of: int
    """How many lanes there are"""


class Rank(NamedTuple):
    """To a process of `app.training.suspects_child`: rank the doubtful labels of a run's data, or its doubtful pairs.
    Answered by a `HowFar` now and then, and by `Suspects`, `DoubtfulPairs` or `Refused`."""

    config: ExperimentConfig
    """Of the run"""
    most: int
    """So many of the queue are told."""
    recording: Path | None = None
    """In what a lane of it makes of the items they are near; None takes their features."""
    lane: str | None = None


class HowFar(NamedTuple):
    """To the window: how far a request is; `total` is 0 while unknown."""

    done: int
    total: int


class Item(NamedTuple):
    """An item of a data set, to be looked at."""

    item_id: int
    label: str
    """The name of its class"""
    picture: NDArray[np.uint8] | None = None
    """(H, W) or (H, W, 3); None where the data are no pictures"""
    words: str = ""
    """Its numbers, where they are none"""


class Suspect(NamedTuple):
    """An item whose label is doubtful."""

    item: Item
    instead: str
    """The class that it is rather of"""
    like: tuple[Item, ...]
    """Its nearest of that class, nearest first"""
    evidence: tuple[str, ...]
    """Why it is doubtful, in sentences"""


class Suspects(NamedTuple):
    """To the window: a queue of doubtful labels."""

    of: Subject
    """What its review is of"""
    queue: tuple[Suspect, ...]
    """The most doubtful first"""
    found: int
    """How many there are, told or not"""
    notes: tuple[str, ...] = ()
    """What else there is to know of them, a sentence each"""


class Text(NamedTuple):
    """A query or a document, to be read."""

    name: Id
    """Its id in the files"""
    text: str
    """Fit to be shown, see `hnm_core.run.item_texts.lines_in_sight`; empty where there is only an embedding"""


class DoubtfulPair(NamedTuple):
    """A document that nobody judged and that is nearer to a query than all that is relevant to it."""

    query: Text
    document: Text
    relevant: Text
    """The nearest that is"""
    score: float
    """Of query and document"""
    rank: int
    """Of the document, 1 for the nearest"""
    relevant_score: float
    item_id: int
    """Of the document in clouds"""
    evidence: tuple[str, ...]
    """Why it is doubtful, in sentences"""


class DoubtfulPairs(NamedTuple):
    """To the window: a queue of doubtful pairs. Its fields are called as those of `Suspects`."""

    of: PairSubject
    """What its review is of"""
    queue: tuple[DoubtfulPair, ...]
    found: int
    notes: tuple[str, ...] = ()


class Refused(NamedTuple):
    """To the window: why there is no answer."""

    sentence: str


class Report(NamedTuple):
    """To the window: what came in since the last one. The first of all is empty and says that the engine is loaded."""

    drained: Drained = Drained()
    loading: str = ""
    """What a run that is starting reads or fetches, in words."""
    resident_mb: float | None = None
    """Memory of the training process."""
    ended: bool = False
    """Whether the run is over and its recording complete."""


Message = (
    Start
    | Ask
    | Look
    | LookAtMany
    | Embed
    | LayOut
    | Rank
    | Report
    | Looked
    | Pictured
    | Moment
    | LaidOut
    | HowFar
    | Suspects
    | DoubtfulPairs
    | Refused
)


def pipes() -> tuple[BinaryIO, BinaryIO]:
    """Of a process that the window has started, the ends that lead from and to it. What is printed from here on goes to
    the standard error."""
    commands, reports = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return commands, reports


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
