"""Figures of embeddings, those of a file and those that a recorded lane gives its held-out items."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hnm_core import data
from hnm_core.data.base import Dataset, Progress, report
from hnm_core.data.item_labels import ItemLabels
from hnm_core.data.own import in_words
from hnm_core.data.split import queries, thinned
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.chance import chance_levels, chance_of_partners
from hnm_core.evaluation.clustering import clustering
from hnm_core.evaluation.codes import code_retrieval
from hnm_core.evaluation.projection import tsne_snapshot
from hnm_core.evaluation.ranking import ranking
from hnm_core.evaluation.retrieval import knn_accuracies
from hnm_core.evaluation.sought import OfLabels
from hnm_core.recording import Recording, open_recording
from hnm_core.recording.runs import find_run
from hnm_core.run.results import DOCUMENT_NAMES
from hnm_core.several_labels import SeveralLabels
from hnm_core.spec.data_files import data_format
from hnm_core.spec.registry import DATASETS, is_over_documents
from hnm_core.spec.request import data_config
from hnm_core.studies.embedding import Say, check_width, embed_rows, trained_network
from hnm_core.studies.plots import plot_map, require_matplotlib
from hnm_core.system import paths
from hnm_core.training.setup import Shared, prepare
from hnm_core.words import number

Figures = dict[str, float]
"""Scores by name."""

MAX_ITEMS = 10_000
"""In sets up to this size every item queries all others; of a larger one a fixed part does, as many as take the time of
these."""

MIN_QUERIES = 1_000
"""But no fewer, however large the set."""

MAX_CLUSTERED = 10_000
"""Items that are clustered; where there are more, a fixed part whose small classes are whole."""

MAX_DRAWN = 5_000
"""Items of a map."""

CHANCE = "chance"
"""Title of the column of a random ranking."""

SEED_K = range(25, 30)
"""Neighbours over which an accuracy is averaged as an older protocol has it."""

TITLES = {
    "precision_at_1": "precision@1",
    "r_precision": "R-precision",
    "map_at_r": "MAP@R",
    "mean_average_precision": "mAP over R",
    "map_at_k": "mAP@{k} over R",
    "map_over_hits_at_k": "mAP@{k} over hits",
    "mean_reciprocal_rank": "MRR",
    "recall_at_k": "recall@{k} over R",
    "knn_accuracy": "kNN accuracy, k = {k}",
    "knn_25_29": "kNN accuracy, mean of k = 25 to 29",
    "nmi": "NMI, k-means",
    "ami": "AMI, k-means",
    "code_map": "sign codes: mAP over R, ties averaged",
    "code_map_best": "sign codes: luckiest order",
    "code_map_worst": "sign codes: unluckiest order",
    "code_map_at_r": "sign codes: MAP@R",
    "code_radius": "sign codes: precision within 2 bits",
}
"""What each figure is called; the divisor is named where there is more than one."""

DOCUMENT_TITLES = {
    **DOCUMENT_NAMES,
    "mean_average_precision": "MAP of the first 100",
    "precision_at_1": "precision@1",
}
"""The same, of queries and documents."""


@dataclass(frozen=True, eq=False)
class Asked:
    """Which of N items are scored."""

    labels: NDArray[np.int64]
    """(N,)"""
    queries: NDArray[np.int64]
    """(Q,) those that query, each against all N"""
    clustered: NDArray[np.int64]
    """those that are clustered"""
    several: SeveralLabels | None = None
    """Of the N items, where they have several labels each: relevant is what shares one"""


def asked(
    labels: NDArray[np.int64], querying: NDArray[np.int64] | None = None, several: ItemLabels | None = None
) -> Asked:
    """Which of the items with these (N,) labels are scored; `querying` are those that query where that is settled. Of
    items with `several` labels each `labels` are one of them."""
    if querying is None:
        most = len(labels) if len(labels) <= MAX_ITEMS else max(MIN_QUERIES, MAX_ITEMS**2 // len(labels))
        querying = queries(labels, most, seed=0)
    if several is not None:
        found = SeveralLabels.of_arrays(several.offsets, several.label, several.count)
        return Asked(labels, querying, np.zeros(0, np.int64), found)
    return Asked(labels, querying, thinned(labels, MAX_CLUSTERED, seed=0))


def figures(
    embeddings: NDArray[np.float32],
    of: Asked,
    distance: Distance,
    k: int,
    codes: bool,
    progress: Progress | None = None,
    name: str = "",
) -> Figures:
    """Every figure of (N, D) embeddings; those of sign codes only if asked for. Where items have several labels each
    there are rankings alone: a vote and a cluster are of classes. `progress` is told of what has this name."""
    parts = 1 if of.several is not None else 4 if codes else 3
    report(progress, 0, parts, name)
    x, y, query = (torch.from_numpy(np.array(values)) for values in (embeddings, of.labels, of.queries))
    if of.several is not None:
        ranked = ranking(x, of.several, distance, k=k, queries=query)
        report(progress, 1, parts, name)
        return {name: float(getattr(ranked, name)) for name in TITLES if hasattr(ranked, name)}
    ranked = ranking(x, y, distance, k=k, queries=query)
    report(progress, 1, parts, name)
    clusters = clustering(distance.prepare_exactly(x[of.clustered]), y[of.clustered])
    report(progress, 2, parts, name)
    found = {name: float(getattr(ranked, name)) for name in TITLES if hasattr(ranked, name)}
    found["knn_25_29"] = float(np.mean(knn_accuracies(x, y, distance, ks=SEED_K, queries=query)))
    found |= {"nmi": clusters.nmi, "ami": clusters.ami}
    report(progress, 3, parts, name)
    if codes:
        coded = code_retrieval(x, y, queries=query)
        report(progress, 4, parts, name)
        found |= {
            "code_map": coded.mean_average_precision,
            "code_map_best": coded.best_order,
            "code_map_worst": coded.worst_order,
            "code_map_at_r": coded.map_at_r,
            "code_radius": coded.precision_in_radius,
        }
    return found


def is_file(what: str) -> bool:
    """Whether `what` names a file of embeddings, as opposed to a recording, which is a folder."""
    return data_format(Path(what)) is not None or paths.is_file(what)


def evaluate_file(
    path: Path,
    distance: Distance,
    k: int,
    codes: bool,
    options: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> tuple[dict[str, Figures], str]:
    """Figures of the embeddings `x` with labels `y` in a file of data, in a column of the file's name, with those of
    chance beside them; and what was scored, in words. `options` are those of the data set `file`.

    Raises:
        InputError: no such file, or not what it must be; or codes of items with several labels each.
    """
    dataset = _of_file(str(path), options)
    if codes and dataset.several is not None:
        raise InputError("--codes is not allowed: codes are scored by classes, and these items have several labels.")
    of = asked(dataset.y, several=dataset.several)
    found = figures(dataset.x, of, distance, k, codes, progress, path.name)
    table = {path.name: found, CHANCE: _chance(of, k)}
    return table, f"{in_words(dataset)} {_what(of, len(dataset.y), 'items')}"


def _of_file(path: str, options: Mapping[str, Any] | None) -> Dataset:
    return data.build(DATASETS.part("file", {**(options or {}), "path": path}), several=True)


def evaluate_run(
    run: str, k: int, codes: bool, say: Say, source: str | None = None, progress: Progress | None = None
) -> tuple[dict[str, Figures], str]:
    """Figures of what each lane of a recording makes of the run's held-out items, or of other data, with the weights it
    ended with; with those of a checkpoint, which is said, where the run was broken off. Of a run over queries and
    documents the metrics are those of its held-out queries, or of all queries of another set.

    Args:
        source: a data set or a file of data of as many features, or another set of queries and documents; None takes
            the run's own.

    Raises:
        InputError: no such recording or data, it holds no weights, or the data are of another width.
    """
    recording = open_recording(find_run(run))
    if is_over_documents(recording.config.data.name):
        return _over_documents(recording, say, source)
    if source is not None:
        evaluated, of, words = _other_data(source, recording.config.seed)
    else:
        shared = prepare(recording.config.model_copy(update={"device": "cpu"}))
        evaluated, labels = _evaluated(shared)
        of = replace(asked(labels, shared.query_place.numpy()), several=_labels_of(shared))
        kind = "held-out items" if shared.evaluated.held_out else "items, the ones trained on"
        data_words = f"{shared.in_words} " if recording.config.data.own else ""
        words = f"{data_words}{_what(of, shared.evaluated.items, kind)}"
    table, configs = {}, recording.lane_configs
    for name in recording.lanes:
        lane = configs[name].lanes[0]
        network, width, _ = trained_network(recording, name, say)
        if source is not None:
            check_width(source, evaluated.shape[1], name, width)
        embedded = embed_rows(network, evaluated)
        distance = Distance(lane.distance, lane.normalize)
        table[name] = figures(embedded, of, distance, k, codes or lane.loss == "dtsh", progress, name)
    table[CHANCE] = _chance(of, k)
    return table, words


def _over_documents(recording: Recording, say: Say, source: str | None) -> tuple[dict[str, Figures], str]:
    from hnm_core.studies import over_documents

    notes: list[str] = []
    scored = over_documents.score(recording, source, notes)
    for note in notes:
        say(note)
    return {**scored.lanes, CHANCE: scored.chance}, scored.words


def is_of_documents(run: str) -> bool:
    """Whether a recording is of a run over queries and documents. Raises `InputError` where there is none."""
    return is_over_documents(open_recording(find_run(run)).config.data.name)


def check_map(path: Path, run: str | None = None) -> None:
    """Raises `InputError` when a map cannot be drawn into `path`, or not of this recording."""
    require_matplotlib()
    if path.suffix not in (".png", ".svg"):
        raise InputError(f"'{path}': a map is a .png or .svg file.")
    if not paths.is_folder(path.parent):
        raise InputError(f"'{path}': there is no folder '{path.parent}'.")
    if run is not None and is_of_documents(run):
        raise InputError("--tsne is not allowed: a map shows classes, and this run is over queries and documents.")


def snapshot(what: str, lane: str | None, path: Path, options: Mapping[str, Any] | None = None) -> None:
    """Draw what is evaluated as a t-SNE map into a PNG or SVG file: a file's embeddings, or one lane of a recording.
    Items with several labels each have the colour of their rarest.

    Raises:
        InputError: as `evaluate_file` and `evaluate_run`; no such lane; matplotlib is missing.
    """
    if is_file(what):
        dataset = _of_file(what, options)
        rows = thinned(dataset.y, MAX_DRAWN, seed=0)
        embedded, labels, title = dataset.x[rows], dataset.y[rows], Path(what).name
    else:
        recording = open_recording(find_run(what))
        title = lane if lane is not None else recording.lanes[0]
        network = trained_network(recording, title).network
        shared = prepare(recording.config.model_copy(update={"device": "cpu"}))
        evaluated, labels = _evaluated(shared)
        embedded = embed_rows(network, evaluated)
    points = tsne_snapshot(torch.from_numpy(np.array(embedded))).numpy()
    plot_map(points, labels, f"{title}, t-SNE", path)


def _evaluated(shared: Shared) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features and labels of the items that a run is measured on."""
    return shared.x[shared.evaluated_row].numpy(), shared.evaluated_label.numpy()


