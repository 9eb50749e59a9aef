"""`hnm-lab ...`, or any Python, as a process of its own that begins at once: a fork of one that has loaded all and done
nothing.

Its descriptors, folder, user and environment are what a test says; its streams are made as Python makes them at a
start, and it ends as any Python does. The parent of these processes is this module run as a program.
"""

from __future__ import annotations

import atexit
import builtins
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[1]
CLOSED = ""
"""Instead of a path: the descriptor is closed."""
LOADED = (
    "encodings.cp437", "encodings.utf_8_sig", "_strptime", "resource",
    "torch._dynamo", "scipy.stats", "sklearn.cluster", "sklearn.manifold", "numba.typed", "faiss", "av", "optuna",
    "alembic.command", "pyarrow.parquet", "pytorch_metric_learning.losses", "matplotlib.figure",
    "matplotlib.backends.backend_agg", "matplotlib.backends.backend_svg", "app.cli", "app.main", "app.doctor",
    "app.video.renderer", "hnm_core.training.experiment", "hnm_core.cli.headless", "hnm_core.studies.evaluating",
    "hnm_core.studies.embedding", "hnm_core.studies.features", "hnm_core.studies.tuning", "hnm_core.bench.approximate",
    "hnm_core.bench.losses",
)  # fmt: skip
LIMIT_S = 100.0


@dataclass
class Ended:
    """How a process ended."""

    status: int
    """As `subprocess` tells it: -15 where SIGTERM ended it."""
    err: str
    seconds: float
    """From its start, or from the last signal that was sent to it."""


@dataclass
class Process:
    """One that runs."""

    pid: int
    err: Path
    began: float
    forks: Forks = field(repr=False)

    def send(self, kind: int) -> None:
        """Send it a signal."""
        self.began = time.monotonic()
        os.kill(self.pid, kind)

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self.forks.status(self.pid) is None

    def wait(self) -> Ended:
        """Raises `TimeoutError` where it hangs, and ends it."""
        while (status := self.forks.status(self.pid)) is None:
            if time.monotonic() - self.began > LIMIT_S:
                os.kill(self.pid, signal.SIGKILL)
                raise TimeoutError(f"it hangs; so far it said: {self.err.read_text(errors='replace')}")
            time.sleep(0.01)
        return Ended(status, self.err.read_text(errors="replace"), time.monotonic() - self.began)


class Forks:
    """Starts processes; what they say on standard error goes to files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count, self._statuses = folder, 0, dict[int, int]()
        self._parent = subprocess.Popen(
            [sys.executable, "-P", "-m", "tests.forked"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def start(
        self,
        *arguments: str | Path,
        cwd: Path,
        out: str | Path = os.devnull,
        err: str | Path | None = None,
        env: Mapping[str, str | None] | None = None,
        user: int = 0,
        ignored: Sequence[int] = (),
        code: str = "",
    ) -> Process:
        """`hnm-lab arguments`, or `code`, with standard output to the path `out`; None in `env` takes a variable away.
        Signals that are `ignored` are so from the start."""
        self._count += 1
        said = self._folder / f"{self._count}.err"
        said.touch()
        said.chmod(0o666)
        asked = {"arguments": list(map(str, arguments)), "cwd": str(cwd), "out": str(out)}
        asked |= {"err": str(said if err is None else err), "env": dict(env or {}), "user": user}
        asked |= {"ignored": list(map(int, ignored)), "code": code}
        return Process(self._ask(asked), said, time.monotonic(), self)

    def run(self, *arguments: str | Path, **options: Any) -> Ended:
        """Start it and wait for its end."""
        return self.start(*arguments, **options).wait()

    def python(self, code: str, *, cwd: Path, env: Mapping[str, str | None] | None = None) -> str:
        """What `code` prints, which may import what lies in `cwd`. It must end well."""
        out = self._folder / f"{self._count + 1}.out"
        found = f"import sys; sys.path.insert(0, {str(cwd)!r})\n{code}"
        ended = self.run(cwd=cwd, env=env, out=out, code=found)
        assert ended.status == 0, ended.err
        return out.read_text()

    def status(self, pid: int) -> int | None:
        """Of a process that has ended."""
        if pid not in self._statuses:
            status = self._ask({"pid": pid})
            if status is None:
                return None
            self._statuses[pid] = status
        return self._statuses[pid]

    def close(self) -> None:
        """End the parent of the processes."""
        self._parent.communicate()

    def _ask(self, message: Mapping[str, Any]) -> Any:
        assert self._parent.stdin is not None and self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(message) + "\n")
        self._parent.stdin.flush()
        return json.loads(self._parent.stdout.readline())


@contextmanager
def forks(folder: Path) -> Iterator[Forks]:
    """Within, processes can be started."""
    started = Forks(folder)
    try:
        yield started
    finally:
        started.close()


def serve() -> dict[str, Any]:
    """Answer until nobody asks any more. Returns in every process that is started, with what was asked of it."""
    for name in LOADED:
        importlib.import_module(name)
    gc.freeze()
    for line in sys.stdin:
        asked: dict[str, Any] = json.loads(line)
        if "pid" in asked:
            pid, status = os.waitpid(asked["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        elif (answer := os.fork()) == 0:
            return asked
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    os._exit(0)


def become(asked: Mapping[str, Any]) -> None:
    """Make this process what was asked for, as a start of Python would have."""
    os.setsid()
    for kind in asked["ignored"]:
        signal.signal(kind, signal.SIG_IGN)
    for handle, path in enumerate((os.devnull, asked["out"], asked["err"])):
        os.close(handle)
        if path != CLOSED:
            opened = os.open(path, os.O_RDONLY if handle == 0 else os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.dup2(opened, handle)
            if opened != handle:
                os.close(opened)
    for name, value in asked["env"].items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
    for named in filter(None, os.environ.get("PYTHONWARNINGS", "").split(",")):
        action, category = named.split("::")
        warnings.simplefilter(action, getattr(builtins, category))
    tempfile.tempdir = None  # to be found anew
    os.chdir(asked["cwd"])
    if asked["user"]:
        os.setgroups([])
        os.setgid(asked["user"])
        os.setuid(asked["user"])
    sys.argv = ["hnm-lab", *asked["arguments"]]
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    sys.stdout = sys.__stdout__ = _stream(1, encoding, "strict", closed=asked["out"] == CLOSED)
    sys.stderr = sys.__stderr__ = _stream(2, encoding, "backslashreplace", closed=asked["err"] == CLOSED)


def end(status: Any) -> NoReturn:
    """As Python ends, but without taking apart what was loaded, which takes seconds."""
    threading._shutdown()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError as error:
            os.write(2, f"Exception ignored: {error!r}".encode())
            status = 120
    os._exit(status or 0)


def _stream(handle: int, encoding: str, errors: str, *, closed: bool) -> Any:
    if closed:
        return None
    return open(handle, "w", encoding=encoding, errors=errors, closefd=False, buffering=1 if os.isatty(handle) else -1)


if __name__ == "__main__":
    wanted = serve()
    become(wanted)
    try:
        if wanted["code"]:
            exec(wanted["code"], {"__name__": "__main__"})
        else:
            from app.cli import main

            main()
    except SystemExit as ended:
        end(ended.code)
    except Exception:  # noqa: BLE001  told as Python tells it
        traceback.print_exc()
        end(1)
    end(0)
