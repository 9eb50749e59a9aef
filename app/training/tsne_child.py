"""The process that lays one moment out by t-SNE, lane by lane, and ends. Knows no Qt.

It is a process of its own because t-SNE takes many seconds, in which neither the window nor the training shall wait.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np

from app.training.looking import no_fetching
from app.training.messages import LaidOut, LayOut, Refused, pipes, receive, send
from hnm_core.data.base import LoadCancelled
from hnm_core.errors import InputError
from hnm_core.run.control import Embedded
from hnm_core.spec import plug_ins
from hnm_core.system import processes

NICE = 5
"""The window and the training go first."""


def main() -> None:
    """Answer one request."""
    with suppress(AttributeError, OSError):
        os.nice(NICE)
    requests, answers = pipes()
    for file in sys.argv[1:]:
        plug_ins.load_file(Path(file))
    request = receive(requests)
    if not isinstance(request, LayOut):
        return  # the window is gone
    processes.end_with(requests.fileno())
    with suppress(OSError):
        for answer in laid_out(request):
            send(answers, answer)


def laid_out(request: LayOut) -> Iterator[LaidOut | Refused]:
    """Every lane, one after the other. The same request has the same answer, where one thread computes it."""
    import torch

    from hnm_core.evaluation.projection import tsne_snapshot

    try:
        lanes = request.lanes or _at_the_end(request)
        for lane, known in lanes.items():
            vectors = torch.from_numpy(np.array(known.vectors))
            positions = tsne_snapshot(vectors, dim=3, seed=request.seed, quick=True)
            yield LaidOut(lane, known.step, positions.numpy(), len(lanes))
    except InputError as error:
        yield Refused(str(error))


def _at_the_end(request: LayOut) -> dict[str, Embedded]:
    """Where the networks that a recording has kept put the items. Raises `InputError` where it has kept none, or the
    data are not to be had."""
    import torch

    from hnm_core import data
    from hnm_core.distances import Distance
    from hnm_core.recording import open_recording
    from hnm_core.studies.embedding import embed_rows, trained_network

    assert request.recording is not None
    recording = open_recording(request.recording)
    config, lanes = recording.config, recording.history().lane_configs()
    kept = {lane: trained_network(recording, lane) for lane in recording.lanes}
    try:
        dataset = data.build(config.data.part, seed=config.seed, progress=no_fetching, several=True)
    except LoadCancelled:
        raise InputError("The data are not on this machine, and are not fetched for a t-SNE.") from None
    row = np.searchsorted(dataset.ids, request.ids).clip(max=len(dataset.ids) - 1)
    if (dataset.ids[row] != request.ids).any() or (dataset.y[row] != request.labels).any():
        raise InputError("The data are not those that this run was trained on.")
    found = {}
    for lane, (network, _, step) in kept.items():
        own = lanes[lane].lanes[0]
        embedded = torch.from_numpy(embed_rows(network, dataset.x[row]))
        vectors = Distance(own.distance, own.normalize).prepare(embedded)
        found[lane] = Embedded(step, vectors.numpy())
    return found


if __name__ == "__main__":
    main()
