"""Which of the processor's instructions each library makes use of: a peer at a lower level than ours is no fair one.

Levels can be held down for all sides alike, by variables of the environment that are read at the start:
`NUMBA_CPU_NAME` and `NUMBA_CPU_FEATURES` for our kernels, `ATEN_CPU_CAPABILITY`, `MKL_ENABLE_INSTRUCTIONS` and
`ONEDNN_MAX_CPU_ISA` for torch, `NPY_DISABLE_CPU_FEATURES` for NumPy, `FAISS_SIMD_LEVEL` (once `FAISS_OPT_LEVEL`) and
`OPENBLAS_CORETYPE`, which multiplies for it, for FAISS.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_info

from hnm_core.bench.timing import why_absent
from hnm_core.neighbors.machine import compiled_for


def levels() -> dict[str, str]:
    """Library -> its level, in its own words; those that are not there are left out."""
    found = {"ours": compiled_for(), "torch": torch.backends.cpu.get_cpu_capability(), "numpy": _numpy()}
    if not why_absent("faiss"):
        found["faiss"] = _faiss()
    return found


def in_words(found: dict[str, str]) -> str:
    """One line."""
    return "Instructions: " + "; ".join(f"{name} {level}" for name, level in found.items())


def _numpy() -> str:
    described: Any = np.show_config(mode="dicts")
    simd = described.get("SIMD Extensions", {})
    return " ".join([*simd.get("baseline", ()), *simd.get("found", ())]) + _blas("numpy")


def _faiss() -> str:
    faiss: Any = importlib.import_module("faiss")  # its stubs do not know the level
    options = " ".join(faiss.get_compile_options().split())
    chosen = getattr(faiss, "SIMDConfig", None)
    return (f"{chosen.get_level_name()} of {options}" if chosen is not None else options) + _blas("faiss")


def _blas(package: str) -> str:
    """What multiplies large matrices for a package, where it brings an OpenBLAS of its own."""
    for library in threadpool_info():
        folders = [part.partition(".")[0] for part in Path(library["filepath"]).parts]
        if package in {folder.removesuffix("_cpu") for folder in folders} and library.get("architecture"):
            return f", {library['internal_api']} for {library['architecture']}"
    return ""
