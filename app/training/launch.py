"""A Python of ours beside this one: the same search path, the same warnings, nothing of the current folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def command(module: str, *arguments: str) -> list[str]:
    """What runs a module in a process of its own."""
    return [sys.executable, "-P", *(f"-W{option}" for option in sys.warnoptions), "-m", module, *arguments]


def environment() -> dict[str, str]:
    """What such a process is given."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)}
