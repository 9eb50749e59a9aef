"""Records that ought to be there: all that happens in a run is counted, so whatever a file lost at its end leaves a gap
among the numbers of the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hnm_core.recording.files import record_pieces
from hnm_core.recording.header import Dtypes
from hnm_core.recording.lane_files import LaneFiles
from hnm_core.recording.layout import INDEX_FILE, STEPS_FILE
from hnm_core.recording.plausible import leading
from hnm_core.words import counted


def missing_records(events: Sequence[int], lanes: Sequence[LaneFiles], dtypes: Dtypes) -> str:
    """What is missing of a run that came to its end, in a sentence, beside what the lanes know to be lost; empty where
    nothing is. `events` are the numbers of the lines of `events.jsonl`, the last one's the highest of all."""
    known = len(events) + sum(lane.steps + lane.entries + lane.lost_records for lane in lanes)
    missing = events[-1] + 1 - known
    if missing <= 0:
        return ""
    first = _first_missing(events, lanes, dtypes)
    short: dict[str, int] = {}
    cut: dict[str, int] = {}
    for lane in lanes:
        steps, index = (lane.judge, lane.last_step), (lane.index_judge, lane.last_frame_step)
        for name, (judge, step) in ((STEPS_FILE, steps), (INDEX_FILE, index)):
            path = f"{lane.folder.name}/{name}"
            short |= {path: step} if judge.event < first else {}
            cut |= {path: step} if name in lane.cut else {}
    named = cut or short
    where = " or ".join(named) if 0 < len(named) < 3 else "a file"
    step = min(named.values(), default=0)
    return f"The run lost {counted(missing, 'record')} after step {step:,}: {where} ends too early."


def _first_missing(events: Sequence[int], lanes: Sequence[LaneFiles], dtypes: Dtypes) -> int:
    """The number of the first event that no file has; it is not higher than there are records."""
    there = np.zeros(len(events) + sum(lane.steps + lane.entries for lane in lanes) + 1, np.bool_)

    def mark(numbers: NDArray[np.int64]) -> None:
        there[numbers[(numbers >= 0) & (numbers < len(there))]] = True

    mark(np.asarray(events, np.int64))
    for lane in lanes:
        for name, dtype, count in ((STEPS_FILE, dtypes.step, lane.steps), (INDEX_FILE, dtypes.index, lane.entries)):
            for records in record_pieces(lane.folder / name, dtype, 0, count):
                mark(records["event"])
    return leading(there)
