"""Recognises what goes wrong in metric learning and says it in words: cause, evidence, one thing to try.

An alarm comes once; it can come again when its condition has been gone for `CLEAR_STEPS` steps. Where that is looked at
in evaluations alone, one of them at least must have found it gone.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hnm_core.run.events import Alarm, AlarmLevel
from hnm_core.training.levels import Sits, Widening

LOOK_EVERY = 5
"""Steps between two looks at a lane where nothing calls for one: a look costs a twentieth of a small network's step."""
CLEAR_STEPS = 200
LOOKED_AT_BY = {
    "quality-falls": "map_at_r",
    "starved-search": "no_candidate",
    "low-recall": "mining_recall",
    "stale-bank": "drift",
}
"""Alarms that are looked at only where this is measured; an evaluation that no longer does finds them gone."""
COLLAPSED = 0.01
"""Share of its largest value so far below which the mean distance means collapse."""
CHANCE_STEPS = 200
PLATEAU_STEPS = 100
EASY_STEPS = 50
EASY_SHARE = 0.99
HARD_SHARE = 0.95
WIDE = 10
"""Mean distances from which on a temperature makes all neighbours look alike."""
SPIKE = 100
SPIKE_WINDOW = 100
STARVED = 0.05
LARGEST_BUCKET = 0.10
FALSE_SHARE = 0.05
RECALL_FLOOR = 0.5
TINY_SHARE = 0.01
FALLEN = 0.9
"""MAP@R below this share of its best, in so many evaluations in a row, has fallen."""
FALLEN_EVALUATIONS = 5
STALE = 5
"""Drift, in units of what usually calls for a refresh, that is told when so many evaluations in a row find it: at the
start of every training the network moves fast, and that is no fault."""
STALE_EVALUATIONS = 5

Finding = tuple[AlarmLevel, str, str]
"""How grave, its code, and the words."""


