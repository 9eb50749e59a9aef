"""What networks of a recording score, and options searched for: `evaluate` and `tune` as processes. No Qt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.progress import Progress
from app.training.commands import own_code, run


@dataclass(frozen=True)
class Table:
    """What a study came to."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    """What the figures are of, and what else there is to know of them, a sentence each."""


@dataclass(frozen=True)
class Search:
    """What is to be searched."""

    lane: str
    options: tuple[str, ...]
    """`KEY=LOW..HIGH` or `KEY=A,B,C` each"""
    trials: int


def evaluated(recording: Path, source: Path | None, plug_ins: Sequence[Path], progress: Progress) -> Table:
    """Every figure of each lane's network, on the run's held-out items or on a file of the user's.

    Raises:
        InputError: it could not be scored, with what was said of it; or `progress` called it off.
    """
    data = ("--data", str(source)) if source is not None else ()
    ended = run(("evaluate", str(recording), "--json", *data, *own_code(plug_ins)), progress, lambda _said: (0, 0))
    told = ended.document
    return _table(told, (told["of"], *told["notes"]))


def tuned(file: Path, search: Search, folder: Path, plug_ins: Sequence[Path], progress: Progress) -> Table:
    """Settings of the experiment in `file` that were tried, the best first; `folder` keeps them.

    Raises:
        InputError: none could be tried, with what was said of it; or `progress` called it off. What is done stays.
    """
    asked = [part for option in search.options for part in ("--option", option)]
    few = ("--lane", search.lane, "--trials", str(search.trials), "--out", str(folder), "--json")
    ended = run(
        ("tune", str(file), *asked, *few, *own_code(plug_ins)),
        progress,
        lambda said: (len(re.findall(r"^Setting \d+:", said, re.MULTILINE)), search.trials),
    )
    told = ended.document
    return _table(told, (f"Lane '{told['lane']}': {told['of']}.", *(f"--set {each}" for each in told["settings"])))


def _table(told: dict[str, Any], words: tuple[str, ...]) -> Table:
    return Table(tuple(told["columns"]), tuple(map(tuple, told["rows"])), words)
