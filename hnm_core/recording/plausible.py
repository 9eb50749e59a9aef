"""What records can be: their checksums are right, or, before there were any, their numbers make sense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.recording.checksums import record_checksums
from hnm_core.recording.header import RunFile
from hnm_core.recording.layout import CHECKSUM, FLAG_LAYERS

_MANY = 1 << 48
"""No run has so many steps or events."""


@dataclass
class RecordJudge:
    """Judges the records of one file, in their order."""

    run_file: RunFile
    path: str
    """Inside the recording."""
    event: int = 0
    """The place in the run of the last record that was right."""
    step: int = -1

    def __call__(self, records: NDArray[Any], first: int) -> int:
        """How many of these, from the first on, are right."""
        if self.run_file.has_checksums:
            right = record_checksums(records, self.run_file.salt, self.path, first) == records[CHECKSUM]
        else:
            right = self._plausible(records)
        count = leading(right)
        if count:
            self.go_on_after(records[:count])
        return count

    def go_on_after(self, records: NDArray[Any]) -> None:
        """The last of these is the last that is right."""
        self.event = int(records["event"][-1]) if len(records) else 0
        self.step = int(records["step"][-1]) if len(records) else -1

    def _plausible(self, records: NDArray[Any]) -> NDArray[np.bool_]:
        right: NDArray[np.bool_] = np.ones(len(records), np.bool_)
        for name, before in (("event", self.event), ("step", self.step)):
            values = records[name]
            right &= (values > np.concatenate(([before], values[:-1]))) & (values < _MANY)
        names = records.dtype.names or ()
        if "flags" in names:
            right &= (records["flags"] < FLAG_LAYERS) & (records["measured"] < 1 << len(self.run_file.metrics))
            for phase in self.run_file.phases:
                right &= ~(records[f"{phase}_ms"] < 0)  # not a number where it did not run
            for name in self.run_file.tuple_counts:
                right &= records[name] >= -1
            for place, name in enumerate(self.run_file.metrics):
                right &= (records["measured"] >> np.uint32(place) & 1).astype(np.bool_) | np.isnan(records[name])
        if "columns" in names:
            right &= records["columns"] < 1 << len(self.run_file.point_columns)
            right &= records["mined_total"] >= 0
        return right


def leading(right: NDArray[np.bool_]) -> int:
    """How many are True before the first that is not."""
    return len(right) if right.all() else int(np.argmin(right))
