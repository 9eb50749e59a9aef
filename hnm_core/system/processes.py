"""Processes of our own: another Python that runs one of our modules and nothing of the folder it is started in, and
that ends when who started it is gone.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""The folder that our packages lie in."""
ENDING_S = 20.0
"""So long work may take to end in order once nobody is left who asked for it."""


def command(module: str, arguments: Iterable[str] = (), options: Sequence[str] = ()) -> list[str]:
    """The command line of another Python that runs `module` with `arguments`, as `python -m` does; `options` are
    Python's own."""
    # -P: what lies in the current folder is not ours to run, for instance a `filelock.py`.
    return [sys.executable, "-P", *options, "-m", module, *arguments]


def environment() -> Mapping[str, str]:
    """The environment of such a process: it finds what this one finds, but for what lies in the current folder."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(without_current_folder(sys.path))}


def end_with(pipe: int) -> None:
    """Have this process asked to end, as by a request to terminate, once the descriptor `pipe` can give nothing more:
    whoever holds its other end is gone then, however that went. What does not end is ended."""

    def wait() -> None:
        while os.read(pipe, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(ENDING_S)
        os._exit(1)

    threading.Thread(target=wait, name="hnm-end", daemon=True).start()


def without_current_folder(path: Sequence[str]) -> list[str]:
    """The entries of an import path but for the current folder, unless our own packages lie in that."""
    try:
        here = Path.cwd()
    except OSError:  # it was deleted
        kept = [Path(entry) for entry in path if entry]
    else:
        found = [here / entry for entry in path]
        kept = [entry for entry in found if entry == ROOT or os.path.realpath(entry) != os.path.realpath(here)]
    return [str(entry) for entry in (kept if ROOT in kept else [*kept, ROOT])]