def _labels_of(shared: Shared) -> SeveralLabels | None:
    """Of the items that a run is measured on, where they have several labels each."""
    return shared.evaluated_labels if isinstance(shared.evaluated_labels, SeveralLabels) else None


def _other_data(source: str, seed: int) -> tuple[NDArray[np.float32], Asked, str]:
    """Features of other data, which of them are scored, and what they are in words."""
    dataset = data.build(data_config(source).part, seed=seed, minable=False)
    of = asked(dataset.y)
    return dataset.x, of, f"{in_words(dataset)} {_what(of, len(dataset.y), 'items')}"


def _chance(of: Asked, k: int) -> Figures:
    others = len(of.labels) - 1
    if of.several is not None:
        partners = OfLabels(of.several, torch.device("cpu")).partners(torch.from_numpy(np.array(of.queries)))
        levels = chance_of_partners(partners.numpy(), others)
    else:
        levels = chance_levels(of.labels, of.queries)
        same = {
            "knn_25_29": "knn_accuracy",
            "code_map": "mean_average_precision",
            "code_map_at_r": "map_at_r",
            "code_radius": "precision_at_1",
        }
        levels |= {name: levels[as_in] for name, as_in in same.items() if as_in in levels}
    return levels | ({"recall_at_k": min(k, others) / others} if levels else {})


