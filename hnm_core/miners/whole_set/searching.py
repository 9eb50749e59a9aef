"""A whole-set miner is a neighbour search plus a choice among what it finds."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Generator, Tensor

from hnm_core import neighbors
from hnm_core.bank import Bank, check_bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError, StateUntoldError
from hnm_core.isolation import isolated
from hnm_core.miners.base import Found, MiningContext, Triplets, WholeSetMiner
from hnm_core.miners.whole_set import selectors
from hnm_core.miners.whole_set.explain import Reason, collapsed, without_partner
from hnm_core.miners.whole_set.filters import filters_of
from hnm_core.miners.whole_set.measuring import distances_to
from hnm_core.miners.whole_set.options import SearchingOptions
from hnm_core.miners.whole_set.positives import choose_positives, fill_negatives, ranked_positives
from hnm_core.neighbors.base import KeepsState, NeighborSearch, nearest
from hnm_core.relevance import JudgedQuery, RowQuery, anchor_rows, query_of_rows
from hnm_core.run.timing import Phase


def build(
    options: SearchingOptions, generator: Generator | None = None, distance: Distance | None = None
) -> SearchingMiner:
    """A miner over the search that `options` name. What the search draws itself is seeded by `generator`, or by 0."""
    seed = 0 if options.search_draws else None
    if options.search_draws and generator is not None:
        seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    return SearchingMiner(options, neighbors.build(options.search_part(seed), distance=distance), distance)


@dataclass
class _Outcome:
    """What the last call of `mine` did; tensors, so that counting waits for no device until somebody asks."""

    query: RowQuery | JudgedQuery
    considered: Tensor
    removed: dict[str, Tensor]
    passed: Tensor
    too_easy: Tensor
    without_positive: Tensor
    without_candidate: Tensor
    filled: Tensor = field(default_factory=lambda: torch.zeros(0, dtype=torch.bool))
    mined: int = 0


class SearchingMiner(WholeSetMiner):
    """Draws each anchor's negatives from the nearest rows of other classes that `search` finds.

    The order is fixed: the search leaves out the anchor's class, then come the rank window, the distance bounds and the
    margins to the positive (`filters`), then the choice (`selectors`), and last the random negatives that fill up what
    is missing.

    Attributes:
        filled: (T,) bool, which triplets of the last `mine` have such a random negative.
    """

    uses_embeddings = True

    def __init__(self, options: SearchingOptions, search: NeighborSearch, distance: Distance | None = None) -> None:
        """Raises `InputError` where the options do not fit the distance (None is Euclidean)."""
        self.options = options
        self.search: NeighborSearch = search
        self.distance = distance or Distance()
        self._filters = filters_of(options, self.distance)
        if options.select == "distance-weighted":
            selectors.check_on_sphere(self.distance)
        self._bank: Bank | None = None
        self._last: _Outcome | None = None
        self._found: Found | None = None

    @property
    def filled(self) -> Tensor:
        """See the class."""
        return self._last.filled if self._last is not None else torch.zeros(0, dtype=torch.bool)

    @property
    def pool(self) -> int:
        """See `hnm_core.miners.base.Searching`."""
        return self.options.pool

    @property
    def reach(self) -> int:
        """See `hnm_core.miners.base.SaysHowFar`."""
        return self._list_length()

    @isolated
    def refresh(self, bank: Bank, context: MiningContext) -> None:
        """See `hnm_core.miners.base.DatasetMiner`."""
        check_bank(bank)
        self._bank = bank
        self.search.build(bank)

    @isolated
    def mine(self, anchors: Tensor, context: MiningContext) -> Triplets:
        """See `hnm_core.miners.base.DatasetMiner`. With `negatives` = m an anchor gives up to m triplets in a row."""
        if self._bank is None:
            raise InputError("The miner has seen no bank yet: call refresh before mine.")
        with context.clock(Phase.SEARCH) if context.clock else nullcontext():
            query = query_of_rows(self._bank, anchors)
            found = nearest(self.search, query, self._list_length()).row
        self._found = Found(anchor_rows(query), found) if context.keep_candidates else None
        fraction = self._draw(found, context)
        positive = choose_positives(query, self.options.positives, context.distance, context.generator)
        column = self._choose(query, positive, found, fraction)
        negative = found.gather(1, column.clamp(min=0)).where(column >= 0, -1)
        return self._assemble(query, positive, negative, context)

    def state(self) -> dict[str, Any]:
        """What the search keeps from one bank to the next. See `hnm_core.miners.base.TellsState`."""
        if not isinstance(self.search, KeepsState):
            raise StateUntoldError(f"the search '{self.options.search}' does not tell its state")
        return self.search.state()

    def restore(self, state: Mapping[str, Any], bank: Bank | None = None) -> None:
        """See `hnm_core.miners.base.TellsState`."""
        assert isinstance(self.search, KeepsState), "another one like it has told the state"
        self._bank = bank
        self.search.restore(state, bank)

    def counts(self) -> dict[str, int]:
        """What the last `mine` did: `anchors`, `considered` candidates, `dropped_...` by each filter that is on,
        `without_positive` and `without_candidate` anchors, `filled` and `mined` triplets. Empty before the first."""
        last = self._last
        if last is None:
            return {}
        return {
            "anchors": len(last.query),
            "considered": int(last.considered),
            **{f"dropped_{name}": int(count) for name, count in last.removed.items()},
            "without_positive": int(last.without_positive),
            "without_candidate": int(last.without_candidate),
            "filled": int(last.filled.sum()),
            "mined": last.mined,
        }

    def candidates(self) -> Found | None:
        """All that the search found, whatever was chosen. See `hnm_core.miners.base.TellsCandidates`."""
        return self._found

    @isolated
    def explain_empty(self) -> Reason | None:
        """Why the last `mine` gave no triplet; None where it gave some, or was never called."""
        last = self._last
        if last is None or last.mined:
            return None
        reason = without_partner(last.query)
        if reason is not None:
            return reason
        considered = int(last.considered)
        if not considered:
            return Reason("none_found", "No triplets: the search found no negative for any anchor.")
        if not int(last.passed):
            removed = {name: int(count) for name, count in last.removed.items() if int(count)}
            most = max(removed, key=lambda name: removed[name])
            each = ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in removed.items())
            return Reason(
                f"all_filtered({most})", f"No triplets: the filters removed all {considered:,} candidates ({each})."
            )
        if collapsed(last.query.bank):
            return Reason("collapsed", "No triplets: all points lie on one spot.")
        if int(last.too_easy) == int(last.passed):
            return Reason(
                "all_easy",
                f"No triplets: all {considered:,} candidates are easy: "
                "farther than the positive by more than the margin.",
            )
        return Reason(
            "none_in_range",
            f"No triplets: none of the {considered:,} candidates lies in the range that is asked for; "
            "more candidates or a wider range may help.",
        )

    def _list_length(self) -> int:
        """How many neighbours have to be searched for."""
        options = self.options
        if options.rank_max is not None:
            return options.rank_max
        if self._filters.measure or options.select not in ("pool", "hardest"):
            needed = max(options.candidates, options.negatives)
        else:
            needed = options.negatives
        if options.select == "pool":
            needed = max(needed, options.pool)
        return options.rank_min + needed

    def _draw(self, found: Tensor, context: MiningContext) -> Tensor:
        """The chance of this call. Drawn before the positives, so that a filter changes no other draw."""
        match self.options.select:
            case "pool" | "rank-window":
                shape = (len(found), self.options.negatives)
            case "distance-weighted":
                shape = (len(found), found.shape[1])
            case _:
                shape = (len(found), 0)
        return torch.rand(shape, generator=context.generator, dtype=torch.float64).to(found.device)

    def _nearest_positive(self, query: RowQuery | JudgedQuery) -> Tensor:
        """(Q,) rows of the nearest positives, which guard where `guard` = nearest; -1 where there is none."""
        return ranked_positives(query, "easiest", self.distance)

    def _choose(self, query: RowQuery | JudgedQuery, positive: Tensor, found: Tensor, fraction: Tensor) -> Tensor:
        """(Q, m) columns of `found`; -1 where there is no more."""
        options, filters = self.options, self._filters
        there = (found >= 0) & (positive >= 0)[:, None]
        distance = to_positive = guard = None
        if filters.measure or options.select in ("semi-hard", "distance-weighted"):
            rows = [found, positive[:, None]]
            if filters.know_positive and filters.guard == "nearest":
                rows.append(self._nearest_positive(query)[:, None])
            measured = distances_to(query, torch.cat(rows, 1), self.distance)
            distance, to_positive = measured[:, : found.shape[1]], measured[:, found.shape[1]]
            guard = measured[:, -1] if filters.know_positive else None
        allowed, removed = filters.apply(there, distance if filters.measure else None, guard)
        none = torch.zeros((), dtype=torch.int64)
        self._last = _Outcome(query, there.sum(), removed, allowed.sum(), none, (positive < 0).sum(), none)
        match options.select:
            case "hardest":
                return selectors.nearest(allowed, options.negatives)
            case "semi-hard":
                assert distance is not None and to_positive is not None
                inside = allowed & (distance > to_positive[:, None])
                if options.margin is not None:
                    near = distance <= (to_positive + options.margin)[:, None]
                    self._last.too_easy = (inside & ~near).sum()
                    inside = inside & near
                return selectors.nearest(inside, options.negatives)
            case "distance-weighted":
                assert distance is not None
                on_sphere = selectors.on_sphere(distance, self.distance)
                weight = selectors.log_weights(on_sphere, query.bank.dim, options.cutoff, options.nonzero_loss_cutoff)
                return selectors.weighted(allowed, weight, fraction, options.negatives)
            case "rank-window":
                return selectors.uniform(allowed, fraction)
            case "pool":
                return selectors.uniform(allowed, fraction, max(options.pool, options.negatives))

    def _assemble(
        self, query: RowQuery | JudgedQuery, positive: Tensor, negative: Tensor, context: MiningContext
    ) -> Triplets:
        """Triplets from (Q,) anchors and positives and (Q, m) negatives, missing ones filled up if that is wanted."""
        assert self._last is not None
        usable = positive >= 0
        missing = (negative < 0) & usable[:, None]
        self._last.without_candidate = missing.all(1).sum()
        if self.options.fill and bool(missing.any()) and bool(query.negatives.any()):
            negative = fill_negatives(query, negative, missing, context.generator)
        each = negative.shape[1]
        keep = (usable[:, None] & (negative >= 0)).flatten()
        anchor, positive = anchor_rows(query).repeat_interleave(each), positive.repeat_interleave(each)
        negative, missing = negative.flatten(), missing.flatten()
        if not bool(keep.all()):
            anchor, positive, negative, missing = anchor[keep], positive[keep], negative[keep], missing[keep]
        self._last.filled, self._last.mined = missing, len(anchor)
        return Triplets(anchor, positive, negative)
