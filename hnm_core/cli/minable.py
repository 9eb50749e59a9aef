"""What can be mined, as the commands name it: queries and documents with embeddings, or items of classes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hnm_core.cli.console import say
from hnm_core.cli.retrieval_commands import read_judged
from hnm_core.data.base import Progress
from hnm_core.errors import InputError
from hnm_core.spec.config import split_setting
from hnm_core.spec.data_files import data_format, is_judged
from hnm_core.system import paths

if TYPE_CHECKING:
    from hnm_core.data.judged import JudgedSet
    from hnm_core.negatives.to_file import LabelledSet

WITH_CLASSES = (".npz", ".npy", ".pt", ".safetensors")
"""Files that hold labels, unless qrels are given."""

MinableArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A folder (BEIR layout, or embeddings with qrels), a file of pairs, a set; or items of classes.",
    ),
]
MetricOption = Annotated[
    str, typer.Option("--metric", metavar="NAME", help="cosine, inner-product, euclidean, squared-euclidean.")
]
EncoderOption = Annotated[
    str, typer.Option("--encoder", metavar="NAME", help="For texts without embeddings, see `encode`.")
]
ClassesOption = Annotated[bool, typer.Option("--classes", help="DATA is a table of items with labels.")]
ReviewOption = Annotated[
    Path | None, typer.Option("--review", metavar="FILE.jsonl", help="Obey the decisions of `hnm-lab review`.")
]


def read_minable(
    data: str,
    *,
    classes: bool,
    review: Path | None,
    encoder: str,
    split: str,
    queries: str,
    documents: str,
    qrels: str,
    settings: list[str] | None,
    progress: Progress,
) -> JudgedSet | LabelledSet:
    """The set that such options name, with embeddings, and say what was read.

    Raises:
        InputError: it cannot be read, has no embeddings and no encoder, or a review is not of it.
        LoadCancelled: the progress callback returned False.
    """
    if classes or _has_classes(data, qrels):
        return _labelled(data, settings, review, progress)
    judged = read_judged(
        data, split=split, queries=queries, documents=documents, qrels=qrels, settings=settings, progress=progress
    )
    if review is not None:
        from hnm_core.data import pair_review

        decided = pair_review.read(review)
        judged = pair_review.applied(judged, decided, review)
        say(pair_review.said_of(decided, review))
    return with_embeddings(judged, encoder, progress)


def over_judgements(data: str) -> bool:
    """Whether that names queries and documents: a registered set, or files, by their names or a short look."""
    from hnm_core.spec.registry import DATASETS

    return not _has_classes(data, "") and (data in DATASETS.names() or is_judged(paths.path_of(data)))


def _has_classes(data: str, qrels: str) -> bool:
    """Whether the data hold classes rather than queries and documents."""
    from hnm_core.spec.registry import DATASETS

    if data in DATASETS.names():
        return not DATASETS.entry(data).options.judged
    if Path(data).suffix.lower() == ".jsonl":
        path = paths.path_of(data)
        return not qrels and paths.is_file(path) and not is_judged(path)
    return Path(data).suffix.lower() in WITH_CLASSES and not qrels


def _labelled(data: str, settings: list[str] | None, review: Path | None, progress: Progress) -> LabelledSet:
    """Items of a registered set or a file of the user's, as a review left them where there is one."""
    from hnm_core import data as sets
    from hnm_core.data.item_labels import in_words
    from hnm_core.data.judged import Items
    from hnm_core.negatives.to_file import LabelledSet
    from hnm_core.spec.registry import DATASETS

    options = dict(map(split_setting, settings or ()))
    if data not in DATASETS.names() and data_format(Path(data)) is None:
        raise InputError(f"'{data}' is no file of items with labels.")
    name, options = (data, options) if data in DATASETS.names() else ("file", options | {"path": paths.text_of(data)})
    if review is not None:
        name, options = "reviewed", {"of": name, "of_options": options, "review": paths.text_of(review)}
    found = sets.build(DATASETS.part(name, options), progress=progress, several=True)
    if found.several is None:
        words = f"{len(found.x):,} items of {len(found.class_names):,} classes."
    else:
        words = f"{len(found.x):,} items; {in_words(found.several)}."
    say(f"{words} {found.as_read}".strip())
    return LabelledSet(found.name, Items(found.ids, None, found.x), found.y, found.y_true, found.several)


def with_embeddings(made: JudgedSet, encoder: str, progress: Progress) -> JudgedSet:
    """The set with those that it has, or those that an encoder makes. Raises `InputError` where that cannot be."""
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
