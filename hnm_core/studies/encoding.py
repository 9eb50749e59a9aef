"""Queries and documents through a text encoder, once: a folder in the BEIR layout, the embeddings beside the texts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.data.base import Progress
from hnm_core.data.judged import Ids, JudgedSet
from hnm_core.data.retrieval.encoders import BATCH, BUILT_IN, encoded_blocks, encoder_of, texts_of
from hnm_core.errors import InputError
from hnm_core.system import paths
from hnm_core.system.whole_files import whole_folder

MOST_BATCH = 65_536


def encode_set(
    made: JudgedSet,
    out: Path,
    encoder: str = BUILT_IN,
    *,
    query_encoder: str = "",
    batch: int = BATCH,
    progress: Progress | None = None,
) -> int:
    """Write `out`: `corpus.jsonl`, `queries.jsonl`, `qrels/test.tsv`, and `documents.npy` and `queries.npy` with row i
    the embedding of line i. Embeddings go to the disk as they are made.

    Args:
        made: a set with texts.
        out: a folder that is not there yet, or is empty.
        encoder: `hashed-words`, or `module:function` (a list of texts to an array with a row for each).
        query_encoder: another for the queries, as models with a prompt want it; empty takes the same.
        batch: texts at once.
        progress: called as texts are encoded.

    Returns:
        Numbers of an embedding.

    Raises:
        InputError: no texts, an encoder that cannot be used, or a folder that cannot be written.
        LoadCancelled: the progress callback returned False.
    """
    if not 1 <= batch <= MOST_BATCH:
        raise InputError(f"batch = {batch} is not allowed: 1 .. {MOST_BATCH:,}.")
    queries, documents = texts_of(made)
    return write_set(
        made,
        out,
        _encoded(queries, documents, query_encoder or encoder, batch, "queries", progress),
        _encoded(documents, documents, encoder, batch, "documents", progress),
        "The encoder of queries gives {:,} numbers and that of documents {:,}",
    )


def write_set(
    made: JudgedSet,
    out: Path,
    queries: Iterator[NDArray[np.float32]],
    documents: Iterator[NDArray[np.float32]],
    widths_in_words: str = "A query has {:,} numbers and a document {:,}",
) -> int:
    """Write `out` as `encode_set` does, from (B, D) blocks of the embeddings of all queries and all documents in order.

    Args:
        widths_in_words: what to say where the two have different D.

    Raises:
        InputError: `out` is there, or cannot be written; there are no texts, or different D.
    """
    texts = texts_of(made)
    _check_ids(made)
    if paths.exists(out) and not (paths.is_folder(out) and not any(out.iterdir())):
        raise InputError(f"'{out}' exists already; remove it, or give another name.")
    try:
        with whole_folder(out) as folder:
            widths = (
                _write_blocks(folder / "queries.npy", queries, len(made.queries)),
                _write_blocks(folder / "documents.npy", documents, len(made.documents)),
            )
            if widths[0] != widths[1]:
                raise InputError(f"{widths_in_words.format(*widths)}; both must give the same number.")
            _write_texts(folder / "queries.jsonl", made.queries.ids, texts[0])
            _write_texts(folder / "corpus.jsonl", made.documents.ids, texts[1])
            (folder / "qrels").mkdir()
            _write_qrels(folder / "qrels" / "test.tsv", made)
    except OSError as error:
        raise InputError(f"'{out}' cannot be written: {paths.why(error)}.") from None
    return widths[0]


def _encoded(
    texts: Sequence[str],
    documents: Sequence[str],
    encoder: str,
    batch: int,
    what: str,
    progress: Progress | None,
) -> Iterator[NDArray[np.float32]]:
    with encoder_of(encoder, documents) as by:
        yield from encoded_blocks(texts, by, encoder, batch=batch, what=what, progress=progress)


def _write_blocks(path: Path, blocks: Iterator[NDArray[np.float32]], items: int) -> int:
    """Write (items, D) to a `.npy` file as they come. Returns D."""
    first = next(blocks)
    header = {"descr": "<f4", "fortran_order": False, "shape": (items, first.shape[1])}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in chain([first], blocks):
            file.write(np.ascontiguousarray(block, "<f4").tobytes())
    return int(first.shape[1])


def _write_texts(path: Path, ids: Ids, texts: Sequence[str]) -> None:
    plain = ids.tolist() if isinstance(ids, np.ndarray) else ids
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for one, text in zip(plain, texts, strict=True):
            file.write(json.dumps({"_id": one, "text": text}, ensure_ascii=False) + "\n")


def _write_qrels(path: Path, made: JudgedSet) -> None:
    judgements = made.judgements
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write("query-id\tcorpus-id\tscore\n")
        for query, document, grade in zip(
            judgements.query, judgements.document, judgements.grade.tolist(), strict=True
        ):
            file.write(f"{made.queries.ids[query]}\t{made.documents.ids[document]}\t{grade:.9g}\n")


def _check_ids(made: JudgedSet) -> None:
    """Raises `InputError` for an id that a file of qrels, with tabs between ids, could not hold."""
    for noun, ids in (("query", made.queries.ids), ("document", made.documents.ids)):
        if isinstance(ids, np.ndarray):
            continue
        wrong = next((one for one in ids if one != one.strip() or not one.isprintable()), None)
        if wrong is not None:
            raise InputError(
                f"The id '{checks.shown(wrong)}' of a {noun} has a tab, a line break or blanks at its ends, which "
                "qrels cannot hold."
            )
