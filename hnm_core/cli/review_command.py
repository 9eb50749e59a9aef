"""`hnm-lab review`: doubtful items one by one in a terminal, each decision kept as it is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hnm_core.cli.console import echo, in_a_line, plain, progress_bar, progress_of, say, show_table
from hnm_core.cli.deciding import go_through
from hnm_core.cli.minable import EncoderOption, over_judgements
from hnm_core.cli.options import DataOption, PluginOption, SeedOption, SetOption
from hnm_core.cli.pair_review import queue_of_data, queue_of_recording, review_pairs
from hnm_core.errors import InputError, unknown_name
from hnm_core.spec.config import DISTANCES
from hnm_core.spec.registry import is_over_documents
from hnm_core.spec.request import Request, resolve
from hnm_core.words import number

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from hnm_core.data.review import Decision, Reviewing
    from hnm_core.studies.doubtful import Queue

COLUMNS = ("item", "labelled", "rather", "of the neighbours", "its own", "mutual", "hard negative of", "twin")
SHADES = " .:-=+*#%@"
"""Dark to light, in any encoding."""
WIDEST = 40
"""Columns of a picture in a terminal."""
KEYS = "K keep   D drop   R relabel   U undo   S skip   Q quit"


def review(
    out: Annotated[Path, typer.Argument(metavar="OUT.jsonl", help="File of decisions; goes on where it ends.")],
    data: DataOption = None,
    settings: SetOption = None,
    seed: SeedOption = None,
    run: Annotated[
        str | None,
        typer.Option("--run", metavar="RUN", help="Its data, looked at in the embedding that a lane of it has learnt."),
    ] = None,
    lane: Annotated[str | None, typer.Option("--lane", metavar="NAME", help="The first unless given.")] = None,
    encoder: EncoderOption = "",
    distance: Annotated[
        str | None,
        typer.Option(
            "--distance",
            metavar="NAME",
            help="Between features euclidean unless given, of queries and documents cosine; lanes have their own.",
        ),
    ] = None,
    k: Annotated[int, typer.Option("--k", metavar="N", min=1, max=1000, help="Neighbours that are looked at.")] = 20,
    listed: Annotated[bool, typer.Option("--list", help="Show the queue and end; decide nothing.")] = False,
    most: Annotated[int, typer.Option("--most", metavar="N", min=1, help="So many of the queue.")] = 100,
    json_document: Annotated[bool, typer.Option("--json", help="With --list: one JSON document.")] = False,
    plugin: PluginOption = None,
) -> None:
    """Items whose neighbours are of another class, the most doubtful first: keep, drop or relabel (`run --review`).

    Of queries and documents: documents that nobody judged and that lie nearer to a query than all that is relevant to
    it: keep as negatives, drop, or relevant (`run --review`, `mine --review`).
    """
    if distance is not None and distance not in DISTANCES:
        raise unknown_name("distance", distance, DISTANCES)
    if out.suffix != ".jsonl":
        raise InputError(f"'{out}': the file of decisions must end in .jsonl.")
    if run is not None and (data is not None or settings or seed is not None):
        raise InputError("A recording has data of its own: with --run, give no --data, --set or --seed.")
    if lane is not None and run is None:
        say("--lane has no effect without --run.")
    from hnm_core.distances import Distance

    if data is not None and over_judgements(data):
        if settings or seed is not None:
            raise InputError("--set and --seed are of items with classes; leave them out.")
        found = queue_of_data(data, encoder, Distance(distance or "cosine"), k)
        review_pairs(out, found, listed=listed, most=most, json_document=json_document)
        return
    if encoder and run is not None:
        raise InputError("--encoder is of data; a lane of a run embeds by what it has learnt.")
    if encoder:
        raise InputError("--encoder is of queries and documents that --data names; items with classes have features.")
    if run is not None and _of_pairs(run):
        if distance is not None:
            raise InputError("Towers learn by cosine similarity; leave --distance out.")
        review_pairs(out, queue_of_recording(run, lane, k), listed=listed, most=most, json_document=json_document)
        return
    config = resolve(Request(data=data, settings=tuple(settings or ()), seed=seed), default_preset="audit")
    from hnm_core.data.own import in_words
    from hnm_core.data.review import reviewing, subject
    from hnm_core.studies.doubtful import queue

    with progress_bar() as bars:
        looked_at = queue(
            config, Distance(distance or "euclidean"), k, run=run, lane=lane, progress=progress_of(bars), say=say
        )
    say(in_words(looked_at.dataset))
    if listed:
        _list(looked_at, most, json_document)
        return
    with reviewing(out, subject(looked_at.dataset)) as ongoing:
        if ongoing.review.torn:
            say(f"The last line of '{out}' was not written whole; it is left out.")
        _ask(looked_at, ongoing, most)
        counts = ongoing.review.counts()
    said = ", ".join(f"{verdict} {counts[verdict]:,}" for verdict in counts)
    say(f"{said}. `hnm-lab run --review` and `mine --review` obey them.")
    echo(str(out))


def _of_pairs(run: str) -> bool:
    """Whether a recording is of queries and documents."""
    from hnm_core.recording import open_recording
    from hnm_core.recording.runs import find_run

    return is_over_documents(open_recording(find_run(run)).config.data.name)


def _list(queue: Queue, most: int, json_document: bool) -> None:
    from hnm_core.studies.doubtful import found_by

    rows = [_row(queue, place) for place in range(min(most, len(queue.suspects)))]
    found = found_by(queue)
    if json_document:
        items = [dict(zip(COLUMNS, row, strict=True)) for row in rows]
        document = {"suspects": len(queue.suspects), "queue": items, "truth": vars(found) if found else None}
        echo(json.dumps(plain(document), indent=1, allow_nan=False))
        return
    show_table(COLUMNS, rows)
    say(f"{len(queue.suspects):,} of {len(queue.dataset.y):,} items are doubtful.")
    if found is not None:
        say(
            f"True labels are known: {found.wrong:,} are wrong. Of the first {found.first:,} suspects "
            f"{100 * found.first_wrong:.1f} % are. Looking at {found.looked_at:,} items, 5 % of all, finds "
            f"{100 * found.found:.1f} % of the wrong ones, of at most {100 * found.at_most:.1f} %."
        )


def _row(queue: Queue, place: int) -> tuple[str, ...]:
    dataset, found = queue.dataset, queue.suspects
    row, twin = int(found.row[place]), int(found.twin[place])
    return (
        str(dataset.ids[row]),
        dataset.class_names[dataset.y[row]],
        dataset.class_names[int(found.instead[place])],
        number(float(found.vote[place]), 2),
        number(float(found.own[place]), 2),
        number(float(found.mutual[place]), 2),
        f"{int(found.wanted[place]):,}",
        str(dataset.ids[twin]) if twin >= 0 else "-",
    )


def _ask(queue: Queue, ongoing: Reviewing, most: int) -> None:
    ids, found = queue.dataset.ids, queue.suspects
    decided = ongoing.review.by_item()
    places = [place for place in range(len(found)) if int(ids[int(found.row[place])]) not in decided][:most]

    def undo() -> int | None:
        undone = ongoing.undo()
        if undone is None:
            return None
        say(f"Item {undone.item}: '{undone.verdict}' is taken back.")
        items = [int(ids[int(found.row[place])]) for place in places]
        return items.index(undone.item) if undone.item in items else -1

    go_through(
        len(places),
        KEYS,
        lambda at, where: _show(queue, places[at], where),
        lambda at, key: ongoing.decide(_decision(queue, places[at], key)),
        undo,
    )


def _decision(queue: Queue, place: int, key: str) -> Decision:
    from hnm_core.data.review import Decision

    dataset, row = queue.dataset, int(queue.suspects.row[place])
    item, label = int(dataset.ids[row]), dataset.class_names[dataset.y[row]]
    match key:
        case "k":
            return Decision(item, label, "keep")
        case "d":
            return Decision(item, label, "drop")
    return Decision(item, label, "relabel", dataset.class_names[int(queue.suspects.instead[place])])


def _show(queue: Queue, place: int, where: str) -> None:
    from hnm_core.studies.doubtful import evidence

    item, label, instead = map(in_a_line, _row(queue, place)[:3])
    echo(f"\n{where}: item {item}, labelled {label}, rather {instead}?")
    for sentence in evidence(queue, place):
        echo(in_a_line(sentence))
    dataset, rows = queue.dataset, [int(queue.suspects.row[place])]
    rows += [row for row in queue.suspects.like[place].tolist() if row >= 0]
    if dataset.images is None:
        echo(f"Nearest {instead}: {', '.join(str(dataset.ids[row]) for row in rows[1:])}")
        return
    echo("\n".join(_side_by_side([dataset.images[row] for row in rows])))


def _side_by_side(pictures: list[NDArray[np.uint8]]) -> list[str]:
    """Lines of a terminal: the item, a bar, and its nearest; a letter is about twice as high as wide."""
    lines: list[str] = []
    drawn = [_letters(picture) for picture in pictures]
    for parts in zip(*drawn, strict=True):
        lines.append(parts[0] + "  |  " + "  ".join(parts[1:]))
    return lines


def _letters(picture: NDArray[np.uint8]) -> list[str]:
    grey = picture.mean(2) if picture.ndim == 3 else picture
    every = max(1, -(-grey.shape[1] // WIDEST))
    grey = grey[::every, ::every]
    if grey.shape[1] > WIDEST // 2:
        return ["".join(SHADES[int(value) * len(SHADES) // 256] for value in line) for line in grey[::2]]
    return ["".join(2 * SHADES[int(value) * len(SHADES) // 256] for value in line) for line in grey]
