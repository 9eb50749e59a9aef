"""A command of ours that computes for long, in a process of its own while the window goes on. No Qt."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.progress import Progress
from hnm_core.errors import InputError
from hnm_core.system import processes

CHILD = "app.training.commands_child"
LOOK_S = 0.25
"""Between two looks at how far it is."""
PATIENCE_S = 20.0
"""So long a command that was called off may take to end in order."""


@dataclass(frozen=True)
class Ended:
    """What a command came to."""

    status: int
    out: str
    """All of its standard output."""
    said: str
    """All of its standard error."""

    @property
    def last_words(self) -> str:
        """The last line that it said."""
        lines = self.said.strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document that it wrote. Raises `InputError`, with what it said last, where it failed."""
        if self.status:
            raise InputError(self.last_words)
        told: dict[str, Any] = json.loads(self.out)
        return told


def run(arguments: Sequence[str], progress: Progress, how_far: Callable[[str], tuple[int, int]]) -> Ended:
    """Run `hnm-lab ARGUMENTS` to its end. Where this process is killed meanwhile, the command ends with it.

    Args:
        arguments: of the command line.
        progress: is told how far it is, and may call it off.
        how_far: steps done, and of how many (0 for unknown), from what it has said so far.

    Raises:
        InputError: `progress` called it off. What is done stays.
    """
    with tempfile.TemporaryDirectory() as place:
        out, said = Path(place) / "out", Path(place) / "said"
        with out.open("wb") as out_file, said.open("wb") as said_file:
            process = subprocess.Popen(
                processes.command(CHILD, arguments),
                stdin=subprocess.PIPE,  # nothing is written: its end says that nobody is left
                stdout=out_file,
                stderr=said_file,
                env=processes.environment(),
            )
        try:
            while process.poll() is None:
                if not progress(*how_far(_text(said))):
                    raise InputError("Called off; what is done stays.")
                time.sleep(LOOK_S)
        finally:
            if process.poll() is None:
                process.terminate()
                try:
                    process.wait(PATIENCE_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            if process.stdin is not None:
                process.stdin.close()
        return Ended(process.returncode, _text(out), _text(said))


def own_code(plug_ins: Sequence[Path]) -> list[str]:
    """The arguments by which a command loads the user's own files of code."""
    return [argument for path in plug_ins for argument in ("--plugin", str(path))]


def _text(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")
