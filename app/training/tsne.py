"""The window's end of the process that lays a moment out by t-SNE."""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from app.progress import Progress
from app.training.messages import LaidOut, LayOut, Message, Refused, receive, send
from app.training.process import started, tail
from hnm_core.errors import InputError

CHILD = "app.training.tsne_child"
LOOK_S = 0.1
"""So often one looks whether it was called off."""
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
    with tempfile.TemporaryFile() as said:
        process = started(CHILD, plug_ins, said, ONE_THREAD)
        assert process.stdin is not None and process.stdout is not None
        answers: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(process.stdout, answers), name="hnm-tsne", daemon=False)
        reader.start()
        done, lanes = 0, 0
        try:
            with suppress(OSError):  # it has died, and what it wrote says of what
                send(process.stdin, request)
            while not done or done < lanes:
                if not progress(done, lanes):
                    raise InputError("The t-SNE was called off.")
                try:
                    answer = answers.get(timeout=LOOK_S)
                except queue.Empty:
                    continue
                if isinstance(answer, Refused):
                    raise InputError(answer.sentence)
                if not isinstance(answer, LaidOut):
                    process.wait()
                    raise RuntimeError(f"The process of the t-SNE ended with status {process.returncode}. {tail(said)}")
                done, lanes = done + 1, answer.of
                tell(answer)
        finally:
            process.kill()
            process.wait()
            reader.join()
            process.stdout.close()
            with suppress(OSError):
                process.stdin.close()


def _read(answers_of: IO[bytes], answers: queue.SimpleQueue[Message | None]) -> None:
    """Until the process ends, which is told by None."""
    while (answer := receive(answers_of)) is not None:
        answers.put(answer)
    answers.put(None)
