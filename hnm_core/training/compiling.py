"""The search kernels, compiled before a run begins that searches.

Without them approximate searches find other rows, and exact ones others of those that are equally far, so the first run
on a machine would come to other numbers than the same run later.
"""

from __future__ import annotations

import subprocess
from contextlib import suppress

from hnm_core import kernels
from hnm_core.data.base import Progress, report
from hnm_core.miners.whole_set.options import SearchingOptions
from hnm_core.spec.config import ExperimentConfig

_LOOK_EVERY_S = 0.25


def await_kernels(config: ExperimentConfig, device: str, progress: Progress | None) -> None:
    """Wait for the compiler where a lane searches the whole set; `progress` is told how far it is.

    Raises:
        LoadCancelled: the progress callback returned False.
    """
    if device != "cpu" or not any(isinstance(lane.miner_part.options, SearchingOptions) for lane in config.lanes):
        return
    compile_search_kernels(progress)


def compile_search_kernels(progress: Progress | None) -> None:
    """Wait for the compiler, as `await_kernels` does. Raises `LoadCancelled` where `progress` returned False."""
    compiler = kernels.compile_in_background(kernels.SEARCH_KERNELS)
    while compiler is not None and compiler.poll() is None:
        told = kernels.progress(kernels.SEARCH_KERNELS)
        done, total = (0, 0) if told is None else (told.done, told.total)
        report(progress, done, total, "compiling the search kernels, once for this machine")
        with suppress(subprocess.TimeoutExpired):
            compiler.wait(_LOOK_EVERY_S)
