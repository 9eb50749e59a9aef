"""The table of an audit, a run that trains nothing: its columns and cells, the same on a terminal and in a window."""

from __future__ import annotations

from hnm_core.run.results import LaneResult
from hnm_core.words import number, percent

COLUMNS: dict[str, str] = {
    "lane": "",
    "mined": "Tuples mined so far, after the warm-up",
    "hard": "Share of them whose negative is not farther than the positive",
    "semi-hard": "Share of them whose negative is farther, but by less than the margin of the loss, or where none is "
    "given, the median lead of random triplets",
    "easy": "Share of them with the margin kept",
    "false": "Share of the negatives that truly are of the anchor's class: mined because their label is wrong",
    "missing": "Times an anchor found no negative",
    "recall": "Share of the exact nearest negatives that an approximate search finds",
    "ratio": "How far the negatives found are, over the exact ones; 1 is exact",
    "regret": "How much farther the nearest negative found is than the nearest",
    "mine ms": "Milliseconds of mining a step, banks and indexes spread over the steps that they serve",
}
"""Title of each column and what it means."""


def cells(result: LaneResult) -> tuple[str, ...]:
    """The texts of a row, in the order of `COLUMNS`."""
    return (
        result.lane,
        f"{result.mined:,}",
        *map(percent, (result.hard_share, result.semi_hard_share, result.easy_share, result.false_share)),
        f"{result.missing:,}",
        number(result.mining_recall),
        number(result.distance_ratio),
        number(result.hardness_regret, 4),
        number(result.mining_ms_mean, 2),
    )
