"""BM25 against its formula in float64, and what comes back in which order."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections import Counter

import numpy as np
import pytest
import torch

from hnm_core.errors import InputError
from hnm_core.miners.whole_set.bm25 import Bm25, Bm25Options
from hnm_core.row_lists import RowLists
from hnm_core.tokens import words_of

pytestmark = pytest.mark.skipif(importlib.util.find_spec("bm25s") is None, reason="bm25s is not installed")

WORDS = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"]


def texts(count: int, seed: int) -> list[str]:
    rng = np.random.default_rng(seed)
    return [" ".join(rng.choice(WORDS, rng.integers(0, 12))) for _ in range(count)]


def by_hand(query: str, documents: list[str], k1: float, b: float) -> np.ndarray:
    """Lucene's BM25: idf = ln(1 + (N - df + 0.5) / (df + 0.5)), tf / (tf + k1 (1 - b + b length / mean length))."""
    bags = [Counter(words_of(text)) for text in documents]
    mean = sum(bag.total() for bag in bags) / len(bags)
    scores = np.zeros(len(bags))
    for word in words_of(query):
        df = sum(word in bag for bag in bags)
        idf = math.log(1 + (len(bags) - df + 0.5) / (df + 0.5))
        for place, bag in enumerate(bags):
            scores[place] += idf * bag[word] / (bag[word] + k1 * (1 - b + b * bag.total() / mean))
    return scores


@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.4)])
def test_that_the_highest_scores_are_those_of_the_formula_without_the_barred(k1: float, b: float) -> None:
    documents, queries = texts(80, 0), [*texts(15, 1), "unknown word", ""]
    documents[10:30] = documents[40:60]  # ties
    barred = RowLists.of_pairs(torch.randint(17, (120,)), torch.randint(80, (120,)), 17, 80)
    found = Bm25(documents, Bm25Options(k1=k1, b=b)).nearest(queries, 30, barred)
    for place, query in enumerate(queries):
        wanted = by_hand(query, documents, k1, b)
        wanted[barred.at(torch.tensor([place])).row] = 0
        row = found.row[place][found.row[place] >= 0].numpy()
        assert len(row) == min(30, (wanted > 0).sum())
        np.testing.assert_allclose(found.score[place, : len(row)], wanted[row], rtol=1e-5)
        np.testing.assert_allclose(wanted[row], np.sort(wanted)[::-1][: len(row)], rtol=1e-5)
        equal = np.flatnonzero(np.diff(found.score[place, : len(row)].numpy()) == 0)
        assert (np.diff(row)[equal] > 0).all(), "equal ones by row"
    assert (found.row[-2:] == -1).all() and (found.score[-2:] == 0).all()


def test_that_a_missing_library_and_documents_without_words_are_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with pytest.raises(InputError, match="None of the 2 documents has a word"):
        Bm25(["", "---"])
    with pytest.raises(InputError, match="for 1 queries and 3 documents"):
        Bm25(["a", "b"]).nearest(["a"], 1, RowLists.empty(1, 3))
    monkeypatch.setitem(sys.modules, "bm25s", None)
    with pytest.raises(InputError, match=r"pip install 'hnm-lab\[bm25\]'"):
        Bm25(["a"])
