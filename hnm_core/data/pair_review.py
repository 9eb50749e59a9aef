"""What a person decided on doubtful pairs of a query and a document that nobody judged, applied to their set."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.decision_file import Growing, Log, begin, locked_log, read_log
from hnm_core.data.judged import Ids, Items, JudgedSet, Judgements
from hnm_core.errors import InputError, shortened

_WHAT = "queries and documents"

Id = str | int
Verdict = Literal["keep", "drop", "relevant"]
"""The document does not answer the query and stays a negative; it is neither; it answers it."""


@dataclass(frozen=True)
class PairDecision:
    """On one pair, by the ids of the files."""

    query: Id
    document: Id
    verdict: Verdict

    def told(self) -> Mapping[str, object]:
        """See `hnm_core.data.decision_file.Telling`."""
        return {"query": self.query, "document": self.document, "verdict": self.verdict}


@dataclass(frozen=True)
class PairReview(Log[PairDecision]):
    """Decisions, the last one on a pair counts; `of` is `fingerprint`."""

    def by_pair(self) -> dict[tuple[Id, Id], Verdict]:
        """The verdict that counts for each pair that has one."""
        return {(each.query, each.document): each.verdict for each in self.decisions}

    def counts(self) -> Mapping[Verdict, int]:
        """How many pairs each verdict is on."""
        final = list(self.by_pair().values())
        return {verdict: final.count(verdict) for verdict in get_args(Verdict)}


@dataclass
class PairReviewing(Growing[PairDecision]):
    """A review that goes on."""

    review: PairReview


@dataclass(frozen=True)
class PairSubject:
    """A set as far as a review tells it from others."""

    name: str
    queries: int
    documents: int
    fingerprint: str


def subject(judged: JudgedSet) -> PairSubject:
    """What a review of this set is of."""
    return PairSubject(judged.name, len(judged.queries), len(judged.documents), fingerprint(judged))


def id_of(items: Items, row: int) -> Id:
    """The id of an item, as a line of the file has it."""
    found = items.ids[row]
    return found if isinstance(found, str) else int(found)


def fingerprint(judged: JudgedSet) -> str:
    """Of the ids and the judgements of a set, and of its texts where it has any, whatever its embeddings."""
    value = 0
    for ids in (judged.queries.ids, judged.documents.ids):
        value = zlib.crc32("\0".join(map(str, ids)).encode("utf-8", "surrogatepass"), value)
    for column in (judged.judgements.query, judged.judgements.document, judged.judgements.grade):
        value = zlib.crc32(np.ascontiguousarray(column).tobytes(), value)
    texts = ""
    if judged.queries.text is not None and judged.documents.text is not None:  # ids may be no more than line numbers
        of_texts = 0
        for text in chain(judged.queries.text, judged.documents.text):
            of_texts = zlib.crc32(f"{len(text)}:{text}".encode("utf-8", "surrogatepass"), of_texts)
        texts = f"-{of_texts:08x}"
    return f"{len(judged.queries)}-{len(judged.documents)}-{value:08x}{texts}"


def same_set(one: str, other: str) -> bool:
    """Whether two fingerprints can be of one set; that of one side may lack the texts."""
    return all(mine == theirs for mine, theirs in zip(one.split("-"), other.split("-"), strict=False))


def read(path: Path) -> PairReview:
    """Read a file of decisions. Raises `InputError` as `hnm_core.data.decision_file.read_log`."""
    log = read_log(path, _decision, _WHAT)
    return PairReview(log.decisions, log.of, log.torn)


def _decision(told: object) -> PairDecision:
    """What a line says. Raises `ValueError` where that is no decision."""
    match told:
        case {
            "query": str() | int() as query,
            "document": str() | int() as document,
            "verdict": "keep" | "drop" | "relevant" as verdict,
        }:
            return PairDecision(query, document, verdict)
    raise ValueError("no decision")


@contextmanager
def reviewing(path: Path, of: PairSubject) -> Iterator[PairReviewing]:
    """Begin a review of a set in a new file, or go on with the one that is there.

    Raises:
        InputError: the file is of another set, is no review, is being written by another program, or cannot be.
    """
    with locked_log(path, _decision, _WHAT) as (file, there):
        review = PairReview(there.decisions, there.of or of.fingerprint, there.torn)
        check_of(review, of, path)
        begin(file, there, of.fingerprint, of.name)
        yield PairReviewing(review, file)


def check_of(review: PairReview, of: PairSubject, path: Path) -> None:
    """Raises `InputError` where the review is of another set."""
    if review.of and not same_set(review.of, of.fingerprint):
        raise InputError(
            f"'{path}' is a review of other data: '{of.name}' has {of.queries:,} queries and {of.documents:,} "
            "documents, and these, their texts or their judgements are not those that were reviewed."
        )


def applied(judged: JudgedSet, review: PairReview, path: Path) -> JudgedSet:
    """The set with what was decided: what is relevant is judged so, what stays a negative is judged not to be, and what
    was dropped is neither a positive nor a negative of its query. `path` is that of the review, for messages.

    Raises:
        InputError: it is a review of other data, or names a query or a document that these do not have.
    """
    check_of(review, subject(judged), path)
    decided = review.by_pair()
    query = _rows([query for query, _ in decided], judged.queries.ids, "query", path, judged.name)
    document = _rows([document for _, document in decided], judged.documents.ids, "document", path, judged.name)
    verdict = np.array(list(decided.values()), dtype="U8")
    dropped = verdict == "drop"
    grade = (verdict == "relevant").astype(np.float32)
    old = judged.judgements
    made = _ordered(
        np.concatenate((old.query, query[~dropped])),
        np.concatenate((old.document, document[~dropped])),
        np.concatenate((old.grade, grade[~dropped])),
    )
    left_out = _ordered(query[dropped], document[dropped], grade[dropped])
    as_read = f"{judged.as_read} {said_of(review, path)}".strip()
    return replace(judged, judgements=made, left_out=left_out if len(left_out) else None, as_read=as_read)


def said_of(review: PairReview, path: Path) -> str:
    """What it changes, in a sentence."""
    counts = review.counts()
    return (
        f"By the review '{path.name}' {counts['relevant']:,} more documents are relevant to a query, "
        f"{counts['keep']:,} are not, and {counts['drop']:,} are neither."
    )


def _rows(ids: list[Id], there: Ids, what: str, path: Path, name: str) -> NDArray[np.int64]:
    """Rows of these ids. Raises `InputError` where there is none."""
    rows = {each: row for row, each in enumerate(there.tolist() if isinstance(there, np.ndarray) else there)}
    unknown = next((each for each in ids if each not in rows), None)
    if unknown is not None:
        raise InputError(f"'{path}' decides on the {what} '{shortened(str(unknown))}', which '{name}' does not have.")
    return np.array([rows[each] for each in ids], np.int64)


def _ordered(query: NDArray[np.int64], document: NDArray[np.int64], grade: NDArray[np.float32]) -> Judgements:
    """By query, then document; of a pair that comes twice the last."""
    last = {pair: place for place, pair in enumerate(zip(query.tolist(), document.tolist(), strict=True))}
    place = np.array([last[pair] for pair in sorted(last)], np.int64)
    return Judgements(query[place], document[place], grade[place])
