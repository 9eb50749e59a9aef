"""How long work reports to the window and learns that it was called off."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called by a job; False means that the user called it off and the job should clean up and return."""

    def __call__(self, done: int, total: int) -> bool: ...
