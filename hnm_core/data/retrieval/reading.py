"""The one way in for sets of queries and documents: which reader takes a path, and what is said where none does."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hnm_core.data import checks
from hnm_core.data.base import Progress
from hnm_core.data.judged import JudgedSet
from hnm_core.data.retrieval import pairs
from hnm_core.data.retrieval.folder import SetFiles, SideFiles, files_in, read_files
from hnm_core.data.retrieval.records import suffix_of
from hnm_core.errors import InputError
from hnm_core.recording.layout import RUN_FILE
from hnm_core.spec.data_files import is_review
from hnm_core.spec.registry import DATASETS
from hnm_core.spec.traits import review_refusal
from hnm_core.system import memory, paths

BOTH_IN_ONE = (".npz", ".safetensors", ".pt")
"""Files that can hold the embeddings of queries and documents under names."""

KINDS = (
    "a folder in the BEIR layout (corpus.jsonl, queries.jsonl, qrels/test.tsv); embeddings (queries.npy, documents.npy "
    "and qrels.tsv in a folder, or --queries, --documents and --qrels); pairs in .jsonl, .parquet, .csv or .tsv, with "
    "columns query and positive or as FlagEmbedding and Tevatron write them"
)
CONVERT = 'One line {"query": "...", "positive": "..."} a pair in a .jsonl file is enough.'


def read(
    source: str = "",
    *,
    split: str = "",
    queries: str = "",
    documents: str = "",
    qrels: str = "",
    query_ids: str = "",
    document_ids: str = "",
    options: Mapping[str, Any] | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> JudgedSet:
    """Read a set of queries and documents.

    Args:
        source: a folder, a file of pairs, a file with the embeddings of both sides, or the name of a registered set;
            empty where the files below are all there is.
        split: which qrels of a folder that has several; empty takes `test`, or the only ones.
        queries: file of the queries, texts in `.jsonl` or embeddings, instead of what the folder has, or beside it.
        documents: file of the documents, likewise.
        qrels: file of the judgements.
        query_ids: file of the ids of the queries' embeddings, in their order.
        document_ids: file of those of the documents.
        options: of a registered set.
        seed: of a registered set that has one.
        progress: called while files are read.

    Raises:
        InputError: there is no such set, or it is not what it must be; one sentence, with counts, that names the file.
        LoadCancelled: the progress callback returned False.
    """
    named = {"queries": queries, "documents": documents, "qrels": qrels}
    beside = {"query_ids": query_ids, "document_ids": document_ids}
    given = {name: _existing(text, name) for name, text in (named | beside).items() if text}
    try:
        if source in DATASETS.names():
            _refuse_more(source, split, given)
            return _registered(source, options or {}, seed, progress)
        if options:
            raise InputError(f"'{source}' is no registered set, so it has no options.")
        if not source:
            return _assembled(SetFiles(), "embeddings", split, given, progress)
        path = paths.path_of(source)
        if paths.is_folder(path):
            if paths.exists(path / RUN_FILE):
                raise InputError(
                    f"'{source}' is a recording: `hnm-lab embed '{source}' OUT --lane NAME` writes what a lane of it "
                    "makes of its data, which is read in its place."
                )
            return _assembled(files_in(path), path.name, split, given, progress, path)
        if not paths.exists(path):
            raise InputError(f"There is no file or folder '{source}'. A set of queries and documents is {_kinds()}.")
        if is_review(path):
            raise InputError(review_refusal(source))
        if path.suffix.lower() in BOTH_IN_ONE:
            return _assembled(_both_in(path), path.name, split, given, progress, path)
        if suffix_of(path) not in pairs.SUFFIXES:
            ending = f"ends in '{path.suffix}'" if path.suffix else "has no ending"
            raise InputError(f"'{path}' {ending}, and a set of queries and documents is {_kinds()}. {CONVERT}")
        _refuse_more(source, split, given)
        memory.require(path.stat().st_size, f"'{path}'", "read a part of it")
        return pairs.read_pairs(path, progress)
    except MemoryError:
        raise InputError(f"'{source or queries}' does not fit into the memory.") from None
    except OSError as error:
        raise InputError(f"'{error.filename or source}' cannot be read: {paths.why(error)}.") from None


def _registered(name: str, options: Mapping[str, Any], seed: int, progress: Progress | None) -> JudgedSet:
    part = DATASETS.part(name, options)
    if not part.options.judged:
        raise InputError(f"The data set '{name}' has classes, not queries and documents. These are {_kinds()}.")
    made: JudgedSet = part.entry.load()(part.options, seed=seed, progress=progress)
    return made


def _assembled(
    files: SetFiles,
    name: str,
    split: str,
    given: Mapping[str, Path],
    progress: Progress | None,
    folder: Path | None = None,
) -> JudgedSet:
    """The set of `files`, some of them replaced by what was `given`."""
    files = SetFiles(
        _replaced(files.queries, given.get("queries"), given.get("query_ids")),
        _replaced(files.documents, given.get("documents"), given.get("document_ids")),
        (given["qrels"],) if "qrels" in given else files.qrels,
    )
    missing = [
        words
        for words, there in (
            ("queries (queries.jsonl, queries.npy or --queries)", files.queries.there),
            ("documents (corpus.jsonl, documents.npy or --documents)", files.documents.there),
            ("judgements (qrels/test.tsv, qrels.tsv or --qrels)", bool(files.qrels)),
        )
        if not there
    ]
    if missing:
        what = f"'{folder}'" if folder is not None else "What was named"
        holds = "" if folder is None or not paths.is_folder(folder) else f" It holds {_listed(folder)}."
        raise InputError(
            f"{what} lacks {' and '.join(missing)}.{holds} A set of queries and documents is {_kinds()}. {CONVERT}"
        )
    return read_files(files, name, split, progress)


def _replaced(side: SideFiles, items: Path | None, ids: Path | None) -> SideFiles:
    if items is not None and suffix_of(items) in (".jsonl", ".json"):
        side = dataclasses.replace(side, text=items)
    elif items is not None:
        side = dataclasses.replace(side, embeddings=items)
    return side if ids is None else dataclasses.replace(side, ids=ids)


def _both_in(path: Path) -> SetFiles:
    empty = SetFiles()
    return SetFiles(
        dataclasses.replace(empty.queries, embeddings=path), dataclasses.replace(empty.documents, embeddings=path)
    )


def _refuse_more(source: str, split: str, given: Mapping[str, Path]) -> None:
    if split or given:
        option = "--split" if split else f"--{next(iter(given)).replace('_', '-')}"
        raise InputError(f"'{source}' holds its queries and documents itself; {option} is for folders and embeddings.")


def _existing(text: str, name: str) -> Path:
    path = paths.path_of(text)
    if not paths.exists(path):
        raise InputError(f"There is no file '{text}', which --{name.replace('_', '-')} names.")
    return path


def _listed(folder: Path) -> str:
    return checks.shown_names(sorted(entry.name for entry in folder.iterdir()))


def _kinds() -> str:
    registered = [name for name in DATASETS.names() if DATASETS.entry(name).options.judged]
    return f"{KINDS}; or a registered set ({', '.join(registered)})"
