"""BM25: the documents that share the rarest words with a query, the baseline of text retrieval (Robertson 1994).

Computed by the library bm25s, in the variant of Lucene, whose scores are never negative. A network that is trained does
not change them, so that they are worked out once.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.errors import InputError
from hnm_core.miners.whole_set.bm25_options import Bm25Options
from hnm_core.neighbors.found import SearchProgress, report
from hnm_core.row_lists import RowLists
from hnm_core.tokens import words_of

_NO_BARS = "DISABLE_TQDM"


class Scored(NamedTuple):
    """What BM25 finds for Q queries."""

    row: Tensor
    """(Q, K) int64 rows of the documents, highest score first, equal ones by row; -1 where no more share a word"""
    score: Tensor
    """(Q, K) float32, above 0; 0 where there is no document"""


class Bm25:
    """An index of documents by words, as `hnm_core.tokens.words_of` has them."""

    def __init__(self, documents: Sequence[str], options: Bm25Options | None = None) -> None:
        """Raises `InputError` where bm25s is not installed, or no document has a word."""
        bm25s = _library()
        options = options or Bm25Options()
        self._count = len(documents)
        self._number: dict[str, int] = {}
        words = [[self._number.setdefault(word, len(self._number)) for word in words_of(text)] for text in documents]
        if not self._number:
            raise InputError(f"None of the {self._count:,} documents has a word, so BM25 finds nothing.")
        self._index = bm25s.BM25(k1=options.k1, b=options.b, method="lucene", backend="numpy")
        self._index.index((words, dict(self._number)), create_empty_token=False, show_progress=False)

    def nearest(
        self,
        queries: Sequence[str],
        k: int,
        barred: RowLists | None = None,
        progress: SearchProgress | None = None,
    ) -> Scored:
        """The k documents with the highest scores for each query.

        Args:
            queries: Q texts. A word that comes twice counts twice.
            k: at least 1.
            barred: Q lists of documents that may not come back.
            progress: see `SearchProgress`.

        Raises:
            InputError: k is below 1, or the lists are not of these queries and documents.
            SearchCancelled: the progress callback returned False.
        """
        if k < 1:
            raise InputError(f"k = {k} documents cannot be searched for; k must be at least 1.")
        if barred is not None and (len(barred) != len(queries) or barred.rows != self._count):
            raise InputError(
                f"What may not come back is listed for {len(barred):,} queries and {barred.rows:,} documents, but "
                f"there are {len(queries):,} and {self._count:,}."
            )
        row = np.full((len(queries), k), -1, np.int64)
        found = np.zeros((len(queries), k), np.float32)
        for place, text in enumerate(queries):
            score = self._scores(text)
            if barred is not None:
                score[barred.row[barred.offsets[place] : barred.offsets[place + 1]].numpy()] = 0
            best = _highest(score, k)
            row[place, : len(best)], found[place, : len(best)] = best, score[best]
            report(progress, place + 1, len(queries))
        return Scored(torch.from_numpy(row), torch.from_numpy(found))

    def _scores(self, text: str) -> NDArray[np.float32]:
        """(N,) of all documents; nobody else holds it."""
        known = [self._number[word] for word in words_of(text) if word in self._number]
        if not known:
            return np.zeros(self._count, np.float32)
        return np.array(self._index.get_scores_from_ids(known), np.float32)


def _library() -> ModuleType:
    """bm25s, without the bars of progress that it would otherwise have a thread watch, hidden or not."""
    before = os.environ.get(_NO_BARS)
    os.environ[_NO_BARS] = "1"  # looked at when its modules are first imported
    try:
        return importlib.import_module("bm25s")
    except ImportError:
        raise InputError(
            "Negatives by BM25 need the library bm25s, which is not installed: pip install 'hnm-lab[bm25]'."
        ) from None
    finally:
        if before is None:
            del os.environ[_NO_BARS]
        else:
            os.environ[_NO_BARS] = before


def _highest(score: NDArray[np.float32], k: int) -> NDArray[np.int64]:
    """The places of the k highest numbers above 0, highest first, equal ones by place."""
    place = np.flatnonzero(score > 0)
    if len(place) > k:
        least = np.partition(score[place], len(place) - k)[len(place) - k]
        place = place[score[place] >= least]
    return place[np.argsort(-score[place], kind="stable")][:k]
