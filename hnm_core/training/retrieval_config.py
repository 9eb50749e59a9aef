"""What is asked of a run over queries and documents: two towers, a loss, and lanes that differ in their negatives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator

from hnm_core.errors import InputError, unknown_name
from hnm_core.losses.query_document_options import QueryDocumentOptions
from hnm_core.miners.whole_set.bm25_options import Bm25Options
from hnm_core.miners.whole_set.options import SearchingOptions
from hnm_core.models.bag_options import BagOptions
from hnm_core.spec import config as configuration
from hnm_core.spec import plug_ins
from hnm_core.spec.config import LANE_NAME, MAX_LANES, ExperimentConfig, OptimizerConfig, Seconds
from hnm_core.spec.explaining import explain
from hnm_core.spec.fields import Section
from hnm_core.spec.registry import MINERS, OVER_DOCUMENTS, is_over_documents
from hnm_core.spec.traits import Options

NOT_HERE = "Lanes over queries and documents stay as they began: they are neither changed nor forked, nor laid out."
"""What is answered where that is asked of them."""


class InBatchOptions(Options):
    """Nothing is mined: the positives of the other queries are the negatives."""

    @property
    def negatives(self) -> int:
        """None beside those."""
        return 0


class RandomOptions(Options):
    """Documents by chance."""

    negatives: int = Field(1, ge=1, le=1_000, description="negatives for each query, beside those of the batch")


class WordsOptions(Bm25Options):
    """Documents that share words with the query, by BM25."""

    negatives: int = Field(1, ge=1, le=1_000, description="negatives for each query, beside those of the batch")
    pool: int = Field(20, ge=1, le=10_000, description="they are drawn from so many of the highest scores")


OWN_NEGATIVES: Mapping[str, type[Options]] = {
    "in-batch": InBatchOptions,
    "random": RandomOptions,
    "bm25": WordsOptions,
}
"""Ways to negatives that no search over embeddings finds. The others are the miners over the whole set that search."""


def kinds_of_negatives() -> Mapping[str, type[Options]]:
    """The options of every way to negatives, by its name."""
    entries = {name: MINERS.entry(name).options for name in MINERS.names()}
    return {**OWN_NEGATIVES, **{name: each for name, each in entries.items() if issubclass(each, SearchingOptions)}}


class RetrievalData(Section):
    """Which set of queries and documents, as `hnm_core.data.retrieval.read` takes it."""

    source: str = Field("", description="a registered set, a folder, a file of pairs, or one with both embeddings")
    split: str = Field("", description="which qrels of a folder that has several; empty takes test, or the only ones")
    queries: str = Field("", description="file of the queries, instead of what the source has or beside it")
    documents: str = Field("", description="file of the documents, likewise")
    qrels: str = Field("", description="file of the judgements, likewise")
    review: str = Field("", description="file of decisions of `hnm-lab review` on them, .jsonl, which they obey")
    options: dict[str, Any] = Field(default_factory=dict, description="of a registered set, by name")


class RetrievalLane(Section):
    """One way to negatives."""

    name: str = Field(pattern=LANE_NAME, description="title of the lane")
    negatives: str = Field(
        "in-batch",
        description="in-batch, random, bm25, or a miner over the whole set that searches, such as knn, lsh or routed",
    )
    options: dict[str, Any] = Field(default_factory=dict, description="of these negatives, by name")
    warmup: int = Field(0, ge=0, le=10_000_000, description="steps on the negatives of the batch alone, at first")
    refresh: Literal["steps", "epoch", "drift"] = Field(
        "steps", description="when documents and queries are embedded anew for a search"
    )
    refresh_every: int = Field(50, ge=1, le=1_000_000, description="steps between two; with drift, two looks at it")
    drift_threshold: float = Field(1.0, gt=0, le=1_000, description="drift that calls for embedding anew; 1 is stale")

    @model_validator(mode="after")
    def _check(self) -> RetrievalLane:
        _ = self.checked
        return self

    @cached_property
    def checked(self) -> Options:
        """The typed options. Raises `InputError` where they, or the name of the negatives, are not allowed."""
        own = OWN_NEGATIVES.get(self.negatives)
        if own is None:
            if self.negatives not in kinds_of_negatives():
                raise unknown_name("kind of negatives", self.negatives, kinds_of_negatives())
            return MINERS.validate(self.negatives, self.options)
        try:
            return own.model_validate(self.options)
        except ValidationError as error:
            raise InputError(explain(error, f"negatives '{self.negatives}'", own)) from None

    @property
    def searches(self) -> bool:
        """Whether negatives are searched for among embeddings."""
        return self.negatives not in OWN_NEGATIVES


class RetrievalConfig(Section):
    """A whole run. All lanes begin with the same weights and see the same queries and positives in the same order."""

    title: str = Field("", max_length=120, description="name shown in the window and in videos")
    about: str = Field("", max_length=2000, description="what to look for")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of everything random")
    steps: int = Field(1000, ge=1, le=1_000_000_000, description="steps per lane")
    seconds: Seconds = None
    batch: int = Field(128, ge=1, le=1_000_000, description="queries a step; all that are trained on if they are fewer")
    held_out: float = Field(0.2, ge=0, lt=1, description="share of the queries that is kept out and measured")
    validation: float = Field(
        0,
        ge=0,
        lt=1,
        description="share of the queries left that is kept out as well and measured instead, to choose options by",
    )
    frame_every: int = Field(10, ge=1, le=1_000_000, description="steps between two recorded clouds")
    eval_every: int = Field(50, ge=1, le=1_000_000, description="steps between two evaluations")
    shown: int = Field(20_000, ge=10, le=1_000_000, description="queries and documents in a cloud")
    retrieval: RetrievalData = Field(default_factory=RetrievalData, description="queries and documents")
    towers: BagOptions = Field(default_factory=BagOptions, description="the network")
    loss: QueryDocumentOptions = Field(default_factory=QueryDocumentOptions, description="the loss")
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig, description="how weights are updated")
    lanes: Annotated[tuple[RetrievalLane, ...], Field(min_length=1, max_length=MAX_LANES)] = (
        RetrievalLane(name="in-batch"),
    )

    @model_validator(mode="after")
    def _different_names(self) -> RetrievalConfig:
        names = [lane.name for lane in self.lanes]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two lanes are called '{name}'; lane names must differ")
        return self

    def lane(self, name: str) -> RetrievalLane:
        """The lane with this name. Raises `InputError` if there is none."""
        for lane in self.lanes:
            if lane.name == name:
                return lane
        raise unknown_name("lane", name, [lane.name for lane in self.lanes])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, nested as in the TOML file."""
        return self.model_dump(mode="json", exclude_none=True)


