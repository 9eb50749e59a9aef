"""What the cells of one column of text are: numbers, truth values, vectors, or text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.errors import InputError

Sort = Literal["number", "comma", "alike", "truth", "vector", "cut", "missing", "text"]
"""Of one cell. comma: a number with a decimal comma, where that is read; alike: a number to a person, but written in a
way that could mean several; cut: a vector that is not all there."""

Kind = Literal["numbers", "vectors", "text", "no values"]
"""Of a column; truth values are the numbers 0 and 1."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_COMMA = re.compile(r"[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?", re.ASCII)
_ALIKE = re.compile(
    r"[+\-−]?[$€£¥]?\s?("
    r"\d+,\d*|,\d+"  # a decimal comma
    r"|\d{1,3}([,.'’_\s]\d{3})+([.,]\d*)?"  # thousands
    r"|\d+\.?\d*|\.\d+"  # with a sign of its own, a currency, a per cent
    r")([eEdD][+-]?\d+)?\s?[%$€£¥]?"
)
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}", re.ASCII)
_TRUTH = {"true": 1.0, "false": 0.0}
_MISSING = frozenset({"", "nan", "na", "n/a", "null", "none", "<na>"})


def sort_of(cell: str, *, comma: bool = False) -> Sort:
    """What one cell is; `comma`: a decimal comma is one."""
    text = cell.strip()
    if _NUMBER.fullmatch(text):
        return "number" if math.isfinite(float(text)) else "text"
    if comma and _COMMA.fullmatch(text):
        return "comma"
    if text.lower() in _MISSING:
        return "missing"
    if text.lower() in _TRUTH:
        return "truth"
    if text.startswith("[") and text.endswith("]"):
        if vector_of(text) is not None:
            return "vector"
        return "cut" if vector_of(text.replace("...", " ")) is not None else "text"
    return "alike" if _ALIKE.fullmatch(text) else "text"


