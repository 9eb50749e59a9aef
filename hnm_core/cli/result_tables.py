"""What a run came to, as tables on a terminal."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from hnm_core.cli.console import echo, show_table, shown
from hnm_core.run.auditing import COLUMNS, cells
from hnm_core.run.results import DOCUMENTS, LaneResult
from hnm_core.words import number

RESULT_COLUMNS = ("lane", "steps", "loss", "MAP@R", "P@1", "kNN", "recall", "mine ms", "mine p95", "step ms")
DOCUMENT_COLUMNS = (
    *("lane", "steps", "MRR@10", "nDCG@10", "recall@10", "recall@100"),
    *("loss", "search recall", "mine ms", "step ms"),
)
"""Of runs over queries and documents."""
USED_COLUMNS = ("negatives used", "recall", "regret", "steps old", "recall of the search", "predicted")


def show_results(
    lanes: Sequence[LaneResult], raw: Mapping[str, Mapping[str, float]], *, to_stderr: bool = False
) -> None:
    """The result table. `recall` is of an approximate search in a bank of the moment. Times are milliseconds a step,
    see `hnm_core.run.cost`: the mean of what mining takes, its 95th percentile, and the mean of whole steps. The last
    rows, `raw`, are what the features score as they are, where that was measured. Below, where there is any, the
    accuracy of the classifiers that are trained with the embeddings, the entanglement of each layer in the batch that
    was measured last, and the negatives that were used."""
    rows = result_rows(lanes, raw)
    stream = sys.stderr if to_stderr else sys.stdout
    show_table(RESULT_COLUMNS, rows, stream)
    classifiers = [lane for lane in lanes if math.isfinite(lane.accuracy)]
    if classifiers:
        echo(stream=stream)
        show_table(("classifier", "accuracy"), [(lane.lane, number(lane.accuracy)) for lane in classifiers], stream)
    looked_at = [lane for lane in lanes if lane.entanglement]
    if looked_at:
        echo(stream=stream)
        deepest_first = sorted(looked_at, key=lambda lane: -len(lane.entanglement))
        layers = dict.fromkeys(layer for lane in deepest_first for layer in lane.entanglement)
        shown = [(layer, *(number(lane.entanglement.get(layer, math.nan)) for lane in looked_at)) for layer in layers]
        shown.append(("chance", *(number(lane.entanglement_chance) for lane in looked_at)))
        show_table(("entanglement", *(lane.lane for lane in looked_at)), shown, stream)
    show_used(lanes, stream)


def show_document_results(lanes: Sequence[LaneResult], chance: Mapping[str, float], *, to_stderr: bool = False) -> None:
    """The result table of a run over queries and documents, of `DOCUMENT_COLUMNS`. The last row is what a random
    ranking scores. Below, how lanes search that do."""
    stream = sys.stderr if to_stderr else sys.stdout
    show_table(DOCUMENT_COLUMNS, document_rows(lanes, chance), stream)
    show_used(lanes, stream)


def document_rows(lanes: Sequence[LaneResult], chance: Mapping[str, float]) -> list[tuple[str, ...]]:
    """The rows of the result table of a run over queries and documents, of `DOCUMENT_COLUMNS`."""
    rows: list[tuple[str, ...]] = [
        (
            lane.lane,
            f"{lane.steps:,}",
            *(number(getattr(lane, metric)) for metric in DOCUMENTS[:4]),
            number(lane.loss, 4),
            number(lane.mining_recall),
            number(lane.mining_ms_mean, 2),
            number(lane.step_ms_mean, 2),
        )
        for lane in lanes
    ]
    if chance:
        levels = (number(chance.get(metric, math.nan)) for metric in DOCUMENTS[:4])
        rows.append(("chance", "", *levels, "", "", "", ""))
    return rows


def result_rows(lanes: Sequence[LaneResult], raw: Mapping[str, Mapping[str, float]]) -> list[tuple[str, ...]]:
    """The rows of the result table, of `RESULT_COLUMNS`."""
    rows: list[tuple[str, ...]] = [
        (
            lane.lane,
            f"{lane.steps:,}",
            number(lane.loss, 4),
            number(lane.map_at_r),
            number(lane.precision_at_1),
            number(lane.knn_accuracy),
            number(lane.mining_recall),
            number(lane.mining_ms_mean, 2),
            number(lane.mining_ms_p95, 2),
            number(lane.step_ms_mean, 2),
        )
        for lane in lanes
    ]
    for name, metrics in raw.items():
        scored = (number(metrics.get(metric, math.nan)) for metric in ("map_at_r", "precision_at_1", "knn_accuracy"))
        rows.append((name, "", "", *scored, "", "", "", ""))
    return rows


def show_used(lanes: Sequence[LaneResult], stream: TextIO) -> None:
    """Of lanes that mine the whole set: which share of the negatives that they handed out was among the nearest by the
    weights of that step, what their search expected and found in a bank of the moment, and how it searches."""
    used = [lane for lane in lanes if math.isfinite(lane.used_recall)]
    if used:
        echo(stream=stream)
        rows = [
            (
                lane.lane,
                f"{number(lane.used_recall)} of the {lane.used_of:,.0f} nearest",
                number(lane.used_regret, 4),
                number(lane.bank_age, 0),
                number(lane.mining_recall),
                number(lane.predicted_recall),
            )
            for lane in used
        ]
        show_table(USED_COLUMNS, rows, stream)
    for lane in lanes:
        if lane.search:
            echo(shown(f"{lane.lane}: {lane.search}"), stream=stream)


def show_audit(results: Sequence[LaneResult], *, to_stderr: bool = False) -> None:
    """What was mined, how hard, how much of it false, and how near an approximate search comes to the exact one."""
    stream = sys.stderr if to_stderr else sys.stdout
    show_table(tuple(COLUMNS), map(cells, results), stream)
    show_used(results, stream)
