"""Whether a loss sits on a level, as it does when nothing is learned, or only passes it."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Mapping
from typing import Any

NEAR = 0.01
"""A mean loss within this share of a level lies on it."""


class Sits:
    """Says whether the loss has sat on a level for so many steps: the mean of the older half of what was seen of them,
    and that of the newer half, both lie on it. Single losses scatter about their mean by more than `NEAR`, as each is
    of another batch; and one that passes the level is above it in one half and below in the other."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._excess: deque[tuple[int, float]] = deque()
        """(step, by how much the loss was above its level, as a share of it)"""
        self._since: int | None = None

    def see(self, step: int, loss: float, level: float | None) -> bool:
        """Take the loss of a step, and the level it would sit on; None or 0 where there is none: it begins anew."""
        if not level:
            self._excess.clear()
            self._since = None
            return False
        self._since = step if self._since is None else self._since
        self._excess.append((step, (loss - level) / abs(level)))
        while self._excess[0][0] <= step - self._steps:
            self._excess.popleft()
        if step - self._since + 1 < self._steps:
            return False
        middle = step - self._steps // 2
        older = [excess for seen, excess in self._excess if seen <= middle]
        newer = [excess for seen, excess in self._excess if seen > middle]
        return all(half and abs(statistics.fmean(half)) <= NEAR for half in (older, newer))

    def state(self) -> dict[str, Any]:
        """All that was seen, as plain values."""
        return {"excess": [list(pair) for pair in self._excess], "since": self._since}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Have seen what told `state` had."""
        self._excess = deque((int(step), float(excess)) for step, excess in state["excess"])
        self._since = None if state["since"] is None else int(state["since"])


class Widening:
    """Says whether points still move apart: their newest mean distance is larger than all of at least so many steps
    before. One that only scatters is not."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._recent: deque[tuple[int, float]] = deque()
        self._widest_before: float | None = None
        self._newest: float | None = None

    def see(self, step: int, spread: float) -> None:
        """Take the mean distance at a step."""
        self._newest = spread
        self._recent.append((step, spread))
        while self._recent[0][0] <= step - self._steps:
            before = self._recent.popleft()[1]
            self._widest_before = before if self._widest_before is None else max(self._widest_before, before)

    @property
    def over(self) -> bool:
        """Whether they have been seen to move apart no more; False where too little was seen."""
        return self._newest is not None and self._widest_before is not None and self._newest <= self._widest_before

    def forget(self) -> None:
        """Begin anew."""
        self._recent.clear()
        self._widest_before = self._newest = None

    def state(self) -> dict[str, Any]:
        """All that was seen, as plain values."""
        recent = [list(pair) for pair in self._recent]
        return {"recent": recent, "widest_before": self._widest_before, "newest": self._newest}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Have seen what told `state` had."""
        self._recent = deque((int(step), float(spread)) for step, spread in state["recent"])
        before, newest = state["widest_before"], state["newest"]
        self._widest_before = None if before is None else float(before)
        self._newest = None if newest is None else float(newest)
