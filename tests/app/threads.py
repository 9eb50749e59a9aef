"""Training for tests: like `app.training.process.TrainingProcess`, but on a thread, for runs written out by hand."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.training.looking import Looked, Looker, Pictured
from app.training.messages import Moment
from app.training.run import Source, experiment, train
from hnm_core.run.channel import Channel, Drained
from hnm_core.run.control import Control
from hnm_core.spec.config import ExperimentConfig


class TrainingThread:
    """Runs `source` instead of an experiment."""

    resident_mb = None
    looked: Looked | None = None
    moment: Moment | None = None

    def __init__(self, source: Source) -> None:
        self._source = source
        self._thread: threading.Thread | None = None
        self._channel, self._control = Channel(), Control()
        self._looker, self._pictured = Looker(), []

    @property
    def running(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    @property
    def loading(self) -> str:
        return self._control.loading

    def start(
        self,
        config: ExperimentConfig,
        folder: Path | None,
        *,
        paused: bool = False,
        rate: float | None = None,
        resume: Path | None = None,
    ) -> None:
        self._channel, self._control = Channel(), Control(paused=paused, rate=rate)
        source = self._source if resume is None else partial(experiment, resume=resume)
        arguments = (source, config, self._control, folder, self._channel.put)
        self._thread = threading.Thread(target=train, args=arguments, name="hnm-trainer", daemon=False)
        self._thread.start()

    def ask(self, method: str, *values: float | None) -> None:
        getattr(self._control, method)(*values)

    def look(self, config: ExperimentConfig, item_id: int) -> None:
        self.looked = Looker().look(config, item_id)

    def look_at_many(self, config: ExperimentConfig, item_ids: tuple[int, ...], run: int) -> None:
        self._pictured.append(self._looker.pictures(config, item_ids, run))

    def pictured(self) -> list[Pictured]:
        taken, self._pictured = self._pictured, []
        return taken

    def embed(self, number: int, ids: NDArray[np.int64]) -> None:
        self._control.embed(ids, lambda lanes: setattr(self, "moment", Moment(number, lanes)))

    def drain(self) -> Drained:
        return self._channel.drain()

    def close(self) -> None:
        if self._thread is not None:
            self._thread.join(5)
