"""Joins queries, documents and judgements to a set: ids find their rows, and what is odd is counted and said."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.data.judged import Ids, Items, JudgedSet, Judgements
from hnm_core.data.retrieval.faults import Faults
from hnm_core.data.retrieval.qrels import Qrels
from hnm_core.errors import InputError

INT64 = np.iinfo(np.int64)


def ids_of(given: Sequence[str | int], say: Callable[[int], str], noun: str) -> Ids:
    """Ids as the file has them: whole numbers where all of them are, else text.

    Args:
        given: (N,) text, or numbers as JSON and arrays have them.
        say: the place of a row, as the beginning of a sentence: "'corpus.jsonl', line 3,".
        noun: what has the ids: "document".

    Raises:
        InputError: two are the same, with how many are.
    """
    if any(isinstance(one, str) for one in given) or not all(INT64.min <= int(one) <= INT64.max for one in given):
        ids: Ids = [one if isinstance(one, str) else str(one) for one in given]
    else:
        ids = np.array(given, np.int64)
    known: dict[object, int] = {}
    faults = Faults()
    for row, one in enumerate(ids):
        before = known.setdefault(one, row)
        if before != row:
            sentence = (
                f"{say(row)} has the id '{checks.shown(str(one))}', which {say(before).strip(',')} has too; every "
                f"{noun} needs an id of its own"
            )
            faults.add(f"ids that are not the only ones of a {noun}", sentence)
    faults.refuse()
    return ids


def rows_by_id(ids: Ids) -> dict[str, int]:
    """The row of each id as text, which is how qrels name it."""
    return {str(one): row for row, one in enumerate(ids)}


def judgements_of(
    query: NDArray[np.int64], document: NDArray[np.int64], grade: NDArray[np.float32]
) -> tuple[Judgements, str]:
    """Judgements in their order, from (M,) pairs in any; what is judged twice counts once, at its highest grade.

    Returns:
        They, and what there is to say of it.
    """
    order = np.lexsort((-grade, document, query))
    query, document, grade = query[order], document[order], grade[order]
    same = np.zeros(len(order), np.bool_)
    same[1:] = (query[1:] == query[:-1]) & (document[1:] == document[:-1])
    differ = int(np.count_nonzero(same[1:] & (grade[1:] != grade[:-1])))
    said = [f"{checks.count(int(same.sum()), 'pair')} came more than once"] * bool(same.any())
    said += [f"{differ:,} of them with another grade, and the highest counts"] * bool(differ)
    return Judgements(query[~same], document[~same], grade[~same]), f"{', '.join(said)}." if said else ""


def joined(
    name: str,
    queries: Items,
    documents: Items,
    qrels: Qrels,
    *,
    in_queries: str,
    in_documents: str,
    said: Sequence[str] = (),
) -> JudgedSet:
    """A set of items and the qrels that name them.

    Args:
        name: of the set.
        queries: with different ids.
        documents: with different ids.
        qrels: by these ids.
        in_queries: where the ids of the queries are from, for messages: "queries.jsonl".
        in_documents: where those of the documents are from.
        said: what there is to say already, in sentences.

    Raises:
        InputError: qrels name ids that are not there, with how many, or judge nothing to be relevant.
    """
    query = _rows(qrels, qrels.query, rows_by_id(queries.ids), "query", in_queries)
    document = _rows(qrels, qrels.document, rows_by_id(documents.ids), "document", in_documents)
    judgements, repeated = judgements_of(query, document, qrels.grade)
    if not judgements.relevant.any():
        raise InputError(
            f"'{qrels.path}' has no grade above 0 in {checks.count(len(judgements), 'judgement')}, so nothing is "
            "relevant to any query."
        )
    made = JudgedSet(name, queries, documents, judgements)
    return described(made, [*said, repeated])


def described(made: JudgedSet, said: Sequence[str]) -> JudgedSet:
    """The set with what is to be said of it: how much there is, `said`, and what is odd in it."""
    relevant = made.judgements.relevant
    counts = f"{_number(len(made.queries), 'query', 'queries')}, {checks.count(len(made.documents), 'document')}, "
    counts += f"{checks.count(len(relevant), 'judgement')}"
    others = len(relevant) - int(relevant.sum())
    counts += f", {others:,} of them not relevant." if others else "."
    grades = made.judgements.grade[relevant]
    if len(grades) and (grades != 1).any():
        counts += f" The grades of the relevant ones, all above 0, go from {grades.min():g} to {grades.max():g}."
    if made.negatives is not None:
        counts += f" {checks.count(len(made.negatives), 'negative')} came with them."
    without = len(made.queries) - len(np.unique(made.judgements.query[relevant]))
    odd = [
        f"{_number(without, 'query has', 'queries have')} no relevant document and "
        f"{'is' if without == 1 else 'are'} kept."
    ] * bool(without)
    words = " ".join(filter(None, [counts, *said, *odd, _queries_among_documents(made)]))
    return JudgedSet(made.name, made.queries, made.documents, made.judgements, words, made.negatives)


def _queries_among_documents(made: JudgedSet) -> str:
    """How many documents are queries as well, by their text; empty where none is."""
    if made.queries.text is None or made.documents.text is None:
        return ""
    texts = set(made.queries.text)
    both = sum(text in texts for text in made.documents.text)
    if not both:
        return ""
    return f"{_number(both, 'document is', 'documents are')} the text of a query too."


def _rows(qrels: Qrels, ids: Sequence[str], known: dict[str, int], noun: str, file: str) -> NDArray[np.int64]:
    """(M,) the row of each id. Raises `InputError` where there is none, with the counts."""
    rows = np.fromiter((known.get(one, -1) for one in ids), np.int64, len(ids))
    lost = np.flatnonzero(rows < 0)
    if len(lost):
        different = len({ids[place] for place in lost.tolist()})
        raise InputError(
            f"'{qrels.path}', line {qrels.line[lost[0]]:,}, names the {noun} '{checks.shown(ids[lost[0]])}', which is "
            f"not in {file}; {len(lost):,} of {checks.count(len(ids), 'judgement')} name "
            f"{checks.count(different, 'id')} that {'is' if different == 1 else 'are'} not there."
        )
    return rows


def _number(n: int, one: str, many: str) -> str:
    return f"{n:,} {one if n == 1 else many}"
