"""How the command line talks: exit statuses, one-line errors, tables that are plain text when nobody watches."""

from __future__ import annotations

import errno
import math
import sys
import traceback
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TextIO

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from typer.core import TyperGroup

from hnm_core.cli import streams
from hnm_core.cli.reports import save_report
from hnm_core.errors import InputError
from hnm_core.spec.plug_ins import PROGRAM, at_fault
from hnm_core.system import ends, memory

EXIT_FAILED = 1
"""A lane failed, or a bug of ours."""
EXIT_INPUT = 2
"""The user's input is at fault."""
EXIT_INTERRUPTED = 130
"""Ctrl+C or a request to terminate; what was recorded is complete."""
EXIT_BROKEN_PIPE = 141
"""The reader of our output went away, as `| head` does; what the shell shows for SIGPIPE."""

REFUSALS = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENAMETOOLONG, errno.ELOOP, errno.EMFILE,
    errno.ENFILE, errno.EIO,
)  # fmt: skip
"""Errors of files that are nobody's fault in the program: no leave, no room, a name that cannot be."""

_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
"""What of Unicode's bidirectional algorithm makes letters stand where they are not."""

PLAIN_WIDTH = 200
"""Columns of a table that goes to a file or a pipe."""


def say(text: str) -> None:
    """A line for the user on standard error; standard output is for results."""
    echo(shown(text), sys.stderr)


def echo(text: str = "", stream: TextIO | None = None) -> None:
    """A line on `stream` (standard output), at once. Raises `OSError` where it cannot be written."""
    stream = stream or sys.stdout
    stream.write(f"{text}\n")
    stream.flush()


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values for JSON, which knows no number that is not finite: None in its place."""
    return {
        name: plain(value)
        if isinstance(value, Mapping)
        else None
        if isinstance(value, float) and not math.isfinite(value)
        else value
        for name, value in values.items()
    }


def shown(text: str) -> str:
    """A text of anybody's as it may go to a terminal: what a terminal obeys rather than shows is shown, but for line
    breaks; so are marks that turn the order of letters round, and halves of letters."""
    return "".join(sign if sign in "\n\t" or not _obeyed(sign) else ascii(sign)[1:-1] for sign in text)


def in_a_line(text: str) -> str:
    """The same of a part of a line, such as a label or a cell of a table: line breaks and tabs are shown, too."""
    return shown(text).replace("\n", "\\n").replace("\t", "\\t")


def _obeyed(sign: str) -> bool:
    return unicodedata.category(sign) in ("Cc", "Cs", "Zl", "Zp") or unicodedata.bidirectional(sign) in _TURNING


def report_bug(traceback_text: str, where: str = "") -> None:
    """Save the traceback of a fault of ours or of a plug-in and say where it is; where it cannot be saved, show it."""
    last = traceback_text.strip().rsplit("\n", 1)[-1]
    whose = at_fault(traceback_text)
    kind, whose = ("Internal error", "hnm-lab") if whose == PROGRAM else ("Error", whose)
    try:
        path = save_report(traceback_text)
        say(f"{kind}{where}: {last}\nThis is a bug of {whose}. The full report is in {path}")
    except OSError:
        say(f"{traceback_text}\nThis is a bug of {whose}; the report above could not be saved.")


class Guarded(TyperGroup):
    """Commands whose errors become exit statuses: a sentence for the user's mistakes, a report file for ours."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        """Read the options that stand before the command."""
        with _guarded():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _guarded():
            return super().invoke(ctx)


def main(app: typer.Typer, name: str) -> NoReturn:
    """Run a command line to its end, on standard streams of any kind; signals that ask for an end are Ctrl+C."""
    memory.keep_freed()
    streams.install()
    with ends.handled():
        try:
            app(prog_name=name)
        except SystemExit as ended:
            status = ended.code
        except KeyboardInterrupt:  # outside of any command
            status = EXIT_INTERRUPTED
        try:
            sys.stdout.flush()
        except OSError as error:
            status = say_refusal(error)
        sys.exit(status)


