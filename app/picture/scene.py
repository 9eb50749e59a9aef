"""What a cloud view shows, as plain arrays: a run's start and one frame in, points and edges to draw out. No Qt.

A place is that of a point among those drawn, see `hnm_core.run.shown`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from app.picture.theme import Rgb, Theme
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.shown import Drawn, drawn_items, drawn_places, shown_text

NEGATIVE = "negative"
POSITIVE = "positive"
EDGE_KINDS = (NEGATIVE, POSITIVE)
_END = {POSITIVE: 1, NEGATIVE: 2}
"""Column of a triplet that an edge of each kind leads to."""

EDGE_ALPHA = 120
SELECTED_EDGE_ALPHA = 255

HELD_OUT_RADIUS = 0.8
SELECTED_RADIUS = 1.6
HELD_OUT_FADE = 0.4
"""Share of the background's colour in a held-out point."""

SHADES = (0.0, 0.42, -0.38)
"""Round the palette once as it is, once lighter, once darker (share of white, or of black)."""

_SCALE: tuple[Rgb, ...] = (
    (68, 1, 84),
    (72, 40, 120),
    (62, 74, 137),
    (49, 104, 142),
    (38, 130, 142),
    (31, 158, 137),
    (53, 183, 121),
    (109, 205, 89),
    (180, 222, 44),
    (253, 231, 37),
)
"""Viridis: dark is little, bright is much, and it survives colour blindness and grey print."""


@dataclass(frozen=True, eq=False)
class Scene:
    """Points and edges to draw. N points: those of `RunStarted.ids`, then the frame's guests. Edges hold places."""

    positions: NDArray[np.float32]
    """(N, 3)"""
    colors: NDArray[np.uint8]
    """(N, 3) red, green, blue"""
    radii: NDArray[np.float32]
    """(N,) factor on the radius of a point; 0 = not drawn"""
    edges: NDArray[np.int32]
    """(M, 2) places: from an anchor to what was mined for it"""
    edge_colors: NDArray[np.uint8]
    """(M, 4) red, green, blue, alpha"""
    ids: NDArray[np.int64]
    """(N,) dataset ids, ascending among the first points and among the guests"""
    strata: NDArray[np.int64]
    """(N,) class of every point: thinning takes the same share of each"""
    mined: NDArray[np.bool_]
    """(N,) True for anchors, positives and negatives of the step: never thinned"""
    edges_total: int = 0
    """How many edges the step had; `edges_shown` of them are drawn."""
    color_note: str = ""
    """What the colours mean where they are no classes, e.g. "times mined 0 to 12"."""
    edges_false: int = 0
    """Drawn edges to negatives that truly are of the anchor's class; they are amber and lie on top."""
    items_text: str = ""
    """How many items are shown of how many; empty where all are."""
    guests: int = 0
    """How many of the points, the last ones, are drawn in this scene only, for they were mined."""

    @property
    def edges_shown(self) -> int:
        """Number of drawn edges."""
        return len(self.edges)

    @property
    def edge_text(self) -> str:
        """For example "1,000 of 12,480 edges"; empty where the step mined nothing."""
        if not self.edges_total:
            return ""
        shown = f"{self.edges_shown:,} of " if self.edges_shown < self.edges_total else ""
        false = f", {self.edges_false:,} false (amber)" if self.edges_false else ""
        return f"{shown}{self.edges_total:,} edge{'s' if self.edges_total != 1 else ''}{false}"

    @property
    def sample(self) -> int:
        """S, how many points every scene of the run has; guests come after them."""
        return len(self.ids) - self.guests

    def place_of(self, point_id: int) -> int:
        """Place of a dataset id, -1 where it is not drawn."""
        return int(drawn_places(self.ids, self.sample, np.array([point_id]))[0])


def build_scene(
    started: RunStarted,
    frame: Frame,
    theme: Theme,
    *,
    show_edges: Collection[str] = EDGE_KINDS,
    color_by: str = "class",
    max_edges: int = 1000,
    selected_id: int | None = None,
) -> Scene:
    """The scene of one frame.

    `color_by` is "class" (groups where the data set has them, else labels), "group" (the same), "label" (labels
    always), or the name of a column of the frame. A frame without that column is coloured by class and says so in
    `color_note`. Edges are of the kinds in `show_edges`, at most `max_edges` by `sampled_triplets`; those of
    `selected_id` come on top of that and stand out, as does its point.
    """
    drawn = drawn_items(started, frame)
    triplets = drawn.places_of(frame.triplets.reshape(-1, 3).astype(np.int64))
    kinds = tuple(kind for kind in EDGE_KINDS if kind in show_edges)
    selected = -1 if selected_id is None else int(drawn.places_of(np.array([selected_id]))[0])
    edges, edges_total = _edges(drawn, frame, triplets, kinds, max_edges, selected), _edges_total(frame, kinds)
    edge_colors = _edge_colors(edges, theme, selected)
    mined = np.zeros(len(drawn.ids), np.bool_)
    mined[triplets[triplets >= 0]] = True

    colors, note = _point_colors(drawn, theme, color_by)
    radii = np.where(drawn.held_out, np.float32(HELD_OUT_RADIUS), np.float32(1.0))
    if selected >= 0:
        mined[selected] = True
        radii[selected] = SELECTED_RADIUS
    return Scene(
        drawn.positions,
        colors,
        radii,
        edges.places,
        edge_colors,
        drawn.ids,
        drawn.labels,
        mined,
        edges_total,
        note,
        int(edges.false.sum()),
        shown_text(started),
        guests=len(drawn.ids) - drawn.sample,
    )


