"""What a benchmark reports: rows of one work, ours and the peers', as a table and as JSON."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

COLUMNS = ("work", "time", "peer / ours", "found", "peak MB", "what bounds it")


@dataclass(frozen=True)
class Result:
    """What one contender came to."""

    name: str
    seconds: float | None = None
    """Median over the runs; None where it did not run, see `note`."""
    runs: int = 0
    recall: float | None = None
    """Share of the true nearest negatives, where it searches for them."""
    check: str = ""
    """How its answer agrees with ours or with the truth, where that is no recall."""
    peak_mb: float | None = None
    """Most memory beyond what was there before, in MB."""
    comparable: bool = True
    """Whether it answers the same question well enough to be compared with; only such peers count."""
    note: str = ""
    """Why there is no time, or what is to be known of it."""


@dataclass(frozen=True)
class Bound:
    """What a method cannot be faster than, and how near it came."""

    what: str
    share: float | None = None
    """Seconds that the bound alone takes / seconds taken."""


@dataclass(frozen=True)
class Row:
    """One work, done by us and by others."""

    subject: str
    name: str
    size: str
    ours: Result
    peers: tuple[Result, ...] = ()
    bound: Bound | None = None

    @property
    def best(self) -> Result | None:
        """The fastest peer that counts."""
        timed = [peer for peer in self.peers if peer.seconds is not None and peer.comparable]
        return min(timed, key=lambda peer: peer.seconds or 0.0, default=None)

    @property
    def ratio(self) -> float | None:
        """Time of the best peer / our time: above 1 we are ahead. None without a peer."""
        return times(self.best, self.ours) if self.best is not None else None


@dataclass(frozen=True)
class Settings:
    """How a benchmark is run."""

    quick: bool = False
    """Small sizes: seconds in all."""
    large: bool = False
    """Also what takes minutes or gigabytes a row."""
    threads: int = 1
    repeat: int = 5
    rows: int | None = None
    """Of a subject whose size can be chosen; None takes its own."""
    tell: Callable[[str], None] = field(default=lambda text: None)
    """Where progress is told."""


@dataclass(frozen=True)
class Case:
    """A row to be measured."""

    name: str
    size: str
    measure: Callable[[], Row]


def times(other: Result, ours: Result) -> float | None:
    """Time of `other` / time of `ours`; None where one has none."""
    if other.seconds is None or not ours.seconds:
        return None
    return other.seconds / ours.seconds


def lines(rows: Iterable[Row]) -> list[tuple[str, ...]]:
    """Lines of the table: the work, then one for each contender; the line of ours has the ratio to the best peer."""
    shown: list[tuple[str, ...]] = []
    for row in rows:
        best = f"best {row.ratio:,.1f} x" if row.ratio is not None else "-"
        shown.append((f"{row.name}, {row.size}", "", "", "", "", ""))
        shown.append((*_cells(row.ours, best), _bound(row.bound)))
        for peer in row.peers:
            factor = times(peer, row.ours)
            mark = "" if peer.comparable else "(", "" if peer.comparable else ")"
            text = f"{mark[0]}{factor:,.1f} x{mark[1]}" if factor is not None else "-"
            shown.append((*_cells(peer, text), ""))
    return shown


def as_json(row: Row, machine: dict[str, Any]) -> dict[str, Any]:
    """A row as one JSON object; what is not there is null."""
    return {
        "subject": row.subject,
        "name": row.name,
        "size": row.size,
        "ours": _result(row.ours),
        "peers": [{**_result(peer), "ratio": times(peer, row.ours)} for peer in row.peers],
        "best_peer": row.best.name if row.best is not None else None,
        "ratio": row.ratio,
        "bound": {"what": row.bound.what, "share": row.bound.share} if row.bound is not None else None,
        "machine": machine,
    }


def duration(seconds: float) -> str:
    """Seconds as a person reads them."""
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} us"
    if seconds < 1:
        return f"{seconds * 1e3:.{2 if seconds < 0.1 else 0}f} ms"
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds:,.0f} s"


def _cells(result: Result, factor: str) -> tuple[str, ...]:
    """Name, time, peer / ours, found, peak."""
    name = f"  {result.name}: {result.note}" if result.note else f"  {result.name}"
    time = duration(result.seconds) if result.seconds is not None else "-"
    found = f"{result.recall:.3f}" if result.recall is not None else result.check or "-"
    peak = f"{result.peak_mb:,.0f}" if result.peak_mb is not None else "-"
    return name, time, factor, found, peak


def _bound(bound: Bound | None) -> str:
    if bound is None:
        return "-"
    return f"{bound.what}: {100 * bound.share:.0f} % of the time" if bound.share is not None else bound.what


def _result(result: Result) -> dict[str, Any]:
    def rounded(value: float | None) -> float | None:
        return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None

    return {
        "name": result.name,
        "seconds": result.seconds,
        "runs": result.runs,
        "recall": rounded(result.recall),
        "check": result.check or None,
        "peak_mb": rounded(result.peak_mb),
        "comparable": result.comparable,
        "note": result.note or None,
    }
