"""Where matrices of class pairs stand beside each other, with the names of classes where these have room."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

GAP = 12.0
"""Pixels between matrices."""
MOST_NAME_PX = 76.0
"""A longer name is cut."""
LEAST_NAMED_PX = 8.5
"""Lower rows have no room for a name."""
LEAST_WHOLE = 0.85
"""Cells are whole pixels of the device, all as large, unless more than the rest would be lost by it."""
LEAST_WITH_NAMES = 0.62
"""Names that stand on end are left out where the matrices would shrink to less of what they could be."""


@dataclass(frozen=True)
class PairLayout:
    """In pixels of the widget."""

    corners: tuple[tuple[float, float], ...]
    """Left and top of each matrix"""
    cell: float
    """Side of a cell"""
    rows: bool
    """Whether classes are named left of the matrices"""
    columns: str
    """How they are named below them: "flat", "upright", or "" for not at all"""
    left: float
    """Room for the names of rows"""
    right: float
    """Where the last matrix ends"""

    def place(self, x: float, y: float, classes: int) -> tuple[int, int, int] | None:
        """Matrix, row and column under a place; None where there is none."""
        for number, (left, top) in enumerate(self.corners):
            row, column = math.floor((y - top) / self.cell), math.floor((x - left) / self.cell)
            if 0 <= row < classes and 0 <= column < classes:
                return number, row, column
        return None


def pair_layout(
    width: float, height: float, count: int, names: Sequence[float], line: float, head: float, scale: float = 1.0
) -> PairLayout:
    """Matrices as large as they can be.

    Args:
        width, height: of the widget.
        count: how many matrices, 1 or more.
        names: widths of the names of the classes, in the order of the axis.
        line: height of a name.
        head: height of what stands over each matrix.
        scale: device pixels in one of these.
    """
    classes = max(len(names), 1)
    longest = max(names, default=0.0)
    widest = min(longest, MOST_NAME_PX)

    def fitted(left: float, bottom: float) -> tuple[float, int]:
        """Side of a cell, and matrices side by side."""

        def side(across: int) -> float:
            down = math.ceil(count / across)
            wide = (width - left - (across - 1) * GAP) / across
            high = (height - bottom - (down - 1) * GAP / 2) / down - head
            return min(wide, high)

        across = max(range(1, count + 1), key=side)
        cell = max(side(across), 1.0) / classes
        whole = math.floor(cell * scale) / scale
        return whole if whole >= LEAST_WHOLE * cell else cell, across

    bare, _ = fitted(0.0, 0.0)
    rows = bare >= LEAST_NAMED_PX
    left, bottom, columns = widest + 5 if rows else 0.0, 0.0, ""
    if fitted(left, line)[0] >= max(longest + 2, LEAST_NAMED_PX):
        columns, bottom = "flat", line
    elif rows and fitted(left, widest + 4)[0] >= max(LEAST_NAMED_PX, LEAST_WITH_NAMES * bare):
        columns, bottom = "upright", widest + 4
    if rows and fitted(left, bottom)[0] < LEAST_NAMED_PX:
        rows, left = False, 0.0
    cell, across = fitted(left, bottom)
    side, down = cell * classes, math.ceil(count / across)
    spare = (height - bottom - down * (head + side) - (down - 1) * GAP / 2) / 2
    corners = tuple(
        (left + column * (side + GAP), max(spare, 0.0) + row * (side + head + GAP / 2) + head)
        for row, column in (divmod(number, across) for number in range(count))
    )
    return PairLayout(corners, cell, rows, columns, left, max(x for x, _ in corners) + side)
