"""Finds the parts of a set in a folder, texts, embeddings, ids and qrels, and reads them together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from hnm_core.data import checks
from hnm_core.data.base import Progress
from hnm_core.data.judged import Ids, Items, JudgedSet
from hnm_core.data.retrieval import matrices
from hnm_core.data.retrieval.beir import Texts, read_texts
from hnm_core.data.retrieval.joining import ids_of, joined
from hnm_core.data.retrieval.matrices import Matrix, read_ids, read_matrix
from hnm_core.data.retrieval.qrels import Qrels, read_qrels
from hnm_core.errors import InputError
from hnm_core.system import paths

USUAL_SPLIT = "test"
QRELS_SUFFIXES = (".tsv", ".txt", ".trec", ".qrels")
_GZ = ("", ".gz")


@dataclass(frozen=True)
class SideNames:
    """What the files of the queries, or of the documents, are called."""

    noun: str
    text: str
    """Without its ending, which is `.jsonl`."""
    stems: tuple[str, ...]
    """Of the embeddings."""
    ids: tuple[str, ...]

    @property
    def plural(self) -> str:
        """As options and arrays call them."""
        return self.stems[0]


QUERIES = SideNames("query", "queries", ("queries",), ("query_ids", "queries.ids"))
DOCUMENTS = SideNames("document", "corpus", ("documents", "corpus"), ("document_ids", "documents.ids", "corpus.ids"))


@dataclass(frozen=True)
class SideFiles:
    """Files of one side; None for what is not there."""

    names: SideNames
    text: Path | None = None
    embeddings: Path | None = None
    ids: Path | None = None

    @property
    def there(self) -> bool:
        """Whether there is a side at all."""
        return self.text is not None or self.embeddings is not None


@dataclass(frozen=True)
class SetFiles:
    """Files of a set."""

    queries: SideFiles = SideFiles(QUERIES)
    documents: SideFiles = SideFiles(DOCUMENTS)
    qrels: tuple[Path, ...] = ()
    """One for each split, in alphabetical order."""


def files_in(folder: Path) -> SetFiles:
    """What of a set lies in a folder, by the usual names. Raises `InputError` where a part is there twice."""
    qrels = _with_endings(folder / "qrels", None, QRELS_SUFFIXES) if paths.is_folder(folder / "qrels") else []
    qrels = [path for path in qrels if path.name.endswith((".tsv", ".tsv.gz"))] or qrels  # what else is there is prose
    qrels += _with_endings(folder, ("qrels",), QRELS_SUFFIXES)
    return SetFiles(_side_in(folder, QUERIES), _side_in(folder, DOCUMENTS), tuple(sorted(qrels)))


def read_files(files: SetFiles, name: str, split: str = "", progress: Progress | None = None) -> JudgedSet:
    """Read a set from its files.

    Of a set with several files of qrels, queries that only other splits judge are left out.

    Args:
        files: both sides and at least one file of qrels.
        name: of the set.
        split: which qrels; empty takes `test`, or the only ones.
        progress: called while files are read.

    Raises:
        InputError: a part is missing, damaged or does not go with the others.
        LoadCancelled: the progress callback returned False.
        OSError: a file cannot be opened, or is no ordinary one.
    """
    chosen = _split(files.qrels, split)
    qrels = read_qrels(chosen, progress)
    queries, about_queries = _read_side(files.queries, progress)
    documents, about_documents = _read_side(files.documents, progress)
    _check_widths(queries, documents, files)
    said = [f"Qrels: '{chosen.name}'." if len(files.qrels) == 1 else f"Split '{split_of(chosen)}'."]
    others = [path for path in files.qrels if path != chosen]
    if others:
        queries, left_out = _without_other_splits(queries, qrels, others, progress)
        said += [left_out]
    return joined(
        name,
        queries,
        documents,
        qrels,
        in_queries=_home(files.queries),
        in_documents=_home(files.documents),
        said=[*said, about_queries, about_documents],
    )


def split_of(path: Path) -> str:
    """The split whose qrels a file holds."""
    return Path(path.name.removesuffix(".gz")).stem


def _side_in(folder: Path, names: SideNames) -> SideFiles:
    return SideFiles(
        names,
        _one(_with_endings(folder, (names.text,), (".jsonl",)), f"texts of the {names.plural}"),
        _one(_with_endings(folder, names.stems, matrices.SUFFIXES), f"embeddings of the {names.plural}"),
        _one(_with_endings(folder, names.ids, matrices.ID_SUFFIXES), f"ids of the {names.plural}"),
    )


def _with_endings(folder: Path, stems: Sequence[str] | None, endings: Sequence[str]) -> list[Path]:
    """Files of some names, or of any, with one of the endings."""
    if stems is None:
        try:
            found = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        except OSError as error:
            raise InputError(f"The folder '{folder}' cannot be read: {paths.why(error)}.") from None
        return sorted(entry for entry in found if entry.name.removesuffix(".gz").endswith(tuple(endings)))
    tried = (folder / f"{stem}{ending}{gz}" for stem in stems for ending in endings for gz in _GZ)
    return [path for path in tried if paths.exists(path)]


def _one(found: Sequence[Path], what: str) -> Path | None:
    if len(found) > 1:
        names = " and ".join(f"'{path.name}'" for path in found)
        raise InputError(f"'{found[0].parent}' holds {names}, which both could be the {what}; leave one there.")
    return found[0] if found else None


def _split(qrels: Sequence[Path], split: str) -> Path:
    known = {split_of(path): path for path in qrels}
    if split:
        if split in known:
            return known[split]
        raise InputError(f"There are no qrels of the split '{split}'; there are: {checks.shown_names(list(known))}.")
    if len(qrels) == 1:
        return qrels[0]
    if USUAL_SPLIT in known:
        return known[USUAL_SPLIT]
    raise InputError(f"There are qrels of several splits, {checks.shown_names(list(known))}; choose one by --split.")


def _read_side(files: SideFiles, progress: Progress | None) -> tuple[Items, str]:
    """The items of one side, and what is to be said of them."""
    noun, plural = files.names.noun, files.names.plural
    texts = None if files.text is None else read_texts(files.text, noun, progress)
    matrix = None
    if files.embeddings is not None:
        matrix = read_matrix(files.embeddings, (*files.names.stems, files.names.noun, f"{noun}_embeddings"), progress)
    ids, said = _ids(files, texts, matrix)
    if matrix is not None and len(matrix.vectors) != len(ids):
        raise InputError(
            f"'{files.embeddings}' has {checks.count(len(matrix.vectors), 'row')}, and '{files.text or files.ids}' has "
            f"{checks.count(len(ids), 'id')}; row i must be the embedding of the {noun} in line i."
        )
    if matrix is not None and matrix.zero:
        said += f" {checks.count(matrix.zero, 'embedding')} of the {plural} {'is' if matrix.zero == 1 else 'are'} zero."
    return Items(ids, None if texts is None else texts.text, None if matrix is None else matrix.vectors), said.strip()


def _ids(files: SideFiles, texts: Texts | None, matrix: Matrix | None) -> tuple[Ids, str]:
    """The ids of a side, from whichever file has them; where several have, they must be the same."""
    noun = files.names.noun
    given: list[tuple[Path, Ids]] = []
    if texts is not None and files.text is not None:
        given.append((files.text, texts.ids))
    if files.ids is not None:
        path = files.ids
        given.append((path, ids_of(read_ids(path), lambda row: f"'{path}', id {row:,} (counted from 0),", noun)))
    if matrix is not None and matrix.ids is not None and files.embeddings is not None:
        there = files.embeddings
        given.append((there, ids_of(matrix.ids, lambda row: f"'{there}', row {row:,} (counted from 0),", noun)))
    if not given:
        assert matrix is not None
        return np.arange(len(matrix.vectors)), f"Ids of the {files.names.plural} are their rows, counted from 0."
    (first, ids), *rest = given
    for path, others in rest:
        if len(ids) != len(others):
            raise InputError(
                f"'{first}' has {checks.count(len(ids), 'id')} and '{path}' has {len(others):,}; they must be those of "
                f"the same {files.names.plural}."
            )
        row = next((row for row, pair in enumerate(zip(ids, others, strict=True)) if str(pair[0]) != str(pair[1])), -1)
        if row >= 0:
            raise InputError(
                f"Row {row:,} (counted from 0) has the id '{checks.shown(str(ids[row]))}' in '{first}' and "
                f"'{checks.shown(str(others[row]))}' in '{path}'; both must have the same {files.names.plural} in the "
                "same order."
            )
    return ids, ""


def _check_widths(queries: Items, documents: Items, files: SetFiles) -> None:
    one, other = queries.embeddings, documents.embeddings
    if one is not None and other is not None and one.shape[1] != other.shape[1]:
        raise InputError(
            f"'{files.queries.embeddings}' has {one.shape[1]:,} dimensions and '{files.documents.embeddings}' has "
            f"{other.shape[1]:,}; queries and documents must have the same."
        )
    if (one is None) != (other is None):
        there = files.queries if one is not None else files.documents
        other_side = files.documents if one is not None else files.queries
        raise InputError(
            f"'{there.embeddings}' are embeddings of the {there.names.plural}, but there are none of the "
            f"{other_side.names.plural}; give both, or none."
        )


def _without_other_splits(
    queries: Items, qrels: Qrels, others: Sequence[Path], progress: Progress | None
) -> tuple[Items, str]:
    """The queries that these qrels judge, and those that none do; and how many were left out."""
    here = set(qrels.query)
    elsewhere = {one for path in others for one in read_qrels(path, progress).query} - here
    kept = np.array([row for row, one in enumerate(queries.ids) if str(one) not in elsewhere], np.int64)
    if len(kept) == len(queries):
        return queries, ""
    left_out = len(queries) - len(kept)
    ids, text = queries.ids, queries.text
    made = dataclasses.replace(
        queries,
        ids=ids[kept] if isinstance(ids, np.ndarray) else [ids[row] for row in kept.tolist()],
        text=None if text is None else [text[row] for row in kept.tolist()],
        embeddings=None if queries.embeddings is None else queries.embeddings[kept],
    )
    words = "1 query of another split is" if left_out == 1 else f"{left_out:,} queries of other splits are"
    return made, f"{words} left out."


def _home(files: SideFiles) -> str:
    """Where the ids of a side are from, for messages."""
    return f"'{files.text or files.ids or files.embeddings}'"
