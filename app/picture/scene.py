"""What a cloud view shows, as plain arrays: a run's start and one frame in, points and edges to draw out. No Qt.

A place is that of a point among those drawn, see `hnm_core.run.shown`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from app.picture.edges import (
    EDGE_KINDS,
    FALSE,
    Edges,
    count_text,
    drawn_edges,
    edge_colors,
    edge_shapes,
    halos,
    pair_count_text,
)
from app.picture.selection import Selection
from app.picture.theme import Rgb, Theme
from hnm_core.run.events import Frame, RunStarted
from hnm_core.run.shown import Drawn, class_name, drawn_items, drawn_places, query_label, shown_text
from hnm_core.run.told_labels import having

HELD_OUT_RADIUS = 0.8
SELECTED_RADIUS = 1.6
LABEL_COLOR = 1
"""Place in the colours of classes: orange, which stands out of grey on both grounds."""
WITHOUT_FADE = 0.5
"""In a point that has not the label by which points are coloured."""
HELD_OUT_FADE = 0.4
"""Share of the background's colour in a held-out point."""
EVERYTHING = Selection()
FEW_SELECTED, MANY_ALPHA = 60, 110
"""Rings round more selected points are faint, or one would see nothing else."""
STEPPED_BACK_FADE = 0.42
"""And in a point that has no part in what was mined, while edges that tell something are drawn."""

SHADES = (0.0, 0.42, -0.38)
"""Round the palette once as it is, once lighter, once darker (share of white, or of black)."""

CATEGORIES = ("bucket",)
"""Columns that count kinds, not amounts: a colour for each, as for classes."""

SCALE: tuple[Rgb, ...] = (
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
    edge_shapes: NDArray[np.float32]
    """(M, 2) width as a factor of the usual one, and the share that is seen where points lie before it, 0..1"""
    edge_kinds: NDArray[np.int8]
    """(M,) see `app.picture.edges.EDGE_KINDS`"""
    halos: NDArray[np.int32]
    """(H,) places with a ring round them"""
    halo_colors: NDArray[np.uint8]
    """(H, 4) red, green, blue, alpha"""
    ids: NDArray[np.int64]
    """(N,) dataset ids, ascending among the first points and among the guests"""
    strata: NDArray[np.int64]
    """(N,) class of every point: thinning takes the same share of each"""
    mined: NDArray[np.bool_]
    """(N,) True for anchors, positives and negatives of the step: never thinned"""
    edges_total: int = 0
    """How many edges the step had; `edges_shown` of them are drawn."""
    edge_text: str = ""
    """How hard what was mined is, and how much of it is drawn; empty where nothing was."""
    color_note: str = ""
    """What the colours mean where they are no classes, e.g. "times mined 0 to 12"."""
    edges_false: int = 0
    """Drawn edges to negatives that truly are of the anchor's class; they lie on top, their negatives have a ring."""
    items_text: str = ""
    """How many items are shown of how many; empty where all are."""
    guests: int = 0
    """How many of the points, the last ones, are drawn in this scene only, for they were mined."""
    filter_text: str = ""
    """How many points are drawn where the user has isolated or hidden some."""
    groups: NDArray[np.int64] | None = None
    """(N,) groups of classes, where it is they that have colours"""
    diamond_class: int = -1
    """The class in `strata` whose points are drawn as diamonds rather than as spheres; -1 where none is"""
    trails: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 6)))
    """(L, 6) both ends of lines along the ways that points went"""
    trail_colors: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 5)))
    """(L, 5) red, green, blue, and alpha at each end, 0..255"""

    @property
    def edges_shown(self) -> int:
        """Number of drawn edges."""
        return len(self.edges)

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
    color_label: int = -1,
    max_edges: int = 1000,
    selected_id: int | None = None,
    spread: tuple[float, float] | None = None,
    selection: Selection = EVERYTHING,
) -> Scene:
    """The scene of one frame.

    `color_by` is "class" (groups where the data set has them, else labels), "group" (the same), "label" (labels
    always), or the name of a column of the frame, whose colours go over `spread`, by default its own range. A frame
    without that column is coloured by class and says so in `color_note`. With a `color_label` of 0 or more colours tell
    instead which items have that label, where items have several each. Edges are of the kinds in `show_edges`, at
    most `max_edges`, the hardest first; those of `selected_id` come on top of that and stand out, as does its point.
    While edges that tell something are drawn, what has no part in them steps back, unless the colours are those of a
    column, which must be read as they are. What the `selection`
    leaves out is not drawn, nor are edges to it, nor those of other pairs of classes; what it holds is ringed.
    """
    drawn = drawn_items(started, frame)
    triplets = drawn.places_of(frame.triplets.reshape(-1, 3).astype(np.int64))
    selected = -1 if selected_id is None else int(drawn.places_of(np.array([selected_id]))[0])
    kept = selection.drawn(drawn.ids, drawn.labels, started.several)
    there = kept & np.isfinite(drawn.positions).all(1)
    ends = np.where(np.append(there, False)[triplets], triplets, -1)
    edges = drawn_edges(drawn, frame, ends, show_edges, max_edges, selected, selection.pair)
    mined = np.zeros(len(drawn.ids), np.bool_)
    mined[triplets[triplets >= 0]] = True

    telling = edges.places[edges.telling]
    back = np.full(len(drawn.ids), len(telling) > 0)
    back[telling] = False
    if selected >= 0:
        back[selected] = False
    if color_label >= 0:
        colors, note = _label_colors(started, drawn, theme, color_label, back)
    else:
        colors, note = _point_colors(drawn, theme, color_by, spread, back)
    radii = np.where(drawn.held_out, np.float32(HELD_OUT_RADIUS), np.float32(1.0))
    if selected >= 0:
        mined[selected] = True
        radii[selected] = SELECTED_RADIUS
    radii[~kept] = 0.0
    false = int((edges.kinds == FALSE).sum())
    return Scene(
        drawn.positions,
        colors,
        radii,
        edges.places,
        edge_colors(edges, theme, selected),
        edge_shapes(edges, selected),
        edges.kinds,
        *_rings(drawn, edges, theme, selection.ids, there),
        drawn.ids,
        drawn.labels,
        mined,
        edges.total,
        _edge_text(started, frame, edges, selection, false),
        note,
        false,
        shown_text(started),
        guests=len(drawn.ids) - drawn.sample,
        filter_text=selection.text(int(kept.sum()), len(kept)),
        groups=drawn.groups if color_by in ("class", "group") else None,
        diamond_class=query_label(started),
    )


