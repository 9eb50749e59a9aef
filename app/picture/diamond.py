"""The shape of a query wherever it is painted by hand, as the raster draws it in the clouds. No Qt."""

from __future__ import annotations

from app.picture.raster_kernels import DIAMOND


def diamond(x: float, y: float, radius: float) -> list[tuple[float, float]]:
    """Corners of the square on its tip round a point that is as large to the eye as a disc of this radius."""
    reach = DIAMOND * radius
    return [(x, y - reach), (x + reach, y), (x, y + reach), (x - reach, y)]
