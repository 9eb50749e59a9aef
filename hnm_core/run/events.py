"""The closed set of events a run yields. Everything that watches a run matches on these and on nothing else.

All are frozen, picklable and hold numpy arrays that nobody may write to, so they cross threads and processes.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hnm_core.run.candidates import Candidates
from hnm_core.run.evaluated import Evaluated
from hnm_core.run.hardness import Hardness
from hnm_core.run.item_texts import ItemText
from hnm_core.run.misses import Buckets, Reason
from hnm_core.run.raw import RawScore
from hnm_core.run.timing import Phase
from hnm_core.run.told_labels import ToldLabels
from hnm_core.spec.config import ExperimentConfig

MAX_DRAWN_TRIPLETS = 2000
"""At most so many mined triplets travel in a `Frame`; `mined_total` says how many there were."""

TRAIL_STEPS = 8
"""A `Frame` tells of what was mined in so many steps at least, also where there is one for each step."""

MAX_GUESTS = 3000
"""At most so many mined items and candidates travel in a `Frame` beside those that all frames of the run show."""

MAX_PLANES = 8
"""At most so many planes of a hash travel in a `Misses`."""

MAX_MISSES = 64
"""At most so many missed negatives travel in a `Misses`; `total` says how many there were."""

POINT_COLUMNS = ("loss_share", "times_mined", "hardness", "bucket")
"""Names of the per-point columns of a `Frame`. loss_share: the item's share of the loss as an anchor in the steps since
the last frame (sums to 1); times_mined: how often the item was a mined negative so far; hardness: distance to the
positive minus distance to the negative when the item was last an anchor (NaN when it never was); bucket: number of the
bucket that the lane's search has hashed the item into, or of the first bits of its code (NaN where it is held out);
lanes whose search does not hash have no such column."""

METRICS = (
    "precision_at_1",
    "map_at_r",
    "knn_accuracy",
    "mining_recall",
    "mean_distance",
    "bank_age",
    "drift",
    "distance_ratio",
    "hardness_regret",
    "no_candidate",
    "temperature",
    "chance",
    "entanglement_chance",
    "predicted_recall",
    "used_recall",
    "used_regret",
    "used_of",
    "accuracy",
    "within_class_distance",
    "between_class_distance",
    "class_distance_ratio",
    "mrr_at_10",
    "ndcg_at_10",
    "recall_at_10",
    "recall_at_100",
    "mean_average_precision",
)
"""Names of the metrics of a `StepRecord`; absent where a step did not measure them. The first three are retrieval on
the held-out items, 0..1; mining_recall: an approximate search's share of true nearest negatives on the probe, 0..1;
mean_distance: root mean square distance of two evaluated items; bank_age: steps since the weights were taken that the
mined bank was embedded with; drift: how far the network has moved since, as a share of what makes a bank stale. Of an
approximate search on the probe, too: distance_ratio, found over exact, at least 1; hardness_regret, how much farther
the nearest found is than the nearest; no_candidate, share of anchors for which it finds nothing; predicted_recall, what
it expects its recall to be, where it does. All these are of a bank of the moment; used_recall, used_regret and used_of
are of the negatives that a miner over the whole set, exact or not, hands out in the step for the anchors of the probe,
from the bank that it has, by the weights that the step begins with: the share of them that are among the used_of
nearest of another class, which are as many as the miner may draw from, 0..1, and how much farther they are than the
nearest. Of losses that have them: temperature; chance, the loss when every neighbour looks alike; entanglement_chance,
likewise the entanglement of `LAYER_METRICS`; accuracy, share of the evaluated items whose class the classifier that is
trained with the embedding names, 0..1. Root mean square distances of evaluated items, on the unit sphere where the
lane's distance is blind to length: within_class_distance of two of one class, between_class_distance of two of
different classes, and class_distance_ratio, the first over the second, small where clusters are tight for the gaps
between them. Of runs over queries and documents, 0..1: mrr_at_10, ndcg_at_10, recall_at_10, recall_at_100 and
mean_average_precision (of the first 100), and precision_at_1, of held-out queries against all documents."""

LAYER_METRICS = ("entanglement", "temperature")
"""Metrics of a `StepRecord` that the layers of the network have one each of; they are named METRIC/LAYER, for instance
entanglement/hidden1. entanglement: the soft nearest neighbour loss of the step's batch in that layer, whatever it adds
to the lane's loss; temperature: at which it was taken."""

