"""What a part says of itself beside its options: traits of its class, and what it needs of the lane it stands in.

Each kind of part has a base for its options, and the rules of `hnm_core.spec.compatibility` look at nothing else. A
plug-in declares the same in the same way, and what it leaves out is as said here: it goes with everything.

    @MINERS.register("my-miner", target="my_package.mining:MyMiner", scope="batch")
    class MyOptions(MinerOptions):
        "Help shown in lists and forms."
        unit_euclidean_only = True
        margin: float = Field(0.2, ge=0, description="lead of the positive that counts as enough")
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple

from hnm_core.spec.fields import Section

if TYPE_CHECKING:
    from hnm_core.spec.config import DistanceName, ExperimentConfig, LaneConfig

Level = Literal["refuse", "warn", "info"]

Lock = Literal["", "unit-euclidean", "unit-lp", "cosine", "similarity", "raw-inner-product", "snr"]
"""The only distance a loss takes. unit-euclidean: Euclidean on normalised embeddings, unit-lp: that or its square,
similarity: cosine or inner product, raw-inner-product: of embeddings as they are, snr: its own, which no lane has;
empty: any, or as `unmet` says."""

Use = Literal["tuples", "positives", "one-pair", "weights", "none"]
"""What a loss makes of mined tuples. positives: it looks at the positive pairs only; one-pair: at one positive pair of
each class; weights: items that occur in them more often weigh more; none: it refuses them."""


class Remark(NamedTuple):
    """One thing to say of a part in its lane."""

    rule: str
    """Id, as the documentation lists it; a plug-in takes one of its own."""
    sentence: str
    fix: str | None = None
    """Settings that mend it, as `hnm_core.spec.compatibility.Finding.fix`."""
    level: Level = "refuse"
    alarm_level: Literal["hint", "warning"] = "warning"
    """Of the alarm that a run starts with where this is no refusal."""


class Options(Section):
    """Base of every options model: unknown fields are refused, values are frozen.

    A field's `description` is its help text; its unit, if any, is `json_schema_extra={"unit": "..."}`.
    """


class DataOptions(Options):
    """Base of the data sets' options."""

    judged: ClassVar[bool] = False
    """Whether it is queries and documents with judgements (`hnm_core.data.judged`) rather than items with classes."""

    @property
    def found_in(self) -> str:
        """What its items are taken from that is neither an option nor a file of the user's, in words that change with
        its contents; empty where there is nothing of the kind."""
        return ""

    @property
    def official_split(self) -> bool | None:
        """Whether the set is published in a training and a test part; None is known only once it is read."""
        return None


class MinerOptions(Options):
    """Base of the miners' options."""

    at_random: ClassVar[bool] = False
    """Whether it draws by chance alone and is what other miners are measured by: a lane with it mines nothing."""
    leaves_choice: ClassVar[bool] = False
    """Whether it mines no tuples and leaves the choice to the loss."""
    unit_euclidean_only: ClassVar[bool] = False
    """Whether it takes nothing but Euclidean distance on normalised embeddings."""
    in_order: ClassVar[bool] = False
    """Whether rows of a batch have to come in the order anchor, positive, negative."""
    triplet_share: ClassVar[float] = 0.0
    """Share of all triplets of a batch that it may mine; 0 where it mines few for each anchor."""
    many_pairs: ClassVar[bool] = False
    """Whether it mines many pairs: a loss over triplets joins each positive with each negative of its anchor."""
    cap_option: ClassVar[str] = ""
    """The option that caps how many tuples it mines; empty where there is none."""
    weighs_by_density: ClassVar[bool] = False
    """Whether it draws with one over the density of distances on the unit sphere."""
    gone: ClassVar[str] = ""
    """What to say of a miner that is there no more."""

    @property
    def shares_labels(self) -> bool:
        """Whether one inside the batch goes by who shares a label where rows have several, not by equal classes."""
        return False

    @property
    def hardest_only(self) -> bool:
        """Whether every negative is the hardest there is."""
        return False

    @property
    def wanted_margin(self) -> float | None:
        """A margin that should be that of a loss over triplets; None where there is none."""
        return None

    def most_tuples(self, batch: int) -> int | None:
        """How many tuples of a batch it mines at most, where options cap that."""
        return None

    def inside(self) -> Mapping[str, Any] | None:
        """The miner and the loss that it runs inside itself on the lane's distance, as fields of a lane; None for none.
        They may want nothing but embeddings and labels."""
        return None

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """What it needs of `lane`, or of the model and the sampler of `config`, and does not get."""
        yield from ()

    def remarks(self, lane: LaneConfig, items: int | None) -> Iterator[Remark]:
        """What else there is to say of it in `lane`, with `items` in the data set if that is known."""
        yield from ()

    def idle(self) -> Mapping[str, str]:
        """Options that have no effect beside the others, with the reason."""
        return {}


