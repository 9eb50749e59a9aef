"""What works on this machine and, in plain words, why the rest does not. Nothing here is needed to run anything."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hnm_core import kernels
from hnm_core.errors import InputError
from hnm_core.system import paths

EXTRAS = {
    "pytorch-metric-learning": ("pml", "its losses and miners by name"),
    "faiss-cpu": ("faiss", "its indexes beside our searches"),
    "pyarrow": ("parquet", "reading and writing .parquet"),
    "pillow": ("images", "reading folders of pictures"),
    "matplotlib": ("plots", "plots of comparisons and searches"),
    "optuna": ("tune", "choosing options on a validation part"),
    "bm25s": ("bm25", "negatives that share words with the query"),
}
"""Optional packages: the extra of hnm-lab that installs each, and what it is for."""


Finding = tuple[bool, str]
"""Whether it works; what was found, or why it does not work and what to do."""


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    works: bool
    words: str


def examine() -> Iterator[Check]:
    """All checks of the engine, one after the other. None of them raises."""
    yield Check("python", True, f"{platform.python_version()} on {platform.platform()}, {os.cpu_count()} processors")
    yield attempt("torch", _torch)
    yield attempt("gpu", _gpu)
    yield attempt("cupy", _cupy)
    yield attempt("cuda search", _cuda_search)
    yield attempt("cuda kernels", _cuda_kernels)
    yield attempt("search kernels", partial(kernels_ready, kernels.SEARCH_KERNELS))
    yield attempt("recordings", _recordings)
    yield attempt("fashion-mnist", _fashion_mnist)
    for package in EXTRAS:
        yield attempt(package, partial(_extra, package))


def attempt(name: str, check: Callable[[], Finding]) -> Check:
    """A line of the report; where the check itself breaks, the line says how."""
    try:
        return Check(name, *check())
    except Exception as error:  # noqa: BLE001 - a broken installation breaks in any way it likes; that is the finding
        return Check(name, False, f"{type(error).__name__}: {error}")


def _torch() -> Finding:
    import torch

    return True, f"{torch.__version__}, {torch.get_num_threads()} threads"


def _gpu() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(place) for place in range(torch.cuda.device_count())]
        return True, f"{', '.join(names)}; CUDA {torch.version.cuda}"
    if torch.version.cuda is None:
        reason = "the installed torch is a build without CUDA"
    elif platform.system() == "Linux" and not Path("/proc/driver/nvidia/version").exists():
        reason = "no NVIDIA driver is loaded on this machine"
    else:
        reason = "torch finds no usable device; see what `nvidia-smi` says"
    return False, f"everything runs on the CPU: {reason}"


def _cupy() -> Finding:
    if importlib.util.find_spec("cupy") is None:
        return False, "not installed: pip install 'hnm-lab[cuda12]' or 'hnm-lab[cuda13]', by your CUDA"
    import cupy

    return True, f"{cupy.__version__}, {cupy.cuda.runtime.getDeviceCount()} devices"


def _cuda_search() -> Finding:
    import torch

    if not torch.cuda.is_available():
        return False, "there is no GPU, so neighbours are searched on the CPU"
    from hnm_core.neighbors.machine import why_no_cuda_kernels

    reason = why_no_cuda_kernels(torch.device("cuda", torch.cuda.current_device()))
    if reason:
        return False, f"neighbours are searched on the GPU by torch's own operations: {reason}"
    return True, "neighbours are searched on the GPU by our own kernels"


def _cuda_kernels() -> Finding:
    from hnm_core.neighbors.machine import cuda_sources

    return cuda_sources()


def kernels_ready(module: str) -> Finding:
    """Whether the compiled kernels of `module` are at hand."""
    if kernels.ready(module):
        return True, "compiled"
    return False, f"not compiled yet: done at first use, or now by python -P -m hnm_core.kernels {module}"


def _recordings() -> Finding:
    from hnm_core.recording import list_runs, runs_dir

    folder = runs_dir()
    nearest = next(place for place in (folder, *folder.parents) if paths.at_a_glance(place) != "missing")
    if not os.access(nearest, os.W_OK):
        return False, f"{folder} cannot be written to"
    return True, f"{len(list_runs())} in {folder}"


def _fashion_mnist() -> Finding:
    from hnm_core import data

    try:
        data.create("fashion-mnist", points=20, download=False)
    except InputError as error:
        return False, str(error)
    return True, "a copy is on this machine"


def _extra(package: str) -> Finding:
    extra, purpose = EXTRAS[package]
    try:
        return True, f"{importlib.metadata.version(package)}: {purpose}"
    except importlib.metadata.PackageNotFoundError:
        return False, f"not installed, adds {purpose}: pip install 'hnm-lab[{extra}]'"
