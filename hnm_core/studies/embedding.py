"""New data through the network that a recorded lane ended with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from hnm_core import data, models
from hnm_core.data.base import Progress, report
from hnm_core.data.own import in_words
from hnm_core.errors import InputError
from hnm_core.recording import Recording, open_recording
from hnm_core.recording.past import last_weights
from hnm_core.recording.runs import find_run
from hnm_core.run.events import RunFinished
from hnm_core.spec.registry import is_over_documents
from hnm_core.spec.request import data_config
from hnm_core.system import paths
from hnm_core.system.whole_files import whole_file

ROWS = 4096
"""Items embedded at once."""


Say = Callable[[str], object]
"""Is told what the user should know, in sentences."""


def _unsaid(_text: str) -> None:
    pass


class Trained(NamedTuple):
    """A network that a recording has kept."""

    network: nn.Module
    """In evaluation mode"""
    in_features: int
    step: int
    """After which it was kept"""


def trained_network(recording: Recording, lane: str, say: Say = _unsaid) -> Trained:
    """The network of `lane` as it was at the end. Of a run that was broken off, or whose weights are damaged, as the
    last checkpoint has it, which is said.

    Raises:
        InputError: the run was broken off before it could keep the weights, or they do not fit the configuration.
    """
    weights, note = last_weights(recording, lane)
    if weights is None:
        raise InputError(
            f"'{recording.folder}' holds no weights of lane '{lane}': the run was broken off before its end."
        )
    if note:
        say(f"{note} The network of lane '{lane}' is that of step {weights.step:,}.")
    elif not isinstance(recording.finished, RunFinished):
        how = "goes on" if recording.is_being_written else "failed" if recording.finished else "was broken off"
        say(f"The network of lane '{lane}' is that of step {weights.step:,}, of a run that {how}.")
    config = recording.config.model
    network = models.build(config.part, in_features=weights.in_features, image_shape=weights.image_shape)
    state = {name: torch.from_numpy(np.array(array)) for name, array in weights.arrays.items()}
    try:
        network.load_state_dict(state)
    except RuntimeError:
        raise InputError(
            f"The weights of lane '{lane}' in '{recording.folder}' do not fit model '{config.name}'."
        ) from None
    return Trained(network.eval(), weights.in_features, weights.step)


def check_width(source: str, features: int, lane: str, width: int) -> None:
    """Raises `InputError` where items of `source` have another number of features than a lane was trained on."""
    if features != width:
        raise InputError(f"'{source}' has {features:,} features an item, but lane '{lane}' was trained on {width:,}.")


def embed_rows(network: nn.Module, x: NDArray[np.float32], progress: Progress | None = None) -> NDArray[np.float32]:
    """(N, E) embeddings of (N, D) features. Raises `LoadCancelled` when `progress` returns False."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(x), ROWS):
            parts.append(network(torch.from_numpy(np.array(x[start : start + ROWS]))).numpy())
            report(progress, start + len(parts[-1]), len(x), "embedding")
    embedded: NDArray[np.float32] = np.concatenate(parts)
    return embedded


def embed_data(
    run: str,
    lane: str | None,
    source: str | None,
    out: Path,
    progress: Progress | None = None,
    tell: Callable[[str], None] | None = None,
) -> tuple[int, int]:
    """Write the embeddings `x` of `source`, or of the run's own data, with labels `y`, `class_names` and `ids` into
    `out`, a `.npz` file. Those of a run over queries and documents go into a folder that mining takes, see
    `hnm_core.studies.over_documents.embed_set`.

    One item, or one class, is enough: nothing is compared. `tell` is given what the data are, in words, and whose the
    network is where that is not plain.

    Returns:
        How many items, and the numbers of each embedding.

    Raises:
        InputError: no such run, lane or data, another width of features, or `out` cannot be written.
    """
    recording = open_recording(find_run(run))
    if is_over_documents(recording.config.data.name):
        return _over_documents(recording, lane, source, out, progress, tell or _unsaid)
    if out.suffix != ".npz":
        raise InputError(f"'{out}': the file to write must end in .npz.")
    paths.refuse_replacing(out, [source or "", str(recording.config.data.options.get("path", ""))])
    name = lane if lane is not None else recording.lanes[0]
    network, width, _ = trained_network(recording, name, tell or _unsaid)
    wanted = recording.config.data if source is None else data_config(source)
    dataset = data.build(wanted.part, seed=recording.config.seed, progress=progress, minable=False, several=True)
    if tell is not None:
        tell(in_words(dataset))
    check_width(source or wanted.name, dataset.x.shape[1], name, width)
    embedded = embed_rows(network, dataset.x, progress)
    y: NDArray[Any] = dataset.y
    names = dataset.class_names
    if dataset.several is not None:
        y, names = dataset.several.table(), names[: dataset.several.count]
    try:
        with whole_file(out) as part, part.open("wb") as file:
            np.savez(file, x=embedded, y=y, ids=dataset.ids, class_names=np.array(names, np.str_))
    except OSError as error:
        raise InputError(f"Cannot write '{out}': {error.strerror or error}.") from error
    return embedded.shape[0], embedded.shape[1]


def _over_documents(
    recording: Recording, lane: str | None, source: str | None, out: Path, progress: Progress | None, tell: Say
) -> tuple[int, int]:
    from hnm_core.studies.over_documents import embed_set

    if out.suffix:
        raise InputError(f"'{out}': queries and documents are written into a folder, whose name has no ending.")
    data, width, note = embed_set(recording, lane or recording.lanes[0], source, out, progress)
    for words in filter(None, (data.as_read, note)):
        tell(words)
    return len(data.queries) + len(data.documents), width
