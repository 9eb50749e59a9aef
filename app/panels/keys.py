"""Keys and movements of the mouse that are no actions of the table: they work where the focus or the pointer is.

What each view does with them stands in the view; this says it in words, for the sheet of shortcuts.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KeyGroup:
    """Keys that belong together: pairs of what is pressed and what it does."""

    title: str
    rows: tuple[tuple[str, str], ...]


CLOUD_KEYS = KeyGroup(
    "In a cloud",
    (
        ("Arrow keys", "Turn"),
        ("+  −", "Nearer, farther"),
        ("0", "The whole cloud"),
        ("Drag", "Turn"),
        ("Shift+Drag", "Move"),
        ("Wheel", "Nearer, farther"),
        ("Click", "Mark a point in all clouds"),
        ("Double-click", "The whole cloud"),
        ("Right click", "Menu of the lane"),
    ),
)

REVIEW_KEYS = KeyGroup(
    "In a review of doubtful labels",
    (
        ("K", "Keep the label"),
        ("D", "Drop the item"),
        ("R", "Relabel it"),
        ("U", "Take the last decision back"),
        ("←  →", "The one before, the next"),
        ("Esc", "End the review"),
    ),
)

TIMELINE_KEYS = KeyGroup(
    "On the timeline",
    (
        ("←  →", "A hundredth of the run back, on"),
        ("Shift+←  →", "One step back, on"),
        ("Page Down, Up", "A tenth of the run back, on"),
        ("Home", "The beginning"),
        ("End", "The newest step"),
        ("Wheel", "A hundredth of the run back, on"),
    ),
)
