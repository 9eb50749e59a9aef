"""Compiled kernels, there before a run begins that uses them.

Without those of the searches, approximate searches find other rows, so the first run on a machine would come to other
numbers than the same run later. Where lanes train for so many seconds, kernels are loaded as well: else the lane that
uses them first pays for it with a part of its seconds.
"""

from __future__ import annotations

import subprocess
from contextlib import suppress

from hnm_core import kernels
from hnm_core.data.base import Progress, report
from hnm_core.launching import launching
from hnm_core.miners.in_batch.batch import KERNELS as BATCH_KERNELS
from hnm_core.miners.whole_set.options import SearchingOptions
from hnm_core.spec.config import ExperimentConfig

_LOOK_EVERY_S = 0.25
_WORDS = {kernels.SEARCH_KERNELS: "search kernels", BATCH_KERNELS: "kernels for batches"}


def await_kernels(config: ExperimentConfig, device: str, progress: Progress | None) -> None:
    """Wait for the compilers of what the lanes use on the CPU; `progress` is told how far they are.

    Raises:
        LoadCancelled: the progress callback returned False.
    """
    if device != "cpu":
        return
    timed = config.seconds is not None
    if any(isinstance(lane.miner_part.options, SearchingOptions) for lane in config.lanes):
        await_compiled(kernels.SEARCH_KERNELS, progress, load=timed)
    if timed:
        await_compiled(BATCH_KERNELS, progress, load=True)


def await_compiled(module: str, progress: Progress | None, *, load: bool) -> None:
    """Wait for the compiler of one of the two modules, and load what it has made where that is asked for. Raises
    `LoadCancelled` where `progress` returned False."""
    compiler = kernels.compile_in_background(module)
    while compiler is not None and compiler.poll() is None:
        told = kernels.progress(module)
        done, total = (0, 0) if told is None else (told.done, told.total)
        report(progress, done, total, f"compiling the {_WORDS[module]}, once for this machine")
        with suppress(subprocess.TimeoutExpired):
            compiler.wait(_LOOK_EVERY_S)
    if load and kernels.ready(module):
        with launching():
            kernels.load(module)
