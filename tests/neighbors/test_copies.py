"""Which of many equal rows a search need not look at."""

from __future__ import annotations

import torch

from hnm_core.bank import Bank
from hnm_core.neighbors.copies import Copies
from hnm_core.neighbors.dense import Dense

from .oracle import Distance, assert_exact


def test_that_of_equal_rows_only_those_are_left_out_that_nobody_can_find() -> None:
    source = torch.Generator().manual_seed(2)
    for several, classes in ((1, 1), (3, 2), (3, 40), (200, 5)):
        kind = torch.randint(several, (300,), generator=source)
        of_class = torch.randint(classes, (300,), generator=source) ** 2 // classes
        rows = torch.randperm(300, generator=source)
        copies = Copies(kind[:, None].float(), (kind // 2).double(), of_class, rows)
        for k in (1, 4, 30):
            lost = {own: set(rows[copies.beaten(k, own=own)].tolist()) for own in (False, True)}
            for group in range(several):
                equal = {int(row): int(of_class[rows == row]) for row in rows[kind == group].sort().values}
                for label in [*set(equal.values()), -1]:
                    others = [row for row, own in equal.items() if own != label]
                    assert not lost[False] & set(others[:k])
                    positives = [row for row, own in equal.items() if own == label]
                    assert not lost[True] & set(positives[: k + 1])
                if several == 1:
                    assert len(equal.keys() - lost[False]) <= 3 * k
                    assert len(equal.keys() - lost[True]) <= (k + 1) * len(set(equal.values()))


def test_that_equal_rows_pass_no_filter_in_vain() -> None:
    """Three thousand rows of two kinds: each anchor measures a few of each, and finds k."""
    labels = torch.arange(3_000) % 7
    points = torch.tensor([[1.0] * 12, [-1.0, 1.0] * 6])[torch.arange(3_000) // 5 % 2]
    bank, anchors = Bank(points, labels), torch.arange(0, 3_000, 37)
    search = Dense()
    search.build(bank)
    assert search._filtered is not None
    left = (
        search._filtered._side(False, search._filtered._own)
        .without(search._filtered._copies.beaten(5, own=False))
        .rows.bias[:3_000]
    )
    assert 2 * 5 <= (left > -torch.inf).sum() <= 2 * 15
    assert_exact(search.nearest_negatives(anchors, 5), bank, anchors, 5, Distance(), False)
    assert_exact(search.farthest_positives(anchors, 5), bank, anchors, 5, Distance(), True)
