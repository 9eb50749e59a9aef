"""Going through a queue in a terminal by single keys."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import typer

from hnm_core.cli.console import echo, say


def go_through(
    count: int,
    words: str,
    show: Callable[[int, str], None],
    decide: Callable[[int, str], None],
    undo: Callable[[], int | None],
) -> None:
    """Show one after the other, and obey the keys, until all are decided or somebody quits.

    Args:
        count: how many there are.
        words: what the keys do.
        show: one of them, with the words for how far this is.
        decide: on one of them, by "k", "d" or "r".
        undo: takes the last decision back; returns which one it was on, -1 for one of before, None where there is
            nothing to undo.
    """
    if not count:
        say("There is nothing left to decide.")
        return
    keys, at = _keys(), 0
    echo(words)
    while at < count:
        show(at, f"{at + 1} of {count}")
        match next(keys, "q"):
            case "k" | "d" | "r" as key:
                decide(at, key)
                at += 1
            case "s":
                at += 1
            case "u":
                undone = undo()
                if undone is None:
                    say("There is nothing to undo.")
                elif undone >= 0:
                    at = undone
            case "q":
                return
            case other:
                say(f"{other!r} is no key here: {words}")


def _keys() -> Iterator[str]:
    """The keys that are pressed, in small letters; where nobody sits at a terminal, the letters that come in."""
    if sys.stdin.isatty():
        while True:
            key = typer.getchar()
            if key in ("\x03", "\x04"):
                return
            yield key.lower()
    for line in sys.stdin:
        yield from "".join(line.split()).lower()
