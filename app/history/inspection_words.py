"""The rows of the inspector: what was found of a point in each lane, as cells that stand side by side. No Qt."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from app.history.inspection import FALSE_BAND, Inspection, Neighbour, Partner, Ranked
from hnm_core.run.item_texts import ItemText, in_sight

MOST = 6
"""So many items are listed of a kind; how many more there are is told."""

BAND_WORDS = {"hard": "hard", "semi_hard": "semi", "easy": "easy", FALSE_BAND: "false"}
_BAND_SENTENCES = {
    "hard": "hard: no farther than the positive",
    "semi_hard": "semi-hard: farther than the positive by no more than the margin",
    "easy": "easy: farther than the positive by more than the margin",
    FALSE_BAND: "a false negative: truly of the anchor's class",
}


@dataclass(frozen=True)
class Cell:
    """One item in a lane's column, or words."""

    text: str
    note: str = ""
    item_id: int = -1
    """-1 where it is no item"""
    class_name: str = ""
    band: str = ""
    tip: str = ""
    is_text: bool = False
    """Whether the item is told by how its text begins, which may be cut anywhere"""


@dataclass(frozen=True)
class Section:
    """Rows of one kind: for each lane its cells."""

    title: str
    columns: tuple[tuple[Cell, ...], ...]

    @property
    def rows(self) -> int:
        """Of the longest column."""
        return max(map(len, self.columns), default=0)


TextOf = Callable[[int], ItemText | None]
"""What an item is called and how it begins; None where that is not known."""


def sections(lanes: Sequence[Inspection], text_of: TextOf = lambda _item_id: None) -> list[Section]:
    """What each lane says of the point, kind by kind; kinds of which no lane has any are left out. Items are told by
    their ids and texts in the user's files, where `text_of` knows them."""
    projection = next((lane.projection for lane in lanes if lane.projection), "")
    near = f"Nearest in the picture ({projection})" if projection else "Nearest in the embedding"
    kinds: list[tuple[str, Callable[[Inspection], Sequence[Cell]]]] = [
        ("Negatives mined now", lambda lane: [_partner(one) for one in lane.negatives]),
        ("Positives now", lambda lane: [_partner(one) for one in lane.positives]),
        ("Now a negative of", lambda lane: [_partner(one) for one in lane.anchors]),
        (near, lambda lane: [_neighbour(one) for one in lane.neighbours]),
        ("Nearest in the data, and here", lambda lane: [_ranked(one) for one in lane.input_neighbours]),
        ("Negatives so far", lambda lane: [*_count(lane), *(_so_far(one) for one in lane.negatives_so_far)]),
        ("Positives so far", lambda lane: [_so_far(one) for one in lane.positives_so_far]),
        ("So far a negative of", lambda lane: [_so_far(one) for one in lane.anchors_so_far]),
    ]
    made = [
        Section(title, tuple(tuple(_told(cell, text_of) for cell in _cut(cells(lane))) for lane in lanes))
        for title, cells in kinds
    ]
    return [section for section in made if section.rows]


def summary(lane: Inspection) -> tuple[str, str, str]:
    """How often the point was mined, its share of the loss, and its hardness; empty where that is not known."""
    times = lane.columns.get("times_mined", math.nan)
    share = lane.columns.get("loss_share", math.nan)
    return (
        "" if math.isnan(times) else f"{times:,.0f} ×",
        "" if math.isnan(share) else f"{100 * share:.2f} %",
        signed(lane.columns.get("hardness", math.nan)),
    )


SUMMARY_TITLES = {
    "mined": "How often the point was a mined negative so far",
    "loss": "Its share of the loss as an anchor since the frame before",
    "hardness": "Distance to the positive less that to the negative when it was last an anchor; above 0 it is hard",
}


def so_far(lane: Inspection) -> str:
    """For example "anchor of 14 tuples in 120 frames; most often against 812 (shirt), 5 times"."""
    frames = f"{lane.frames:,} frame{'s' if lane.frames != 1 else ''}"
    if not lane.frames:
        return ""
    if not lane.tuples_so_far:
        return f"no anchor in the {frames} so far"
    told = f"anchor of {lane.tuples_so_far:,} tuple{'s' if lane.tuples_so_far != 1 else ''} in {frames}"
    if not lane.negatives_so_far:
        return told
    most = lane.negatives_so_far[0]
    name = f" ({most.class_name})" if most.class_name else ""
    return f"{told}; most often against {most.item_id}{name}, {most.times} time{'s' if most.times != 1 else ''}"


def signed(value: float) -> str:
    """A separation as it is written everywhere; empty where it is not known."""
    return "" if math.isnan(value) else f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")


def _partner(one: Partner) -> Cell:
    times = f"×{one.times}" if one.times > 1 else ""
    words = BAND_WORDS.get(one.band, "")
    note = " ".join(part for part in (words, signed(one.separation), times) if part)
    return Cell(_named(one), note, one.item_id, one.class_name, one.band, _tip(one))


def _count(lane: Inspection) -> list[Cell]:
    """Of how many tuples what follows is counted; nothing where there is nothing to count."""
    if not lane.negatives_so_far:
        return []
    return [Cell("", f"of {lane.tuples_so_far:,} tuple{'s' if lane.tuples_so_far != 1 else ''}", tip=so_far(lane))]


def _so_far(one: Partner) -> Cell:
    return Cell(_named(one), f"×{one.times}", one.item_id, one.class_name, one.band, _tip(one))


def _tip(one: Partner) -> str:
    known = f"d(a,n) \N{MINUS SIGN} d(a,p) = {signed(one.separation)} at its least" if one.band else ""
    name = one.words or "class not known"
    times = f"{one.times} time{'s' if one.times != 1 else ''}"
    parts = (f"{one.item_id}, {name}", _BAND_SENTENCES.get(one.band, ""), known, times)
    return "\n".join(part for part in parts if part)


def _neighbour(one: Neighbour) -> Cell:
    other = ", another class" if one.other_class else ""
    tip = f"{one.item_id}, {one.words}{other}, at a distance of {one.distance:.4g}"
    return Cell(
        f"{one.item_id} · {one.class_name}",
        f"{one.distance:.3f}",
        one.item_id,
        one.class_name,
        tip=tip,
    )


def _ranked(one: Ranked) -> Cell:
    other = ", another class" if one.other_class else ""
    tip = f"{one.item_id}, {one.words}{other}: number {one.rank:,} by distance here, {one.distance:.4g}"
    return Cell(f"{one.item_id} · {one.class_name}", f"number {one.rank:,}", one.item_id, one.class_name, tip=tip)


def _named(one: Partner) -> str:
    return f"{one.item_id} · {one.class_name}" if one.class_name else str(one.item_id)


def _told(cell: Cell, text_of: TextOf) -> Cell:
    told = text_of(cell.item_id) if cell.item_id >= 0 else None
    if told is None:
        return cell
    name, text = in_sight(told.name), in_sight(told.text)
    return replace(cell, text=f"{name} · {text}", tip=f"{cell.class_name} {name}\n{text}\n{cell.tip}", is_text=True)


def _cut(cells: Sequence[Cell]) -> tuple[Cell, ...]:
    room = MOST + sum(cell.item_id < 0 for cell in cells)
    if len(cells) <= room:
        return tuple(cells)
    return (*cells[:room], Cell("", f"and {len(cells) - room:,} more"))
