"""Where the full text of a fault of ours goes, so that the user sees one line and we get everything."""

from __future__ import annotations

import datetime
import platform
import sys
from pathlib import Path

import platformdirs

import hnm_core


def save_report(traceback_text: str) -> Path:
    """Write a report file and return its path.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = Path(platformdirs.user_data_dir("hnm-lab", appauthor=False)) / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    path = folder / f"report-{now:%Y%m%d-%H%M%S-%f}.txt"
    head = [
        f"hnm-lab {hnm_core.__version__}, Python {platform.python_version()}, {platform.platform()}",
        f"time: {now.isoformat(timespec='seconds')}",
        f"command: {' '.join(sys.argv)}",
    ]
    path.write_text("\n".join(head) + "\n\n" + traceback_text, encoding="utf-8")
    return path
