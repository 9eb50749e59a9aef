"""Reads pairs of a query and its positives, and what negatives come with them, in the forms that trainers write."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hnm_core.data import checks
from hnm_core.data.base import Progress
from hnm_core.data.judged import JudgedSet
from hnm_core.data.retrieval.pair_builder import PairBuilder
from hnm_core.data.retrieval.pair_columns import PairColumns, choose
from hnm_core.data.retrieval.records import Records, kind_of, open_records, suffix_of
from hnm_core.errors import InputError

SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".parquet")
TABLES = (".csv", ".tsv")
"""Those whose first line names the columns."""

Take = Callable[[Mapping[str, Any], str, PairBuilder], None]
"""Puts one record into a set: (record, the beginning of a sentence about it, set)."""


def read_pairs(path: Path, progress: Progress | None = None) -> JudgedSet:
    """Read FlagEmbedding's form (`query`, `pos`, `neg`), Tevatron's (`query`, `positive_passages`,
    `negative_passages`), or columns with a query, a positive and perhaps negatives or a label, as sentence-transformers
    has them: triplets, n-tuples, labelled pairs and labelled lists.

    Raises:
        InputError: it is of no such form, or a record lacks a text, has one where a list belongs, is empty, or has a
            label that is no number; with the first place and counts.
        LoadCancelled: the progress callback returned False.
        OSError: it cannot be opened, or is no ordinary file.
    """
    records = open_records(path)
    take, names, words = _form(records)
    builder = PairBuilder()
    for place, record in records.read(names, progress):
        take(record, records.where(place), builder)
    return builder.build(path.name, [words], str(path))


def _form(records: Records) -> tuple[Take, tuple[str, ...] | None, str]:
    """What puts a record of this file into a set, the names that it needs, and a sentence about it."""
    names = records.names
    if "positive_passages" in names:
        used = _there(names, "query_id", "query", "positive_passages", "negative_passages")
        return _tevatron, used, "Tevatron's form."
    if "query" in names and ("pos" in names or "neg" in names):
        return _flag_embedding, _there(names, "query", "pos", "neg"), "FlagEmbedding's form."
    if "_id" in names and "text" in names:
        raise InputError(
            f"'{records.path}' holds the queries or the documents of a set in the BEIR layout; give its folder, which "
            "has corpus.jsonl, queries.jsonl and qrels/."
        )
    columns = choose(names, records.first, str(records.path))
    named = " The first line is taken for their names." * (columns.by_order and suffix_of(records.path) in TABLES)
    return _columns(columns), columns.used, columns.words + named


def _there(names: Sequence[str], *used: str) -> tuple[str, ...]:
    return tuple(name for name in used if name in names)


def _flag_embedding(record: Mapping[str, Any], where: str, into: PairBuilder) -> None:
    query = _text(record, "query", where, into)
    if query is None:
        return
    row = into.query(query, where)
    for text in _texts(record, "pos", where, into):
        into.judge(row, text, 1.0, where)
    for text in _texts(record, "neg", where, into, needed=False):
        into.negative(row, text, where)


def _tevatron(record: Mapping[str, Any], where: str, into: PairBuilder) -> None:
    query = _text(record, "query", where, into)
    if query is None:
        return
    row = into.query(query, where, _id(record.get("query_id")))
    for name in ("positive_passages", "negative_passages"):
        passages = record.get(name) or []
        if not isinstance(passages, list):
            into.faults.add(f"such values of '{name}'", f"{where} has {kind_of(passages)} as '{name}', not a list")
            continue
        for passage in passages:
            body = passage.get("text") if isinstance(passage, Mapping) else None
            title = (passage.get("title") or "") if isinstance(passage, Mapping) else ""
            if not isinstance(body, str) or not isinstance(title, str):
                into.faults.add(f"such passages in '{name}'", f"{where} has a passage without a 'text' in '{name}'")
                continue
            text = f"{title} {body}" if title.strip() else body
            one = _id(passage.get("docid"))
            if name == "positive_passages":
                into.judge(row, text, 1.0, where, one)
            else:
                into.negative(row, text, where, one)


def _columns(columns: PairColumns) -> Take:
    def take(record: Mapping[str, Any], where: str, into: PairBuilder) -> None:
        query = _text(record, columns.query, where, into)
        if query is None:
            return
        row = into.query(query, where)
        texts = _texts_or_one(record, columns.positive, where, into)
        for text, grade in zip(texts, _grades(record, columns.label, len(texts), where, into), strict=True):
            into.judge(row, text, grade, where)
        for name in columns.negatives_in(record):
            for text in _texts_or_one(record, name, where, into, needed=False):
                into.negative(row, text, where)

    return take


def _grades(record: Mapping[str, Any], label: str, count: int, where: str, into: PairBuilder) -> list[float]:
    """A grade for each of `count` documents: 1 where there is no label."""
    if not label:
        return [1.0] * count
    given = record.get(label)
    values = given if isinstance(given, list) else [given]
    grades = [number for number in map(_number, values) if number is not None]
    if len(grades) < len(values):
        wrong = next(value for value in values if _number(value) is None)
        sentence = f"{where} has the label {checks.shown(repr(wrong))}, which is no finite number"
        into.faults.add("labels that are none", sentence)
    elif len(grades) != count:
        sentence = f"{where} has {checks.count(len(grades), 'label')} for {checks.count(count, 'document')}"
        into.faults.add("records like that", sentence)
    return grades if len(grades) == count else [0.0] * count


def _number(value: Any) -> float | None:
    try:
        number = float(value) if isinstance(value, str | int | float) else math.nan
    except (ValueError, OverflowError):
        return None
    return number if abs(number) < 1e38 else None  # in this form it leaves out NaN too


def _text(record: Mapping[str, Any], name: str, where: str, into: PairBuilder) -> str | None:
    value = record.get(name)
    if isinstance(value, str):
        return value
    said = checks.shown(name)
    found = f"no '{said}'" if value is None else f"{kind_of(value)} as '{said}', not text"
    into.faults.add(f"records without the text of '{checks.shown(name)}'", f"{where} has {found}")
    return None


def _texts(record: Mapping[str, Any], name: str, where: str, into: PairBuilder, *, needed: bool = True) -> list[str]:
    """The texts of a list. A text in its place is refused: as a list it would be single letters."""
    value = record.get(name)
    if value is None and not needed:
        return []
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return value
    if value is None:
        found = f"has no '{name}'"
    elif isinstance(value, list):
        found = f"has something in the list '{name}' that is no text"
    else:
        found = f"has {kind_of(value)} as '{name}', where a list of texts belongs"
    into.faults.add(f"records with such a '{name}'", f"{where} {found}")
    return []


def _texts_or_one(
    record: Mapping[str, Any], name: str, where: str, into: PairBuilder, *, needed: bool = True
) -> list[str]:
    """The texts of a list, or a text alone. A negative may be missing, or empty as tables write it."""
    value = record.get(name)
    if isinstance(value, list):
        return _texts(record, name, where, into)
    if not needed and (value is None or value == ""):
        return []
    text = _text(record, name, where, into)
    return [] if text is None else [text]


def _id(value: Any) -> str | int | None:
    """An id of its own, as the file has it; None where there is none."""
    return value if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None
