"""Processes that have numba compile modules of kernels side by side: on N cores a package takes an Nth of the time.

A compiler reads names of modules from its standard input, a line each, and says what it is at and what it is done with.
When who asked is gone it ends with what it is at.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from hnm_core.system import processes

Tell = Callable[[set[str], str], None]
"""Told of kernels by name: those that are done, and the one that is compiled now."""

_MOST = 4
"""Compilers at once: each takes some 300 MB, and the largest module a quarter of the whole time."""
_LOOK_EVERY_S = 0.1


def kernels_of(module: ModuleType) -> Iterator[Any]:
    """The functions written in a module that numba compiles."""
    for value in vars(module).values():
        if getattr(getattr(value, "py_func", None), "__module__", None) == module.__name__:
            yield value


def compile_parts(parts: Sequence[ModuleType], sources: Sequence[ModuleType], tell: Tell) -> None:
    """Call `warm_up()` of each module of `parts`, in several processes where there are several cores.

    Args:
        sources: The modules whose kernels are told of.

    Raises:
        RuntimeError: a compiler failed; what it said on standard error was passed on.
    """
    count = min(len(parts), _cores(), _MOST)
    if count < 2:
        with told(sources, tell):
            for part in parts:
                part.warm_up()
        return
    waiting = queue.SimpleQueue[str]()
    for part in sorted(parts, key=_size, reverse=True):  # the longest first, so that none begins last
        waiting.put(part.__name__)
    asked = [_Compiler(waiting, [source.__name__ for source in sources]) for _ in range(count)]
    while any(compiler.is_alive() for compiler in asked):
        for compiler in asked:
            compiler.join(_LOOK_EVERY_S)
        done = set[str]().union(*(compiler.done.copy() for compiler in asked))
        tell(done, next((compiler.at for compiler in asked if compiler.at), ""))
    if any(compiler.failed for compiler in asked):
        raise RuntimeError("a compiler of kernels failed")


class _Compiler(threading.Thread):
    """Has one process compile what is waiting, part after part."""

    def __init__(self, waiting: queue.SimpleQueue[str], sources: Iterable[str]) -> None:
        super().__init__(name="hnm-compiler")
        self._waiting, self._sources = waiting, tuple(sources)
        self.done, self.at = set[str](), ""
        self.failed = True  # until it is through, whatever ends it before
        self.start()

    def run(self) -> None:
        try:
            self._work_off()
        except queue.Empty:
            self.failed = False
        except (OSError, ValueError):  # it did not start, or is gone, in the middle of a line perhaps
            pass
        self.at = ""

    def _work_off(self) -> None:
        """Raises `queue.Empty` where nothing is left, else `OSError` or `ValueError`."""
        command, environment = processes.command("hnm_core.compilers", self._sources), processes.environment()
        with subprocess.Popen(
            command, env=environment, cwd=processes.ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None and process.stdout is not None
            while True:
                part = self._waiting.get_nowait()
                print(part, file=process.stdin, flush=True)
                self.at = part.rpartition(".")[2]
                while self.at:
                    done, self.at = json.loads(process.stdout.readline())
                    self.done.update(done)


@contextmanager
def told(sources: Iterable[ModuleType], tell: Tell) -> Iterator[None]:
    """Within, `tell` is called before numba compiles a kernel of `sources`; at the end once more, of none."""
    event: Any = importlib.import_module("numba.core.event")  # not by `import`: nothing here ends up in machine code
    kernels = {kernel.py_func: kernel for source in sources for kernel in kernels_of(source)}
    done = set[Any]()

    def there() -> set[str]:
        loaded = {function for function, ours in kernels.items() if ours.stats.cache_hits}
        return {f"{function.__module__}.{function.__name__}" for function in done | loaded}

    class Told(event.Listener):  # type: ignore[misc]  # numba carries no types
        def on_start(self, event: Any) -> None:
            if (kernel := event.data["dispatcher"].py_func) in kernels:  # numba has some of its own
                tell(there(), kernel.__name__)

        def on_end(self, event: Any) -> None:
            done.update({event.data["dispatcher"].py_func} & kernels.keys())

    with event.install_listener("numba:compile", Told()):
        yield
    tell(there(), "")


def _size(module: ModuleType) -> int:
    assert module.__file__ is not None
    return os.stat(module.__file__).st_size  # noqa: PTH116  a number to sort by


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _serve(sources: Sequence[str]) -> None:
    """Compile the modules that standard input names, a line each, until it ends."""
    answers = sys.stdout
    sys.stdout = sys.stderr  # nothing that a module prints is taken for an answer

    def tell(done: set[str], kernel: str) -> None:
        print(json.dumps([sorted(done), kernel]), file=answers, flush=True)

    for line in sys.stdin:
        part = importlib.import_module(line.strip())
        with told([sys.modules[name] for name in sources if name in sys.modules], tell):
            part.warm_up()


if __name__ == "__main__":
    _serve(sys.argv[1:])