def _edge_text(started: RunStarted, frame: Frame, edges: Edges, selection: Selection, false: int) -> str:
    if selection.pair is None:
        return count_text(frame, len(edges.places), edges.total, false)
    return pair_count_text([class_name(started, label) for label in selection.pair], len(edges.places), edges.total)


def _rings(
    drawn: Drawn, edges: Edges, theme: Theme, selected_id: NDArray[np.int64], kept: NDArray[np.bool_]
) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    """Rings round hard and false negatives, and over them those round selected points."""
    places, colors = halos(edges, theme)
    selected = drawn.places_of(selected_id)
    selected = selected[np.append(kept, False)[selected]].astype(np.int32)
    alpha = 255 if len(selected) <= FEW_SELECTED else MANY_ALPHA
    own = np.tile(np.array((*theme.accent, alpha), np.uint8), (len(selected), 1))
    return np.concatenate((places, selected)).astype(np.int32), np.concatenate((colors, own))


def interpolate(frame_a: Frame, frame_b: Frame, t: float) -> NDArray[np.float32]:
    """(N, 3) positions a share `t` (0..1) of the way from one frame to a later one of the same lane."""
    t32 = np.float32(min(max(t, 0.0), 1.0))
    return frame_a.positions * (np.float32(1) - t32) + frame_b.positions * t32


def class_colors(classes: NDArray[np.int64], theme: Theme) -> NDArray[np.uint8]:
    """(N, 3) colour of each class: the theme's palette, the same hues lighter, then darker, then from the start."""
    table = _class_table(theme)
    return table[classes % len(table)]


def _class_table(theme: Theme) -> NDArray[np.uint8]:
    palette = np.array(theme.classes, np.float32)
    rounds = [palette + (255 - palette) * shade if shade >= 0 else palette * (1 + shade) for shade in SHADES]
    return np.concatenate(rounds).round().astype(np.uint8)


def column_range(values: NDArray[np.float32]) -> tuple[float, float] | None:
    """The 2nd and the 98th percentile of (N,) values, None where none is finite: what colours are spread over."""
    finite = values[np.isfinite(values)].astype(np.float64)
    if not len(finite):
        return None
    low, high = np.quantile(finite, (0.02, 0.98))
    return float(low), float(high)


