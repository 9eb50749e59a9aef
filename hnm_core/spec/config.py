"""The configuration of an experiment: what a TOML file, a form and the command line all speak.

Everything here is frozen and validated without torch. `load` and `dump` are TOML in and out; `with_settings` applies
`--set KEY=VALUE`. Options stand in their fields as they were written; the `part` of a section, made once, is its name
with the typed options that everybody else takes.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, get_args

import tomli_w
from pydantic import (
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from hnm_core.errors import InputError, shortened, unknown_name
from hnm_core.spec.data_files import data_format
from hnm_core.spec.explaining import explain
from hnm_core.spec.fields import Section
from hnm_core.spec.registry import DATASETS, LOSSES, MINERS, MODELS, SAMPLERS, Part
from hnm_core.spec.resources import preset_names, retrieval_preset_names
from hnm_core.spec.traits import DataOptions, LossOptions, MinerOptions, ModelOptions, SamplerOptions
from hnm_core.system import paths
from hnm_core.system.regular_files import read_regular

LANE_NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._+-]{0,39}$"
MAX_LANES = 16
MOST_LEVELS = 32
"""Tables and lists inside each other."""

SplitName = Literal["items", "classes", "official"]

DistanceName = Literal["euclidean", "squared-euclidean", "cosine", "inner-product"]
DISTANCES: tuple[DistanceName, ...] = get_args(DistanceName)


OWN_DATA = frozenset({"file", "images"})
"""Data sets that read what the user names."""


class DataConfig(Section):
    """Which items."""

    name: str = Field("digits", description="data set")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the data set")
    split: SplitName = Field(
        "items",
        description="what is kept out of training and measured; items: a part of every class, or what a file of yours "
        "marks; classes: whole classes, never trained on; official: the published test part, or what your file marks",
    )
    held_out: float = Field(
        0.25,
        ge=0,
        lt=1,
        description="share that is kept out of training and used for the metrics: of every class, two items at least, "
        "or of the classes, two at least",
    )
    validation: float = Field(
        0,
        ge=0,
        lt=1,
        description="share of what is left that is kept out as well and measured instead, to choose options by",
    )

    @property
    def own(self) -> bool:
        """Whether files of the user's have a part in it."""
        return not (OWN_DATA | {"reviewed"}).isdisjoint((self.name, str(self.options.get("of"))))

    @cached_property
    def part(self) -> Part[DataOptions]:
        """The data set with its typed options. Raises `InputError` where they are not allowed."""
        return DATASETS.part(self.name, self.options)


class ModelConfig(Section):
    """Which network."""

    name: str = Field("mlp", description="model")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the model")

    @cached_property
    def part(self) -> Part[ModelOptions]:
        """The model with its typed options. Raises `InputError` where they are not allowed."""
        return MODELS.part(self.name, self.options)


