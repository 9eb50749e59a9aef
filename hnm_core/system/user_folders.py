"""The user's own folders: one for recordings and reports, one for what can be made again. Where there is no home, or it
cannot be written, a private folder among the temporary files stands in.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import platformdirs

_NAME = "hnm-lab"


def data_folder() -> Path:
    """For recordings, reports and data sets. Raises `OSError` where there is neither a home nor a place for one."""
    return _known(lambda: platformdirs.user_data_dir(_NAME, appauthor=False), "data")


def cache_folder() -> Path:
    """For what is made again when it is gone. Raises `OSError` as `data_folder`."""
    return _known(lambda: platformdirs.user_cache_dir(_NAME, appauthor=False), "cache")


def settings_folder() -> Path:
    """For what the window remembers. Raises `OSError` as `data_folder`."""
    return _known(lambda: platformdirs.user_config_dir(_NAME, appauthor=False), "settings")


def writable(folder: Path) -> Path:
    """`folder`, which need not exist yet, or what stands in for it where it cannot be written."""
    return folder if is_writable(folder) else stand_in() / folder.name


def all_of(folder: Path) -> list[Path]:
    """`folder` and what stands in for it now, where that is another: what was written before lies in either."""
    return list(dict.fromkeys((folder, writable(folder))))


def is_writable(folder: Path) -> bool:
    """Whether something could be written into a folder, made with those above it where it does not exist."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place):
            return os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)  # noqa: PTH112  Path.is_dir raises
    return False


def _known(find: Callable[[], str], kind: str) -> Path:
    try:
        folder = Path(find())
    except RuntimeError:  # no home is known, as of a user whom the system does not know
        return stand_in() / kind
    return folder if folder.is_absolute() else stand_in() / kind


def stand_in() -> Path:
    """A folder of this user alone among the temporary files. Raises `OSError` where nothing can be written at all."""
    user = os.getuid() if hasattr(os, "getuid") else 0  # elsewhere the temporary files are the user's own already
    return _private(Path(tempfile.gettempdir()), user)


@cache
def _private(root: Path, user: int) -> Path:
    """Another user must neither read what lies there nor have put it there: compiled code is loaded from it."""
    folder = root / f"{_NAME}-{user}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        state = folder.lstat()
        foreign = hasattr(os, "getuid") and (state.st_uid != user or stat.S_IMODE(state.st_mode) & 0o077)
        if foreign or not stat.S_ISDIR(state.st_mode):
            return Path(tempfile.mkdtemp(prefix=f"{_NAME}-", dir=root))
    return folder
