from __future__ import annotations

from pathlib import Path

import pytest

from . import cpu


@pytest.fixture(scope="session")
def compiled_folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where kernels compiled for the CPU stay, from one run of the tests to the next unless pytest keeps no cache."""
    if reason := cpu.why_absent():
        pytest.skip(reason)
    cache = getattr(request.config, "cache", None)
    return cache.mkdir("cuda-on-cpu") if cache else tmp_path_factory.mktemp("cuda-on-cpu")


@pytest.fixture
def on_cpu(compiled_folder: Path) -> cpu.CpuKernels:
    return cpu.CpuKernels(compiled_folder)