class SamplerConfig(Section):
    """How anchors are drawn."""

    name: str = Field("random", description="sampler")
    batch: int = Field(256, ge=1, le=1_000_000, description="anchors a step; the whole set if it is smaller")
    options: dict[str, Any] = Field(default_factory=dict, description="options of the sampler")

    @cached_property
    def part(self) -> Part[SamplerOptions]:
        """The sampler with its typed options. Raises `InputError` where they are not allowed."""
        return SAMPLERS.part(self.name, self.options)

    @model_validator(mode="after")
    def _check(self) -> SamplerConfig:
        own = self.part.options.own_batch
        if own is not None and self.batch not in (own, SamplerConfig.model_fields["batch"].default):
            raise ValueError(
                f"batch = {self.batch} does not go with the sampler '{self.name}', whose options make batches of "
                f"{own}; leave batch out, or let them agree"
            )
        if own is not None:
            object.__setattr__(self, "batch", own)  # what a step has, whoever asks
        return self

    @model_serializer(mode="wrap")
    def _without_settled_batch(self, plain: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leaves out a batch that the options settle, so that a change of the options does not contradict it."""
        values: dict[str, Any] = plain(self)
        if self.part.options.own_batch is not None:
            values.pop("batch", None)
        return values


class OptimizerConfig(Section):
    """How weights are updated."""

    name: Literal["adam", "adamw", "sgd"] = Field("adam", description="optimiser")
    lr: float = Field(2e-3, gt=0, le=100, description="learning rate")
    options: dict[str, float] = Field(
        default_factory=dict, description="momentum (sgd), weight_decay, beta1 and beta2 (adam, adamw)"
    )

    @model_validator(mode="after")
    def _check(self) -> OptimizerConfig:
        known = {"sgd": {"momentum": 1.0, "weight_decay": 1e3}}.get(
            self.name, {"weight_decay": 1e3, "beta1": 1.0, "beta2": 1.0}
        )
        for option, value in self.options.items():
            if option not in known:
                raise ValueError(f"{self.name} has no option '{option}', only {', '.join(known)}")
            if not 0 <= value < known[option]:
                raise ValueError(f"{option} = {value} must lie in 0 <= {option} < {known[option]:g}")
        return self


class LaneConfig(Section):
    """One method: a miner and a loss with their options."""

    name: str = Field(
        pattern=LANE_NAME,
        description="title of the lane",
        json_schema_extra={
            "allowed": "1 to 40 letters, digits, spaces and . _ + -, the first of them a letter or a digit"
        },
    )
    miner: str = Field("random", description="miner")
    miner_options: dict[str, Any] = Field(default_factory=dict, description="options of the miner")
    loss: str = Field("triplet-margin", description="loss")
    loss_options: dict[str, Any] = Field(default_factory=dict, description="options of the loss")
    distance: DistanceName = Field("euclidean", description="distance shared by loss, miner and metrics")
    normalize: bool = Field(False, description="project embeddings onto the unit sphere")
    hard_share: float = Field(0.5, ge=0, le=1, description="share of the negatives that are mined; the rest is random")
    warmup: int = Field(0, ge=0, le=10_000_000, description="steps on random negatives before mining starts")
    warmup_below: float | None = Field(
        None, gt=0, description="mining starts only once the mean loss of the last 100 steps is below this"
    )
    refresh: Literal["steps", "epoch", "drift", "background"] = Field(
        "steps",
        description="when the whole set is embedded anew: every so many steps, every epoch, once the network has "
        "drifted, or every so many steps on another thread while training goes on",
    )
    refresh_every: int = Field(
        10,
        ge=1,
        le=1_000_000,
        description="steps between two embeddings of the whole set; with drift, between two looks at it",
    )
    refresh_lag: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="background: steps from the weights' snapshot to its use; empty takes refresh_every",
    )
    drift_threshold: float = Field(
        1.0,
        gt=0,
        le=1_000,
        description="drift that calls for a refresh; 1 is 5 % of hash bits flipped, a tenth of the mean distance "
        "moved, or 30 % of the nearest negatives lost",
    )
    sampler: SamplerConfig | None = Field(None, description="how this lane draws anchors; none is as all lanes do")
    memory: int = Field(
        0, ge=0, le=10_000_000, description="past embeddings that a miner inside the batch may look at; 0 for none"
    )

    @model_validator(mode="after")
    def _check(self) -> LaneConfig:
        if self.refresh == "background" and self.refresh_lag is not None and self.refresh_lag > self.refresh_every:
            raise ValueError(
                f"lane '{self.name}': refresh_lag = {self.refresh_lag} must not be larger than "
                f"refresh_every = {self.refresh_every}; one bank is built at a time"
            )
        return self

    @cached_property
    def miner_part(self) -> Part[MinerOptions]:
        """The miner with its typed options. Raises `InputError` where they are not allowed."""
        return MINERS.part(self.miner, self.miner_options)

    @cached_property
    def loss_part(self) -> Part[LossOptions]:
        """The loss with its typed options. Raises `InputError` where they are not allowed."""
        return LOSSES.part(self.loss, self.loss_options)

    @property
    def in_batch(self) -> bool:
        """Whether the miner looks inside a batch, not at a bank of the whole set."""
        return self.miner_part.entry.scope == "batch"

    @property
    def mines(self) -> bool:
        """Whether the lane's own miner has a say, rather than chance alone."""
        return self.in_batch or (not self.miner_part.options.at_random and self.hard_share > 0)


Seconds = Annotated[
    float | None,
    Field(
        gt=0,
        le=10_000_000,
        description="seconds of training, by its own clock, after which a lane ends, so that lanes are compared at "
        "equal time; empty leaves it to steps",
        json_schema_extra={"unit": "s"},
    ),
]


class ExperimentConfig(Section):
    """A whole experiment: shared data, model and optimiser, and the lanes to compare."""

    title: str = Field("", max_length=120, description="name shown in the window and in videos")
    about: str = Field("", max_length=2000, description="what to look for")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of everything random")
    steps: int = Field(1000, ge=1, le=1_000_000_000, description="steps per lane")
    seconds: Seconds = None
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="where tensors live; auto takes a usable GPU")
    threads: int = Field(1, ge=1, le=1024, description="torch threads")
    frame_every: int = Field(10, ge=1, le=1_000_000, description="steps between two recorded clouds")
    eval_every: int = Field(50, ge=1, le=1_000_000, description="steps between two evaluations")
    shown: int = Field(
        20_000,
        ge=10,
        le=1_000_000,
        description="items in a cloud and in its recording; of a larger set a fixed part, with what is mined besides",
    )
    checkpoint_every: float = Field(
        60,
        ge=0,
        le=1_000_000,
        description="seconds between two checkpoints of a recorded run, which it can go on from; 0 for none",
        json_schema_extra={"unit": "s"},
    )
    data: DataConfig = Field(default_factory=DataConfig)
    model: ModelConfig = Field(default_factory=ModelConfig)
    sampler: SamplerConfig = Field(default_factory=SamplerConfig)
    optimizer: OptimizerConfig = Field(default_factory=OptimizerConfig)
    lanes: Annotated[tuple[LaneConfig, ...], Field(min_length=1, max_length=MAX_LANES)] = (LaneConfig(name="random"),)

    @model_validator(mode="after")
    def _check(self) -> ExperimentConfig:
        names = [lane.name for lane in self.lanes]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"two lanes are called '{name}'; lane names must differ")
        _ = self.data.part, self.model.part  # raises what is wrong with them, as below
        for lane in self.lanes:
            try:
                _ = lane.miner_part, lane.loss_part
            except InputError as error:
                raise InputError(f"Lane '{lane.name}': {error}") from None
        return self

    def lane(self, name: str) -> LaneConfig:
        """The lane called `name`. Raises `InputError` with the nearest names when there is none."""
        for lane in self.lanes:
            if lane.name == name:
                return lane
        raise unknown_name("lane", name, [lane.name for lane in self.lanes])

    def to_dict(self) -> dict[str, Any]:
        """Plain values, nested as in the TOML file, without entries that are None."""
        return self.model_dump(mode="json", exclude_none=True)


