"""Several labels an item, as data sets hold them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.errors import InputError
from hnm_core.system import memory


@dataclass(frozen=True, eq=False)
class ItemLabels:
    """The labels of N items: none, one or several of each. Arrays are not to be written to."""

    offsets: NDArray[np.int64]
    """(N + 1,) those of item i stand in `label` from offsets[i] up to, without, offsets[i + 1]."""
    label: NDArray[np.int64]
    """(M,) 0 .. count - 1, ascending and different for each item."""
    count: int
    """How many labels there are."""

    @classmethod
    def of_pairs(cls, item: NDArray[np.int64], label: NDArray[np.int64], items: int, count: int) -> ItemLabels:
        """From pairs of an item and a label in any order, what is there twice taken once."""
        pairs = np.unique(item * count + label)
        sizes = np.bincount(pairs // max(count, 1), minlength=items)
        return cls(np.concatenate(([0], np.cumsum(sizes))), pairs % max(count, 1), count)

    def __len__(self) -> int:
        """N."""
        return len(self.offsets) - 1

    @property
    def sizes(self) -> NDArray[np.int64]:
        """(N,) how many labels each item has."""
        return np.diff(self.offsets)

    @property
    def item(self) -> NDArray[np.int64]:
        """(M,) which item each of `label` is of."""
        return np.repeat(np.arange(len(self)), self.sizes)

    def at(self, row: NDArray[np.int64]) -> ItemLabels:
        """Those of some items (N',), in their order."""
        sizes = self.sizes[row]
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[row] - offsets[:-1], sizes)
        return ItemLabels(offsets, self.label[places], self.count)

    def table(self) -> NDArray[np.bool_]:
        """(N, L), whether each item has each label. Raises `InputError` where that does not fit into the memory."""
        memory.require(
            len(self) * self.count, f"A table of {len(self):,} items and {self.count:,} labels", "take fewer"
        )
        table = np.zeros((len(self), self.count), np.bool_)
        table[self.item, self.label] = True
        return table

    def rarest(self) -> NDArray[np.int64]:
        """(N,) of each item's labels the one that the fewest items have, of these the first; `count` where there is
        none. What can show an item in one colour alone shows this."""
        frequency = np.bincount(self.label, minlength=self.count)
        order = np.lexsort((self.label, frequency[self.label], self.item))
        found = np.full(len(self), self.count, np.int64)
        some = self.sizes > 0
        found[some] = self.label[order][self.offsets[:-1][some]]
        return found


def named(
    lists: Sequence[Sequence[str]], where: str, *, separated: bool = False
) -> tuple[ItemLabels, tuple[str, ...], str]:
    """The labels of items that name them, the names, and what is to be said of them, if anything. Names are in
    numerical order if all of them are numbers, else in alphabetical order. Blanks around a name are none of it, and
    what is empty is no label.

    Raises:
        InputError: a label is too long to be one.
    """
    cleaned = [[name for name in map(str.strip, names) if name] for names in lists]
    item = np.repeat(np.arange(len(cleaned)), [len(names) for names in cleaned])
    numbers, names = checks.named_classes([name for one in cleaned for name in one], where)
    # Beside a separator blanks are common.
    said = "" if separated else checks.said_of_blanks(name for one in lists for name in one)
    return ItemLabels.of_pairs(item, numbers, len(cleaned), len(names)), names, said


def of_table(table: NDArray[np.generic], where: str) -> ItemLabels:
    """From (N, L) truth values, or 0 and 1: whether each item has each label.

    Raises:
        InputError: a number is neither 0 nor 1; the message names the first row.
    """
    wrong = np.flatnonzero(((table != 0) & (table != 1)).any(1))
    if len(wrong):
        raise InputError(
            f"{where} has the shape {table.shape}, but row {wrong[0]} (counted from 0) holds other numbers than 0 and "
            f"1; labels are ({len(table)},), one an item, or a 1 at the place of each label that an item has."
        )
    item, label = np.nonzero(table)
    return ItemLabels.of_pairs(item.astype(np.int64), label.astype(np.int64), len(table), table.shape[1])


def check(labels: ItemLabels, names: Sequence[str], where: str) -> None:
    """Raises `InputError` unless two items share a label and no label is on all: there must be a positive and a
    negative."""
    frequency = np.bincount(labels.label, minlength=max(labels.count, 1))
    if frequency.max() < 2:
        raise InputError(
            f"{where}: no two of {len(labels):,} items share a label; without that there are no positives."
        )
    if frequency.max() == len(labels):
        everywhere = checks.shown(names[int(frequency.argmax())])
        raise InputError(
            f"{where}: the label '{everywhere}' is on all {len(labels):,} items, so that any two share it and there "
            "are no negatives; leave it out."
        )


def in_words(labels: ItemLabels) -> str:
    """How many labels there are and items have: "81 labels, 2.4 an item (0 to 5); 12 items have none ..."."""
    sizes = labels.sizes
    words = f"{checks.count(labels.count, 'label')}, {sizes.mean():.2g} an item ({sizes.min():,} to {sizes.max():,})"
    without = int((sizes == 0).sum())
    if without:
        have = "1 item has none: it is" if without == 1 else f"{without:,} items have none: they are"
        words += f"; {have} never an anchor, and may be a negative of all"
    return words
