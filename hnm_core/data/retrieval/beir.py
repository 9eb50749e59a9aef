"""Reads the texts of the BEIR layout: `corpus.jsonl` and `queries.jsonl`, one object with `_id` and `text` a line."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from hnm_core.data import checks
from hnm_core.data.base import Progress
from hnm_core.data.judged import Ids
from hnm_core.data.retrieval.faults import Faults
from hnm_core.data.retrieval.joining import ids_of
from hnm_core.data.retrieval.records import json_rows
from hnm_core.errors import InputError


@dataclass(frozen=True)
class Texts:
    """What such a file holds, in the order of its lines."""

    ids: Ids
    text: list[str]


def read_texts(path: Path, noun: str, progress: Progress | None = None) -> Texts:
    """Read the queries or the documents; a title stands before its text, with a blank between.

    Args:
        path: of the file, gzipped or not.
        noun: what a line is: "document".

    Raises:
        InputError: lines that are no such object, without an id or with that of another, or without text, with counts.
        LoadCancelled: the progress callback returned False.
        OSError: it cannot be opened, or is no ordinary file.
    """
    ids: list[str | int] = []
    text: list[str] = []
    places: list[int] = []
    faults = Faults()
    for line, record in json_rows(path, progress):
        where = f"'{path}', line {line:,},"
        one = record.get("_id")
        if isinstance(one, bool) or not isinstance(one, str | int) or one == "":
            found = _keys(record) if "_id" not in record else "but an '_id' that is neither text nor a whole number"
            faults.add("such lines", f"{where} has no '_id' {found}")
            continue
        title, body = record.get("title") or "", record.get("text")
        if not isinstance(body, str) or not isinstance(title, str):
            found = _keys(record) if "text" not in record else "but a 'title' or 'text' that is none"
            faults.add(f"{noun}s without a text", f"{where} has no 'text' {found}")
            continue
        whole = f"{title} {body}" if title.strip() else body
        if not whole.strip():
            faults.add(f"{noun}s without a word", f"{where} has the empty text of {noun} '{checks.shown(str(one))}'")
        ids.append(one)
        text.append(whole)
        places.append(line)
    faults.refuse("Give each an '_id' and a 'text' that is not empty, or leave its line and its qrels out.")
    if not ids:
        raise InputError(f'\'{path}\' holds no {noun}; each line is one, such as {{"_id": "1", "text": "..."}}.')
    return Texts(ids_of(ids, lambda row: f"'{path}', line {places[row]:,},", noun), text)


def _keys(record: Collection[str]) -> str:
    return f"among {checks.shown_names(list(record))}"
