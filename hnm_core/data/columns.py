"""Which column of a table is what. Each is a feature, the label, an id, or left out; and that is said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks, item_labels
from hnm_core.data.arrays import Labelled, with_several
from hnm_core.data.base import Dataset
from hnm_core.errors import InputError

LABEL = "label"
"""The column of classes."""

NUMBERS, VECTORS = "numbers", "vectors"
"""Kinds of columns that can be features. Any other kind is a word for what they hold, such as "text" or "dates"."""

FEW, MANY = 4, 10
"""Features, and other columns, that are named one by one."""

_ID = re.compile(r"_*(id|ids|idx|index|uuid|guid|unnamed: \d+.*|__index_level_\d+__|.+[_ ]id)", re.IGNORECASE)
_OTHER_LABEL = re.compile(
    r"(labels?|class(es)?|targets?|category)([_ .]?(ids?|names?|text|idx|index|code|\d+))?", re.IGNORECASE
)
_VECTOR = re.compile(r"x|emb|embeddings?|vectors?|features?", re.IGNORECASE)


@dataclass(frozen=True)
class Roles:
    """Names of columns, in the order of the file."""

    labels: tuple[str, ...]
    """One, or of each label one."""
    features: tuple[str, ...]
    """All of them numbers, or one of vectors."""
    ids: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    """Each with what it is."""


def labels_among(names: Sequence[str], label_columns: str) -> tuple[str, ...]:
    """Of the names of columns those of labels: `LABEL`, or what `label_columns` names, by names or patterns such as
    tag_*, commas between them."""
    patterns = [pattern.strip() for pattern in label_columns.split(",")] if label_columns else [LABEL]
    return tuple(name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns))


def check_names(names: Sequence[str], file: str, label_columns: str = "") -> None:
    """Raises `InputError` where two columns have one name, or none is the label; or none what is in `label_columns`."""
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InputError(
            f"'{file}' has {list(names).count(twice)} columns called '{checks.shown(twice)}'; column names must differ."
        )
    if label_columns:
        for pattern in label_columns.split(","):
            if not labels_among(names, pattern.strip() or ","):
                raise InputError(
                    f"'{file}' has no column '{checks.shown(pattern.strip())}', which label_columns names, only: "
                    f"{checks.shown_names(names)}."
                )
    elif LABEL not in names:
        alike = [name for name in names if _OTHER_LABEL.fullmatch(name.strip("'\" ")) or name.lower() == "y"]
        hint = ""
        if alike:
            hint = f" Did you mean {' or '.join(map(repr, map(checks.shown, alike[:3])))}? Rename it to '{LABEL}'."
        else:
            hint = (
                " Where each label has a column of its own, of 0 and 1, name these: label_columns = a,b,c or a pattern "
                "such as tag_*."
            )
        raise InputError(f"'{file}' has no column '{LABEL}', only: {checks.shown_names(names)}.{hint}")


def may_be_feature(name: str) -> bool:
    """Whether a column of this name is no id and no second label."""
    return not _ID.fullmatch(name) and not _OTHER_LABEL.fullmatch(name)


def is_called_id(name: str) -> bool:
    """Whether a column of this name holds ids."""
    return _ID.fullmatch(name) is not None


def is_called_vector(name: str) -> bool:
    """Whether a column of this name stands out where several could be the vector."""
    return _VECTOR.fullmatch(name) is not None


def roles_of(
    kinds: Mapping[str, str], file: str, index: Collection[str] = (), labels: tuple[str, ...] = (LABEL,)
) -> Roles:
    """Give every column its role.

    Numbers are features, or where there is a column of vectors it alone: what stands beside an embedding is no part of
    it. An index (of pandas, also one that came without a name) and what is called an id is no feature, and neither is
    a second label.

    Args:
        kinds: of each column but those of labels, `NUMBERS`, `VECTORS`, or what it is in words; in the order of the
            file.
        file: its name, for messages.
        index: columns that the file itself says are an index.
        labels: columns of labels.

    Raises:
        InputError: there is no feature, or several columns of vectors of which none stands out by its name.
    """
    ids = [name for name in kinds if name in index or _ID.fullmatch(name)]
    rest = {name: kind for name, kind in kinds.items() if name not in ids}
    left_out = {name: "a second label" for name, kind in rest.items() if _OTHER_LABEL.fullmatch(name)}
    rest = {name: kind for name, kind in rest.items() if name not in left_out}
    features = [name for name, kind in rest.items() if kind == NUMBERS]
    if vectors := [name for name, kind in rest.items() if kind == VECTORS]:
        features = vectors if len(vectors) == 1 else [name for name in vectors if is_called_vector(name)]
        if len(features) != 1:
            raise InputError(
                f"'{file}' has {len(vectors)} columns of vectors: {checks.shown_names(vectors)}. Leave out all but "
                "one, or call it 'embedding'."
            )
        left_out |= {name: kind for name, kind in rest.items() if kind in (NUMBERS, VECTORS) and name not in features}
    left_out |= {name: kind for name, kind in rest.items() if kind not in (NUMBERS, VECTORS)}
    if not features:
        beside = f", only: {_named(left_out.items(), ids)}" if ids or left_out else ""
        told = f"'{checks.shown(labels[0])}'" if len(labels) == 1 else "those of labels"
        raise InputError(f"'{file}' has no column of numbers beside {told}{beside}; at least one feature is needed.")
    others = tuple((name, left_out[name]) for name in kinds if name in left_out)
    return Roles(labels, tuple(features), tuple(ids), others)


def in_words(roles: Roles, width: int, ids: str) -> str:
    """One sentence that names every column, long lists in short.

    Args:
        roles: of the columns.
        width: numbers of an item.
        ids: the column whose values are the ids of the items; empty where these are counted.
    """
    named = [f"'{checks.shown(name)}'" for name in roles.features[:FEW]]
    if len(roles.features) > FEW:
        features = f"{len(roles.features):,} features, {named[0]} to '{checks.shown(roles.features[-1])}'"
    elif width > len(roles.features):
        features = f"{width:,} features from {named[0]}"
    else:
        features = f"{checks.count(width, 'feature')} {', '.join(named)}"
    labels = f"label '{checks.shown(roles.labels[0])}'"
    if len(roles.labels) > 1:
        labels = (
            f"{len(roles.labels):,} labels, '{checks.shown(roles.labels[0])}' to '{checks.shown(roles.labels[-1])}'"
        )
    parts = [features, labels]
    for name in roles.ids[:MANY]:
        parts.append(f"id '{checks.shown(name)}'" + ("" if name == ids else " (left out)"))
    if roles.left_out:
        parts.append(f"left out: {_named(roles.left_out)}")
    return f"Columns: {'; '.join(parts)}."


def _named(left_out: Collection[tuple[str, str]], ids: Sequence[str] = ()) -> str:
    """Columns with what they are; of many, the first."""
    every = [*((name, "an id") for name in ids), *left_out]
    more = f" and {len(every) - MANY:,} more" if len(every) > MANY else ""
    return ", ".join(f"'{checks.shown(name)}' ({kind})" for name, kind in every[:MANY]) + more


def ids_among(columns: Mapping[str, NDArray[np.generic]], items: int) -> tuple[str, NDArray[np.int64]]:
    """The first of the columns whose values can be ids: whole numbers from 0 on, no two the same.

    Args:
        columns: (N,) numbers by name.
        items: N.

    Returns:
        Its name and the (N,) ids; "" and 0 .. N-1 where there is none.
    """
    for name, values in columns.items():
        try:
            return name, checks.ids(values, items, name)
        except InputError:
            continue
    return "", np.arange(items)


def labelled_by(columns: Mapping[str, NDArray[np.generic] | None], file: str) -> Labelled:
    """Labels that have a column each: (N,) 0 and 1, or truth values, by name; None where one holds no numbers.

    Raises:
        InputError: one holds anything else; the message names it and the first item.
    """
    for name, values in columns.items():
        where = f"Column '{checks.shown(name)}' of '{file}' is one of label_columns and must hold 0 and 1 alone,"
        if values is None:
            raise InputError(f"{where} and holds no numbers.")
        wrong = np.flatnonzero((values != 0) & (values != 1))
        if len(wrong):
            raise InputError(f"{where} not {values[wrong[0]]:g} as in item {wrong[0]:,} (counted from 0).")
    found = np.stack([values != 0 for values in columns.values() if values is not None], axis=1)
    for name in columns:
        checks.label_length(name, f"'{file}'")
    return with_several(item_labels.of_table(found, f"'{file}'"), tuple(columns))


def table(
    name: str,
    x: NDArray[np.float32],
    labels: Labelled,
    roles: Roles,
    numbered: Mapping[str, NDArray[np.generic]],
) -> Dataset:
    """The data set of a table, in the order of its ids; `numbered` are its columns of ids that hold numbers."""
    used, ids = ids_among(numbered, len(x))
    order = np.argsort(ids)
    y, several = labels.y, labels.several
    if used:
        x, y, ids = x[order], y[order], ids[order]
        several = None if several is None else several.at(order)
    words = f"{in_words(roles, x.shape[1], used)} {labels.said}".strip()
    return Dataset(name, x, y, ids, labels.names, several=several, as_read=words)
