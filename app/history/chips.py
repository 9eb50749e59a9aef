"""The state of a lane in a few numbers, and these in words: what stands beside its cloud. No Qt."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from hnm_core.run.cost import step_cost
from hnm_core.run.events import RunStarted
from hnm_core.run.history import RECENT_STEPS, LaneHistory
from hnm_core.words import significant

DETAILS = {
    "predicted_recall": "recall that the search expects {}",
    "used_regret": "negatives used are farther than the nearest by {}",
    "distance_ratio": "distance found over exact {}",
    "hardness_regret": "hardness regret {}",
    "no_candidate": "anchors without a candidate {}",
    "bank_age": "bank {} steps old",
    "drift": "drift {} of what makes a bank stale",
    "temperature": "temperature {}",
    "chance": "loss at chance {}",
}
"""What the tooltip of a chip says of further metrics."""


@dataclass(frozen=True)
class Chip:
    """The state of a lane in a few numbers. What was never measured is NaN."""

    step: int
    loss: float
    """See `LaneHistory.mean_loss`."""
    hard: float
    """Share of the recent tuples with a margin that are hard; likewise `semi_hard` and `easy`. See
    `LaneHistory.recent_tally`."""
    semi_hard: float
    easy: float
    mining_ms: float
    """What mining costs a step, see `hnm_core.run.cost`; as in the tables."""
    mining_ms_p95: float
    """95 of 100 steps cost so much or less."""
    map_at_r: float
    precision_at_1: float
    mining_recall: float
    warming_up: bool
    used_recall: float = math.nan
    """Share of the negatives handed out that were among the nearest by the weights of their step."""
    used_of: float = math.nan
    """Among how many."""
    search: str = ""
    """How the lane searches, in words."""
    false: float = math.nan
    """Share of the recent mined negatives that truly are of the anchor's class, where the truth is known."""
    missing: float = math.nan
    """Anchors a step without a negative; likewise negatives filled in at random, and candidates filtered out."""
    filled: float = math.nan
    filtered: float = math.nan
    mrr_at_10: float = math.nan
    """Of runs over queries and documents."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """The newest of each other metric, by name."""


def chip(lane: LaneHistory, upto_step: int | None = None) -> Chip | None:
    """A lane in a few numbers, as it stood at a step; None before its first."""
    count = lane.rows(upto_step)
    if count == 0:
        return None
    recent = lane.recent_tally(upto_step)
    cost = step_cost(lane, upto_step)
    return Chip(
        step=int(lane.steps[count - 1]),
        loss=lane.mean_loss(upto_step),
        hard=recent.share("hard"),
        semi_hard=recent.share("semi_hard"),
        easy=recent.share("easy"),
        mining_ms=cost.mining_ms,
        mining_ms_p95=cost.mining_p95,
        map_at_r=lane.latest("map_at_r", upto_step),
        precision_at_1=lane.latest("precision_at_1", upto_step),
        mining_recall=lane.latest("mining_recall", upto_step),
        warming_up=not bool(lane.mining[count - 1]),
        used_recall=lane.latest("used_recall", upto_step),
        used_of=lane.latest("used_of", upto_step),
        search=lane.search_words(upto_step),
        false=recent.false_share,
        missing=recent.per_step("missing"),
        filled=recent.per_step("filled"),
        filtered=recent.per_step("filtered"),
        mrr_at_10=lane.latest("mrr_at_10", upto_step),
        metrics={name: value for name in DETAILS if np.isfinite(value := lane.latest(name, upto_step))},
    )


def chip_text(chip: Chip | None, *, audit: bool = False) -> str:
    """A chip in two short lines; of an audit, without the loss and the retrieval, which never change."""
    if chip is None:
        return "no step yet"
    first = [f"step {chip.step:,}"]
    if not audit:
        first.append(f"loss {significant(chip.loss)}")
        if np.isfinite(chip.map_at_r):
            first.append(f"MAP@R {chip.map_at_r:.3f}")
        if np.isfinite(chip.mrr_at_10):
            first.append(f"MRR@10 {chip.mrr_at_10:.3f}")
        elif np.isfinite(chip.precision_at_1):
            first.append(f"P@1 {chip.precision_at_1:.3f}")
    second = []
    if np.isfinite(chip.hard):
        second.append(f"hard {chip.hard:.0%}, semi-hard {chip.semi_hard:.0%}, easy {chip.easy:.0%}")
    if np.isfinite(chip.false):
        (first if audit else second).append(f"false negatives {chip.false:.1%}")
    if chip.warming_up:
        second.append("warming up")
    elif not audit and np.isfinite(chip.mining_ms):
        second.append(f"mining {chip.mining_ms:.2f} ms a step, p95 {chip.mining_ms_p95:.2f}")
    if np.isfinite(chip.mining_recall):
        second.append(f"search recall {chip.mining_recall:.3f}")
    if np.isfinite(chip.used_recall) and not chip.warming_up:
        second.append(f"still nearest {chip.used_recall:.0%}")
    return " · ".join(first) + ("\n" + " · ".join(second) if second else "")


def brief_chip_text(chip: Chip | None, *, audit: bool = False) -> str:
    """The most telling part of a chip, in one line for panes that have room for no more: the step stands on the
    timeline, the loss beside the curves."""
    if chip is None:
        return chip_text(chip)
    parts = []
    if np.isfinite(chip.mrr_at_10):
        parts.append(f"MRR@10 {chip.mrr_at_10:.3f}")
    elif np.isfinite(chip.map_at_r) and not audit:
        parts.append(f"MAP@R {chip.map_at_r:.3f}")
    if np.isfinite(chip.hard):
        parts.append(f"hard {chip.hard:.0%}")
    return " · ".join(parts) or chip_text(chip, audit=audit).splitlines()[0]


def chip_details(chip: Chip | None, started: RunStarted | None = None) -> str:
    """Everything else that is known of a lane, a line each, with that on which items its run is measured."""
    if chip is None:
        return ""
    lines = []
    if started is not None and started.evaluated is not None and np.isfinite(chip.precision_at_1):
        lines.append(f"MAP@R and P@1: {started.evaluated.text}")
    if np.isfinite(chip.hard):
        lines.append(f"hard, semi-hard, easy: of the last {RECENT_STEPS} steps, the histogram's are of the last few")
    if not chip.warming_up and chip.mining_ms > 0:
        lines.append(f"mining: {chip.mining_ms:.2f} ms a step, banks and indexes spread over the steps that they serve")
        lines.append(f"so spread, 95 of 100 steps mine for {chip.mining_ms_p95:.2f} ms or less")
    counts = {"missing": "anchors without a negative", "filled": "random in place of mined", "filtered": "filtered out"}
    for name, words in counts.items():
        value = getattr(chip, name)
        if np.isfinite(value) and (value or name == "filled"):
            lines.append(f"{words}: {value:,.1f} a step")
    if np.isfinite(chip.used_recall):
        lines.append(
            f"still nearest: of the negatives handed out {chip.used_recall:.1%} were among the {chip.used_of:,.0f} "
            "nearest that there were, by the weights of their step (recall of used negatives)"
        )
    if np.isfinite(chip.mining_recall):
        lines.append(
            f"search recall: in a bank of the moment the search finds {chip.mining_recall:.1%} of the nearest negatives"
        )
    for name, words in DETAILS.items():
        if name in chip.metrics:
            value = chip.metrics[name]
            shown = (
                f"{value:.1%}"
                if name == "no_candidate"
                else f"{value:,.0f}"
                if name == "bank_age"
                else significant(value)
            )
            lines.append(words.format(shown))
    if chip.search:
        lines.append(f"search: {chip.search}")
    return "\n".join(lines)
