"""Which of the mined pairs are drawn, and how: the harder a negative, the brighter and the more on top. No Qt."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.picture.ranking import stratified_rank
from app.picture.theme import Rgb, Theme
from hnm_core.run.events import Frame
from hnm_core.run.hardness import bands_of
from hnm_core.run.shown import Drawn

EASY, POSITIVE, NEGATIVE, SEMI_HARD, HARD, FALSE = range(6)
"""Kinds of edges, those that are drawn last on top. NEGATIVE: it is not known how hard; FALSE: truly of the anchor's
class, where that is known to differ from the label."""

EDGE_KINDS = ("easy", "positive", "negative", "semi_hard", "hard", "false")
"""Their names, in that order."""

KIND_WORDS = ("easy", "positive", "negative", "semi-hard", "hard", "false negative")
"""As people read them."""

_BAND_KIND = np.array([HARD, SEMI_HARD, EASY, NEGATIVE])
"""The kind of each band of `hnm_core.run.hardness.BANDS`; the last place, -1, is for what is not known."""

_ORDER = np.array([3, 3, 2, 1, 0, 0])
"""Which kinds are drawn before others where not all edges can be: 0 first."""

_POSITIVE_END, _NEGATIVE_END = 1, 2
"""Columns of a triplet."""


@dataclass(frozen=True)
class Look:
    """How edges of a kind are drawn."""

    alpha: float
    px: float
    """Width, as a factor of an edge's usual one"""
    through: float
    """How much of it is seen where points lie before it, 0..1: hard edges are short, and would vanish among them"""
    halo: float = 0.0
    """Opacity of a ring round the negative; 0 for none"""


LOOKS = (
    Look(0.20, 0.7, 0.0),
    Look(0.42, 0.8, 0.0),
    Look(0.55, 1.0, 0.35),
    Look(0.75, 1.5, 0.55),
    Look(1.0, 1.8, 0.9, halo=0.8),
    Look(1.0, 2.0, 1.0, halo=1.0),
)
TELLING = (NEGATIVE, SEMI_HARD, HARD, FALSE)
"""Where such edges are drawn, points that have no part in them step back."""

OLDEST = 0.4
"""How much is left of an edge that was mined as long ago as a frame tells of."""

REACH = 0.3
"""Edges longer than this, as a share of how wide the cloud is, fade by as much as they are longer: else those that are
long, which are the ones that mining avoids, would cover the rest."""
WIDTH_POINTS = 1000
"""How wide a cloud is, is told by about so many of its points."""
LEAST_INK = 0.3
"""How much of an edge is left by that, at least."""


@dataclass(frozen=True, eq=False)
class Edges:
    """M edges in the order in which they are drawn."""

    places: NDArray[np.int32]
    """(M, 2) from an anchor to what was mined for it"""
    kinds: NDArray[np.int8]
    """(M,) see `EDGE_KINDS`"""
    fresh: NDArray[np.float32]
    """(M,) 1 for what was mined in the last step, less for what is older"""
    ink: NDArray[np.float32]
    """(M,) less than 1 for what is long"""
    total: int
    """How many there would be if all were drawn"""

    @property
    def telling(self) -> NDArray[np.bool_]:
        """(M,) whether points step back for it."""
        return np.isin(self.kinds, TELLING)


def kind_colors(theme: Theme) -> tuple[Rgb, ...]:
    """The colour of each kind. Those of the bands are one ramp that leads away from the ground: it is read by its
    lightness, so also without telling red from green."""
    return (
        theme.easy_edge,
        theme.positive_edge,
        theme.negative_edge,
        theme.semi_hard_edge,
        theme.hard_edge,
        theme.false_edge,
    )


