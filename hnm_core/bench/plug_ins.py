"""Miners of plug-ins over the whole set beside ours: a refresh, and what is mined of it for a batch of anchors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from hnm_core import miners
from hnm_core.bank import Bank
from hnm_core.bench import usage
from hnm_core.bench.table import Case, Row, Settings
from hnm_core.bench.timing import Contender, take_turns
from hnm_core.distances import Distance
from hnm_core.miners.base import MiningContext
from hnm_core.spec.plug_ins import is_plug_in
from hnm_core.spec.registry import MINERS

OURS = "knn"
ANCHORS = 256
CLASSES = 100


def cases(settings: Settings) -> list[Case]:
    """A row for each such miner that is loaded, called as it is; its options are its defaults."""
    entries = [MINERS.entry(name) for name in MINERS.names()]
    return [_case(each.name, settings) for each in entries if is_plug_in(each) and each.scope == "dataset"]


def _case(name: str, settings: Settings) -> Case:
    rows = 2_000 if settings.quick else 20_000
    size = f"N={rows:,} d=128, {CLASSES} classes, {ANCHORS} anchors"

    def measure() -> Row:
        points, labels = usage.blobs(rows, 128, classes=CLASSES, spread=0.8)
        bank = Bank(torch.from_numpy(points), torch.from_numpy(labels))
        ours, theirs = take_turns(
            [Contender(f"hnm {OURS}", _mines(OURS, bank)), Contender(f"plug-in {name}", _mines(name, bank))], settings
        )
        found = [each.rated(check=f"{len(each.answer[0]):,} tuples" if each.answer else "") for each in (ours, theirs)]
        return Row("mining", name, size, found[0], (found[1],))

    return Case(name, size, measure)


def _mines(name: str, bank: Bank) -> Callable[[], Any]:
    miner: Any = miners.create(name)
    anchors = torch.arange(ANCHORS)

    def run() -> Any:
        context = MiningContext(1, 0, torch.Generator().manual_seed(0), Distance())
        miner.refresh(bank, context)
        return miner.mine(anchors, context)

    return run
