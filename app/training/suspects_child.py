"""The process that ranks the doubtful labels of a run's data, and ends. Knows no Qt.

It is a process of its own because many items take long to rank, and because the window's process loads no torch.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.training.looking import no_fetching, row_text, shrunk
from app.training.messages import HowFar, Item, Rank, Refused, Suspect, Suspects, pipes, receive, send
from hnm_core.data.base import Dataset, LoadCancelled
from hnm_core.data.review import subject
from hnm_core.errors import InputError
from hnm_core.spec import plug_ins
from hnm_core.system import processes

if TYPE_CHECKING:
    from hnm_core.studies.doubtful import Queue

NICE = 5
"""The window and the training go first."""
TOLD_S = 0.1
"""At most so often one tells how far it is."""


def main() -> None:
    """Answer one request."""
    with suppress(AttributeError, OSError):
        os.nice(NICE)
    requests, answers = pipes()
    for file in sys.argv[1:]:
        plug_ins.load_file(Path(file))
    request = receive(requests)
    if not isinstance(request, Rank):
        return  # the window is gone
    processes.end_with(requests.fileno())
    with suppress(OSError):
        send(answers, ranked(request, lambda far: send(answers, far)))


def ranked(request: Rank, tell: Callable[[HowFar], None]) -> Suspects | Refused:
    """The head of the queue, or why there is none; `tell` is told how far it is."""
    from hnm_core.distances import Distance
    from hnm_core.evaluation.suspects import NEIGHBOURS
    from hnm_core.studies.doubtful import queue

    last = -TOLD_S

    def progress(done: int, total: int, what: str) -> bool:
        nonlocal last
        now = time.monotonic()
        if now - last >= TOLD_S:
            last = now
            tell(HowFar(done, total))
        return no_fetching(done, total, what)

    run = None if request.recording is None else str(request.recording)
    notes: list[str] = []
    try:
        found = queue(
            request.config, Distance(), NEIGHBOURS, run=run, lane=request.lane, progress=progress, say=notes.append
        )
    except LoadCancelled:
        return Refused("The data are not on this machine, and are not fetched to be reviewed.")
    except InputError as error:
        return Refused(str(error))
    return told(found, request.most, tuple(notes))


def told(found: Queue, most: int, notes: tuple[str, ...] = ()) -> Suspects:
    """The first of a queue as the window shows them."""
    from hnm_core.studies.doubtful import evidence

    dataset, ranked_ones = found.dataset, found.suspects
    suspects = []
    for place in range(min(most, len(ranked_ones))):
        like = tuple(_item(dataset, row) for row in ranked_ones.like[place].tolist() if row >= 0)
        item = _item(dataset, int(ranked_ones.row[place]))
        instead = dataset.class_names[int(ranked_ones.instead[place])]
        suspects.append(Suspect(item, instead, like, evidence(found, place)))
    return Suspects(subject(dataset), tuple(suspects), len(ranked_ones), notes)


def _item(dataset: Dataset, row: int) -> Item:
    picture = None if dataset.images is None else shrunk(dataset.images[row : row + 1])[0]
    words = row_text(np.array(dataset.x[row])) if picture is None else ""
    return Item(int(dataset.ids[row]), dataset.class_names[dataset.y[row]], picture, words)


if __name__ == "__main__":
    main()
