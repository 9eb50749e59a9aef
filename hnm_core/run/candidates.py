"""What negatives were chosen from: of some anchors of a step every candidate, and which of these it became."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scope = Literal["nearest", "approximate", "batch"]

SCOPES: tuple[Scope, ...] = ("nearest", "approximate", "batch")
"""Where candidates come from. nearest: an exact search for the nearest items that are no positives; approximate: a
search that may miss some of these; batch: all items of the batch that are no positives."""

MAX_ANCHORS = 64
MAX_OF_AN_ANCHOR = 500
MAX_CANDIDATES = 1000
"""At most so many pairs travel in a frame: of many candidates each, fewer anchors are told of."""


@dataclass(frozen=True, eq=False)
class Candidates:
    """P pairs of an anchor and a candidate; P <= MAX_CANDIDATES, of MAX_ANCHORS anchors at most.

    Those of an anchor follow each other, the nearest first where a search found them. All of an anchor's are told, of
    more than MAX_OF_AN_ANCHOR those that were chosen and the nearest (in a batch: an even part).
    """

    pairs: NDArray[np.int32]
    """(P, 2) dataset ids: an anchor, and what was found for it, -1 in the one pair of an anchor without candidates. Not
    all of them need be drawn."""
    chosen: NDArray[np.bool_]
    """(P,) whether the candidate became a negative of the anchor"""
    asked: int
    """For how many anchors of the step candidates were looked for"""
    most: int
    """How many candidates an anchor can have: the length of the list that is searched for, or the rows of the batch"""
    scope: Scope

    @property
    def found(self) -> NDArray[np.bool_]:
        """(P,) which pairs have a candidate."""
        there: NDArray[np.bool_] = self.pairs[:, 1] >= 0
        return there
