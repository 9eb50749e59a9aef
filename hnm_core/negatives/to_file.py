"""From a set to the file that a trainer reads: mined in blocks that outlive the program, then written in one go."""

from __future__ import annotations

import importlib.metadata
import json
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import hnm_core
from hnm_core.data.base import Progress
from hnm_core.data.base import report as report_phase
from hnm_core.data.item_labels import ItemLabels
from hnm_core.data.judged import Items, JudgedSet
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.negatives import files
from hnm_core.negatives.anchors import Anchors, of_classes, of_judged
from hnm_core.negatives.candidates import ListFinder, read_lists
from hnm_core.negatives.formats import Written, check_form
from hnm_core.negatives.mining import Block, Finder, Mined, Miner, SearchFinder, joined
from hnm_core.negatives.options import MineOptions
from hnm_core.negatives.parts import Parts, hash_of
from hnm_core.several_labels import SeveralLabels
from hnm_core.spec.registry import Part, SearchOptions
from hnm_core.system import paths
from hnm_core.system.whole_files import check_writable, whole_file, write_whole

PACKAGES = ("torch", "numpy", "numba")
"""Whose versions are told."""


@dataclass(frozen=True, eq=False)
class LabelledSet:
    """Items of classes, or with several labels each, as what is mined from."""

    name: str
    items: Items
    labels: NDArray[np.int64]
    """(N,)"""
    true_labels: NDArray[np.int64] | None = None
    """(N,) where `labels` are known to be noisy."""
    several: ItemLabels | None = None
    """Of the N items, where they have several labels each; `labels` then say nothing of what is relevant."""


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked for."""

    out: Path
    options: MineOptions
    search: Part[SearchOptions]
    distance: Distance
    form: str = ""
    """One of `formats.FORMS` or npz; empty takes that of the ending."""
    scores: bool = False
    candidates: tuple[Path, ...] = ()
    """Lists of others in the place of a search."""


@dataclass(frozen=True, eq=False)
class Report:
    """What came of it, as it stands in `OUT.meta.json`."""

    mined: Mined
    form: str
    records: int
    without_record: int
    """Anchors of which the file holds nothing."""
    candidates: str
    """Where they came from, in words."""
    seconds: Mapping[str, float]
    """By phase, over all calls that made it."""
    resumed: int
    """Blocks that an earlier call had made."""
    of_another: int = 0
    """Blocks of an earlier call with other data or options, which made way."""

    @property
    def negatives(self) -> int:
        """All together."""
        return int((self.mined.negative >= 0).sum())


def mine_to_file(given: JudgedSet | LabelledSet, request: Request, progress: Progress | None = None) -> Report:
    """Mine a set and write the file, and `OUT.meta.json` beside it.

    Blocks are kept in the folder `OUT.parts` until the file is whole. Called again for the same set and options after
    it was ended, however that was, it goes on behind the last whole block, and the file is the same to the last byte.

    Args:
        given: a set with embeddings.
        request: what is asked for, and where it goes.
        progress: called as progress(done, total, what); returning False ends it, and what is done is kept.

    Raises:
        InputError: a form that does not go with the set or with the ending, what `hnm_core.mine` refuses, or a file
            that cannot be written.
        LoadCancelled: the progress callback returned False.
    """
    queries, documents = (
        (given.queries, given.documents) if isinstance(given, JudgedSet) else (given.items, given.items)
    )
    form = request.form or files.usual_form(request.out)
    check_form(form, queries, documents)
    files.check_ending(request.out, form)
    _check_beside(request.out)
    seconds = dict.fromkeys(("hash", "index", "search", "choose", "write"), 0.0)
    try:
        with whole_file(request.out) as part:
            begun = time.perf_counter()
            finder = _finder(request, queries, documents)
            judged = given.judgements if isinstance(given, JudgedSet) else given.several or given.labels
            lists = (finder.hash,) if isinstance(finder, ListFinder) else ()
            left_out = given.left_out if isinstance(given, JudgedSet) else None
            source = hash_of(queries, documents, judged, left_out)
            parts = Parts(_parts_of(request.out), _asked(request, source, lists))
            seconds["hash"] = time.perf_counter() - begun
            miner = Miner(anchors_of(given, request.options), request.options, request.distance, finder)
            seconds["index"] = time.perf_counter() - begun - seconds["hash"]
            blocks, resumed = _blocks(miner, parts, progress)
            for block in blocks:
                for phase, spent in block.seconds.items():
                    seconds[phase] += spent
            mined = joined([block.mined for block in blocks])
            begun = time.perf_counter()
            report_phase(progress, 0, 0, "writing")
            to = Written(queries, documents, request.scores)
            records, without = files.write(part, request.out.name, form, mined, to)
            seconds["write"] = time.perf_counter() - begun
            made = Report(mined, form, records, without, finder.description, seconds, resumed, parts.of_another)
    except OSError as error:
        raise InputError(f"'{request.out}' cannot be written: {paths.why(error)}.") from None
    try:
        write_whole(meta_of(request.out), json.dumps(_meta(given, request, source, made), indent=1) + "\n")
        parts.remove()
    except OSError as error:
        raise InputError(
            f"'{request.out}' is written, but what belongs beside it cannot be, '{error.filename}': "
            f"{paths.why(error)}; the same command does the rest."
        ) from None
    return made


def meta_of(out: Path) -> Path:
    """Where it is told how a file was made."""
    return out.with_name(f"{out.name}.meta.json")


def _check_beside(out: Path) -> None:
    """Raises `InputError` where what is told beside a file could not be written, before anything is mined."""
    meta = meta_of(out)
    try:
        if paths.is_folder(out.parent):  # else the file itself cannot be written, which is what is told
            check_writable(meta)
    except OSError as error:
        raise InputError(
            f"'{meta}', which tells how '{out.name}' was made, cannot be written: {paths.why(error)}."
        ) from None


def _parts_of(out: Path) -> Path:
    return out.with_name(f"{out.name}.parts")


def _finder(request: Request, queries: Items, documents: Items) -> Finder:
    if request.candidates:
        return ListFinder(read_lists(request.candidates, queries, documents), request.distance)
    return SearchFinder(request.search, request.distance)


def anchors_of(given: JudgedSet | LabelledSet, options: MineOptions) -> Anchors:
    """Whom to mine for. Raises `InputError` where there are no embeddings, or they are not what a bank takes."""
    if isinstance(given, JudgedSet):
        return of_judged(given, options)
    if given.items.embeddings is None:
        raise InputError(f"'{given.name}' has no embeddings.")
    if given.several is None:
        return of_classes(given.items.embeddings, given.labels)
    several = given.several
    return of_classes(given.items.embeddings, SeveralLabels.of_arrays(several.offsets, several.label, several.count))


def _asked(request: Request, source: str, lists: Sequence[str]) -> str:
    """All that blocks depend on, as text."""
    return json.dumps(
        {
            "set": source,
            "lists": list(lists),
            "options": request.options.model_dump(),
            "search": [request.search.entry.name, request.search.options.model_dump()],
            "distance": [request.distance.metric, request.distance.normalized],
            "versions": _versions(),
        },
        sort_keys=True,
    )


def _blocks(miner: Miner, parts: Parts, progress: Progress | None) -> tuple[list[Block], int]:
    """All blocks, and how many of them were there."""
    made: list[Block] = []
    state: Sequence[int] = ()
    there = 0
    for number, part in enumerate(miner.parts()):
        report_phase(progress, part.start, len(miner), "anchors")
        block = parts.load(number)
        if block is None or len(block.mined) != part.stop - part.start:
            block = miner.block(part, state)
            parts.save(number, block)
        else:
            there += 1
        made.append(block)
        state = block.state
    report_phase(progress, len(miner), len(miner), "anchors")
    return made, there


def _versions() -> dict[str, str]:
    versions = {"hnm-lab": hnm_core.__version__, "python": platform.python_version()}
    return versions | {package: importlib.metadata.version(package) for package in PACKAGES}


def _meta(given: JudgedSet | LabelledSet, request: Request, source: str, made: Report) -> dict[str, Any]:
    mined, distance = made.mined, request.distance
    if isinstance(given, JudgedSet):
        kind = "queries and documents"
    else:
        kind = "classes" if given.several is None else "several labels an item"
    return {
        "set": given.name,
        "as_read": given.as_read if isinstance(given, JudgedSet) else "",
        "sha256": source,
        "kind": kind,
        "format": made.form,
        "scores": "cosine similarity" if distance.metric == "cosine" else f"of {distance.metric}, higher is nearer",
        "options": request.options.model_dump(),
        "search": {"name": request.search.entry.name, **request.search.options.model_dump()},
        "candidates": made.candidates,
        "distance": {"metric": distance.metric, "normalized": distance.normalized},
        "versions": _versions(),
        "seconds": {name: round(value, 3) for name, value in made.seconds.items()},
        "anchors": len(mined),
        "anchors_with_all_negatives": mined.enough,
        "anchors_with_some": mined.some,
        "anchors_with_fewer_by_reason": mined.reasons,
        "anchors_without_a_record": made.without_record,
        "negatives": made.negatives,
        "records": made.records,
        "candidates_removed_by": dict(mined.removed),
        "found_to_be_the_same": dict(mined.alike),
    }
