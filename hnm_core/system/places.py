"""What lies at a path, asked without an exception: of a name that is too long, or in a closed folder, nothing does."""

from __future__ import annotations

import os
from pathlib import Path


def exists(path: Path) -> bool:
    """Whether something lies there."""
    return os.path.exists(path)  # noqa: PTH110  Path.exists raises


def is_folder(path: Path) -> bool:
    """Whether a folder lies there, or a link to one."""
    return os.path.isdir(path)  # noqa: PTH112


def is_file(path: Path) -> bool:
    """Whether a regular file lies there, or a link to one."""
    return os.path.isfile(path)  # noqa: PTH113


def at_home(path: Path) -> Path:
    """The path with a leading ~ resolved; where no home is known it stays as it is."""
    return Path(os.path.expanduser(path))  # noqa: PTH111  Path.expanduser raises
