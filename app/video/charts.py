"""Charts that grow with the run, in paint: curves, racing bars, histograms of hardness, a race to a goal."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from app.history import histogram
from app.history.histogram import Axis
from app.picture.edges import EASY, HARD, SEMI_HARD, kind_colors
from app.picture.theme import Rgb
from app.video import typeface
from app.video.canvas import Align, Canvas
from app.video.figures import Curve, Lane
from app.video.layout import Box
from hnm_core.run.hardness import Hardness

TITLE, NUMBER, VALUE = 30, 26, 32
"""Sizes of type, in units: what a chart shows, its axes, what it says of a lane."""
PAD = 20
LEAST_WORDS = 360
"""A histogram that is narrower has no words below it, in units."""
NARROW = 0.7
"""Type over a histogram becomes so small before words are left out."""
RADIUS = 14
OVER = 0.44
"""Type over a bar is so high, as a share of its row."""
GAP, LEAST_BAR = 14, 0.26
"""Between a bar and what stands beside it, in units; of the width of its row the bar keeps such a share."""
MOST_NAME = 5.5
"""Beside a bar a name may ask for so many times the size of its type; a longer one is cut short."""
_BANDS = {histogram.HARD: HARD, histogram.SEMI_HARD: SEMI_HARD, histogram.EASY: EASY}
Number = Callable[[float], str]


@dataclass(frozen=True, eq=False)
class Moment:
    """What charts show of a place in the run."""

    place: float
    last: float
    """Where the run ends"""
    lanes: Sequence[Lane]
    marks: Sequence[float] = ()
    """Places at which something happened, as far as it has"""
    hardness: Sequence[Hardness | None] = ()
    """Of each lane, at this place"""
    mining_ms: Sequence[float] = ()
    """Likewise what mining costs a step"""


def panel(canvas: Canvas, box: Box, title: str, note: str = "") -> Box:
    """The ground of a chart with its title; returns what is left for the chart."""
    canvas.fill(box, canvas.theme.panel, radius=RADIUS)
    inner = box.inner(PAD * canvas.unit)
    line = inner.top(TITLE * 1.1 * canvas.unit)
    wide = canvas.text(line, title, canvas.theme.text, TITLE, bold=True, least=0.6)
    rest = line.rest_right(wide + 16 * canvas.unit)
    if note and typeface.width(note, NUMBER * canvas.unit) <= 1.15 * rest.width:
        canvas.text(rest, note, canvas.theme.muted, NUMBER)
    return inner.rest_below(TITLE * 1.45 * canvas.unit)


def curves(
    canvas: Canvas,
    box: Box,
    now: Moment,
    of: Callable[[Lane], Curve],
    number: Number = "{:.2f}".format,
    levels: Sequence[tuple[float, str]] = (),
) -> None:
    """A curve of each lane up to this place, its newest value at its head. `levels`: horizontal lines with words."""
    unit, theme = canvas.unit, canvas.theme
    whole = [of(lane) for lane in now.lanes]
    values = np.concatenate([curve.y for curve in whole] or [np.empty(0)])
    if not len(values):
        canvas.text(box, "not measured in this run", theme.muted, NUMBER, Align.MIDDLE)
        return
    low, high = _range(values, [level for level, _ in levels])
    gutter = round(62 * unit)
    plot = Box(
        box.x + gutter,
        box.y + round(6 * unit),
        box.width - gutter - round(96 * unit),
        box.height - round(NUMBER * 1.35 * unit) - round(6 * unit),
    )
    x_of = _scale(0.0, now.last, plot.x, plot.right)
    y_of = _scale(low, high, plot.bottom, plot.y)
    for tick in _ticks(low, high, 3):
        y = y_of(tick)
        canvas.line([(plot.x, y), (plot.right, y)], theme.grid, 1.5)
        label = Box(box.x, round(y - NUMBER * 0.6 * unit), gutter, round(NUMBER * 1.2 * unit))
        canvas.text(label, number(tick), theme.muted, NUMBER * 0.9)
    for level, _ in levels:
        y = y_of(level)
        canvas.dashes((plot.x, y), (plot.right, y), theme.muted, 2)
    for mark in now.marks:
        canvas.line([(x_of(mark), plot.y), (x_of(mark), plot.bottom)], theme.accent, 2, 0.7)
    foot = Box(plot.x, plot.bottom, plot.width, box.bottom - plot.bottom)
    timed, short = any(lane.timed for lane in now.lanes), plot.width < 300 * unit
    end = f"{now.last:.3g} s{'' if short else ' of training'}" if timed else f"{now.last:,.0f} steps"
    wide = canvas.text(foot, end, theme.muted, NUMBER * 0.9, Align.RIGHT)
    if levels:
        dashed = f"dashes: {', '.join(words for _, words in levels)}"
        room = foot.left(foot.width - wide - 12 * unit)
        if typeface.width(dashed, NUMBER * 0.9 * unit) <= 1.2 * room.width:
            canvas.text(room, dashed, theme.muted, NUMBER * 0.9)
    heads = []
    for lane, curve in zip(now.lanes, whole, strict=True):
        x, y = curve.upto(now.place)
        if not len(x):
            continue
        points = np.stack((x_of(x), np.clip(y_of(y), plot.y, plot.bottom)), 1)
        canvas.line(points, lane.color, 5)
        measured = int(np.searchsorted(curve.x, now.place, side="right")) - 1
        heads.append((float(points[-1, 0]), float(points[-1, 1]), lane, float(curve.y[measured])))
    for x_head, y_head, lane, _ in heads:
        canvas.dot(x_head, y_head, 8, lane.color)
    size, least = float(VALUE), VALUE * 1.05 * unit
    told = [_Told(x, y, number(value), lane.color) for x, y, lane, value in heads]
    if len(told) * least > CROWDED * plot.height:
        told = _told(told, theme.text)
    if len(told) * least > plot.height:  # else they would stand over the title
        size *= max(plot.height / (len(told) * least), LEAST_VALUE)
        least = size * 1.05 * unit
    for y_text, head in zip(_spread([head.y for head in told], least, plot), told, strict=True):
        label = Box(round(head.x + 16 * unit), round(y_text - least / 2), round(96 * unit), round(least))
        canvas.text(label, head.text, head.color, size, bold=True)


def bars(canvas: Canvas, box: Box, now: Moment) -> None:
    """Seconds spent on mining so far, each lane a bar that grows; what a step costs stands behind it."""
    last = [float(lane.seconds_mined.y[-1]) if len(lane.seconds_mined.y) else 0.0 for lane in now.lanes]
    most = max([*last, 1e-9])
    rows = _rows(box, len(now.lanes), canvas.unit)
    beside = _beside(rows, now.lanes, canvas.unit, "0.00 ms a step")
    for row, lane, cost in zip(rows, now.lanes, now.mining_ms, strict=True):
        _, spent = lane.seconds_mined.upto(now.place)
        share = float(spent[-1]) / most if len(spent) else 0.0
        # A step that costs next to nothing is said to cost that.
        words = "" if not math.isfinite(cost) else f"{cost:.2f} ms a step" if cost < 10 else f"{cost:.0f} ms a step"
        _bar(canvas, row, lane, share, words, beside)


def race(canvas: Canvas, box: Box, now: Moment, goal: float, word: str) -> None:
    """How near to the goal each lane is; who gets there is told when."""
    unit, theme = canvas.unit, canvas.theme
    rows = _rows(box, len(now.lanes), unit)
    if not goal > 0 or not rows:
        canvas.text(box, "not measured in this run", theme.muted, NUMBER, Align.MIDDLE)
        return
    finish = round(rows[0].right - 150 * unit)
    tracks = [Box(row.x, row.y, finish - row.x, row.height) for row in rows]
    beside = _beside(tracks, now.lanes, unit, "")
    for row, track, lane in zip(rows, tracks, now.lanes, strict=True):
        count = int(np.searchsorted(lane.quality.x, now.place, side="right"))
        there = np.flatnonzero(lane.quality.y[:count] >= goal)
        x, y = lane.quality.upto(now.place)
        share = min(float(y.max()) / goal, 1.0) if len(y) else 0.0
        if not len(there):
            share = min(share, 0.99)  # it is there when it was measured there
        newest = f"{lane.quality.y[count - 1]:.2f}" if count and not len(there) else ""
        words = f"{word} {newest}" if newest and beside is None else ""
        _bar(canvas, track, lane, share, words, beside)
        label = Box(round(finish + 28 * unit), row.y, round(row.right - finish - 28 * unit), row.height)
        if len(there):
            first = float(x[there[0]])
            told = f"{first:.3g} s" if lane.timed else f"step {first:,.0f}"
            canvas.text(label, told, lane.color, VALUE, bold=True)
        elif beside is not None:
            canvas.text(label, newest, theme.muted, VALUE)
    checker = max(round(7 * unit), 1)
    top, bottom = rows[0].y, rows[-1].bottom
    for place, edge in enumerate(range(top, bottom, checker)):
        for column in range(2):
            color = theme.text if (place + column) % 2 else theme.window
            canvas.fill(Box(finish + column * checker, edge, checker, min(checker, bottom - edge)), color)


def hardness(canvas: Canvas, box: Box, now: Moment, axis: Axis | None) -> None:
    """How hard what was mined is: a histogram for each lane, by band."""
    unit, theme = canvas.unit, canvas.theme
    told = [(lane, one) for lane, one in zip(now.lanes, now.hardness, strict=True)]
    if axis is None or not told:
        canvas.text(box, "this run does not tell it", theme.muted, NUMBER, Align.MIDDLE)
        return
    gap = round(16 * unit)
    width = (box.width - gap * (len(told) - 1)) // len(told)
    colors = kind_colors(theme)
    for number, (lane, one) in enumerate(told):
        cell = Box(box.x + number * (width + gap), box.y, width, box.height)
        name = cell.top(NUMBER * 1.3 * unit)
        foot = round(NUMBER * 1.3 * unit) if cell.width > LEAST_WORDS * unit else 0
        plot = Box(cell.x, name.bottom, cell.width, cell.height - name.height - foot)
        canvas.line([(plot.x, plot.bottom), (plot.right, plot.bottom)], theme.grid, 2)
        if one is None or not one.total:
            canvas.text(name, lane.name, lane.color, NUMBER, bold=True)
            continue
        share = f"{lane.name}  {100 * one.hard / one.total:.0f} %"
        fits = typeface.width(f"{share} hard", NARROW * NUMBER * unit, bold=True) <= name.width
        canvas.text(name, f"{share} hard" if fits else share, lane.color, NUMBER, bold=True, least=NARROW)
        drawn = histogram.bars(one, one.margin)
        left, right = np.clip(axis.share(drawn.left), 0, 1), np.clip(axis.share(drawn.right), 0, 1)
        seen = right > left
        dense = np.zeros(len(left))
        dense[seen] = drawn.share[seen] / (right - left)[seen]
        dense *= plot.height / max(float(dense.max(initial=0.0)), 1e-12)
        for x0, x1, tall, band in zip(left.tolist(), right.tolist(), dense.tolist(), drawn.band.tolist(), strict=True):
            if tall > 0:
                x, wide = plot.x + x0 * plot.width, max((x1 - x0) * plot.width - 1, 1)
                bar = Box(round(x), round(plot.bottom - tall), max(round(wide), 1), round(tall))
                canvas.fill(bar, colors[_BANDS[band]])
        zero = plot.x + axis.place(0.0) * plot.width
        canvas.line([(zero, plot.y), (zero, plot.bottom)], theme.muted, 2)
        if foot:
            words = Box(plot.x, plot.bottom, round(zero - plot.x - 8 * unit), foot)
            canvas.text(words, "nearer", theme.muted, NUMBER * 0.9, Align.RIGHT)
            beyond = Box(round(zero + 8 * unit), plot.bottom, round(plot.right - zero), foot)
            canvas.text(beyond, "farther than the positive", theme.muted, NUMBER * 0.9)


def _rows(box: Box, count: int, unit: float) -> list[Box]:
    gap = min(16 * unit, 0.2 * box.height / max(count, 1))
    height = min((box.height - gap * (count - 1)) / max(count, 1), 96 * unit)
    top = box.y + (box.height - count * height - gap * (count - 1)) / 2
    return [Box(box.x, round(top + place * (height + gap)), box.width, round(height)) for place in range(count)]


class _Beside(NamedTuple):
    """Rows that are low: names, bars and words stand in one line each. Sizes are in pixels."""

    px: float
    """Of type"""
    name: float
    """Widest name"""
    words: float
    """Widest words, 0 where there are none"""


def _beside(rows: Sequence[Box], lanes: Sequence[Lane], unit: float, widest: str) -> _Beside | None:
    """How words stand beside bars, long names cut short; None where they can be as large over them. `widest` are the
    widest words to expect."""
    if not rows:
        return None
    row, gaps = rows[0], (2 if widest else 1) * GAP * unit
    name = max(typeface.width(lane.name, 1.0, bold=True) for lane in lanes)
    words = typeface.width(widest, 1.0)
    room = (1 - LEAST_BAR) * row.width - gaps
    px = min(VALUE * unit, 0.84 * row.height, room / (min(name, MOST_NAME) + words))
    over = min(VALUE * unit, OVER * row.height)
    return _Beside(px, min(name * px, room - words * px), words * px) if px > 1.1 * over else None


def _bar(canvas: Canvas, row: Box, lane: Lane, share: float, words: str, beside: _Beside | None) -> None:
    """A bar with the name of its lane and words over it, or beside it in a low row."""
    unit, theme = canvas.unit, canvas.theme
    if beside is not None:
        gap, size = GAP * unit, beside.px / unit
        name, said = row.left(beside.name), row.rest_right(row.width - beside.words)
        canvas.text(name, lane.name, lane.color, size, bold=True)
        canvas.text(said, words, theme.text, size, Align.RIGHT)
        left, right = round(name.right + gap), round(said.x - gap) if beside.words else row.right
        thin = max(round(0.44 * row.height), 2)
        _track(canvas, Box(left, row.y + (row.height - thin) // 2, right - left, thin), lane, share)
        return
    size = min(VALUE, OVER * row.height / unit)
    line = row.top(size * 1.25 * unit)
    wide = canvas.text(line.left(0.6 * line.width if words else line.width), lane.name, lane.color, size, bold=True)
    rest = line.rest_right(wide + 16 * unit)
    canvas.text(rest.left(rest.width - 12 * unit), words, theme.text, size, Align.RIGHT, least=0.6)
    track = Box(row.x, line.bottom, row.width, max(row.bottom - line.bottom - round(0.12 * row.height), 2))
    _track(canvas, track, lane, share)


def _track(canvas: Canvas, track: Box, lane: Lane, share: float) -> None:
    canvas.fill(track, canvas.theme.grid, 0.6, radius=6)
    if share > 0:
        canvas.fill(track.left(max(share * track.width, track.height)), lane.color, radius=6)


def _range(values: NDArray[np.float64], levels: Sequence[float]) -> tuple[float, float]:
    low, high = float(np.min(values)), float(np.quantile(values, 0.995))
    low, high = min([low, *levels]), max([high, *levels])
    room = max(high - low, 1e-3)
    low = 0.0 if 0 <= low <= 0.5 * room else low - 0.05 * room
    return low, high + 0.12 * room


def _scale(a: float, b: float, start: float, end: float) -> Callable[[Any], Any]:
    """From a value, or an array of them, to pixels."""
    factor = (end - start) / ((b - a) or 1.0)
    return lambda value: start + (value - a) * factor


def _ticks(low: float, high: float, most: int) -> list[float]:
    """Round values, two at least and about `most`."""
    ticks: list[float] = []
    while len(ticks) < 2:
        rough = (high - low) / most
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= rough * (1 - 1e-9))
        places = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
        ticks = [round(place * step, 10) for place in places]
        most *= 2
    return ticks


LEAST_VALUE = 0.6
"""Values at curves become so small, as a share of their size, where there are many."""
CROWDED = 0.8
"""Where numbers take more than this share of the height, lanes in one dot share theirs."""


class _Told(NamedTuple):
    """The newest value of a lane, at the head of its curve."""

    x: float
    y: float
    text: str
    color: Rgb


def _told(heads: Sequence[_Told], shared: Rgb) -> list[_Told]:
    """One for lanes that are one dot and say the same, in a colour of no lane; others as they are."""
    told: list[_Told] = []
    for head in heads:
        same = [place for place, one in enumerate(told) if one.text == head.text and abs(one.y - head.y) < 1]
        if same:
            told[same[0]] = told[same[0]]._replace(color=shared)
        else:
            told.append(head)
    return told


def _spread(wanted: Sequence[float], apart: float, plot: Box) -> list[float]:
    """Where labels stand so that none covers another, near to where they are wanted."""
    order = sorted(range(len(wanted)), key=lambda place: wanted[place])
    placed = [0.0] * len(wanted)
    below = plot.y - apart
    for place in order:
        placed[place] = below = max(wanted[place], below + apart)
    lowest = plot.bottom - apart / 2  # what stands lower meets the line at the bottom, which is that of chance
    if below > lowest:
        above = lowest + apart
        for place in reversed(order):
            placed[place] = above = min(placed[place], above - apart)
    return placed
