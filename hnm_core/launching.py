"""Compiled kernels run here, one after the other, by as many threads as torch has; in a forked process by one."""

from __future__ import annotations

import ctypes
import importlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from hnm_core import kernels  # noqa: F401  (chooses numba's threading layer before numba is loaded)

_LAYERS = {"omp": "omppool", "tbb": "tbbpool", "workqueue": "workqueue"}
"""numba's threading layers, and its modules for them."""


class _Launcher:
    """What a process knows of its launches."""

    def __init__(self, *, forked: bool) -> None:
        self.lock = threading.Lock()
        """numba's plain threading layer aborts the process when two threads launch kernels at once."""
        self.forked = forked
        """Whether the process is a copy of another, whose threads are not there."""
        self.begun_anew = False


_launcher = _Launcher(forked=False)


@contextmanager
def launching() -> Iterator[None]:
    """Inside, a kernel compiled with `parallel=True` may be called."""
    import numba

    launcher = _launcher
    with launcher.lock:
        if launcher.forked and not launcher.begun_anew:
            _begin_anew()
            launcher.begun_anew = True
        threads = torch.get_num_threads()
        most: int = vars(numba.config)["NUMBA_NUM_THREADS"]
        numba.set_num_threads(1 if launcher.forked else max(1, min(threads, most)))
        if torch.get_num_threads() != threads:  # numba's first launch in a thread sets OpenMP's count: torch's too
            torch.set_num_threads(threads)
        yield


def forked() -> bool:
    """Whether this process is a copy of another that had loaded this module: `os.fork`, a worker of a DataLoader.

    OpenMP then waits for threads that were not copied, for ever, wherever more than one thread is asked for.
    """
    return _launcher.forked


def _begin_anew() -> None:
    """Tell numba's threading layer that this process is one of its own. It ends a process that was forked from the one
    that loaded it, as its threads are not there; but for a single thread none are needed."""
    import numba

    try:
        layer = numba.threading_layer()  # type: ignore[attr-defined]  # numba's own way in, which its __all__ forgets
    except ValueError:
        return  # not loaded yet
    module = importlib.import_module(f"numba.np.ufunc.{_LAYERS[layer]}")
    ctypes.CFUNCTYPE(None, ctypes.c_int)(module.launch_threads)(1)


def _forked() -> None:
    global _launcher  # a process that was forked is another one, and some thread may have held the lock
    _launcher = _Launcher(forked=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