TUPLE_COUNTS = ("mined", "hard", "semi_hard", "easy", "missing", "filled", "filtered", "false_negative")
"""Names of the tuple counts of a `StepRecord`. mined: tuples the loss saw; hard, semi_hard, easy: their partition by
d_an - d_ap against the margin; missing: anchors for which the miner found no negative; filled: mined tuples whose
negative is random because nothing was left to mine; filtered: candidates that the miner's filters removed;
false_negative: negatives that truly are of the anchor's class, where the truth is known to differ from the labels."""

AlarmLevel = Literal["hint", "warning", "fatal"]
"""How grave an `Alarm` is. hint: how the lane could learn more; warning: something goes wrong; fatal: the lane ends."""


class RunState(enum.StrEnum):
    """Where a run is, as the window shows it."""

    IDLE = "idle"
    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    FINISHED = "finished"
    FAILED = "failed"


def layer_metric(name: str) -> tuple[str, str] | None:
    """(metric, layer) of a metric's name, None where it is no layer's."""
    metric, _, layer = name.partition("/")
    return (metric, layer) if metric in LAYER_METRICS and layer else None


def change_text(event: OptionChanged | WarmupEnded | LaneForked) -> str:
    """What happened to the lane, in a few words."""
    match event:
        case LaneForked():
            return f"goes on from '{event.parent}'"
        case WarmupEnded():
            return f"warm-up over, {event.miner} mines"
        case OptionChanged():
            return value_text(event.option, event.before if event.asked else "", event.value)


def begins_anew(event: OptionChanged) -> bool:
    """Whether what was counted and timed before says nothing of the lane any more: it was given another miner, loss or
    sampler."""
    return event.asked and event.option.split(".")[0] in ("miner", "miner_options", "loss", "sampler")


def value_text(option: str, before: str, value: str) -> str:
    """An option's new value in a few words, and what it was `before` unless that is empty."""
    old, new = ("none" if text == "null" else text for text in (before, value))
    return f"{option} {old} → {new}" if old else f"{option} = {new}"


def frozen(array: NDArray[Any]) -> NDArray[Any]:
    """A contiguous copy of `array` that cannot be written to."""
    copy = np.array(array, order="C", copy=True)
    copy.flags.writeable = False
    return copy


@dataclass(frozen=True, eq=False)
class RunStarted:
    """The first event: what is about to be trained, on which items."""

    config: ExperimentConfig
    labels: NDArray[np.int64]
    """(N,) class of every shown item, in id order."""
    ids: NDArray[np.int64]
    """(N,) dataset id of every shown item, ascending. Frames, triplets and files speak in these ids."""
    held_out: NDArray[np.bool_]
    """(N,) True where the item is held out of training."""
    class_names: tuple[str, ...]
    """Name of each class that occurs in `labels`, indexed by label."""
    groups: NDArray[np.int64] | None = None
    """(N,) coarser classes to colour by, where the data set has them."""
    items_total: int = 0
    """Items in the data set; more than N when only a fixed stratified part is shown."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """Versions of hnm-lab, python, numpy, torch; device in words."""
    started: str = ""
    """ISO 8601 time, UTC."""
    true_labels: NDArray[np.int64] | None = None
    """(N,) true class of every shown item, where it is known to differ from the labels."""
    chance: Mapping[str, float] | None = None
    """What a random ranking of the evaluated items would score, by metric; None where nobody has worked it out."""
    raw: tuple[RawScore, ...] = ()
    """What the features of these items score as they are, by each distance of the lanes; none where nothing is trained,
    where measuring it would take long, and in recordings of earlier versions."""
    texts: Mapping[int, ItemText] = field(default_factory=dict)
    """By dataset id the id that an item has in its file, and how its text begins: of the shown items, of few of all;
    none where they are no texts."""
    evaluated: Evaluated | None = None
    """Which items the retrieval metrics are measured on; None where nobody has told, as in older recordings."""
    several: ToldLabels | None = None
    """Where items have several labels each all of them: of the shown items, of few of all; `labels` are then the rarest
    of each. None where they have not, where there are too many, and in recordings of earlier versions."""


@dataclass(frozen=True, eq=False)
class StepRecord:
    """One training step of one lane."""

    lane: str
    step: int
    """Steps this lane has done, from 1."""
    loss: float
    phase_ms: Mapping[Phase, float] = field(default_factory=dict)
    tuples: Mapping[str, int] = field(default_factory=dict)
    """Counts by name, see `TUPLE_COUNTS`."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Where this step measured them, see `METRICS` and `LAYER_METRICS`."""
    mining: bool = True
    """False while the lane still warms up on random pairs, before its own miner takes over."""
    first_call: bool = False
    """True when something compiled or was set up in this step; such steps are kept out of timing medians."""


