"""The order in which items become anchors: `create("balanced", labels=y, ...)` gives the batches of every epoch."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.balanced import BalancedPlan, balanced_batches, plan
from hnm_core.data.balanced_labels import balanced_by_label, notes_of_several
from hnm_core.data.base import generator
from hnm_core.data.item_labels import ItemLabels
from hnm_core.data.sampler_options import BalancedSamplerOptions, RandomSamplerOptions
from hnm_core.errors import InputError
from hnm_core.spec.registry import SAMPLERS, Part, SamplerOptions

__all__ = ["BalancedPlan", "Sampler", "balanced_batches", "build", "create", "plan", "random_batches"]


class Sampler(Protocol):
    """Gives the batches of an epoch. Nothing but the epoch changes them, so all lanes see the same ones."""

    notes: tuple[str, ...]
    """sentences that the user should read before training: what could not be as asked, what repeats"""

    def batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """Rows 0 .. N-1 of the anchors of each step of an epoch, which is 0, 1, 2, ..."""
        ...


def create(name: str, *, labels: NDArray[np.integer], batch: int, seed: int, **options: Any) -> Sampler:
    """Build a sampler.

    Args:
        name: one of `SAMPLERS.names()`.
        labels: (N,) class of each item to train on, any integers.
        batch: anchors of a step, for samplers whose options do not settle that.
        seed: of the experiment.
        options: of the sampler, see its options model.

    Raises:
        InputError: unknown name or option, or labels that cannot be sampled so.
    """
    return build(SAMPLERS.part(name, options), labels=labels, batch=batch, seed=seed)


def build(
    part: Part[SamplerOptions],
    *,
    labels: NDArray[np.integer],
    batch: int,
    seed: int,
    several: ItemLabels | None = None,
) -> Sampler:
    """As `create`, with options that are checked already. `several` are the labels of items that have several each, for
    samplers that take them; `labels` then hold the rarest of each."""
    make, options = part.entry.load(), part.options
    if several is not None and options.shares_labels:
        sampler: Sampler = make(options, labels=labels, batch=batch, seed=seed, several=several)
    else:
        sampler = make(options, labels=labels, batch=batch, seed=seed)
    return sampler


class RandomSampler:
    """See `random_batches`."""

    def __init__(self, options: RandomSamplerOptions, *, labels: NDArray[np.integer], batch: int, seed: int) -> None:
        self._n_items, self._batch, self._seed = len(labels), batch, seed
        self.notes: tuple[str, ...] = ()

    def batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """Every item exactly once."""
        return random_batches(self._n_items, self._batch, self._seed, epoch)


class BalancedSampler:
    """See `balanced_batches`."""

    def __init__(
        self,
        options: BalancedSamplerOptions,
        *,
        labels: NDArray[np.integer],
        batch: int,
        seed: int,
        several: ItemLabels | None = None,
    ) -> None:
        self._labels, self._seed, self._options, self._several = np.asarray(labels), seed, options, several
        if several is not None:
            self._labels = several.label
        self.plan = plan(self._labels, options.classes, options.per_class, options.cap)
        self.notes = self.plan.notes if several is None else notes_of_several(several)

    def batches(self, epoch: int) -> list[NDArray[np.int64]]:
        """Every item at least once, or as many as the cap allows; a few classes in every batch, as many of each. Of
        items with several labels see `balanced_by_label`."""
        options = self._options
        if self._several is not None:
            return balanced_by_label(self._several, options.classes, options.per_class, self._seed, epoch, options.cap)
        return balanced_batches(self._labels, options.classes, options.per_class, self._seed, epoch, options.cap)


def random_batches(n_items: int, batch: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """The batches of one epoch: every item exactly once, in random order.

    All batches have `batch` items but the last, which holds what is left. A single item that would be left alone (no
    use to an in-batch miner or to batch normalisation) joins the batch before it. The result depends on the arguments
    only, so every lane of an experiment sees identical batches.

    Args:
        n_items: items to draw from, at least 1.
        batch: items of a batch, at least 1; the whole set if that is smaller.
        seed: of the experiment.
        epoch: 0, 1, 2, ...

    Returns:
        A list of (B,) int64 arrays of rows, 0 .. n_items-1.

    Raises:
        InputError: n_items or batch < 1.
    """
    if n_items < 1:
        raise InputError("There are no items to train on.")
    if batch < 1:
        raise InputError(f"batch = {batch} is not allowed: a batch holds at least 1 item.")
    rows = generator(seed, "batches", epoch).permutation(n_items)
    starts = list(range(0, n_items, batch))
    if len(starts) > 1 and batch > 1 and n_items - starts[-1] == 1:
        starts.pop()
    return np.split(rows, starts[1:])