def drawn_edges(
    drawn: Drawn,
    frame: Frame,
    triplets: NDArray[np.int64],
    kinds: Collection[str],
    max_edges: int,
    selected: int,
    pair: tuple[int, int] | None = None,
) -> Edges:
    """The edges to draw of (M, 3) triplets of places, at most `max_edges`, the hardest first; those of the `selected`
    place (-1 for none) come on top of that. With a `pair` of classes only those from anchors of the first to negatives
    of the second."""
    kind_of = np.stack((_negative_kinds(drawn, frame, triplets), np.full(len(triplets), POSITIVE)))
    wanted = np.array([name in kinds for name in EDGE_KINDS])[kind_of]
    if pair is not None:
        wanted[0] &= (np.append(drawn.labels, -1)[triplets[:, (0, _NEGATIVE_END)]] == pair).all(1)
        wanted[1] = False
    end = triplets[:, (_NEGATIVE_END, _POSITIVE_END)].T
    drawable = (triplets[:, 0] >= 0) & (end >= 0) & wanted
    ends = drawable.sum(0)
    chosen = sampled_triplets(triplets, drawn.labels, ends, max_edges, _ORDER[kind_of[0]])
    if selected >= 0:
        chosen = np.union1d(chosen, np.flatnonzero((triplets == selected).any(1) & (ends > 0)))
    side, row = np.nonzero(drawable[:, chosen])
    row = chosen[row]
    kind, places = kind_of[side, row], np.stack((triplets[row, 0], end[side, row]), 1)
    order = np.argsort(kind, kind="stable")
    return Edges(
        places[order].astype(np.int32),
        kind[order].astype(np.int8),
        _freshness(frame)[row[order]],
        _ink(drawn.positions, places[order]),
        _total(frame, wanted),
    )


def _total(frame: Frame, wanted: NDArray[np.bool_]) -> int:
    """How many edges the steps had of which the frame tells: it carries a part of the mined tuples only, and the others
    have as many ends per tuple as this part. An end that is not drawn counts, too. `wanted`: (2, M) by end."""
    triplets = frame.triplets.reshape(-1, 3)
    given = triplets[:, (_NEGATIVE_END, _POSITIVE_END)].T
    carried = int(((triplets[:, 0] >= 0) & (given >= 0) & wanted).sum())
    return round(carried * max(frame.mined_total, len(triplets)) / len(triplets)) if carried else 0


def _negative_kinds(drawn: Drawn, frame: Frame, triplets: NDArray[np.int64]) -> NDArray[np.int64]:
    """(M,) of which kind the negative of each triplet is."""
    margin = frame.hardness.margin if frame.hardness is not None else 0.0
    bands = np.full(len(triplets), -1) if frame.separation is None else bands_of(frame.separation, margin)
    kinds: NDArray[np.int64] = _BAND_KIND[bands]
    truth = drawn.true_labels
    if truth is not None:
        whole = (triplets[:, 0] >= 0) & (triplets[:, _NEGATIVE_END] >= 0)
        kinds[whole & (truth[triplets[:, 0]] == truth[triplets[:, _NEGATIVE_END]])] = FALSE
    return kinds


def _freshness(frame: Frame) -> NDArray[np.float32]:
    count = len(frame.triplets.reshape(-1, 3))
    if frame.age is None or not count:
        return np.ones(count, np.float32)
    age = np.clip(frame.age, 0, None).astype(np.float32)
    return 1 - (1 - OLDEST) * age / max(1.0, float(age.max()))


