"""The rows of `steps.bin` as step records, or many at once as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.recording.header import RunFile
from hnm_core.recording.layout import ABSENT_COUNT, FLAG_FIRST_CALL, FLAG_MINING
from hnm_core.run.events import TUPLE_COUNTS, StepRecord
from hnm_core.run.history import StepColumns
from hnm_core.run.timing import PHASES, Phase

Measured = dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]
"""By metric: the rows that measured it, and the values."""


def as_records(
    rows: NDArray[Any], lane: str, run_file: RunFile, layers: Mapping[int, Mapping[str, float]]
) -> Iterator[tuple[int, StepRecord]]:
    """Each row of a lane as a record, with its place in the run. `layers`: metrics of single layers, by step."""
    known = {str(phase): phase for phase in Phase}
    phases = [(known[name], f"{name}_ms") for name in run_file.phases if name in known]
    for row in rows:
        measured, flags = int(row["measured"]), int(row["flags"])
        metrics = {name: float(row[name]) for place, name in enumerate(run_file.metrics) if measured >> place & 1}
        yield (
            int(row["event"]),
            StepRecord(
                lane=lane,
                step=int(row["step"]),
                loss=float(row["loss"]),
                phase_ms={phase: float(row[name]) for phase, name in phases if not np.isnan(row[name])},
                tuples={name: int(row[name]) for name in run_file.tuple_counts if row[name] >= 0},
                metrics=metrics | dict(layers.get(int(row["step"]), {})),
                mining=bool(flags & FLAG_MINING),
                first_call=bool(flags & FLAG_FIRST_CALL),
            ),
        )


def as_columns(rows: NDArray[Any], run_file: RunFile) -> StepColumns:
    """Rows of a lane as columns, in what is known of phases and counts today, without metrics of single layers. Some
    are views of the rows."""
    phases = [(PHASES.index(Phase(name)), f"{name}_ms") for name in run_file.phases if name in PHASES]
    counts = [(TUPLE_COUNTS.index(name), name) for name in run_file.tuple_counts if name in TUPLE_COUNTS]
    flags = rows["flags"]
    phase_ms = np.zeros((len(PHASES), len(rows)), np.float32)
    for place, name in phases:
        phase_ms[place] = rows[name]
    np.copyto(phase_ms, 0, where=np.isnan(phase_ms))
    tuples = np.full((len(TUPLE_COUNTS), len(rows)), ABSENT_COUNT, np.int64)
    for place, name in counts:
        tuples[place] = rows[name]
    given = tuples.max(axis=1, initial=ABSENT_COUNT) >= 0
    np.maximum(tuples, 0, out=tuples)
    return StepColumns(
        step=rows["step"],
        loss=rows["loss"],
        phase_ms=phase_ms.T,
        tuples=tuples.T,
        counted=frozenset(name for place, name in counts if given[place]),
        mining=(flags & FLAG_MINING).astype(np.bool_),
        first_call=(flags & FLAG_FIRST_CALL).astype(np.bool_),
        metrics=_measured(rows, run_file.metrics),
    )


def _measured(steps: NDArray[Any], names: Sequence[str]) -> Measured:
    """The metrics of step records, by their bits: names in the order of these."""
    measured = np.ascontiguousarray(steps["measured"])
    somewhere = np.flatnonzero(measured)
    bits = measured[somewhere]
    anywhere = int(np.bitwise_or.reduce(bits)) if len(bits) else 0
    found = {}
    for place, name in enumerate(names):
        if anywhere >> place & 1:
            row = somewhere[(bits >> np.uint32(place) & np.uint32(1)).astype(np.bool_)]
            found[name] = row, steps[name][row]
    return found
