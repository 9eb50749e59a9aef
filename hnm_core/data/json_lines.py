"""Reads `.jsonl` files of items: one JSON object a line, with an embedding and a label or a list of labels."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks, columns, item_labels
from hnm_core.data.arrays import Labelled, with_several
from hnm_core.data.base import Dataset, Progress
from hnm_core.errors import InputError
from hnm_core.spec.traits import review_refusal

LABELS = ("label", "labels")
"""Names of what holds the label or the labels of an item."""


def read_jsonl(path: Path, progress: Progress | None = None, separator: str = "") -> Dataset:
    """Read items: of each the one list of numbers is its embedding (of several that called 'embedding'), and `label` or
    `labels` is a text, a whole number, or a list of these: several labels, or none. With a separator one text holds
    several. What else objects say is an id, or left out; `as_read` says which.

    Raises:
        InputError: with the line: no JSON object, no embedding or one of another length, a number that is none or is
            not finite, no label or one of another kind; or a file without items.
        LoadCancelled: the progress callback returned False.
    """
    from hnm_core.data.retrieval.records import json_rows

    vectors: list[NDArray[np.float32]] = []
    told: list[Any] = []
    ids: list[Any] = []
    chosen: _Names | None = None
    for line, record in json_rows(path, progress):
        where = f"'{path}', line {line:,},"
        chosen = chosen or _names_of(record, where)
        vectors.append(_vector(record, chosen.vector, len(vectors[0]) if vectors else 0, where))
        told.append(_label(record, chosen.label, where))
        ids.append(record.get(chosen.id))
    if chosen is None:
        raise InputError(f"'{path}' holds no items.")
    labels = _labelled(told, f"'{path}', '{chosen.label}',", separator)
    roles = columns.Roles((chosen.label,), (chosen.vector,), (chosen.id,) if chosen.id else (), chosen.left_out)
    x = checks.features(np.stack(vectors), f"'{path}'")
    whole = all(isinstance(each, int) and not isinstance(each, bool) and abs(each) < 1 << 62 for each in ids)
    return columns.table(path.name, x, labels, roles, {chosen.id: np.array(ids)} if chosen.id and whole else {})


def holds_items(path: Path) -> bool:
    """Whether the first object of a file has an embedding and a label, as items have, rather than texts of queries and
    documents or the decisions of a review."""
    from hnm_core.data.retrieval.records import json_rows

    with suppress(InputError, OSError):
        for _, record in islice(json_rows(path), 1):
            return any(name in record for name in LABELS) and any(map(_is_vector, record.values()))
    return False


def look(path: Path) -> None:
    """Refuse a file whose first object is no item, without reading more. Raises `InputError`."""
    from hnm_core.data.retrieval.records import json_rows

    for line, record in islice(json_rows(path), 1):
        _names_of(record, f"'{path}', line {line:,},")


class _Names(NamedTuple):
    """What an object says under which name, as the first one does."""

    vector: str
    label: str
    id: str
    """Empty where there is none."""
    left_out: tuple[tuple[str, str], ...]
    """Names, and what stands there."""


def _names_of(record: Mapping[str, Any], where: str) -> _Names:
    from hnm_core.data.retrieval.records import kind_of

    if "review" in record and "of" in record:
        raise InputError(review_refusal(where.split("'")[1]))
    labels = [name for name in LABELS if name in record]
    if len(labels) != 1:
        found = "both 'label' and 'labels'" if labels else f"no 'label' and no 'labels', only: {_listed(record)}"
        raise InputError(f"{where} has {found}; items have one of them.")
    vectors = [name for name, value in record.items() if _is_vector(value) and name not in labels]
    known = [name for name in vectors if columns.is_called_vector(name)]
    best = vectors if len(vectors) == 1 else [name for name in known if name == "embedding"] or known
    if len(best) != 1:
        found = f"{len(vectors)} lists of numbers: {_listed(vectors)}" if vectors else "no list of numbers"
        raise InputError(f"{where} has {found}; each item has its embedding in one, such as 'embedding'.")
    rest = [name for name in record if name not in (*labels, best[0])]
    ids = [name for name in rest if columns.is_called_id(name)][:1]
    left_out = tuple((name, kind_of(record[name]).split()[-1]) for name in rest if name not in ids)
    return _Names(best[0], labels[0], ids[0] if ids else "", left_out)


def _listed(names: Any) -> str:
    return checks.shown_names(list(names))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_vector(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_number, value))


def _vector(record: Mapping[str, Any], name: str, width: int, where: str) -> NDArray[np.float32]:
    value = record.get(name)
    if not isinstance(value, list) or not _is_vector(value):
        raise InputError(f"{where} has no list of numbers '{checks.shown(name)}'; every item needs its embedding.")
    if width and len(value) != width:
        raise InputError(f"{where} has an embedding of {len(value):,} numbers, and the first has {width:,}.")
    try:
        with np.errstate(over="ignore"):
            numbers = np.array(value, np.float64).astype(np.float32)
    except OverflowError:
        numbers = np.array([np.inf])
    if not np.isfinite(numbers).all():
        raise InputError(f"{where} has an embedding with NaN, infinity, or a number beyond float32.")
    return numbers


def _label(record: Mapping[str, Any], name: str, where: str) -> str | list[str]:
    """The label as text, or the list of them."""
    value = record.get(name)
    if value is None and name in record:
        return []
    if isinstance(value, list) and all(isinstance(one, str | int) for one in value):
        return [str(one) for one in value]
    if isinstance(value, str | int):
        return str(value)
    raise InputError(
        f"{where} has no '{name}' that is a text, a whole number, or a list of these; an item without labels has []."
    )


def _labelled(told: list[str | list[str]], where: str, separator: str) -> Labelled:
    if separator and not all(isinstance(one, str) for one in told):
        raise InputError(f"{where} holds lists: label_separator = '{separator}' is for labels in one text.")
    if separator or any(isinstance(one, list) for one in told):
        lists = [one if isinstance(one, list) else one.split(separator) if separator else [one] for one in told]
        return with_several(*item_labels.named(lists, where, separated=bool(separator)))
    texts = [one for one in told if isinstance(one, str)]
    y, names = checks.named_classes([one.strip() for one in texts], where)
    return Labelled(y, None, names, None, checks.said_of_blanks(texts))
