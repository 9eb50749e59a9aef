"""Makes a set of queries and documents out of texts that come in pairs: the same text is the same document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.data.judged import Ids, Items, JudgedSet, Judgements
from hnm_core.data.retrieval.faults import Faults
from hnm_core.data.retrieval.joining import described, ids_of, judgements_of
from hnm_core.errors import InputError


@dataclass
class Texts:
    """Different items by what makes them the same: the id where the file gives one, else the text."""

    noun: str
    faults: Faults
    by_text: bool = False
    """Whether texts are the same by themselves, although they have ids: then each has that of the first."""
    rows: dict[str, int] = field(default_factory=dict)
    text: list[str] = field(default_factory=list)
    ids: list[str | int] = field(default_factory=list)
    """Of all items, or of none."""
    given: int = 0
    """How often one was named."""

    def row(self, text: str, one: str | int | None, where: str) -> int:
        """The row of an item, new where it is not known yet."""
        self.given += 1
        if not text.strip():
            self.faults.add(f"empty texts of a {self.noun}", f"{where} has a {self.noun} that is empty")
        if (one is not None) != bool(self.ids) and self.text:
            raise InputError(f"{where} {'has' if one is not None else 'lacks'} the id of a {self.noun}; give all one.")
        row = self.rows.setdefault(text if one is None or self.by_text else str(one), len(self.text))
        if row == len(self.text):
            self.text.append(text)
            if one is not None:
                self.ids.append(one)
        elif self.text[row] != text:
            sentence = f"{where} gives the id '{checks.shown(str(one))}' to another {self.noun} than a line before"
            self.faults.add(f"ids that name several {self.noun}s", sentence)
        return row

    def items(self) -> Items:
        """All of them, in the order in which they came; without ids of their own they are counted from 0."""
        ids: Ids = np.arange(len(self.text))
        if self.ids:
            ids = ids_of(self.ids, lambda row: f"{self.noun} {row:,}", self.noun)
        return Items(ids, self.text)


class PairBuilder:
    """Takes queries with their documents as they are read.

    Args:
        by_text: see `Texts`.
    """

    def __init__(self, *, by_text: bool = False) -> None:
        self._faults = Faults()
        self._queries, self._documents = (Texts(noun, self._faults, by_text) for noun in ("query", "document"))
        self._judged: list[tuple[int, int, float]] = []
        self._negative: list[tuple[int, int]] = []

    @property
    def faults(self) -> Faults:
        """What is wrong with the file, for what is seen before anything is added."""
        return self._faults

    def query(self, text: str, where: str, one: str | int | None = None) -> int:
        """The row of a query; `where` is the beginning of a sentence about the record, `one` its id."""
        return self._queries.row(text, one, where)

    def judge(self, query: int, text: str, grade: float, where: str, one: str | int | None = None) -> None:
        """Note that a document was judged for a query: relevant where the grade is above 0."""
        document = self._documents.row(text, one, where)
        self._judged.append((query, document, grade))
        if grade <= 0:
            self._add_negative(query, document)

    def negative(self, query: int, text: str, where: str, one: str | int | None = None) -> None:
        """Note a negative of a query that the file brings, judged by nobody."""
        self._add_negative(query, self._documents.row(text, one, where))

    def _add_negative(self, query: int, document: int) -> None:
        self._negative.append((query, document))

    def build(self, name: str, said: Sequence[str], file: str) -> JudgedSet:
        """The set; `said` are sentences on what was taken for what, `file` its name for messages.

        Raises:
            InputError: empty texts, ids that name several texts, nothing that is relevant; with counts.
        """
        self._faults.refuse()
        judged = np.array(self._judged, np.float64).reshape(-1, 3)
        rows = judged[:, :2].astype(np.int64)
        judgements, repeated = judgements_of(rows[:, 0], rows[:, 1], judged[:, 2].astype(np.float32))
        if not judgements.relevant.any():
            raise InputError(f"'{file}' has no query with a positive, so nothing is relevant to any query.")
        negatives, dropped = self._negatives(judgements)
        made = JudgedSet(name, self._queries.items(), self._documents.items(), judgements, negatives=negatives)
        return described(made, [*said, self._shared(), repeated, dropped])

    def _shared(self) -> str:
        """How many texts stand for how many items."""
        told = [
            f"{texts.given:,} {many} are {len(texts.text):,} different ones"
            for texts, many in ((self._queries, "queries"), (self._documents, "documents"))
            if texts.given > len(texts.text)
        ]
        by_id = self._documents.ids and not self._documents.by_text
        how = "the same id is" if by_id else "the same text is"
        return f"{' and '.join(told)}: {how} the same one." if told else ""

    def _negatives(self, judgements: Judgements) -> tuple[Judgements | None, str]:
        """The negatives that came, without those that are relevant."""
        if not self._negative:
            return None, ""
        rows = np.array(self._negative, np.int64)
        found, _ = judgements_of(rows[:, 0], rows[:, 1], np.zeros(len(rows), np.float32))
        positive = _pairs(judgements, len(self._documents.text))[judgements.relevant]
        wrong = np.isin(_pairs(found, len(self._documents.text)), positive)
        kept = Judgements(found.query[~wrong], found.document[~wrong], found.grade[~wrong])
        count = int(wrong.sum())
        said = f"{checks.count(count, 'negative')} that {'is' if count == 1 else 'are'} also a positive of the query "
        return kept, f"{said}{'was' if count == 1 else 'were'} left out." if count else ""


def _pairs(judgements: Judgements, documents: int) -> NDArray[np.int64]:
    return judgements.query * documents + judgements.document
