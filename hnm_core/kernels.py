"""Compiled kernels, once per machine: a subprocess compiles a module's numba kernels into numba's on-disk cache.

A module with kernels has a function `warm_up()` that calls each of them once on tiny input. Until `ready(module)` is
true the program does without it (or waits, where that is quicker), so that no window ever freezes on a compiler.

    python -m hnm_core.kernels MODULE...     compile now and wait
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import platformdirs

SEARCH_KERNELS = "hnm_core.neighbors.cpu.search_kernels"
"""The module that gathers the kernels of the neighbour searches."""

if sys.platform == "linux":
    # Unlike numba's plain threads, OpenMP lets two threads launch kernels at once; read when numba is first imported.
    # A bare system has no libgomp, and torch's own is found only once torch is loaded: there the plain threads do.
    os.environ.setdefault("NUMBA_THREADING_LAYER_PRIORITY", "omp tbb workqueue")

launch_lock = threading.Lock()
"""Hold while calling a kernel compiled with `parallel=True`: numba's plain threading layer aborts the process when two
threads launch kernels at once."""


_ready: set[str] = set()


def ready(module: str) -> bool:
    """Whether the kernels of `module` load from the cache, so that a first call takes no compiler.

    A yes is remembered for the life of the process: searches ask at every refresh.
    """
    if module in _ready:
        return True
    try:
        stamp = json.loads(_stamp_path(module).read_text())
        files = all(Path(name).is_file() for name in stamp["files"])
        if files and all(_version(Path(name)) == version for name, version in stamp["sources"].items()):
            _ready.add(module)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return module in _ready


_compilers: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}
_compilers_lock = threading.Lock()


def compile_in_background(*modules: str) -> subprocess.Popen[bytes] | None:
    """Start a process that compiles what is not `ready`; None when nothing is to be done.

    Asked again for the same modules, it returns the process that was started first, also where that has failed.
    """
    missing = tuple(module for module in modules if not ready(module))
    if not missing:
        return None
    flags: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    with _compilers_lock:
        if missing not in _compilers:
            _compilers[missing] = subprocess.Popen(
                [sys.executable, "-m", "hnm_core.kernels", *missing], env={**os.environ, "PYTHONPATH": path}, **flags
            )
        return _compilers[missing]


@atexit.register
def _leave_compilers_to_themselves() -> None:
    """A program that ends does not wait for its compilers: they go on, and the next program finds the kernels."""
    for process in _compilers.values():
        if process.poll() is None:
            process.returncode = 0  # nobody will ask; without it Popen warns of a child that was not waited for


def compile_now(module: str) -> None:
    """Compile the kernels of `module` in this process and remember that it was done."""
    kernels = importlib.import_module(module)
    kernels.warm_up()
    files = sorted({str(file) for value in vars(kernels).values() for file in _cache_files(value)})
    stamp = _stamp_path(module)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    part = stamp.with_suffix(f".{os.getpid()}.part")
    sources = {name: _version(Path(name)) for name in _sources(kernels)}
    part.write_text(json.dumps({"module": module, "files": files, "sources": sources}))
    part.replace(stamp)


def _cache_files(value: object) -> list[Path]:
    """The cache index of a numba dispatcher; nothing for any other object."""
    cache = getattr(value, "_cache", None)
    folder = getattr(cache, "_cache_path", None)
    index = getattr(getattr(cache, "_cache_file", None), "_index_name", None)
    return [Path(folder) / index] if folder and index and (Path(folder) / index).is_file() else []


def _sources(kernels: ModuleType) -> list[str]:
    """The files that the kernels in the namespace of a module were written in, and those of modules named there."""
    functions = (getattr(value, "py_func", None) for value in vars(kernels).values())
    files = {function.__code__.co_filename for function in functions if function is not None}
    package = f"{__package__}."
    for value in vars(kernels).values():
        if isinstance(value, ModuleType) and value.__name__.startswith(package) and value.__file__:
            files.add(value.__file__)
    return sorted(files)


def _version(source: Path) -> str:
    stat = source.stat()
    return f"{stat.st_mtime_ns}|{stat.st_size}"


def _stamp_path(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module named {module}")
    source = Path(spec.origin)
    key = f"{source}|{_version(source)}|{sys.version}|{importlib.metadata.version('numba')}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("hnm-lab", appauthor=False)) / "kernels" / f"{module}-{digest}.json"


def compile_once(module: str) -> None:
    """`compile_now`, unless that is done or another process is at it: then wait for that."""
    from filelock import FileLock  # only a compiler needs it, and every program imports this module at its start

    lock = _stamp_path(module).with_suffix(".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(lock):
        if not ready(module):
            compile_now(module)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        compile_once(name)
