"""What the approximate searches share: the probe they choose on, recall, and what their kernels need."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core import kernels
from hnm_core.neighbors.found import Neighbors, SearchProgress, none_found
from hnm_core.relevance import Query, Relevance, VectorQuery

PROBE = 512
"""Anchors of a probe."""
PROBE_EVERY = 20
"""Builds of unchanged size after which a choice is made again."""
TOLERANCE = 1e-4
"""A found row counts when its distance is at most this share above the k-th exact one."""


def probe_places(rows: int, device: torch.device | None = None) -> Tensor:
    """Up to 512 of `rows` places, evenly spread."""
    return torch.linspace(0, rows - 1, min(PROBE, rows), device=device, dtype=torch.float64).round().long()


def recall(found: Tensor, exact: Tensor) -> float:
    """Share of the exact neighbours for which as good a row was found; 1 where there are no neighbours.

    Args:
        found: (Q, k) distances found, inf where none.
        exact: (Q, k) true distances, inf where there are fewer.
    """
    exists = exact.isfinite()
    if not exists.any():
        return 1.0
    # The k-th exact distance; the last that exists where there are fewer. For negative ones the share widens too.
    last = exact.masked_fill(~exists, -torch.inf).amax(1, keepdim=True)
    limit = last + TOLERANCE * last.abs()
    return int(((found <= limit) & exists).sum()) / int(exists.sum())


class Probe(NamedTuple):
    """Rows of a bank as anchors on which an approximate search is held against an exact one."""

    query: Query
    k: int
    """Neighbours to ask for: one more than wanted where all rows may come back, as each anchor then finds itself."""
    row: Tensor
    """(P,) the rows that the anchors are, or equal."""

    def others(self, exact: Neighbors) -> Neighbors:
        """The neighbours without the row that the anchor is: inf and -1 in its place."""
        itself = exact.row == self.row[:, None]
        return Neighbors(exact.distance.masked_fill(itself, torch.inf), exact.row.masked_fill(itself, -1))


def probe_of(relevance: Relevance, row: Tensor, k: int, *, unrestricted: bool) -> Probe:
    """The probe for k neighbours that rows (P,) of the bank make: with their classes, or as vectors to which nothing is
    relevant, since among all rows neighbours are nearer than among those of other classes."""
    if unrestricted:
        return Probe(relevance.of_vectors(relevance.bank.embeddings[row]), k + 1, row)
    return Probe(relevance.query(row), k, row)


def mixed(query: Query) -> bool:
    """Whether all rows may come back for some of the anchors, and not for others: what was chosen on one probe does not
    suit them all."""
    return isinstance(query, VectorQuery) and 0 < int((query.classes < 0).sum()) < len(query)


def apart(
    ask: Callable[[Query, int, SearchProgress], Neighbors], query: Query, k: int, progress: SearchProgress | None
) -> Neighbors:
    """The answer to a mixed query by those to its parts: what an anchor gets depends on no other."""
    found, free, done = none_found(query.bank, len(query), k), query.classes < 0, 0
    for chosen in (free, ~free):
        which = chosen.nonzero()[:, 0]

        def told(there: int, _total: int, before: int = done) -> bool | None:
            return progress(before + there, len(query)) if progress is not None else None

        found.distance[which], found.row[which] = ask(query.at(which), k, told)
        done += len(which)
    return found


Choice = TypeVar("Choice", bound=tuple[Any, ...])


class Kept(Generic[Choice]):
    """What was chosen on a probe, until it has to be chosen again: after 20 builds, or for another shape or k.

    Of several threads that ask, one chooses, and the others take what it chose.
    """

    def __init__(self) -> None:
        self._choice: Choice | None = None
        self._shape: tuple[int, ...] = ()
        self._builds = 0
        self._choosing = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        """Without the lock: a copy is asked by others."""
        return {name: value for name, value in vars(self).items() if name != "_choosing"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """With a lock of its own."""
        vars(self).update(state, _choosing=threading.Lock())

    def built(self) -> None:
        """Count a build."""
        self._builds += 1

    def get(self, choose: Callable[[], Choice], *shape: int) -> Choice:
        """The choice for `shape`, made anew where it is due."""
        with self._choosing:
            if self._choice is None or self._shape != shape or self._builds >= PROBE_EVERY:
                self._choice, self._shape, self._builds = choose(), shape, 0
            return self._choice

    def state(self) -> dict[str, Any]:
        """All there is, as plain values."""
        return {"choice": self._choice, "shape": list(self._shape), "builds": self._builds}

    def restore(self, state: Mapping[str, Any], made: Callable[..., Choice], *, builds: int = 0) -> None:
        """Be what told `state`, with so many more builds; `made` makes a choice of its numbers."""
        choice = state["choice"]
        self._choice = None if choice is None else made(*choice)
        self._shape, self._builds = tuple(map(int, state["shape"])), int(state["builds"]) + builds


class Numbers:
    """What a search has chosen on its probes: how many (of candidates, of cells) and the recall that this reached; one
    for anchors that have classes, and one for those for which all rows may come back."""

    def __init__(self) -> None:
        self._kept: dict[bool, Kept[tuple[int, float]]] = {free: Kept() for free in (False, True)}

    def __getitem__(self, free: bool) -> Kept[tuple[int, float]]:
        return self._kept[free]

    def built(self) -> None:
        """Count a build."""
        for kept in self._kept.values():
            kept.built()

    def state(self) -> list[dict[str, Any]]:
        """All there is, as plain values."""
        return [self._kept[free].state() for free in (False, True)]

    def restore(self, state: Sequence[Mapping[str, Any]]) -> None:
        """Be what told `state`."""
        for free, kept in zip((False, True), state, strict=True):
            self._kept[free].restore(kept, lambda number, reached: (int(number), float(reached)))


def compiled() -> bool:
    """Whether the search kernels are at hand. Where they are not, this has them compiled and waits for that.

    An approximate search finds other rows without them, which must not depend on whether it is the first on a machine.
    """
    compiler = kernels.compile_in_background(kernels.SEARCH_KERNELS)
    return compiler is None or compiler.wait() == 0


def padded(points: Tensor) -> NDArray[np.float32]:
    """(N, D) with D filled up with zeros to a multiple of 16, as the kernels read it."""
    missing = -points.shape[1] % 16
    return np.ascontiguousarray((torch.nn.functional.pad(points, (0, missing)) if missing else points).numpy())
