from __future__ import annotations

import pytest
import torch

from hnm_core import devices
from hnm_core.errors import InputError


def test_that_auto_takes_cuda_where_it_is_and_the_cpu_elsewhere() -> None:
    assert devices.resolve("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert devices.resolve("cpu") == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is present")
def test_that_asking_for_absent_cuda_names_the_reason() -> None:
    with pytest.raises(InputError, match=r"'cuda' cannot be used: .*CUDA.* Take 'cpu' or 'auto'"):
        devices.resolve("cuda")


def test_that_an_unknown_device_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(InputError, match="Did you mean cuda"):
        devices.resolve("cudaa")


def test_that_the_cpu_is_described_with_its_threads() -> None:
    before = torch.get_num_threads()
    try:
        for threads, words in ((1, "1 thread"), (2, "2 threads")):
            torch.set_num_threads(threads)
            assert devices.describe(torch.device("cpu")).endswith(words)
    finally:
        torch.set_num_threads(before)
