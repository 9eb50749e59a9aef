"""Compiled kernels, once per machine: a subprocess compiles a module's numba kernels into numba's on-disk cache.

A module with kernels has a function `warm_up()` that calls each of them once on tiny input. Until `ready(module)` is
true the program does without it (or waits, where that is quicker), so that no window ever freezes on a compiler.

    python -m hnm_core.kernels MODULE...     compile now and wait
"""

from __future__ import annotations

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
from typing import Any

import platformdirs

SEARCH_KERNELS = "hnm_core.neighbors.kdtree"

launch_lock = threading.Lock()
"""Hold while calling a kernel compiled with `parallel=True`: numba's plain threading layer aborts the process when two
threads launch kernels at once."""


def ready(module: str) -> bool:
    """Whether the kernels of `module` load from the cache, so that a first call takes no compiler."""
    try:
        stamp = json.loads(_stamp_path(module).read_text())
        return all(Path(name).is_file() for name in stamp["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def compile_in_background(*modules: str) -> subprocess.Popen[bytes] | None:
    """Start a process that compiles what is not `ready`; None when nothing is to be done."""
    missing = [module for module in modules if not ready(module)]
    if not missing:
        return None
    flags: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    path = os.pathsep.join(entry for entry in sys.path if entry)
    return subprocess.Popen(
        [sys.executable, "-m", "hnm_core.kernels", *missing], env={**os.environ, "PYTHONPATH": path}, **flags
    )


def compile_now(module: str) -> None:
    """Compile the kernels of `module` in this process and remember that it was done."""
    kernels = importlib.import_module(module)
    kernels.warm_up()
    files = sorted({str(file) for value in vars(kernels).values() for file in _cache_files(value)})
    stamp = _stamp_path(module)
    stamp.parent.mkdir(parents=True, exist_ok=True)
    part = stamp.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({"module": module, "files": files}))
    part.replace(stamp)


def _cache_files(value: object) -> list[Path]:
    """The cache index of a numba dispatcher; nothing for any other object."""
    cache = getattr(value, "_cache", None)
    folder = getattr(cache, "_cache_path", None)
    index = getattr(getattr(cache, "_cache_file", None), "_index_name", None)
    return [Path(folder) / index] if folder and index and (Path(folder) / index).is_file() else []


def _stamp_path(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"no module named {module}")
    source = Path(spec.origin)
    stat = source.stat()
    key = f"{source}|{stat.st_mtime_ns}|{stat.st_size}|{sys.version}|{importlib.metadata.version('numba')}"
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return Path(platformdirs.user_cache_dir("hnm-lab", appauthor=False)) / "kernels" / f"{module}-{digest}.json"


if __name__ == "__main__":
    for name in sys.argv[1:]:
        compile_now(name)
