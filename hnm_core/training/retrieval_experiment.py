"""A whole run over queries and documents, from its configuration: the data are read, then the lanes trained."""

from __future__ import annotations

import traceback
from collections.abc import Iterator

from hnm_core.data import pair_review
from hnm_core.data.base import LoadCancelled, Progress
from hnm_core.data.judged import JudgedSet
from hnm_core.data.retrieval import read
from hnm_core.errors import InputError
from hnm_core.kernels import SEARCH_KERNELS
from hnm_core.run.control import Control
from hnm_core.run.events import Event, RunFailed, RunFinished
from hnm_core.system import memory, paths
from hnm_core.training.compiling import await_compiled
from hnm_core.training.experiment import watched_by
from hnm_core.training.retrieval import train_retrieval
from hnm_core.training.retrieval_config import RetrievalConfig, RetrievalData


class RetrievalExperiment:
    """Runs a configuration once, as `hnm_core.training.experiment.Experiment` does one over classes."""

    def __init__(self, config: RetrievalConfig, data: JudgedSet | None = None) -> None:
        """
        Args:
            config: what to train.
            data: what the section `retrieval` of `config` names, where somebody has read it already.
        """
        self.config, self._data = config, data

    def prepare(self, progress: Progress | None = None) -> str:
        """Read the data ahead of `run`. Returns what they are, in words.

        Raises:
            InputError: that cannot be done, see `hnm_core.data.retrieval.read`.
            LoadCancelled: the progress callback returned False.
        """
        if self._data is None:
            self._data = read_data(self.config.retrieval, self.config.seed, progress)
        return self._data.as_read

    def run(
        self, control: Control | None = None, *, frames: bool = True, progress: Progress | None = None
    ) -> Iterator[Event]:
        """Train every lane, a step each in turn; `RunFinished` or `RunFailed` comes last, always.

        Args:
            control: how somebody else pauses or stops the run; None runs to the end.
            frames: whether clouds are computed; they cost time and never change the numbers.
            progress: called while data are read and kernels compiled, before `RunStarted`; returning False cancels, as
                a stop does.
        """
        done: dict[str, int] = {}
        control = control or Control()
        try:
            watched = watched_by(control, progress)
            self.prepare(watched)
            if any(lane.searches for lane in self.config.lanes):
                await_compiled(SEARCH_KERNELS, watched, load=self.config.seconds is not None)
            assert self._data is not None
            yield from train_retrieval(self._data, self.config, frames=frames, control=control, done=done)
        except LoadCancelled:
            yield RunFinished({}, 0.0, stopped=True)
        except InputError as error:
            yield RunFailed(str(error), steps=dict(done))
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever watches the run has to learn of it
            if memory.ran_out(error):
                yield RunFailed(memory.RAN_OUT, steps=dict(done))
            else:
                yield RunFailed(f"{type(error).__name__}: {error}", traceback.format_exc(), dict(done))


def read_data(data: RetrievalData, seed: int = 0, progress: Progress | None = None) -> JudgedSet:
    """The set that a configuration names, as a review left it where there is one. Raises as
    `hnm_core.data.retrieval.read`, and `InputError` where the review is not of it."""
    judged = read(
        data.source,
        split=data.split,
        queries=data.queries,
        documents=data.documents,
        qrels=data.qrels,
        options=data.options,
        seed=seed,
        progress=progress,
    )
    if not data.review:
        return judged
    review = paths.path_of(data.review)
    return pair_review.applied(judged, pair_review.read(review), review)