def say_refusal(error: OSError) -> int | None:
    """Say what the system refused, and why; the exit status. None for an error that is no refusal but a fault."""
    match error:
        case BrokenPipeError():
            streams.drop_output()
            return EXIT_BROKEN_PIPE
        case streams.OutputError():
            streams.drop_output()
            say(f"Error: Standard output cannot be written: {error.strerror}.")
            return EXIT_FAILED
        case OSError(errno=number) if number in REFUSALS:
            say(f"Error: '{error.filename or 'A file'}' cannot be used: {error.strerror}.")
            return EXIT_INPUT
    return None


@contextmanager
def _guarded() -> Iterator[None]:
    """Turn whatever goes wrong within into `typer.Exit` with its status."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except InputError as error:
        say(f"Error: {error}")
        raise typer.Exit(EXIT_INPUT) from None
    except KeyboardInterrupt:
        say("Interrupted.")
        raise typer.Exit(EXIT_INTERRUPTED) from None
    except OSError as error:
        status = say_refusal(error)
        if status is None:
            report_bug(traceback.format_exc())
        raise typer.Exit(EXIT_FAILED if status is None else status) from None
    except Exception as error:  # noqa: BLE001 - the outermost frame: nothing may end in a bare traceback
        if memory.ran_out(error):
            said = str(error).strip().rstrip(".").rpartition("Allocator: ")[2] or "it needs more than there is"
            say(f"Error: There is not enough memory for this: {said}.")
            raise typer.Exit(EXIT_INPUT) from None
        usage = getattr(error, "format_message", None)  # only the errors that the command line parser raises have it
        if callable(usage):
            text, about = usage(), getattr(getattr(error, "param", None), "help", None)
            missing = bool(about) and text.startswith("Missing ")
            say(f"Error: {text.rstrip('.')}: {about}" if missing else f"Error: {text}")
            raise typer.Exit(EXIT_INPUT) from None
        report_bug(traceback.format_exc())
        raise typer.Exit(EXIT_FAILED) from None


def show_table(columns: Sequence[str], rows: Iterable[Sequence[str]], stream: TextIO | None = None) -> None:
    """A table on `stream` (standard output): the first column flush left, the others flush right."""
    stream = stream or sys.stdout
    console_width = None if stream.isatty() else PLAIN_WIDTH
    lines = [tuple(map(in_a_line, line)) for line in (columns, *rows)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(lines[0][0], overflow="fold")  # gives way where it is narrow: a number cut short is another number
    for place in range(1, len(columns)):
        width = max(len(line[place]) for line in lines)
        table.add_column(lines[0][place], justify="right", no_wrap=True, min_width=width)
    for line in lines[1:]:
        table.add_row(*line)
    _print(table, stream, console_width)


def show_items(rows: Iterable[Sequence[str]]) -> None:
    """One item a line, its parts separated by tabs; columns where a person looks at a terminal."""
    if not sys.stdout.isatty():
        for row in rows:
            echo("\t".join(map(in_a_line, row)))
        return
    rows = list(rows)
    if not rows:
        return  # of no rows there is no table, not even a line
    table = Table(box=None, show_header=False, pad_edge=False)
    for style in ("bold", None, "dim"):
        table.add_column(style=style, overflow="fold")
    for row in rows:
        table.add_row(*map(in_a_line, row))
    _print(table, sys.stdout)


def _print(table: Table, stream: TextIO, width: int | None = None) -> None:
    console = Console(file=stream, width=width, highlight=False, markup=False)
    with console.capture() as captured:  # rich would end the program when the reader has gone
        console.print(table)
    stream.write(captured.get())
    stream.flush()


def progress_bar() -> Progress:
    """Bars on standard error; silent where that is no terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
        console=Console(stderr=True),
        disable=not sys.stderr.isatty(),
    )


def progress_of(bars: Progress) -> Callable[[int, int, str], None]:
    """A callback (done, total, what) that shows each thing on a bar of its own; a total of 0 is unknown."""
    tasks: dict[str, TaskID] = {}

    def show(done: int, total: int, what: str) -> None:
        if what not in tasks:
            tasks[what] = bars.add_task(what, note="")
        bars.update(tasks[what], completed=done, total=total or None)

    return show
