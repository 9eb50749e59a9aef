"""Events as JSON values and back: what `run --json` prints and what a recording keeps of all but steps and frames.

Both ways go by the types of the events' own fields, so a new field of a known type needs nothing here, a new event a
place in `Told`; a field of an unknown type, or an event without a place, is told on import.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields, is_dataclass
from typing import Any, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from hnm_core.run.events import (
    Alarm,
    AlarmLevel,
    Checkpoint,
    Event,
    Frame,
    LaneForked,
    Misses,
    OptionChanged,
    RunFailed,
    RunFinished,
    RunStarted,
    SearchUsed,
    StepRecord,
    WarmupEnded,
    Weights,
    frozen,
)
from hnm_core.run.misses import Buckets, Reason
from hnm_core.run.raw import by_name

Told = Misses | SearchUsed | OptionChanged | WarmupEnded | LaneForked | Alarm | RunFinished | RunFailed
"""The events that can be read back: those without arrays and numbers of their own files."""

GONE = frozenset(("PhaseDone",))
"""Types that recordings of earlier versions may hold and that say nothing any more."""


def to_json(event: Event, *, whole: bool = False) -> dict[str, Any]:
    """The event as JSON values: `type` first; arrays become their counts, a non-finite number becomes None. With
    `whole` those of `Misses` stay, as a recording keeps them."""
    values: dict[str, Any]
    match event:
        case RunStarted():
            values = {
                "config": event.config.to_dict(),
                "items": len(event.ids),
                "items_total": event.items_total,
                "held_out": int(event.held_out.sum()),
                "evaluated": None if event.evaluated is None else asdict(event.evaluated),
                "classes": len(set(event.labels.tolist())),
                "versions": dict(event.versions),
                "started": event.started,
                "raw": {name: _plain(metrics) for name, metrics in by_name(event.raw).items()},
            }
        case Frame():
            values = {
                "lane": event.lane,
                "step": event.step,
                "points": len(event.positions),
                "triplets": len(event.triplets),
                "mined_total": event.mined_total,
            }
        case Weights():
            numbers = sum(array.size for array in event.arrays.values())
            values = {"lane": event.lane, "step": event.step, "numbers": numbers}
        case Checkpoint():
            values = {"step": event.step, "lanes": len(event.weights), "whole": event.state is not None}
        case Misses() if not whole:
            nothing = int((event.found < 0).sum())
            values = {
                "lane": event.lane,
                "step": event.step,
                "probed": event.probed,
                "total": event.total,
                "told": len(event),
                "nothing_found": nothing,
            }
        case _:
            values = {item.name: _plain(getattr(event, item.name)) for item in fields(event)}
            if isinstance(event, Alarm):
                values["fatal"] = event.fatal
    return {"type": type(event).__name__, **values}


def from_json(values: Mapping[str, Any]) -> Told | None:
    """The event that `to_json` was given; None for the start of a run and for weights, which a recording tells
    elsewhere, and for what earlier versions wrote and nobody needs.

    Raises:
        ValueError: no such event, or a field that is missing, unknown or of another type.
    """
    name = _text(values.get("type"))
    if name in (RunStarted.__name__, Weights.__name__) or name in GONE:
        return None
    if name not in _FIELDS:
        raise ValueError(f"there is no event '{name:.60}'")
    kind, readers = _FIELDS[name]
    given = {field: value for field, value in values.items() if field != "type"}
    if kind is Alarm:
        given = _with_level(given)
    for field in given:
        if field not in readers:
            raise ValueError(f"{name} has no {field!r:.60}")
    try:
        event = kind(**{field: readers[field](value) for field, value in given.items()})
    except TypeError as error:  # a field is missing
        raise ValueError(str(error)) from None
    return _as_warmup(event) if isinstance(event, OptionChanged) else event


def number(value: object) -> float:
    """A float from its JSON value, None for one that is not finite. Raises `ValueError` for anything else."""
    if value is None:
        return math.nan
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass  # a whole number of hundreds of digits
    raise ValueError(f"{value!r:.60} is no number")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray):
        if value.dtype == np.uint8:
            return [row.tobytes().hex() for row in value]
        return [_plain(item) for item in value.tolist()]
    if is_dataclass(value):
        return {
            "type": type(value).__name__,
            **{item.name: _plain(getattr(value, item.name)) for item in fields(value)},
        }
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _whole(value: object) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r:.60} is no whole number")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r:.60} is neither true nor false")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r:.60} is no text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r:.60} is no list of texts")
    return tuple(map(_text, value))


def _counts(value: object) -> dict[str, int]:
    if not isinstance(value, dict):
        raise ValueError(f"{value!r:.60} is no mapping to whole numbers")
    return {_text(key): _whole(item) for key, item in value.items()}


def _level(value: object) -> AlarmLevel:
    if value not in get_args(AlarmLevel):
        raise ValueError(f"{value!r:.60} is no level of an alarm")
    return value  # type: ignore[return-value]  # one of the three


def _items(value: object) -> list[object]:
    if not isinstance(value, list):
        raise ValueError(f"{value!r:.60} is no list")
    return value


def _whole_numbers(value: object) -> NDArray[np.int64]:
    numbers = [_whole(item) for item in _items(value)]
    try:
        return frozen(np.array(numbers, np.int64))
    except OverflowError:
        raise ValueError("a number has too many digits") from None


def _numbers(value: object) -> NDArray[np.float64]:
    return frozen(np.array([number(item) for item in _items(value)], np.float64))


def _masks(value: object) -> NDArray[np.uint8]:
    rows = [bytes.fromhex(_text(item)) for item in _items(value)]
    if len(set(map(len, rows))) > 1:
        raise ValueError("masks must be of one length")
    return frozen(np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), len(rows[0]) if rows else 0))


def _one_of(*kinds: type) -> Callable[[object], Any]:
    """What reads one of some classes, or None, by the types of its fields."""
    named = {kind.__name__: kind for kind in kinds}

    def read(value: object) -> Any:
        if value is None:
            return None
        if not isinstance(value, dict) or value.get("type") not in named:
            raise ValueError(f"{value!r:.60} is none of {', '.join(named)}")
        kind = named[value["type"]]
        readers = {name: _READERS[hint] for name, hint in get_type_hints(kind).items()}
        if unknown := value.keys() - readers.keys() - {"type"}:
            raise ValueError(f"{kind.__name__} has no {min(unknown)!r:.60}")
        return kind(**{name: reader(value[name]) for name, reader in readers.items() if name in value})

    return read


_READERS: Mapping[Any, Callable[[object], Any]] = {
    int: _whole,
    float: number,
    bool: _flag,
    str: _text,
    tuple[str, ...]: _texts,
    Mapping[str, int]: _counts,
    AlarmLevel: _level,
    NDArray[np.int64]: _whole_numbers,
    NDArray[np.float64]: _numbers,
    NDArray[np.uint8]: _masks,
    Reason | None: _one_of(*get_args(Reason)),
    Buckets | None: _one_of(Buckets),
}
"""From a field's type to what reads its JSON value, each strict: raises `ValueError` for a value of another type."""

