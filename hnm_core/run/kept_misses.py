"""What the measurements of a lane missed, by step. A long run has thousands, of kilobytes each: where they can be read
back, only the newest are held."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping

from hnm_core.run.events import Misses

HELD = 32
"""So many of the newest are held where the others can be read back."""


class KeptMisses(Mapping[int, Misses]):
    """By step, ascending."""

    def __init__(self, read: Callable[[int], Misses] | None = None, steps: Iterable[int] = ()) -> None:
        """`read` reads those of a step back, `steps` are steps whose misses it can read already."""
        self._read = read
        self._steps = sorted(steps)
        self._held: dict[int, Misses] = {}
        self._last: Misses | None = None  # read back last, and likely to be asked for again

    def add(self, misses: Misses) -> None:
        """Take in what a measurement told."""
        place = bisect_right(self._steps, misses.step)
        if self._steps[place - 1 : place] != [misses.step]:
            self._steps.insert(place, misses.step)
        self._held[misses.step] = misses
        if self._read is not None and len(self._held) > HELD:
            del self._held[min(self._held)]

    def step_upto(self, step: int | None) -> int | None:
        """The step of the last measurement up to and with a step, or of the last; None where there is none."""
        place = len(self._steps) if step is None else bisect_right(self._steps, step)
        return self._steps[place - 1] if place else None

    def __getitem__(self, step: int) -> Misses:
        """Raises `KeyError` where nothing was measured, `InputError` where it can no longer be read back."""
        place = bisect_right(self._steps, step)
        if self._steps[place - 1 : place] != [step]:
            raise KeyError(step)
        if step in self._held:
            return self._held[step]
        if self._last is None or self._last.step != step:
            assert self._read is not None, "else it is held"
            self._last = self._read(step)
        return self._last

    def __iter__(self) -> Iterator[int]:
        return iter(self._steps)

    def __len__(self) -> int:
        return len(self._steps)