def from_dict(values: Mapping[str, Any], where: str = "configuration") -> ExperimentConfig:
    """Validate plain nested values. Raises `InputError` naming every wrong field and what is allowed."""
    try:
        return ExperimentConfig.model_validate(values)
    except ValidationError as error:
        raise InputError(explain(error, where, ExperimentConfig, values)) from None


MAX_TOML = 16 << 20
"""Bytes of a configuration file."""


class Dumped(Protocol):
    """A configuration."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, nested as in the TOML file."""


def load(path: str | Path) -> ExperimentConfig:
    """Read a TOML file.

    Raises:
        InputError: the file is missing, unreadable, no TOML (with the line), or holds a value that is not allowed.
    """
    values = read_toml(path)
    if RETRIEVAL in values:
        raise InputError(f"'{path}' is of queries and documents: `hnm-lab run` and `hnm-lab compare` train it.")
    return from_dict(values, str(path))


RETRIEVAL = "retrieval"
"""The section that a configuration over queries and documents has, and no other."""


def read_toml(path: str | Path) -> dict[str, Any]:
    """A TOML file as plain values, which nothing has judged yet.

    Raises:
        InputError: the file is missing, unreadable, or no TOML (with the line).
    """
    path = Path(path)
    try:
        text = read_regular(path, MAX_TOML).decode("utf-8-sig")
    except FileNotFoundError:
        known = str(path) in (*preset_names(), *retrieval_preset_names())
        meant = f" The preset of that name is given by --preset {path}." if known else ""
        raise InputError(f"There is no configuration file '{path}'.{meant}") from None
    except (OSError, UnicodeDecodeError) as error:
        why = "it is no text" if isinstance(error, UnicodeDecodeError) else error.strerror or error
        raise InputError(f"The configuration '{path}' cannot be read: {why}.{_taken_for(path)}") from None
    try:
        return _parsed(text)
    except ValueError as error:
        raise InputError(f"'{path}' is not valid TOML: {error}.{_taken_for(path)}") from None


def _parsed(text: str) -> dict[str, Any]:
    """TOML as plain values. Raises `ValueError`, a `TOMLDecodeError` only where the text is no TOML."""
    try:
        values = tomllib.loads(text)
    except RecursionError:
        raise ValueError(f"its values are nested more than {MOST_LEVELS} deep") from None
    except tomllib.TOMLDecodeError:
        raise
    except ValueError:  # Python reads no whole number of more than 4,300 digits
        raise ValueError("it holds a number of thousands of digits") from None
    level, nodes = 0, [values]
    while nodes := [inner for node in nodes for inner in _inside(node)]:
        level += 1
        if level > MOST_LEVELS:
            raise ValueError(f"its values are nested more than {MOST_LEVELS} deep")
    return values


