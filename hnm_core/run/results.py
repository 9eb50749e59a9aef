"""What a run came to, lane by lane: a view of its history, live or recorded. Loads no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from hnm_core.run.cost import step_cost
from hnm_core.run.events import Event
from hnm_core.run.history import LaneHistory, RunHistory
from hnm_core.run.raw import by_name

DOCUMENT_NAMES = {
    "mrr_at_10": "MRR@10",
    "ndcg_at_10": "nDCG@10",
    "recall_at_10": "recall@10",
    "recall_at_100": "recall@100",
    "mean_average_precision": "MAP",
}
"""What the metrics of queries and documents are called, wherever they are shown."""

DOCUMENTS = tuple(DOCUMENT_NAMES)
"""What lanes over queries and documents are judged by: more of it is better."""

LEVEL, DOCUMENT_LEVEL = "map_at_r", DOCUMENTS[0]
"""What curves of comparisons are of, over classes and over documents."""

LEVEL_NAMES = {LEVEL: "MAP@R", DOCUMENT_LEVEL: DOCUMENT_NAMES[DOCUMENT_LEVEL]}

JUDGED = ("map_at_r", "precision_at_1", "knn_accuracy")
"""What lanes are judged by: more of it is better."""

COMPARED = (*JUDGED, "accuracy", "class_distance_ratio")
"""What lanes can be compared by over seeds; of `LESS_IS_BETTER` less is better."""

LESS_IS_BETTER = ("class_distance_ratio",)

MARGIN = 0.01
"""A difference below it counts as none, unless another margin is stated."""


@dataclass(frozen=True)
class LaneResult:
    """One row of the result table. A number that was never measured is NaN."""

    lane: str
    steps: int
    loss: float
    """See `LaneHistory.mean_loss`."""
    map_at_r: float
    precision_at_1: float
    knn_accuracy: float
    mining_recall: float
    """Share of the exact nearest negatives that the miner finds, last measured."""
    mining_ms_mean: float
    """Milliseconds that mining takes a step: banks, indexes and mined batches are spread over the steps that they
    serve, those made in the background too. Warm-up steps and first calls are left out of all times."""
    mining_ms_p95: float
    """95 of 100 steps mine for so long or less, with their share of what serves several."""
    step_ms_mean: float
    """Milliseconds of a whole step; what is made in the background does not hold it up."""
    mined: int = 0
    """Tuples mined in all, after the warm-up and since the lane was last given another miner, loss or sampler."""
    hard_share: float = math.nan
    """Share of the tuples with d_an <= d_ap."""
    semi_hard_share: float = math.nan
    easy_share: float = math.nan
    false_share: float = math.nan
    """Share of the negatives that truly are of the anchor's class, where the truth is known."""
    missing: int = 0
    """Times an anchor found no negative."""
    distance_ratio: float = math.nan
    hardness_regret: float = math.nan
    no_candidate: float = math.nan
    entanglement: dict[str, float] = field(default_factory=dict)
    """By layer, in order, see `hnm_core.run.events.LAYER_METRICS`; empty where no loss looks at it."""
    entanglement_chance: float = math.nan
    """What it is when every neighbour looks alike."""
    predicted_recall: float = math.nan
    """What the search expects its recall to be, where it does."""
    used_recall: float = math.nan
    """Of the negatives that a miner over the whole set handed out when they were last measured: the share that were
    among the `used_of` nearest of another class by then; see `hnm_core.run.events.METRICS`."""
    used_regret: float = math.nan
    """How much farther they were than the nearest."""
    used_of: float = math.nan
    bank_age: float = math.nan
    """Steps since the weights were taken by which they were found."""
    search: str = ""
    """How the lane searches, in words."""
    accuracy: float = math.nan
    """Of the classifier that is trained with the embedding, where there is one, see `hnm_core.run.events.METRICS`."""
    within_class_distance: float = math.nan
    between_class_distance: float = math.nan
    class_distance_ratio: float = math.nan
    mrr_at_10: float = math.nan
    """This and what follows of runs over queries and documents, see `hnm_core.run.events.METRICS`."""
    ndcg_at_10: float = math.nan
    recall_at_10: float = math.nan
    recall_at_100: float = math.nan
    mean_average_precision: float = math.nan


