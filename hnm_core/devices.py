"""Which device computes: the name in a configuration to a torch device."""

from __future__ import annotations

import platform

import torch

from hnm_core.errors import InputError, unknown_name
from hnm_core.run.timing import PhaseClock, wall_clock

NAMES = ("auto", "cpu", "cuda")


def resolve(name: str) -> torch.device:
    """The device called `auto` (CUDA where there is one), `cpu` or `cuda`.

    Raises:
        InputError: another name, or CUDA is asked for and absent; the message says why it is absent.
    """
    if name not in NAMES:
        raise unknown_name("device", name, NAMES)
    absent = _why_no_cuda()
    if name == "cuda" and absent:
        raise InputError(f"The device 'cuda' cannot be used: {absent}. Take 'cpu' or 'auto'.")
    return torch.device("cpu" if name == "cpu" or absent else "cuda")


def describe(device: torch.device) -> str:
    """The device in words, for logs and the window."""
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        return f"CUDA: {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    threads = torch.get_num_threads()
    return f"CPU: {platform.machine()}, {threads} thread{'s' if threads != 1 else ''}"


def start_thread_on(device: torch.device) -> None:
    """Let the calling thread work on a device; to be called first in every thread but the main one.

    A thread has no CUDA context until a kernel was launched in it, and products, which launch none of torch's own, warn
    where there is none.
    """
    if device.type == "cuda":
        torch.zeros(1, device=device)


def phase_clock(device: torch.device) -> PhaseClock:
    """What tells how long the phases of a step take on a device.

    On a CUDA device borders are events in its stream, read when a step is over. Between two of them lies what the
    device did, and what it waited for us to do.
    """
    if device.type != "cuda":
        return wall_clock()

    def mark() -> torch.cuda.Event:
        event = torch.cuda.Event(enable_timing=True)
        event.record(torch.cuda.current_stream(device))
        return event

    def between(start: torch.cuda.Event, end: torch.cuda.Event) -> float:
        end.synchronize()
        return float(start.elapsed_time(end))

    return PhaseClock(mark, between)


def _why_no_cuda() -> str:
    """Empty where CUDA works."""
    if torch.version.cuda is None:
        return "this build of torch has no CUDA"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device or driver"
    return ""
