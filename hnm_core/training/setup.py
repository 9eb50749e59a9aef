"""What all lanes of an experiment share, built once: data, split, initial weights, device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hnm_core import data, devices, models
from hnm_core.data.base import Dataset, Progress
from hnm_core.data.item_labels import ItemLabels
from hnm_core.data.own import in_words
from hnm_core.data.parts import split
from hnm_core.data.split import queries, stratified_sample, thinned
from hnm_core.evaluation.sought import OfLabels
from hnm_core.losses.base import Problem
from hnm_core.recording.size import expected_bytes
from hnm_core.run.evaluated import Evaluated
from hnm_core.seeding import generator
from hnm_core.several_labels import SeveralLabels
from hnm_core.spec.compatibility import Finding, check, refuse
from hnm_core.spec.config import ExperimentConfig
from hnm_core.system import memory

LARGE_RECORDING = 5_000_000_000
"""Bytes from which on it is said how large a recording is going to be."""

MAX_QUERIES = 2_000
"""At most so many items query when metrics are measured; fewer are all."""

MAX_AMONG = 20_000
"""Against at most so many each of them is ranked."""

MAX_EMBEDDING = 100e9
"""Operations that embedding these may take, about three seconds of one core; beyond it there are fewer, but never fewer
than the queries."""


@dataclass(frozen=True, eq=False)
class Shared:
    """Tensors live on `device`. Their rows are the items that are trained on and then the held-out ones, each in id
    order: so the training features are a part of all features and no copy, and a row of the training set is a row of
    everything."""

    config: ExperimentConfig
    in_words: str
    """what the data are, and of files of the user's what was taken for what"""
    class_names: tuple[str, ...]
    """of the classes in `y` and `y_true`"""
    image_shape: tuple[int, int, int] | None
    """(C, H, W) where a row of `x` is the pixels of a picture"""
    device: torch.device
    trained: int
    """T: rows 0 .. T-1 are trained on, the others are held out"""
    x: Tensor
    """(N, D) float32 features of all items"""
    y: Tensor
    """(N,) int64 labels"""
    y_true: Tensor | None
    """(N,) int64 true classes where the labels are known to be noisy"""
    groups: Tensor | None
    """(N,) int64 coarser classes to colour by, where the data set has them"""
    several: SeveralLabels | None
    """of the N rows, where items have several labels each; `y` is then the rarest of each, to colour and sample by"""
    ids: Tensor
    """(N,) int64 ids, ascending among the first T and among the others"""
    evaluated_row: Tensor
    """(H,) rows that metrics are measured on, in id order: held-out ones, or training ones where nothing is held out"""
    query_place: Tensor
    """(Q,) places in `evaluated_row` of those that query; each is ranked against all of these"""
    evaluated: Evaluated
    """what is measured, in numbers"""
    shown_row: Tensor
    """(S,) rows that frames show, in id order"""
    findings: tuple[Finding, ...]
    """what the user should know of the configuration before it trains"""
    problem: Problem
    """classes and size of the embedding, for losses with weights of their own"""
    model: nn.Module
    """the network with its initial weights; every lane trains a copy"""

    @property
    def train_x(self) -> Tensor:
        """(T, D) features that are trained on, a view."""
        return self.x[: self.trained]

    @property
    def train_y(self) -> Tensor:
        """(T,) their labels, a view."""
        return self.y[: self.trained]

    @cached_property
    def train_labels(self) -> Tensor | SeveralLabels:
        """What a bank of the training set is made with: classes, or the labels of each item."""
        if self.several is None:
            return self.train_y
        return self.several.at(torch.arange(self.trained, device=self.device))

    @cached_property
    def evaluated_labels(self) -> Tensor | SeveralLabels:
        """What is relevant among the items that metrics are measured on: `evaluated_label`, or the labels of each."""
        return self.evaluated_label if self.several is None else self.several.at(self.evaluated_row)

    @property
    def evaluated_label(self) -> Tensor:
        """(H,) classes of the items that metrics are measured on: the true ones where labels are known to be noisy, as
        to find what is labelled wrong alike is no merit."""
        return (self.y if self.y_true is None else self.y_true)[self.evaluated_row]

    @property
    def seed(self) -> int:
        """Of the experiment."""
        return self.config.seed

    @property
    def last_step(self) -> int:
        """After which no lane trains on."""
        return self.config.steps

    @property
    def held_out(self) -> int:
        """How many items are kept out of training."""
        return len(self.y) - self.trained

    def rows_of(self, ids: NDArray[np.int64]) -> Tensor:
        """(K,) rows of the items with these dataset ids. Raises `ValueError` where there is no such item."""
        known = self.ids.cpu().numpy()
        order = np.argsort(known)
        row = order[np.searchsorted(known, ids, sorter=order).clip(max=len(order) - 1)]
        if (known[row] != ids).any():
            raise ValueError("the data hold no item of some of these ids")
        return torch.from_numpy(row).to(self.device)

    def __deepcopy__(self, memo: dict[int, Any]) -> Shared:
        """Itself: nobody changes it, and a lane that is copied must not take the data with it."""
        return self


