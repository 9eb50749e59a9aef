"""The commands on sets of queries and documents, and the options by which these are named."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hnm_core.cli.console import echo, progress_bar, progress_of, say
from hnm_core.cli.options import PluginOption
from hnm_core.data.base import Progress
from hnm_core.spec.config import split_setting

if TYPE_CHECKING:
    from hnm_core.data.judged import JudgedSet

JudgedArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder (BEIR layout, or embeddings with qrels), a file of pairs (.jsonl .parquet .csv .tsv), or a "
        "registered set.",
    ),
]
SplitOption = Annotated[str, typer.Option("--split", metavar="NAME", help="Which qrels: test, or the only ones.")]
QueriesOption = Annotated[
    str, typer.Option("--queries", metavar="FILE", help="Queries: texts (.jsonl) or embeddings (.npy ...).")
]
DocumentsOption = Annotated[
    str, typer.Option("--documents", metavar="FILE", help="Documents: texts (.jsonl) or embeddings (.npy ...).")
]
QrelsOption = Annotated[str, typer.Option("--qrels", metavar="FILE", help="Judgements, as TREC or BEIR write them.")]
SetOfDataOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Repeatable: of a registered set, e.g. packages=installed."),
]


def read_judged(
    data: str,
    *,
    split: str = "",
    queries: str = "",
    documents: str = "",
    qrels: str = "",
    settings: list[str] | None = None,
    progress: Progress | None = None,
) -> JudgedSet:
    """The set that such options name, and say what was read. Raises `InputError` as `hnm_core.data.retrieval.read`."""
    from hnm_core.data.retrieval import read

    options = dict(map(split_setting, settings or ()))
    made = read(
        data, split=split, queries=queries, documents=documents, qrels=qrels, options=options, progress=progress
    )
    say(made.as_read)
    return made


def encode(
    data: JudgedArgument,
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A new folder, which is such a set with embeddings.")],
    encoder: Annotated[
        str,
        typer.Option(
            "--encoder",
            metavar="NAME",
            help="hashed-words, which needs no model, or module:function: a list of texts to an array, a row for each.",
        ),
    ] = "hashed-words",
    query_encoder: Annotated[
        str, typer.Option("--query-encoder", metavar="NAME", help="Another for the queries.")
    ] = "",
    batch: Annotated[int, typer.Option("--batch", metavar="N", help="Texts at once.")] = 256,
    split: SplitOption = "",
    queries: QueriesOption = "",
    documents: DocumentsOption = "",
    qrels: QrelsOption = "",
    settings: SetOfDataOption = None,
    plugin: PluginOption = None,
) -> None:
    """Texts of queries and documents to embeddings, once: a folder that mining takes."""
    from hnm_core.studies.encoding import encode_set

    # what the encoder's own code prints is no output of this command
    with progress_bar() as bars, contextlib.redirect_stdout(sys.stderr):
        show = progress_of(bars)
        made = read_judged(
            data, split=split, queries=queries, documents=documents, qrels=qrels, settings=settings, progress=show
        )
        width = encode_set(made, out, encoder, query_encoder=query_encoder, batch=batch, progress=show)
    if made.negatives is not None:
        say(f"The {len(made.negatives):,} negatives that came with the pairs are not in it: this layout has none.")
    say(f"{len(made.queries):,} queries and {len(made.documents):,} documents in {width:,} dimensions.")
    echo(str(out))
