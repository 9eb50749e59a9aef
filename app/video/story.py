"""What a film can tell of a recording: who ends best, what to look at, how it was measured. No Qt."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from app.history.moments import Moment, goal_of, joined, judged_by, moments, named
from app.history.verdict import JUDGED_BY, apart, measured_items, seconds_to
from hnm_core.recording import Recording
from hnm_core.run.history import LaneHistory, RunHistory
from hnm_core.run.shown import has_several_labels
from hnm_core.spec.data_files import WITHOUT
from hnm_core.spec.registry import is_over_documents
from hnm_core.words import counted


@dataclass(frozen=True)
class Finding:
    """What the run came to."""

    title: str
    lines: tuple[str, ...]


class Story:
    """A recording read once."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.history: RunHistory = recording.history()
        self.started = recording.started
        self.lanes: tuple[str, ...] = recording.lanes
        self.metric: str | None = judged_by(self.history)
        self.items: int = measured_items(self.started)
        self.moments: list[Moment] = moments(self.history)
        """Of all lanes"""
        self.goal: float = goal_of(self.history)

    def moments_of(self, names: Sequence[str]) -> list[Moment]:
        """Those of a picture that shows some lanes."""
        return moments(self.history, names)

    def lane(self, name: str) -> LaneHistory:
        """The history of a lane."""
        return self.history.lane(name)

    @property
    def word(self) -> str:
        """What the deciding metric is called; empty where there is none."""
        return JUDGED_BY[self.metric] if self.metric else ""

    def _last_measured(self) -> list[int]:
        """The steps at which lanes were measured last."""
        if self.metric is None:
            return []
        return [int(steps[-1]) for name in self.lanes if len(steps := self.lane(name).metric(self.metric)[0])]

    @property
    def judged_at(self) -> int | None:
        """The step at which lanes are compared, where some of them went on (recordings side by side); else None."""
        last = self._last_measured()
        return min(last) if last and min(last) < max(last) else None

    def ends(self) -> dict[str, float]:
        """What lanes came to at equal steps, the best first; those that were never measured are left out."""
        last = self._last_measured()
        if self.metric is None or not last:
            return {}
        values = {name: self.lane(name).latest(self.metric, min(last)) for name in self.lanes}
        known = {name: value for name, value in values.items() if math.isfinite(value)}
        return dict(sorted(known.items(), key=lambda item: -item[1]))

    def mines(self, name: str) -> bool:
        """Whether a lane mines, rather than taking all that the batch has."""
        config = self.recording.lane_configs.get(name)
        if config is None:
            return False
        lane = config.lanes[0]
        return lane.mines and not lane.miner_part.options.leaves_choice

    def best(self) -> str:
        """The lane that ends best, the first where nobody knows."""
        return next(iter(self.ends()), self.lanes[0])

    def best_miner(self) -> str:
        """The lane to look at where mining is to be seen: of those that mine the one that ends best."""
        order = [*self.ends(), *self.lanes]
        return next((name for name in order if self.mines(name)), self.best())

    def pair(self) -> tuple[str, str]:
        """Two lanes to compare: one that does not mine, or else the one that ends worst, and the one that ends best."""
        best, order = self.best(), [*reversed(self.ends()), *self.lanes]
        others = [name for name in order if name != best]
        plain = [name for name in others if not self.mines(name)]
        return (plain or others or [best])[0], best

    @property
    def over_documents(self) -> bool:
        """Whether queries look for documents; else items have classes."""
        return is_over_documents(self.started.config.data.name)

    @property
    def measured_on(self) -> str:
        """What quality is measured on, in two or three words."""
        if not self.started.held_out.any():
            return "queries trained on" if self.over_documents else "items trained on"
        return "held-out queries" if self.over_documents else "held-out items"

    def question(self) -> str:
        """What the film asks, on its first card."""
        return self.recording.config.title or "Which negatives should it learn from?"

    def _grouped(self) -> str:
        """What items are told apart by."""
        if has_several_labels(self.started):
            return f"items with {counted(len({*self.started.class_names} - {WITHOUT}), 'label')}"
        return f"items in {len(np.unique(self.started.labels)):,} classes"

    def facts(self) -> str:
        """What is compared, on what, in a line."""
        items = f"{self.started.items_total:,} "
        if self.over_documents:
            items += "queries and documents"
        else:
            items += self._grouped()
        if (shown := len(self.started.ids)) < self.started.items_total:
            items += f", {shown:,} of them shown"
        steps = counted(self.history.last_step, "step")
        gone = {int(lane.steps[-1]) for name in self.lanes if len(lane := self.lane(name))}
        each = f"{steps} each" if len(gone) == 1 else f"up to {steps}"
        return f"{items}, {each}, seed {self.started.config.seed}"

    def finding(self) -> Finding | None:
        """What the run came to; None where nothing was measured."""
        ends = self.ends()
        if not ends or self.history.audits:
            return None
        best, top = next(iter(ends.items()))
        level = [name for name in ends if name == best or not apart(top, ends[name], self.items)]
        behind = [name for name in ends if name not in level]
        word, at = self.word, self.judged_at
        wins, ends_, end = ("wins", "ends", "end") if at is None else ("leads", "is", "are")
        if len(ends) == 1:
            title = f"{named(best)} {ends_} at {word} {top:.2f}"
        elif not behind:
            title = "No lane is clearly better"
        elif len(level) == 1:
            title = f"{named(best)} {wins}: {word} {top:.2f}"
        elif all(apart(ends[one], ends[other], self.items) for one in level for other in behind):
            title = f"{joined(level)} {end} level, ahead of {joined(behind)}"
        else:  # who is level with the best is level with another that is not
            title = f"{named(best)} {ends_} ahead of {joined(behind)}, not clearly of {joined(level[1:])}"
        if at is not None:
            title = f"By step {at:,}: {title}"
        lines = []
        if len(ends) > 1:
            lines.append(" · ".join(_pair(name, value) for name, value in ends.items()))
        if behind and math.isfinite(self.goal) and self.metric is not None:
            took = {name: seconds_to(self.lane(name), self.metric, self.goal) for name in ends}
            there = [name for name in took if math.isfinite(took[name])]
            never = [name for name in took if name not in there]
            first = min(there, key=lambda name: took[name]) if there else None
            if first is not None:
                told = f"{word} {self.goal:.2f} after {took[first]:.3g} s of training"
                lines.append(f"{named(first)}: {told}{f'; {joined(never)} never' if never else ''}")
        return Finding(title, tuple(lines))

    def measured(self) -> list[str]:
        """How it was measured, for the end card: machine, seed, items, versions."""
        started, evaluated, versions = self.started, self.started.evaluated, self.started.versions
        program = " · ".join(f"{name} {versions[name]}" for name in ("hnm-lab", "torch", "numpy") if name in versions)
        what = f"{started.items_total:,} {'queries and documents' if self.over_documents else 'items'}"
        if (shown := len(started.ids)) < started.items_total:
            what += f", {shown:,} of them shown"
        ran = [versions.get("device", ""), f"one run, seed {started.config.seed}", what]
        # Of items shown in part nobody knows how many are kept out in all.
        known = f"{self.items:,} " if len(started.ids) == started.items_total and not self.over_documents else ""
        on = evaluated.short if evaluated else f"{known}{self.measured_on}" if started.held_out.any() else ""
        if self.judged_at is not None:
            on += f" by step {self.judged_at:,}"
        how = [f"{self.word} on {on}" if on and self.word else "", "mining time: of a step, refreshes spread over all"]
        return [line for line in (" · ".join(filter(None, ran)), " · ".join(filter(None, how)), program) if line]


def _pair(name: str, value: float) -> str:
    """A lane and what it came to, which stay in one line."""
    return f"{name} {value:.2f}".replace(" ", "\N{NO-BREAK SPACE}")
