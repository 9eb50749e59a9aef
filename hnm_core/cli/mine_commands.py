"""`mine`: hard negatives for every anchor of a set, as a file for a trainer."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hnm_core.cli.console import echo, progress_bar, progress_of, say
from hnm_core.cli.options import PluginOption
from hnm_core.cli.retrieval_commands import (
    DocumentsOption,
    QrelsOption,
    QueriesOption,
    SetOfDataOption,
    SplitOption,
    read_judged,
)
from hnm_core.data.base import Progress
from hnm_core.errors import InputError
from hnm_core.spec.config import split_setting
from hnm_core.spec.data_files import data_format

if TYPE_CHECKING:
    from hnm_core.data.judged import JudgedSet
    from hnm_core.negatives.to_file import LabelledSet, Report

WITH_CLASSES = (".npz", ".npy", ".pt", ".safetensors")
"""Files that hold labels, unless qrels are given."""
FORMATS = "triplet, n-tuple, labeled-pair, labeled-list, flag-embedding, tevatron, ids, trec, npz"


def mine(
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A folder (BEIR layout, or embeddings with qrels), a file of pairs, a set; or items of classes.",
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A .jsonl, .jsonl.gz, .parquet, .npz or .trec file.")],
    form: Annotated[
        str, typer.Option("--format", metavar="NAME", help=f"{FORMATS}; triplet, or what the ending says.")
    ] = "",
    negatives: Annotated[
        int, typer.Option("--negatives", "--num-negatives", metavar="N", help="Negatives for each anchor.")
    ] = 3,
    search: Annotated[
        str, typer.Option("--search", metavar="NAME", help="exact, routed, lsh-scan ...; see `list neighbors`.")
    ] = "exact",
    metric: Annotated[
        str, typer.Option("--metric", metavar="NAME", help="cosine, inner-product, euclidean, squared-euclidean.")
    ] = "cosine",
    rank_min: Annotated[
        int | None, typer.Option("--rank-min", "--range-min", metavar="N", help="So many nearest are passed over.")
    ] = None,
    rank_max: Annotated[
        int | None, typer.Option("--rank-max", "--range-max", metavar="N", help="Only so many nearest are looked at.")
    ] = None,
    absolute_margin: Annotated[
        float | None, typer.Option("--absolute-margin", metavar="M", help="Lower than the positive's score by so much.")
    ] = None,
    relative_margin: Annotated[
        float | None, typer.Option("--relative-margin", metavar="M", help="By this share of its size; 0.05 is usual.")
    ] = None,
    max_score: Annotated[float | None, typer.Option("--max-score", metavar="S", help="No higher score.")] = None,
    min_score: Annotated[float | None, typer.Option("--min-score", metavar="S", help="No lower score.")] = None,
    sampling_strategy: Annotated[
        str | None, typer.Option("--sampling-strategy", metavar="top|random", help="The nearest, or drawn.")
    ] = None,
    like: Annotated[
        str, typer.Option("--like", metavar="NAME", help="sentence-transformers: exactly its choice.")
    ] = "hnm-lab",
    options: Annotated[
        list[str] | None,
        typer.Option("--option", metavar="KEY=VALUE", help="Repeatable: any other, e.g. select=semi-hard."),
    ] = None,
    search_options: Annotated[
        list[str] | None,
        typer.Option("--search-option", metavar="KEY=VALUE", help="Repeatable: of the search, e.g. recall=0.95."),
    ] = None,
    candidates: Annotated[
        list[Path] | None,
        typer.Option("--candidates", metavar="LISTS", help="Repeatable: what others found (.npy, .npz, TREC run)."),
    ] = None,
    scores: Annotated[bool, typer.Option("--scores", help="With scores, where the format can have them.")] = False,
    encoder: Annotated[
        str, typer.Option("--encoder", metavar="NAME", help="For texts without embeddings, see `encode`.")
    ] = "",
    classes: Annotated[bool, typer.Option("--classes", help="DATA is a table of items with labels.")] = False,
    review: Annotated[
        Path | None, typer.Option("--review", metavar="FILE.jsonl", help="Of items with labels: obey `hnm-lab review`.")
    ] = None,
    split: SplitOption = "",
    queries: QueriesOption = "",
    documents: DocumentsOption = "",
    qrels: QrelsOption = "",
    settings: SetOfDataOption = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of all that is drawn.")] = 0,
    json_document: Annotated[bool, typer.Option("--json", help="What came of it as one JSON document.")] = False,
    plugin: PluginOption = None,
) -> None:
    """Hard negatives for every anchor of a set, as a file for a trainer. Ended, the same command goes on."""
    from hnm_core.distances import METRICS, Distance
    from hnm_core.errors import unknown_name
    from hnm_core.negatives.files import check_ending, usual_form
    from hnm_core.negatives.options import checked
    from hnm_core.negatives.to_file import Request, meta_of, mine_to_file
    from hnm_core.spec.registry import NEIGHBORS

    check_ending(out, form or usual_form(out))
    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    named: dict[str, Any] = {
        "rank_min": rank_min,
        "rank_max": rank_max,
        "absolute_margin": absolute_margin,
        "relative_margin": relative_margin,
        "max_score": max_score,
        "min_score": min_score,
        "sampling_strategy": sampling_strategy,
    }
    given = {name: value for name, value in named.items() if value is not None}
    more = dict(map(split_setting, options or ()))
    twice = sorted(more.keys() & (named.keys() | {"negatives", "num_negatives", "like", "seed"}))
    if twice:
        raise InputError(f"--option {twice[0]}=... has an option of its own; write --{twice[0].replace('_', '-')}.")
    request = Request(
        out,
        checked({"negatives": negatives, "like": like, "seed": seed, **given, **more}),
        NEIGHBORS.part(search, dict(map(split_setting, search_options or ()))),
        Distance(metric),
        form,
        scores,
        tuple(candidates or ()),
    )
    with progress_bar() as bars, contextlib.redirect_stdout(sys.stderr):  # an encoder's own words are no output
        show = progress_of(bars)
        if classes or _has_classes(data, qrels):
            made: JudgedSet | LabelledSet = _labelled(data, settings, review, show)
        else:
            if review is not None:
                raise InputError(f"--review is of items with labels, and '{data}' holds queries and documents.")
            judged = read_judged(
                data, split=split, queries=queries, documents=documents, qrels=qrels, settings=settings, progress=show
            )
            made = _encoded(judged, encoder, show)
        try:
            report = mine_to_file(made, request, show)
        except KeyboardInterrupt:
            say("What is done is kept; the same command goes on from there.")
            raise
    _say(report)
    if json_document:
        echo(meta_of(out).read_text(encoding="utf-8").rstrip())
    else:
        echo(str(out))


def _has_classes(data: str, qrels: str) -> bool:
    """Whether the data hold classes rather than queries and documents."""
    from hnm_core.spec.registry import DATASETS

    if data in DATASETS.names():
        return not DATASETS.entry(data).options.judged
    return Path(data).suffix.lower() in WITH_CLASSES and not qrels


def _labelled(data: str, settings: list[str] | None, review: Path | None, progress: Progress) -> LabelledSet:
    """Items of a registered set or a file of the user's, as a review left them where there is one."""
    from hnm_core import data as sets
    from hnm_core.data.judged import Items
    from hnm_core.negatives.to_file import LabelledSet
    from hnm_core.spec.registry import DATASETS

    options = dict(map(split_setting, settings or ()))
    if data not in DATASETS.names() and data_format(Path(data)) is None:
        raise InputError(f"'{data}' is no file of items with labels.")
    name, options = (data, options) if data in DATASETS.names() else ("file", options | {"path": data})
    if review is not None:
        name, options = "reviewed", {"of": name, "of_options": options, "review": str(review)}
    found = sets.create(name, progress=progress, **options)
    say(f"{len(found.x):,} items of {len(found.class_names):,} classes. {found.as_read}".strip())
    return LabelledSet(found.name, Items(found.ids, None, found.x), found.y)