def _ink(positions: NDArray[np.float32], places: NDArray[np.int64]) -> NDArray[np.float32]:
    """(M,) what is left of edges because of their length."""
    start, end = positions[places[:, 0]], positions[places[:, 1]]
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        length = np.linalg.norm(start - end, axis=1)
        some = positions[:: max(1, len(positions) // WIDTH_POINTS)]
        wide = float(np.nanmedian(np.abs(some - np.nanmedian(some, axis=0)))) * 4 if len(places) else 0.0
        ink = np.clip(REACH * wide / length, LEAST_INK, 1)
    return np.where(np.isfinite(ink), ink, 1).astype(np.float32)


def sampled_triplets(
    triplets: NDArray[np.int64],
    labels: NDArray[np.int64],
    ends: NDArray[np.int64],
    max_edges: int,
    order: NDArray[np.int64] | None = None,
) -> NDArray[np.int64]:
    """Indices, ascending, of those of (M, 3) triplets (places) that may be drawn with at most `max_edges` edges in all.

    `ends` (M,) is how many edges each triplet has. Those with a lower `order` (M,), 0 to 3, come first.
    Among equals every class of anchors and every kind of tuple (with both ends, positive only, negative only) keeps its
    share, and which anchors are kept depends on their place alone, so that lines do not flicker from frame to frame.
    """
    drawable = np.flatnonzero(ends)
    anchor = triplets[drawable, 0]
    kind = (triplets[drawable, 1] >= 0) * 2 + (triplets[drawable, 2] >= 0)
    first = np.zeros(len(drawable), np.int64) if order is None else order[drawable]
    rank = stratified_rank(anchor, (labels[anchor] * 4 + kind) * 4 + first)
    queue = drawable[np.lexsort((rank, first))]
    return np.sort(queue[np.cumsum(ends[queue]) <= max_edges])


def edge_colors(edges: Edges, theme: Theme, selected: int) -> NDArray[np.uint8]:
    """(M, 4) colours of edges; those of the selected place are not transparent at all."""
    rgb = np.array(kind_colors(theme), np.uint8)[edges.kinds]
    alpha = np.array([look.alpha for look in LOOKS])[edges.kinds] * edges.fresh * edges.ink
    if selected >= 0:
        alpha[(edges.places == selected).any(1)] = 1.0
    return np.concatenate((rgb, np.round(255 * alpha).astype(np.uint8)[:, None]), 1)


def edge_shapes(edges: Edges, selected: int) -> NDArray[np.float32]:
    """(M, 2) how wide edges are, as a factor of the usual width, and how much of them is seen through points, 0..1."""
    shapes = np.array([(look.px, look.through) for look in LOOKS], np.float32)[edges.kinds]
    if selected >= 0:
        own = (edges.places == selected).any(1)
        shapes[own] = np.maximum(shapes[own], (1.3, 1.0))
    return shapes


def halos(edges: Edges, theme: Theme) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """(H,) places with a ring round them, for they are hard or false negatives, and (H, 4) its colour; each place once,
    by what is most on top."""
    strength = np.array([look.halo for look in LOOKS])[edges.kinds] * edges.fresh
    ringed = np.flatnonzero(strength > 0)[::-1]
    places, last = np.unique(edges.places[ringed, 1], return_index=True)
    chosen = ringed[last]
    rgb = np.array(kind_colors(theme), np.uint8)[edges.kinds[chosen]]
    return places, np.concatenate((rgb, np.round(255 * strength[chosen]).astype(np.uint8)[:, None]), 1)


def pair_count_text(pair: Sequence[str], shown: int, total: int) -> str:
    """For example "41 edges 3 → 8", where edges between two classes alone are drawn; `pair`: their names."""
    part = f"{shown:,} of " if shown < total else ""
    return f"{part}{total:,} edge{'s' if total != 1 else ''} {' → '.join(pair)}"


def count_text(frame: Frame, shown: int, total: int, false: int) -> str:
    """For example "214 hard, 609 semi-hard of 5,024 · 1,000 edges, 12 false (ringed)"; empty where nothing was. Without
    a margin nothing can be semi-hard, and it is not said that nothing is."""
    if not total:
        return ""
    ringed = f", {false:,} false (ringed)" if false else ""
    hardness = frame.hardness
    if hardness is None:
        part = f"{shown:,} of " if shown < total else ""
        return f"{part}{total:,} edge{'s' if total != 1 else ''}{ringed}"
    semi_hard = f", {hardness.semi_hard:,} semi-hard" if hardness.margin > 0 else ""
    kinds = f"{hardness.hard:,} hard{semi_hard} of {hardness.total:,}"
    return f"{kinds} · {shown:,} edge{'s' if shown != 1 else ''}{ringed}"
