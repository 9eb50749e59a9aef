"""Where the full text of a fault of ours goes, so that the user sees one line and we get everything."""

from __future__ import annotations

import datetime
import platform
import sys
from pathlib import Path

import hnm_core
from hnm_core.system import user_folders

MAX_REPORTS = 50
"""Reports kept in the folder; the oldest go first."""


def save_report(text: str) -> Path:
    """Write `text`, with the time and the versions above it, into the user's reports folder; its path.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = user_folders.writable(user_folders.data_folder() / "reports")
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob("report-*.txt"))[: -MAX_REPORTS + 1]:
        old.unlink(missing_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    path = folder / f"report-{now:%Y%m%d-%H%M%S-%f}.txt"
    head = [
        f"hnm-lab {hnm_core.__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"time: {now.isoformat(timespec='seconds')}",
        f"command: {' '.join(sys.argv)}",
    ]
    path.write_text("\n".join(head) + "\n\n" + text, encoding="utf-8", errors="backslashreplace")
    return path
