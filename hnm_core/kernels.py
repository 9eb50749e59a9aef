"""Compiled kernels, once per machine: a subprocess compiles a module's numba kernels into numba's on-disk cache.

A module with kernels has a function `warm_up()` that calls each of them once on tiny input; a package of such modules
can be named as a whole. Until `ready(module)` is true the program does without it (or waits, where that is quicker), so
that no window ever freezes on a compiler.

    python -P -m hnm_core.kernels MODULE...     compile now and wait
"""

from __future__ import annotations

import ast
import atexit
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
import pkgutil
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from hnm_core import compilers
from hnm_core.system import processes, user_folders
from hnm_core.system.regular_files import read_regular
from hnm_core.system.whole_files import put

SEARCH_KERNELS = "hnm_core.neighbors.cpu"
"""The package that holds the kernels of the neighbour searches."""

_COMPILERS = {"numba", "llvmlite"}
"""A module that imports neither of them holds nothing that ends up in machine code."""

_PYTHON = f"py{sys.version_info.major}{sys.version_info.minor}"
"""How numba marks the files that it keeps for this interpreter; those of another stay."""

if sys.platform == "linux":
    # Unlike numba's plain threads, OpenMP lets two threads launch kernels at once; read when numba is first imported.
    # A bare system has no libgomp, and torch's own is found only once torch is loaded: there the plain threads do.
    os.environ.setdefault("NUMBA_THREADING_LAYER_PRIORITY", "omp tbb workqueue")

_NUMBA_FOLDERS = (
    Path(__file__).parent / "neighbors" / "cpu" / "__pycache__",
    Path(os.path.expanduser(os.environ.get("XDG_CACHE_HOME") or "~/.cache")) / "numba",  # noqa: PTH111  Path raises
)
"""Where numba keeps what it compiles: beside the kernels, or in the user's cache."""

if not any(folder.is_absolute() and user_folders.is_writable(folder) for folder in _NUMBA_FOLDERS):
    # Without a place it compiles nothing at all; read when numba is first imported.
    with suppress(OSError):
        os.environ.setdefault("NUMBA_CACHE_DIR", str(user_folders.stand_in() / "numba"))


_TARGET = ("NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES", "NUMBA_CACHE_DIR")
"""Variables by which numba is told to compile for another processor than this one, or to keep kernels elsewhere."""

_MAX_STAMP = 1 << 20

_ready: set[str] = set()


def ready(module: str) -> bool:
    """Whether the kernels of `module` load from the cache, so that a first call takes no compiler.

    A yes is remembered for the life of the process: searches ask at every refresh.
    """
    if module in _ready:
        return True
    try:
        stamp = json.loads(read_regular(_stamp_path(module), _MAX_STAMP))
        files = all(Path(name).is_file() for name in stamp["files"])
        if files and all(_version(Path(name)) == version for name, version in stamp["sources"].items()):
            _ready.add(module)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return module in _ready


_compilers: dict[tuple[str, ...], subprocess.Popen[bytes]] = {}
_compilers_lock = threading.Lock()


def _without_compilers() -> None:
    """A forked process has none: those that were started are another's children, and cannot be waited for."""
    global _compilers_lock  # some thread may have held it
    _compilers_lock = threading.Lock()
    _compilers.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_without_compilers)


def compile_in_background(*modules: str) -> subprocess.Popen[bytes] | None:
    """Start a process that compiles what is not `ready`; None when nothing is to be done.

    Asked again for the same modules, it returns the process that was started first, also where that has failed.
    """
    missing = tuple(module for module in modules if not ready(module))
    if not missing:
        return None
    quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with _compilers_lock:
        if missing not in _compilers:
            # In a folder of our own: numba reads a `.numba_config.yaml` of the one that it is started in.
            _compilers[missing] = subprocess.Popen(
                processes.command("hnm_core.kernels", missing), env=processes.environment(), cwd=processes.ROOT, **quiet
            )
        return _compilers[missing]


@atexit.register
def _leave_compilers_to_themselves() -> None:
    """A program that ends does not wait for its compilers: they go on, and the next program finds the kernels."""
    for process in _compilers.values():
        if process.poll() is None:
            process.returncode = 0  # nobody will ask; without it Popen warns of a child that was not waited for


def load(module: str) -> None:
    """Load the kernels of `module`, which are `ready`, so that none has to be when it is called."""
    for part in _parts(module):
        if hasattr(part, "warm_up"):
            part.warm_up()