@dataclass(frozen=True, eq=False)
class Guests:
    """Mined items and candidates of one frame that are not among the N of `RunStarted.ids`; no other frame need have
    them."""

    ids: NDArray[np.int64]
    """(G,) dataset ids, ascending; 0 < G <= MAX_GUESTS. None of them is held out."""
    labels: NDArray[np.int64]
    """(G,) classes"""
    positions: NDArray[np.float32]
    """(G, 3), projected as those of the frame are"""
    columns: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """(G,) by name, those of the frame"""
    groups: NDArray[np.int64] | None = None
    """(G,) coarser classes, where the data set has them"""
    true_labels: NDArray[np.int64] | None = None
    """(G,) true classes, where they are known to differ from the labels"""


@dataclass(frozen=True, eq=False)
class Frame:
    """What the cloud of one lane looks like after a step."""

    lane: str
    step: int
    positions: NDArray[np.float32]
    """(N, 3) of every shown item, in the order of `RunStarted.ids`."""
    triplets: NDArray[np.int32]
    """(M, 3) dataset ids: anchor, positive, negative; M <= MAX_DRAWN_TRIPLETS, the hard ones first where there were
    more; -1 where a pair has no such end. Every end is a shown item or a guest."""
    mined_total: int
    """Tuples mined in the steps that the frame tells of: those since the last one, and at least `TRAIL_STEPS`."""
    columns: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """(N,) by name, see `POINT_COLUMNS`."""
    projection: str = ""
    """Empty when the positions are the network's own 3-D output, else how they were made, e.g. "PCA of 16-D, 93 %"."""
    guests: Guests | None = None
    """The mined items, and the candidates, that are not among the N; None where there are none, as in every run that
    shows all items."""
    separation: NDArray[np.float32] | None = None
    """(M,) d(a,n) - d(a,p) of each triplet in the lane's distance when it was mined; NaN where it is no triplet. None
    where nobody has told it, as in recordings before schema 4."""
    age: NDArray[np.int32] | None = None
    """(M,) how many steps ago each triplet was mined, 0 for the last step; None as above."""
    hardness: Hardness | None = None
    """How hard all tuples of these steps were, not only the M; None where there were none, or as above."""
    candidates: Candidates | None = None
    """What negatives of the last step were chosen from; None where nothing was searched, where the miner does not tell
    it, and in recordings before schema 6."""