def sampled_triplets(
    triplets: NDArray[np.int64], labels: NDArray[np.int64], ends: NDArray[np.int64], max_edges: int
) -> NDArray[np.int64]:
    """Indices, ascending, of those of (M, 3) triplets (places) that may be drawn with at most `max_edges` edges in all.

    `ends` (M,) is how many edges each triplet has. Every class of anchors and every kind of tuple (with both ends,
    positive only, negative only) keeps its share. Which anchors are kept depends on their place alone, so that lines
    do not flicker from frame to frame.
    """
    drawable = np.flatnonzero(ends)
    anchor = triplets[drawable, 0]
    kind = (triplets[drawable, 1] >= 0) * 2 + (triplets[drawable, 2] >= 0)
    order = drawable[np.argsort(stratified_rank(anchor, labels[anchor] * 4 + kind), kind="stable")]
    return np.sort(order[np.cumsum(ends[order]) <= max_edges])


def stratified_rank(keys: NDArray[np.int64], strata: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) place of every entry in a fixed shuffle of its stratum, as a share in (0, 1).

    Keeping the entries below a share s keeps that share of every stratum, and a larger s keeps all of them and more.
    The shuffle depends on `keys` only (equal keys keep their order).
    """
    shuffled = (keys.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    shuffled ^= shuffled >> np.uint64(29)
    order = np.lexsort((shuffled * np.uint64(0xBF58476D1CE4E5B9), strata))
    _, first, counts = np.unique(strata[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(first, counts)
    rank = np.empty(len(order))
    rank[order] = (place + 0.5) / np.repeat(counts, counts)
    return rank


def thinned(scene: Scene, rank: NDArray[np.float64], share: float) -> Scene:
    """The scene with only `share` of its context points drawn, by `context_rank(scene)`.

    Mined and selected points are never left out. Places stay what they are.
    """
    if share >= 1:
        return scene
    kept = scene.mined.copy()
    kept[: scene.sample] |= rank < share
    return replace(scene, radii=np.where(kept, scene.radii, np.float32(0)))


def context_rank(scene: Scene) -> NDArray[np.float64]:
    """(S,) rank of the points that every scene of the run has, the same in all of them; guests are always mined."""
    return stratified_rank(scene.ids[: scene.sample], scene.strata[: scene.sample])


def same_sample(one: Scene, other: Scene) -> bool:
    """Whether two scenes have the same points but for their guests, and so the same `context_rank`."""
    return one.ids is other.ids or np.array_equal(one.ids[: one.sample], other.ids[: other.sample])


@dataclass(frozen=True)
class DetailLevel:
    """How many context points are drawn, from how long painting takes. A value: `after` gives the next one."""

    share: float = 1.0
    slow: int = 0
    """Slow paints in a row"""
    fast: int = 0
    """Fast paints in a row"""

    def after(self, ms: float, budget_ms: float = 25.0, least: float = 1 / 256) -> DetailLevel:
        """After one more paint: half the points after 10 paints above the budget in a row, twice as many after 60
        below a quarter of it. The gap keeps it from swinging, for twice the points take at most twice the time.
        No less than the share `least` is drawn: where points are few it is not they that take the time.
        """
        slow = self.slow + 1 if ms > budget_ms else 0
        fast = self.fast + 1 if ms < budget_ms / 4 else 0
        if slow >= 10:
            return DetailLevel(max(self.share / 2, min(least, self.share)))
        if fast >= 60:
            return DetailLevel(min(self.share * 2, 1.0))
        return DetailLevel(self.share, slow, fast)


def interpolate(frame_a: Frame, frame_b: Frame, t: float) -> NDArray[np.float32]:
    """(N, 3) positions a share `t` (0..1) of the way from one frame to a later one of the same lane."""
    t32 = np.float32(min(max(t, 0.0), 1.0))
    return frame_a.positions * (np.float32(1) - t32) + frame_b.positions * t32


def class_colors(classes: NDArray[np.int64], theme: Theme) -> NDArray[np.uint8]:
    """(N, 3) colour of each class: the theme's palette, the same hues lighter, then darker, then from the start."""
    palette = np.array(theme.classes, np.float32)
    rounds = [palette + (255 - palette) * shade if shade >= 0 else palette * (1 + shade) for shade in SHADES]
    table = np.concatenate(rounds).round().astype(np.uint8)
    return table[classes % len(table)]