def column_colors(
    values: NDArray[np.float32], theme: Theme, spread: tuple[float, float] | None = None
) -> tuple[NDArray[np.uint8], str]:
    """(N, 3) colours of (N,) values, muted where not finite, and in words what they are spread over: `spread`, or the
    values' own range."""
    finite = np.isfinite(values)
    colors = np.empty((len(values), 3), np.uint8)
    colors[:] = theme.muted
    spread = spread or column_range(values)
    if spread is None or not finite.any():
        return colors, "no values yet"
    low, high = spread
    share = np.clip((values[finite] - low) / ((high - low) or 1.0), 0, 1) * (len(SCALE) - 1)
    scale = np.array(SCALE, np.float32)
    colors[finite] = np.stack([np.interp(share, range(len(scale)), channel) for channel in scale.T], 1).round()
    return colors, f"{low:.3g} to {high:.3g}"


def category_colors(values: NDArray[np.float32], theme: Theme) -> tuple[NDArray[np.uint8], str]:
    """(N, 3) colours of (N,) kinds, muted where not finite; and how many there are, for example "121 different"."""
    finite = np.isfinite(values)
    colors = np.empty((len(values), 3), np.uint8)
    colors[:] = theme.muted
    kinds = values[finite].astype(np.int64)
    colors[finite] = class_colors(kinds, theme)
    return colors, f"{len(np.unique(kinds)):,} different"


def _label_colors(
    started: RunStarted, drawn: Drawn, theme: Theme, label: int, back: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], str]:
    """(N, 3) colours of the points that have a label, and grey of those that have it not; and how many there are."""
    has = having(started.several, drawn.ids, drawn.labels, {label})
    colors = np.where(has[:, None], np.array(label_color(theme), np.uint8), _without(theme))
    colors[drawn.held_out] = _towards_ground(colors[drawn.held_out], theme, HELD_OUT_FADE)
    there, of_all = int(has[: drawn.sample].sum()), drawn.sample
    return stepped_back(colors, theme, back), f"{there:,} of {of_all:,} have {class_name(started, label)}"


def label_color(theme: Theme) -> Rgb:
    """Of points that have the label by which points are coloured, whichever it is: those of some are a grey, too."""
    return theme.classes[LABEL_COLOR]


def _without(theme: Theme) -> NDArray[np.uint8]:
    """(1, 3) the grey of points that have not the label that is looked for."""
    return _towards_ground(np.array([theme.muted], np.uint8), theme, WITHOUT_FADE)


def _point_colors(
    drawn: Drawn, theme: Theme, color_by: str, spread: tuple[float, float] | None, back: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], str]:
    """(N, 3) colours, and what they mean where they are no classes. Those of classes step back where `back` says so."""
    if color_by in drawn.columns:
        values = drawn.columns[color_by]
        by_kind = color_by in CATEGORIES
        colors, scale = category_colors(values, theme) if by_kind else column_colors(values, theme, spread)
        colors[drawn.held_out] = _towards_ground(colors[drawn.held_out], theme, HELD_OUT_FADE)
        return colors, f"{color_by.replace('_', ' ')} {scale}"
    groups = drawn.groups if color_by != "label" else None
    classes = groups if groups is not None else drawn.labels
    # Every colour there can be, and for each point which of them: a million points are coloured for every frame.
    plain = _class_table(theme)
    table = np.concatenate((plain, _towards_ground(plain, theme, HELD_OUT_FADE)))
    table = np.concatenate((table, _towards_ground(table, theme, STEPPED_BACK_FADE)))
    place = classes % len(plain) + len(plain) * (drawn.held_out + 2 * back)
    known = color_by in ("class", "group", "label")
    return np.take(table, place, axis=0), "" if known else f"no {color_by.replace('_', ' ')} in this frame"


def stepped_back(colors: NDArray[np.uint8], theme: Theme, back: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """(N, 3) colours of points, those where (N,) `back` says so as far back as what has no part in edges."""
    return np.where(back[:, None], _towards_ground(colors, theme, STEPPED_BACK_FADE), colors)


def _towards_ground(colors: NDArray[np.uint8], theme: Theme, share: float) -> NDArray[np.uint8]:
    ground = (np.array(theme.cloud_top, np.float32) + np.array(theme.cloud_bottom, np.float32)) / 2
    mixed: NDArray[np.uint8] = (colors + (ground - colors) * np.float32(share)).astype(np.uint8)
    return mixed
