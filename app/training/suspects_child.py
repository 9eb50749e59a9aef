"""The process that ranks the doubtful labels of a run's data, or its doubtful pairs, and ends. Knows no Qt.

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
from app.training.messages import (
    DoubtfulPair,
    DoubtfulPairs,
    HowFar,
    Item,
    Rank,
    Refused,
    Suspect,
    Suspects,
    Text,
    pipes,
    receive,
    send,
)
from hnm_core.data.base import Dataset, LoadCancelled
from hnm_core.data.judged import Items
from hnm_core.data.pair_review import id_of
from hnm_core.data.pair_review import subject as subject_of_pairs
from hnm_core.data.review import subject
from hnm_core.errors import InputError
from hnm_core.run.item_texts import lines_in_sight
from hnm_core.spec import plug_ins
from hnm_core.spec.registry import is_over_documents
from hnm_core.system import processes

if TYPE_CHECKING:
    from hnm_core.studies.doubtful import Queue
    from hnm_core.studies.doubtful_pairs import PairQueue

MOST_CHARACTERS = 8_000
"""Of a text that is shown."""
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


def ranked(request: Rank, tell: Callable[[HowFar], None]) -> Suspects | DoubtfulPairs | Refused:
    """The head of the queue, or why there is none; `tell` is told how far it is."""
    from hnm_core.distances import Distance
    from hnm_core.evaluation.suspects import NEIGHBOURS
    from hnm_core.studies.doubtful import queue
    from hnm_core.studies.doubtful_pairs import queue_of_run

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
        if is_over_documents(request.config.data.name):
            pairs = queue_of_run(
                request.config, NEIGHBOURS, run=run, lane=request.lane, progress=progress, say=notes.append
            )
            return pairs_told(pairs, request.most, tuple(notes))
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


def pairs_told(found: PairQueue, most: int, notes: tuple[str, ...] = ()) -> DoubtfulPairs:
    """The first of a queue of pairs as the window shows them."""
    from hnm_core.studies.doubtful_pairs import evidence

    queries, documents = found.judged.queries, found.judged.documents
    pairs = [
        DoubtfulPair(
            _text(queries, int(found.query[place])),
            _text(documents, int(found.document[place])),
            _text(documents, int(found.positive[place])),
            float(found.score[place]),
            int(found.rank[place]),
            float(found.positive_score[place]),
            int(found.document[place]),
            evidence(found, place),
        )
        for place in range(min(most, len(found)))
    ]
    return DoubtfulPairs(subject_of_pairs(found.judged), tuple(pairs), len(found), notes)


def _text(items: Items, row: int) -> Text:
    text = "" if items.text is None else items.text[row]
    more = len(text) - MOST_CHARACTERS
    cut = f"\n... {more:,} characters more" if more > 0 else ""
    return Text(id_of(items, row), lines_in_sight(text[:MOST_CHARACTERS]) + cut)


def _item(dataset: Dataset, row: int) -> Item:
    picture = None if dataset.images is None else shrunk(dataset.images[row : row + 1])[0]
    words = row_text(np.array(dataset.x[row])) if picture is None else ""
    return Item(int(dataset.ids[row]), dataset.class_names[dataset.y[row]], picture, words)


if __name__ == "__main__":
    main()
