"""What the program around does to torch, and what shall not reach our numbers: whoever calls us inside autocast, inside
inference mode, with coarse products, with another default device or from a forked process gets the answer that he
would get elsewhere.

Public entries that compute are `isolated`; losses, which have a gradient, are `in_full_precision`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import ParamSpec, TypeVar

import torch

from hnm_core.launching import forked

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

DEVICES = ("cpu", "cuda")
"""Where we compute."""


def in_full_precision(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """The function, in which products of float32 numbers are products of float32 numbers, and what it makes lies where
    it says."""

    @functools.wraps(function)
    def precise(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        if not (_coarse() or _elsewhere()):
            return function(*args, **kwargs)
        with _in_full_precision(), torch.device("cpu") if _elsewhere() else nullcontext():
            return function(*args, **kwargs)

    return precise


def isolated(function: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """The same, and in it there is no gradient, tensors are ordinary ones that anybody may change and use later, and a
    forked process works with the one thread that it has."""

    @functools.wraps(function)
    def alone(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        if not (_coarse() or _elsewhere() or torch.is_inference_mode_enabled() or forked()):  # as mostly, and often
            if not torch.is_grad_enabled():
                return function(*args, **kwargs)
            with torch.no_grad():
                return function(*args, **kwargs)
        with ExitStack() as stack:
            if _coarse():
                stack.enter_context(_in_full_precision())
            if _elsewhere():
                stack.enter_context(torch.device("cpu"))
            if torch.is_inference_mode_enabled():
                stack.enter_context(torch.inference_mode(False))
            if forked() and torch.get_num_threads() > 1:
                stack.enter_context(_one_thread())
            stack.enter_context(torch.no_grad())
            return function(*args, **kwargs)

    return alone


def _coarse() -> bool:
    """Whether somebody has asked for products that are quick rather than precise."""
    return any(map(torch.is_autocast_enabled, DEVICES)) or torch.get_float32_matmul_precision() != "highest"


def _elsewhere() -> bool:
    """Whether somebody has said that new tensors lie on another device unless told otherwise."""
    return torch.get_default_device().type != "cpu"


@contextmanager
def _in_full_precision() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    with ExitStack() as stack:
        for device in DEVICES:
            stack.enter_context(torch.autocast(device, enabled=False))
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
