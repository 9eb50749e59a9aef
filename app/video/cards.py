"""The still scenes of a film in paint: the question it asks, what came out, and how it was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence

from app.history.moments import named
from app.video import charts, typeface
from app.video.canvas import Align, Canvas
from app.video.layout import Box, Frame
from app.video.story import Finding, Story
from hnm_core.run.results import lane_result

TITLE, LEAD, BODY, SMALL = 92, 44, 36, 28


def title_card(canvas: Canvas, block: Box, story: Story, names: Sequence[str], shown: float) -> None:
    """The question, the lanes in their colours, and on what they are compared; `shown` 0..1 as the card opens."""
    theme, unit, size = canvas.theme, canvas.unit, TITLE
    # Every line of lanes after the first lifts all, so that the last words stay above the margin.
    lifted = _lane_places(canvas, block, names)[-1][1] - block.y
    title = Box(block.x, block.y - lifted, block.width, round(min(2.6 * size * unit, 0.5 * block.height)))
    high = canvas.paragraph(title, story.question(), theme.text, size, bold=True, top=True)
    y = round(title.y + high + 40 * unit)
    lanes = Box(block.x, y, block.width, round(LEAD * 1.5 * unit))
    bottom = _lanes_line(canvas, lanes, story, names, _ease(shown * 4 - 0.3))
    facts = Box(block.x, round(bottom + 24 * unit), block.width, round(2.6 * BODY * unit))
    canvas.paragraph(facts, story.facts(), theme.muted, BODY, top=True, opacity=_ease(shown * 4 - 0.9))


def _lane_places(canvas: Canvas, box: Box, names: Sequence[str]) -> list[tuple[float, int, float]]:
    """Left, top and width of each lane's name in as many lines as they need, from the top of the box on."""
    unit, places = canvas.unit, []
    x, y, px = float(box.x), box.y, LEAD * canvas.unit
    for name in names:
        wide = typeface.width(name, px, bold=True) + 44 * unit
        if x + wide > box.right and x > box.x:
            x, y = float(box.x), y + round(LEAD * 1.4 * unit)
        places.append((x, y, wide))
        x += wide + 28 * unit
    return places


def _lanes_line(canvas: Canvas, box: Box, story: Story, names: Sequence[str], opacity: float) -> int:
    """The names of lanes, in as many lines as they need. Returns where they end."""
    unit, theme = canvas.unit, canvas.theme
    places = _lane_places(canvas, box, names)
    for name, (x, y, wide) in zip(names, places, strict=True):
        color = theme.lane(story.lanes.index(name))
        line = Box(round(x + 32 * unit), y, round(wide), round(LEAD * 1.3 * unit))
        canvas.dot(x + 11 * unit, y + line.height / 2, 11, color, opacity)
        canvas.text(line, name, color, LEAD, bold=True, opacity=opacity)
    return places[-1][1] + round(LEAD * 1.3 * unit)


def finding_card(canvas: Canvas, box: Box, story: Story, finding: Finding, shown: float) -> None:
    """What came out, in large type."""
    theme, unit = canvas.theme, canvas.unit
    best = story.best()
    color = theme.lane(story.lanes.index(best)) if finding.title.startswith(named(best)) else theme.text
    size = 84
    title = Box(box.x, box.y, box.width, round(0.6 * box.height))
    high = canvas.paragraph(title, finding.title, color, size, bold=True, top=True, opacity=_ease(shown * 2.5))
    y = round(title.y + high + 28 * unit)
    looks = ((theme.text, LEAD), *[(theme.muted, BODY)] * len(finding.lines))
    for line, (text, px) in zip(finding.lines, looks, strict=False):
        room = Box(box.x, y, box.width, max(min(round(2.6 * LEAD * unit), box.bottom - y), 0))
        high = canvas.paragraph(room, line, text, px, top=True, opacity=_ease(shown * 2.5 - 0.5))
        y = round(y + high + 20 * unit)


def end_card(canvas: Canvas, frame: Frame, story: Story, shown: float) -> None:
    """The table of results, the best lane first, and how all of it was measured."""
    theme, unit, safe = canvas.theme, canvas.unit, frame.safe
    ends = story.ends()
    names = [*ends, *(name for name in story.lanes if name not in ends)]
    head = ("", story.word or "MAP@R", "mining, ms a step" if frame.wide else "mining, ms", "training, s")
    shares = (0.4, 0.18, 0.24, 0.18) if frame.wide else (0.34, 0.2, 0.26, 0.2)
    notes = story.measured()
    between = frame.px(0.2 * SMALL)
    heights = [math.ceil(canvas.height(line, SMALL, safe.width)) + between for line in notes]
    room = Box(safe.x, safe.y, safe.width, safe.height - sum(heights) - frame.px(48))
    row = min(120 * unit, room.height / (len(names) + 1))
    table = room.rest_below((room.height - row * (len(names) + 1)) / 2)
    size = min(50, 0.46 * row / unit) if frame.wide else min(42, 0.46 * row / unit)
    first, opacity = Box(table.x, table.y, table.width, round(row)), _ease(shown * 3)
    for cell, text in zip(_cells(first, shares), head, strict=True):
        align = Align.LEFT if cell.x == first.x else Align.RIGHT
        canvas.text(cell, text, theme.muted, 0.72 * size, align, opacity=opacity)
    for place, name in enumerate(names):
        line = Box(table.x, round(first.bottom + place * row), table.width, round(row))
        lane = story.lane(name)
        trained = float(lane.seconds[-1]) if len(lane) else math.nan
        numbers = (ends.get(name, math.nan), lane_result(lane).mining_ms_mean, trained)
        texts = (name, *(_number(value, digits) for value, digits in zip(numbers, (3, 2, 1), strict=True)))
        here = _ease(shown * 3 - 0.25 * (place + 1))
        if place == 0 and len(ends) > 1:
            wash = Box(line.x - frame.px(16), line.y, line.width + 2 * frame.px(16), line.height)
            canvas.fill(wash, theme.panel, here, charts.RADIUS)
        color = theme.lane(story.lanes.index(name))
        for cell, text in zip(_cells(line, shares), texts, strict=True):
            left = cell.x == line.x
            bold = left or (place == 0 and cell.x == _cells(line, shares)[1].x)
            align = Align.LEFT if left else Align.RIGHT
            canvas.text(cell, text, color if left else theme.text, size, align, bold=bold, opacity=here)
    y = safe.bottom - sum(heights)
    for line_text, high in zip(notes, heights, strict=True):
        note = Box(safe.x, y, safe.width, high)
        canvas.paragraph(note, line_text, theme.muted, SMALL, top=True, opacity=_ease(shown * 3 - 0.8), least=0.75)
        y += high


def _cells(line: Box, shares: tuple[float, ...]) -> list[Box]:
    cells, x = [], float(line.x)
    for share in shares:
        cells.append(Box(round(x), line.y, round(share * line.width), line.height))
        x += share * line.width
    return cells


def _ease(share: float) -> float:
    t = min(max(share, 0.0), 1.0)
    return t * t * (3 - 2 * t)


def _number(value: float, digits: int) -> str:
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"
