"""Two recordings of the same data as one, whose lanes stand side by side: those of the second are renamed."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np

from hnm_core.errors import InputError
from hnm_core.recording.reader import Recording, open_recording, replay
from hnm_core.recording.writer import record
from hnm_core.run.events import Checkpoint, Event, LaneForked, RunFailed, RunFinished, RunStarted, StepRecord, Weights
from hnm_core.run.raw import RawScore
from hnm_core.run.told_labels import ToldLabels
from hnm_core.spec.config import LANE_NAME, MAX_LANES, ExperimentConfig
from hnm_core.system import paths

Progress = Callable[[int, int], object]
"""Called with events done, and about how many there are; returning False calls the work off."""

TITLE_LENGTH, ABOUT_LENGTH = 120, 2000
TOLD = 8
"""So many settings that differ are told."""
_EVERY = 200
"""Events between two reports."""
_OF_LANES = ("lanes", "title", "about")
"""What of a configuration is not shared by both."""


@dataclass(frozen=True)
class Comparison:
    """What two recordings have in common."""

    hashes: tuple[str, str]
    """The first eight digits of the SHA-256 of each configuration, without title and words about it"""
    differences: tuple[str, ...]
    """Settings beside the lanes that differ, as "steps 300, 1000": of the first, of the second"""

    @property
    def sentence(self) -> str:
        """Both in one."""
        first, second = self.hashes
        if first == second:
            return f"A and B are of the same data and of equal configurations ({first})."
        if not self.differences:
            return f"A ({first}) and B ({second}) are of the same data and differ in their lanes alone."
        told = ", ".join(self.differences[:TOLD])
        more = len(self.differences) - TOLD
        rest = f", and {more} more" if more > 0 else ""
        return f"A ({first}) and B ({second}) are of the same data and differ in {told}{rest}."


def compared(first: Recording, second: Recording) -> Comparison:
    """What two recordings have in common.

    Raises:
        InputError: they are of different data, so that a point of one is no point of the other.
    """
    one, other = first.started, second.started
    for what, same in (
        ("the items that are shown", np.array_equal(one.ids, other.ids) and one.items_total == other.items_total),
        ("their classes", np.array_equal(one.labels, other.labels) and one.class_names == other.class_names),
        ("their true classes", _equal(one.true_labels, other.true_labels)),
        ("their labels", _same_several(one.several, other.several)),
        ("the held-out items", np.array_equal(one.held_out, other.held_out)),
        ("the items that are measured", None in (one.evaluated, other.evaluated) or one.evaluated == other.evaluated),
        ("the data that were asked for", one.config.data == other.config.data),
        ("the scores of the untrained features", _same_raw(one.raw, other.raw)),
    ):
        if not same:
            raise InputError(
                f"'{first.folder.name}' and '{second.folder.name}' cannot stand side by side: they are not of the same "
                f"data, as {what} differ."
            )
    if one.config.seed != other.config.seed and not _share_raw(one.raw, other.raw):
        raise InputError(
            f"'{first.folder.name}' and '{second.folder.name}' have different seeds, and nothing recorded tells "
            "whether their data are the same: they cannot stand side by side."
        )
    return Comparison((_hash(one.config), _hash(other.config)), tuple(_differences(one, other)))


def join(
    first: str | Path, second: str | Path, out: str | Path, *, progress: Progress = lambda done, total: True
) -> Comparison | None:
    """Write a recording with the lanes of both into `out`, a new or empty folder, for everything that shows one.

    A lane of the second is named "B lane", or with the next letter that no lane begins with. Settings that lanes share
    are those of the first, and `about` says how the others differ. Checkpoints are left out, as a joined run cannot go
    on, and so are networks of the second that are built otherwise.

    Returns:
        What they have in common; None where `progress` called it off, and then `out` is gone.

    Raises:
        InputError: one of them is no recording, they are of different data, there are more than 16 lanes together, a
            lane's name grows too long, or `out` cannot be written.
    """
    recordings = open_recording(first), open_recording(second)
    found = compared(*recordings)
    names = _names(*recordings)
    total = sum(len(one.frame_steps(lane)) + one.step_count(lane) for one in recordings for lane in one.lanes)
    out = Path(out)
    existed = paths.exists(out)
    events = record(_events(recordings, names, found), out)  # refuses at once what is not empty
    try:
        for number, _event in enumerate(events):
            if number % _EVERY == 0 and progress(min(number, total), total) is False:
                events.close()
                _discard(out, existed=existed)
                return None
    except BaseException:
        events.close()
        _discard(out, existed=existed)
        raise
    return found


def _discard(out: Path, *, existed: bool) -> None:
    """What was written into a folder that was new or empty."""
    with suppress(OSError):
        for path in out.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        if not existed:
            out.rmdir()


def _names(first: Recording, second: Recording) -> dict[str, str]:
    """What the lanes of the second are called."""
    if len(first.lanes) + len(second.lanes) > MAX_LANES:
        raise InputError(
            f"Together there are {len(first.lanes) + len(second.lanes)} lanes, more than the {MAX_LANES} of a run."
        )
    letter = next(one for one in ascii_uppercase[1:] if not any(lane.startswith(f"{one} ") for lane in first.lanes))
    names = {lane: f"{letter} {lane}" for lane in second.lanes}
    for lane, name in names.items():
        if re.fullmatch(LANE_NAME, name) is None:
            raise InputError(
                f"Lane '{lane}' of '{second.folder.name}' cannot be called '{name}': a name has at most 40 letters."
            )
    return names


def _events(recordings: tuple[Recording, Recording], names: Mapping[str, str], found: Comparison) -> Iterator[Event]:
    first, second = recordings
    yield _started(first.started, second.started, names, found)
    keep_networks = first.config.model == second.config.model
    steps: dict[str, int] = {}
    seconds, stopped, failed = 0.0, False, list[str]()
    for recording, called in ((first, {}), (second, names)):
        ended = False
        for event in replay(recording.folder):
            match event:
                case RunStarted() | Checkpoint():
                    continue
                case RunFinished():
                    seconds, stopped, ended = seconds + event.seconds, stopped or event.stopped, True
                    failed += [called.get(lane, lane) for lane in event.failed_lanes]
                case RunFailed():
                    continue
                case Weights() if called and not keep_networks:
                    continue
                case LaneForked():
                    lane, parent = called.get(event.lane, event.lane), called.get(event.parent, event.parent)
                    yield replace(event, lane=lane, parent=parent)
                case _:
                    if isinstance(event, StepRecord):
                        steps[called.get(event.lane, event.lane)] = event.step
                    yield replace(event, lane=called.get(event.lane, event.lane)) if called else event
        stopped |= not ended
    yield RunFinished(steps, seconds, stopped, tuple(failed))


def _started(one: RunStarted, other: RunStarted, names: Mapping[str, str], found: Comparison) -> RunStarted:
    lanes = [lane.model_copy(update={"name": names[lane.name]}) for lane in other.config.lanes]
    title = " beside ".join(config.title or config.data.name for config in (one.config, other.config))
    about = " ".join((found.sentence, *_places(one, other), one.config.about))
    config = one.config.model_copy(
        update={
            "title": title if len(title) <= TITLE_LENGTH else f"{title[: TITLE_LENGTH - 4]} ...",
            "about": about[:ABOUT_LENGTH],
            "steps": max(one.config.steps, other.config.steps),
            "lanes": (*one.config.lanes, *lanes),
        }
    )
    known = {(score.kind, score.distance) for score in one.raw}
    raw = (*one.raw, *(score for score in other.raw if (score.kind, score.distance) not in known))
    return replace(one, config=config, raw=raw, several=one.several or other.several)


def _places(one: RunStarted, other: RunStarted) -> Iterator[str]:
    """What is to be known before times are compared."""
    if one.versions.get("device") != other.versions.get("device"):
        yield "They were not made on the same device, so their times cannot be compared."
    else:
        yield "They were made one after the other, not in turns, so compare their times with care."


def _differences(one: RunStarted, other: RunStarted) -> Iterator[str]:
    before, after = (_flat(started.config.to_dict()) for started in (one, other))
    for key in sorted(before.keys() | after.keys()):
        if before.get(key) != after.get(key):
            yield f"{key} {before.get(key, 'none')}, {after.get(key, 'none')}"


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if not above and key in _OF_LANES:
            continue
        flat |= _flat(value, f"{above}{key}.") if isinstance(value, dict) else {f"{above}{key}": value}
    return flat


def _hash(config: ExperimentConfig) -> str:
    values = {key: value for key, value in config.to_dict().items() if key not in ("title", "about")}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:8]


def _equal(one: Any, other: Any) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))


def _same_several(one: ToldLabels | None, other: ToldLabels | None) -> bool:
    """Also where one of them does not tell."""
    return one is None or other is None or (_equal(one.ids, other.ids) and _equal(one.labels, other.labels))


def _share_raw(one: tuple[RawScore, ...], other: tuple[RawScore, ...]) -> bool:
    return bool({(score.kind, score.distance) for score in one} & {(score.kind, score.distance) for score in other})


def _same_raw(one: tuple[RawScore, ...], other: tuple[RawScore, ...]) -> bool:
    """Whether what both have measured is equal: a fingerprint of the features, which are not recorded."""
    known = {(score.kind, score.distance): dict(score.metrics) for score in one}
    return all(known.get((score.kind, score.distance), dict(score.metrics)) == dict(score.metrics) for score in other)