def _inside(node: Any) -> list[Any]:
    """The tables and lists in a table or a list."""
    values = node.values() if isinstance(node, dict) else node
    return [value for value in values if isinstance(value, dict | list)]


def _taken_for(path: Path) -> str:
    """What a file or folder that is no configuration was likely meant as."""
    if data_format(path) is not None:
        return f" Data are given by --data {path}."
    if paths.is_folder(path):
        return " A configuration is a .toml file; a folder of pictures or a recording is none."
    return ""


def dump(config: Dumped) -> str:
    """The configuration as TOML text that `load` reads back equal, or `retrieval_config` of runs over documents."""
    return tomli_w.dumps(config.to_dict())


def with_settings(config: ExperimentConfig, settings: Iterable[str]) -> ExperimentConfig:
    """Apply `KEY=VALUE` overrides, e.g. `lanes.knn.miner_options.pool=5` or `optimizer.lr=1e-3`.

    A lane is addressed by its name or its place (from 0). A value is read as TOML; what is no TOML is text.

    Raises:
        InputError: no `=`, an unknown field, or a value that is not allowed.
    """
    values = config.to_dict()
    assign(values, settings)
    return from_dict(values, "--set")


def assign(values: dict[str, Any], settings: Iterable[str]) -> None:
    """Apply `KEY=VALUE` overrides to plain nested values in place, without judging the result.

    A new name of a miner, loss, model, data set or sampler comes with its default options: those of the old one mean
    something else.

    Raises:
        InputError: no `=`, or a lane or section that is not there.
    """
    assign_values(values, [split_setting(setting) for setting in settings])


def assign_values(values: dict[str, Any], pairs: Iterable[tuple[str, Any]]) -> None:
    """As `assign`, with the key and the value of each setting."""
    for key, value in sorted(pairs, key=lambda pair: not _NAMES.search(pair[0])):
        _assign(values, key, value)


def split_setting(setting: str) -> tuple[str, Any]:
    """The key and the value of `KEY=VALUE`, which is read as TOML. Raises `InputError` where there is no `=`."""
    key, separator, text = setting.partition("=")
    if not separator or not key.strip():
        raise InputError(f"'{shortened(setting)}' is no setting; write KEY=VALUE, for instance optimizer.lr=0.001.")
    return key.strip(), parse_value(text.strip())


def parse_value(text: str) -> Any:
    """A value as TOML; what is no TOML is text. Raises `InputError` for one that nothing can hold."""
    if re.fullmatch(r"[+-]?\d+[eE][+-]?\d+", text):
        return float(text)  # TOML itself knows 1e-3; this line is for 1E3 and +1e3
    try:
        return _parsed(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
    except ValueError as error:
        raise InputError(f"The value {shortened(text)} is not allowed: {error}.") from None


def _assign(values: dict[str, Any], key: str, value: Any) -> None:
    parts = key.split(".")
    if len(parts) > MOST_LEVELS:
        raise InputError(f"--set: '{shortened(key)}' is no field of the configuration.")
    node: Any = values
    if parts[0] == "lanes" and len(parts) > 2:
        rest = ".".join(parts[1:])
        by_length = sorted(values["lanes"], key=lambda lane: -len(lane["name"]))
        lane = next((lane for lane in by_length if rest.startswith(lane["name"] + ".")), None)
        if lane is not None:
            parts = rest[len(lane["name"]) + 1 :].split(".")
        elif parts[1].isdigit() and int(parts[1]) < len(values["lanes"]):
            lane, parts = values["lanes"][int(parts[1])], parts[2:]
        else:
            raise unknown_name("lane", parts[1], [lane["name"] for lane in values["lanes"]])
        node = lane
    elif parts[0] == "lanes" and len(parts) == 2:
        raise InputError(f"--set: '{key}' is a lane; set one of its fields, for instance {key}.miner=knn.")
    for part in parts[:-1]:
        owner, node = node, node.setdefault(part, {})
        if not isinstance(node, dict):
            options = next((name for name in ("options", f"{part}_options") if name in owner), None)
            hint = f" Its options are written {key.replace(f'.{part}.', f'.{options}.')}." if options else ""
            raise InputError(f"--set: '{key}' is no field of the configuration; '{part}' is a single value.{hint}")
    last = parts[-1]
    if _NAMES.search(key) and node.get(last) != value:
        node["options" if last in ("name", "source", "negatives") else f"{last}_options"] = {}
    node[last] = value


_NAMES = re.compile(
    r"^(data|model|sampler)\.name$|^retrieval\.source$|^lanes\..+\.(miner|loss|sampler\.name|negatives)$"
)
"""Keys that choose what their options belong to."""
