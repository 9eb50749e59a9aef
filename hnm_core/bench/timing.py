"""Contenders that take turns: warm-up dropped, medians, threads pinned, peak memory."""

from __future__ import annotations

import gc
import importlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

import torch
from threadpoolctl import threadpool_limits

from hnm_core.bench.table import Result, Settings, duration
from hnm_core.system.peak import Peak

Answer = TypeVar("Answer")

PATIENCE_S = 8.0
"""What a peer may take for all its runs; where one run takes longer, that one is what counts."""

TURN_S = 0.02
"""The least that a turn lasts."""

_PACKAGES = {
    "faiss": "faiss-cpu",
    "hnswlib": "hnswlib",
    "pytorch_metric_learning": "pytorch-metric-learning",
    "scipy": "scipy",
    "sentence_transformers": "sentence-transformers",
    "sklearn": "scikit-learn",
}
"""Package of each module that a contender may need."""

_EXTRAS = {"sentence_transformers": "sentence-transformers"}
"""What it comes with, where that is not `bench`: it is large."""


@dataclass(frozen=True)
class Contender(Generic[Answer]):
    """One way to do the work. A peer whose module cannot be imported is reported as missing."""

    name: str
    run: Callable[[], Answer]
    needs: str = ""
    """Module of the peer."""
    comparable: bool = True
    """See `Result`."""


@dataclass(frozen=True)
class Outcome(Generic[Answer]):
    """A contender's result, and its answer where it ran."""

    result: Result
    answer: Answer | None = None

    def rated(self, **changes: object) -> Result:
        """The result with what the answer showed; unchanged where there is no answer."""
        return replace(self.result, **changes) if self.answer is not None else self.result  # type: ignore[arg-type]


class TookTooLong(Exception):  # noqa: N818  (what it says is the finding)
    """A contender was given up; the message says after what."""


def take_turns(contenders: Sequence[Contender[Answer]], settings: Settings) -> list[Outcome[Answer]]:
    """Run the contenders, ours first, one after the other in every round.

    A turn is one run, or as many as make up 20 ms, so that no contender pays for the caches that another has filled.
    The first run of each is dropped, unless it takes longer than all runs of a peer may (8 s). Ours raises what it
    raises; whatever stops a peer becomes the note of its result.
    """
    outcomes: list[Outcome[Answer]] = []
    wanted: list[int] = []
    spent: list[list[float]] = []
    for place, contender in enumerate(contenders):
        settings.tell(contender.name)
        outcome, first = _first_run(contender, peer=place > 0)
        outcomes.append(outcome)
        runs = 0 if first is None else settings.repeat if place == 0 else min(settings.repeat, int(PATIENCE_S / first))
        wanted.append(runs)
        spent.append([first] if first is not None and runs == 0 else [])
    with _no_garbage_collector():
        for turn in range(max(wanted)):
            for contender, runs, seconds in zip(contenders, wanted, spent, strict=True):
                if turn < runs:
                    seconds.append(_turn(contender))
    return [
        replace(outcome, result=replace(outcome.result, seconds=statistics.median(seconds), runs=len(seconds)))
        if seconds
        else outcome
        for outcome, seconds in zip(outcomes, spent, strict=True)
    ]


def _first_run(contender: Contender[Answer], *, peer: bool) -> tuple[Outcome[Answer], float | None]:
    """The outcome without a time, and the seconds of the first run; None where it did not get through."""
    result = Result(contender.name, comparable=contender.comparable)
    absent = why_absent(contender.needs)
    if absent:
        return Outcome(replace(result, note=absent)), None
    try:
        with Peak() as peak:
            start = time.perf_counter()
            answer = contender.run()
            seconds = time.perf_counter() - start
        if seconds < 1:  # whatever a first call sets up for good is not what the work needs
            with Peak() as peak:
                answer = contender.run()
    except TookTooLong as given_up:
        return Outcome(replace(result, note=str(given_up))), None
    except Exception as error:
        if not peer:
            raise
        first_line = str(error).strip().partition("\n")[0][:120]
        return Outcome(replace(result, note=f"failed: {type(error).__name__}: {first_line}")), None
    return Outcome(replace(result, peak_mb=peak.megabytes), answer), seconds


def why_absent(module: str) -> str:
    """Empty where the module of a peer can be imported or none is needed, else what to install."""
    if not module:
        return ""
    try:
        importlib.import_module(module)
    except ImportError:
        package = _PACKAGES.get(module, module)
        extra = _EXTRAS.get(module, "bench")
        return f"{package} is not installed: pip install 'hnm-lab[{extra}]'"
    return ""


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Within, torch, our kernels, BLAS and FAISS use so many threads; other peers are told at each call."""
    before = torch.get_num_threads()
    why_absent("faiss")  # loads it, so that its pool of threads is found below
    with threadpool_limits(threads):
        torch.set_num_threads(threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)


@contextmanager
def _no_garbage_collector() -> Iterator[None]:
    """As `timeit` does: it would run at any time, in anybody's turn."""
    before = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _turn(contender: Contender[Answer]) -> float:
    """Mean seconds of the runs of one turn."""
    start = time.perf_counter()
    runs, seconds = 0, 0.0
    while seconds < TURN_S:
        contender.run()
        runs, seconds = runs + 1, time.perf_counter() - start
    return seconds / runs


def cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def summary(result: Result) -> str:
    """One result in words, for progress."""
    return f"{result.name} {duration(result.seconds)}" if result.seconds is not None else result.name
