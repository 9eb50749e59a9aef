"""Data sets by name: `create("digits")` gives arrays, labels and ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hnm_core.data.base import Dataset, Progress
    from hnm_core.spec.registry import DataOptions, Part


def create(name: str, *, seed: int = 0, progress: Progress | None = None, **options: Any) -> Dataset:
    """Build a data set.

    Args:
        name: one of `DATASETS.names()`.
        seed: seed of synthetic data and of the items taken from a larger set.
        progress: called as progress(done, total, what) during downloads and long reads; returning False cancels.
        options: of the data set, see its options model.

    Raises:
        InputError: unknown name or option, or a file that cannot be used; the message says why.
        LoadCancelled: the progress callback returned False.
    """
    from hnm_core.spec.registry import DATASETS

    return build(DATASETS.part(name, options), seed=seed, progress=progress)


def build(
    part: Part[DataOptions],
    *,
    seed: int = 0,
    progress: Progress | None = None,
    minable: bool = True,
    several: bool = False,
) -> Dataset:
    """As `create`, with options that are checked already.

    `minable`: refuse data without two classes, or without two items of one class; what only goes through a network
    needs neither.

    `several`: whether the caller takes items with several labels each; they are refused where it does not.

    A set of queries and documents is none of these, and refused; `hnm_core.data.retrieval.read` takes it.
    """
    from hnm_core.data import item_labels
    from hnm_core.data.checks import check_minable
    from hnm_core.errors import InputError
    from hnm_core.spec.traits import judged_refusal, several_refusal

    if part.options.judged:
        raise InputError(judged_refusal(part.entry.name))
    dataset: Dataset = part.entry.load()(part.options, seed=seed, progress=progress)
    where = f"'{getattr(part.options, 'path', '') or dataset.name}'"
    if dataset.several is not None:
        if not several:
            raise InputError(several_refusal(where))
        if minable:
            item_labels.check(dataset.several, dataset.class_names, where)
    elif minable:
        check_minable(dataset.y, dataset.class_names, where)
    return dataset
