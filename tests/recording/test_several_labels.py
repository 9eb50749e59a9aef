"""What a recording keeps of items that have several labels each: all of them, of guests too."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hnm_core.errors import InputError
from hnm_core.recording import join, open_recording, record
from hnm_core.recording.packing import pack, unpack
from hnm_core.run import told_labels
from hnm_core.run.evaluated import Evaluated
from hnm_core.run.events import RunStarted
from hnm_core.run.told_labels import ToldLabels, having
from hnm_core.run.told_labels import told_labels as told
from tests.recording import made_up

IDS, LABELS = "several_ids.npy", "several_labels.npy"


def started(*, tells: bool = True) -> RunStarted:
    """Item 0 has no label, 3 has two, and 7, which is not shown, has one."""
    pairs = ToldLabels(np.array([3, 3, 6, 7, 177]), np.array([1, 4, 2, 0, 3]))
    measured = Evaluated(15, 15, 15, 0, shares=True)
    return replace(made_up.started(), several=pairs if tells else None, evaluated=measured)


def recorded(path: Path, first: RunStarted) -> Path:
    _, *rest = made_up.run(steps=4)
    for _ in record([first, *rest], path):
        pass
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return recorded(tmp_path / "run", started())


def pairs_of(folder: Path) -> list[tuple[int, int]]:
    several = open_recording(folder).started.several
    assert several is not None and not several.ids.flags.writeable and not several.labels.flags.writeable
    return list(zip(several.ids.tolist(), several.labels.tolist(), strict=True))


def test_that_all_labels_are_read_as_they_were_told_also_from_one_packed_file(folder: Path, tmp_path: Path) -> None:
    wanted = [(3, 1), (3, 4), (6, 2), (7, 0), (177, 3)]
    assert pairs_of(folder) == wanted
    pack(folder, tmp_path / "one.hnmlab")
    unpack(tmp_path / "one.hnmlab", tmp_path / "again")
    assert pairs_of(tmp_path / "again") == wanted


def test_that_numpy_alone_reads_them(folder: Path) -> None:
    np.testing.assert_array_equal(np.load(folder / IDS), [3, 3, 6, 7, 177])
    np.testing.assert_array_equal(np.load(folder / LABELS), [1, 4, 2, 0, 3])


def test_that_a_recording_that_does_not_tell_them_has_no_files_for_them_and_opens(tmp_path: Path) -> None:
    folder = recorded(tmp_path / "run", started(tells=False))
    assert not list(folder.glob("several*"))
    assert open_recording(folder).started.several is None


def rewritten(name: str, array: np.ndarray) -> Callable[[Path], None]:
    """Another array, with the checksum that belongs to it."""
    file = io.BytesIO()
    np.save(file, array)

    def damage(folder: Path) -> None:
        (folder / name).write_bytes(file.getvalue())
        known = json.loads((folder / "run.json").read_text())["arrays"]
        made_up.edit_run_file(folder, arrays=known | {name: f"{zlib.crc32(file.getvalue()):08x}"})

    return damage


def grown(folder: Path) -> None:
    """To far more than any recording has, without a byte of it on the disk."""
    with (folder / IDS).open("r+b") as file:
        file.truncate(1 << 40)


def unnamed(folder: Path) -> None:
    arrays = json.loads((folder / "run.json").read_text())["arrays"]
    made_up.edit_run_file(folder, arrays={name: crc for name, crc in arrays.items() if name != LABELS})


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / IDS).unlink(), f"{IDS} is missing"),
        (lambda folder: (folder / LABELS).write_bytes(b"none"), "its checksum is not that in run.json"),
        (rewritten(LABELS, np.array([1, 4, 2, 0])), "it has 4 entries, but several_ids.npy has 5"),
        (rewritten(LABELS, np.array([1, 4, 2, 0, 5])), "labels must lie in 0..4"),
        (rewritten(LABELS, np.array([1, 4, 2, 0, -1])), "labels must lie in 0..4"),
        (rewritten(LABELS, np.array([4, 1, 2, 0, 3])), "do not ascend"),
        (rewritten(LABELS, np.array([4, 4, 2, 0, 3])), "do not ascend"),
        (rewritten(IDS, np.array([3, 3, 7, 6, 177])), "do not ascend"),
        (rewritten(IDS, np.array([3, 3, 6, 7, 177], np.int32)), "one row of int64 values"),
        (rewritten(IDS, np.array([], np.int64)), "one row of int64 values"),
        (grown, "larger than 2,000,000 entries are"),
        (unnamed, "its checksum is not that in run.json"),
    ],
)
def test_that_damaged_labels_are_refused_in_a_sentence(
    folder: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(folder)
    with pytest.raises(InputError, match="several_") as refused:
        open_recording(folder)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_that_of_too_many_labels_those_of_shown_items_are_told_and_of_more_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids, labels = np.array([9, 2, 9, 5]), np.array([1, 0, 0, 3])

    def pairs(shown: list[int]) -> list[tuple[int, int]] | None:
        several = told(ids, labels, np.array(shown))
        return None if several is None else list(zip(several.ids.tolist(), several.labels.tolist(), strict=True))

    assert pairs([9]) == [(2, 0), (5, 3), (9, 0), (9, 1)]
    monkeypatch.setattr(told_labels, "MOST_PAIRS", 3)
    assert pairs([2, 9]) == [(2, 0), (9, 0), (9, 1)]
    monkeypatch.setattr(told_labels, "MOST_PAIRS", 2)
    assert pairs([2, 9]) is None
    assert told(ids[:0], labels[:0], ids) is None


def test_that_who_has_a_label_is_known_by_all_of_them_and_by_the_rarest_where_no_more_is_told() -> None:
    ids, rarest = np.array([3, 6, 7, 8]), np.array([4, 2, 0, 1])
    several = started().several
    assert having(several, ids, rarest, {1}).tolist() == [True, False, False, True]
    assert having(several, ids, rarest, {1, 2}).tolist() == [True, True, False, True]
    assert having(None, ids, rarest, {1}).tolist() == [False, False, False, True]
    assert several is not None and (several.of(3), several.of(8)) == ([1, 4], [])


def test_that_recordings_whose_items_have_other_labels_do_not_stand_side_by_side(folder: Path, tmp_path: Path) -> None:
    other = replace(started(), several=ToldLabels(np.array([3, 6]), np.array([1, 2])))
    with pytest.raises(InputError, match="as their labels differ"):
        join(folder, recorded(tmp_path / "other", other), tmp_path / "out")
    older = recorded(tmp_path / "older", started(tells=False))
    join(older, folder, tmp_path / "older beside")
    assert pairs_of(tmp_path / "older beside") == pairs_of(folder), "what one of both tells is known"
