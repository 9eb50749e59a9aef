"""The window's end of the training process: starts it, asks it, and gathers in a channel what it reports."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO

import numpy as np
from numpy.typing import NDArray

from app.training.looking import Looked, Pictured
from app.training.messages import Ask, Embed, Look, LookAtMany, Moment, Report, Start, receive, send
from hnm_core.run.channel import Channel, Drained
from hnm_core.run.events import RunFailed, RunFinished
from hnm_core.spec.config import ExperimentConfig
from hnm_core.system import processes

ABORT_S = 2.0
"""A process that hangs has so long to write its stacks before it is killed."""
SAID_BYTES = 20_000
"""So much of what it last wrote on its standard error goes into a report."""

NOTHING: Mapping[str, str] = MappingProxyType({})

log = logging.getLogger(__name__)


class TrainingProcess:
    """Runs experiments, one at a time, in a process that is kept for the next one and replaced when it has died.

    All methods are for one thread, the window's.
    """

    def __init__(self, plug_ins: Sequence[Path] = ()) -> None:
        """`plug_ins` are files that the process loads before anything else."""
        self._plug_ins = tuple(plug_ins)
        self._child: _Child | None = None

    @property
    def running(self) -> bool:
        """Whether a run is on: from `start` until its recording is complete, or the process is dead."""
        return self._child is not None and self._child.running

    @property
    def loading(self) -> str:
        """What a run that is starting reads or fetches, in words; empty when nothing is known."""
        return self._child.loading if self._child is not None else ""

    @property
    def ready(self) -> bool:
        """Whether the engine is loaded."""
        return self._child is not None and self._child.ready

    @property
    def pid(self) -> int | None:
        """Of the process, if there is one, dead or alive."""
        return self._child.pid if self._child is not None else None

    @property
    def resident_mb(self) -> float | None:
        """Memory of the process when it last reported, MiB."""
        return self._child.resident_mb if self._child is not None else None

    def warm_up(self) -> None:
        """Have a process load the engine, so that a start takes no time."""
        if self._child is None or not self._child.alive:
            self._child = _Child(self._plug_ins)

    def start(
        self,
        config: ExperimentConfig,
        folder: Path | None,
        *,
        paused: bool = False,
        rate: float | None = None,
        resume: Path | None = None,
    ) -> None:
        """Start a run, recorded into `folder` if there is one, or let the one recorded in `resume` go on; the run
        before must have ended."""
        message = Start(config, folder, paused, rate, resume)
        if self._child is None or not self._child.start(message):
            self._child = _Child(self._plug_ins)
            self._child.start(message)

    def ask(self, method: str, *values: object) -> None:
        """Call a method of the run's `hnm_core.run.control.Control`; obeyed between two steps."""
        if not self.running or self._child is None:
            return
        if method == "stop" and not self.ready:
            self._child.cancel()
        else:
            self._child.tell(Ask(method, values))

    def look(self, config: ExperimentConfig, item_id: int) -> None:
        """Ask what the data of a run tell of an item; some time later `looked` is the answer."""
        self.warm_up()
        if self._child is not None:
            self._child.tell(Look(config, item_id))

    @property
    def looked(self) -> Looked | None:
        """The last answer; None before the first."""
        return self._child.looked if self._child is not None else None

    def look_at_many(self, config: ExperimentConfig, item_ids: tuple[int, ...], run: int) -> None:
        """Ask for the pictures of some items of the data of a run; `pictured` hands them out when they are there."""
        self.warm_up()
        if self._child is not None:
            self._child.tell(LookAtMany(config, item_ids, run))

    def pictured(self) -> list[Pictured]:
        """The pictures that came in since the last time."""
        return self._child.take_pictures() if self._child is not None else []

    def embed(self, number: int, ids: NDArray[np.int64]) -> None:
        """Ask for the embeddings of some items between two steps; some time later `moment` is the answer, unless the
        run ends before."""
        if self.running and self._child is not None:
            self._child.tell(Embed(number, ids))

    @property
    def moment(self) -> Moment | None:
        """The last answer; None before the first."""
        return self._child.moment if self._child is not None else None

    def drain(self) -> Drained:
        """What came in since the last time."""
        return self._child.channel.drain() if self._child is not None else Drained()

    def close(self) -> None:
        """End the process and its reader. A run that is still on is broken off and fails with the stacks it hung in."""
        if self._child is not None:
            self._child.close()


