"""How hard what each lane mined was, at the moment that is shown: what a panel of histograms tells. No Qt."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from hnm_core.run.events import Frame
from hnm_core.run.hardness import Hardness
from hnm_core.run.history import LaneHistory
from hnm_core.spec.config import ExperimentConfig, LaneConfig

MARGIN = "loss_options.margin"
"""The option that a margin line stands for, as `hnm_core.run.changeable` names it."""
MOST_STEPS = 64
"""A frame tells of no more steps, see `hnm_core.training.frames.GATHER_STEPS`."""


@dataclass(frozen=True, eq=False)
class LaneHardness:
    """One lane."""

    lane: str
    hardness: Hardness | None
    message: str = ""
    """Why there is no histogram, in a sentence."""
    steps: int = 0
    """Steps whose tuples are counted; 0 where nobody knows."""
    mined: float = math.nan
    """Share of the anchors that the lane's own miner served in these steps, the others by chance; NaN: not known."""
    warming_up: bool = False
    margin: float = 0.0
    """Where the margin line stands: that of the lane's loss now, which may be newer than the frame."""
    fixed: str = ""
    """Why it cannot be moved, in a sentence; empty where it can."""


@dataclass(frozen=True)
class Moment:
    """What of a run is shown, as far as margins can be changed."""

    running: Collection[str] = ()
    """Lanes that train."""
    live: bool = True
    """Whether it is the newest frame of a run, rather than a moment of the past."""
    replaying: bool = False
    """Whether it is a recording."""


def lane_hardness(
    lane: LaneHistory, frame: Frame | None, config: ExperimentConfig | None, moment: Moment
) -> LaneHardness:
    """What to tell of a lane.

    Args:
        lane: its history.
        frame: the one that is shown, if any.
        config: of the lane alone, as it was at that step; None where nobody knows.
        moment: what margins can be changed by.
    """
    name, own = lane.name, None if config is None else config.lanes[0]
    if frame is None or frame.hardness is None:
        return LaneHardness(name, None, _why_none(frame, own))
    hardness = frame.hardness
    rows = lane.rows(frame.step)
    steps = told_steps(lane, frame)
    first = max(0, rows - steps) if steps else max(0, rows - 1)
    mining = lane.mining[first:rows]
    fixed = _why_fixed(name, own, moment)
    wanted = _option(own)
    return LaneHardness(
        name,
        hardness,
        steps=steps,
        mined=mined_share(own, float(mining.mean())) if own is not None and len(mining) else math.nan,
        warming_up=bool(len(mining)) and not mining[-1],
        margin=hardness.margin if fixed or wanted is None else wanted,
        fixed=fixed,
    )


def told_steps(lane: LaneHistory, frame: Frame) -> int:
    """Of how many steps the tuples of a frame are: those last ones whose tuples add up to it; 0 where none do."""
    if frame.hardness is None:
        return 0
    rows = lane.rows(frame.step)
    last = lane.tuples[max(0, rows - MOST_STEPS) : rows][::-1]
    together = np.cumsum(last[:, _BANDS].sum(1))
    place = int(np.searchsorted(together, frame.hardness.total))
    return place + 1 if place < len(together) and together[place] == frame.hardness.total else 0


_BANDS = (1, 2, 3)
"""Columns of hard, semi_hard and easy in `hnm_core.run.events.TUPLE_COUNTS`."""


def mined_share(lane: LaneConfig, mining: float) -> float:
    """Share of anchors that the lane's own miner served, where it was at work in the share `mining` of the steps."""
    if lane.in_batch:
        return mining
    return mining * lane.hard_share if lane.mines else 0.0


def _option(lane: LaneConfig | None) -> float | None:
    """The margin that the lane's loss has as an option; None where it has none over triplets."""
    return None if lane is None else lane.loss_part.options.margins.get("margin")


def _why_none(frame: Frame | None, lane: LaneConfig | None) -> str:
    if frame is None:
        return "No picture of it yet."
    if not frame.step:
        return "Nothing is mined yet."
    if frame.separation is None:
        return "This recording does not tell how hard its tuples were."
    if not frame.mined_total:
        loss = f" '{lane.loss}'" if lane is not None else ""
        return f"No tuples were mined in these steps; the loss{loss} looks at the whole batch, or nothing was found."
    return "It mines pairs, not triplets: no positive is compared with a negative."


def _why_fixed(name: str, lane: LaneConfig | None, moment: Moment) -> str:
    if moment.replaying:
        return "This is a recording: its margin is what it was."
    if _option(lane) is None:
        loss = f" '{lane.loss}'" if lane is not None else ""
        return f"The loss{loss} has no margin over triplets that could be moved."
    if not moment.live:
        return "The past is shown: press End for the run, whose margin can be moved."
    if name not in moment.running:
        return "The lane does not train: its margin can be moved while it does."
    return ""
