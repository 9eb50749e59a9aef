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
