"""A frame whose items stand elsewhere for a moment: where t-SNE has put them. No Qt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.split import stratified_sample
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.shown import places_of

MOST_ITEMS = 2_000
"""t-SNE of more takes minutes."""
MOST_MINED = 600
"""So many of them at most are there because they were mined."""


def is_whole(frame: Frame) -> bool:
    """Whether its positions are the embedding, and not the three directions of it in which it spreads most."""
    return not frame.projection.startswith("PCA")


def chosen_ids(started: RunStarted, frames: Sequence[Frame]) -> NDArray[np.int64]:
    """(K,) ascending ids of the items to lay out, the same in all lanes: all that are shown if they are few. Else a
    stratified part, and in it what was mined hardest, so that edges can be drawn."""
    if len(started.ids) <= MOST_ITEMS:
        return started.ids
    mined = np.unique(np.concatenate([_hardest(started, frame)[: MOST_MINED // len(frames)] for frame in frames]))
    others = np.setdiff1d(np.arange(len(started.ids)), mined)
    rest = others[stratified_sample(started.labels[others], MOST_ITEMS - len(mined), started.config.seed)]
    ids: NDArray[np.int64] = started.ids[np.union1d(mined, rest)]
    return ids


def laid_out(
    started: RunStarted, frame: Frame, ids: NDArray[np.int64], positions: NDArray[np.float32], step: int
) -> Frame:
    """`frame` with these (K,) items at (K, 3) positions, the others nowhere, and a word on what that is. `step` is that
    of the embedding that was laid out."""
    everywhere = np.full_like(frame.positions, np.nan)
    everywhere[places_of(started.ids, ids)] = positions
    count = f"{len(ids):,}" if len(ids) == started.items_total else f"{len(ids):,} of {started.items_total:,}"
    words = f"t-SNE of {count} items, step {step:,} · distances between clusters mean nothing"
    return replace(frame, positions=everywhere, projection=words, guests=None)


def _hardest(started: RunStarted, frame: Frame) -> NDArray[np.int64]:
    """Places of what was mined, the hardest triplets first, each once."""
    triplets = frame.triplets.reshape(-1, 3).astype(np.int64)
    order = np.arange(len(triplets)) if frame.separation is None else np.argsort(frame.separation, kind="stable")
    places = places_of(started.ids, triplets[order].ravel())
    places = places[places >= 0]
    _, first = np.unique(places, return_index=True)
    return places[np.sort(first)]
