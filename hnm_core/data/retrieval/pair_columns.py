"""Which value of a record is the query, its positive, its negatives or its label: by name, or else by order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hnm_core.data import checks, columns
from hnm_core.errors import InputError

QUERY = ("query", "anchor", "question")
POSITIVE = ("positive", "positives", "answer", "document", "documents", "docs", "passage", "passages")
LABEL = ("label", "labels", "score", "scores")
"""As sentence-transformers knows them."""
NEGATIVE = re.compile(r"(hard_)?negatives?(_\d+)?", re.IGNORECASE)

EXPECTED = (
    "a query and a positive by name (query, anchor or question; positive, answer, document or passage; negative, "
    "negative_1 ..; label), or by order"
)


@dataclass(frozen=True)
class PairColumns:
    """Names of the values of a record."""

    query: str
    positive: str
    negatives: tuple[str, ...] = ()
    label: str = ""
    """Says of each pair whether the document is relevant; empty where all are."""
    left_out: tuple[str, ...] = ()
    by_order: bool = False

    @property
    def used(self) -> tuple[str, ...]:
        """The names of all that is read."""
        return tuple(filter(None, (self.query, self.positive, *self.negatives, self.label)))

    def negatives_in(self, record: Mapping[str, Any]) -> Sequence[str]:
        """The names of the negatives of a record: of JSON, each may have another number of them."""
        if self.by_order or self.label:
            return self.negatives
        return [name for name in record if NEGATIVE.fullmatch(name)]

    @property
    def words(self) -> str:
        """One sentence that says what was taken for what."""
        parts = [f"query '{checks.shown(self.query)}'", f"positive '{checks.shown(self.positive)}'"]
        if len(self.negatives) > 2:
            parts.append(f"{len(self.negatives)} negatives, '{checks.shown(self.negatives[0])}' to "
                         f"'{checks.shown(self.negatives[-1])}'")  # fmt: skip
        else:
            parts += [f"negative '{checks.shown(name)}'" for name in self.negatives]
        parts += [f"label '{self.label}'"] * bool(self.label)
        left_out = [name or "one without a name" for name in self.left_out]
        parts += [f"left out: {checks.shown_names(left_out)}"] * bool(left_out)
        return f"Columns{' by their order' if self.by_order else ''}: {'; '.join(parts)}."


def choose(names: Sequence[str], first: Mapping[str, Any], file: str) -> PairColumns:
    """Give the values of records their roles.

    By order goes what sentence-transformers reads so: (anchor, positive), (anchor, positive, negative ...), with a
    label anywhere; ids and what is no text are left out.

    Args:
        names: of the values of a record, in their order.
        first: the first record.
        file: its name, for messages.

    Raises:
        InputError: there is no query, or no positive.
    """
    folded = {name.lower(): name for name in reversed(names)}
    label = next((folded[name] for name in LABEL if name in folded), "")
    query, positive = (next((folded[one] for one in known if one in folded), "") for known in (QUERY, POSITIVE))
    if query and positive:
        negatives = tuple(name for name in names if NEGATIVE.fullmatch(name))
        return _made(names, query, positive, negatives, label, by_order=False)
    text = [name for name in names if name != label and columns.may_be_feature(name) and _is_text(first.get(name))]
    if len(text) < 2:
        raise InputError(f"'{file}' has {checks.shown_names(names)}; a set of pairs has {EXPECTED}.")
    return _made(names, text[0], text[1], tuple(text[2:]), label, by_order=True)


def _made(
    names: Sequence[str], query: str, positive: str, negatives: tuple[str, ...], label: str, *, by_order: bool
) -> PairColumns:
    if negatives:
        label = ""  # of triplets it is a margin between scores, no judgement
    made = PairColumns(query, positive, negatives, label, by_order=by_order)
    used = set(made.used)
    left_out = tuple(name for name in names if name not in used)
    return PairColumns(query, positive, negatives, label, left_out, by_order)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and bool(value) and isinstance(value[0], str))
