"""What negatives were chosen from, in a cloud: a thin line from each anchor to every candidate. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.picture.edges import NEGATIVE
from app.picture.scene import Scene, stepped_back
from app.picture.theme import Theme
from hnm_core.run.candidates import MAX_OF_AN_ANCHOR, Candidates
from hnm_core.run.shown import drawn_places

ALPHA, CHOSEN_ALPHA = 0.6, 1.0
"""Opacity of a line, and of one to a candidate that was chosen once that is known"""
WIDTH, CHOSEN_WIDTH = 0.7, 1.4
"""As factors of the width of an edge"""
THROUGH, CHOSEN_THROUGH = 0.6, 0.9
"""How much of it is seen where points lie before it, 0..1"""


@dataclass(frozen=True, eq=False)
class Looked:
    """The candidates of a step as a cloud shows them."""

    places: NDArray[np.int32]
    """(L, 2) an anchor and a candidate of it, both drawn"""
    chosen: NDArray[np.bool_]
    """(L,)"""
    anchors: NDArray[np.int32]
    """(A,) places of the anchors that are drawn, also of those without candidates"""
    colors: NDArray[np.uint8]
    """(N, 3) of all points: those that have no part in it step back"""
    found_text: str
    """For example "3 nearest of another class" """
    anchors_text: str
    """For example "for 64 of 512 anchors" """
    chosen_text: str
    """For example "1 chosen each" """
    drawn_text: str
    """For example "150 of 192 lines drawn"; empty where all are"""

    @property
    def texts(self) -> tuple[str, ...]:
        """All of it, in the words of a caption."""
        return f"searched: {self.found_text}", self.anchors_text, self.chosen_text, self.drawn_text


def looked_at(
    candidates: Candidates, plain: Scene, theme: Theme, pair: tuple[int, int] | None = None, *, several: bool = False
) -> Looked:
    """What is to be seen of `candidates` in the cloud of a `plain` scene: their own frame's, without edges, for which
    points would step back. With a `pair` of classes only from anchors of the first to candidates of the second.
    `several`: items have several labels each."""
    ends = drawn_places(plain.ids, plain.sample, candidates.pairs)
    seen = np.append((plain.radii > 0) & np.isfinite(plain.positions).all(1), False)[ends]
    if pair is not None:
        seen &= np.append(plain.strata, -1)[ends] == pair
    lines = seen.all(1)
    places = ends[lines].astype(np.int32)
    anchors = np.unique(ends[:, 0][seen[:, 0]]).astype(np.int32)
    back = np.ones(len(plain.ids), np.bool_)
    back[places], back[anchors] = False, False
    colors = plain.colors if plain.color_note else stepped_back(plain.colors, theme, back)
    found, chosen = (_of_each_anchor(candidates, which) for which in (candidates.found, candidates.chosen))
    of = f" of {candidates.asked:,}" if len(found) < candidates.asked else ""
    count = int(found.sum())
    return Looked(
        places,
        candidates.chosen[lines],
        anchors,
        colors,
        found_text=_found_text(candidates, found, "that share no label" if several else "of another class"),
        anchors_text=f"for {len(found):,}{of} anchor{'s' if candidates.asked != 1 else ''}",
        chosen_text=f"{_span(chosen)} chosen each" if chosen.any() else "none chosen",
        drawn_text=f"{len(places):,} of {count:,} lines drawn" if len(places) < count else "",
    )


def _found_text(candidates: Candidates, counts: NDArray[np.int64], whose: str) -> str:
    if counts.max(initial=0) == MAX_OF_AN_ANCHOR < candidates.most:
        return f"{_span(counts)} of {candidates.most:,} candidates"
    match candidates.scope:
        case "nearest":
            return f"{_span(counts)} nearest {whose}"
        case "approximate":
            return f"{_span(counts)} near ones {whose}"
        case "batch":
            return f"{_span(counts)} {whose} in the batch"


def with_candidates(scene: Scene, looked: Looked, theme: Theme, seen: float, others: float) -> Scene:
    """The scene with the lines under its edges.

    Args:
        scene: of the same points.
        looked: what there is to see.
        theme: its colours.
        seen: share of the opacity of all lines, 0..1.
        others: share that those keep which were not chosen; below 1 the chosen ones stand out.
    """
    chosen = looked.chosen & (others < 1)
    alpha = np.where(chosen, CHOSEN_ALPHA, ALPHA * others) * seen
    colors = np.empty((len(chosen), 4), np.uint8)
    colors[:, :3], colors[:, 3] = theme.candidate_edge, np.round(255 * alpha)
    shapes = np.where(chosen[:, None], (CHOSEN_WIDTH, CHOSEN_THROUGH), (WIDTH, THROUGH)).astype(np.float32)
    mined = scene.mined.copy()
    mined[looked.places], mined[looked.anchors] = True, True
    return replace(
        scene,
        colors=looked.colors,
        edges=np.concatenate((looked.places, scene.edges)),
        edge_colors=np.concatenate((colors, scene.edge_colors)),
        edge_shapes=np.concatenate((shapes, scene.edge_shapes)),
        edge_kinds=np.concatenate((np.full(len(chosen), NEGATIVE, np.int8), scene.edge_kinds)),
        mined=mined,
    )


def _of_each_anchor(candidates: Candidates, which: NDArray[np.bool_]) -> NDArray[np.int64]:
    """(A,) how many of an anchor's pairs these are, for every anchor that is told of."""
    _, anchor = np.unique(candidates.pairs[:, 0], return_inverse=True)
    return np.bincount(anchor, which).astype(np.int64)


def _span(counts: NDArray[np.int64]) -> str:
    """For example "3", "2 to 3", "up to 3"."""
    low, high = int(counts.min(initial=1 << 31)), int(counts.max(initial=0))
    if low >= high:
        return f"{high:,}"
    return f"{low:,} to {high:,}" if low else f"up to {high:,}"
