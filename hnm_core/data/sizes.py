"""How many items each class of an imbalanced set has."""

from __future__ import annotations

from hnm_core.errors import InputError


def class_sizes(points: int, classes: int, largest: float, singletons: int) -> list[int]:
    """Items of each class: the largest first, the classes of one item last, the rest evenly between.

    The largest holds a share `largest` of the points, or what is left where every other class is a single item.

    Args:
        points: items in all.
        classes: at least 2.
        largest: share of the largest class, in (0, 1).
        singletons: classes of one item, at most classes - 1.

    Raises:
        InputError: too few points: a class that is no singleton has at least two items, the largest at least as many
            as any other.
    """
    between = classes - 1 - singletons
    first = points - singletons if between == 0 else round(largest * points)
    rest = points - first - singletons
    more = rest % between if between else 0
    sizes = [first, *(rest // between + (place < more) for place in range(between)), *[1] * singletons]
    if first < max(2, *sizes) or rest < 2 * between:
        raise InputError(
            f"{points:,} items with largest = {largest} and singletons = {singletons} do not give {classes:,} classes "
            "their sizes: every class but the singletons needs at least two items, and none more than the largest."
        )
    return sizes
