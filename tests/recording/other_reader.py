"""Reads frames as another program would that knows `layout` and `planes` by their descriptions alone."""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np

EDGE = np.dtype([("anchor", "<i4"), ("positive", "<i4"), ("negative", "<i4")])
FILES = {
    "frames": ("offset", "frame_size"),
    "edges": ("edges_offset", "edges_size"),
    "hardness": ("hardness_offset", "hardness_size"),
    "guests": ("guests_offset", "guests_size"),
    "candidates": ("candidates_offset", "candidates_size"),
}
"""By the name of a file, the fields of the index that say where in it a frame's part lies, and how long that is."""


def entries_of(lane: Path) -> np.ndarray:
    """Those of the index of a lane."""
    run = json.loads((lane.parent / "run.json").read_text())
    return np.fromfile(lane / "frames.idx", np.dtype(run["index_dtype"]))


def parts_of(lane: Path) -> dict[str, list[np.ndarray]]:
    """By the name of its file, each part of each frame, as many records as the index says."""
    run = json.loads((lane.parent / "run.json").read_text())
    index = entries_of(lane)
    kinds = {
        "frames": np.dtype(run["frame_dtype"]),
        "edges": EDGE,
        "hardness": np.dtype(run["hardness_dtype"]),
        "guests": np.dtype(run["guest_dtype"]),
        "candidates": np.dtype(run["candidate_dtype"]),
    }
    parts: dict[str, list[np.ndarray]] = {name: [] for name in kinds}
    for place, entry in enumerate(index):
        new = int(entry["edges"] - entry["repeated"])
        counts = {"frames": 1, "edges": new, "hardness": new, "guests": entry["guests"]}
        for name, kind in kinds.items():
            begin, size = (int(entry[field]) for field in FILES[name])
            data = (lane / f"{name}.bin").read_bytes()[begin : begin + size]
            before = parts[name][-1] if name == "frames" and entry["after_key"] else None
            own = _unpacked(data, kind, int(counts.get(name, entry["candidates"])), before)
            if name in ("edges", "hardness") and entry["repeated"]:
                earlier = parts[name][-1][-int(entry["repeated"]) :].copy()
                if name == "hardness":
                    earlier["age"][earlier["age"] >= 0] += entry["step"] - index["step"][place - 1]
                own = np.concatenate((earlier, own))
            parts[name].append(own)
    return parts


def as_schema_6(folder: Path) -> None:
    """Turn a recording into what was written before frames were packed, but for checksums and the header."""
    run = json.loads((folder / "run.json").read_text())
    for lane in run["lanes"]:
        index = entries_of(folder / lane["folder"])
        for name, parts in parts_of(folder / lane["folder"]).items():
            (folder / lane["folder"] / f"{name}.bin").write_bytes(b"".join(part.tobytes() for part in parts))
            if name != "hardness":
                sizes = [part.nbytes for part in parts]
                index[FILES[name][0]] = np.cumsum([0, *sizes])[:-1]
        index.tofile(folder / lane["folder"] / "frames.idx")


def _unpacked(data: bytes, kind: np.dtype[Any], count: int, before: np.ndarray | None) -> np.ndarray:
    records = np.zeros(count, kind)
    if not count:
        assert not data
        return records
    planes = zlib.decompress(data)
    assert len(planes) == records.nbytes
    at = 0
    for name in kind.names or ():
        base, width, size = records[name].dtype, records[name].dtype.itemsize, records[name].size
        numbers = np.zeros(size, np.uint64)
        for byte in range(width):
            numbers += np.frombuffer(planes, np.uint8, size, at).astype(np.uint64) << np.uint64(8 * byte)
            at += size
        if before is not None:
            earlier = np.ascontiguousarray(before[name]).reshape(-1).view(f"<u{width}").astype(np.uint64)
            if base.kind == "f":
                numbers ^= earlier
            else:
                signed = [(n // 2 if n % 2 == 0 else -(n + 1) // 2) for n in numbers.tolist()]
                numbers = np.array([(e + d) % (1 << 8 * width) for e, d in zip(earlier.tolist(), signed, strict=True)])
        records[name] = numbers.astype(f"<u{width}").view(base).reshape(records[name].shape)
    return records
