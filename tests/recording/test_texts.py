"""What a recording keeps of items that are texts: their ids in the user's files, and how they begin."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hnm_core.recording import open_recording, record
from hnm_core.recording.packing import pack, unpack
from hnm_core.run.events import RunStarted
from hnm_core.run.item_texts import MOST_CHARACTERS, MOST_NAME, ItemText, item_text
from tests.recording import made_up

TEXTS = {
    0: item_text("q 1", "what is\tit\x00\u202e?"),
    3: item_text(17, ""),
    177: item_text("\ud800" + "x" * 500, "é\n\U0001f600" * 100),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    first, *rest = made_up.run(steps=4)
    assert isinstance(first, RunStarted)
    for _ in record([replace(first, texts=TEXTS), *rest], folder):
        pass
    return folder


def test_that_texts_are_read_as_they_were_told_also_from_one_packed_file(folder: Path, tmp_path: Path) -> None:
    assert open_recording(folder).started.texts == TEXTS
    assert (len(TEXTS[177].name), len(TEXTS[177].text)) == (MOST_NAME, MOST_CHARACTERS)
    pack(folder, tmp_path / "one.hnmlab")
    unpack(tmp_path / "one.hnmlab", tmp_path / "again")
    assert open_recording(tmp_path / "again").started.texts == TEXTS


def test_that_a_recording_without_texts_has_no_file_for_them_and_opens(tmp_path: Path) -> None:
    for _ in record(made_up.run(steps=4), tmp_path / "run"):
        pass
    assert not (tmp_path / "run" / "texts.jsonl").exists()
    assert open_recording(tmp_path / "run").started.texts == {}


def rewritten(content: bytes) -> Callable[[Path], None]:
    """Another file, with the checksum that belongs to it."""

    def damage(folder: Path) -> None:
        (folder / "texts.jsonl").write_bytes(content)
        known = json.loads((folder / "run.json").read_text())["arrays"]
        made_up.edit_run_file(folder, arrays=known | {"texts.jsonl": f"{zlib.crc32(content):08x}"})

    return damage


def summary_of(folder: Path) -> dict[str, Any]:
    """What a recording comes to, without what is said of its files."""
    return {k: v for k, v in open_recording(folder).summary().items() if k not in ("bytes", "losses", "torn_bytes")}


LINE = b'{"item": 0, "id": "a", "text": "b"}\n'


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / "texts.jsonl").unlink(), "texts.jsonl is missing"),
        (lambda folder: (folder / "texts.jsonl").write_bytes(LINE), "its checksum is not that in run.json"),
        (rewritten(LINE.replace(b'"a"', b"7")), "is none, or is too long"),
        (rewritten(LINE.replace(b'"a"', b'"' + b"a" * 201 + b'"')), "is none, or is too long"),
        (rewritten(LINE.replace(b"0", b"true")), "a line must have an item"),
        (rewritten(b"[" * 3000), "is damaged"),
        (rewritten(b"\xff"), "is damaged"),
        (rewritten(b"".join(LINE.replace(b"0", b"%d" % n) for n in range(601))), "tells of 601 items, and 600"),
    ],
)
def test_that_damaged_texts_are_told_and_all_else_is_there(
    folder: Path, tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    whole = summary_of(folder)
    damage(folder)
    recording = open_recording(folder)
    assert recording.started.texts == {}
    (loss,) = recording.losses
    assert loss.startswith("The ids and texts of items are lost: texts.jsonl ") and words in loss
    assert summary_of(folder) == whole
    pack(folder, tmp_path / "one.hnmlab")
    unpack(tmp_path / "one.hnmlab", tmp_path / "again")
    assert open_recording(tmp_path / "again").steps("knn").tobytes() == recording.steps("knn").tobytes()


def test_that_texts_of_a_file_are_a_pair_of_texts() -> None:
    assert item_text(12, "abc") == ItemText("12", "abc")
