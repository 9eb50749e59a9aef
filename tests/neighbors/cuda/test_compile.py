"""The CUDA sources compile for every architecture we name, by NVIDIA's compiler, which needs no GPU."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hnm_core.neighbors.cuda import nvrtc, source
from tests.families import across

ARCHITECTURES = (75, 80, 86, 90, 100, 120)
KERNELS = {
    "low_dim": {f"{kind}_{dim}" for kind in ("nearest", "farthest") for dim in range(1, 10)},
    "hamming": {"nearest_codes"},
    "measure": {"measure_distances", "measure_products"},
    "select": {"select_float", "select_int"},
}

pytestmark = pytest.mark.skipif(bool(nvrtc.why_absent()), reason=nvrtc.why_absent())


def test_that_every_source_is_known_here() -> None:
    assert source.names() == sorted(KERNELS)


@pytest.mark.parametrize(("name", "architecture"), across(sorted(KERNELS), ARCHITECTURES))
def test_that_a_source_compiles_without_a_warning_and_fits_the_registers(
    record_property: Callable[[str, object], None], name: str, architecture: int
) -> None:
    """A block of 256 threads of each kernel finds the registers for two on a multiprocessor, and none spill."""
    if architecture not in nvrtc.architectures():
        pytest.skip(f"NVRTC {nvrtc.version()} does not compile for sm_{architecture}")
    compiled = nvrtc.compile_source(source.source(name), f"{name}.cu", architecture)
    assert compiled.works, compiled.log
    assert compiled.log == ""
    assert compiled.cubin.startswith(b"\x7fELF")
    assert {usage.kernel for usage in compiled.usage} == KERNELS[name]
    for usage in compiled.usage:
        record_property(usage.kernel, f"{usage.registers} registers, {usage.stack} stack, {usage.spilled} spilled")
        assert 0 < usage.registers <= 65_536 // 256 // 2, usage
        assert usage.spilled == 0, usage


def test_that_a_mistake_and_a_warning_are_told() -> None:
    wrong = nvrtc.compile_source('extern "C" __global__ void f(int* x) { *x = y; }', "wrong.cu", 75)
    assert (wrong.works, wrong.cubin) == (False, b"")
    assert 'wrong.cu(1): error: identifier "y" is undefined' in wrong.log
    loose = nvrtc.compile_source('extern "C" __global__ void f(int* x) { int y; *x = 1; }', "loose.cu", 75)
    assert loose.works
    assert "never referenced" in loose.log


def test_that_spilled_registers_are_told() -> None:
    """A kernel that must hold 80 numbers, with blocks so large that a thread gets 64 registers."""
    text = """extern "C" __global__ void __launch_bounds__(1024) f(float* x) {
        float y[80];
        #pragma unroll
        for (int i = 0; i < 80; i++) y[i] = x[i * threadIdx.x];
        __syncthreads();
        #pragma unroll
        for (int i = 0; i < 80; i++) x[i * threadIdx.x + 1] = y[i] * y[79 - i];
    }"""
    (usage,) = nvrtc.compile_source(text, "spills.cu", 75).usage
    assert usage.kernel == "f"
    assert usage.registers <= 64
    assert usage.spilled > 0
    assert usage.stack > 0
