from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from hnm_core import kernels


@pytest.fixture(scope="session", autouse=True)
def search_kernels(compile_kernels: Callable[[str], None]) -> None:
    """The search kernels are compiled."""
    compile_kernels(kernels.SEARCH_KERNELS)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Compiler:
    """One that is still at work, and fails in the end."""

    waited_for = False

    def poll(self) -> None:
        return None

    def wait(self) -> int:
        self.waited_for = True
        return 1


@pytest.fixture
def no_kernels(monkeypatch: pytest.MonkeyPatch) -> Compiler:
    """As on a machine where nothing was compiled yet, and nothing can be."""
    compiler = Compiler()
    monkeypatch.setattr(kernels, "ready", lambda _module: False)
    monkeypatch.setattr(kernels, "compile_in_background", lambda *_modules: compiler)
    return compiler
