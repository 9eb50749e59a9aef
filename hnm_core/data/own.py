"""The user's own data in an experiment: read, judged as training would judge it, and given a network that suits it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hnm_core import data
from hnm_core.data import checks, item_labels
from hnm_core.data.base import Dataset, Progress
from hnm_core.data.cells import sort_of
from hnm_core.data.parts import split
from hnm_core.spec import compatibility
from hnm_core.spec.compatibility import Finding
from hnm_core.spec.config import DataConfig, ExperimentConfig, ModelConfig
from hnm_core.spec.request import FEW_DIMENSIONS, title_of

MANY_FEATURES = 32
"""From so many on, rows that are no pixels are taken for embeddings, or features, of another network."""
EMBEDDING = 64
"""Dimensions that these are mapped to, or as many as there are."""


MOST_WORDS = 2_000
"""Characters of the words on an experiment."""


@dataclass(frozen=True)
class OwnData:
    """What came of it."""

    config: ExperimentConfig
    """The experiment on these data; its words say what was read and what was chosen."""
    findings: tuple[Finding, ...]
    """What does not go together with data of this kind, see `compatibility.check`."""
    several: bool
    """Whether items have several labels each."""


def read(config: ExperimentConfig, own: DataConfig, progress: Progress | None = None) -> OwnData:
    """Read a file or a folder of the user's and put it into an experiment.

    Args:
        config: the experiment so far.
        own: the data set `file` or `images`, with its path.
        progress: called while it is read.

    Raises:
        InputError: it cannot be read, or cannot be trained on; what training would have said.
        LoadCancelled: the progress callback returned False.
    """
    dataset = data.build(own.part, seed=config.seed, progress=progress, several=True)
    parts = split(dataset, own, config.seed)
    fitted = fit(config, own, dataset)
    found = compatibility.check(
        fitted,
        classes=parts.classes,
        smallest_class=parts.smallest_class,
        items=len(parts.trained),
        several=dataset.several is not None,
    )
    return OwnData(fitted, tuple(found), dataset.several is not None)


def fit(config: ExperimentConfig, own: DataConfig, dataset: Dataset) -> ExperimentConfig:
    """The experiment on `dataset`, which is what `own` stands for.

    Where rows look like embeddings and the network would squeeze them into a few dimensions, it becomes a linear layer
    to `EMBEDDING` of them, if the lanes can do with that. Any other network stays, and so does the model `identity`.
    """
    path = Path(str(own.options["path"]))
    words = in_words(dataset)
    on_these = config.model_copy(update={"data": own, "title": title_of(path), "about": words})
    dimensions = config.model.part.options.dimension
    if dimensions is None:
        return on_these
    width = dataset.x.shape[1]
    if dimensions < FEW_DIMENSIONS and width >= MANY_FEATURES and dataset.image_shape is None:
        kept = min(EMBEDDING, width)
        fitted = on_these.model_copy(update={"model": ModelConfig(name="head", options={"embedding": kept})})
        if not any(finding.level == "refuse" for finding in compatibility.check(fitted)):
            words += (
                f" They look like embeddings, so the model was set to 'head', one linear layer to {kept} dimensions, "
                f"instead of '{config.model.name}' to {dimensions}. Another can be chosen in the form: 'identity' "
                "trains nothing and shows what would be mined from them as they are."
            )
            return fitted.model_copy(update={"about": words[:MOST_WORDS]})
    kept = f" The model is still '{config.model.name}' to {dimensions} dimensions; the form has others."
    return on_these.model_copy(update={"about": (words + kept)[:MOST_WORDS]})


def in_words(dataset: Dataset) -> str:
    """How many items of how many numbers, and of how many classes: "20,000 x 128, 200 classes."; and of files of the
    user's, what was taken for what."""
    items, width = dataset.x.shape
    if dataset.image_shape is not None:
        channels, height, wide = dataset.image_shape
        size = f"{items:,} pictures of {wide} x {height}{' in colour' if channels == 3 else ''}"
    else:
        size = f"{items:,} x {width:,}"
    classes = f"{len(dataset.class_names):,} class{'' if len(dataset.class_names) == 1 else 'es'}"
    if dataset.several is not None:
        classes = item_labels.in_words(dataset.several)
    return " ".join(filter(None, (f"{size}, {classes}.", dataset.as_read, _doubtful(dataset.class_names))))


def _doubtful(names: Sequence[str]) -> str:
    """What may be wrong with the labels, in sentences; empty where nothing is."""
    missing = [name for name in names if sort_of(name) == "missing"]
    counts = Counter(unicodedata.normalize("NFC", name) for name in names)
    twice = [name for name, count in counts.items() if count > 1]
    return " ".join(
        [f"Labels that may be missing count as classes: {checks.shown_names(missing)}."] * bool(missing)
        + [f"Several classes are called {checks.shown_names(twice)}."] * bool(twice)
    )