def _encoded(made: JudgedSet, encoder: str, progress: Progress) -> JudgedSet:
    if made.queries.embeddings is not None and made.documents.embeddings is not None:
        if encoder:
            raise InputError(f"'{made.name}' has embeddings already; leave --encoder out.")
        return made
    if not encoder:
        raise InputError(
            f"'{made.name}' has texts without embeddings. Write them by `encode {made.name} FOLDER`, or give "
            "--encoder hashed-words, which needs no model, or --encoder module:function."
        )
    from hnm_core.data.retrieval.encoders import encoded

    return encoded(made, encoder, progress=progress)


def _say(report: Report) -> None:
    """What came of it, a line for each thing that somebody may stumble over."""
    mined = report.mined
    if report.resumed:
        say(f"{report.resumed:,} blocks of an earlier call were there.")
    say(
        f"{report.negatives:,} negatives for {len(mined):,} anchors, {report.records:,} records; candidates: "
        f"{report.candidates}."
    )
    for what, count in mined.alike.items():
        say(f"The same: {count:,} {what}.")
    for name, count in mined.removed.items():
        say(f"Removed by {name}: {count:,} candidates.")
    for name, count in mined.reasons.items():
        say(f"Fewer negatives than asked for: {count:,} anchors, {name}.")
    if report.without_record:
        say(f"The file holds nothing of {report.without_record:,} anchors.")
