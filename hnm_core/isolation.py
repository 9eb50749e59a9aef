"""What the program around does to torch, and what shall not reach our numbers: whoever calls us inside autocast, inside
inference mode, with coarse products or from a forked process gets the answer that he would get elsewhere.

Public entries that compute stand in `isolated`; losses, which have a gradient, in `in_full_precision`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch

from hnm_core.launching import forked

DEVICES = ("cpu", "cuda")
"""Where we compute."""


@contextmanager
def in_full_precision() -> Iterator[None]:
    """Inside, products of float32 numbers are products of float32 numbers. Also a decorator."""
    with ExitStack() as stack:
        for device in DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        if torch.get_float32_matmul_precision() != "highest":
            stack.enter_context(_finest_products())
        yield


@contextmanager
def isolated() -> Iterator[None]:
    """The same, and inside there is no gradient, tensors are ordinary ones that anybody may change and use later, and a
    forked process works with the one thread that it has. Also a decorator."""
    with ExitStack() as stack:
        stack.enter_context(in_full_precision())
        if torch.is_inference_mode_enabled():
            stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        if forked() and torch.get_num_threads() > 1:
            stack.enter_context(_one_thread())
        yield


@contextmanager
def _finest_products() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
