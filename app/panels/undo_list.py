"""What can be taken back and done again: values before and after the one that is shown. No Qt."""

from __future__ import annotations

from typing import Generic, TypeVar

Value = TypeVar("Value")
MAX_UNDO = 200
"""Older values are forgotten."""


class UndoList(Generic[Value]):
    """Keeps the values around the one that is shown, which it does not hold itself."""

    def __init__(self) -> None:
        self._past: list[Value] = []
        self._future: list[Value] = []

    @property
    def can_undo(self) -> bool:
        """Whether there is a value before."""
        return bool(self._past)

    @property
    def can_redo(self) -> bool:
        """Whether an undo can be taken back."""
        return bool(self._future)

    def keep(self, before: Value) -> None:
        """Another value has taken the place of `before`; what was undone is forgotten."""
        self._past = [*self._past, before][-MAX_UNDO:]
        self._future = []

    def forget(self) -> None:
        """Nothing can be taken back any more."""
        self._past, self._future = [], []

    def undo(self, shown: Value) -> Value:
        """The value before `shown`. Raises `IndexError` where there is none."""
        before = self._past.pop()
        self._future.append(shown)
        return before

    def redo(self, shown: Value) -> Value:
        """The value that was undone. Raises `IndexError` where there is none."""
        after = self._future.pop()
        self._past.append(shown)
        return after
