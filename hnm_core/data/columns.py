"""Which column of a table is what. Each is a feature, the label, an id, or left out; and that is said."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.data.arrays import Labelled
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

    label: str
    features: tuple[str, ...]
    """All of them numbers, or one of vectors."""
    ids: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    """Each with what it is."""


def check_names(names: Sequence[str], file: str) -> None:
    """Raises `InputError` where two columns have one name, or none is the label."""
    twice = next((name for name, count in Counter(names).items() if count > 1), None)
    if twice is not None:
        raise InputError(
            f"'{file}' has {list(names).count(twice)} columns called '{checks.shown(twice)}'; column names must differ."
        )
    if LABEL not in names:
        alike = [name for name in names if _OTHER_LABEL.fullmatch(name.strip("'\" ")) or name.lower() == "y"]
        hint = ""
        if alike:
            hint = f" Did you mean {' or '.join(map(repr, map(checks.shown, alike[:3])))}? Rename it to '{LABEL}'."
        else:
            hint = (
                f" Where each label has a column of its own, write the names of those of an item into one column "
                f"'{LABEL}', such as sea|sky, and set label_separator."
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


def roles_of(kinds: Mapping[str, str], file: str, index: Collection[str] = ()) -> Roles:
    """Give every column its role.

    Numbers are features, or where there is a column of vectors it alone: what stands beside an embedding is no part of
    it. An index (of pandas, also one that came without a name) and what is called an id is no feature, and neither is
    a second label.

    Args:
        kinds: of each column but the label, `NUMBERS`, `VECTORS`, or what it is in words; in the order of the file.
        file: its name, for messages.
        index: columns that the file itself says are an index.

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
        raise InputError(f"'{file}' has no column of numbers beside '{LABEL}'{beside}; at least one feature is needed.")
    others = tuple((name, left_out[name]) for name in kinds if name in left_out)
    return Roles(LABEL, tuple(features), tuple(ids), others)


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
    parts = [features, f"label '{checks.shown(roles.label)}'"]
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
