"""One run from its first event to its last, wherever it runs: nothing leaves it but events."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from hnm_core.data.base import Dataset, Progress
from hnm_core.errors import InputError
from hnm_core.recording import record
from hnm_core.run.control import Control
from hnm_core.run.events import Checkpoint, Event, RunFailed, RunFinished, Weights
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.registry import is_over_documents
from hnm_core.training.retrieval_config import asked_as

Source = Callable[[ExperimentConfig, Control], Iterator[Event]]


def experiment(
    config: ExperimentConfig,
    control: Control,
    *,
    resume: Path | None = None,
    recorded: bool = True,
    progress: Progress | None = None,
    on_data: Callable[[Dataset], None] | None = None,
) -> Iterator[Event]:
    """The events of a run of the engine, one that begins or one that goes on, see `app.training.messages.Start`; over
    classes, or over queries and documents.

    Raises:
        InputError: it cannot go on.
    """
    if is_over_documents(config.data.name):
        from hnm_core.training.retrieval_experiment import RetrievalExperiment  # loads torch

        if resume is not None:
            raise InputError("A run over queries and documents keeps no checkpoints, so it cannot go on.")
        return RetrievalExperiment(asked_as(config)).run(control, progress=progress)
    from hnm_core.training.experiment import Experiment  # loads torch
    from hnm_core.training.resuming import resume as resumed

    before = None
    if resume is not None:
        config, before = resumed(
            resume, steps=config.steps, device=config.device, checkpoint_every=config.checkpoint_every
        )
    return Experiment(config, before, on_data=on_data).run(control, checkpoints=recorded, progress=progress)


def train(
    source: Source, config: ExperimentConfig, control: Control, folder: Path | None, put: Callable[[Event], None]
) -> None:
    """Run `source` to its end, recorded into `folder` if there is one, and hand every event but the weights to `put`.

    Errors come out as `RunFailed`, never as live exceptions, and every run ends with `RunFinished` or `RunFailed`.
    """
    last: Event | None = None
    try:
        events = source(config, control)
        if folder is not None:
            events = record(events, folder)
        for last in events:
            if not isinstance(last, Weights | Checkpoint):  # they may be large, and only the recording keeps them
                put(last)
        if not isinstance(last, RunFinished | RunFailed):
            put(RunFailed("The run ended without saying how.", f"The last event was {type(last).__name__}."))
    except InputError as error:
        put(RunFailed(str(error)))
    except BaseException as error:  # noqa: BLE001  the last line of its thread: everything becomes text for the window
        put(RunFailed(f"{type(error).__name__}: {error}", traceback.format_exc()))
