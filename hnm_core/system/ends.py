"""Signals that ask a program to end: Ctrl+C, a request to terminate, a terminal that is closed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

KINDS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

Handler = Callable[[int, FrameType | None], object]


@contextmanager
def handled(handler: Handler = signal.default_int_handler) -> Iterator[None]:
    """Within, each of these signals calls `handler`, by default one that raises `KeyboardInterrupt`: work is broken off
    and cleans up after itself. One that the program was started to ignore, as `nohup` does, stays ignored."""
    before = {kind: signal.getsignal(kind) for kind in KINDS}
    before = {kind: was for kind, was in before.items() if was is not signal.SIG_IGN}
    for kind in before:
        signal.signal(kind, handler)
    try:
        yield
    finally:
        for kind, was in before.items():
            signal.signal(kind, was)