_FIELDS: Mapping[str, tuple[type[Told], Mapping[str, Callable[[object], Any]]]] = {
    kind.__name__: (kind, {name: _READERS[hint] for name, hint in get_type_hints(kind).items()})
    for kind in get_args(Told)
}


_OF_FILES = {RunStarted, StepRecord, Frame, Weights, Checkpoint}
"""Events whose arrays and numbers a recording keeps in files of their own."""
if unread := {*get_args(Event)} - {*get_args(Told)} - _OF_FILES:
    raise TypeError(f"events that a recording could not read back: {unread}; add them to Told")


# What earlier versions wrote

_HINTS = (
    *("all-easy", "tiny-signal", "chance", "false-negatives", "low-recall", "stale-bank", "usual-lead"),
    *("C22", "C26", "C27", "C35"),
)
"""Codes of the alarms that were hints before an alarm said so itself."""
_WARMUP_OVER = re.compile("warm-up over, (.+) mines")


def _with_level(alarm: dict[str, Any]) -> dict[str, Any]:
    """The fields of an alarm with its level, which alarms of earlier versions tell by `fatal` and their code."""
    fatal = _flag(alarm.pop("fatal", alarm.get("level") == "fatal"))
    level = alarm.setdefault("level", "fatal" if fatal else "hint" if alarm.get("code") in _HINTS else "warning")
    if fatal != (level == "fatal"):
        raise ValueError(f"an alarm of level {level!r:.60} has fatal = {fatal}")
    return alarm


def _as_warmup(change: OptionChanged) -> OptionChanged | WarmupEnded:
    """The end of a warm-up, which was told as a change of the miner."""
    over = _WARMUP_OVER.fullmatch(change.value)
    if over and change.option == "miner" and not change.asked:
        return WarmupEnded(change.lane, change.step, over[1])
    return change
