"""With `like = sentence-transformers` the negatives are those of that library, over its options."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch

import hnm_core

from .sets import Small, small

datasets = pytest.importorskip("datasets")
library = pytest.importorskip("sentence_transformers.util")

CHOICES: list[dict[str, Any]] = [
    {},
    {"num_negatives": 7},
    {"range_min": 4},
    {"range_min": 2, "range_max": 30, "num_negatives": 5},
    {"absolute_margin": 0.1},
    {"absolute_margin": 0.0, "range_min": 3},
    {"relative_margin": 0.05},
    {"relative_margin": 0.4, "range_min": 2, "num_negatives": 6},
    {"max_score": 0.4},
    {"min_score": 0.2, "num_negatives": 8},
    {"max_score": 0.6, "min_score": -0.1, "absolute_margin": 0.02, "relative_margin": 0.02, "range_min": 1},
    {"range_max": 195, "absolute_margin": 0.3},
]


@pytest.fixture(autouse=True)
def bars_without_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Progress bars of that library start one that outlives them."""
    monkeypatch.setattr(pytest.importorskip("tqdm").tqdm, "monitor_interval", 0)


class Encoder:
    """What that library asks of a model: embeddings by text, on the sphere, and similarities."""

    device = "cpu"

    def __init__(self, vectors: dict[str, np.ndarray]) -> None:
        self._vectors = vectors

    def _encoded(self, text: list[str], **_asked: Any) -> np.ndarray:
        rows = np.stack([self._vectors[each] for each in text])
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    encode_query = encode_document = _encoded

    def get_embedding_dimension(self) -> int:
        return len(next(iter(self._vectors.values())))

    def similarity(self, left: Any, right: Any) -> torch.Tensor:
        return torch.as_tensor(left) @ torch.as_tensor(right).T

    def similarity_pairwise(self, left: Any, right: Any) -> torch.Tensor:
        return (torch.as_tensor(left) * torch.as_tensor(right)).sum(1)


def theirs(given: Small, seed: int, *, faiss: bool, **choice: Any) -> set[tuple[int, int, int]]:
    """Triplets of a query, a positive and a negative, as rows."""
    queries = [f"q{row}" for row in range(len(given.queries))]
    documents = [f"d{row}" for row in range(len(given.documents))]
    encoder = Encoder(dict(zip(queries + documents, [*given.queries, *given.documents], strict=True)))
    pairs = [(anchor, row) for anchor, own in enumerate(given.positives) for row in own]
    random.seed(seed)
    mined = library.mine_hard_negatives(
        datasets.Dataset.from_dict(
            {"anchor": [queries[a] for a, _ in pairs], "positive": [documents[p] for _, p in pairs]}
        ),
        encoder,
        corpus=documents,
        use_faiss=faiss,
        verbose=False,
        **choice,
    )
    return {(int(row["anchor"][1:]), int(row["positive"][1:]), int(row["negative"][1:])) for row in mined}


def ours(given: Small, seed: int, **choice: Any) -> set[tuple[int, int, int]]:
    mined = hnm_core.mine(
        given.queries,
        given.documents,
        given.positives,
        query_text=[f"q{row}" for row in range(len(given.queries))],
        document_text=[f"d{row}" for row in range(len(given.documents))],
        like="sentence-transformers",
        seed=seed,
        **choice,
    )
    return {
        (anchor, int(positive), int(negative))
        for place, anchor in enumerate(mined.anchor.tolist())
        for positive in mined.positive[mined.offsets[place] : mined.offsets[place + 1]]
        for negative in mined.negative[place]
        if negative >= 0
    }


def with_positives(given: Small) -> Small:
    """Queries that have some, as that library knows no others; some with a negative similarity to theirs."""
    keep = [place for place, own in enumerate(given.positives) if own]
    queries = given.queries[keep].copy()
    queries[::5] *= -1
    return Small(queries, given.documents, [given.positives[place] for place in keep])


@pytest.mark.parametrize("strategy", ["top", "random"])
@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_that_the_negatives_are_those_of_sentence_transformers(choice: dict[str, Any], strategy: str) -> None:
    given = with_positives(small())
    asked = {**choice, "sampling_strategy": strategy}
    found = ours(given, 5, **asked)
    assert found == theirs(given, 5, faiss=False, **asked)
    assert found, "the choice leaves something"
    pytest.importorskip("faiss")
    assert found == theirs(given, 5, faiss=True, **asked)


def test_that_a_corpus_smaller_than_what_is_looked_at_gives_the_same() -> None:
    given = with_positives(small(documents=12))
    for strategy in ("top", "random"):
        asked = {"sampling_strategy": strategy, "num_negatives": 5, "range_max": 40}
        assert ours(given, 2, **asked) == theirs(given, 2, faiss=False, **asked)


def test_that_margins_before_ranks_leave_other_negatives_than_ranks_before_margins() -> None:
    given = with_positives(small())
    asked = {"absolute_margin": 0.1, "range_min": 4}
    own = hnm_core.mine(given.queries, given.documents, given.positives, **asked)
    as_theirs = hnm_core.mine(given.queries, given.documents, given.positives, like="sentence-transformers", **asked)
    assert not np.array_equal(own.negative, as_theirs.negative)
