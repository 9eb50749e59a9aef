"""What was mined, in numbers: the distribution of positive and negative scores, their difference, what filters removed.

The table that `mine_hard_negatives` of sentence-transformers prints, for tuples of any whole-set miner.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError


@dataclass(frozen=True)
class Summary:
    """A distribution in eight numbers; NaN where there is too little to say."""

    count: int
    mean: float
    median: float
    sd: float
    """sample standard deviation"""
    min: float
    lower_quartile: float
    upper_quartile: float
    max: float


@dataclass(frozen=True)
class MiningStatistics:
    """Scores of mined tuples. `difference` is positive where the negative is farther than the positive."""

    unit: str
    """what a score is: similarity (larger is nearer) or distance (smaller is nearer)"""
    positive: Summary
    negative: Summary
    difference: Summary | None
    """of each triplet; None for tuples of four, whose halves do not belong together"""
    removed: Mapping[str, int]
    """candidates that each filter removed, and what else the miner counted"""

    def rows(self) -> list[tuple[str, ...]]:
        """The table: a first row of headings, then a row for each distribution."""
        names = [field.name for field in fields(Summary)]
        lines = [("score", *(name.replace("_", " ") for name in names))]
        for name, summary in (
            ("positive", self.positive),
            ("negative", self.negative),
            ("difference", self.difference),
        ):
            if summary is not None:
                numbers = [getattr(summary, field) for field in names[1:]]
                lines.append((name, f"{summary.count:,}", *(f"{number:.4f}" for number in numbers)))
        return lines


def mining_statistics(
    bank: Bank, tuples: Sequence[Tensor], distance: Distance, counts: Mapping[str, int] | None = None
) -> MiningStatistics:
    """Statistics of tuples that were mined from a bank.

    Args:
        bank: what they were mined from.
        tuples: (anchor, positive, negative) or (anchor1, positive, anchor2, negative), rows of the bank.
        distance: of the miner. Scores are similarities for cosine and the inner product, else distances.
        counts: of the miner, `miner.counts()`.
    """
    if len(tuples) not in (3, 4):
        raise InputError(f"Tuples must hold three or four vectors, not {len(tuples)}.")
    anchor, positive = tuples[0], tuples[1]
    d_p = _between(bank, anchor, positive, distance)
    d_n = _between(bank, tuples[-2] if len(tuples) == 4 else anchor, tuples[-1], distance)
    similar = distance.metric in ("cosine", "inner-product")
    shift = 1.0 if distance.metric == "cosine" else 0.0
    score_p, score_n = (shift - d_p, shift - d_n) if similar else (d_p, d_n)
    return MiningStatistics(
        unit="similarity" if similar else "distance",
        positive=summarise(score_p),
        negative=summarise(score_n),
        difference=summarise(d_n - d_p) if len(tuples) == 3 else None,
        removed=dict(counts or {}),
    )


def summarise(values: Tensor) -> Summary:
    """The summary of (T,) numbers. Quartiles are interpolated linearly."""
    values = values.double()
    if not len(values):
        return Summary(0, *[torch.nan] * 7)
    # Sorted by hand: torch.quantile refuses more than 16 million numbers.
    ordered = values.sort().values
    place = torch.tensor([0.25, 0.5, 0.75], dtype=torch.float64, device=values.device) * (len(values) - 1)
    low, high = ordered[place.floor().long()], ordered[place.ceil().long()]
    lower, median, upper = (low + (high - low) * (place - place.floor())).tolist()
    sd = float(values.std()) if len(values) > 1 else torch.nan
    return Summary(len(values), float(values.mean()), median, sd, float(ordered[0]), lower, upper, float(ordered[-1]))


def _between(bank: Bank, left: Tensor, right: Tensor, distance: Distance) -> Tensor:
    """(T,) float64 distances between rows of the bank."""
    parts = [
        distance.rowwise(bank.embeddings[one].double(), bank.embeddings[other].double())
        for one, other in zip(left.split(_PAIRS), right.split(_PAIRS), strict=True)
    ]
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64, device=bank.device)


_PAIRS = 65_536
"""Pairs that are measured at once."""
