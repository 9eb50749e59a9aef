"""What all lanes of an experiment share, built once: data, split, initial weights, device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from hnm_core import data, devices, models
from hnm_core.data.base import Dataset, Progress
from hnm_core.data.split import held_out_mask, stratified_sample
from hnm_core.errors import InputError
from hnm_core.losses.base import Problem
from hnm_core.seeding import generator
from hnm_core.spec.compatibility import Finding, check, refuse
from hnm_core.spec.config import ExperimentConfig

MAX_SHOWN = 20_000
"""Larger sets show and record a fixed stratified part of this size."""

MAX_EVALUATED = 2_000
"""Metrics are measured on at most so many items, a fixed stratified part."""


@dataclass(frozen=True, eq=False)
class Shared:
    """Tensors live on `device`; rows count the items of `dataset` in id order."""

    config: ExperimentConfig
    dataset: Dataset
    device: torch.device
    x: Tensor
    """(N, D) float32 features of all items"""
    y: Tensor
    """(N,) int64 labels"""
    y_true: Tensor | None
    """(N,) int64 true classes where the labels are known to be noisy"""
    ids: Tensor
    """(N,) int64 ids, ascending"""
    train_row: Tensor
    """(T,) rows that are trained on"""
    evaluated_row: Tensor
    """(H,) rows that metrics are measured on: held-out ones, or training ones where nothing is held out"""
    shown_row: Tensor
    """(S,) rows that frames show, ascending"""
    held_out: NDArray[np.bool_]
    """(N,) True where an item is kept out of training"""
    findings: tuple[Finding, ...]
    """what the user should know of the configuration before it trains"""
    problem: Problem
    """classes and size of the embedding, for losses with weights of their own"""
    model: nn.Module
    """the network with its initial weights; every lane trains a copy"""


def prepare(config: ExperimentConfig, progress: Progress | None = None) -> Shared:
    """Build what the lanes share. `progress` is called during downloads and long reads.

    Raises:
        InputError: no usable device, or data that cannot be trained on.
    """
    refuse(check(config))  # what names and options alone tell is said before anything is loaded, the rest below
    device = devices.resolve(config.device)
    dataset = data.build(config.data.part, seed=config.seed, progress=progress)
    if len(dataset.class_names) < 2:
        raise InputError(f"Data set '{dataset.name}' has one class only: there is nothing to separate.")
    held_out = dataset.held_out
    if held_out is None:
        held_out = held_out_mask(dataset.y, config.data.held_out, config.seed)
    train_row = np.flatnonzero(~held_out)
    rows = np.flatnonzero(held_out)
    if config.data.validation > 0:
        kept = held_out_mask(dataset.y[train_row], config.data.validation, config.seed)
        train_row, rows = train_row[~kept], train_row[kept]
        held_out = held_out.copy()
        held_out[rows] = True
    _check_training_part(dataset, train_row)
    sizes = np.bincount(dataset.y[train_row])
    findings = check(
        config, classes=int((sizes > 0).sum()), smallest_class=int(sizes[sizes > 0].min()), items=len(train_row)
    )
    refuse(findings)
    rows = rows if len(rows) else train_row
    evaluated = rows[stratified_sample(dataset.y[rows], MAX_EVALUATED, config.seed)]
    if (dataset.y[evaluated] == dataset.y[evaluated[0]]).all():
        sentence = "What is measured is of one class alone, so every retrieval figure is 1 and says nothing."
        findings.append(Finding("C36", "", "warn", sentence))
    shown = stratified_sample(dataset.y, MAX_SHOWN, config.seed)
    network = models.build(
        config.model.part,
        in_features=dataset.x.shape[1],
        image_shape=dataset.image_shape,
        generator=generator(config.seed, "weights"),
    )

    with torch.no_grad():
        width = network.eval()(torch.from_numpy(np.array(dataset.x[:1]))).shape[1]
    network.train()

    def put(array: NDArray[np.generic]) -> Tensor:
        return torch.from_numpy(np.array(array)).to(device)

    return Shared(
        config=config,
        dataset=dataset,
        device=device,
        x=put(dataset.x),
        y=put(dataset.y),
        y_true=None if dataset.y_true is None else put(dataset.y_true),
        ids=put(dataset.ids),
        train_row=put(train_row),
        evaluated_row=put(evaluated),
        shown_row=put(shown),
        held_out=held_out,
        findings=tuple(finding for finding in findings if finding.level == "warn"),
        problem=Problem(len(dataset.class_names), width),
        model=network.to(device),
    )


def _check_training_part(dataset: Dataset, train_row: NDArray[np.int64]) -> None:
    counts = np.bincount(dataset.y[train_row], minlength=len(dataset.class_names))
    if (counts > 0).sum() < 2:
        raise InputError(f"Data set '{dataset.name}': fewer than two classes are left to train on.")
    if counts.max() < 2:
        raise InputError(
            f"Data set '{dataset.name}': without two items of one class left to train on there is no positive pair."
        )