def vector_of(text: str) -> NDArray[np.float64] | None:
    """The numbers of "[0.5, -1, 2e-3]", or of the same with blanks between them; None where it is none."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError):
        values = text[1:-1].replace(",", " ").split()
    try:
        vector = np.array(values, np.float64)
    except (ValueError, TypeError, OverflowError):
        return None
    return vector if vector.ndim == 1 and vector.size else None


class TextColumn:
    """Takes the cells of a column as they come in, and keeps the numbers in them.

    Args:
        name: of the column, for messages.
        file: its name, for messages.
        place: how a place in the file is said, such as "line {}".
        comma: whether a decimal comma is read.
        judged: whether a mixture is refused; a column that is no feature may hold what it likes.
    """

    def __init__(
        self, name: str, file: str, place: str = "line {}", *, comma: bool = False, judged: bool = True
    ) -> None:
        self._judged = judged
        self._name, self._file, self._place, self._comma = name, file, place, comma
        self._parts: list[NDArray[np.float64]] = []
        self._rows: list[NDArray[np.float32]] = []
        self._first: dict[Sort, tuple[int, str]] = {}
        """Place and text of the first cell of each sort."""
        self.point: tuple[int, str] | None = None
        """Place and text of a number with a decimal point, looked for where commas are read."""
        self.clear_comma = False
        """Whether a comma is no separator of thousands for sure."""

    def add(self, cells: Sequence[str], places: Sequence[int]) -> None:
        """Take the next cells.

        Raises:
            InputError: the column holds numbers, or what looks like numbers, and something else.
        """
        numbers = None if "vector" in self._first or "text" in self._first else self._numbers(cells, places)
        if numbers is not None:
            self._first.setdefault("number", (places[0], cells[0]))
            self._parts.append(numbers)
        else:
            singly = [self._number(cell, place) for cell, place in zip(cells, places, strict=True)]
            self._parts.append(np.array([number for number in singly if number is not None]))
        self._refuse_mixtures()

    @property
    def kind(self) -> Kind:
        """What it came to. Raises `InputError` where that is a mixture, or all of it looks like numbers and is none."""
        found = self._first.keys() - {"missing"}
        if not found:
            return "no values"
        if not self._judged:
            return "numbers" if self._first.keys() == {"number"} else "text"
        if "alike" in found or found == {"cut"}:
            raise InputError(self._refusal("alike" if "alike" in found else "cut"))
        if "text" in found:
            return "text"
        for one in ("vector", "truth"):  # which a column of text may begin with
            if one in found and self._first.keys() - {one}:
                raise InputError(self._mixed(one, min(self._first.keys() - {one}, key=self._order)))
        return "vectors" if "vector" in found else "numbers"

    @property
    def comma(self) -> tuple[int, str] | None:
        """Place and text of the first number with a decimal comma."""
        return self._first.get("comma")

    def numbers(self) -> NDArray[np.float64]:
        """(N,) values of a column of numbers."""
        return np.concatenate(self._parts)

    def vectors(self) -> NDArray[np.float32]:
        """(N, D) values of a column of vectors."""
        return np.stack(self._rows)

    def cell(self, sort: Sort) -> str:
        """The first cell of a sort, with its place: "line 3 has 'red'"."""
        place, text = self._first[sort]
        found = f"'{checks.shown(text)}'" if text.strip() else "no value"
        return f"{self._place.format(place)} has {found}"

    def _numbers(self, cells: Sequence[str], places: Sequence[int]) -> NDArray[np.float64] | None:
        """All of them as numbers, or None where one is not; quick for a column of numbers."""
        joined = "".join(cells)
        if "_" in joined or not joined.isascii():  # both are numbers to Python, and to nobody else
            return None
        if self._comma:
            if "," in joined:
                return None
            if "." in joined:
                self.point = self.point or next(
                    (place, cell) for place, cell in zip(places, cells, strict=True) if "." in cell
                )
        try:
            numbers = np.fromiter(map(float, cells), np.float64, len(cells))
        except ValueError:
            return None
        return numbers if np.isfinite(numbers).all() else None

    def _number(self, cell: str, place: int) -> float | None:
        """Take one cell. Returns its number, if it is one."""
        sort, text = sort_of(cell, comma=self._comma), cell.strip()
        self._first.setdefault(sort, (place, cell))
        if sort == "truth":
            return _TRUTH[text.lower()]
        if sort == "number" and self._comma and "." in text:
            self.point = self.point or (place, cell)
        self.clear_comma |= sort == "comma" and not _THOUSANDS.fullmatch(text)
        if sort in ("number", "comma"):
            return float(text.replace(",", "."))
        if sort == "vector" and self._judged and "text" not in self._first:
            self._take_vector(text, place)
        return None

    def _take_vector(self, text: str, place: int) -> None:
        vector = vector_of(text)
        assert vector is not None, "or it would be of another sort"
        if self._rows and len(vector) != len(self._rows[0]):
            raise InputError(
                f"'{self._file}', {self._place.format(place)}, column '{checks.shown(self._name)}' has a vector of "
                f"{len(vector):,} numbers, and those before have {len(self._rows[0]):,}."
            )
        with np.errstate(over="ignore"):
            self._rows.append(vector.astype(np.float32))

    def _refuse_mixtures(self) -> None:
        if not self._judged:
            return
        found = self._first.keys()
        for one in ("number", "comma", "alike"):
            others = found - ({"number", "comma"} if one != "alike" else {"alike"})
            if one in found and others:
                raise InputError(self._mixed(one, "alike" if "alike" in others else min(others, key=self._order)))

    def _order(self, sort: Sort) -> int:
        return self._first[sort][0]

    def _mixed(self, one: Sort, other: Sort) -> str:
        if other == "alike":
            return self._refusal("alike")
        place, text = self._first[other]
        found = f"'{checks.shown(text)}', which is no finite number" if text.strip() else "no value"
        if one in ("vector", "truth"):
            found = f"'{checks.shown(text)}'" if text.strip() else "no value"
        wants = {"vector": "a vector", "truth": "true or false"}.get(one, "a number")
        return (
            f"'{self._file}', {self._place.format(place)}, column '{checks.shown(self._name)}' has {found}, but "
            f"{self.cell(one)}. Give it {wants} in every line, or leave the column out."
        )

    def _refusal(self, sort: Sort) -> str:
        place, text = self._first[sort]
        hint = (
            "a vector that is cut short; write all of its numbers"
            if sort == "cut"
            else "which looks like a number but could mean several; write numbers as 1234.5"
        )
        if sort == "alike" and "," in text:
            hint += ", or separate the values by semicolons if the comma is the decimal sign"
        return (
            f"'{self._file}', {self._place.format(place)}, column '{checks.shown(self._name)}' has "
            f"'{checks.shown(text)}', {hint}; or leave the column out."
        )
