"""From what a user asked for on the command line to the configuration of an experiment. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hnm_core.errors import InputError, unknown_name
from hnm_core.spec import config as configuration
from hnm_core.spec.config import DataConfig, ExperimentConfig
from hnm_core.spec.data_files import ANY_DATA_SUFFIX, data_format, refuse_no_items, vectors_in
from hnm_core.spec.registry import DATASETS, MINERS
from hnm_core.spec.resources import FIRST_PRESET, preset_names, preset_path, retrieval_preset_names
from hnm_core.system import paths

FEW_DIMENSIONS = 16
"""An embedding of fewer loses most of what embeddings of the user's hold."""


@dataclass(frozen=True)
class Request:
    """The options that `gui`, `run` and `demo` share; None and empty leave the configuration as it is."""

    config: Path | None = None
    """A TOML file."""
    preset: str | None = None
    data: str | None = None
    """Name of a data set, or a file of the user's."""
    miners: tuple[str, ...] = ()
    """The lanes become copies of the first one, one for each of these miners at its default options."""
    settings: tuple[str, ...] = ()
    """`KEY=VALUE`, applied last, so that they win over everything else."""
    seed: int | None = None
    device: str | None = None
    steps: int | None = None
    checkpoint_every: float | None = None
    review: Path | None = None
    """A file of decisions on the data, see `hnm_core.data.review`."""


def resolve(request: Request, default_preset: str | None = FIRST_PRESET) -> ExperimentConfig:
    """The configuration that was asked for, validated as a whole.

    Raises:
        InputError: neither a configuration nor a preset is given and there is no default, both are, or any part is not
            allowed; the message names it and says what is.
    """
    values = _base(request, default_preset).to_dict()
    if request.data is not None:
        data = values["data"] | _data(request.data)
        if data != values["data"]:  # the words of a preset tell of its own data
            values |= {"data": data, "title": title_of(Path(request.data)), "about": ""}
    if request.miners:
        values["lanes"] = _lanes(values["lanes"][0], request.miners)
    asked = {name: getattr(request, name) for name in ("seed", "device", "steps", "checkpoint_every")}
    values |= {field: value for field, value in asked.items() if value is not None}
    configuration.assign(values, request.settings)
    if request.review is not None:
        values["data"] = values["data"] | _reviewed(values["data"], request.review)
    return configuration.from_dict(values, "--set" if request.settings else "command line")


def with_review(config: ExperimentConfig, review: Path) -> ExperimentConfig:
    """The same experiment on its data as they are after a review, see `hnm_core.data.review`."""
    values = config.to_dict()
    values["data"] = values["data"] | _reviewed(values["data"], review)
    return configuration.from_dict(values)


def _reviewed(data: Mapping[str, Any], review: Path) -> dict[str, Any]:
    """The fields `name` and `options` of the section `data` that have these data obey a review."""
    of = {"of": data["name"], "of_options": data["options"]}
    return {"name": "reviewed", "options": of | {"review": paths.text_of(review)}}


def over_documents(request: Request) -> bool:
    """Whether a run over queries and documents is asked for: its preset is one of these, or its file has the section
    `retrieval`. `hnm_core.training.retrieval_request.resolve_retrieval` makes its configuration.

    Raises:
        InputError: the file cannot be read.
    """
    if request.config is not None:
        return request.preset is None and configuration.RETRIEVAL in configuration.read_toml(request.config)
    return request.preset in retrieval_preset_names()


def title_of(path: Path) -> str:
    """What an experiment on this file is called."""
    name = paths.text_of(path.name)
    most = next(part.max_length for part in ExperimentConfig.model_fields["title"].metadata)
    return name if len(name) <= most else f"{name[: most - 3]}..."


def names_network(request: Request) -> bool:
    """Whether the network is the user's choice: of a configuration file, or of settings."""
    return request.config is not None or any(setting.startswith("model") for setting in request.settings)


def narrow_network(request: Request, experiment: ExperimentConfig) -> str:
    """What there is to know of a preset's network that a file of the user's goes into, as embeddings would lose most
    in it; empty where it is wide enough, or was asked for."""
    dimensions = experiment.model.part.options.dimension
    if experiment.data.name != "file" or names_network(request) or dimensions is None or dimensions >= FEW_DIMENSIONS:
        return ""
    return (
        f"Your data went into the preset's network: '{experiment.model.name}' to {dimensions} dimensions. Embeddings "
        "keep more with --set model.name=head --set model.options.embedding=64; "
        "--preset audit looks at them as they are."
    )


def _base(request: Request, default_preset: str | None) -> ExperimentConfig:
    if request.config is not None and request.preset is not None:
        raise InputError("Give a configuration file or --preset, not both.")
    if request.config is not None:
        return configuration.load(request.config)
    preset = request.preset if request.preset is not None else default_preset
    if preset is None:
        raise InputError(
            "Give a configuration file, --preset NAME or --data FILE; `hnm-lab list presets` lists the presets."
        )
    return configuration.load(preset_path(preset))


def preset_of(config: ExperimentConfig) -> str:
    """The name of the preset that `config` is equal to; empty where it is equal to none."""
    return next((name for name, preset in _presets().items() if preset == config), "")


@cache
def _presets() -> Mapping[str, ExperimentConfig]:
    return {name: configuration.load(preset_path(name)) for name in preset_names()}


def data_config(wanted: str) -> DataConfig:
    """What `wanted`, the name of a data set or a file of the user's, stands for. Raises `InputError` if for neither."""
    return DataConfig(**_data(wanted))


def _data(wanted: str) -> dict[str, Any]:
    """The fields `name` and `options` of the section `data`."""
    if wanted in DATASETS.names():
        return {"name": wanted, "options": {}}
    path, kind = Path(wanted), paths.kind(paths.path_of(wanted))
    if kind in ("file", "folder"):
        refuse_no_items(paths.path_of(wanted), wanted)
    if data_format(path) is not None or kind == "file":
        return {"name": "file", "options": {"path": paths.text_of(wanted)}}
    if kind == "folder":
        return _in_folder(path)
    if len(path.parts) > 1 or path.suffix:
        raise InputError(f"There is no file '{wanted}'. Data files end in {ANY_DATA_SUFFIX}.")
    error = unknown_name("data set", wanted, DATASETS.names())
    raise InputError(f"{error} A file of yours ends in {ANY_DATA_SUFFIX}.")


def _in_folder(path: Path) -> dict[str, Any]:
    vectors = vectors_in(paths.path_of(str(path)))
    if vectors is not None:
        return {"name": "file", "options": {"path": paths.text_of(vectors)}}
    return {"name": "images", "options": {"path": paths.text_of(path)}}


def data_of(path: Path) -> DataConfig:
    """What a file or a folder of the user's stands for: vectors, a table or pictures. Raises `InputError` where what
    lies there cannot be found out."""
    if paths.is_folder(path):
        return DataConfig(**_in_folder(path))
    return DataConfig(name="file", options={"path": paths.text_of(path)})


def _lanes(first: dict[str, Any], miners: tuple[str, ...]) -> list[dict[str, Any]]:
    lanes: list[dict[str, Any]] = []
    for place, miner in enumerate(miners):
        MINERS.entry(miner)
        earlier = miners[:place].count(miner)
        name = f"{miner}-{earlier + 1}" if earlier else miner
        lanes.append({**first, "name": name, "miner": miner, "miner_options": {}})
    return lanes
