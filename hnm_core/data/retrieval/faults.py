"""What is wrong with a file in many places, told in one sentence: the first place, and how many more there are."""

from __future__ import annotations

from dataclasses import dataclass, field

from hnm_core.errors import InputError


@dataclass
class Faults:
    """Collects faults of several kinds while a file is read."""

    _count: dict[str, int] = field(default_factory=dict)
    _first: dict[str, str] = field(default_factory=dict)

    def add(self, kind: str, sentence: str) -> None:
        """Count a fault.

        Args:
            kind: of it, as it is counted: "lines without an '_id'".
            sentence: what is said if it is the first of its kind, without a full stop.
        """
        self._first.setdefault(kind, sentence)
        self._count[kind] = self._count.get(kind, 0) + 1

    def refuse(self, advice: str = "") -> None:
        """Raises `InputError` where there were any: the first of each kind, and the counts of all."""
        if not self._first:
            return
        told = [
            first if self._count[kind] == 1 else f"{first} (the first of {self._count[kind]:,} {kind})"
            for kind, first in self._first.items()
        ]
        raise InputError(f"{'; '.join(told)}.{advice and f' {advice}'}")
