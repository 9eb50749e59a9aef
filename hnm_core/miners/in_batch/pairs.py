"""Miners inside a batch that choose pairs: for each the factory of the miner, and `_NAME`, the rule it follows."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from hnm_core.distances import Distance
from hnm_core.miners.base import Pairs, Triplets
from hnm_core.miners.in_batch import draws
from hnm_core.miners.in_batch.batch import Batch
from hnm_core.miners.in_batch.miner import InBatchMiner, Mined
from hnm_core.miners.in_batch.options import (
    AllPairsOptions,
    BatchEasyHardOptions,
    BatchHardOptions,
    BatchOptions,
    HardNegativePairsOptions,
    HdcOptions,
    MultiSimilarityOptions,
    PairMarginOptions,
    Range,
    UniformHistogramOptions,
)
from hnm_core.miners.in_batch.scan import limited, thinned
from hnm_core.miners.in_batch.triplets import RAW_SQUARED


def batch_hard(
    options: BatchHardOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[BatchHardOptions]:
    """The farthest positive and the nearest negative of each anchor that has both; of tied ones the first row
    (Hermans, Beyer, Leibe, arXiv 1703.07737)."""
    return InBatchMiner(_batch_hard, options, generator, distance)


def _batch_hard(batch: Batch, options: BatchHardOptions, chance: Generator) -> Mined:
    positive, has_positive = _extreme(batch.distances, batch.positive, farthest=True)
    negative, has_negative = _extreme(batch.distances, batch.negative, farthest=False)
    anchor = (has_positive & has_negative).nonzero()[:, 0]
    return thinned(Triplets(anchor, positive[anchor], negative[anchor]), options, chance)


def batch_easy_hard(
    options: BatchEasyHardOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[BatchEasyHardOptions]:
    """One positive and one negative pair of each anchor, by two strategies (Xuan, Stylianou, Pless, arXiv 1904.04370).

    An anchor that lacks one side is left out; next to a side that takes all pairs it still gives the other one.
    """
    return InBatchMiner(_batch_easy_hard, options, generator, distance)


def _batch_easy_hard(batch: Batch, options: BatchEasyHardOptions, chance: Generator) -> Mined:
    distances = batch.distances
    may_pull = _within(distances, batch.positive, options.allowed_pos_range)
    may_push = _within(distances, batch.negative, options.allowed_neg_range)
    pos, neg = options.pos_strategy, options.neg_strategy
    all_rows = torch.arange(len(distances), device=distances.device)
    if pos == "semihard":
        negative, pushes = _extreme(distances, may_push, farthest=neg == "easy")
        nearer = distances < _picked(distances, negative)
        positive, pulls = _extreme(distances, may_pull & nearer, farthest=True)
    else:
        positive, pulls = _extreme(distances, may_pull, farthest=pos == "hard")
        if neg == "semihard":
            may_push = may_push & (distances > _picked(distances, positive))
        negative, pushes = _extreme(distances, may_push, farthest=neg == "easy")
    if pos != "all" and neg != "all":
        pulls = pushes = pulls & pushes
    pulled = batch.positive_pairs if pos == "all" else (all_rows[pulls], positive[pulls])
    pushed = _rows(batch.negative) if neg == "all" else (all_rows[pushes], negative[pushes])
    return _capped(pulled, pushed, options, chance)


def pair_margin(
    options: PairMarginOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[PairMarginOptions]:
    """Positive pairs with d > pos_margin, negative pairs with d < neg_margin."""
    return InBatchMiner(_pair_margin, options, generator, distance)


def _pair_margin(batch: Batch, options: PairMarginOptions, chance: Generator) -> Mined:
    far = batch.positive & (batch.distances > options.pos_margin)
    near = batch.negative & (batch.distances < options.neg_margin)
    return _capped(_rows(far), _rows(near), options, chance)


def multi_similarity(
    options: MultiSimilarityOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[MultiSimilarityOptions]:
    """Positives with d_ap + epsilon > min d_an, negatives with d_an - epsilon < max d_ap (Wang 2019, arXiv 1904.06627).

    An anchor that lacks one side gives nothing. Without a distance: cosine.
    """
    return InBatchMiner(_multi_similarity, options, generator, distance, Distance("cosine"))


def _multi_similarity(batch: Batch, options: MultiSimilarityOptions, chance: Generator) -> Mined:
    distances = batch.distances
    if not distances.numel():
        return _capped(_rows(batch.positive), _rows(batch.negative), options, chance)
    nearest = distances.masked_fill(~batch.negative, torch.inf).amin(1, keepdim=True)
    farthest = distances.masked_fill(~batch.positive, -torch.inf).amax(1, keepdim=True)
    pulled = batch.positive & (distances + options.epsilon > nearest)
    pushed = batch.negative & (distances - options.epsilon < farthest)
    return _capped(_rows(pulled), _rows(pushed), options, chance)


def hdc(
    options: HdcOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[HdcOptions]:
    """ceil(share x count) farthest positive and nearest negative pairs; of tied ones the first (Yuan, Yang, Zhang:
    hard-aware deeply cascaded embedding, arXiv 1611.05720)."""
    return InBatchMiner(_hdc, options, generator, distance)


def _hdc(batch: Batch, options: HdcOptions, chance: Generator) -> Mined:
    pulled, pushed = batch.positive_pairs, _rows(batch.negative)
    share = options.filter_percentage
    far = _smallest(-batch.distances[pulled], math.ceil(share * len(pulled[0])))
    near = _smallest(batch.distances[pushed], math.ceil(share * len(pushed[0])))
    return _capped(_taken(pulled, far), _taken(pushed, near), options, chance)


def uniform_histogram(
    options: UniformHistogramOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[UniformHistogramOptions]:
    """So many pairs, drawn with repeats, from each of `num_bins` equal ranges of distance that has any; positive and
    negative pairs each have ranges of their own."""
    return InBatchMiner(_uniform_histogram, options, generator, distance)


def _uniform_histogram(batch: Batch, options: UniformHistogramOptions, chance: Generator) -> Mined:
    pulled, pushed = batch.positive_pairs, _rows(batch.negative)
    from_pulled = _flattened(batch.distances[pulled], options.num_bins, options.pos_per_bin, chance)
    from_pushed = _flattened(batch.distances[pushed], options.num_bins, options.neg_per_bin, chance)
    return _capped(_taken(pulled, from_pulled), _taken(pushed, from_pushed), options, chance)


def all_pairs(
    options: AllPairsOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[AllPairsOptions]:
    """Every unordered pair; balanced: as many negative pairs as positive ones, drawn evenly, or all there are."""
    return InBatchMiner(_all_pairs, options, generator, distance, RAW_SQUARED)


def _all_pairs(batch: Batch, options: AllPairsOptions, chance: Generator) -> Mined:
    pulled, pushed = batch.unordered_pairs, _unordered_negatives(batch)
    wanted = len(pulled[0])
    if options.balance and len(pushed[0]) > wanted:
        count = torch.tensor([len(pushed[0])], device=pushed[0].device)
        place = draws.distinct(count, wanted, chance) if wanted else count[:0]
        pushed = _taken(pushed, place)
    return _capped(pulled, pushed, options, chance)


def hard_negative_pairs(
    options: HardNegativePairsOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[HardNegativePairsOptions]:
    """Every unordered positive pair and as many of the batch's nearest negative pairs, or all there are."""
    return InBatchMiner(_hard_negative_pairs, options, generator, distance, RAW_SQUARED)


