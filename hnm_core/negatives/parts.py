"""Blocks of a set that is being mined, kept beside the file to be, so that a program that was ended goes on there."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from hnm_core.data import checks
from hnm_core.data.item_labels import ItemLabels
from hnm_core.data.judged import Items, Judgements
from hnm_core.errors import InputError
from hnm_core.negatives.mining import Block, Mined
from hnm_core.system.regular_files import open_regular, read_regular
from hnm_core.system.whole_files import whole_file, write_whole
from hnm_core.system.zip_lists import check_list

_MOST_ASKED = 1 << 20
ROWS_AT_ONCE = 1 << 16
TEXTS_AT_ONCE = 1 << 12
_OURS = re.compile(r"(asked\.txt|[0-9]{6,}\.npz)(\.part)?")
"""What lies in such a folder."""


class Parts:
    """A folder of blocks, of one question; those of another question make way."""

    def __init__(self, folder: Path, asked: str) -> None:
        """`asked` stands for all that the blocks depend on.

        Raises:
            InputError: something that is none of ours lies there.
            OSError: it cannot be written.
        """
        self._folder = folder
        self.of_another = 0
        """Blocks of another question that were there, and made way."""
        self._refuse_foreign()
        note = folder / "asked.txt"
        try:
            known = read_regular(note, _MOST_ASKED).decode()
        except (OSError, ValueError):
            known = ""
        if known != asked:
            self.of_another = sum(path.suffix == ".npz" for path in self._there())
            self.remove()
            folder.mkdir(parents=True, exist_ok=True)
            write_whole(note, asked)

    def load(self, number: int) -> Block | None:
        """A block that is there and whole."""
        try:
            with open_regular(self._file(number)) as raw, np.load(raw, allow_pickle=False) as file:
                check_list(file.zip)
                arrays = {name: file[name] for name in file.files}
                rest = json.loads(str(arrays.pop("rest")))
            mined = Mined(**arrays, removed=rest["removed"], alike=rest["alike"])
            return Block(mined, rest["state"], rest["seconds"])
        except Exception:  # noqa: BLE001 - a file that a power cut has left may be broken in any way
            return None

    def save(self, number: int, block: Block) -> None:
        """Keep a block. Raises `OSError` where it cannot be written."""
        mined = block.mined
        rest = {
            "removed": dict(mined.removed),
            "alike": dict(mined.alike),
            "state": block.state,
            "seconds": dict(block.seconds),
        }
        arrays: dict[str, Any] = {name: value for name, value in vars(mined).items() if isinstance(value, np.ndarray)}
        with whole_file(self._file(number)) as part, part.open("wb") as file:
            np.savez(file, rest=np.array(json.dumps(rest)), **arrays)

    def remove(self) -> None:
        """All blocks, and the folder where nothing else is in it. Raises `OSError` where one cannot be removed."""
        for path in self._there():
            if _OURS.fullmatch(path.name):
                path.unlink(missing_ok=True)
        with suppress(OSError):  # what is a link to a folder stays one
            self._folder.rmdir()

    def _there(self) -> list[Path]:
        try:
            return sorted(self._folder.iterdir())
        except FileNotFoundError:
            return []

    def _refuse_foreign(self) -> None:
        try:
            foreign = [path.name for path in self._there() if not _OURS.fullmatch(path.name)]
        except NotADirectoryError:
            raise InputError(f"'{self._folder}' is a file, and blocks are kept in a folder of that name.") from None
        if foreign:
            raise InputError(
                f"'{self._folder}', where blocks are kept, holds {checks.shown_names(foreign)}, which is no block; "
                "move it away, or write the file elsewhere."
            )

    def _file(self, number: int) -> Path:
        return self._folder / f"{number:06d}.npz"


def hash_of(
    queries: Items,
    documents: Items,
    judged: Judgements | ItemLabels | np.ndarray[Any, Any],
    left_out: Judgements | None = None,
) -> str:
    """Of all that a set holds: embeddings, ids, texts, and judgements, labels or classes, with pairs left out."""
    digest = hashlib.sha256()
    for items in (queries,) if documents is queries else (queries, documents):
        digest.update(f"{len(items)} items".encode())
        for start in range(0, len(items), ROWS_AT_ONCE):
            if items.embeddings is not None:
                digest.update(np.ascontiguousarray(items.embeddings[start : start + ROWS_AT_ONCE]).data)
        if isinstance(items.ids, np.ndarray):
            digest.update(np.ascontiguousarray(items.ids).data)
        else:
            _add_texts(digest, items.ids)
        if items.text is not None:
            _add_texts(digest, items.text)
    match judged:
        case Judgements():
            values = [judged.query, judged.document, judged.grade]
        case ItemLabels():
            values = [judged.offsets, judged.label]
        case _:
            values = [judged]
    values += [] if left_out is None else [left_out.query, left_out.document]
    for array in values:
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _add_texts(digest: Any, texts: Sequence[str]) -> None:
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        part = json.dumps(list(texts[start : start + TEXTS_AT_ONCE]))  # tells where one ends, as joining would not
        digest.update(part.encode())
