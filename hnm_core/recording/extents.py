"""Where the parts of frames lie in the files of a lane, whatever the schema."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.recording.header import Dtypes
from hnm_core.recording.layout import EDGE, PARTS

_MOST = 1 << 31
"""No frame has so many triplets, guests or candidates."""


class Extent(NamedTuple):
    """Of a part of frames: the byte at which it begins, and how many they are; whole numbers, (F,) of F frames."""

    offset: Any
    size: Any


def extents(entries: NDArray[Any], dtypes: Dtypes) -> dict[str, Extent]:
    """Those of each part that there is, by its name in `PARTS`; `entries` are one or more of an index."""
    if dtypes.packed:
        return {name: Extent(entries[part.offset], entries[part.size]) for name, part in PARTS.items()}
    offset = entries["edges_offset"]
    found = {
        "frame": Extent(entries["offset"], np.full_like(entries["offset"], dtypes.frame.itemsize)),
        "edges": Extent(offset, _bytes(entries["edges"], EDGE)),
    }
    if dtypes.hardness is not None:
        found["hardness"] = Extent(
            offset // EDGE.itemsize * dtypes.hardness.itemsize, _bytes(entries["edges"], dtypes.hardness)
        )
    for name, dtype in (("guests", dtypes.guest), ("candidates", dtypes.candidate)):
        if dtype is not None:
            found[name] = Extent(entries[f"{name}_offset"], _bytes(entries[name], dtype))
    return found


def _bytes(counts: Any, dtype: np.dtype[Any]) -> Any:
    """Of so many records; -1 for a count that cannot be."""
    return np.where((counts >= 0) & (counts <= _MOST), counts, -1) * dtype.itemsize
