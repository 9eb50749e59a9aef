from __future__ import annotations

from pathlib import Path

import pytest

from . import cpu


@pytest.fixture(scope="session")
def compiled_folder(request: pytest.FixtureRequest) -> Path:
    """Where kernels compiled for the CPU stay from one run of the tests to the next."""
    if reason := cpu.why_absent():
        pytest.skip(reason)
    return request.config.cache.mkdir("cuda-on-cpu")


@pytest.fixture
def on_cpu(compiled_folder: Path) -> cpu.CpuKernels:
    return cpu.CpuKernels(compiled_folder)
