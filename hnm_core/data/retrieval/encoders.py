"""Texts to vectors, by what needs no model or by a function of the user's."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import LoadCancelled, Progress, report
from hnm_core.data.judged import Items, JudgedSet
from hnm_core.data.retrieval.hashed_words import HashedWords
from hnm_core.errors import InputError, shortened
from hnm_core.spec import own_code

BUILT_IN = "hashed-words"
BATCH = 256

TextEncoder = Callable[[list[str]], Any]
"""(B,) texts to (B, D) numbers: an array, or a tensor on any device."""


@contextmanager
def encoder_of(name: str, documents: Sequence[str]) -> Iterator[TextEncoder]:
    """The encoder of a name, `hashed-words` or `module:function`; modules in the current folder are found.

    Args:
        name: of the encoder.
        documents: texts that it may count words in.

    Raises:
        InputError: no such encoder, or code of the user's that fails.
    """
    if name == BUILT_IN:
        yield HashedWords(documents)
        return
    if ":" not in name:
        raise InputError(
            f"Unknown encoder '{shortened(name)}'. Known: {BUILT_IN}; a function of yours is module:function, which "
            "takes a list of texts and returns an array with a row for each."
        )
    with own_code.importable_here():
        try:
            found = own_code.attribute_of(name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - code of the user's breaks, or ends, as it likes
            hint = own_code.hint(name, error)
            raise InputError(f"The encoder '{name}' cannot be loaded: {own_code.said(error)}.{hint}") from None
        if not callable(found):
            raise InputError(
                f"The encoder '{name}' is {type(found).__name__}; it must be a function of a list of texts."
            )
        yield found


def encoded_blocks(
    texts: Sequence[str],
    encoder: TextEncoder,
    name: str,
    *,
    batch: int = BATCH,
    what: str = "texts",
    progress: Progress | None = None,
) -> Iterator[NDArray[np.float32]]:
    """(B, D) finite vectors of the texts, batch after batch.

    Args:
        texts: (N,)
        encoder: what makes them.
        name: of it, for messages.
        batch: B, of the last less.
        what: the texts are, for progress and messages.
        progress: called before each batch.

    Raises:
        InputError: the encoder fails, or returns something else.
        LoadCancelled: the progress callback returned False.
    """
    width = 0
    for start in range(0, len(texts), batch):
        report(progress, start, len(texts), f"encoding {what}")
        part = list(texts[start : start + batch])
        try:
            vectors = _array(encoder(part))
        except (InputError, LoadCancelled):
            raise
        except Exception as error:  # noqa: BLE001 - code of the user's breaks in any way it likes
            raise InputError(f"The encoder '{name}' fails on {len(part):,} {what}: {own_code.said(error)}.") from None
        if vectors.ndim != 2 or len(vectors) != len(part) or vectors.dtype.kind not in "fiu" or not vectors.size:
            raise InputError(
                f"The encoder '{name}' returned {vectors.dtype} of the shape {vectors.shape}; it must return "
                f"({len(part)}, dimensions), a row of numbers for each text."
            )
        if width and vectors.shape[1] != width:
            raise InputError(
                f"The encoder '{name}' gave {width:,} numbers a text before and {vectors.shape[1]:,} now; every text "
                "needs the same number."
            )
        width = vectors.shape[1]
        with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is told below
            found = vectors.astype(np.float32)
        bad = np.flatnonzero(~np.isfinite(found).all(axis=1))
        if len(bad):
            raise InputError(
                f"The encoder '{name}' gives NaN or infinity for text {start + int(bad[0]):,} (counted from 0) of the "
                f"{what}."
            )
        yield found
    report(progress, len(texts), len(texts), f"encoding {what}")


def encoded(
    made: JudgedSet, encoder: str = BUILT_IN, *, batch: int = BATCH, progress: Progress | None = None
) -> JudgedSet:
    """The set with embeddings of its texts, made in memory.

    Args:
        made: a set with texts.
        encoder: see `encoder_of`.
        batch: texts at once.
        progress: called as texts are encoded.

    Raises:
        InputError: the set has no texts, or as `encoder_of` and `encoded_blocks`.
        LoadCancelled: the progress callback returned False.
    """
    queries, documents = texts_of(made)

    def embedded(items: Items, texts: Sequence[str], what: str) -> Items:
        blocks = encoded_blocks(texts, made_by, encoder, batch=batch, what=what, progress=progress)
        return dataclasses.replace(items, embeddings=np.concatenate(list(blocks)))

    with encoder_of(encoder, documents) as made_by:
        return dataclasses.replace(
            made,
            queries=embedded(made.queries, queries, "queries"),
            documents=embedded(made.documents, documents, "documents"),
        )


def texts_of(made: JudgedSet) -> tuple[Sequence[str], Sequence[str]]:
    """The texts of queries and documents. Raises `InputError` where there are none."""
    if made.queries.text is None or made.documents.text is None:
        raise InputError(f"'{made.name}' has no texts to encode, only embeddings.")
    return made.queries.text, made.documents.text


def _array(returned: Any) -> NDArray[Any]:
    """As numpy has it, also of a tensor that is on a GPU, in bfloat16 or part of a graph."""
    if hasattr(returned, "detach"):
        returned = returned.detach().cpu().float()
    return np.asarray(returned)