def _hard_negative_pairs(batch: Batch, options: HardNegativePairsOptions, chance: Generator) -> Mined:
    pulled, pushed = batch.unordered_pairs, _unordered_negatives(batch)
    nearest = _smallest(batch.distances[pushed], min(len(pulled[0]), len(pushed[0])))
    return _capped(pulled, _taken(pushed, nearest), options, chance)


Rows = tuple[Tensor, Tensor]
"""Rows of the batch and rows of their partners."""


def _rows(mask: Tensor) -> Rows:
    row, column = mask.nonzero(as_tuple=True)
    return row, column


def _taken(pairs: Rows, place: Tensor) -> Rows:
    return pairs[0][place], pairs[1][place]


def _unordered_negatives(batch: Batch) -> Rows:
    return _rows(batch.negative.triu() if batch.same_set else batch.negative)


def _capped(pulled: Rows, pushed: Rows, options: BatchOptions, chance: Generator) -> Mined:
    found = len(pulled[0]) + len(pushed[0])
    halves = [
        pairs if place is None else _taken(pairs, place)
        for pairs in (pulled, pushed)
        for place in (limited(pairs[0], torch.ones_like(pairs[0]), options, chance),)
    ]
    return Mined(Pairs(*halves[0], *halves[1]), found)


def _extreme(distances: Tensor, usable: Tensor, *, farthest: bool) -> tuple[Tensor, Tensor]:
    """(B,) the farthest or nearest usable column of each row, of tied ones the first; and whether there is one."""
    if not distances.shape[1]:
        nothing = torch.zeros(len(distances), dtype=torch.int64, device=distances.device)
        return nothing, nothing.bool()
    if farthest:
        return distances.masked_fill(~usable, -torch.inf).max(1).indices, usable.any(1)
    return distances.masked_fill(~usable, torch.inf).min(1).indices, usable.any(1)


def _picked(distances: Tensor, column: Tensor) -> Tensor:
    return distances.gather(1, column[:, None]) if distances.shape[1] else distances


def _within(distances: Tensor, usable: Tensor, limits: Range | None) -> Tensor:
    return usable if limits is None else usable & (distances >= limits[0]) & (distances <= limits[1])


def _smallest(values: Tensor, count: int) -> Tensor:
    """(count,) places of the smallest values, ascending; of tied ones the first."""
    if count == 0:
        return torch.zeros(0, dtype=torch.int64, device=values.device)
    last = values.kthvalue(count).values
    below = values < last
    tied = (values == last).nonzero()[:, 0]
    below[tied[: count - int(below.sum())]] = True
    return below.nonzero()[:, 0]


def _flattened(distances: Tensor, bins: int, per_bin: int, chance: Generator) -> Tensor:
    """Places drawn, with repeats, `per_bin` from each of the equal ranges of distance that hold any."""
    if not len(distances):
        return torch.zeros(0, dtype=torch.int64, device=distances.device)
    low, high = torch.aminmax(distances)
    edges = torch.linspace(float(low), float(high), bins + 1, dtype=distances.dtype, device=distances.device)
    of_pair = (torch.searchsorted(edges, distances, right=True) - 1).clamp_(0, bins - 1)
    by_bin = torch.argsort(of_pair, stable=True)
    count = torch.bincount(of_pair, minlength=bins)
    first = count.cumsum(0) - count
    filled = (count > 0).nonzero()[:, 0].repeat_interleave(per_bin)
    return by_bin[first[filled] + draws.below(count[filled], chance)].sort().values
