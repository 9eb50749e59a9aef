"""The queue of doubtful items of a data set: what to look at first, and what is known of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from hnm_core import data
from hnm_core.data.base import Dataset, Progress, report
from hnm_core.distances import Distance
from hnm_core.errors import unknown_name
from hnm_core.evaluation.suspects import Suspects, suspects
from hnm_core.recording import open_recording
from hnm_core.recording.runs import find_run
from hnm_core.spec.config import ExperimentConfig
from hnm_core.studies.embedding import Say, embed_rows, trained_network

FIRST = 100
"""Suspects at the head of the queue whose share of wrong labels is told, where the truth is known."""
LOOKED_AT = 0.05
"""Share of all items: how much is found by looking at so many."""


@dataclass(frozen=True, eq=False)
class Queue:
    """Suspects, and the data set that they are of."""

    dataset: Dataset
    suspects: Suspects
    neighbours: int
    """So many vote, where the class of an item has as many others."""


@dataclass(frozen=True)
class Found:
    """What looking at the queue finds, where true classes are known."""

    wrong: int
    """Items with a wrong label in the whole set."""
    first: int
    """Of so many suspects at the head"""
    first_wrong: float
    """this share is labelled wrong."""
    looked_at: int
    """Looking at so many items, 5 % of the set,"""
    found: float
    """finds this share of the wrong ones,"""
    at_most: float
    """of which no more than this could be found by that many looks."""


def queue(
    config: ExperimentConfig,
    distance: Distance,
    k: int,
    *,
    run: str | None = None,
    lane: str | None = None,
    progress: Progress | None = None,
    say: Say = print,
) -> Queue:
    """Rank the items of an experiment's data by what lies near them: in their features, or, where a recording is named,
    in what its lane makes of them.

    Args:
        config: whose data and seed count; of `run` if there is one.
        distance: what near means in the features; a lane has its own.
        k: neighbours that vote.
        run: a recording; None takes the features.
        lane: of the recording; None takes its first.

    Raises:
        InputError: no such data, recording or lane; see also `hnm_core.evaluation.suspects.suspects`.
        LoadCancelled: the progress callback returned False.
    """
    recording = None if run is None else open_recording(find_run(run))
    config = config if recording is None else recording.config
    dataset = data.build(config.data.part, seed=config.seed, progress=progress, minable=False)
    points = dataset.x
    if recording is not None:
        name = recording.lanes[0] if lane is None else lane
        known = recording.history().lane_configs()  # those too that were forked off
        if name not in known:
            raise unknown_name("lane", name, known)
        own = known[name].lanes[0]
        distance = Distance(own.distance, own.normalize)
        points = embed_rows(trained_network(recording, name, say).network, points, progress)

    def searched(done: int, total: int) -> bool:
        report(progress, done, total, "neighbours")
        return True

    found = suspects(
        torch.from_numpy(np.array(points)), torch.from_numpy(np.array(dataset.y)), distance, k=k, progress=searched
    )
    return Queue(dataset, found, k)


def evidence(queue: Queue, place: int) -> tuple[str, ...]:
    """Why the item at this place of the queue is doubtful, in sentences."""
    dataset, found = queue.dataset, queue.suspects
    label, instead = dataset.class_names[dataset.y[int(found.row[place])]], dataset.class_names[found.instead[place]]
    vote, own, mutual = (f"{100 * float(share[place]):.0f} %" for share in (found.vote, found.own, found.mutual))
    wanted, twin = int(found.wanted[place]), int(found.twin[place])
    near = f"Of its {queue.neighbours} nearest {vote} are {instead} and {own} {label}."
    back = (
        f"Of these {instead}, {mutual} have it among their nearest; it is a hard negative for {wanted:,} "
        f"{'item' if wanted == 1 else 'items'} of other classes."
    )
    if twin < 0:
        return near, back
    return near, back, f"Item {dataset.ids[twin]}, which is equal to it, has another label."


def found_by(queue: Queue) -> Found | None:
    """How well the queue does; None where the truth is not known, or nothing is wrong."""
    dataset = queue.dataset
    if dataset.y_true is None:
        return None
    wrong: NDArray[np.bool_] = dataset.y != dataset.y_true
    total, looks = int(wrong.sum()), round(LOOKED_AT * len(wrong))
    if not total:
        return None
    in_queue = wrong[queue.suspects.row.numpy()]
    first = in_queue[:FIRST]
    return Found(
        total,
        len(first),
        float(first.mean()) if len(first) else 0.0,
        looks,
        float(in_queue[:looks].sum() / total),
        min(1.0, looks / total),
    )
