"""What this machine's processor and GPU can do for the searches, and in plain words why not."""

from __future__ import annotations

from typing import NamedTuple

import torch


class CudaSources(NamedTuple):
    """Whether our CUDA kernels compile here, which needs no GPU."""

    compile: bool
    words: str
    """Which compile and by what; or why they were not tried, or what the compiler says."""


def matrix_units() -> bool:
    """Whether the processor multiplies bfloat16 tiles natively and the system lets us."""
    from hnm_core.neighbors.cpu import amx

    return amx.available()


def compiled_for() -> str:
    """The processor that our kernels are compiled for, and what their products are made by."""
    import llvmlite.binding
    import numba

    from hnm_core.neighbors.cpu import fma

    named: str = vars(numba.config)["CPU_NAME"] or llvmlite.binding.get_host_cpu_name()
    how = "AMX" if matrix_units() else f"registers of {'512' if fma.WIDE else '256'} bits"
    return f"{named}, {how}"


def why_no_cuda_kernels(device: torch.device) -> str:
    """Why searches on `device` do without our own kernels; empty where they do not."""
    from hnm_core.neighbors.cuda.kernels import why_absent

    return why_absent(device)


def cuda_sources() -> CudaSources:
    """Compile every CUDA source for the oldest architecture that the compiler at hand knows."""
    from hnm_core.neighbors.cuda import nvrtc, source

    absent = nvrtc.why_absent()
    if absent:
        return CudaSources(False, f"not checked: {absent}")
    architecture, compiler = min(nvrtc.architectures()), f"NVRTC {nvrtc.version()}"
    for name in source.names():
        compiled = nvrtc.compile_source(source.source(name), f"{name}.cu", architecture, assemble=False)
        if not compiled.works:
            return CudaSources(False, f"{name}.cu does not compile by {compiler}: {compiled.log.splitlines()[0]}")
    return CudaSources(True, f"{', '.join(source.names())} compile by {compiler}; that needs no GPU")
