"""Candidates that others searched, in the place of a search of ours: lists of rows, as FAISS gives them, or TREC runs.

Their rows are measured again from the embeddings, so scores and margins mean the same whoever searched. A -1, which
FAISS puts where it found no more, is nobody; taken for a row it would be the last one.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hnm_core.data.judged import Items
from hnm_core.data.npz import read_array
from hnm_core.distances import Distance
from hnm_core.errors import InputError, shortened
from hnm_core.negatives.anchors import Anchors, distances_of
from hnm_core.neighbors.found import Neighbors
from hnm_core.relevance import JudgedQuery, RowQuery
from hnm_core.system import memory, paths
from hnm_core.system.regular_files import open_regular
from hnm_core.system.zip_lists import check_list

NAMES = ("I", "indices", "rows", "neighbors", "labels")
"""What the array of rows may be called in an archive."""
_COLUMNS = 6
"""Of a line of a run: query id, Q0, document id, rank, score, tag."""


class Lists(NamedTuple):
    """Candidates of all queries."""

    row: NDArray[np.int64]
    """(Q, K) rows of the documents, -1 for none."""
    source: str
    """Where they are from, for messages."""


class ListFinder:
    """Gives each anchor what stands in its list, nearest first, and nothing else."""

    def __init__(self, lists: Lists, distance: Distance) -> None:
        self._lists, self._distance = lists, distance

    @property
    def description(self) -> str:
        """Where candidates come from."""
        return f"candidates of '{self._lists.source}', measured again"

    @property
    def hash(self) -> str:
        """Of the lists."""
        return hashlib.sha256(np.ascontiguousarray(self._lists.row).data).hexdigest()

    def prepare(self, anchors: Anchors) -> None:
        """Raises `InputError` where the lists are not of these queries and documents."""
        row, documents = self._lists.row, anchors.documents
        most = int(anchors.anchor.max()) + 1 if len(anchors.anchor) else 0
        if len(row) < most:
            raise InputError(f"'{self._lists.source}' has lists for {len(row):,} queries, but there are {most:,}.")
        wrong = np.argwhere((row < -1) | (row >= documents))
        if len(wrong):
            line, column = wrong[0]
            raise InputError(
                f"'{self._lists.source}' names row {row[line, column]} in list {line} (counted from 0), but there are "
                f"{documents:,} documents: rows are 0 to {documents - 1}, and -1 is nobody. {len(wrong):,} are like "
                "that."
            )

    def find(self, anchors: Anchors, part: slice, k: int, *, all_rows: bool) -> Neighbors:
        """See `mining.Finder`."""
        query = anchors.query(part)
        given = torch.from_numpy(self._lists.row[anchors.anchor[part].numpy()])
        row = anchors.bank_row(given.clamp_min(0)).masked_fill(given < 0, -1)
        gone = (row < 0) | _again(row)
        if not all_rows:
            gone |= anchors.relevant(query, row)
            if isinstance(query, JudgedQuery):
                gone |= query.may_not_come_back(row)
        if isinstance(query, RowQuery):
            gone |= row == query.row[:, None]
        apart = torch.full(row.shape, torch.inf, dtype=torch.float32)
        line, column = (~gone).nonzero(as_tuple=True)
        apart[line, column] = distances_of(query.vectors, line, anchors.bank, row[line, column], self._distance)
        apart, order = apart.sort(dim=1, stable=True)
        row = row.masked_fill(gone, -1).gather(1, order)
        missing = (0, max(0, k - row.shape[1]))
        pad = torch.nn.functional.pad
        return Neighbors(pad(apart, missing, value=torch.inf)[:, :k], pad(row, missing, value=-1)[:, :k])


def read_lists(files: Sequence[Path], queries: Items, documents: Items) -> Lists:
    """Read candidates: `.npy` or `.npz` of rows, shards of queries in the order of the files, or one TREC run by ids.

    Raises:
        InputError: a file is none of these, shards differ in width, or a run names what is not there.
    """
    names = ", ".join(map(str, files))
    try:
        kinds = {path.suffix.lower() in (".npy", ".npz") for path in files}
        if kinds == {True}:
            shards = [_rows(path) for path in files]
            widths = sorted({shard.shape[1] for shard in shards})
            if len(widths) > 1:
                raise InputError(f"'{names}' hold lists of {widths[0]} and of {widths[-1]}; all need one length.")
            return Lists(np.concatenate(shards), names)
        if len(files) > 1:
            raise InputError(f"'{names}': several files are shards of .npy or .npz; a TREC run is one file.")
        return Lists(_run(files[0], queries, documents), names)
    except OSError as error:
        raise InputError(f"'{error.filename or names}' cannot be read: {paths.why(error)}.") from None


def _rows(path: Path) -> NDArray[np.int64]:
    """(Q, K). Raises `InputError`."""
    given: NDArray[Any] = read_array(path) if path.suffix.lower() == ".npy" else _of_archive(path)
    if given.ndim != 2 or given.dtype.kind not in "iu":
        raise InputError(
            f"'{path}' holds {given.dtype} of the shape {given.shape}; candidates are rows of documents, whole numbers "
            "of the shape (queries, k): the I of FAISS, not its D."
        )
    if given.dtype == np.uint64 and given.size and given.max() == np.iinfo(np.uint64).max:
        given = given.astype(np.int64)  # -1 as some searches write it, without a sign
    return np.asarray(given, np.int64)


def _of_archive(path: Path) -> NDArray[Any]:
    with open_regular(path) as raw:
        try:
            with np.load(raw, allow_pickle=False) as file:
                check_list(file.zip)
                found = [name for name in NAMES if name in file.files]
                if not found:
                    raise InputError(f"'{path}' has no array {', '.join(NAMES)}, only: {', '.join(file.files)}.")
                memory.require(
                    file.zip.getinfo(f"{found[0]}.npy").file_size, f"'{found[0]}' of '{path}'", "take shards"
                )
                rows: NDArray[Any] = file[found[0]]
        except InputError:
            raise
        except Exception as error:  # noqa: BLE001 - a damaged archive breaks zipfile in any way it likes
            raise InputError(f"'{path}' is no .npz file, or it is damaged: {shortened(str(error))}.") from None
    return rows


def _run(path: Path, queries: Items, documents: Items) -> NDArray[np.int64]:
    """(Q, K) rows by the ids in a run, in its order."""
    query_row = {str(each): row for row, each in enumerate(queries.ids)}
    document_row = {str(each): row for row, each in enumerate(documents.ids)}
    lists: list[list[int]] = [[] for _ in range(len(queries))]
    for number, columns in _lines(path):
        if columns[0] not in query_row or columns[2] not in document_row:
            what, name = ("query", columns[0]) if columns[0] not in query_row else ("document", columns[2])
            raise InputError(f"'{path}', line {number:,}: there is no {what} with the id '{shortened(name)}'.")
        lists[query_row[columns[0]]].append(document_row[columns[2]])
    width = max(map(len, lists), default=0)
    if not width:
        raise InputError(f"'{path}' holds no line of a TREC run: query id, Q0, document id, rank, score, tag.")
    rows = np.full((len(lists), width), -1, np.int64)
    for line, row in zip(rows, lists, strict=True):
        line[: len(row)] = row
    return rows


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number, from 1, and columns of the lines of a run."""
    with open_regular(path) as raw:
        unpacked = gzip.GzipFile(fileobj=raw) if path.suffix.lower() == ".gz" else raw
        try:
            with io.TextIOWrapper(unpacked, "utf-8") as file:
                for number, line in enumerate(file, 1):
                    columns = line.split()
                    if columns and len(columns) != _COLUMNS:
                        raise InputError(
                            f"'{path}', line {number:,} has {len(columns)} columns; a TREC run has {_COLUMNS}: query "
                            "id, Q0, document id, rank, score, tag."
                        )
                    if columns:
                        yield number, columns
        except UnicodeDecodeError:
            raise InputError(f"'{path}' is no text in UTF-8; candidates are .npy, .npz or a TREC run.") from None
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise InputError(f"'{path}' is no whole gzip file.") from None


def _again(row: Tensor) -> Tensor:
    """(Q, K) bool, which rows stood in their line before; -1 never did."""
    ordered, order = row.sort(dim=1, stable=True)
    again = torch.zeros_like(row, dtype=torch.bool)
    again[:, 1:] = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)
    return torch.zeros_like(again).scatter(1, order, again)
