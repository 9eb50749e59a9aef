"""The search that should take the least time for the recall that is asked for."""

from __future__ import annotations

import torch

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.base import BuiltAnew
from hnm_core.neighbors.exact import Exact
from hnm_core.neighbors.found import Neighbors, SearchProgress
from hnm_core.neighbors.machine import matrix_units
from hnm_core.neighbors.near_blocks import products_take
from hnm_core.neighbors.options import AutoOptions, RoutedOptions
from hnm_core.neighbors.probing import PROBE
from hnm_core.neighbors.routed import Routed
from hnm_core.relevance import Query

_INTO_CELLS = 2_000.0
"""Nanoseconds in which one thread puts a row in its cell, about."""


class Auto(BuiltAnew):
    """`exact`, or `routed` where a recall below 1 will do; chosen at each search by the time that either should take.

    The choice depends on what is searched and on the number of threads, not on any clock. Cells are made for `routed`
    only where exact search should take longer than making and trying them.
    """

    def __init__(self, options: AutoOptions | None = None, distance: Distance | None = None) -> None:
        self._options = options or AutoOptions()
        self._distance = distance or Distance()
        self._exact = Exact(distance=self._distance)
        self._routed: Routed | None = None
        self._search: Exact | Routed = self._exact
        self._reason = ""

    @property
    def approximate(self) -> bool:  # type: ignore[override]  # the options settle it
        """Whether it may miss neighbours."""
        return self._options.recall < 1

    @property
    def description(self) -> str:
        """What searched last, why, and how long that should have taken."""
        return f"{self._search.description}{self._reason}"

    def _build(self, bank: Bank) -> None:
        """Index the bank for exact search."""
        self._exact.build(bank)
        self._search, self._routed, self._reason = self._exact, None, ""
        self._bank = bank

    def _nearest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        search, self._reason = self._choose(query, k)
        self._search = search
        return search.nearest(query, k, progress)

    def _farthest(self, query: Query, k: int, progress: SearchProgress | None) -> Neighbors:
        return self._exact.farthest(query, k, progress)

    def _choose(self, query: Query, k: int) -> tuple[Exact | Routed, str]:
        """What is to search, and why."""
        recall, exactly = self._options.recall, self._exact.expected(query, k)
        if exactly is None:
            return self._exact, "; chosen as nothing is known to be faster there"
        if recall == 1:
            return self._exact, f"; chosen as all neighbours are asked for: about {exactly:.2g} s expected"
        bank, coarse = query.bank, matrix_units()
        trying = PROBE * products_take(len(bank), bank.dim, coarse=coarse)
        preparing = 1e-9 * (len(bank) * _INTO_CELLS + trying) / torch.get_num_threads()
        if self._routed is None and exactly <= preparing:
            return (
                self._exact,
                f"; chosen as about {exactly:.2g} s are expected, and {preparing:.2g} s to prepare routing",
            )
        if self._routed is None:
            routed = Routed(RoutedOptions(recall=recall), self._distance)
            routed.build(bank)
            self._routed = routed  # no sooner: several threads may ask
        compared = self._routed.compares(query, k)
        if compared is None:
            return self._exact, f"; chosen as routing would have to visit everything: about {exactly:.2g} s expected"
        routing = products_take(compared, bank.dim, coarse=coarse)
        by_routing = 1e-9 * len(query) * routing / torch.get_num_threads()
        if exactly <= by_routing:
            return self._exact, f"; chosen as about {exactly:.2g} s are expected, and {by_routing:.2g} s by routing"
        return self._routed, f"; chosen as about {by_routing:.2g} s are expected, and {exactly:.2g} s exactly"
