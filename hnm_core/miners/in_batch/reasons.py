"""Why a miner inside a batch came back with nothing."""

from __future__ import annotations

import torch

from hnm_core.miners.in_batch.batch import Batch
from hnm_core.miners.in_batch.options import BatchOptions

SPREAD = 1e-5
"""Distances that differ by less than this share of the largest count as one."""


def explain(batch: Batch, options: BatchOptions, found: int) -> tuple[str, str]:
    """A code and a sentence, see `InBatchMiner.explain_empty`; `found` is what the miner found in the batch."""
    if found:
        return "found", f"{found:,} tuples were found.".replace(",", " ")
    positives, negatives = batch.positive.sum(1), batch.negative.sum(1)
    if not bool(positives.any()):
        return "no_positives", "No row has a positive: no class has two items here."
    if not bool(negatives.any()):
        return "no_negatives", "No row has a negative: all items here are of one class."
    both = (positives > 0) & (negatives > 0)
    if not bool(both.any()):
        return "none_in_range", "No row has both a positive and a negative."
    farthest = batch.distances.masked_fill(~batch.positive, -torch.inf).amax(1)[both]
    nearest = batch.distances.masked_fill(~batch.negative, torch.inf).amin(1)[both]
    used = batch.distances[batch.positive | batch.negative]
    if float(used.max() - used.min()) <= SPREAD * max(1e-3, float(used.abs().max())):
        return "collapsed", "All distances are equal: the embeddings have collapsed to one spot."
    enough = options.enough
    if enough is not None and bool((nearest - farthest >= enough).all()):
        total = f"{int((positives * negatives).sum()):,}".replace(",", " ")
        return (
            "all_easy",
            f"All {total} triplets are easy: every negative is beyond every positive by {enough:g} or more.",
        )
    return "none_in_range", "There are positives and negatives, but none at the distances that the options ask for."
