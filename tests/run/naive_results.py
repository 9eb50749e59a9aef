"""The result table added up one record after the other: slow, and easy to believe."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from hnm_core.run.events import LaneForked, OptionChanged, RunStarted, SearchUsed, StepRecord
from hnm_core.run.timing import MINING_PHASES, Phase

ANEW = ("miner", "miner_options", "loss", "sampler")


def naive_results(events: Iterable[Any], upto: float = math.inf) -> list[dict[str, Any]]:
    """One row a lane, up to and with a step."""
    lanes: dict[str, list[StepRecord]] = {}
    forked_at: dict[str, int] = {}
    parents: dict[str, str] = {}
    turns: dict[str, list[int]] = {}
    searches: dict[str, list[SearchUsed]] = {}
    for event in events:
        match event:
            case RunStarted():
                lanes = {lane.name: [] for lane in event.config.lanes}
            case LaneForked():
                lanes[event.lane], forked_at[event.lane], parents[event.lane] = [], event.step, event.parent
            case OptionChanged() if event.asked and event.option.split(".")[0] in ANEW:
                turns.setdefault(event.lane, []).append(event.step)
            case SearchUsed() if event.step <= upto:
                searches.setdefault(event.lane, []).append(event)
            case StepRecord() if event.step <= upto:
                records = lanes.setdefault(event.lane, [])
                if not records or event.step > records[-1].step:
                    records.append(event)
    rows = []
    for name, records in lanes.items():
        own = turns.get(name, [])
        inherited: list[StepRecord] = []
        if name in parents and records and not any(step <= records[-1].step for step in own):
            before = [record for record in lanes[parents[name]] if record.step <= forked_at[name]]
            turn = max([step for step in turns.get(parents[name], []) if before and step <= before[-1].step], default=0)
            if before and before[-1].mining:
                inherited = [record for record in before if record.mining and record.step >= turn]
        rows.append(_row(name, records, own, forked_at.get(name, 0), upto, inherited))
        last = max([step for step in own if records and step <= records[-1].step], default=0)
        words = {told.part: told.words for told in searches.get(name, []) if told.step >= last}
        rows[-1]["search"] = "; ".join(text if part == "miner" else f"batches: {text}" for part, text in words.items())
    return rows


def _shared(records: Sequence[StepRecord]) -> list[dict[Phase, float]]:
    """What each step costs, phase by phase, when everyone who is served by something pays as much of it."""
    spent = [dict.fromkeys(Phase, 0.0) for _ in records]

    def makes(record: StepRecord, phase: Phase) -> bool:
        if phase in (Phase.SEARCH, Phase.SELECT):
            return record.phase_ms.get(Phase.BUILD, 0.0) > 0
        return phase in (Phase.EMBED, Phase.BUILD, Phase.BACKGROUND) and record.phase_ms.get(phase, 0.0) > 0

    for phase in Phase:
        made = [record for record in records if makes(record, phase)]
        usual = [record.phase_ms.get(phase, 0.0) for record in made if not record.first_call]
        for place, record in enumerate(records):
            ms, served = record.phase_ms.get(phase, 0.0), [place]
            if makes(record, phase):
                later = range(place + 1, len(records))
                stop = next((other for other in later if makes(records[other], phase)), len(records))
                served = list(range(place, stop))
                every_step = phase in (Phase.SEARCH, Phase.SELECT) and any(
                    other.phase_ms.get(phase, 0.0) > 0 for other in records if not makes(other, phase)
                )
                if record.first_call:
                    ms = sum(usual) / len(usual) if usual else 0.0 if every_step else ms
            for other in served:
                spent[other][phase] += ms / len(served)
    return spent


def _row(
    name: str,
    records: Sequence[StepRecord],
    turns: list[int],
    forked_at: int,
    upto: float,
    inherited: Sequence[StepRecord],
) -> dict[str, Any]:
    last = records[-1].step if records else 0
    turn = max([step for step in turns if step <= last], default=0)
    counting = [record for record in records if record.mining and record.step >= turn]
    tuples = {
        name: sum(record.tuples.get(name, 0) for record in counting)
        for name in ("mined", "hard", "semi_hard", "easy", "missing", "false_negative")
    }
    knows_truth = any("false_negative" in record.tuples for record in records)
    parted = tuples["hard"] + tuples["semi_hard"] + tuples["easy"]
    clocked = [record for record in (*inherited, *counting) if record.phase_ms]
    own = sum(bool(record.phase_ms) for record in counting)
    shares = list(zip(clocked, _shared(clocked), strict=True))[len(clocked) - own :]
    timed = [ms for record, ms in shares if not record.first_call] if records and records[-1].mining else []
    mining_ms = [sum(ms[phase] for phase in MINING_PHASES) for ms in timed]
    step_ms = [sum(ms[phase] for phase in Phase if phase is not Phase.BACKGROUND) for ms in timed]
    losses = [record.loss for record in records if math.isfinite(record.loss)][-100:]
    metrics: dict[str, float] = {}
    for record in records:
        metrics.update(record.metrics)
    found = {
        "lane": name,
        "steps": last if records else forked_at if forked_at <= upto else 0,
        "loss": sum(losses) / len(losses) if losses else math.nan,
        "mining_ms_mean": float(np.mean(mining_ms)) if mining_ms else math.nan,
        "mining_ms_p95": float(np.percentile(mining_ms, 95)) if mining_ms else math.nan,
        "step_ms_mean": float(np.mean(step_ms)) if step_ms else math.nan,
        "mined": tuples["mined"],
        "missing": tuples["missing"],
        "false_share": tuples["false_negative"] / tuples["mined"] if knows_truth and tuples["mined"] else math.nan,
        "entanglement": {
            metric.partition("/")[2]: value
            for metric, value in metrics.items()
            if metric.startswith("entanglement/") and math.isfinite(value)
        },
    }
    for band in ("hard", "semi_hard", "easy"):
        found[f"{band}_share"] = tuples[band] / parted if parted else math.nan
    for metric in (
        *("map_at_r", "precision_at_1", "knn_accuracy", "mining_recall", "distance_ratio", "hardness_regret"),
        *("no_candidate", "entanglement_chance", "predicted_recall"),
        *("used_recall", "used_regret", "used_of", "bank_age"),
        *("accuracy", "within_class_distance", "between_class_distance", "class_distance_ratio"),
        *("mrr_at_10", "ndcg_at_10", "recall_at_10", "recall_at_100", "mean_average_precision"),
    ):
        found[metric] = metrics.get(metric, math.nan)
    return found