class LossOptions(Options):
    """Base of the losses' options."""

    use: ClassVar[Use] = "tuples"
    lock: ClassVar[Lock] = ""
    needs_triplets: ClassVar[bool] = False
    """Whether it is over triplets; a `margin` is then how far its negatives must be beyond the positives."""
    takes_reference: ClassVar[bool] = True
    """Whether positives and negatives may come from outside the batch."""
    distance_margins: ClassVar[bool] = False
    """Whether `pos_margin` and `neg_margin` are distances to be reached."""
    swaps_margins: ClassVar[bool] = False
    """Whether these go the other way round on a similarity, and nothing but the rules says so."""
    own_weights: ClassVar[bool] = False
    """Whether it has weights for each class, whatever its options."""
    bug: ClassVar[str] = ""
    """Why the loss is refused, as of pytorch-metric-learning 2.9."""

    @property
    def shares_labels(self) -> bool:
        """Whether it goes by who shares a label where rows have several each, not by equal classes."""
        return False

    @property
    def trains_weights(self) -> bool:
        """Whether training moves weights of the loss, so that another cannot take its place while a lane trains."""
        return self.own_weights

    @property
    def needs_more(self) -> str:
        """The options by which it needs more than embeddings and labels, in words; empty where it does not."""
        return "these options" if self.own_weights else ""

    @property
    def margins(self) -> Mapping[str, float]:
        """Distances that it wants to be reached, by option."""
        names = ("margin",) if self.needs_triplets else ("pos_margin", "neg_margin") if self.distance_margins else ()
        values = dict(self)
        return {name: values[name] for name in names if isinstance(values.get(name), int | float)}

    @property
    def squares_distances(self) -> bool:
        """Whether `margins` are squares of Euclidean distances."""
        return False

    @property
    def margin_in_bits(self) -> float | None:
        """How many bits of a code must differ; None where it is about no codes, or a code's length settles it."""
        return None

    def unmet(self, lane: LaneConfig, config: ExperimentConfig) -> Iterator[Remark]:
        """What it needs of `lane`, or of the model and the sampler of `config`, and does not get."""
        yield from ()

    def remarks(self, lane: LaneConfig, items: int | None) -> Iterator[Remark]:
        """What else there is to say of it in `lane`, with `items` in the data set if that is known."""
        yield from ()


class ModelOptions(Options):
    """Base of the models' options."""

    trains: ClassVar[bool] = True
    """Whether it has weights."""
    reconstructs: ClassVar[bool | None] = None
    """Whether it gives its input back; None is not known."""

    @property
    def has_hidden(self) -> bool | None:
        """Whether it has hidden layers; None is not known."""
        return None

    def count_weights(self, in_features: int) -> int | None:
        """How many weights it has on data of so many features; None is not known before it is made."""
        return None

    @property
    def dimension(self) -> int | None:
        """Of the embedding; None where the option `embedding` does not say it."""
        value = dict(self).get("embedding")
        return value if isinstance(value, int) else None


class SearchOptions(Options):
    """Base of the neighbour searches' options."""

    approximate: ClassVar[bool] = False
    """Whether it may miss neighbours."""


class SamplerOptions(Options):
    """Base of the samplers' options."""

    any_order: ClassVar[bool] = False
    """Whether the order of rows in a batch means nothing."""
    ignores_classes: ClassVar[bool] = False
    """Whether classes come into a batch as chance has it."""
    shares_labels: ClassVar[bool] = False
    """Whether it takes `several` as well, the labels of items that have several each."""

    @property
    def own_batch(self) -> int | None:
        """Anchors of a batch where these options settle that; None where the batch of the experiment does."""
        return None

    @property
    def of_each_class(self) -> int | None:
        """Items of each class of a batch where these options settle that."""
        return None


def judged_refusal(name: str) -> str:
    """What to say where a set of queries and documents stands in the place of one with classes."""
    return (
        f"'{name}' holds queries and documents with judgements, not items with classes, which are needed here: "
        f"`hnm-lab run --preset code-search --data {name}` trains on it, `hnm-lab mine` mines its negatives."
    )


def several_refusal(name: str) -> str:
    """What to say where items with several labels each stand in the place of items with one class; `name` is in
    quotation marks where it needs them."""
    return (
        f"{name} holds items with several labels each, and here each needs one class: `hnm-lab mine`, `audit`, "
        "`evaluate`, `run`, `compare`, `tune` and `embed` take several."
    )


def review_refusal(name: str) -> str:
    """What to say where the decisions of a review stand in the place of data."""
    return (
        f"'{name}' holds the decisions of a review, not data: name the data that were reviewed, and beside them "
        f"--review '{name}' has `hnm-lab run` or `mine` obey it."
    )


DISTANCE_WORDS: Mapping[DistanceName, str] = {
    "euclidean": "Euclidean",
    "squared-euclidean": "squared Euclidean",
    "cosine": "cosine",
    "inner-product": "inner-product",
}

TRUE_DISTANCES: tuple[DistanceName, ...] = ("euclidean", "squared-euclidean", "cosine")
"""Distances that are 0 for equal points and never below, unlike an inner product."""


def other_distance(lane: LaneConfig, allowed: tuple[DistanceName, ...], extra: str = "") -> Iterator[Remark]:
    """That the loss of `lane` works on none but the `allowed` distances, where the lane has another. `extra` says by
    which of its options."""
    if lane.distance not in allowed:
        *others, last = (DISTANCE_WORDS[metric] for metric in allowed)
        words = f"{', '.join(others)} or {last}" if others else last
        sentence = f"The loss '{lane.loss}'{extra} needs {words} distance, not {lane.distance}."
        yield Remark("C6", sentence, f"distance={allowed[0]}")


def no_memory(lane: LaneConfig, option: str, value: str, instead: str) -> Iterator[Remark]:
    """That the loss of `lane` with an option cannot look at a memory of past embeddings, where the lane keeps one."""
    if lane.memory:
        sentence = f"'{lane.loss}' with {option} = {value} cannot look at a memory of past embeddings."
        yield Remark("C16", sentence, f"loss_options.{option}={instead}")
