"""The numbers of a recording for other programs: steps and last positions of every lane as csv, parquet or npz."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.errors import InputError, unknown_name
from hnm_core.recording.layout import CHECKSUM
from hnm_core.recording.reader import Recording, open_recording
from hnm_core.run.cost import mining_ms
from hnm_core.run.events import LaneForked, OptionChanged
from hnm_core.run.results import LaneResult, lane_result
from hnm_core.system.whole_files import whole_file

Table = dict[str, NDArray[Any]]
"""Columns of equal length by name."""

_INTERNAL_FIELDS = ("event", "flags", "measured", CHECKSUM)


def export(folder: str | Path, kind: str, out: str | Path | None = None, *, pairs: bool = False) -> list[Path]:
    """Write `LANE.steps.KIND` and `LANE.positions.KIND` for every lane into `out`, by default `folder/export`.

    Steps have a column for each field of a step record (`loss`, `search_ms`, `hard`, `map_at_r`, ...), empty or NaN
    where it was not measured, -1 for a count that was not given; `mining_ms` is what mining took with what serves
    several steps spread over them, see `hnm_core.run.cost`. `results.KIND` has a row a lane, as `run` prints them, with
    the names of `LaneResult`. Positions are those of the last recorded frame: id,
    label, held_out, x, y, z and the point columns. Of a set too large to show they are those of its fixed stratified
    part, which is fair to every class; what that frame mined beyond it is hard and not fair, so it stands in a file of
    its own, `LANE.guests.KIND`, of the same columns. `raw.KIND` tells what the features score as they are, where that
    was measured, and where lanes were changed or forked while they trained, `changes.KIND` tells
    how. With `pairs`, `LANE.pairs.KIND` holds what was mined, see `pairs_table`, as much as all frames hold. Files of
    an earlier export are replaced when all new ones are written.

    Raises:
        InputError: unknown kind, damaged recording, a folder that cannot be written, or parquet without pyarrow.
    """
    if kind not in EXPORT_KINDS:
        raise unknown_name("export format", kind, EXPORT_KINDS)
    recording = open_recording(folder)
    recording.check()
    out = Path(folder) / "export" if out is None else Path(out)
    if kind == "parquet":
        _pyarrow()
    paths = []
    try:
        out.mkdir(parents=True, exist_ok=True)
        with ExitStack() as files:  # all take their places, or none does
            for name, table in _tables(recording, pairs=pairs):
                path = out / f"{name}.{kind}"
                EXPORT_KINDS[kind](files.enter_context(whole_file(path)), table)
                paths.append(path)
    except OSError as error:
        raise InputError(f"Cannot export to '{out}': {error.strerror or error}.") from error
    return paths


def _tables(recording: Recording, *, pairs: bool) -> Iterator[tuple[str, Table]]:
    """Every table with its name."""
    told = recording.of_each_lane(lambda lane: (lane_result(lane), lane.steps, mining_ms(lane)))
    for lane, (_, steps, spent) in zip(recording.lanes, told, strict=True):
        table = steps_table(recording, lane)
        yield f"{lane}.steps", table | {"mining_ms": _at_steps(table["step"], steps, spent)}
        if len(recording.frame_steps(lane)):
            yield f"{lane}.positions", positions_table(recording, lane)
            if (guests := guests_table(recording, lane)) is not None:
                yield f"{lane}.guests", guests
            if pairs:
                yield f"{lane}.pairs", pairs_table(recording, lane)
    results = results_table([result for result, *_ in told])
    for name, table in (("results", results), ("raw", raw_table(recording)), ("changes", changes_table(recording))):
        if len(next(iter(table.values()))):
            yield name, table


def steps_table(recording: Recording, lane: str) -> Table:
    """Every step record of a lane, one column a field."""
    steps = recording.steps(lane)
    table: Table = {"step": steps["step"], "loss": steps["loss"]}
    table["mining"] = (steps["flags"] & 1).astype(np.bool_)
    table["first_call"] = (steps["flags"] & 2).astype(np.bool_)
    for name in steps.dtype.names or ():
        if name not in table and name not in _INTERNAL_FIELDS:
            table |= _flat(name, steps[name])
    for name, (measured, values) in recording.layer_metrics(lane).items():
        table[name] = _at_steps(steps["step"], measured, values)
    return table


def _at_steps(steps: NDArray[np.int64], known: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) the value of each of n steps, NaN where it is not known."""
    found = np.full(len(steps), np.nan)
    _, row, place = np.intersect1d(steps, known, return_indices=True)
    found[row] = values[place]
    return found


def _flat(name: str, values: NDArray[Any]) -> Table:
    """A field as columns of single numbers, as every format can hold: one of several numbers becomes NAME_0, ..."""
    if values.ndim == 1:
        return {name: values}
    flat = values.reshape(len(values), -1)
    return {f"{name}_{place}": flat[:, place] for place in range(flat.shape[1])}


def positions_table(recording: Recording, lane: str) -> Table:
    """The points of the last frame of a lane."""
    started, frame = recording.started, recording.frame(lane, -1)
    return {
        "id": started.ids,
        "label": started.labels,
        "held_out": started.held_out,
        **({"group": started.groups} if started.groups is not None else {}),
        **{axis: frame.positions[:, place] for place, axis in enumerate("xyz")},
        **frame.columns,
    }


