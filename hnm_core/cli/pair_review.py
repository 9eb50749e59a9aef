"""`hnm-lab review` of queries and documents: what nobody judged and lies nearer than all that is relevant."""

from __future__ import annotations

import json
import shutil
from itertools import islice, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from hnm_core.cli.console import echo, in_a_line, plain, progress_bar, progress_of, say, show_table
from hnm_core.cli.deciding import go_through
from hnm_core.cli.minable import with_embeddings
from hnm_core.cli.retrieval_commands import read_judged
from hnm_core.words import number

if TYPE_CHECKING:
    from hnm_core.data.judged import Items
    from hnm_core.data.pair_review import PairReviewing
    from hnm_core.distances import Distance
    from hnm_core.studies.doubtful_pairs import PairQueue

COLUMNS = ("query", "document", "score", "relevant", "its score", "alike", "mutual")
KEYS = "K keep as a negative   D drop, neither   R relevant   U undo   S skip   Q quit"
LINES = 14
"""Of a document that are shown."""
BETWEEN = "  |  "


def queue_of_data(data: str, encoder: str, distance: Distance, k: int) -> PairQueue:
    """The queue of a set. Raises `InputError` where it cannot be read or has no embeddings."""
    from hnm_core.studies.doubtful_pairs import pair_queue

    with progress_bar() as bars:
        show = progress_of(bars)
        return pair_queue(with_embeddings(read_judged(data, progress=show), encoder, show), distance, k, show)


def queue_of_recording(run: str, lane: str | None, k: int) -> PairQueue:
    """The queue of the set that a run was trained on, in what a lane makes of it. Raises `InputError` as
    `hnm_core.studies.doubtful_pairs.queue_of_run`."""
    from hnm_core.recording import open_recording
    from hnm_core.recording.runs import find_run
    from hnm_core.studies.doubtful_pairs import queue_of_run

    with progress_bar() as bars:
        config = open_recording(find_run(run)).config
        return queue_of_run(config, k, run=run, lane=lane, progress=progress_of(bars), say=say)


def review_pairs(out: Path, queue: PairQueue, *, listed: bool, most: int, json_document: bool) -> None:
    """List the queue, or go through it. Options are those of the command. Raises `InputError` where the file is no
    review of its set."""
    from hnm_core.data.pair_review import reviewing, subject

    say(
        f"{len(queue):,} documents that nobody judged lie nearer to one of {queue.anchors:,} queries than all that is "
        "relevant to it."
    )
    if listed:
        _list(queue, most, json_document)
        return
    with reviewing(out, subject(queue.judged)) as ongoing:
        if ongoing.review.torn:
            say(f"The last line of '{out}' was not written whole; it is left out.")
        _ask(queue, ongoing, most)
        counts = ongoing.review.counts()
    said = ", ".join(f"{verdict} {counts[verdict]:,}" for verdict in counts)
    say(f"{said}. `hnm-lab run --review`, `mine --review` and `audit --review` obey them.")
    echo(str(out))


def _list(queue: PairQueue, most: int, json_document: bool) -> None:
    rows = [_row(queue, place) for place in range(min(most, len(queue)))]
    if json_document:
        pairs = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        echo(json.dumps(plain({"suspects": len(queue), "queue": pairs}), indent=1, allow_nan=False))
        return
    show_table(COLUMNS, [tuple(map(in_a_line, row)) for row in rows])


def _row(queue: PairQueue, place: int) -> tuple[str, ...]:
    documents = queue.judged.documents.ids
    return (
        str(queue.judged.queries.ids[queue.query[place]]),
        str(documents[queue.document[place]]),
        number(float(queue.score[place]), 3),
        str(documents[queue.positive[place]]),
        number(float(queue.positive_score[place]), 3),
        number(float(queue.alike[place]), 3),
        "yes" if queue.back[place] else "no",
    )


def _ask(queue: PairQueue, ongoing: PairReviewing, most: int) -> None:
    from hnm_core.data.pair_review import PairDecision, Verdict, id_of

    pairs = [
        (id_of(queue.judged.queries, query), id_of(queue.judged.documents, document))
        for query, document in zip(queue.query.tolist(), queue.document.tolist(), strict=True)
    ]
    decided = ongoing.review.by_pair()
    places = list(islice((place for place, pair in enumerate(pairs) if pair not in decided), most))
    verdicts: dict[str, Verdict] = {"k": "keep", "d": "drop", "r": "relevant"}

    def decide(at: int, key: str) -> None:
        ongoing.decide(PairDecision(*pairs[places[at]], verdicts[key]))

    def undo() -> int | None:
        undone = ongoing.undo()
        if undone is None:
            return None
        say(in_a_line(f"Query {undone.query}, document {undone.document}: '{undone.verdict}' is taken back."))
        place = pairs.index((undone.query, undone.document)) if (undone.query, undone.document) in pairs else -1
        return places.index(place) if place in places else -1

    go_through(len(places), KEYS, lambda at, where: _show(queue, places[at], where), decide, undo)


def _show(queue: PairQueue, place: int, where: str) -> None:
    from hnm_core.studies.doubtful_pairs import evidence

    queries, documents = queue.judged.queries, queue.judged.documents
    query, document, positive = (int(rows[place]) for rows in (queue.query, queue.document, queue.positive))
    echo(f"\n{in_a_line(f'{where}: query {queries.ids[query]}')}")
    if queries.text is not None:
        echo(in_a_line(queries.text[query]))
    for sentence in evidence(queue, place):
        echo(in_a_line(sentence))
    for left, right in zip_longest(
        _lines(documents, document, "not judged"), _lines(documents, positive, "relevant"), fillvalue=""
    ):
        width = (shutil.get_terminal_size().columns - len(BETWEEN)) // 2
        echo(f"{left[:width]:<{width}}{BETWEEN}{right[:width]}".rstrip())


def _lines(documents: Items, row: int, what: str) -> list[str]:
    """What there is to see of a document."""
    text = documents.text[row] if documents.text is not None else ""
    shown = [in_a_line(line.expandtabs(4)) for line in text.splitlines()]
    more = [f"... {len(shown) - LINES:,} lines more"] * (len(shown) > LINES)
    return [in_a_line(f"{what}: {documents.ids[row]}"), *shown[:LINES], *more]
