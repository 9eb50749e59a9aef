"""Miners inside a batch that give triplets: for each the factory of the miner, and `_NAME`, the rule it follows."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.miners.base import Triplets
from hnm_core.miners.in_batch import draws
from hnm_core.miners.in_batch.batch import Batch
from hnm_core.miners.in_batch.miner import UNIT_EUCLIDEAN, InBatchMiner, Mined
from hnm_core.miners.in_batch.options import (
    AllTripletsOptions,
    AngularOptions,
    DistanceWeightedOptions,
    HardestNegativeOptions,
    RandomNegativeOptions,
    SelectorOptions,
    SemihardNegativeOptions,
    TripletMarginOptions,
)
from hnm_core.miners.in_batch.scan import Scan, capped, one_each, open_end, thinned

RAW_SQUARED = Distance("squared-euclidean")
"""Default distance of the selectors, as in siamese-triplet: v = d_ap^2 - d_an^2 + margin on embeddings as they are."""

_NEVER = 1e30
"""Minus this stands for the logarithm of a weight of 0."""
_LEAST = -87.0
"""Weights this far below the largest, in logarithm, are never drawn; smaller ones are slow to raise in float32."""

WIDEST = 1e30
"""Stands for 1 / tan^2 of an angle of 0, finite so that differences stay numbers."""


def triplet_margin(
    options: TripletMarginOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[TripletMarginOptions]:
    """Triplets by D = d_an - d_ap (Schroff, Kalenichenko, Philbin: FaceNet, arXiv 1503.03832)."""
    return InBatchMiner(_triplet_margin, options, generator, distance)


def _triplet_margin(batch: Batch, options: TripletMarginOptions, chance: Generator) -> Mined:
    low, high = {
        "all": (-math.inf, options.margin),
        "hard": (-math.inf, 0.0),
        "semihard": (0.0, options.margin),
        "easy": (options.margin, math.inf),
    }[options.type_of_triplets]
    return capped(_separations(batch, batch.positive_pairs, low, high), options, chance)


def angular(
    options: AngularOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[AngularOptions]:
    """Triplets with atan(d_ap / (2 |n - c|)) above the angle, c the middle of a and p (Wang 2017, arXiv 1708.01682).

    |n - c|^2 = d_an^2 / 2 + d_pn^2 / 2 - d_ap^2 / 4, so this is d_an^2 + d_pn^2 < d_ap^2 (1 + 1 / tan^2 angle) / 2.

    Raises:
        InputError: a distance other than Euclidean on normalised embeddings.
    """
    _locked("angular", distance)
    return InBatchMiner(_angular, options, generator, distance)


def _angular(batch: Batch, options: AngularOptions, chance: Generator) -> Mined:
    slope = math.tan(math.radians(options.angle))
    factor = min((1 + 1 / slope**2) / 2, WIDEST) if slope**2 > 0 else WIDEST
    anchor, positive = batch.positive_pairs
    squared = batch.distances.square()
    reach = squared[anchor, positive] * factor
    second = squared if batch.same_set else batch.partner_distances().square_()
    first = squared.masked_fill(~batch.negative, torch.nan)
    scan = Scan(first, reach, anchor, positive, -math.inf, open_end(0.0, first), second, batch.buffer)
    return capped(scan, options, chance)


def distance_weighted(
    options: DistanceWeightedOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[DistanceWeightedOptions]:
    """Draws negatives with weight 1 / q(d), q the density of distances on the sphere (Wu 2017, arXiv 1706.07567).

    log w = (2 - D) log d - (D - 3) / 2 log(1 - d^2 / 4). An anchor gets as many triplets as its class has rows among
    the partners (itself included where it is one), each with any positive; without a negative of weight it gets none.

    Raises:
        InputError: a distance other than Euclidean on normalised embeddings.
    """
    _locked("distance-weighted", distance)
    return InBatchMiner(_distance_weighted, options, generator, distance)


def _distance_weighted(batch: Batch, options: DistanceWeightedOptions, chance: Generator) -> Mined:
    cumulative = _weights(batch, options.cutoff, options.nonzero_loss_cutoff).cumsum_(1)
    positives = torch.bincount(batch.positive_pairs[0], minlength=len(batch.labels))
    drawable = (positives > 0) & (cumulative[:, -1:] > 0).any(1)
    drawing = drawable.nonzero()[:, 0]
    times = positives[drawing] + int(batch.same_set)
    if len(drawing) < len(cumulative):
        cumulative = cumulative[drawing]
    negative = _drawn(cumulative, times, chance)
    anchor = drawing.repeat_interleave(times)
    first_positive = positives.cumsum(0) - positives
    place = first_positive[anchor] + draws.below(positives[anchor], chance)
    positive = batch.positive_pairs[1][place]
    return thinned(Triplets(anchor, positive, negative), options, chance)


def all_triplets(
    options: AllTripletsOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[AllTripletsOptions]:
    """Unordered positive pairs with every negative."""
    return InBatchMiner(_all_triplets, options, generator, distance, RAW_SQUARED)


def _all_triplets(batch: Batch, options: AllTripletsOptions, chance: Generator) -> Mined:
    return capped(_separations(batch, batch.unordered_pairs, -math.inf, math.inf), options, chance)


def hardest_negative(
    options: HardestNegativeOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[HardestNegativeOptions]:
    """Unordered positive pairs with the nearest negative, where d_an - d_ap < margin; of tied ones the first row."""
    return InBatchMiner(_hardest_negative, options, generator, distance, RAW_SQUARED)


def _hardest_negative(batch: Batch, options: HardestNegativeOptions, chance: Generator) -> Mined:
    anchor, positive = batch.unordered_pairs
    if not len(anchor):
        return Mined(Triplets(anchor, positive, anchor.clone()), 0)
    nearest = batch.distances.masked_fill(~batch.negative, torch.inf).min(1)
    violates = nearest.values[anchor] - batch.distances[anchor, positive] < options.margin
    anchor, positive = anchor[violates], positive[violates]
    return thinned(Triplets(anchor, positive, nearest.indices[anchor]), options, chance)


def random_negative(
    options: RandomNegativeOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[RandomNegativeOptions]:
    """Unordered positive pairs with any negative with d_an - d_ap < margin."""
    return InBatchMiner(_random_negative, options, generator, distance, RAW_SQUARED)


def _random_negative(batch: Batch, options: RandomNegativeOptions, chance: Generator) -> Mined:
    return _one_negative(batch, options, chance, beyond=-math.inf)


def semihard_negative(
    options: SemihardNegativeOptions, generator: Generator | None = None, distance: Distance | None = None
) -> InBatchMiner[SemihardNegativeOptions]:
    """Unordered positive pairs with any negative with 0 < d_an - d_ap < margin."""
    return InBatchMiner(_semihard_negative, options, generator, distance, RAW_SQUARED)


def _semihard_negative(batch: Batch, options: SemihardNegativeOptions, chance: Generator) -> Mined:
    return _one_negative(batch, options, chance, beyond=0.0)


def _one_negative(batch: Batch, options: SelectorOptions, chance: Generator, *, beyond: float) -> Mined:
    high = open_end(options.margin, batch.distances)
    return one_each(_separations(batch, batch.unordered_pairs, beyond, high), options, chance)


def _separations(batch: Batch, pairs: tuple[Tensor, Tensor], low: float, high: float) -> Scan:
    """Negatives with low < d_an - d_ap <= high."""
    anchor, positive = pairs
    reach = batch.distances[anchor, positive]
    return Scan(batch.negative_distances, reach, anchor, positive, low, high, buffer=batch.buffer)


def _weights(batch: Batch, cutoff: float, nonzero_loss_cutoff: float) -> Tensor:
    """(B, R) weight of each negative, in every row up to a factor; 0 where there is none."""
    dim = batch.points.shape[1]
    distances = batch.distances.clamp_min(cutoff)
    wanted = batch.negative & (distances < nonzero_loss_cutoff)
    if dim == 3:
        return distances.reciprocal_().mul_(wanted)  # the sphere in space: density proportional to the distance
    log_weight = distances.log().mul_(2 - dim)
    log_weight.sub_(distances.square_().mul_(-0.25).add_(1).log_().mul_((dim - 3) / 2))
    if not log_weight.shape[1]:
        return log_weight
    # Two points that coincide, or lie opposite each other, have no finite weight and are never drawn.
    wanted &= log_weight.nan_to_num_(-_NEVER, -_NEVER, -_NEVER) > -_NEVER
    # In arithmetic, which is several times faster than filling by a mask.
    share = wanted.to(log_weight.dtype)
    log_weight.add_(torch.sub(share, 1, out=distances).mul_(_NEVER))
    largest = log_weight.amax(1, keepdim=True)
    return log_weight.sub_(largest).clamp_min_(_LEAST).exp_().mul_(share)


def _drawn(cumulative: Tensor, times: Tensor, chance: Generator) -> Tensor:
    """For each row of running sums of weights so many columns drawn by weight, row after row."""
    most = int(times.max()) if len(times) else 0
    if most == 0:
        return torch.zeros(0, dtype=torch.int64, device=times.device)
    total = cumulative[:, -1:].contiguous()
    fraction = draws.uniform(len(times) * most, chance, times.device).view(-1, most)
    at = (fraction * total).to(cumulative.dtype)
    at = torch.minimum(at, torch.nextafter(total, torch.zeros_like(total)))  # rounding must not reach the end
    column = torch.searchsorted(cumulative, at, right=True)
    return column[torch.arange(most, device=times.device) < times[:, None]]


def _locked(name: str, distance: Distance | None) -> None:
    if distance is not None and distance != UNIT_EUCLIDEAN:
        raise InputError(
            f"The miner '{name}' needs Euclidean distance on normalised embeddings, not {distance.metric}"
            f'{"" if distance.normalized else " on embeddings as they are"}; set distance = "euclidean" and '
            "normalize = true."
        )