def guests_table(recording: Recording, lane: str) -> Table | None:
    """The mined items of the last frame of a lane that are not among its points; None where there are none."""
    guests = recording.frame(lane, -1).guests
    if guests is None:
        return None
    return {
        "id": guests.ids,
        "label": guests.labels,
        "held_out": np.zeros(len(guests.ids), np.bool_),
        **({"group": guests.groups} if guests.groups is not None else {}),
        **{axis: guests.positions[:, place] for place, axis in enumerate("xyz")},
        **guests.columns,
    }


def pairs_table(recording: Recording, lane: str) -> Table:
    """The mined tuples that the frames of a lane drew, the hardest of what was mined, a row for each in each frame.

    `frame` is the step of the frame, `mined` that at which it was mined (so that it may stand in two frames), -1 where
    that is not known. `anchor`, `positive` and `negative` are ids of the data set, -1 where a pair has no such end,
    each with its label beside it; `separation` is d(a,n) - d(a,p) in the lane's distance when it was mined, NaN where
    it is no triplet or that is not known.
    """
    ids, labels, steps = recording.started.ids, recording.started.labels, recording.frame_steps(lane)
    whole = len(ids) == recording.started.items_total
    parts: list[Table] = []
    for place, (step, triplets, hardness) in enumerate(recording.mined(lane, 0, len(steps))):
        guests = None if whole else recording.frame(lane, place).guests
        known = ids if guests is None else np.concatenate((ids, guests.ids))
        known_labels = labels if guests is None else np.concatenate((labels, guests.labels))
        count, ends = len(triplets), triplets.astype(np.int64)
        told = _labels_of(ends, known, known_labels)
        age = np.full(count, -1) if hardness is None else hardness["age"].astype(np.int64)
        part: Table = {"frame": np.full(count, step, np.int64), "mined": np.where(age >= 0, step - age, -1)}
        for column, name in enumerate(("anchor", "positive", "negative")):
            part |= {name: ends[:, column], f"{name}_label": told[:, column]}
        part["separation"] = np.full(count, np.nan, np.float32) if hardness is None else hardness["separation"]
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _labels_of(ends: NDArray[np.int64], ids: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The label of each of these ids; -1 where there is none."""
    order = np.argsort(ids, kind="stable")
    place = order[np.searchsorted(ids, ends, sorter=order).clip(max=len(ids) - 1)]
    found: NDArray[np.int64] = np.where(ids[place] == ends, labels[place], -1)
    return found


def results_table(results: Sequence[LaneResult]) -> Table:
    """What each lane came to, a row a lane; entanglement, which layers have one each, stands with the steps."""
    names = [field.name for field in fields(LaneResult) if field.name != "entanglement"]
    return {name: np.array([getattr(result, name) for result in results]) for name in names}


def raw_table(recording: Recording) -> Table:
    """What the features score as they are, a row for each distance of the lanes."""
    scores = recording.started.raw
    table: Table = {name: np.array([getattr(one, name) for one in scores], np.str_) for name in ("kind", "distance")}
    measured = dict.fromkeys(metric for one in scores for metric in one.metrics)
    return table | {metric: np.array([one.metrics.get(metric, np.nan) for one in scores]) for metric in measured}


def changes_table(recording: Recording) -> Table:
    """What was asked of lanes while they trained, oldest first. A fork is the option `fork`, its value the parent."""
    rows = [
        (event.lane, event.step, "fork", "", event.parent)
        if isinstance(event, LaneForked)
        else (event.lane, event.step, event.option, event.before, event.value)
        for event in recording.events
        if isinstance(event, LaneForked) or (isinstance(event, OptionChanged) and event.asked)
    ]
    lanes, steps, *texts = zip(*rows, strict=True) if rows else ((),) * 5
    table: Table = {"lane": np.array(lanes, np.str_), "step": np.array(steps, np.int64)}
    return table | {
        name: np.array(text, np.str_) for name, text in zip(("option", "before", "value"), texts, strict=True)
    }


def _write_csv(path: Path, table: Table) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        # repr of a float32 or a float64 is the shortest text that reads back as the same number.
        columns = [[_text(value) for value in column] for column in table.values()]
        writer.writerows(zip(*columns, strict=True))


def _text(value: np.generic) -> str:
    if isinstance(value, np.floating) and np.isnan(value):
        return ""
    return str(int(value)) if isinstance(value, np.bool_) else str(value)


def _write_npz(path: Path, table: Table) -> None:
    columns: dict[str, Any] = dict(table)
    with path.open("wb") as file:
        np.savez_compressed(file, **columns)


def _write_parquet(path: Path, table: Table) -> None:
    arrow = _pyarrow()
    columns = arrow.table({name: np.ascontiguousarray(column) for name, column in table.items()})
    arrow.parquet.write_table(columns, path, write_page_checksum=True)


def _pyarrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError("Parquet needs pyarrow, which is not installed: pip install hnm-lab[parquet]") from None
    return pyarrow


EXPORT_KINDS = {"csv": _write_csv, "parquet": _write_parquet, "npz": _write_npz}
"""Writers by format."""
