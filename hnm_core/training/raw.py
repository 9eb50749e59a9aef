"""What the features score before any training, measured once at the start of a run by the distances of its lanes."""

from __future__ import annotations

import math
from typing import NamedTuple

from hnm_core.data.options import FileOptions
from hnm_core.data.own import MANY_FEATURES
from hnm_core.distances import Distance
from hnm_core.evaluation.retrieval import retrieval
from hnm_core.run.raw import RawScore
from hnm_core.system import memory
from hnm_core.training import room
from hnm_core.training.setup import Shared

MOST_PRODUCTS = 100_000_000_000
"""Numbers multiplied for all distances between the evaluated items: some seconds on one core; no run waits longer."""


class Raw(NamedTuple):
    """What came of it."""

    scores: tuple[RawScore, ...] = ()
    """One for each distance; none where nothing is trained, for then the lanes show it, nor where it takes too much"""
    skipped: str = ""
    """Why not, in a sentence, where it takes too much time or memory"""


def raw_scores(shared: Shared) -> Raw:
    """Retrieval by the features themselves, among the items that lanes are measured on. No generator is asked, and
    nothing that lanes use is changed."""
    config = shared.config
    if not config.model.part.options.trains:
        return Raw()
    distances = {in_words(one): one for one in (Distance(lane.distance, lane.normalize) for lane in config.lanes)}
    queries, items = len(shared.query_place), len(shared.evaluated_row)
    width, kind = shared.x.shape[1], kind_of(shared)
    if len(distances) * queries * items * width > MOST_PRODUCTS:
        return Raw(
            skipped=f"What {kind} score by themselves is not measured: {items:,} items of {width:,} numbers take long."
        )
    needed, free = room.of_measuring(shared, width), memory.free()
    if shared.device.type == "cpu" and free is not None and needed > free:
        return Raw(
            skipped=f"What {kind} score by themselves is not measured: it takes about {memory.in_words(needed)} of "
            f"memory, and {memory.in_words(free)} are free."
        )
    features, labels = shared.x[shared.evaluated_row], shared.evaluated_labels
    scores = []
    for words, distance in distances.items():
        found = retrieval(features, labels, distance, queries=shared.query_place)
        metrics = {
            "precision_at_1": found.precision_at_1,
            "map_at_r": found.map_at_r,
            "knn_accuracy": found.knn_accuracy,
        }
        known = {name: value for name, value in metrics.items() if math.isfinite(value)}
        if known:
            scores.append(RawScore(kind, words, known))
    return Raw(tuple(scores))


def kind_of(shared: Shared) -> str:
    """What the features are called."""
    if shared.image_shape is not None:
        return "raw pixels"
    from_file = isinstance(shared.config.data.part.options, FileOptions)
    return "raw embeddings" if from_file and shared.x.shape[1] >= MANY_FEATURES else "raw features"


def in_words(distance: Distance) -> str:
    """A distance by its name, with what it does to the embeddings before."""
    unit = distance.normalized and distance.metric != "cosine"
    return f"{distance.metric}{' on the unit sphere' if unit else ''}"