@dataclass(frozen=True)
class Seen:
    """What one step of a lane showed. None and empty where it was not measured or does not apply."""

    step: int
    loss: float
    tuples: Mapping[str, int] = field(default_factory=dict)
    """See `hnm_core.run.events.TUPLE_COUNTS`."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """See `hnm_core.run.events.METRICS`."""
    mining: bool = True
    gradient_norm: float | None = None
    terms: int | None = None
    """Loss terms, and how many of them are not zero."""
    nonzero_terms: int | None = None
    chance: float | None = None
    """Value of the loss when every neighbour looks alike."""
    wideness: float | None = None
    """A fixed temperature, as so many mean distances of the first batch."""
    plateau: float | None = None
    """Value of the loss if all points lay at one spot."""
    empty_reason: str = ""
    """Why a miner that returned nothing did so, in words."""
    largest_bucket: float | None = None
    """Share of the points in the fullest hash bucket."""


class Watch:
    """Looks at one lane, step by step."""

    def __init__(self, lane: str, first_spread: float = 0.0) -> None:
        """`first_spread`: mean distance of two items before the first step."""
        self.lane = lane
        self._raised: dict[str, int] = {}
        self._looked: dict[str, int] = {}
        """When those of `LOOKED_AT_BY` were looked at last."""
        self._since: dict[str, int] = {}
        self._step = 0
        self._stale_evaluations = 0
        self._widest = first_spread
        self._on_plateau, self._on_chance = Sits(PLATEAU_STEPS), Sits(CHANCE_STEPS)
        self._widening = Widening(PLATEAU_STEPS // 2)
        """Of the points while the loss is on its plateau."""
        self._norms: deque[float] = deque(maxlen=SPIKE_WINDOW)
        self._qualities: deque[float] = deque(maxlen=FALLEN_EVALUATIONS)
        self._best_quality = 0.0
        """Before those."""

    def see(self, seen: Seen) -> list[Alarm]:
        """The alarms that this step calls for."""
        alarms = []
        self._step = seen.step
        for level, code, message in self._findings(seen):
            last = self._raised.get(code)
            self._raised[code] = seen.step
            if last is None or (seen.step - last > CLEAR_STEPS and last != self._looked.get(code)):
                alarms.append(Alarm(self.lane, seen.step, code, message, level))
        looked = (code for code, metric in LOOKED_AT_BY.items() if {metric, "map_at_r"} & seen.metrics.keys())
        self._looked |= dict.fromkeys(looked, seen.step)
        return alarms

    def state(self) -> dict[str, Any]:
        """All that was seen, as plain values."""
        return {
            "raised": dict(self._raised),
            "looked": dict(self._looked),
            "since": dict(self._since),
            "step": self._step,
            "stale_evaluations": self._stale_evaluations,
            "widest": self._widest,
            "on_plateau": self._on_plateau.state(),
            "on_chance": self._on_chance.state(),
            "widening": self._widening.state(),
            "norms": list(self._norms),
            "qualities": list(self._qualities),
            "best_quality": self._best_quality,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Have seen what told `state` had."""
        self._raised = {str(code): int(step) for code, step in state["raised"].items()}
        looked = state.get("looked", {})  # not in checkpoints of before
        self._looked = {str(code): int(step) for code, step in looked.items()}
        self._since = {str(name): int(step) for name, step in state["since"].items()}
        self._step, self._stale_evaluations = int(state["step"]), int(state["stale_evaluations"])
        self._widest = float(state["widest"])
        self._on_plateau.restore(state["on_plateau"])
        self._on_chance.restore(state["on_chance"])
        self._widening.restore(state["widening"])
        self._norms.extend(map(float, state["norms"]))
        self._qualities.extend(map(float, state["qualities"]))
        self._best_quality = float(state["best_quality"])

    def _findings(self, seen: Seen) -> Iterator[Finding]:
        collapsed = False
        spread = seen.metrics.get("mean_distance")
        if spread is not None:
            self._widest = max(self._widest, spread)
            collapsed = spread < COLLAPSED * self._widest
            if collapsed:
                yield (
                    "warning",
                    "collapse",
                    "All points have moved to one spot. "
                    "Random negatives for a while or a lower learning rate may help.",
                )
        yield from self._of_tuples(seen)
        yield from self._of_the_loss(seen, collapsed)
        yield from self._of_the_quality(seen)
        yield from self._of_the_search(seen)

    def _of_tuples(self, seen: Seen) -> Iterator[Finding]:
        tuples = seen.tuples
        if seen.empty_reason and tuples.get("mined", 0) == 0:
            yield "warning", "empty-miner", seen.empty_reason
        parted = sum(tuples.get(name, 0) for name in ("hard", "semi_hard", "easy"))
        easy = parted > 0 and tuples.get("easy", 0) > EASY_SHARE * parted
        if self._streak("easy", easy) >= EASY_STEPS:
            yield (
                "hint",
                "all-easy",
                f"{tuples['easy']:,} of {parted:,} tuples are easy: almost nothing is left to learn from. "
                "A larger hard share or margin may help.",
            )
        hard = parted > 0 and seen.mining and tuples.get("hard", 0) > HARD_SHARE * parted
        if self._streak("hard", hard) >= EASY_STEPS:
            yield (
                "warning",
                "all-hard",
                f"{tuples['hard']:,} of {parted:,} tuples are hard: nearly all negatives are nearer than the positive. "
                "A warm-up on random negatives may help; check the labels too.",
            )
        tiny = bool(seen.terms) and (seen.nonzero_terms or 0) < TINY_SHARE * (seen.terms or 0)
        if self._streak("tiny", tiny and not easy) >= EASY_STEPS:
            yield (
                "hint",
                "tiny-signal",
                f"Only {seen.nonzero_terms:,} of {seen.terms:,} terms of the loss still matter. "
                "Mining, or the mean over non-zero terms, may help.",
            )
        false = tuples.get("false_negative", 0)
        negatives = tuples.get("mined", 0)
        if self._streak("false", negatives > 0 and false > FALSE_SHARE * negatives) >= EASY_STEPS:
            yield (
                "hint",
                "false-negatives",
                f"{100 * false / negatives:.0f} % of the mined negatives truly are of the anchor's class. "
                "A rank window or a margin filter may help.",
            )

    def _of_the_loss(self, seen: Seen, collapsed: bool) -> Iterator[Finding]:
        if self._on_chance.see(seen.step, seen.loss, None if collapsed else seen.chance):
            yield (
                "hint",
                "chance",
                f"The loss has been at its level of chance ({seen.chance:.3g}) for {CHANCE_STEPS} steps: "
                "every neighbour looks alike. A lower temperature may help.",
            )
        yield from self._of_the_plateau(seen, collapsed)
        if seen.wideness is not None and seen.wideness > WIDE:
            yield (
                "hint",
                "C22",
                f"The temperature is {seen.wideness:,.3g} times the mean distance: every neighbour looks alike and the "
                "loss sits on its chance line. Without a temperature given, it is the mean distance.",
            )
        norm = seen.gradient_norm
        if norm is not None:
            usual = statistics.median(self._norms) if len(self._norms) >= SPIKE_WINDOW // 2 else 0.0
            if usual > 0 and norm > SPIKE * usual:
                yield (
                    "warning",
                    "exploding",
                    f"The gradient is {norm / usual:,.0f} times as long as usual. A lower learning rate may help.",
                )
            self._norms.append(norm)

    def _of_the_quality(self, seen: Seen) -> Iterator[Finding]:
        """Whatever the loss does: on negatives that are too hard it can stand still, or fall, while retrieval does."""
        quality = seen.metrics.get("map_at_r")
        if quality is None:
            return
        if len(self._qualities) == FALLEN_EVALUATIONS:
            self._best_quality = max(self._best_quality, self._qualities[0])
        self._qualities.append(quality)
        if len(self._qualities) == FALLEN_EVALUATIONS and max(self._qualities) < FALLEN * self._best_quality:
            yield (
                "warning",
                "quality-falls",
                f"MAP@R has been more than a tenth below its best, {self._best_quality:.3f}, for {FALLEN_EVALUATIONS} "
                f"evaluations; it is {quality:.3f}. Negatives that are too hard, over-fitting, or a loss on another "
                "distance than the metric's.",
            )

    def _of_the_plateau(self, seen: Seen, collapsed: bool) -> Iterator[Finding]:
        """A loss passes its plateau on the way down, and a start from nearly one spot leaves it slowly but surely. Told
        is of one that sits there while the points move no farther apart."""
        sits = self._on_plateau.see(seen.step, seen.loss, None if collapsed else seen.plateau)
        spread = seen.metrics.get("mean_distance")
        if not sits:
            self._widening.forget()
        elif spread is not None:
            self._widening.see(seen.step, spread)
        if sits and self._widening.over:
            yield (
                "warning",
                "plateau",
                f"For over {PLATEAU_STEPS} steps the loss has been what it is when all points lie at one spot "
                f"({seen.plateau:.3g}), and they move no farther apart: nothing is separated. "
                "Random or semi-hard negatives for a while may help.",
            )

    def _of_the_search(self, seen: Seen) -> Iterator[Finding]:
        share = seen.metrics.get("no_candidate", 0.0)
        if share > STARVED:
            yield (
                "warning",
                "starved-search",
                f"The search finds no negative for {100 * share:.0f} % of the anchors. "
                "More tables, fewer bits or more probes may help.",
            )
        recall = seen.metrics.get("mining_recall")
        if recall is not None and recall < RECALL_FLOOR:
            yield (
                "hint",
                "low-recall",
                f"The search finds {100 * recall:.0f} % of the nearest negatives. "
                "More bits or more candidates to re-score may help.",
            )
        if seen.largest_bucket is not None and seen.largest_bucket > LARGEST_BUCKET:
            yield (
                "warning",
                "degenerate-buckets",
                f"One bucket holds {100 * seen.largest_bucket:.0f} % of the points: hashing hardly narrows the search. "
                "More bits or the affine family may help.",
            )
        drift = seen.metrics.get("drift")
        if drift is not None:
            self._stale_evaluations = self._stale_evaluations + 1 if drift > STALE else 0
        if drift is not None and self._stale_evaluations >= STALE_EVALUATIONS:
            yield (
                "hint",
                "stale-bank",
                f"What is searched is {seen.metrics.get('bank_age', 0):,.0f} steps old and has drifted to {drift:.1f} "
                "times the usual limit. A refresh more often may help.",
            )

    def _streak(self, name: str, holds: bool) -> int:
        """Steps for which a condition has held, as far as was looked."""
        if not holds:
            self._since.pop(name, None)
            return 0
        return self._step - self._since.setdefault(name, self._step) + 1
