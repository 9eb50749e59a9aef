from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
import torch

from hnm_core import kernels


@pytest.fixture(scope="session", autouse=True)
def search_kernels() -> None:
    """The search kernels, compiled once per machine by a process of its own, so that no test waits for a compiler."""
    process = kernels.compile_in_background(kernels.SEARCH_KERNELS)
    if process is not None and process.wait() != 0:
        pytest.fail(f"the kernels do not compile; see {sys.executable} -m hnm_core.kernels {kernels.SEARCH_KERNELS}")


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine where nothing was compiled yet and the compiler is still at work."""

    class Compiler:
        def poll(self) -> None:
            return None

        def wait(self) -> int:
            raise AssertionError("a search this small must not wait for the compiler")

    monkeypatch.setattr(kernels, "ready", lambda _module: False)
    monkeypatch.setattr(kernels, "compile_in_background", lambda *_modules: Compiler())