@dataclass(frozen=True, eq=False)
class Misses:
    """Which true nearest negatives an approximate search did not return, of the anchors of the probe on which its
    recall is measured. M of them: the worst first, those for which it returned nothing before all others."""

    lane: str
    step: int
    probed: int
    """Anchors of the probe that have a negative."""
    total: int
    """How many of them miss their nearest one; M <= MAX_MISSES of these are told."""
    anchors: NDArray[np.int64]
    """(M,) dataset ids"""
    nearest: NDArray[np.int64]
    """(M,) dataset id of the true nearest negative"""
    nearest_distance: NDArray[np.float64]
    """(M,) in the lane's distance"""
    found: NDArray[np.int64]
    """(M,) dataset id of the nearest that was returned instead, -1 for nothing"""
    found_distance: NDArray[np.float64]
    """(M,) its distance, NaN for nothing"""
    reason: Reason | None = None
    """Why, row by row; None where the search cannot tell."""
    buckets: Buckets | None = None
    """Of a search that hashes."""

    def __post_init__(self) -> None:
        """Raises `ValueError` where the arrays are not of one length."""
        arrays = [*vars(self).values(), *([] if self.reason is None else vars(self.reason).values())]
        if len({len(array) for array in arrays if isinstance(array, np.ndarray)}) != 1:
            raise ValueError("the arrays of a Misses must be of one length")

    def __len__(self) -> int:
        return len(self.anchors)

    @property
    def farther(self) -> NDArray[np.float64]:
        """(M,) by how much what was returned is farther than the true nearest; NaN where nothing was."""
        return self.found_distance - self.nearest_distance


@dataclass(frozen=True, eq=False)
class SearchUsed:
    """How a part of the lane searches, told when it is measured and says other than before."""

    lane: str
    step: int
    part: str
    """"miner" or "sampler"."""
    words: str
    """Which method and why, over how many buckets, tables or cells: the search's own description."""


@dataclass(frozen=True, eq=False)
class OptionChanged:
    """From this step on, `option` of `lane` is `value` (as text)."""

    lane: str
    step: int
    option: str
    value: str
    before: str = ""
    """What it was, where it was asked for; empty for an option of a miner, loss or sampler that came with it."""
    asked: bool = False
    """Whether somebody asked for it, see `hnm_core.run.changeable`; else the lane came to it by itself."""


@dataclass(frozen=True, eq=False)
class WarmupEnded:
    """From this step on, the lane's own miner works, in place of random pairs."""

    lane: str
    step: int
    miner: str


@dataclass(frozen=True, eq=False)
class LaneForked:
    """A new lane goes on from where another one stands. What is changed in it follows as `OptionChanged`."""

    lane: str
    step: int
    """Steps that both have done by now."""
    parent: str


@dataclass(frozen=True, eq=False)
class Alarm:
    """Something a user should know about a lane, in words."""

    lane: str
    step: int
    code: str
    message: str
    level: AlarmLevel = "warning"
    traceback: str = ""
    """Full text for a report where a bug of ours ended the lane; empty for all else."""

    @property
    def fatal(self) -> bool:
        """Whether it ends the lane."""
        return self.level == "fatal"


@dataclass(frozen=True, eq=False)
class Weights:
    """The network of a lane when its training ends; if it broke down, the last one that gave finite embeddings."""

    lane: str
    step: int
    """Steps that these weights have been trained for."""
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    """Parameters and buffers by their names in the network."""
    in_features: int = 0
    """Width of what the network takes."""
    image_shape: tuple[int, int, int] | None = None
    """(C, H, W) where that is the pixels of a picture."""


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """All lanes between two steps: what a killed run leaves of its networks, and what training can go on from."""

    step: int
    """Of the lane that is farthest."""
    weights: tuple[Weights, ...]
    """The networks, lane by lane."""
    state: Mapping[str, Any] | None = None
    """All that the next steps depend on, see `hnm_core.training.checkpoint`: plain values nested in mappings and lists,
    with arrays that nobody may write to. None where a part of a lane does not tell its state."""


@dataclass(frozen=True, eq=False)
class RunFinished:
    """The last event of a run that ended by itself or was stopped."""

    steps: Mapping[str, int]
    """Steps done, per lane."""
    seconds: float
    """Wall-clock length of the run."""
    stopped: bool = False
    """True when the run was stopped before its last step."""
    failed_lanes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RunFailed:
    """The last event of a run that could not go on: a bug of ours, or input that only showed itself at the start."""

    message: str
    traceback: str = ""
    """Full text for a report; empty when the fault is the user's input."""
    steps: Mapping[str, int] = field(default_factory=dict)


Event = (
    RunStarted
    | StepRecord
    | Frame
    | Misses
    | SearchUsed
    | OptionChanged
    | WarmupEnded
    | LaneForked
    | Alarm
    | Weights
    | Checkpoint
    | RunFinished
    | RunFailed
)
