"""What the program writes for a user is there whole, or what was there before is: also where the disk is full."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PyQt6.QtGui import QPixmap

from app.saving import write_picture
from app.stage import stats
from app.views.curves_view import CurvesView
from hnm_core.errors import InputError
from hnm_core.run.history import RunHistory
from hnm_core.studies.plots import plot_lines
from hnm_core.system.whole_files import check_writable, write_whole


def curves(path: Path) -> None:
    view = CurvesView()
    view.show_history(RunHistory())
    view.export_csv(path)


def picture(path: Path) -> None:
    shown = QPixmap(4, 4)
    shown.fill()
    write_picture(shown, path, "png")


WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda path: write_whole(path, "mine\n"),
    "stats.json": lambda path: stats.write(path, {"fps": 60}),
    "curves.csv": curves,
    "picture.png": picture,
    "plot.svg": lambda path: plot_lines({"one": [(1, 2), (3, 4)]}, "Lines", "x", "y", [path]),
}


@pytest.mark.parametrize("name", WRITERS)
def test_that_a_full_disk_leaves_what_was_there(
    qtbot: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path, write = tmp_path / name, WRITERS[name]
    write(path)
    before = path.read_bytes()
    assert before and [entry.name for entry in tmp_path.iterdir()] == [name]
    check_writable(path)
    path.write_bytes(b"older")

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises((OSError, InputError), match="No space left on device"):
        write(path)
    assert path.read_bytes() == b"older" and [entry.name for entry in tmp_path.iterdir()] == [name]
