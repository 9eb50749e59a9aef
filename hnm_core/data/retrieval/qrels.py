"""Reads qrels: judgements by ids, in TREC's form (`qid 0 docid grade`) or BEIR's (a header, three columns)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.data.base import Progress
from hnm_core.data.retrieval.faults import Faults
from hnm_core.data.retrieval.text_lines import lines
from hnm_core.errors import InputError

BEIR, TREC, RUN = 3, 4, 6
"""Columns of either kind, and of a TREC run, which holds no judgements."""
HEADERS = frozenset({"score", "grade", "rel", "relevance", "relevancy", "label", "judgement", "judgment", "rating"})
"""What the last column is called in a line of names."""
LARGEST = float(np.finfo(np.float32).max)

EXPECTED = "qrels are TREC lines (qid 0 docid grade) or BEIR's (query-id, corpus-id and score, separated by tabs)"


@dataclass(frozen=True, eq=False)
class Qrels:
    """Judgements as the file has them."""

    path: Path
    query: list[str]
    """(M,) ids."""
    document: list[str]
    """(M,) ids."""
    grade: NDArray[np.float32]
    """(M,)"""
    line: NDArray[np.int64]
    """(M,) of the file, counted from 1."""


def read_qrels(path: Path, progress: Progress | None = None) -> Qrels:
    """Read a file of judgements; the first line that holds anything says of which kind it is.

    Raises:
        InputError: it is of neither kind, a line has another number of values, or a grade is no finite number, with
            how many are like that.
        LoadCancelled: the progress callback returned False.
        OSError: it cannot be opened, or is no ordinary file.
    """
    query: list[str] = []
    document: list[str] = []
    grades: list[float] = []
    numbers: list[int] = []
    faults, width, tabs = Faults(), 0, False
    for number, line in lines(path, progress):
        if not line.strip():
            continue
        if not width:
            tabs = line.count("\t") in (BEIR - 1, TREC - 1)
            width = len(cells := _cells(line, tabs))
            if width not in (BEIR, TREC):
                found = "which is a TREC run; " if width == RUN else ""
                raise InputError(
                    f"'{path}', line {number:,}, has {checks.count(width, 'value')}, {found or 'but '}{EXPECTED}."
                )
            if cells[-1].lower() in HEADERS:
                continue
        cells = _cells(line, tabs)
        if len(cells) != width:
            raise InputError(
                f"'{path}', line {number:,}, has {checks.count(len(cells), 'value')}, and the first has {width}; "
                f"{EXPECTED}."
            )
        grade = _grade(cells[-1])
        if grade is None:
            said = checks.shown(cells[-1])
            faults.add("such lines", f"'{path}', line {number:,}, has the grade '{said}', which is no finite number")
        if not cells[0] or not cells[-2]:
            faults.add("lines without an id", f"'{path}', line {number:,}, lacks the id of a query or a document")
        query.append(cells[0])
        document.append(cells[-2])
        grades.append(grade or 0.0)
        numbers.append(number)
    faults.refuse()
    if not query:
        raise InputError(f"'{path}' holds no judgements; {EXPECTED}.")
    return Qrels(path, query, document, np.array(grades, np.float32), np.array(numbers, np.int64))


def _cells(line: str, tabs: bool) -> list[str]:
    return [cell.strip() for cell in line.split("\t")] if tabs else line.split()


def _grade(text: str) -> float | None:
    """The number; None for what is none, or not finite in 32 bits."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) <= LARGEST else None
