"""What the window shows of a queue of doubtful labels, and its making by a process of its own. No Qt, and no torch in
the window's process."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from app.progress import Progress
from app.training.asking import answers
from app.training.messages import DoubtfulPairs, HowFar, Rank, Suspects
from hnm_core.errors import InputError

CHILD = "app.training.suspects_child"


def ranked(request: Rank, plug_ins: Sequence[Path], progress: Progress) -> Suspects | DoubtfulPairs:
    """Have a process of its own rank the doubtful labels or pairs of a run's data. Waits for it, so it is for a
    job's thread.

    Raises:
        InputError: it cannot be done, or `progress` called it off.
        RuntimeError: the process died.
    """
    far = HowFar(0, 0)
    with closing(answers(CHILD, request, plug_ins, "ranking")) as told:
        while True:
            if not progress(far.done, far.total):
                raise InputError("The ranking was called off.")
            match next(told):
                case HowFar() as far:
                    pass
                case Suspects() | DoubtfulPairs() as found:
                    return found
