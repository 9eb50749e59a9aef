"""The choice that `mine_hard_negatives` of sentence-transformers makes (6.2.0, `util/hard_negatives.py`).

It looks at the `range_max` + p nearest documents, p the most positives of a query, positives among them. These are
struck out, then what margins and scores forbid; of what is left the `range_max` best keep their order, the first
`range_min` of them are passed over, and of the others the first few are taken ("top"), or some of those that were not
struck out ("random"). So a rank counts what is left, where the miners here count what was found. Margins speak of the
positive with the lowest score. Where scores tie, its order is that of its index; here it is that of rows.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from hnm_core.negatives.choosing import ENOUGH, FEW_FOUND, NO_POSITIVE, REASONS, Chosen
from hnm_core.negatives.options import MineOptions

THEIR_CANDIDATES = 10
"""Candidates for each negative, where something may strike out some."""


def range_max(options: MineOptions, most_positives: int) -> int:
    """How many candidates are kept; what it is where nobody says."""
    if options.rank_max is not None:
        return options.rank_max
    strikes = (options.absolute_margin, options.relative_margin, options.max_score)
    each = THEIR_CANDIDATES if any(limit is not None for limit in strikes) else 1
    return options.rank_min + options.negatives * each + most_positives


def choose(
    score: Tensor,
    row: Tensor,
    positive: Tensor,
    lowest: Tensor,
    most_positives: int,
    options: MineOptions,
    source: random.Random,
) -> Chosen:
    """Negatives of the anchors of a block.

    Args:
        score: (Q, K) float32 similarities of the nearest documents, best first, positives among them.
        row: (Q, K) which rows these are; -1 for none.
        positive: (Q, K) bool, which of them are positives.
        lowest: (Q,) float32 the score of the positive that has the lowest; NaN for an anchor without one.
        most_positives: of any anchor of the set.
        options: what is asked for.
        source: draws for one anchor after the other, as `random` does in that library.
    """
    struck = score.new_tensor(-torch.inf)
    usable = ~lowest.isnan()
    score = torch.where(positive | (row < 0) | ~usable[:, None], struck, score)
    lost: dict[str, Tensor] = {}
    for name, forbidden in _limits(score, lowest, options):
        lost[name] = forbidden & score.isfinite()
        score = torch.where(forbidden, struck, score)
    most = range_max(options, most_positives)
    score, order = score.sort(dim=1, descending=True, stable=True)
    score, row = score[:, options.rank_min : most], row.gather(1, order)[:, options.rank_min : most]
    wanted = options.negatives
    if score.shape[1] < wanted:  # fewer documents than candidates that are asked for
        missing = wanted - score.shape[1]
        score = torch.nn.functional.pad(score, (0, missing), value=-torch.inf)
        row = torch.nn.functional.pad(row, (0, missing), value=-1)
    if options.select == "hardest":
        score, row = score[:, :wanted], row[:, :wanted]
    else:
        there = score.isfinite().sum(1).clamp_min(wanted)
        drawn = [source.sample(range(count), k=wanted) for count in there.tolist()]
        column = torch.tensor(drawn, dtype=torch.int64).reshape(-1, wanted)
        score, order = score.gather(1, column).sort(dim=1, descending=True, stable=True)
        row = row.gather(1, column).gather(1, order)
    row = row.masked_fill(score.isinf(), -1)
    return Chosen(row, score, _reasons(row, usable, lost), {name: int(mask.sum()) for name, mask in lost.items()})


def _limits(score: Tensor, lowest: Tensor, options: MineOptions) -> Sequence[tuple[str, Tensor]]:
    """What each limit forbids, by the name of our filter that does the same."""
    found = []
    if options.absolute_margin is not None:
        found.append(("absolute_margin", score + options.absolute_margin > lowest[:, None]))
    if options.relative_margin is not None:
        found.append(("relative_margin", score > (lowest - lowest.abs() * options.relative_margin)[:, None]))
    if options.max_score is not None:
        found.append(("min_distance", score > options.max_score))
    if options.min_score is not None:
        found.append(("max_distance", score < options.min_score))
    return found


def _reasons(row: Tensor, usable: Tensor, lost: dict[str, Tensor]) -> Tensor:
    why = torch.full((len(row),), FEW_FOUND, dtype=torch.uint8)
    if lost:
        names = list(lost)
        most, which = torch.stack([lost[name].sum(1) for name in names], 1).max(1)
        places = torch.tensor([REASONS.index(name) for name in names], dtype=torch.uint8)
        why[most > 0] = places[which[most > 0]]
    why[~usable] = NO_POSITIVE
    why[(row >= 0).all(1)] = ENOUGH
    return why


def state_of(source: random.Random) -> list[int]:
    """All that its next draws depend on."""
    return list(source.getstate()[1])


def source_of(state: Sequence[int]) -> random.Random:
    """A source that goes on from there."""
    source = random.Random()
    made: Any = (3, tuple(map(int, state)), None)
    source.setstate(made)
    return source
