"""`hnm_core.mine` beside `mine_hard_negatives` of sentence-transformers: pairs in, records of triplets out.

Both get the same embeddings, so that no model is timed, and take part in one process. With `--rows` fewer pairs.
"""

from __future__ import annotations

import importlib
import random
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from io import StringIO
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hnm_core.bench.table import Case, Row, Settings
from hnm_core.bench.timing import Contender, take_turns
from hnm_core.data.judged import Items
from hnm_core.negatives.formats import Written, lists_of, triplet
from hnm_core.negatives.mining import mine

ROWS, QUICK, DIM, NEGATIVES = 50_000, 1_000, 384, 5
GROUPS = 200
"""Clusters of documents: a query has near documents beside its own."""
PEER = "sentence_transformers"
NEAR = 2e-6
"""Scores of neighbours that rounding may have put in either order."""

CHOICES: Mapping[str, Mapping[str, Any]] = {
    "top": {},
    "relative-margin": {"relative_margin": 0.05},
    "absolute-margin": {"absolute_margin": 0.1, "range_min": 2},
    "random": {"sampling_strategy": "random", "range_max": 50},
}
"""Options under the names of that library, which are ours too."""

Triplets = list[tuple[str, str, str]]


@dataclass(frozen=True, eq=False)
class Pairs:
    """What is mined from."""

    queries: NDArray[np.float32]
    documents: NDArray[np.float32]
    query_text: list[str]
    document_text: list[str]


class Encoder:
    """A model whose embeddings are there already."""

    device = "cpu"

    def __init__(self, pairs: Pairs) -> None:
        self._pairs = pairs

    def encode_query(self, _text: list[str], **_asked: Any) -> NDArray[np.float32]:
        """(Q, D)"""
        return self._pairs.queries

    def encode_document(self, _text: list[str], **_asked: Any) -> NDArray[np.float32]:
        """(N, D)"""
        return self._pairs.documents

    def get_embedding_dimension(self) -> int:
        """D"""
        return int(self._pairs.queries.shape[1])

    def similarity(self, left: Any, right: Any) -> torch.Tensor:
        """(Q, N) of rows of length 1, as that library's models multiply them."""
        return torch.as_tensor(left) @ torch.as_tensor(right).T

    def similarity_pairwise(self, left: Any, right: Any) -> torch.Tensor:
        """(M,)"""
        return (torch.as_tensor(left) * torch.as_tensor(right)).sum(1)


def cases(settings: Settings) -> list[Case]:
    """A row for each choice of negatives."""
    rows = settings.rows or (QUICK if settings.quick else ROWS)
    return [_case(name, choice, rows, settings) for name, choice in CHOICES.items()]


def pairs_of(rows: int, seed: int = 0) -> Pairs:
    """Queries beside their documents, on the sphere, all different."""
    source = np.random.default_rng(seed)
    centers = source.standard_normal((GROUPS, DIM), np.float32)
    documents = centers[source.integers(GROUPS, size=rows)] + source.standard_normal((rows, DIM), np.float32)
    queries = documents + 0.7 * source.standard_normal((rows, DIM), np.float32)
    documents, queries = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in (documents, queries))
    return Pairs(queries, documents, [f"query {row}" for row in range(rows)], [f"text {row}" for row in range(rows)])


def ours(pairs: Pairs, choice: Mapping[str, Any]) -> Triplets:
    """By this library."""
    mined = mine(
        pairs.queries,
        pairs.documents,
        query_text=pairs.query_text,
        document_text=pairs.document_text,
        like="sentence-transformers",
        num_negatives=NEGATIVES,
        **choice,
    )
    rows = np.arange(len(pairs.queries))
    to = Written(Items(rows, pairs.query_text), Items(rows, pairs.document_text), scores=False)
    return [
        (record["anchor"], record["positive"], record["negative"])
        for lists in lists_of(mined, scores=to.scores)
        for record in triplet(lists, to)
    ]


def theirs(pairs: Pairs, choice: Mapping[str, Any], *, faiss: bool) -> Callable[[], Triplets]:
    """By sentence-transformers, which is loaded at the first call."""

    def run() -> Triplets:
        datasets: Any = importlib.import_module("datasets")
        library: Any = importlib.import_module("sentence_transformers.util")
        with suppress(ImportError):
            importlib.import_module("tqdm").tqdm.monitor_interval = 0  # bars without a thread of their own
        given = datasets.Dataset.from_dict({"anchor": pairs.query_text, "positive": pairs.document_text})
        random.seed(0)
        with redirect_stderr(StringIO()):
            mined = library.mine_hard_negatives(
                given, Encoder(pairs), num_negatives=NEGATIVES, use_faiss=faiss, verbose=False, **choice
            )
        columns = mined.to_dict()
        return list(zip(columns["anchor"], columns["positive"], columns["negative"], strict=True))

    return run


def agreement(mined: Triplets, other: Triplets, pairs: Pairs) -> str:
    """How many triplets are the same, and of the others how many may be for rounding alone: documents of one query at
    the same rank whose scores are equal but for that."""
    if mined == other:
        return f"same {len(mined):,} triplets"
    first, second = _by_query(mined), _by_query(other)
    odd = rounding = 0
    for query in first.keys() | second.keys():
        left, right = first.get(query, []), second.get(query, [])
        odd += abs(len(left) - len(right))
        for one, another in zip(left, right, strict=False):
            if one != another:
                odd += 1
                vector = pairs.queries[query].astype(np.float64)
                gap = abs(float(vector @ pairs.documents[one]) - float(vector @ pairs.documents[another]))
                rounding += gap < NEAR
    words = f"{odd:,} of {max(len(mined), len(other)):,} differ"
    return f"{words}, {rounding:,} of them by rounding"


def _by_query(triplets: Triplets) -> dict[int, list[int]]:
    """Negatives of each query, as rows, in their order."""
    found: dict[int, list[int]] = {}
    for query, _, negative in triplets:
        found.setdefault(int(query.split()[1]), []).append(int(negative.split()[1]))
    return found


def _case(name: str, choice: Mapping[str, Any], rows: int, settings: Settings) -> Case:
    size = f"N={rows:,} pairs d={DIM}, {NEGATIVES} negatives"

    def measure() -> Row:
        pairs = pairs_of(rows)
        contenders: list[Contender[Triplets]] = [
            Contender("hnm mine, exact", lambda: ours(pairs, choice)),
            Contender("sentence-transformers, torch", theirs(pairs, choice, faiss=False), PEER),
            Contender("sentence-transformers, FAISS", theirs(pairs, choice, faiss=True), PEER),
        ]
        own, *others = take_turns(contenders, settings)
        assert own.answer is not None
        peers = []
        for other in others:
            check = agreement(own.answer, other.answer, pairs) if other.answer is not None else ""
            peers.append(other.rated(check=check))
        return Row("mine", name, size, own.rated(check=f"{len(own.answer):,} triplets"), tuple(peers))

    return Case(name, size, measure)
