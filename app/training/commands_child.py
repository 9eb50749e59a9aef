"""The process of a command that the window asked for, for as long as the window is there."""

from __future__ import annotations

import sys

from hnm_core.cli import commands
from hnm_core.system import processes


def main() -> None:
    """What is asked for stands in the arguments. What is done stays, also where the window goes meanwhile."""
    processes.end_with(sys.stdin.fileno())
    commands.main()


if __name__ == "__main__":
    main()
