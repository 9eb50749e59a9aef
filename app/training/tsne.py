"""The window's end of the process that lays a moment out by t-SNE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

from app.progress import Progress
from app.training.asking import answers
from app.training.messages import LaidOut, LayOut
from hnm_core.errors import InputError

CHILD = "app.training.tsne_child"
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Several add up in an order of their own each time, and t-SNE makes a large difference of it; besides, the window and
the training need the other cores."""


def lay_out(request: LayOut, plug_ins: Sequence[Path], progress: Progress, tell: Callable[[LaidOut], None]) -> None:
    """Have every lane laid out by a process of its own, and `tell` each when it is there. Waits for all of them, so it
    is for a job's thread.

    Raises:
        InputError: it cannot be done, or was called off.
        RuntimeError: the process died.
    """
    done, lanes = 0, 0
    with closing(answers(CHILD, request, plug_ins, "t-SNE", ONE_THREAD)) as told:
        while not done or done < lanes:
            if not progress(done, lanes):
                raise InputError("The t-SNE was called off.")
            answer = next(told)
            if isinstance(answer, LaidOut):
                done, lanes = done + 1, answer.of
                tell(answer)
