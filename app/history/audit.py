"""What an audit shows: what would be mined of items as they are, lane by lane, up to any step. No Qt.

Audits are short, so everything is added up anew each time; `hnm_core.run.results.Results` does the same from events.
"""

from __future__ import annotations

import math

import numpy as np

from app.history.history import BANDS, COUNT_COLUMN, MINING_COLUMNS, LaneHistory, RunHistory
from hnm_core.run.results import LaneResult


def audit(history: RunHistory, upto_step: int | None = None) -> list[LaneResult]:
    """One result for each lane, in lane order, up to and with a step."""
    configs = history.lane_configs(upto_step)
    results = []
    for name, lane in history.lanes.items():
        config = configs[name].lanes[0] if name in configs else None
        mines = config is None or (config.miner != "random" and config.hard_share > 0)
        results.append(lane_result(lane, mines=mines, upto_step=upto_step))
    return results


def lane_result(lane: LaneHistory, *, mines: bool = True, upto_step: int | None = None) -> LaneResult:
    """What a lane came to with the miner that it has; without the loss and the times of training. `mines`: False for
    random negatives, where every step counts and not only those after a warm-up."""
    count = lane.rows(upto_step)
    counts_row = np.flatnonzero(lane.of_now(count) & (lane.mining[:count] | (not mines)))
    counts = lane.tuples[counts_row].sum(0)
    parted = counts[BANDS].sum()
    timed_row = counts_row[~lane.first_call[counts_row]]
    mining_ms = lane.phase_ms[timed_row][:, MINING_COLUMNS].sum(1)
    shares = counts[BANDS] / parted if parted else np.full(3, math.nan)
    mined = int(counts[COUNT_COLUMN["mined"]])
    false = int(counts[COUNT_COLUMN["false_negative"]])
    return LaneResult(
        lane=lane.name,
        steps=int(lane.steps[count - 1]) if count else 0,
        loss=math.nan,
        map_at_r=lane.latest("map_at_r", upto_step),
        precision_at_1=lane.latest("precision_at_1", upto_step),
        knn_accuracy=lane.latest("knn_accuracy", upto_step),
        mining_recall=lane.latest("mining_recall", upto_step),
        mining_ms_median=float(np.median(mining_ms)) if len(mining_ms) else math.nan,
        mining_ms_p95=float(np.percentile(mining_ms, 95)) if len(mining_ms) else math.nan,
        step_ms_mean=math.nan,
        mined=mined,
        hard_share=float(shares[0]),
        semi_hard_share=float(shares[1]),
        easy_share=float(shares[2]),
        false_share=false / mined if mined and "false_negative" in lane.counted else math.nan,
        missing=int(counts[COUNT_COLUMN["missing"]]),
        distance_ratio=lane.latest("distance_ratio", upto_step),
        hardness_regret=lane.latest("hardness_regret", upto_step),
        no_candidate=lane.latest("no_candidate", upto_step),
    )