class _Child:
    """One process, and the thread that reads what it reports and learns of its end."""

    def __init__(self, plug_ins: Sequence[Path]) -> None:
        self.channel = Channel()
        self.running = self.ready = False
        self.loading = ""
        self.looked: Looked | None = None
        self._pictured: deque[Pictured] = deque()
        self.moment: Moment | None = None
        self.resident_mb: float | None = None
        self._turn = threading.Lock()
        """Held while a run begins, and while the reader ends: a run begins on a process whose end will be told."""
        self._over = self._closed = self._cancelled = False
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  closed by the reader
        self._process = started("app.training.child", plug_ins, self._said)
        self._reader = threading.Thread(target=self._read, name="hnm-reader", daemon=False)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def start(self, message: Start) -> bool:
        """Begin a run; False when the process is dead."""
        with self._turn:
            if self._over or not self.alive:
                return False
            self.channel, self.loading, self.running = Channel(), "", True
        self.tell(message)
        return True

    def take_pictures(self) -> list[Pictured]:
        return [self._pictured.popleft() for _ in range(len(self._pictured))]

    def tell(self, message: Start | Ask | Look | LookAtMany | Embed) -> None:
        with suppress(OSError, ValueError):  # it has just died; the reader says so
            send(_pipe(self._process.stdin), message)

    def cancel(self) -> None:
        """Stop a run that waits for the engine: nothing has begun, so nobody need wait for the engine either."""
        self._cancelled = True
        self._process.kill()

    def close(self) -> None:
        self._closed = True
        if self.running and sys.platform != "win32":
            self._process.send_signal(signal.SIGABRT)  # it writes the stacks of all its threads and dies
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(ABORT_S)
        self._process.kill()  # without a run there is nothing it could lose
        self._reader.join()

    def _read(self) -> None:
        """The reader thread: ends when the process does."""
        reports = _pipe(self._process.stdout)
        while isinstance(report := receive(reports), Report | Looked | Pictured | Moment):
            if isinstance(report, Looked):
                self.looked = report
                continue
            if isinstance(report, Moment):
                self.moment = report
                continue
            if isinstance(report, Pictured):
                self._pictured.append(report)
                continue
            self.channel.put_all(report.drained)
            self.loading, self.resident_mb, self.ready = report.loading, report.resident_mb, True
            if report.ended:
                self.running = False
        status = self._process.wait()
        text = tail(self._said)
        with self._turn:
            self._over = True
            if self._cancelled:
                self.channel.put(RunFinished({}, 0.0, stopped=True))
            elif self.running:
                how = "The run did not stop and was broken off." if self._closed else _obituary(status, text)
                self.channel.put(RunFailed(how, text))
            elif text:
                log.warning("The training process wrote: %s", text)
            self.running = False
        reports.close()
        with suppress(OSError):  # what was last said to it may still wait there
            _pipe(self._process.stdin).close()


def _pipe(end: IO[bytes] | None) -> IO[bytes]:
    assert end is not None
    return end


def started(
    module: str, plug_ins: Sequence[Path], said: IO[bytes], environment: Mapping[str, str] = NOTHING
) -> subprocess.Popen[bytes]:
    """A process of our own that runs `module`, is given the files of plug-ins as arguments, and writes its standard
    error into `said`."""
    warnings = [f"-W{option}" for option in sys.warnoptions]
    return subprocess.Popen(
        processes.command(module, map(str, plug_ins), warnings),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        env={**processes.environment(), **environment},
    )


def tail(said: IO[bytes]) -> str:
    """The end of what the process wrote on its standard error; closes the file."""
    with said:
        said.seek(max(0, said.seek(0, os.SEEK_END) - SAID_BYTES))
        return said.read().decode(errors="replace").strip()


def _obituary(status: int, said: str) -> str:
    """How the process died, in words for the user."""
    if status == -9:
        how = "was killed (SIGKILL), as the system does when memory runs out"
    elif status < 0:
        how = f"died of signal {-status} ({signal.strsignal(-status)})"
    else:
        how = f"ended with status {status if status < 256 else hex(status)}"
    before_stacks = said.partition("Fatal Python error")[0].split("\n")
    last = next((line.strip() for line in reversed(before_stacks) if line.strip()), "")
    return f"The training process {how}{f': {last[:200]}' if last else ''}. A new run can start."
