"""Which points are selected, and which of all points are drawn: by id and by class, so that it holds in every pane at
every moment. No Qt."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hnm_core.run.told_labels import ToldLabels, having

NONE: NDArray[np.int64] = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Selection:
    """A value: what a user does to it gives the next one."""

    ids: NDArray[np.int64] = field(default_factory=lambda: NONE)
    """Selected dataset ids, ascending"""
    isolated: NDArray[np.int64] | None = None
    """Ids that alone are drawn; None for all"""
    classes: frozenset[int] = frozenset()
    """Classes that alone are drawn, or labels of which an item must have one; none for all"""
    hidden: NDArray[np.int64] = field(default_factory=lambda: NONE)
    """Ids that are not drawn"""
    pair: tuple[int, int] | None = None
    """Classes of anchors and of negatives: only edges from these to those are drawn; None for all edges"""

    @property
    def filters(self) -> bool:
        """Whether points may be left out."""
        return self.isolated is not None or bool(self.classes) or bool(len(self.hidden))

    def drawn(
        self, ids: NDArray[np.int64], labels: NDArray[np.int64], several: ToldLabels | None = None
    ) -> NDArray[np.bool_]:
        """(P,) which points of these ids and classes are drawn. `several`: all labels, where items have several."""
        kept = np.ones(len(ids), np.bool_)
        if self.isolated is not None:
            kept &= np.isin(ids, self.isolated)
        if self.classes:
            kept &= having(several, ids, labels, self.classes)
        if len(self.hidden):
            kept &= ~np.isin(ids, self.hidden)
        return kept

    def select(self, ids: NDArray[np.int64], *, add: bool = False) -> Selection:
        """These ids are selected, beside those that are already with `add`; edges are drawn of all classes again."""
        return replace(self, ids=np.union1d(self.ids, ids) if add else np.unique(ids), pair=None)

    def select_pair(self, ids: NDArray[np.int64], labels: NDArray[np.int64], pair: tuple[int, int]) -> Selection:
        """Of the points of these ids and classes those of two classes are selected, and only edges from anchors of one
        to negatives of the other are drawn. Where one of the two is left out whole, they alone are drawn."""
        seen = np.isin(pair, labels[self.drawn(ids, labels)]).all()
        before = self if seen else Selection(classes=frozenset(pair))
        return replace(before, ids=np.unique(ids[np.isin(labels, pair)]), pair=pair)

    def isolate(self, ids: NDArray[np.int64]) -> Selection:
        """Only these ids are drawn."""
        return Selection(isolated=np.unique(ids), pair=self.pair)

    def isolate_class(self, label: int, *, add: bool = False) -> Selection:
        """Only this class is drawn, or what has this label; where it is that already, all are. With `add` it joins
        those that are drawn, or leaves them."""
        if add:
            return Selection(self.ids, classes=self.classes ^ {label})
        return Selection(self.ids, classes=frozenset() if self.classes == {label} else frozenset({label}))

    def hide(self, ids: NDArray[np.int64]) -> Selection:
        """These ids are not drawn either."""
        return replace(self, ids=NONE, hidden=np.union1d(self.hidden, ids))

    def invert(self, ids: NDArray[np.int64], labels: NDArray[np.int64], several: ToldLabels | None = None) -> Selection:
        """Of the points of these ids and classes those that are drawn and were not selected."""
        return replace(self, ids=np.setdiff1d(ids[self.drawn(ids, labels, several)], self.ids), pair=None)

    def show_all(self) -> Selection:
        """Every point is drawn."""
        return Selection(self.ids)

    def text(self, drawn: int, total: int) -> str:
        """For example "312 of 2,000 points isolated"; empty where all are drawn, and what to do where none is."""
        if not self.filters:
            return ""
        if not drawn:  # mined items that are not of the sample come and go
            return "none of the points to be drawn is in this frame; Shift+H draws all"
        if self.isolated is not None or self.classes:
            return f"{drawn:,} of {total:,} points isolated"
        return f"{total - drawn:,} of {total:,} points hidden"
