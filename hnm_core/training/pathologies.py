"""Recognises what goes wrong in metric learning and says it in words: cause, evidence, one thing to try.

An alarm comes once; it can come again when its condition has been gone for `CLEAR_STEPS` steps.
"""

from __future__ import annotations

import itertools
import statistics
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hnm_core.run.events import Alarm, AlarmLevel

LOOK_EVERY = 5
"""Steps between two looks at a lane where nothing calls for one: a look costs a twentieth of a small network's step."""
CLEAR_STEPS = 200
COLLAPSED = 0.01
"""Share of its largest value so far below which the mean distance means collapse."""
CHANCE_STEPS = 200
PLATEAU_STEPS = 100
EASY_STEPS = 50
EASY_SHARE = 0.99
HARD_SHARE = 0.95
WIDE = 10
"""Mean distances from which on a temperature makes all neighbours look alike."""
NEAR = 0.01
"""A loss within this share of a level sits on it."""
SPIKE = 100
SPIKE_WINDOW = 100
STARVED = 0.05
LARGEST_BUCKET = 0.10
FALSE_SHARE = 0.05
RECALL_FLOOR = 0.5
TINY_SHARE = 0.01
SPLIT_EVALUATIONS = 5
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
        self._since: dict[str, int] = {}
        self._step = 0
        self._stale_evaluations = 0
        self._widest = first_spread
        self._plateau_spread: float | None = None
        """Mean distance when it was first measured on the plateau where the loss is now."""
        self._widens = True
        """Whether it has grown since."""
        self._norms: deque[float] = deque(maxlen=SPIKE_WINDOW)
        self._evaluations: deque[tuple[float, float]] = deque(maxlen=SPLIT_EVALUATIONS + 1)
        self._losses: deque[float] = deque(maxlen=SPIKE_WINDOW)

    def see(self, seen: Seen) -> list[Alarm]:
        """The alarms that this step calls for."""
        alarms = []
        self._step = seen.step
        for level, code, message in self._findings(seen):
            last = self._raised.get(code)
            self._raised[code] = seen.step
            if last is None or seen.step - last > CLEAR_STEPS:
                alarms.append(Alarm(self.lane, seen.step, code, message, level))
        return alarms

    def state(self) -> dict[str, Any]:
        """All that was seen, as plain values."""
        return {
            "raised": dict(self._raised),
            "since": dict(self._since),
            "step": self._step,
            "stale_evaluations": self._stale_evaluations,
            "widest": self._widest,
            "plateau_spread": self._plateau_spread,
            "widens": self._widens,
            "norms": list(self._norms),
            "evaluations": [list(pair) for pair in self._evaluations],
            "losses": list(self._losses),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Have seen what told `state` had."""
        self._raised = {str(code): int(step) for code, step in state["raised"].items()}
        self._since = {str(name): int(step) for name, step in state["since"].items()}
        self._step, self._stale_evaluations = int(state["step"]), int(state["stale_evaluations"])
        self._widest, self._widens = float(state["widest"]), bool(state["widens"])
        spread = state["plateau_spread"]
        self._plateau_spread = None if spread is None else float(spread)
        self._norms.extend(map(float, state["norms"]))
        self._evaluations.extend((float(loss), float(quality)) for loss, quality in state["evaluations"])
        self._losses.extend(map(float, state["losses"]))

    def _findings(self, seen: Seen) -> Iterator[Finding]:
        self._losses.append(seen.loss)
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
        on_chance = seen.chance is not None and _near(seen.loss, seen.chance) and not collapsed
        if self._streak("chance", on_chance) >= CHANCE_STEPS:
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
        quality = seen.metrics.get("map_at_r")
        if quality is not None:
            self._evaluations.append((statistics.fmean(self._losses), quality))
            losses, qualities = zip(*self._evaluations, strict=True)
            if len(losses) > SPLIT_EVALUATIONS and _falling(losses) and _falling(qualities):
                yield (
                    "warning",
                    "loss-metric-split",
                    f"The loss falls but MAP@R has fallen {SPLIT_EVALUATIONS} times in a row, to {quality:.3f}. "
                    "Over-fitting, or a loss on another distance than the metric's.",
                )

    def _of_the_plateau(self, seen: Seen, collapsed: bool) -> Iterator[Finding]:
        """A loss passes its plateau on the way down, and a start from nearly one spot leaves it slowly but surely. Told
        is of one that has sat there step by step while the points moved no farther apart."""
        sits = bool(seen.plateau) and _near(seen.loss, seen.plateau or 0.0) and not collapsed
        steps = self._streak("plateau", sits)
        spread = seen.metrics.get("mean_distance")
        if not sits:
            self._plateau_spread, self._widens = None, True
        elif spread is not None and self._plateau_spread is None:
            self._plateau_spread = spread
        elif spread is not None and self._plateau_spread is not None:
            self._widens = spread > self._plateau_spread
        if steps >= PLATEAU_STEPS and not self._widens:
            yield (
                "warning",
                "plateau",
                f"For {PLATEAU_STEPS} steps the loss has been what it is when all points lie at one spot "
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


def _near(value: float, level: float) -> bool:
    return abs(value - level) <= NEAR * abs(level)


def _falling(values: tuple[float, ...]) -> bool:
    return all(after < before for before, after in itertools.pairwise(values))
