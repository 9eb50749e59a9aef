"""What is left of a run that has ended or was broken off: its networks, and what it told up to a checkpoint."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator
from pathlib import Path

from hnm_core.errors import InputError
from hnm_core.recording.checkpoints import Stored, read, read_weights
from hnm_core.recording.reader import Recording, open_recording
from hnm_core.run.events import Event, Weights


def last_weights(recording: Recording, lane: str) -> tuple[Weights | None, str]:
    """The network of a lane at the end of its run; where that is damaged, or the run was broken off or is going on, as
    its newest checkpoint that is whole has it. None where there is neither.

    Returns:
        The network, and what is damaged of what would have been nearer to the end, in sentences.

    Raises:
        InputError: what there is is damaged.
    """
    try:
        weights, damage = recording.weights(lane), None
    except InputError as error:
        weights, damage = None, error
    if weights is not None:
        return weights, ""
    try:
        weights, note = read_weights(recording.folder, lane)
    except InputError as error:
        raise damage or error from None
    if damage is None:
        return weights, note
    if weights is None:
        raise damage
    return weights, f"{damage} A checkpoint is taken in its place. {note}".rstrip()


def with_checkpoint(folder: Path) -> tuple[Recording, Stored]:
    """A recording and the checkpoint that training can go on from.

    Raises:
        InputError: as `open_recording`; the run is still being recorded, or there is no checkpoint to go on from.
    """
    recording = open_recording(folder)
    if recording.is_being_written:
        raise InputError(f"The run in '{folder}' is still going on.")
    stored = read(folder)
    if stored is None:
        raise InputError(f"'{folder}' holds no checkpoint, so its run cannot go on.")
    if stored.checkpoint.state is None:
        raise InputError(
            f"The checkpoint of '{folder}' holds weights alone, as a part of the run does not tell its state, so the "
            "run cannot go on."
        )
    return recording, stored


def beside(folder: Path, what: str) -> Path:
    """A folder beside that of a recording which is not there yet, named after it."""
    first = folder.absolute().with_name(f"{folder.absolute().name}-{what}")
    more = (first.with_name(f"{first.name}-{count}") for count in itertools.count(2))
    return next(path for path in itertools.chain([first], more) if not path.exists())


def events_before(recording: Recording, event: int) -> Iterator[Event]:
    """The first so many events of a recording in their order, without `RunStarted`, weights and the closing event."""
    streams: list[Iterator[tuple[int, Event]]] = [recording.numbered_events]
    for lane in recording.lanes:
        streams += [recording.numbered_steps(lane), recording.numbered_frames(lane)]
    merged = heapq.merge(*streams, key=lambda numbered: numbered[0])
    return (told for _, told in itertools.takewhile(lambda numbered: numbered[0] < event, merged))
