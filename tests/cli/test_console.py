"""Tables on a terminal and in a pipe, and what happens to an error that nobody expected."""

from __future__ import annotations

import io
import re
import tempfile
from pathlib import Path

import pytest

from hnm_core.cli import console, listing
from tests.cli.conftest import Lab


class Terminal(io.StringIO):
    """A stream that says it is a terminal; its width comes from COLUMNS."""

    def isatty(self) -> bool:
        return True


def test_that_a_narrow_terminal_folds_names_and_never_cuts_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    console.show_table(("lane", "steps", "loss"), [("a very long name of a lane" * 2, "1,000,000", "12.3456")], stream)
    header, row, *more = re.sub(r"\x1b\[[0-9;]*m", "", stream.getvalue()).splitlines()
    assert header.split() == ["lane", "steps", "loss"]
    assert row.split()[-2:] == ["1,000,000", "12.3456"]
    assert row.startswith("a very")
    assert more, "the name goes on below"
    assert all(len(line) <= 40 for line in (header, row, *more))


def test_that_a_pipe_gets_plain_lines() -> None:
    stream = io.StringIO()
    console.show_table(("lane", "steps"), [("a name of [bold] size " * 4, "1")], stream)
    assert stream.getvalue().splitlines()[1].split()[:4] == ["a", "name", "of", "[bold]"]
    assert "\x1b" not in stream.getvalue()


def test_that_foreign_text_can_neither_steer_a_terminal_nor_pretend_to_be_another_line() -> None:
    text = "a\x1b[31mb\x9bc\u202ed\u2066e\u2028f\ud800g\nh\ti é ‍中"
    shown = r"a\x1b[31mb\x9bc\u202ed\u2066e\u2028f\ud800g"
    assert console.shown(text) == f"{shown}\nh\ti é ‍中"
    assert console.in_a_line(text) == rf"{shown}\nh\ti é ‍中"
    stream = io.StringIO()
    console.show_table(("item", "label"), [("1", "cat\n2  dog")], stream)
    assert len(stream.getvalue().splitlines()) == 2


def test_that_an_unexpected_error_is_saved_and_named_and_exits_with_1(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, own_data_folder: Path
) -> None:
    def broken(path: object) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr(listing.config, "load", broken)
    ended = lab("list", "presets")
    (report,) = (own_data_folder / "hnm-lab" / "reports").iterdir()
    assert ended.status == 1
    assert str(report) in ended.err
    assert "ZeroDivisionError: deep inside" in ended.err
    assert "Traceback" not in ended.err
    text = report.read_text()
    assert "Traceback (most recent call last)" in text
    assert "in broken" in text


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"
        ),
        RuntimeError("std::bad_alloc"),
    ],
)
def test_that_memory_that_does_not_suffice_is_no_bug(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def large(path: object) -> None:
        raise error

    monkeypatch.setattr(listing.config, "load", large)
    ended = lab("list", "presets")
    assert ended.status == 2
    assert "Error: There is not enough memory for this" in ended.err and "bug" not in ended.err


def test_that_a_report_that_cannot_be_saved_is_shown(lab: Lab, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def broken(path: object) -> None:
        raise ZeroDivisionError("deep inside")

    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    monkeypatch.setattr(listing.config, "load", broken)
    ended = lab("list", "presets")
    assert ended.status == 1
    assert "in broken" in ended.err