def prepare(
    config: ExperimentConfig, progress: Progress | None = None, on_data: Callable[[Dataset], None] | None = None
) -> Shared:
    """Build what the lanes share. `progress` is called during downloads and long reads, `on_data` with what came of it.

    Raises:
        InputError: no usable device, or data that cannot be trained on.
    """
    refuse(check(config))  # what names and options alone tell is said before anything is loaded, the rest below
    device = devices.resolve(config.device)
    dataset = data.build(config.data.part, seed=config.seed, progress=progress, several=True)
    several = dataset.several is not None
    refuse(check(config, several=several))  # before it is split, which may be refused
    if on_data is not None:
        on_data(dataset)
    parts = split(dataset, config.data, config.seed)
    train_row, held_out = parts.trained, parts.held_out
    findings = check(
        config, classes=parts.classes, smallest_class=parts.smallest_class, items=len(train_row), several=several
    )
    refuse(findings)
    shown = stratified_sample(dataset.y, config.shown, config.seed)
    if (size := expected_bytes(config, len(shown))) > LARGE_RECORDING:
        sentence = (
            f"Recorded, clouds of {len(shown):,} items every {config.frame_every:,} steps for {config.steps:,} steps "
            f"take about {size / 1e9:,.0f} GB. A larger frame_every or a smaller shown makes that less."
        )
        findings.append(Finding("C38", "", "warn", sentence))
    order = np.concatenate((train_row, np.flatnonzero(held_out)))
    in_order = bool((order == np.arange(len(order))).all())
    row_of = np.empty_like(order)
    row_of[order] = np.arange(len(order))
    weights = config.model.part.options.count_weights(dataset.x.shape[1])
    if weights is not None:
        memory.require(4 * weights, f"the model '{config.model.name}'", "make its options widths or embedding smaller")
    network = models.build(
        config.model.part,
        in_features=dataset.x.shape[1],
        image_shape=dataset.image_shape,
        generator=generator(config.seed, "weights"),
    )

    with torch.no_grad(), FlopCounterMode(display=False) as work:
        width = network.eval()(torch.from_numpy(np.array(dataset.x[:1]))).shape[1]
    network.train()
    rows = parts.measured if len(parts.measured) else train_row
    most = max(MAX_QUERIES, int(min(MAX_AMONG, MAX_EMBEDDING / max(1, work.get_total_flops()))))
    evaluated_row = rows[thinned(dataset.y[rows], most, config.seed)]
    labels = (dataset.y if dataset.y_true is None else dataset.y_true)[evaluated_row]
    query_place = queries(labels, MAX_QUERIES, config.seed)
    if dataset.several is None:
        partners = np.bincount(labels)[labels[query_place]] - 1
    else:
        partners = _partners(dataset.several.at(evaluated_row), query_place)
    alone = int((partners == 0).sum())
    kept_out = len(parts.measured) > 0
    evaluated = Evaluated(len(query_place), len(labels), len(rows), alone, held_out=kept_out, shares=several)
    if alone == evaluated.queries:
        findings.append(Finding("C37", "", "warn", evaluated.missing))
    if not several and (labels == labels[0]).all():
        sentence = "What is measured is of one class alone, so every retrieval figure is 1 and says nothing."
        findings.append(Finding("C36", "", "warn", sentence))

    if not in_order:
        features = f"{len(dataset.x):,} x {dataset.x.shape[1]:,} features in the order of training"
        memory.require(dataset.x.nbytes, features, "take fewer items")

    def put(array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.array(array)).to(device)

    def in_rows(array: NDArray[np.generic]) -> Tensor:
        return put(array) if in_order else torch.from_numpy(array[order]).to(device)

    return Shared(
        config=config,
        in_words=in_words(dataset),
        class_names=dataset.class_names,
        image_shape=dataset.image_shape,
        device=device,
        trained=len(train_row),
        x=in_rows(dataset.x),
        y=in_rows(dataset.y),
        y_true=None if dataset.y_true is None else in_rows(dataset.y_true),
        groups=None if dataset.groups is None else in_rows(dataset.groups),
        several=None if dataset.several is None else _several(dataset.several.at(order)).to(device),
        ids=in_rows(dataset.ids),
        evaluated_row=put(row_of[evaluated_row]),
        query_place=put(query_place),
        evaluated=evaluated,
        shown_row=put(row_of[shown]),
        findings=tuple(finding for finding in findings if finding.level == "warn"),
        problem=Problem(len(dataset.class_names), width),
        model=network.to(device),
    )


def _several(labels: ItemLabels) -> SeveralLabels:
    return SeveralLabels.of_arrays(labels.offsets, labels.label, labels.count)


def _partners(labels: ItemLabels, query: NDArray[np.int64]) -> NDArray[np.int64]:
    """(Q,) with how many others each row shares a label."""
    found: NDArray[np.int64] = OfLabels(_several(labels), torch.device("cpu")).partners(torch.from_numpy(query)).numpy()
    return found