def column_colors(values: NDArray[np.float32], theme: Theme) -> tuple[NDArray[np.uint8], str]:
    """(N, 3) colours of (N,) values from the 2nd to the 98th percentile, muted where not finite; and that range."""
    finite = np.isfinite(values)
    colors = np.empty((len(values), 3), np.uint8)
    colors[:] = theme.muted
    if not finite.any():
        return colors, "no values yet"
    low, high = (float(edge) for edge in np.quantile(values[finite].astype(np.float64), (0.02, 0.98)))
    share = np.clip((values[finite] - low) / ((high - low) or 1.0), 0, 1) * (len(_SCALE) - 1)
    scale = np.array(_SCALE, np.float32)
    colors[finite] = np.stack([np.interp(share, range(len(scale)), channel) for channel in scale.T], 1).round()
    return colors, f"{low:.3g} to {high:.3g}"


def _point_colors(drawn: Drawn, theme: Theme, color_by: str) -> tuple[NDArray[np.uint8], str]:
    note = ""
    if color_by in drawn.columns:
        colors, scale = column_colors(drawn.columns[color_by], theme)
        note = f"{color_by.replace('_', ' ')} {scale}"
    else:
        if color_by not in ("class", "group", "label"):
            note = f"no {color_by.replace('_', ' ')} in this frame"
        groups = drawn.groups if color_by != "label" else None
        colors = class_colors(groups if groups is not None else drawn.labels, theme)
    ground = (np.array(theme.cloud_top, np.float32) + np.array(theme.cloud_bottom, np.float32)) / 2
    dim = colors[drawn.held_out]
    colors[drawn.held_out] = dim + (ground - dim) * HELD_OUT_FADE
    return colors, note


@dataclass(frozen=True, eq=False)
class _Edges:
    """M edges in the order in which they are drawn."""

    places: NDArray[np.int32]
    """(M, 2)"""
    negative: NDArray[np.bool_]
    """(M,) whether it leads to a negative, else to a positive"""
    false: NDArray[np.bool_]
    """(M,) whether that negative truly is of the anchor's class"""


def _edges_total(frame: Frame, kinds: tuple[str, ...]) -> int:
    """How many edges of some kinds the step had: a frame carries a part of the mined tuples only, and the others have
    as many ends per tuple as this part. An end that is not drawn counts, too."""
    triplets = frame.triplets.reshape(-1, 3)
    carried = sum(int((triplets[:, (0, _END[kind])] >= 0).all(1).sum()) for kind in kinds)
    return round(carried * max(frame.mined_total, len(triplets)) / len(triplets)) if carried else 0


def _edges(
    drawn: Drawn,
    frame: Frame,
    triplets: NDArray[np.int64],
    kinds: tuple[str, ...],
    max_edges: int,
    selected: int,
) -> _Edges:
    """The edges to draw of (M, 3) triplets of places: positives first, for negatives are the story and lie on top, and
    on top of them the false ones."""
    drawable = {kind: (triplets[:, 0] >= 0) & (triplets[:, _END[kind]] >= 0) for kind in kinds}
    per_triplet = np.zeros(len(triplets), np.int64)
    for has_end in drawable.values():
        per_triplet += has_end
    chosen = sampled_triplets(triplets, drawn.labels, per_triplet, max_edges)
    if selected >= 0:
        chosen = np.union1d(chosen, np.flatnonzero((triplets == selected).any(1) & (per_triplet > 0)))
    places, negative = [np.empty((0, 2), np.int64)], [np.empty(0, np.bool_)]
    for kind in reversed(kinds):
        rows = chosen[drawable[kind][chosen]]
        places.append(triplets[rows][:, (0, _END[kind])])
        negative.append(np.full(len(rows), kind == NEGATIVE))
    edges, is_negative = np.concatenate(places).astype(np.int32), np.concatenate(negative)
    truth = drawn.true_labels
    if truth is None:
        return _Edges(edges, is_negative, np.zeros_like(is_negative))
    false = is_negative & (truth[edges[:, 0]] == truth[edges[:, 1]])
    order = np.argsort(false, kind="stable")
    return _Edges(edges[order], is_negative[order], false[order])


def _edge_colors(edges: _Edges, theme: Theme, selected: int) -> NDArray[np.uint8]:
    """(M, 4) colours of edges; those of the selected point and false ones stand out."""
    colors = np.empty((len(edges.places), 4), np.uint8)
    colors[:] = (*theme.positive_edge, EDGE_ALPHA)
    colors[edges.negative] = (*theme.negative_edge, EDGE_ALPHA)
    if selected >= 0:
        colors[(edges.places == selected).any(1), 3] = SELECTED_EDGE_ALPHA
    colors[edges.false] = (*theme.warning, SELECTED_EDGE_ALPHA)
    return colors
