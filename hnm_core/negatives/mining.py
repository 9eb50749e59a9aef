"""Negatives for all anchors of a set, a block of anchors at a time.

What an anchor gets depends on the set and the options alone: not on the block that it is in, nor on any number of
threads. So blocks can be made by several calls, or one day and the next.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core import neighbors
from hnm_core.data.judged import Items, JudgedSet, Judgements
from hnm_core.distances import Distance, Metric, check_distance
from hnm_core.errors import InputError, described
from hnm_core.isolation import isolated
from hnm_core.miners.whole_set.filters import filters_of
from hnm_core.miners.whole_set.selectors import check_on_sphere
from hnm_core.negatives import as_sentence_transformers as theirs
from hnm_core.negatives.anchors import Anchors, ClassAnchors, JudgedAnchors, Positives, of_classes, of_judged
from hnm_core.negatives.choosing import ENOUGH, REASONS, Chosen, choose, reach, score_of
from hnm_core.negatives.options import MineOptions, checked
from hnm_core.neighbors.base import NeighborSearch, QuerySearch
from hnm_core.neighbors.found import Neighbors, SearchProgress, report
from hnm_core.relevance import JudgedQuery, of_rows
from hnm_core.row_lists import RowLists
from hnm_core.several_labels import SeveralLabels
from hnm_core.spec.registry import NEIGHBORS, Part, SearchOptions

BLOCK = 8_192
"""Anchors at once, where a search gains nothing by more."""
ENTRIES = 1 << 22
"""Neighbours that are looked at for the anchors of a block, at most."""
OF_ITEMS = 4
"""Rows of the bank are asked about in no more blocks than this: a search of many of its own rows can be the faster."""
LEAST_NORMAL = float(np.finfo(np.float32).tiny)
"""Where the numbers of a row are all smaller, its direction is lost."""
HALF = (torch.float16, torch.bfloat16)
"""What numpy has not, or what loses nothing in single precision."""
MOST_ALIKE = 64
"""So many more neighbours are looked at, at most, where items of classes are the same."""


@dataclass(frozen=True, eq=False)
class Mined:
    """What came of it for Q anchors, in the order of the queries. Rows are places in what was given."""

    anchor: NDArray[np.int64]
    """(Q,) rows of the queries."""
    offsets: NDArray[np.int64]
    """(Q + 1,) the positives of anchor i stand in `positive` from offsets[i] up to, without, offsets[i + 1]."""
    positive: NDArray[np.int64]
    """(M,) rows of the documents."""
    positive_score: NDArray[np.float32]
    """(M,) the higher the nearer: the similarity, of Euclidean distances the negative."""
    negative: NDArray[np.int64]
    """(Q, m) rows of the documents, nearest first; -1 where there is no more."""
    score: NDArray[np.float32]
    """(Q, m) of the negatives; -inf where there is none."""
    why: NDArray[np.uint8]
    """(Q,) places in `REASONS`: why an anchor got fewer than m, or "enough"."""
    removed: Mapping[str, int]
    """How many candidates each filter removed of those that the ones before it left, all anchors together."""
    alike: Mapping[str, int]
    """What was found to be the same, and so was searched once or left out."""

    def __len__(self) -> int:
        """Q."""
        return len(self.anchor)

    @property
    def reasons(self) -> dict[str, int]:
        """How many anchors got fewer negatives than asked for, by the reason; together with those that got enough they
        are all."""
        counts = np.bincount(self.why, minlength=len(REASONS))
        return {name: int(counts[place]) for place, name in enumerate(REASONS) if place != ENOUGH and counts[place]}

    @property
    def enough(self) -> int:
        """How many anchors got all."""
        return int((self.why == ENOUGH).sum())

    @property
    def some(self) -> int:
        """How many anchors got some negatives, but fewer than asked for."""
        return int(((self.negative >= 0).any(1) & (self.why != ENOUGH)).sum())


class Block(NamedTuple):
    """Some anchors, and what the next ones need to know."""

    mined: Mined
    state: list[int]
    """Of what draws for one anchor after the other, see `as_sentence_transformers`; empty elsewhere."""
    seconds: Mapping[str, float]
    """By phase: searching and choosing."""


class Finder(Protocol):
    """Where candidates come from."""

    @property
    def description(self) -> str:
        """How they are found, in words."""

    def prepare(self, anchors: Anchors) -> None:
        """Be ready for a set. Raises `InputError` where that cannot be."""

    def find(self, anchors: Anchors, part: slice, k: int, *, all_rows: bool) -> Neighbors:
        """(Q, k) neighbours of the anchors of a block among the rows of the bank, nearest first; those that are
        relevant or left out only with `all_rows`."""


class SearchFinder:
    """Candidates by a search of ours, by its name."""

    def __init__(self, search: Part[SearchOptions], distance: Distance) -> None:
        self.search: NeighborSearch = neighbors.build(search, distance=distance)

    @property
    def description(self) -> str:
        """See `Finder`."""
        return self.search.description

    def prepare(self, anchors: Anchors) -> None:
        """Index the bank. Raises `InputError` where it cannot be."""
        self.search.build(anchors.bank)

    def find(self, anchors: Anchors, part: slice, k: int, *, all_rows: bool) -> Neighbors:
        """See `Finder`."""
        query = anchors.query(part)
        if isinstance(query, JudgedQuery):
            if not isinstance(self.search, QuerySearch):
                raise InputError("This search knows classes only; queries with listed positives need another one.")
            return self.search.nearest(query.unrestricted() if all_rows else query, k)
        return self.search.nearest_negatives(of_rows(query).row, k)


class Miner:
    """Mines a set block by block."""

    def __init__(self, anchors: Anchors, options: MineOptions, distance: Distance, finder: Finder) -> None:
        """Raises `InputError` where options do not fit the distance or the set, or the bank cannot be searched."""
        self.anchors, self.options, self.distance = anchors, options, distance
        self._theirs = options.like == "sentence-transformers"
        if self._theirs and (isinstance(anchors, ClassAnchors) or distance.metric != "cosine"):
            what = "the cosine" if distance.metric != "cosine" else "queries and documents, not classes"
            raise InputError(f"like = sentence-transformers goes with {what}.")
        self._filters = filters_of(options, distance)
        if options.select == "distance-weighted":
            check_on_sphere(distance)
        self._finder = finder
        finder.prepare(anchors)

    def __len__(self) -> int:
        """Anchors."""
        return len(self.anchors.anchor)

    def parts(self, size: int | None = None) -> list[slice]:
        """Blocks of anchors; `size` is for tests, as it changes no answer."""
        usual = max(1, min(BLOCK, ENTRIES // self._looked_at))
        if isinstance(self.anchors, ClassAnchors) and self.anchors.bank.several is None:
            usual = max(usual, -(-len(self) // OF_ITEMS))
        step = size or usual
        return [slice(start, min(start + step, len(self))) for start in range(0, len(self), step)]

    @property
    def _looked_at(self) -> int:
        if self._theirs:
            most = self.anchors.most_positives
            return theirs.range_max(self.options, most) + most
        group, more = self.anchors.group, 0
        if group is not None:
            more = min(MOST_ALIKE, self.options.negatives * (int(torch.bincount(group).max()) - 1) + 1)
        return reach(self.options, self._filters) + more

    @isolated
    def block(self, part: slice, state: Sequence[int] = ()) -> Block:
        """The anchors of a block; `state` is that of the block before it, empty for the first."""
        source = theirs.source_of(state) if state else random.Random(self.options.seed)
        begun = time.perf_counter()
        found = self._finder.find(self.anchors, part, self._looked_at, all_rows=self._theirs)
        searched = time.perf_counter()
        positives = self.anchors.positives(part, self.options, self.distance)
        chosen = self._choose(part, found, positives, source)
        document = self.anchors.document
        mined = Mined(
            self.anchors.anchor[part].numpy(),
            positives.lists.offsets.numpy(),
            positives.document.numpy(),
            score_of(positives.distance, self.distance).numpy(),
            document[chosen.row.clamp_min(0)].masked_fill(chosen.row < 0, -1).numpy(),
            chosen.score.numpy(),
            chosen.why.numpy(),
            chosen.removed,
            self.anchors.alike,
        )
        seconds = {"search": searched - begun, "choose": time.perf_counter() - searched}
        draws = self._theirs and self.options.select == "rank-window"
        return Block(mined, theirs.state_of(source) if draws else [], seconds)

    def _choose(self, part: slice, found: Neighbors, positives: Positives, source: random.Random) -> Chosen:
        guard = positives.guards(nearest=self.options.guard == "nearest")
        query = self.anchors.query(part)
        if self._theirs:
            relevant = self.anchors.relevant(query, found.row)
            score, lowest = score_of(found.distance, self.distance), score_of(guard, self.distance)
            most = self.anchors.most_positives
            return theirs.choose(score, found.row, relevant, lowest, most, self.options, source)
        group = self.anchors.group
        same = None
        if group is not None:
            rows = found.row
            same = group[self.anchors.anchor[part]], group[rows.clamp_min(0)].where(rows >= 0, -1 - _columns_of(rows))
        return choose(
            found, same, guard, query.negatives, self.options, self.distance, self.anchors.bank.dim, part.start
        )


def _columns_of(rows: Tensor) -> Tensor:
    """Numbers that differ in a line."""
    return torch.arange(rows.shape[1]).expand_as(rows)


def joined(blocks: Sequence[Mined]) -> Mined:
    """Blocks one behind the other."""
    removed: Counter[str] = Counter()
    for block in blocks:
        removed.update(block.removed)
    sizes = np.concatenate([np.diff(block.offsets) for block in blocks])
    return Mined(
        np.concatenate([block.anchor for block in blocks]),
        np.concatenate(([0], np.cumsum(sizes))),
        np.concatenate([block.positive for block in blocks]),
        np.concatenate([block.positive_score for block in blocks]),
        np.concatenate([block.negative for block in blocks]),
        np.concatenate([block.score for block in blocks]),
        np.concatenate([block.why for block in blocks]),
        dict(removed),
        blocks[0].alike,
    )


def blocks_of(miner: Miner, size: int | None = None, progress: SearchProgress | None = None) -> Iterator[Block]:
    """All blocks of a set in order. Raises `SearchCancelled` where `progress` says so."""
    state: list[int] = []
    report(progress, 0, len(miner))
    for part in miner.parts(size):
        block = miner.block(part, state)
        state = block.state
        yield block
        report(progress, part.stop, len(miner))


@isolated
def mine(
    queries: Tensor | NDArray[Any],
    documents: Tensor | NDArray[Any] | None = None,
    positives: Iterable[Sequence[int]] | None = None,
    *,
    labels: Tensor | NDArray[Any] | None = None,
    query_text: Sequence[str] | None = None,
    document_text: Sequence[str] | None = None,
    search: str = "exact",
    search_options: Mapping[str, Any] | None = None,
    metric: Metric = "cosine",
    normalized: bool = False,
    progress: SearchProgress | None = None,
    **options: Any,
) -> Mined:
    """Hard negatives for every anchor of a set.

    Args:
        queries: (Q, D) embeddings of the anchors, in any float.
        documents: (N, D) of the candidates. Without them the queries are items, and `labels` are theirs.
        positives: the rows of the documents that are relevant to each of the Q queries; None says that document i is
            relevant to query i, as pairs for sentence-transformers are.
        labels: (Q,) integers, the class of each item. Where items have several labels (Q, L) truth values or 0 and 1,
            or a list of Q lists or sets of whole numbers: what shares a label with an item is its positive and never
            its negative, and an item without any gets no negatives, which `why` tells.
        query_text: (Q,) by which queries are known that are the same, or stand among the documents.
        document_text: (N,) by which documents are known that are the same; embeddings at distance 0 are so in any case.
        search: a registered search, see `hnm-lab list neighbors`.
        search_options: its options.
        metric: what near means.
        normalized: measured between embeddings of length 1.
        progress: called as progress(anchors done, all anchors); returning False cancels.
        options: see `MineOptions`; the names that `mine_hard_negatives` of sentence-transformers has for them, too.

    Returns:
        Rows and scores; equal to the last bit for equal input, whatever the number of threads.

    Raises:
        InputError: embeddings that are no finite tables of one width, positives or labels that do not fit them, an
            unknown search or option, or options that do not go together.
        SearchCancelled: the progress callback returned False.
    """
    asked = checked(options)
    distance = Distance(metric, normalized)
    check_distance(distance)
    part = NEIGHBORS.part(search, search_options or {})
    anchors = _anchors(queries, documents, positives, labels, query_text, document_text, asked)
    miner = Miner(anchors, asked, distance, SearchFinder(part, distance))
    return joined([block.mined for block in blocks_of(miner, progress=progress)])


def _anchors(
    queries: object,
    documents: object | None,
    positives: Iterable[Sequence[int]] | None,
    labels: object | None,
    query_text: Sequence[str] | None,
    document_text: Sequence[str] | None,
    options: MineOptions,
) -> JudgedAnchors | ClassAnchors:
    vectors = _table(queries, "queries")
    if documents is None:
        if labels is None:
            raise InputError("Give documents with positives, or labels of the items; without either nothing is known.")
        if positives is not None or query_text is not None or document_text is not None:
            raise InputError("Positives and text go with documents; items with labels have neither.")
        return of_classes(vectors, _labels(labels, len(vectors)))
    if labels is not None:
        raise InputError("labels are of items without documents; what is relevant to queries are positives.")
    rows = _table(documents, "documents")
    for what, text, table in (("query_text", query_text, vectors), ("document_text", document_text, rows)):
        if text is not None and (isinstance(text, str) or not all(isinstance(each, str) for each in text)):
            raise InputError(f"{what} must be a list of text, one for each embedding, and some of it is none.")
        if text is not None and len(text) != len(table):
            raise InputError(f"{what} has {len(text):,} texts for {len(table):,} embeddings; each needs one.")
    judged = judged_set(vectors, rows, positives, query_text, document_text)
    return of_judged(judged, options)


def _labels(labels: object, items: int) -> NDArray[np.int64] | SeveralLabels:
    """Classes (N,), or several labels an item. Raises `InputError`."""
    if isinstance(labels, Sequence) and any(isinstance(each, Sequence | Set | np.ndarray) for each in labels):
        return _label_lists(labels, items)
    try:
        given = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    except (TypeError, ValueError, RuntimeError):  # a tensor that is not dense
        given = np.empty(0, object)
    if given.ndim == 2 and len(given) == items and given.shape[1] and given.dtype.kind in "iub":
        return SeveralLabels.of_table(torch.from_numpy(given.astype(np.int64)))
    if given.shape != (items,) or given.dtype.kind not in "iu":
        raise InputError(
            f"labels must be {items:,} integers, one for each item, or 0 and 1 of the shape ({items:,}, labels), not "
            f"{given.dtype} of the shape {given.shape}."
        )
    return given.astype(np.int64)


def _label_lists(labels: Sequence[Any], items: int) -> SeveralLabels:
    """Raises `InputError` where they are no lists of whole numbers, one for each item."""
    if len(labels) != items:
        raise InputError(f"There are {len(labels):,} lists of labels for {items:,} items; each needs one.")
    sizes, flat = [], []
    for place, each in enumerate(labels):
        found = np.asarray(list(each) if isinstance(each, Set) else each)
        if found.ndim != 1 or (len(found) and found.dtype.kind not in "iu"):
            raise InputError(f"The labels of item {place} must be a list of integers, not {found.dtype}.")
        sizes.append(len(found))
        flat.append(found.astype(np.int64))
    names, number = np.unique(np.concatenate([np.zeros(0, np.int64), *flat]), return_inverse=True)
    row = torch.repeat_interleave(torch.arange(items), torch.tensor(sizes, dtype=torch.int64))
    return SeveralLabels(RowLists.of_pairs(row, torch.from_numpy(number.reshape(-1)), items, max(len(names), 1)))


def judged_set(
    queries: NDArray[np.float32],
    documents: NDArray[np.float32],
    positives: Iterable[Sequence[int]] | None = None,
    query_text: Sequence[str] | None = None,
    document_text: Sequence[str] | None = None,
) -> JudgedSet:
    """A set of arrays; ids are rows. Arguments and errors as of `mine`."""
    return JudgedSet(
        "set",
        Items(np.arange(len(queries)), query_text, queries),
        Items(np.arange(len(documents)), document_text, documents),
        _judgements(positives, len(queries), len(documents)),
    )


def _table(given: object, what: str) -> NDArray[np.float32]:
    """(N, D) float32. Raises `InputError`."""
    if isinstance(given, Tensor):
        if given.layout != torch.strided or given.is_meta:
            raise InputError(f"The {what} must be a table with numbers, not a tensor that is sparse or without any.")
        given = given.detach().cpu()
        given = (given.float() if given.dtype in HALF else given).numpy()
    if not isinstance(given, np.ndarray):
        raise InputError(f"The {what} must be a table of floats of shape (N, D), not {described(given)}.")
    if given.ndim != 2 or given.dtype.kind != "f":
        raise InputError(f"The {what} must be a table of floats of shape (N, D), not {given.dtype} of {given.shape}.")
    if not given.size:
        raise InputError(f"The {what} need at least one row and one column, not shape {given.shape}.")
    if isinstance(given, np.ma.MaskedArray) and np.ma.is_masked(given):
        raise InputError(f"The {what} have masked numbers; every number must be there.")
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # what comes of it is told
        table = np.ascontiguousarray(given, np.float32)
    # Whoever adds NaN or infinity gets no finite number; a sum of large numbers may be none either.
    with np.errstate(over="ignore", invalid="ignore"):
        whole = np.isfinite(table.sum())
    bad = np.flatnonzero(~np.isfinite(table).all(1)) if not whole else np.zeros(0, np.int64)
    beyond = len(bad) and np.isfinite(given[bad]).all(1)
    if np.count_nonzero(beyond) < len(bad):
        raise InputError(
            f"{len(bad) - np.count_nonzero(beyond)} of {len(table)} embeddings of the {what} hold NaN or infinity."
        )
    if given.dtype.itemsize > table.dtype.itemsize:
        tiny = np.flatnonzero(np.maximum(table.max(1), -table.min(1)) < LEAST_NORMAL)
        lost = len(bad) + np.count_nonzero(given[tiny].any(1))
        if lost:
            raise InputError(
                f"{lost} of {len(table)} embeddings of the {what} are too large or too small for single precision; "
                "scale them, which changes no cosine."
            )
    return table


def _judgements(positives: Iterable[Sequence[int]] | None, queries: int, documents: int) -> Judgements:
    """Raises `InputError` where they are no rows of the documents, or not one list for each query."""
    if positives is None:
        if queries != documents:
            raise InputError(
                f"Without positives document i is that of query i, but there are {queries:,} queries and "
                f"{documents:,} documents."
            )
        query = document = np.arange(queries)
    else:
        if isinstance(positives, Mapping | str) or not isinstance(positives, Iterable):
            raise InputError(f"Positives must be lists of rows, one for each query, not {described(positives)}.")
        lists = [_rows(each, place) for place, each in enumerate(positives)]
        if len(lists) != queries:
            raise InputError(f"There are {len(lists):,} lists of positives for {queries:,} queries; each needs one.")
        query = np.repeat(np.arange(queries), [len(each) for each in lists])
        document = np.concatenate([*lists, np.zeros(0, np.int64)])
        if len(document) and not 0 <= document.min() <= document.max() < documents:
            wrong = document.min() if document.min() < 0 else document.max()
            raise InputError(f"Positive {wrong} is no row of the documents; their rows are 0 to {documents - 1}.")
        query, document = np.unique(np.stack((query, document), 1), axis=0).astype(np.int64).T
    return Judgements(query, document, np.ones(len(query), np.float32))


def _rows(given: object, place: int) -> NDArray[np.int64]:
    """The rows of one list, or the only one. Raises `InputError` where they are none."""
    try:
        rows = np.asarray(list(given) if isinstance(given, Set) else given)
    except ValueError:  # lists of lists of different lengths
        rows = np.empty(0, object)
    if rows.ndim < 2 and not rows.size and rows.dtype != object:
        return np.zeros(0, np.int64)
    if rows.ndim > 1 or rows.dtype.kind not in "iu":
        what = f"an array of the shape {rows.shape}" if rows.ndim > 1 else f"{rows.dtype}"
        raise InputError(
            f"Positives must be rows of the documents, a list of integers for each query, not {what} (query {place})."
        )
    if rows.dtype == np.uint64 and rows.max() > np.iinfo(np.int64).max:
        raise InputError(f"Positive {rows.max()} is no row of the documents (query {place}).")
    return rows.astype(np.int64).reshape(-1)