def retrieval_config(values: Mapping[str, Any], where: str = "configuration") -> RetrievalConfig:
    """Validate plain nested values. Raises `InputError` naming every wrong field and what is allowed."""
    try:
        return RetrievalConfig.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, where, RetrievalConfig, values)) from None


def with_settings(config: RetrievalConfig, settings: Iterable[str]) -> RetrievalConfig:
    """Apply `KEY=VALUE` overrides, as `hnm_core.spec.config.with_settings` does. Raises `InputError` likewise."""
    values = config.to_dict()
    configuration.assign(values, settings)
    return retrieval_config(values, "--set")


def data_name(data: RetrievalData) -> str:
    """What the data are called: as their file or folder is."""
    return Path(data.source or data.documents or data.queries).name


_ALIKE = {"title", "about", "seed", "steps", "seconds", "frame_every", "eval_every", "shown"}
"""What such a configuration and that of a run say alike."""


def told_as(config: RetrievalConfig, data_name: str) -> ExperimentConfig:
    """The run in the words of an experiment over classes, for recordings and the window: they show names and options.
    An `hnm_core.training.experiment.Experiment` cannot train by it, as its data, model and loss are none of those by
    name; `asked_as` is what can."""
    values: dict[str, Any] = {
        **config.model_dump(include=_ALIKE),
        "device": "cpu",
        "checkpoint_every": 0,
        "data": {
            "name": data_name + OVER_DOCUMENTS,
            "options": config.retrieval.model_dump(exclude_defaults=True),
            **config.model_dump(include={"held_out", "validation"}),
        },
        "model": {"name": "bag" + OVER_DOCUMENTS, "options": config.towers.model_dump()},
        "sampler": {"name": "random", "batch": config.batch},
        "optimizer": config.optimizer.model_dump(),
        "lanes": [
            {
                "name": lane.name,
                **_miner(lane),
                "loss": "info-nce" + OVER_DOCUMENTS,
                "loss_options": config.loss.model_dump(),
                "distance": "cosine",
                **({} if lane.negatives in ("in-batch", "random") else {"hard_share": 1.0}),
                **lane.model_dump(include={"warmup", "refresh", "refresh_every"} if lane.searches else {"warmup"}),
                **({"drift_threshold": lane.drift_threshold} if lane.refresh == "drift" else {}),
            }
            for lane in config.lanes
        ],
    }
    plug_ins.allow_absent(values)
    return configuration.from_dict(values)


