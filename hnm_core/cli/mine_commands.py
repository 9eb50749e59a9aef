"""`mine`: hard negatives for every anchor of a set, as a file for a trainer."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hnm_core.cli.console import echo, progress_bar, progress_of, say
from hnm_core.cli.minable import (
    ClassesOption,
    EncoderOption,
    MetricOption,
    MinableArgument,
    ReviewOption,
    read_minable,
)
from hnm_core.cli.options import PluginOption
from hnm_core.cli.retrieval_commands import (
    DocumentsOption,
    QrelsOption,
    QueriesOption,
    SetOfDataOption,
    SplitOption,
)
from hnm_core.errors import InputError
from hnm_core.spec.config import split_setting
from hnm_core.system import paths

if TYPE_CHECKING:
    from hnm_core.negatives.to_file import Report

FORMATS = "triplet, n-tuple, labeled-pair, labeled-list, flag-embedding, tevatron, ids, trec, npz"


def mine(
    data: MinableArgument,
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
    metric: MetricOption = "cosine",
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
    encoder: EncoderOption = "",
    classes: ClassesOption = False,
    review: ReviewOption = None,
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
    read = [data, queries, documents, qrels, *map(str, filter(None, [review, *(candidates or ())]))]
    paths.refuse_replacing(out, read, made=paths.exists(meta_of(out)))
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
        made = read_minable(
            data,
            classes=classes,
            review=review,
            encoder=encoder,
            split=split,
            queries=queries,
            documents=documents,
            qrels=qrels,
            settings=settings,
            progress=show,
        )
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


def _say(report: Report) -> None:
    """What came of it, a line for each thing that somebody may stumble over."""
    from hnm_core.data.checks import count

    mined = report.mined
    if report.resumed:
        say(f"{count(report.resumed, 'block')} of an earlier call kept.")
    if report.of_another:
        say(f"{count(report.of_another, 'block')} of an earlier call with other data or options made way.")
    say(
        f"{count(report.negatives, 'negative')} for {count(len(mined), 'anchor')}, {count(report.records, 'record')}; "
        f"candidates: {report.candidates}."
    )
    for what, number in mined.alike.items():
        say(f"The same: {number:,} {what}.")
    for name, number in mined.removed.items():
        say(f"Removed by {name}: {count(number, 'candidate')}.")
    for name, number in mined.reasons.items():
        say(f"Fewer negatives than asked for: {count(number, 'anchor')}, {name}.")
    if report.without_record:
        say(f"The file holds nothing of {count(report.without_record, 'anchor')}.")
