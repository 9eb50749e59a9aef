"""What colours mean, in one line of paint: kinds of edges on the left, classes on the right."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from app.picture.edges import FALSE, HARD, NEGATIVE, POSITIVE, SEMI_HARD, kind_colors
from app.picture.missed_edges import end_colors
from app.picture.scene import class_colors
from app.picture.theme import Rgb
from app.video import typeface
from app.video.canvas import Canvas
from app.video.layout import Box
from app.video.story import Story
from hnm_core.run.shown import has_several_labels, query_label

SIZE = 26
MOST_CLASSES = 12
LONG_NAME = 14
"""Letters of a class that is not named."""
_WORDS = {
    HARD: "hard negative",
    SEMI_HARD: "semi-hard",
    NEGATIVE: "mined negative",
    FALSE: "false negative",
    POSITIVE: "positive",
}


def paint_key(canvas: Canvas, box: Box, story: Story, lanes: Sequence[str], view: str) -> None:
    """As much of the key as there is room for: edges before classes, or rarest labels."""
    theme, unit = canvas.theme, canvas.unit
    edges: list[tuple[str, Rgb]] = [(_WORDS[kind], kind_colors(theme)[kind]) for kind in _kinds(story, lanes)]
    if view == "missed":
        edges = list(zip(("true nearest", "returned instead"), end_colors(theme), strict=True)) + edges
    px, gap, mark = SIZE * unit, 28 * unit, 40 * unit
    x = float(box.x)
    for words, color in edges:
        wide = typeface.width(words, px)
        if x + mark + wide > box.right:
            break
        canvas.line([(x, _middle(box)), (x + 28 * unit, _middle(box))], color, 5)
        canvas.text(Box(round(x + mark), box.y, round(wide) + 2, box.height), words, theme.muted, SIZE)
        x += mark + wide + gap
    room = Box(round(x), box.y, box.right - round(x), box.height)
    for heading, names in _told(story):
        if _paint_classes(canvas, room, heading, names, query_label(story.started)):
            break


def _told(story: Story) -> list[tuple[str, tuple[str, ...]]]:
    """What can be said of the colours of points: a heading and names, the most telling first."""
    started = story.started
    if started.groups is not None:
        return []
    names = started.class_names
    few = len(names) <= MOST_CLASSES and all(len(name) < LONG_NAME for name in names)
    if has_several_labels(started):
        return [*([("rarest label:", names)] if few else []), ("coloured by rarest label", ())]
    return [("", names)] if few else []


def _paint_classes(canvas: Canvas, box: Box, heading: str, names: Sequence[str], queries: int) -> bool:
    """A heading and the names with their colours, at the right; whether there is room for all."""
    theme, unit, px, gap = canvas.theme, canvas.unit, SIZE * canvas.unit, 0.6 * 28 * canvas.unit
    widths = [typeface.width(name, px) + 26 * unit for name in names]
    head = typeface.width(heading, px) + gap if heading else 0.0
    left = box.right - head - sum(widths) - gap * max(len(names) - 1, 0)
    if left < box.x:
        return False
    canvas.text(Box(round(left), box.y, round(head), box.height), heading, theme.muted, SIZE)
    left += head
    colors = class_colors(np.arange(len(names)), theme).tolist()
    for label, (name, wide, color) in enumerate(zip(names, widths, colors, strict=True)):
        mark_of = canvas.diamond if label == queries else canvas.dot
        mark_of(left + 9 * unit, _middle(box), 9, tuple(color))
        canvas.text(Box(round(left + 26 * unit), box.y, round(wide), box.height), name, theme.muted, SIZE)
        left += wide + gap
    return True


def _middle(box: Box) -> float:
    return box.y + box.height / 2


def _kinds(story: Story, lanes: Sequence[str]) -> tuple[int, ...]:
    """The kinds of edges that a viewer should know apart."""
    recording = story.recording
    told = any(recording.frame(lane, -1).hardness is not None for lane in lanes if len(recording.frame_steps(lane)))
    false = (FALSE,) if recording.started.true_labels is not None else ()
    return (HARD, SEMI_HARD, *false, POSITIVE) if told else (NEGATIVE, *false, POSITIVE)
