"""The towers that a recorded run over queries and documents ended with: what they score, what they make of a set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from hnm_core.data.base import Progress, report
from hnm_core.data.judged import JudgedSet
from hnm_core.data.retrieval import read
from hnm_core.data.retrieval.encoders import texts_of
from hnm_core.errors import InputError
from hnm_core.models.bag import Side, TwoTowers
from hnm_core.recording import Recording
from hnm_core.recording.past import last_weights
from hnm_core.run.events import RunFinished
from hnm_core.studies.encoding import write_set
from hnm_core.training.judged_lists import judged_lists
from hnm_core.training.measured_queries import MeasuredQueries, measured_queries, split_queries
from hnm_core.training.query_negatives import COSINE
from hnm_core.training.retrieval_config import data_told, towers_told
from hnm_core.training.retrieval_experiment import read_data

ROWS = 4096
"""Texts embedded at once."""


class Scored(NamedTuple):
    """What the lanes of a run score."""

    lanes: dict[str, dict[str, float]]
    """Metrics by name, see `hnm_core.evaluation.document_metrics.DOCUMENT_METRICS`, of each lane"""
    chance: dict[str, float]
    """what a random ranking scores"""
    words: str
    """what was measured"""


def towers_of(recording: Recording, lane: str) -> tuple[TwoTowers, str]:
    """The towers of a lane as they were at the end, and what there is to know of them, in a sentence; empty where they
    are those of a run that ended by itself.

    Raises:
        InputError: there is no such lane, no weights were kept, or they do not fit the recorded options.
    """
    weights, note = last_weights(recording, lane)
    if weights is None:
        raise InputError(
            f"'{recording.folder}' holds no weights of lane '{lane}': the run was broken off before its end."
        )
    finished = recording.finished
    if not note and (not isinstance(finished, RunFinished) or finished.stopped):
        note = f"The towers of lane '{lane}' are those of step {weights.step:,}, of a run that was ended early."
    try:
        towers = TwoTowers(towers_told(recording.config))
        towers.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in weights.arrays.items()})
    except RuntimeError:
        raise InputError(
            f"The weights of lane '{lane}' in '{recording.folder}' do not fit the towers that it tells of."
        ) from None
    return towers.eval(), note


def data_of(
    recording: Recording, source: str | None, progress: Progress | None = None, *, reviewed: bool = True
) -> JudgedSet:
    """The set that a run was trained on, with its review where it had one unless `reviewed` is False; or another set.

    Raises:
        InputError: as `hnm_core.data.retrieval.read`; the recording does not name its data, or they are others by now.
    """
    if source is not None:
        return read(source, seed=recording.config.seed, progress=progress)
    named = data_told(recording.config)
    if not (named.source or named.queries or named.documents):
        raise InputError(f"'{recording.folder}' does not tell where its queries and documents lie: name them.")
    data = read_data(named if reviewed else named.model_copy(update={"review": ""}), recording.config.seed, progress)
    items = len(data.queries) + len(data.documents)
    if items != recording.started.items_total:
        raise InputError(
            f"'{data.name}' has {items:,} queries and documents by now, and the run in '{recording.folder}' had "
            f"{recording.started.items_total:,}: which queries it held out cannot be told any more."
        )
    return data


def score(recording: Recording, source: str | None, notes: list[str]) -> Scored:
    """Score every lane on the queries that the run held out, or on all queries of another set.

    Args:
        notes: is given what there is to know of the towers.

    Raises:
        InputError: as `data_of` and `towers_of`; there are no texts, or no query with a relevant document.
    """
    data = data_of(recording, source)
    texts = texts_of(data)
    measured, words = _measured(recording, data, of_run=source is None)
    lanes = {}
    for lane in recording.lanes:
        towers, note = towers_of(recording, lane)
        notes += [note] if note else []
        queries, documents = (
            torch.from_numpy(np.concatenate(list(_blocks(towers, of_side, side))))
            for of_side, side in zip(texts, get_args(Side), strict=True)
        )
        lanes[lane] = measured.scores(queries, documents, COSINE).means
    return Scored(lanes, dict(measured.chance()), f"{data.as_read} {words}")


def embed_set(
    recording: Recording, lane: str, source: str | None, out: Path, progress: Progress | None = None
) -> tuple[JudgedSet, int, str]:
    """Write what a lane makes of the run's queries and documents, or of another set, as a folder that mining takes, see
    `hnm_core.studies.encoding`.

    Returns:
        The set, the numbers of an embedding, and what there is to know of the towers.

    Raises:
        InputError: as `data_of`, `towers_of` and `hnm_core.studies.encoding.write_set`.
        LoadCancelled: the progress callback returned False.
    """
    towers, note = towers_of(recording, lane)
    data = data_of(recording, source, progress, reviewed=False)  # no layout says what was dropped
    queries, documents = texts_of(data)
    width = write_set(
        data, out, _blocks(towers, queries, "query", progress), _blocks(towers, documents, "document", progress)
    )
    if review := data_told(recording.config).review if source is None else "":
        note = f"{note} Judgements are those of before the review: `mine --review '{review}'` obeys it.".strip()
    return data, width, note


def embedded_by(recording: Recording, lane: str, data: JudgedSet, progress: Progress | None = None) -> JudgedSet:
    """A set with what a lane of a run makes of its texts, in memory.

    Raises:
        InputError: as `towers_of`, or there are no texts.
        LoadCancelled: the progress callback returned False.
    """
    towers, _ = towers_of(recording, lane)
    queries, documents = texts_of(data)
    return replace(
        data,
        queries=replace(data.queries, embeddings=np.concatenate([*_blocks(towers, queries, "query", progress)])),
        documents=replace(
            data.documents, embeddings=np.concatenate([*_blocks(towers, documents, "document", progress)])
        ),
    )


def _measured(recording: Recording, data: JudgedSet, of_run: bool) -> tuple[MeasuredQueries, str]:
    lists = judged_lists(data)
    told = recording.config.data
    answered = lists.positives.sizes.nonzero()[:, 0]
    place, kind = answered, "queries"
    if of_run:
        trained, held_out = split_queries(data, lists, recording.config.seed, told.held_out, told.validation)
        place, kind = (held_out, "held-out queries") if len(held_out) else (trained, "queries, the ones trained on")
    if not len(place):
        raise InputError(f"'{data.name}' has no query with a relevant document, so there is nothing to measure.")
    words = f"{len(place):,} {kind}, each against {len(data.documents):,} documents."
    return measured_queries(data, lists, place), words


def _blocks(
    towers: TwoTowers, texts: Sequence[str], side: Side, progress: Progress | None = None
) -> Iterator[NDArray[np.float32]]:
    """(B, E) embeddings of texts in order."""
    for start in range(0, len(texts), ROWS):
        block = towers.embed(texts[start : start + ROWS], side).numpy()
        report(progress, start + len(block), len(texts), f"embedding {'queries' if side == 'query' else 'documents'}")
        yield block