def compile_now(module: str) -> None:
    """Compile the kernels of `module` in this process, and remember that it was done. What another that was broken off
    had compiled of the same sources is kept; else all are compiled anew."""
    parts = _parts(module)
    sources = [*_sources(parts)]
    # Before anything is compiled: what is saved meanwhile must not count as compiled.
    versions = {str(_file(source)): _version(_file(source)) for source in sources}
    if _begun(module) != versions:
        # numba looks for changes in a kernel's own file only: what it kept may hold old code of what the kernel calls.
        others = _stamp_path(module).parent.glob(f"{module}.{_PYTHON}-*.json")  # say of what goes now that it is there
        for cached in (*others, *_cached(sources, f"*.{_PYTHON}*.nb[ic]")):
            cached.unlink(missing_ok=True)
        _replace(_begun_path(module), versions)
    total = sum(1 for source in sources for _ in compilers.kernels_of(source))

    def tell(done: set[str], kernel: str) -> None:
        with suppress(OSError):  # somebody looks at it just now, or there is no room: no reason to stop
            _replace(_progress_path(module), [len(done), total, kernel])

    try:
        compilers.compile_parts([part for part in parts if hasattr(part, "warm_up")], sources, tell)
    finally:
        with suppress(OSError):
            _progress_path(module).unlink(missing_ok=True)
    files = sorted(str(index) for index in _cached(sources, f"*.{_PYTHON}*.nbi"))
    _replace(_stamp_path(module), {"module": module, "files": files, "sources": versions})
    _begun_path(module).unlink(missing_ok=True)


def _begun(module: str) -> object:
    """The sources of which all that numba has kept was compiled by a process that did not get to its end."""
    try:
        return json.loads(read_regular(_begun_path(module), _MAX_STAMP))
    except (OSError, ValueError, RecursionError):
        return None


def _begun_path(module: str) -> Path:
    return _stamp_path(module).with_suffix(".begun")


class Progress(NamedTuple):
    """How far a compiler is."""

    done: int
    total: int
    """Kernels."""
    name: str
    """Of the one that it is at."""


def progress(module: str) -> Progress | None:
    """How far the process is that compiles `module`, whoever started it; None before it begins and after it ends."""
    try:
        done, total, name = json.loads(read_regular(_progress_path(module), _MAX_STAMP))
        return Progress(int(done), int(total), str(name))
    except (OSError, ValueError, TypeError):
        return None


def _progress_path(module: str) -> Path:
    return _stamp_path(module).with_suffix(".progress")


def _replace(path: Path, values: object) -> None:
    """Write a file of JSON, so that a reader never sees half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(f".{os.getpid()}.part")
    unfinished.write_text(json.dumps(values))
    put(unfinished, path)


def _parts(module: str) -> list[ModuleType]:
    """The module, or of a package all modules that lie in it."""
    whole = importlib.import_module(module)
    inside = pkgutil.iter_modules(getattr(whole, "__path__", []), f"{module}.")
    return [whole, *(importlib.import_module(part.name) for part in inside)]


def _sources(parts: Iterable[ModuleType]) -> Iterator[ModuleType]:
    """Those of `parts` that numba compiles something of, and what they import of the kind from their program or us."""
    asked = list(parts)
    waiting, seen = asked.copy(), set[str]()
    while waiting:
        module = waiting.pop()
        if module.__name__ in seen or not module.__file__:
            continue
        seen.add(module.__name__)
        imported = _imported(module)
        roots = {name.partition(".")[0] for name in imported}
        compiles = bool(roots & _COMPILERS)
        if compiles:
            yield module
        if compiles or module in asked:
            programs = {module.__name__.partition(".")[0], "hnm_core"}
            mine = (name for name in imported if name.partition(".")[0] in programs)
            waiting += [sys.modules[name] for name in mine if name in sys.modules]


def _imported(module: ModuleType) -> set[str]:
    """Names of the modules that the text of a module imports; among them names that are no modules but in one."""
    names = set()
    for node in ast.walk(ast.parse(_file(module).read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = importlib.util.resolve_name("." * node.level + (node.module or ""), module.__package__)
            names |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return names


def _cached(sources: Iterable[ModuleType], pattern: str) -> list[Path]:
    """The files of the pattern that numba keeps of the kernels written in these modules, also of those long gone."""
    return [
        file
        for source in sources
        for folder in {kernel.stats.cache_path for kernel in compilers.kernels_of(source)} - {None}
        for file in Path(folder).glob(f"{_file(source).stem}.{pattern}")
    ]


def _file(module: ModuleType) -> Path:
    assert module.__file__ is not None
    return Path(module.__file__)


def _version(source: Path) -> str:
    stat = source.stat()
    return f"{stat.st_mtime_ns}|{stat.st_size}"


def _stamp_path(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module named {module}")
    source = Path(spec.origin)
    inside = sorted(part.name for part in pkgutil.iter_modules(spec.submodule_search_locations or ()))
    target = [os.environ.get(name, "") for name in _TARGET]
    key = f"{source}|{_version(source)}|{inside}|{sys.version}|{importlib.metadata.version('numba')}|{target}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return _stamps(source.parent) / f"{module}.{_PYTHON}-{digest}.json"


def _stamps(sources: Path) -> Path:
    """Where it is noted what was compiled of a folder of sources: as numba does it, beside what numba keeps. Whoever
    shares the kernels shares the notes, so that nobody clears away and compiles anew what another has."""
    kept = os.environ.get("NUMBA_CACHE_DIR")
    for place in (*([Path(kept) / "hnm-lab"] if kept else []), sources / "__pycache__"):
        if user_folders.is_writable(place):
            return place
    return user_folders.writable(user_folders.cache_folder() / "kernels")


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
