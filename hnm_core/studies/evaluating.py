"""Figures of embeddings, those of a file and those that a recorded lane gives its held-out items."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from hnm_core import data
from hnm_core.data.split import stratified_sample
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.evaluation.chance import chance_levels
from hnm_core.evaluation.clustering import clustering
from hnm_core.evaluation.codes import code_retrieval
from hnm_core.evaluation.projection import tsne_snapshot
from hnm_core.evaluation.ranking import ranking
from hnm_core.evaluation.retrieval import retrieval
from hnm_core.recording import open_recording
from hnm_core.recording.runs import find_run
from hnm_core.spec.data_files import data_format
from hnm_core.studies.embedding import embed_rows, trained_network
from hnm_core.studies.plots import plot_map, require_matplotlib
from hnm_core.training.setup import Shared, prepare
from hnm_core.words import number

Figures = dict[str, float]
"""Scores by name."""

MAX_ITEMS = 10_000
"""Larger sets are scored on a fixed stratified part of this size: every item queries all others."""

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


def figures(
    embeddings: NDArray[np.float32], labels: NDArray[np.int64], distance: Distance, k: int, codes: bool
) -> Figures:
    """Every figure of (N, D) embeddings with (N,) labels; those of sign codes only if asked for."""
    x, y = torch.from_numpy(np.array(embeddings)), torch.from_numpy(np.array(labels))
    ranked = ranking(x, y, distance, k=k)
    clusters = clustering(distance.prepare_exactly(x), y)
    found = {name: float(getattr(ranked, name)) for name in TITLES if hasattr(ranked, name)}
    found["knn_25_29"] = float(np.mean([retrieval(x, y, distance, k=many).knn_accuracy for many in SEED_K]))
    found |= {"nmi": clusters.nmi, "ami": clusters.ami}
    if codes:
        coded = code_retrieval(x, y)
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
    return data_format(Path(what)) is not None or Path(what).is_file()


def evaluate_file(path: Path, distance: Distance, k: int, codes: bool) -> tuple[dict[str, Figures], str]:
    """Figures of the embeddings `x` with labels `y` in a file of data, in a column of the file's name, with those of
    chance beside them; and what was scored, in words.

    Raises:
        InputError: no such file, or not what it must be.
    """
    dataset = data.create("file", path=str(path))
    rows = stratified_sample(dataset.y, MAX_ITEMS, seed=0)
    labels = dataset.y[rows]
    table = {path.name: figures(dataset.x[rows], labels, distance, k, codes), CHANCE: _chance(labels)}
    return table, _what(labels, len(dataset.y), "items")


def evaluate_run(run: str, k: int, codes: bool) -> tuple[dict[str, Figures], str]:
    """Figures of what each lane of a recording makes of the run's held-out items, with the weights it ended with.

    Raises:
        InputError: no such recording, or it holds no weights.
    """
    recording = open_recording(find_run(run))
    shared = prepare(recording.config.model_copy(update={"device": "cpu"}))
    evaluated, labels = _evaluated(shared)
    table, configs = {}, recording.lane_configs
    for name in recording.lanes:
        lane = configs[name].lanes[0]
        network, _ = trained_network(recording, name)
        embedded = embed_rows(network, evaluated)
        distance = Distance(lane.distance, lane.normalize)
        table[name] = figures(embedded, labels, distance, k, codes or lane.loss == "dtsh")
    table[CHANCE] = _chance(labels)
    kind = "held-out items" if shared.held_out else "items, the ones trained on"
    return table, _what(labels, shared.held_out or shared.trained, kind)


def check_map(path: Path) -> None:
    """Raises `InputError` when a map cannot be drawn into `path`."""
    require_matplotlib()
    if path.suffix not in (".png", ".svg"):
        raise InputError(f"'{path}': a map is a .png or .svg file.")
    if not path.parent.is_dir():
        raise InputError(f"'{path}': there is no folder '{path.parent}'.")


def snapshot(what: str, lane: str | None, path: Path) -> None:
    """Draw what is evaluated as a t-SNE map into a PNG or SVG file: a file's embeddings, or one lane of a recording.

    Raises:
        InputError: as `evaluate_file` and `evaluate_run`; no such lane; matplotlib is missing.
    """
    if is_file(what):
        dataset = data.create("file", path=what)
        rows = stratified_sample(dataset.y, MAX_DRAWN, seed=0)
        embedded, labels, title = dataset.x[rows], dataset.y[rows], Path(what).name
    else:
        recording = open_recording(find_run(what))
        title = lane if lane is not None else recording.lanes[0]
        network, _ = trained_network(recording, title)
        shared = prepare(recording.config.model_copy(update={"device": "cpu"}))
        evaluated, labels = _evaluated(shared)
        embedded = embed_rows(network, evaluated)
    points = tsne_snapshot(torch.from_numpy(np.array(embedded))).numpy()
    plot_map(points, labels, f"{title}, t-SNE", path)


def _evaluated(shared: Shared) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features and labels of the items that a run is measured on."""
    return shared.x[shared.evaluated_row].numpy(), shared.y[shared.evaluated_row].numpy()


def _chance(labels: NDArray[np.int64]) -> Figures:
    levels = chance_levels(labels)
    same = {
        "knn_25_29": "knn_accuracy",
        "code_map": "mean_average_precision",
        "code_map_at_r": "map_at_r",
        "code_radius": "precision_at_1",
    }
    return levels | {name: levels[as_in] for name, as_in in same.items() if as_in in levels}


def _what(labels: NDArray[np.int64], there: int, kind: str) -> str:
    """What was scored: the items with these labels, out of so many `there`, and what the figures cannot say of them."""
    part = "" if len(labels) == there else f", a fixed part of {there:,}"
    words = f"{len(labels):,} {kind}{part}; every item queries all others."
    counts = np.unique(labels, return_counts=True)[1]
    alone = int((counts == 1).sum())
    if alone == len(counts):
        return f"{words} No class has two items, so there is nothing to find."
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
    names = [name for name in TITLES if any(math.isfinite(column.get(name, math.nan)) for column in measured)]
    rows = [
        (TITLES[name].format(k=k), *(number(column.get(name, math.nan), 4) for column in table.values()))
        for name in names
    ]
    return ("figure", *table), rows
