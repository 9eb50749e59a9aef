"""One request to a process of our own that works on it and ends, and its answers as they come. No Qt."""

from __future__ import annotations

import queue
import tempfile
import threading
from collections.abc import Generator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from app.training.messages import Message, Refused, receive, send
from app.training.process import NOTHING, started, tail
from hnm_core.errors import InputError

LOOK_S = 0.1
"""So long an answer is waited for at a time."""


def answers(
    child: str, request: Message, plug_ins: Sequence[Path], what: str, environment: Mapping[str, str] = NOTHING
) -> Generator[Message | None]:
    """What the process that runs the module `child` answers; None where there was nothing for `LOOK_S`, so that who
    asks can look up meanwhile. The process ends when the iterator is closed.

    Args:
        child: knows by itself how many answers a request has.
        request: what it is sent.
        plug_ins: files of the user's own code, which it loads.
        what: it is the process of, for messages.
        environment: variables of its own.

    Raises:
        InputError: it refused.
        RuntimeError: it died.
    """
    with tempfile.TemporaryFile() as said:
        process = started(child, plug_ins, said, environment)
        assert process.stdin is not None and process.stdout is not None
        told: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_read, args=(process.stdout, told), name=f"hnm-{what}", daemon=False)
        reader.start()
        try:
            with suppress(OSError):  # it has died, and what it wrote says of what
                send(process.stdin, request)
            while True:
                try:
                    answer = told.get(timeout=LOOK_S)
                except queue.Empty:
                    yield None
                    continue
                if isinstance(answer, Refused):
                    raise InputError(answer.sentence)
                if answer is None:
                    process.wait()
                    how = f"ended with status {process.returncode}"
                    raise RuntimeError(f"The process of the {what} {how}. {tail(said)}")
                yield answer
        finally:
            process.kill()
            process.wait()
            reader.join()
            process.stdout.close()
            with suppress(OSError):
                process.stdin.close()


def _read(answers_of: IO[bytes], told: queue.SimpleQueue[Message | None]) -> None:
    """Until the process ends, which is told by None."""
    while (answer := receive(answers_of)) is not None:
        told.put(answer)
    told.put(None)
