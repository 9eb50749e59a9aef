"""The training process: loads the engine, then does one run after the other as the window asks. Knows no Qt.

The main thread reads what the window asks for; a run has one thread that trains and one that reports. When the
window's process is gone, however it went, the pipe ends: the run stops between two steps, completes its recording, and
this process ends too.
"""

from __future__ import annotations

import faulthandler
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any, BinaryIO

from app.memory import resident_mb
from app.training.looking import Looked, Looker, Pictured
from app.training.messages import Ask, Embed, Look, LookAtMany, Moment, Report, Start, pipes, receive, send
from app.training.run import experiment, train
from hnm_core import kernels
from hnm_core.data.base import Dataset
from hnm_core.run.channel import Channel
from hnm_core.run.control import Control, Embedded
from hnm_core.run.events import Event
from hnm_core.spec import plug_ins
from hnm_core.spec.config import ExperimentConfig, from_dict
from hnm_core.system import memory

WARM_UP: dict[str, Any] = {
    "steps": 1,
    "device": "cpu",
    "data": {"name": "blobs", "options": {"points": 40, "classes": 4}},
    "lanes": [{"name": name, "miner": name} for name in ("knn", "lsh", "random")],
}
REPORT_S = 0.025
"""What happens within so long is reported together."""
STOP_LIMIT_S = 20.0
"""A run that has not stopped so long after the window went is given up."""
Keep = Callable[[ExperimentConfig, Dataset], None]

STACK_BYTES = 16 << 20
"""macOS gives threads small stacks, and torch needs more."""


def main() -> None:
    """Serve until the window closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C in the terminal is the window's affair
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a terminal that closes ends the window, and so the pipe
    signal.signal(signal.SIGTERM, _leave)
    faulthandler.enable()  # a crash leaves its stacks on the standard error, which the window reads
    threading.stack_size(STACK_BYTES)
    memory.keep_freed()
    commands, reports = pipes()
    for file in sys.argv[1:]:
        plug_ins.load_file(Path(file))  # before anything is read that may name what it registers
    _warm_up()
    try:
        send(reports, Report(resident_mb=resident_mb()))
    except OSError:
        return  # the window was closed meanwhile
    serve(commands, reports)


def serve(commands: BinaryIO, reports: BinaryIO) -> None:
    """Obey `commands` until they end; then stop the run that is on."""
    run: Run | None = None
    looks = Looks(reports)
    try:
        while (command := receive(commands)) is not None:
            if isinstance(command, Start):
                if run is not None:
                    run.join()
                run = Run(command, reports, looks.looker.keep)
            elif isinstance(command, Ask) and run is not None:
                run.ask(command)
            elif isinstance(command, Embed) and run is not None:
                run.embed(command)
            elif isinstance(command, Look | LookAtMany):
                looks.ask(command)
    finally:
        looks.close()
        if run is not None:
            run.ask(Ask("stop"))
            if not run.join(STOP_LIMIT_S):
                os._exit(1)  # its thread would keep the process alive for ever


def _warm_up() -> None:
    """Load the engine and do a step with it: half of what torch and the kernels need is loaded at the first use."""
    from hnm_core.training.experiment import Experiment

    config = from_dict(WARM_UP)
    if not kernels.ready(kernels.SEARCH_KERNELS):  # nobody could see that we wait for the compiler; a run tells it
        config = from_dict({**WARM_UP, "lanes": WARM_UP["lanes"][-1:]})
    for _ in Experiment(config).run():
        pass  # if that fails, the run that follows will say so


def _leave(_kind: int, _frame: FrameType | None) -> None:
    raise SystemExit


class Looks:
    """Answers what the window asks of single items, on a thread of its own that begins with the first question."""

    def __init__(self, reports: BinaryIO) -> None:
        self._reports = reports  # whose writes are whole, whichever thread they come from
        self._asked: queue.SimpleQueue[Look | LookAtMany | None] = queue.SimpleQueue()
        self._last: Look | None = None
        self.looker = Looker()
        self._thread: threading.Thread | None = None

    def ask(self, look: Look | LookAtMany) -> None:
        """Answer it when those before are answered."""
        if isinstance(look, Look):
            self._last = look
        if self._thread is None:
            self._thread = threading.Thread(target=self._answer, name="hnm-looker", daemon=False)
            self._thread.start()
        self._asked.put(look)

    def close(self) -> None:
        """End the thread when it has answered what it is at."""
        self._asked.put(None)

    def _answer(self) -> None:
        while (look := self._asked.get()) is not None:
            if isinstance(look, Look) and look is not self._last:
                continue  # the user is at another point by now
            try:
                send(self._reports, self._answered(look))
            except OSError:
                return  # the window is gone

    def _answered(self, look: Look | LookAtMany) -> Looked | Pictured:
        if isinstance(look, LookAtMany):
            return self.looker.pictures(look.config, look.item_ids, look.run)
        return self.looker.look(look.config, look.item_id)


class Run:
    """One run and its two threads. `keep`, if any, gets the data of the run, on the one that trains."""

    def __init__(self, start: Start, reports: BinaryIO, keep: Keep | None = None) -> None:
        self._start, self._reports, self._keep = start, reports, keep
        self._control = Control(paused=start.paused, rate=start.rate)
        self._channel = Channel()
        self._news = threading.Event()
        self._over = False
        self._threads = [
            threading.Thread(target=self._train, name="hnm-trainer", daemon=False),  # a daemon inside torch aborts
            threading.Thread(target=self._report, name="hnm-reporter", daemon=False),
        ]
        for thread in self._threads:
            thread.start()

    def ask(self, command: Ask) -> None:
        """Pass a request on to the run."""
        getattr(self._control, command.method)(*command.values)

    def embed(self, command: Embed) -> None:
        """Have the embeddings told between two steps."""

        def answer(lanes: Mapping[str, Embedded]) -> None:
            with suppress(OSError):  # the window is gone; the main thread learns of it too
                send(self._reports, Moment(command.number, lanes))

        self._control.embed(command.ids, answer)

    def join(self, limit: float | None = None) -> bool:
        """Wait until the run is over and reported; False when it is not after `limit` seconds."""
        for thread in self._threads:
            thread.join(limit)
        return not any(thread.is_alive() for thread in self._threads)

    def _train(self) -> None:
        start = self._start
        train(self._events, start.config, self._control, start.folder, self._put)
        self._over = True
        self._news.set()

    def _events(self, config: ExperimentConfig, control: Control) -> Iterator[Event]:
        keep = self._keep
        return experiment(
            config,
            control,
            resume=self._start.resume,
            recorded=self._start.folder is not None,
            progress=self._on_progress,
            on_data=None if keep is None else lambda dataset: keep(config, dataset),
        )

    def _put(self, event: Event) -> None:
        self._channel.put(event)
        self._news.set()

    def _on_progress(self, _done: int, _total: int, _what: str) -> bool:
        self._news.set()  # the words are in the control by now
        return True

    def _report(self) -> None:
        """Sleeps until there is news. Where the window is slow, this waits, and in the channel frames are replaced."""
        over = False
        while not over:
            self._news.wait()
            time.sleep(REPORT_S)  # news comes in groups, as of a new lane and of what is changed in it
            self._news.clear()
            over = self._over  # looked at first: nothing comes after it
            report = Report(self._channel.drain(), self._control.loading, resident_mb(), ended=over)
            try:
                send(self._reports, report)
            except OSError:
                return  # the window is gone; the main thread learns of it too


if __name__ == "__main__":
    main()
