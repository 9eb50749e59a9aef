"""The queue of documents that nobody judged and that lie nearer to a query than all that is relevant to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hnm_core.bank import Bank
from hnm_core.data.base import Progress, report
from hnm_core.data.judged import JudgedSet
from hnm_core.data.retrieval.encoders import encoded
from hnm_core.distances import Distance
from hnm_core.negatives.anchors import distances_of, of_judged
from hnm_core.negatives.choosing import score_of
from hnm_core.negatives.mining import Mined, Miner, SearchFinder, blocks_of, joined
from hnm_core.negatives.options import MineOptions
from hnm_core.neighbors.exact import Exact
from hnm_core.recording import open_recording
from hnm_core.recording.runs import find_run
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.registry import NEIGHBORS
from hnm_core.studies.embedding import Say
from hnm_core.studies.over_documents import embedded_by
from hnm_core.training.query_negatives import COSINE
from hnm_core.training.retrieval_config import data_told
from hnm_core.training.retrieval_experiment import read_data

BACK = 10
"""Queries nearest to a document among which a query is near in return."""


@dataclass(frozen=True, eq=False)
class PairQueue:
    """S pairs of a query and a document, the most doubtful first: the document that is most like what is relevant."""

    judged: JudgedSet
    query: NDArray[np.int64]
    """(S,) rows."""
    document: NDArray[np.int64]
    """(S,) rows."""
    positive: NDArray[np.int64]
    """(S,) the row of the relevant document that is nearest to the query."""
    score: NDArray[np.float32]
    """(S,) of query and document, the higher the nearer."""
    positive_score: NDArray[np.float32]
    """(S,) of query and relevant document."""
    rank: NDArray[np.int64]
    """(S,) of the document among those that differ, for its query: 1 is the nearest."""
    alike: NDArray[np.float32]
    """(S,) score of the two documents."""
    back: NDArray[np.bool_]
    """(S,) whether the query is among the `BACK` that are nearest to the document."""
    anchors: int
    """Queries with a relevant document, which were looked at."""

    def __len__(self) -> int:
        return len(self.query)


def pair_queue(judged: JudgedSet, distance: Distance, k: int, progress: Progress | None = None) -> PairQueue:
    """Rank what is nearer to its query than every relevant document, was not judged, and is not the same as one that is
    relevant.

    Args:
        judged: with embeddings.
        distance: what near means.
        k: so many documents nearest to each query are looked at.
        progress: called as progress(done, total, what).

    Raises:
        InputError: there are no embeddings, or they are not what a search takes.
        LoadCancelled: the progress callback returned False.
    """
    options = MineOptions(negatives=k)
    anchors = of_judged(judged, options)
    miner = Miner(anchors, options, distance, SearchFinder(NEIGHBORS.part("exact", {}), distance))

    def searched(done: int, total: int) -> bool:
        report(progress, done, total, "searching")
        return True

    mined = joined([block.mined for block in blocks_of(miner, progress=searched)])
    has, best = _nearest_positives(mined)
    lead = np.where(mined.negative[has] >= 0, mined.score[has] - mined.positive_score[best][:, None], -np.inf)
    at, which = np.nonzero(lead > 0)
    query, document = mined.anchor[has][at], mined.negative[has][at, which]
    known = judged.judgements
    there = ~np.isin(query * len(judged.documents) + document, known.query * len(judged.documents) + known.document)
    at, which, query, document = at[there], which[there], query[there], document[there]
    positive = mined.positive[best][at]
    row = anchors.bank_row(torch.from_numpy(document))
    relevant = anchors.bank.embeddings[anchors.bank_row(torch.from_numpy(positive))]
    apart = distances_of(relevant, torch.arange(len(at)), anchors.bank, row, distance)
    alike = score_of(apart, distance).numpy()
    order = np.lexsort((document, query, -alike))
    return PairQueue(
        judged,
        query[order],
        document[order],
        positive[order],
        mined.score[has][at, which][order],
        mined.positive_score[best][at][order],
        which[order] + 1,
        alike[order],
        _near_in_return(anchors.vectors, anchors.bank.embeddings[row], query, distance)[order],
        len(has),
    )


def queue_of_run(
    config: ExperimentConfig,
    k: int,
    *,
    run: str | None = None,
    lane: str | None = None,
    progress: Progress | None = None,
    say: Say = print,
) -> PairQueue:
    """The queue of a run's queries and documents as they were before any review of them, so that all reviews are of one
    set.

    Args:
        config: of the run, as recordings tell it; of `run` if there is one.
        k: so many documents nearest to each query are looked at.
        run: a recording, in what a lane of it makes of the texts; None takes the embeddings that the data have, or
            the words of their texts.
        lane: of the recording; None takes its first.
        progress: called as progress(done, total, what).
        say: is given what was read.

    Raises:
        InputError: the data cannot be read, there is no such lane, or as `pair_queue`.
        LoadCancelled: the progress callback returned False.
    """
    recording = None if run is None else open_recording(find_run(run))
    config = config if recording is None else recording.config
    data = read_data(data_told(config).model_copy(update={"review": ""}), config.seed, progress)
    say(data.as_read)
    if recording is not None:
        data = embedded_by(recording, recording.lanes[0] if lane is None else lane, data, progress)
    elif data.queries.embeddings is None or data.documents.embeddings is None:
        data = encoded(data, progress=progress)
    return pair_queue(data, COSINE, k, progress)


def evidence(queue: PairQueue, place: int) -> tuple[str, ...]:
    """Why the pair at this place of the queue is doubtful, in sentences."""
    documents = queue.judged.documents.ids
    score, own, alike = (f"{float(each[place]):.3f}" for each in (queue.score, queue.positive_score, queue.alike))
    back = "is" if queue.back[place] else "is not"
    relevant, rank = documents[int(queue.positive[place])], int(queue.rank[place])
    return (
        f"It scores {score}, rank {rank}; the nearest relevant document, {relevant}, {own}; these two documents "
        f"{alike}.",
        f"The query {back} among the {BACK} that are nearest to the document.",
    )


def _nearest_positives(mined: Mined) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(A,) anchors that have a positive, and the place of the nearest of each."""
    owner = np.repeat(np.arange(len(mined)), np.diff(mined.offsets))
    order = np.lexsort((-mined.positive_score, owner))
    has, first = np.unique(owner[order], return_index=True)
    return has, order[first]


def _near_in_return(
    queries: torch.Tensor, documents: torch.Tensor, query: NDArray[np.int64], distance: Distance
) -> NDArray[np.bool_]:
    """(S,) whether each query is among the nearest of its document."""
    if not len(query):
        return np.zeros(0, np.bool_)
    search = Exact(distance=distance)
    search.build(Bank(queries))
    found = search.nearest_to(documents, min(BACK, len(queries))).row
    near: NDArray[np.bool_] = (found == torch.from_numpy(query)[:, None]).any(1).numpy()
    return near