class Results:
    """The table of a run. Feed it every event with `add`, or give it what is known already; ask for `lanes()` at any
    time."""

    def __init__(self, history: RunHistory | None = None) -> None:
        self.history = RunHistory() if history is None else history

    def add(self, event: Event) -> None:
        """Take an event, see `RunHistory.add`."""
        self.history.add(event)

    def lanes(self, upto_step: int | None = None) -> list[LaneResult]:
        """One result for each lane, in lane order, as it stood at a step; None for now."""
        return [lane_result(lane, upto_step) for lane in self.history.lanes.values()]

    def raw(self) -> dict[str, Mapping[str, float]]:
        """What the features score as they are, by what they are called, see `hnm_core.run.raw`."""
        started = self.history.started
        return {} if started is None else by_name(started.raw)

    def curve(self, lane: str, metric: str) -> list[tuple[int, float]]:
        """(step, value) of a lane's metric, each time it was measured."""
        steps, values = self.history.lanes[lane].metric(metric)
        return list(zip(steps.tolist(), values.tolist(), strict=True))

    def seconds(self, lane: str, metric: str) -> list[float]:
        """The training clock of a lane at each point of `curve`: seconds that it had spent in its phases."""
        known = self.history.lanes[lane]
        spent: list[float] = known.seconds_at(known.metric(metric)[0]).tolist()
        return spent


def lane_result(lane: LaneHistory, upto_step: int | None = None) -> LaneResult:
    """What a lane has come to, with the miner, loss and sampler that it has, up to and with a step; None for now."""
    count = lane.rows(upto_step)
    begun = upto_step is None or lane.forked_at <= upto_step
    tally = lane.tally(upto_step)
    mines = count > 0 and bool(lane.mining[count - 1])  # of a warm-up nobody asks what it costs
    cost = step_cost(lane, upto_step) if mines else None

    def latest(metric: str) -> float:
        return lane.latest(metric, upto_step)

    entanglement = {layer: latest(f"entanglement/{layer}") for layer in lane.layers("entanglement")}
    return LaneResult(
        lane=lane.name,
        steps=int(lane.steps[count - 1]) if count else lane.forked_at if begun else 0,
        loss=lane.mean_loss(upto_step),
        map_at_r=latest("map_at_r"),
        precision_at_1=latest("precision_at_1"),
        knn_accuracy=latest("knn_accuracy"),
        mining_recall=latest("mining_recall"),
        mining_ms_mean=math.nan if cost is None else cost.mining_ms,
        mining_ms_p95=math.nan if cost is None else cost.mining_p95,
        step_ms_mean=math.nan if cost is None else cost.step_ms,
        mined=tally.count("mined"),
        hard_share=tally.share("hard"),
        semi_hard_share=tally.share("semi_hard"),
        easy_share=tally.share("easy"),
        false_share=tally.false_share,
        missing=tally.count("missing"),
        distance_ratio=latest("distance_ratio"),
        hardness_regret=latest("hardness_regret"),
        no_candidate=latest("no_candidate"),
        entanglement={layer: value for layer, value in entanglement.items() if math.isfinite(value)},
        entanglement_chance=latest("entanglement_chance"),
        predicted_recall=latest("predicted_recall"),
        used_recall=latest("used_recall"),
        used_regret=latest("used_regret"),
        used_of=latest("used_of"),
        bank_age=latest("bank_age"),
        search=lane.search_words(upto_step),
        accuracy=latest("accuracy"),
        within_class_distance=latest("within_class_distance"),
        between_class_distance=latest("between_class_distance"),
        class_distance_ratio=latest("class_distance_ratio"),
        mrr_at_10=latest("mrr_at_10"),
        ndcg_at_10=latest("ndcg_at_10"),
        recall_at_10=latest("recall_at_10"),
        recall_at_100=latest("recall_at_100"),
        mean_average_precision=latest("mean_average_precision"),
    )
