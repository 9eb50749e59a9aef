"""`audit`: every way to mine a set in one table, before anything is mined or trained."""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hnm_core.cli.console import echo, plain, progress_bar, progress_of, say, show_table
from hnm_core.cli.headless import wait_for_kernels
from hnm_core.cli.minable import (
    ClassesOption,
    EncoderOption,
    MetricOption,
    MinableArgument,
    ReviewOption,
    read_minable,
)
from hnm_core.cli.options import PluginOption
from hnm_core.cli.retrieval_commands import DocumentsOption, QrelsOption, QueriesOption, SetOfDataOption, SplitOption
from hnm_core.errors import InputError, unknown_name
from hnm_core.spec.config import split_setting
from hnm_core.words import number, percent

if TYPE_CHECKING:
    from hnm_core.studies.auditing import Audit, Row

COLUMNS = (
    "search, way", "front", "similarity", "lead", "hardness kept", "suspected", "known", "recall", "fewer", "none",
    "build s", "search s", "MB",
)  # fmt: skip

_NO_PROOF = (
    "Margins and semi-hard leave out what is nearer than the positive, which is what is suspected: their 0 % proves "
    "nothing."
)


def audit(
    data: MinableArgument,
    out: Annotated[
        Path | None, typer.Argument(metavar="[OUT]", help="A folder for audit.json and a plot.", show_default=False)
    ] = None,
    negatives: Annotated[
        int, typer.Option("--negatives", "--num-negatives", metavar="N", help="Negatives for each anchor.")
    ] = 3,
    searches: Annotated[
        list[str] | None,
        typer.Option(
            "--search", metavar="NAME[,KEY=VALUE...]", help="Repeatable: one more search, e.g. routed,recall=0.99."
        ),
    ] = None,
    ways: Annotated[
        list[str] | None,
        typer.Option(
            "--way",
            metavar="KEY=VALUE[,KEY=VALUE...]",
            help="Repeatable: one more way to choose, by options of `mine`, e.g. relative_margin=0.2,rank_min=3.",
        ),
    ] = None,
    anchors: Annotated[
        int | None, typer.Option("--anchors", metavar="N", help="Look at so many anchors at most; 2,000 unless given.")
    ] = None,
    metric: MetricOption = "cosine",
    encoder: EncoderOption = "",
    classes: ClassesOption = False,
    review: ReviewOption = None,
    split: SplitOption = "",
    queries: QueriesOption = "",
    documents: DocumentsOption = "",
    qrels: QrelsOption = "",
    settings: SetOfDataOption = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Of all that is drawn.")] = 0,
    json_document: Annotated[bool, typer.Option("--json", help="One JSON document instead of the table.")] = False,
    plugin: PluginOption = None,
) -> None:
    """Every way to mine your embeddings in one table: how hard, how false, how fast; and which to take."""
    from hnm_core import kernels
    from hnm_core.distances import METRICS, Distance
    from hnm_core.studies import auditing

    if metric not in METRICS:
        raise unknown_name("metric", metric, METRICS)
    asked = auditing.request(
        {name: (name, {}) for name in auditing.SEARCHES} | _named_searches(searches),
        dict(auditing.WAYS) | {text: _settings(text.split(",")) for text in ways or ()},
        negatives=negatives,
        distance=Distance(metric),
        anchors=auditing.MOST_ANCHORS if anchors is None else anchors,
        seed=seed,
    )
    if out is not None:
        _make_folder(out)
    with progress_bar() as bars, contextlib.redirect_stdout(sys.stderr):  # an encoder's own words are no output
        show = progress_of(bars)
        given = read_minable(
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
    wait_for_kernels(kernels.SEARCH_KERNELS)  # or the first way would pay for all
    with progress_bar() as bars:
        made = auditing.audit(given, asked, progress_of(bars))
    document = _document(given.name, metric, made)
    if json_document:
        echo(_as_json(document))
    else:
        show_table(COLUMNS, map(_cells, made.rows))
    for line in _words(made):
        say(line)
    if not json_document:
        echo(made.advice)
    if out is not None:
        for path in _write(out, given.name, made, document):
            (say if json_document else echo)(str(path))


def _settings(parts: list[str]) -> dict[str, Any]:
    return dict(map(split_setting, parts))


def _named_searches(given: list[str] | None) -> dict[str, tuple[str, Mapping[str, Any]]]:
    """By their texts; an option whose value is a list of several cannot be written so."""
    found: dict[str, tuple[str, Mapping[str, Any]]] = {}
    for text in given or ():
        name, *options = text.split(",")
        found[text] = name, _settings(options)
    return found


def _make_folder(out: Path) -> None:
    """Before anything is computed. Raises `InputError` where that cannot be."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"The folder '{out}' cannot be made: {error.strerror or error}.") from None


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.name,
        "*" if row.front else "",
        number(row.similarity),
        number(row.lead),
        percent(row.kept),
        percent(row.suspected),
        percent(row.known),
        number(row.recall),
        f"{row.fewer:,}",
        f"{row.without:,}",
        number(row.build_s),
        number(row.search_s),
        number(row.megabytes, 0),
    )


def _words(made: Audit) -> list[str]:
    """What the columns mean where that is not plain, and what was left out."""
    sample = "" if made.anchors == made.of_anchors else f", a sample of {made.of_anchors:,}"
    judged_by = "the known ones" if made.truth else "the suspected ones"
    lines = [
        f"{made.anchors:,} anchors{sample}; {made.candidates:,} candidates; {made.per_anchor} negatives for each.",
        "similarity: mean of the negatives; lead: less that of the positive; hardness kept: 0 % is random, 100 % the "
        "exact nearest.",
        f"suspected: false negatives, {made.evidence}; known: by true labels, where there are some.",
        *([_NO_PROOF] if made.evidence_is_filter else []),
        "recall: of the candidates looked at, against the exact search; fewer, none: anchors with fewer negatives than "
        "asked for, with none.",
        "build s is paid once for all ways of a search; seconds and MB are of this machine and these anchors.",
        "*: on the pareto front of hardness kept x share of the negatives asked for that were found, against the share "
        f"of false ones, {judged_by}.",
    ]
    return lines + [f"Left out: {name}: {why}" for name, why in made.skipped.items()]


def _document(name: str, metric: str, made: Audit) -> dict[str, Any]:
    return {
        "set": name,
        "metric": metric,
        "anchors": made.anchors,
        "of_anchors": made.of_anchors,
        "candidates": made.candidates,
        "negatives": made.per_anchor,
        "suspected_by": made.evidence,
        "truth_known": made.truth,
        "rows": [
            plain(asdict(row) | {"hardness": row.hardness, "false": row.false, "worth": row.worth}) for row in made.rows
        ],
        "left_out": dict(made.skipped),
        "advice": made.advice,
    }


def _as_json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, allow_nan=False)


def _write(out: Path, name: str, made: Audit, document: Mapping[str, Any]) -> list[Path]:
    """The files of the folder. Raises `InputError` where they cannot be written."""
    from hnm_core.studies.plots import plot_audit, require_matplotlib
    from hnm_core.system.whole_files import write_whole

    path = out / "audit.json"
    try:
        write_whole(path, _as_json(document) + "\n")
    except OSError as error:
        raise InputError(f"'{path}' cannot be written: {error.strerror or error}.") from None
    try:
        require_matplotlib()
    except InputError as error:
        say(f"No plot: {error}")
        return [path]
    shown = [row for row in made.rows if not math.isnan(row.worth)]
    plots = [out / "audit.png", out / "audit.svg"]
    kind = "known" if made.truth else "suspected"
    plot_audit(shown, f"Ways to mine {name}", f"{kind} false negatives, %", plots)
    return [path, *plots]