def _miner(lane: RetrievalLane) -> dict[str, Any]:
    """The way to negatives as a miner; one that is none by name, or has other options than the one by its name, stands
    for itself."""
    if lane.negatives == "in-batch":
        return {"miner": "none"}
    plain = lane.searches or (lane.negatives == "random" and not lane.options)
    return {"miner": lane.negatives + ("" if plain else OVER_DOCUMENTS), "miner_options": lane.options}


def asked_as(told: ExperimentConfig) -> RetrievalConfig:
    """What `told_as` tells of, to be trained. Raises `InputError` where it does not name its data, or something in it
    is not allowed."""
    data = data_told(told)
    if not (data.source or data.queries or data.documents):
        raise InputError("It is not known where the queries and documents of this run lie, so it cannot be trained.")
    lanes = []
    for lane in told.lanes:
        negatives = "in-batch" if lane.miner == "none" else lane.miner.removesuffix(OVER_DOCUMENTS)
        of_search = {"refresh", "refresh_every", "drift_threshold"} if negatives not in OWN_NEGATIVES else set()
        drift = of_search if lane.refresh == "drift" else of_search - {"drift_threshold"}
        own = lane.model_dump(include={"name", "warmup", *drift})
        lanes.append({**own, "negatives": negatives, "options": lane.miner_options})
    return retrieval_config(
        {
            **told.model_dump(include=_ALIKE),
            **told.data.model_dump(include={"held_out", "validation"}),
            "batch": told.sampler.batch,
            "retrieval": data.model_dump(),
            "towers": told.model.options,
            "loss": told.lanes[0].loss_options,
            "optimizer": told.optimizer.model_dump(),
            "lanes": lanes,
        }
    )


def obeying(told: ExperimentConfig, review: str) -> ExperimentConfig:
    """A run that `told_as` tells of on its data as they are after a review, in place of the one it had. Raises
    `InputError` as `asked_as`."""
    asked = asked_as(told)
    data = asked.retrieval.model_copy(update={"review": review})
    return told_as(asked.model_copy(update={"retrieval": data}), told.data.name.removesuffix(OVER_DOCUMENTS))


def to_train(told: ExperimentConfig) -> ExperimentConfig | RetrievalConfig:
    """What trains a run as recordings and the window tell of it: itself, or of queries and documents `asked_as`.
    Raises `InputError` likewise."""
    return asked_as(told) if is_over_documents(told.data.name) else told


def data_told(told: ExperimentConfig) -> RetrievalData:
    """The queries and documents that `told_as` tells of; nameless in recordings of before it did."""
    try:
        return RetrievalData.model_validate(told.data.options)
    except ValidationError as error:
        raise InputError(explain(error, "options of the data", RetrievalData)) from None


def towers_told(told: ExperimentConfig) -> BagOptions:
    """The options of the towers that `told_as` tells of. Raises `InputError` where they are not allowed."""
    try:
        return BagOptions.model_validate(told.model.options)
    except ValidationError as error:
        raise InputError(explain(error, "options of the towers", BagOptions)) from None
