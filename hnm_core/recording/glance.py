"""What can be told of a recording without reading its data."""

from __future__ import annotations

from pathlib import Path

from hnm_core.recording.header import read_run_file


def glance(folder: Path) -> str:
    """The title of a recording. Raises `InputError` where `run.json` is missing or damaged."""
    title = read_run_file(folder).config.get("title", "")
    return title if isinstance(title, str) else ""