def _what(of: Asked, there: int, kind: str) -> str:
    """What was scored, out of so many items `there`, and what the figures cannot say of them."""
    among, asking = len(of.labels), len(of.queries)
    if asking == there:
        words = f"{there:,} {kind}; every item queries all others."
    else:
        words = f"{asking:,} of {there:,} {kind}, a fixed part, query {'all ' if among == there else ''}{among:,}."
    if of.several is not None:
        without = int(of.several.without[torch.from_numpy(np.array(of.queries))].sum())
        left_out = f" {without:,} of these have no label and ask for nothing." if without else ""
        return f"{words} Relevant is what shares a label.{left_out}"
    if len(of.clustered) < among:
        words += f" Clusterings are of {len(of.clustered):,}."
    _, own, counts = np.unique(of.labels, return_inverse=True, return_counts=True)
    alone = int((counts[own.reshape(-1)[of.queries]] == 1).sum())
    if (counts == 1).all():
        return f"{words} No class has two items, so there is nothing to find."
    if alone == asking:
        return f"{words} None of these is of a class with two items, so there is nothing to find."
    if alone:
        items = (
            "1 item is the only one of its class and asks"
            if alone == 1
            else (f"{alone:,} items are the only ones of their classes and ask")
        )
        words += f" {items} for nothing: only the kNN accuracy and the clusterings count them."
    if len(counts) == 1:
        words += " All are of one class: whatever is found is right, and the figures say nothing of the embedding."
    return words


def as_table(table: dict[str, Figures], k: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Columns and rows to print: one row for each figure that any column has."""
    measured = [column for title, column in table.items() if title != CHANCE]
    titles = DOCUMENT_TITLES if any("mrr_at_10" in column for column in measured) else TITLES
    names = [name for name in titles if any(math.isfinite(column.get(name, math.nan)) for column in measured)]
    rows = [
        (titles[name].format(k=k), *(number(column.get(name, math.nan), 4) for column in table.values()))
        for name in names
    ]
    return ("figure", *table), rows
