"""Made-up runs to record: numbers from a seeded generator, every kind of event, and a net that diverges for a while."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hnm_core.recording.checksums import record_checksums, sealed_file
from hnm_core.run.candidates import SCOPES, Candidates
from hnm_core.run.events import (
    METRICS,
    POINT_COLUMNS,
    Alarm,
    Event,
    Frame,
    Guests,
    Misses,
    OptionChanged,
    RunFinished,
    RunStarted,
    StepRecord,
    WarmupEnded,
    frozen,
    layer_metric,
)
from hnm_core.run.hardness import BINS, Hardness
from hnm_core.run.raw import RawScore
from hnm_core.run.timing import Phase
from hnm_core.spec.config import ExperimentConfig, LaneConfig
from tests.recording import other_reader

LANES = ("KNN", "knn", "lsh + re.score")


def started(points: int = 60, lanes: tuple[str, ...] = LANES, title: str = "Made up") -> RunStarted:
    """The start of a run on ids 0, 3, 6, ... in five classes and two groups."""
    labels = np.arange(points) % 5
    return RunStarted(
        config=ExperimentConfig(
            title=title, about="What to look for.", lanes=tuple(LaneConfig(name=name) for name in lanes)
        ),
        labels=labels,
        ids=np.arange(points) * 3,
        held_out=np.arange(points) % 4 == 0,
        class_names=("a", "b", "c", "d", "é"),
        groups=labels // 3,
        items_total=10 * points,
        versions={"hnm-lab": "0.1.0", "device": "a CPU"},
        started="2026-01-02T03:04:05Z",
        true_labels=(labels + (np.arange(points) % 10 == 0)) % 5,
        chance={"map_at_r": 0.125, "knn_accuracy": 0.2},
        raw=(RawScore("raw embeddings", "euclidean", {"map_at_r": 0.5}), RawScore("raw embeddings", "cosine", {})),
    )


def step(rng: np.random.Generator, lane: str, number: int) -> StepRecord:
    """A step record with some phases, some counts, and now and then metrics, one of them NaN; KNN has layers."""
    metrics = {"map_at_r": rng.random(), "mean_distance": float("nan")} if number % 3 == 0 else {}
    if metrics and lane == "KNN":
        lost = float("nan") if number == 6 else number / 7
        metrics |= {"entanglement/hidden1": number / 3, "entanglement/block 2.ü:1": lost, "entanglement_chance": 2.5}
    return StepRecord(
        lane=lane,
        step=number,
        loss=float("inf") if number == 7 else rng.random(),
        phase_ms={phase: float(np.float32(rng.random())) for phase in list(Phase)[number % 3 :]},
        tuples={"mined": 256, "hard": int(rng.integers(256))},
        metrics=metrics,
        mining=number > 2,
        first_call=number == 1,
    )


def frame(rng: np.random.Generator, lane: str, number: int, points: int = 60) -> Frame:
    """A cloud far from the origin; at step 6 the net has diverged in part, at step 8 it gives no columns."""
    positions = (rng.normal(size=(points, 3)) * (1, 10, 1e-3) + (1e3, 0, -5)).astype(np.float32)
    if number == 6:
        positions[:3] = [[np.nan, 0, 0], [np.inf, 1, 1], [2, -np.inf, 2]]
    triplets = rng.integers(0, points, (int(rng.integers(0, 9)), 3)) * 3
    triplets[:1, 1] = -1
    columns = {} if number == 8 else {name: frozen(rng.random(points, np.float32)) for name in POINT_COLUMNS}
    plain = Frame(
        lane, number, frozen(positions), frozen(triplets.astype(np.int32)), 1000 + number, columns, f"PCA, {number} %"
    )
    return plain if number == 8 else with_candidates(with_hardness(rng, plain))


def with_hardness(rng: np.random.Generator, frame: Frame) -> Frame:
    """The frame with a separation, the first not known, and an age for each triplet, and a histogram of many more."""
    separation = rng.normal(size=len(frame.triplets)).astype(np.float32)
    separation[:1] = np.nan
    age = rng.integers(0, 9, len(frame.triplets)).astype(np.int32)
    hard, semi_hard, easy = (int(count) for count in rng.integers(0, 1 << 40, 3))
    bins = frozen(rng.integers(0, 1 << 40, BINS))
    hardness = Hardness(0.5, hard, semi_hard, easy, 0.02, -int(rng.integers(0, 50)), bins)
    return replace(frame, separation=frozen(separation), age=frozen(age), hardness=hardness)


def with_candidates(frame: Frame) -> Frame:
    """The frame with three anchors and their candidates, of which the second has none."""
    rng = np.random.default_rng(frame.step)
    count = rng.integers(1, 9, 3) * (1, 0, 1) + (0, 1, 0)
    anchor, candidate = np.repeat((3, 9, 0), count), rng.integers(0, 60, count.sum()) * 3
    candidate[count[0]] = -1
    pairs = np.stack((anchor, candidate), 1).astype(np.int32)
    chosen = (candidate >= 0) & (rng.random(len(pairs)) < 0.5)
    told = Candidates(frozen(pairs), frozen(chosen), 500 + frame.step, 8, SCOPES[frame.step % len(SCOPES)])
    return replace(frame, candidates=told)


def with_guests(rng: np.random.Generator, frame: Frame, count: int = 7) -> Frame:
    """The frame with guests, ids 1, 4, 7, ... in classes and groups like those of `started`, and edges to them."""
    ids = np.sort(rng.choice(100, count, replace=False)) * 3 + 1
    labels = ids % 5
    guests = Guests(
        ids=ids,
        labels=labels,
        positions=frozen(rng.normal(size=(count, 3)).astype(np.float32)),
        columns={name: frozen(rng.random(count, np.float32)) for name in frame.columns},
        groups=labels // 3,
        true_labels=(labels + 1) % 5,
    )
    triplets = np.concatenate((frame.triplets, ids[: count // 3 * 3].reshape(-1, 3))).astype(np.int32)
    widened = replace(frame, triplets=frozen(triplets), guests=guests)
    return widened if frame.hardness is None else with_hardness(rng, widened)


def run_of_a_large_set(steps: int = 6, lanes: tuple[str, ...] = ("knn", "random")) -> Iterator[Event]:
    """A whole run of which every second frame has guests."""
    rng = np.random.default_rng(4)
    yield started(lanes=lanes)
    for number in range(1, steps + 1):
        for lane in lanes:
            yield step(rng, lane, number)
            plain = frame(rng, lane, number)
            yield with_guests(rng, plain, 3 + number) if number % 2 else plain
    yield RunFinished(dict.fromkeys(lanes, steps), 1.0)


def without_candidates(event: Event) -> Event:
    """The event as it was told before schema 6."""
    return replace(event, candidates=None) if isinstance(event, Frame) else event


def without_hardness(event: Event) -> Event:
    """The event as it was told before schema 4."""
    if not isinstance(event, Frame):
        return event
    return replace(without_candidates(event), separation=None, age=None, hardness=None)


CANDIDATE_FIELDS = ("candidates_offset", "candidates", "asked", "most", "scope")
PACKED_FIELDS = {"after_key", "repeated", "hardness_offset"} | {
    f"{part}_size" for part in ("frame", "edges", "hardness", "guests", "candidates")
}
HARDNESS_FIELDS = ("margin", "hard", "semi_hard", "easy", "bin_width", "first_bin", "bins")


def edit_run_file(folder: Path, **changes: Any) -> None:
    """Change `run.json`, with the checksum that belongs to it; what is None there goes."""
    path = folder / "run.json"
    content = json.loads(path.read_text()) | changes
    content.pop("checksum", None)
    kept = {name: value for name, value in content.items() if value is not None}
    if kept["schema"] < 5:
        path.write_text(json.dumps(kept, indent=1))
    else:
        path.write_bytes(sealed_file(json.dumps(kept, indent=1)))


def as_schema_6(folder: Path) -> None:
    """Turn a recording into what was written before frames were packed, with the checksums that belong to it."""
    other_reader.as_schema_6(folder)
    _without(folder, "", PACKED_FIELDS, {"schema": 6})
    _seal_frames(folder)


def as_schema_5(folder: Path) -> None:
    """Turn a recording into what was written before it told of candidates, with the checksums that belong to it."""
    as_schema_6(folder)
    _without(folder, "candidates.bin", set(CANDIDATE_FIELDS), {"schema": 5, "candidate_dtype": None})
    _seal_frames(folder)


def _seal_frames(folder: Path) -> None:
    """Work out the checksums of frames that are not packed anew."""
    run = json.loads((folder / "run.json").read_text())
    for lane in run["lanes"]:
        path = folder / lane["folder"]
        entries = np.fromfile(path / "frames.idx", np.dtype(run["index_dtype"]))
        parts = [
            ("frames.bin", np.arange(len(entries) + 1) * np.dtype(run["frame_dtype"]).itemsize),
            ("edges.bin", _ends(entries["edges"], 12)),
            ("hardness.bin", _ends(entries["edges"], np.dtype(run["hardness_dtype"]).itemsize)),
            ("guests.bin", _ends(entries["guests"], np.dtype(run["guest_dtype"]).itemsize)),
        ]
        if "candidate_dtype" in run:
            parts.append(("candidates.bin", _ends(entries["candidates"], np.dtype(run["candidate_dtype"]).itemsize)))
        entries["data"] = 0
        for name, ends in parts:
            data = (path / name).read_bytes()
            for place, before in enumerate(entries["data"].tolist()):
                entries["data"][place] = zlib.crc32(data[ends[place] : ends[place + 1]], before)
        seal_index(path, entries)


def seal_index(lane: Path, entries: np.ndarray) -> None:
    """Write the index of a lane, with the checksums that belong to it."""
    salt = json.loads((lane.parent / "run.json").read_text())["salt"]
    entries["checksum"] = record_checksums(entries, salt, f"{lane.name}/frames.idx", 0)
    entries.tofile(lane / "frames.idx")


def _ends(counts: np.ndarray, size: int) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(counts))) * size


def as_schema_4(folder: Path) -> None:
    """Turn a recording into what was written before there were checksums."""
    as_schema_5(folder)
    layout = json.loads((folder / "run.json").read_text())["step_dtype"]
    places = [place for place, name in enumerate(layout["names"]) if name != "checksum"]
    short = {what: [layout[what][place] for place in places] for what in ("names", "formats")}
    for path in folder.rglob("steps.bin"):
        old = np.fromfile(path, np.dtype(layout))
        new = np.zeros(len(old), np.dtype(short))
        for name in short["names"]:
            new[name] = old[name]
        new["flags"] &= 3
        new.tofile(path)
    for path in folder.rglob("*.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text(
            "".join(json.dumps({k: v for k, v in line.items() if k != "checksum"}) + "\n" for line in lines)
        )
    edit_run_file(folder, schema=4, step_dtype=short, salt=None, arrays=None)
    _without(folder, "", {"data", "checksum"}, {})


def as_schema_3(folder: Path) -> None:
    """Turn a recording into what was written before it told how hard triplets are."""
    as_schema_4(folder)
    _without(folder, "hardness.bin", set(HARDNESS_FIELDS), {"schema": 3, "hardness_dtype": None})


def as_schema_2(folder: Path) -> None:
    """Turn a recording into what was written before there were guests: triplets name items that are nowhere else."""
    as_schema_3(folder)
    _without(folder, "guests.bin", {"guests", "guests_offset"}, {"schema": 2, "guest_dtype": None, "chance": None})


def _without(folder: Path, file: str, left_out: set[str], changes: dict[str, Any]) -> None:
    """Leave out a file of each lane and some fields of frames.idx, and change run.json; what is None there goes."""
    content = json.loads((folder / "run.json").read_text())
    layout = content["index_dtype"]
    index = np.dtype(layout)
    names = [name for name in layout["names"] if name not in left_out]
    formats = [layout["formats"][layout["names"].index(name)] for name in names]
    content |= {"index_dtype": {"names": names, "formats": formats}, **changes}
    edit_run_file(folder, **content)
    for lane in content["lanes"]:
        if file:
            (folder / lane["folder"] / file).unlink()
        entries = np.fromfile(folder / lane["folder"] / "frames.idx", index)
        old = np.zeros(len(entries), np.dtype(content["index_dtype"]))
        for name in names:
            old[name] = entries[name]
        old.tofile(folder / lane["folder"] / "frames.idx")


def run(steps: int = 10, points: int = 60, lanes: tuple[str, ...] = LANES, frame_every: int = 2) -> Iterator[Event]:
    """A whole run."""
    rng = np.random.default_rng(3)
    yield started(points, lanes)
    for number in range(1, steps + 1):
        for lane in lanes:
            if number == 3:
                yield WarmupEnded(lane, number, "knn")
            yield step(rng, lane, number)
            if number % frame_every == 0:
                yield frame(rng, lane, number, points)
        if number == 5:
            yield OptionChanged(lanes[0], number, "optimizer.lr", "0.001")
            yield Alarm(lanes[0], number, "collapse", "All points „fall“ together.")
    yield RunFinished(dict.fromkeys(lanes, steps), 12.5, failed_lanes=("lsh",))


def assert_same_event(replayed: Event, original: Event) -> None:
    """Everything exact, but for positions: these to 1/65,535 of the frame's box, and not finite where they were not."""
    assert type(replayed) is type(original)
    match original:
        case Frame():
            finite = np.isfinite(original.positions)
            box = np.where(finite, original.positions, np.nan)
            extent = np.nanmax(box, axis=0).astype(float) - np.nanmin(box, axis=0)
            np.testing.assert_array_equal(np.isfinite(replayed.positions), finite)
            error = np.abs(np.subtract(replayed.positions, original.positions, where=finite, out=np.zeros_like(box)))
            # float32 has steps of its own; far from the origin they are wider than the box's
            assert (error <= np.maximum(extent / 65_535, np.spacing(np.nanmax(np.abs(box), axis=0)))).all()
            np.testing.assert_array_equal(replayed.triplets, original.triplets)
            assert replayed.triplets.dtype == np.int32 and replayed.positions.dtype == np.float32
            assert replayed.columns.keys() == original.columns.keys()
            for name, column in original.columns.items():
                np.testing.assert_array_equal(replayed.columns[name], column)
            assert (replayed.guests is None) == (original.guests is None)
            if replayed.guests is not None and original.guests is not None:
                for name in ("ids", "labels", "positions", "groups", "true_labels"):
                    np.testing.assert_array_equal(getattr(replayed.guests, name), getattr(original.guests, name))
                assert replayed.guests.columns.keys() == original.guests.columns.keys()
                for name, column in original.guests.columns.items():
                    np.testing.assert_array_equal(replayed.guests.columns[name], column)
            assert (original.separation is None) <= (replayed.separation is None or np.isnan(replayed.separation).all())
            if original.separation is not None:
                np.testing.assert_array_equal(replayed.separation, original.separation)
                np.testing.assert_array_equal(replayed.age, original.age)
            assert (replayed.hardness is None) == (original.hardness is None)
            if replayed.hardness is not None and original.hardness is not None:
                np.testing.assert_array_equal(replayed.hardness.bins, original.hardness.bins)
                for name in ("margin", "hard", "semi_hard", "easy", "width", "first"):
                    assert getattr(replayed.hardness, name) == getattr(original.hardness, name), name
            assert (replayed.candidates is None) == (original.candidates is None)
            for name, value in vars(original.candidates).items() if original.candidates is not None else ():
                again = getattr(replayed.candidates, name)
                np.testing.assert_array_equal(again, value)
                assert getattr(again, "dtype", None) == getattr(value, "dtype", None)
            same = ("lane", "step", "mined_total", "projection")
        case RunStarted():
            for name in ("labels", "ids", "held_out", "groups", "true_labels"):
                np.testing.assert_array_equal(getattr(replayed, name), getattr(original, name))
            same = (
                "config",
                "class_names",
                "items_total",
                "versions",
                "started",
                "chance",
                "raw",
                "texts",
                "evaluated",
            )
        case StepRecord():
            assert replayed.metrics.keys() == original.metrics.keys()
            assert {name for name in original.metrics if not layer_metric(name)} <= set(METRICS)
            np.testing.assert_equal(dict(replayed.metrics), dict(original.metrics))
            same = ("lane", "step", "loss", "phase_ms", "tuples", "mining", "first_call")
        case Misses():
            for name in ("anchors", "nearest", "nearest_distance", "found", "found_distance"):
                assert getattr(replayed, name).dtype == getattr(original, name).dtype
                np.testing.assert_array_equal(getattr(replayed, name), getattr(original, name))
            for part in ("reason", "buckets"):
                again, before = getattr(replayed, part), getattr(original, part)
                assert type(again) is type(before)
                for name, value in vars(before).items() if before is not None else ():
                    np.testing.assert_array_equal(getattr(again, name), value)
            same = ("lane", "step", "probed", "total")
        case _:
            same = tuple(original.__dataclass_fields__)
    for name in same:
        assert getattr(replayed, name) == getattr(original, name), name
