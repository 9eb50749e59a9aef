"""From what a user asked for on the command line to the configuration of a run over queries and documents."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hnm_core.errors import InputError
from hnm_core.spec import config as configuration
from hnm_core.spec.config import ExperimentConfig
from hnm_core.spec.request import Request, title_of
from hnm_core.spec.resources import retrieval_preset_names, retrieval_preset_path
from hnm_core.system import paths
from hnm_core.training.retrieval_config import RetrievalConfig, data_name, retrieval_config, told_as

BM25_MISSING = (
    "Lane '{lane}' is left out: the library bm25s, which finds its negatives, is not installed (pip install "
    "hnm-lab[bm25])."
)


def resolve_retrieval(request: Request) -> tuple[RetrievalConfig, list[str]]:
    """The configuration that was asked for, validated as a whole, and what there is to know of it, in sentences: which
    lanes of a preset were left out because what finds their negatives is not installed.

    Raises:
        InputError: any part is not allowed, or is none of a run over queries and documents.
    """
    _refuse(request)
    values, where = _base(request)
    notes: list[str] = []
    if request.preset is not None and importlib.util.find_spec("bm25s") is None:
        lacking = [lane["name"] for lane in values["lanes"] if lane.get("negatives") == "bm25"]
        values["lanes"] = [lane for lane in values["lanes"] if lane["name"] not in lacking]
        notes = [BM25_MISSING.format(lane=name) for name in lacking]
    if request.data is not None and request.data != values["retrieval"]["source"]:
        retrieval = {"source": paths.text_of(request.data)}
        values |= {"retrieval": retrieval, "title": title_of(Path(request.data)), "about": ""}
    if request.miners:
        values["lanes"] = _lanes(values["lanes"][0], request.miners)
    asked = {name: getattr(request, name) for name in ("seed", "steps")}
    values |= {field: value for field, value in asked.items() if value is not None}
    configuration.assign(values, request.settings)
    if request.review is not None:
        values["retrieval"] = values["retrieval"] | {"review": paths.text_of(request.review)}
    config = retrieval_config(values, "--set" if request.settings else where)
    if not any((config.retrieval.source, config.retrieval.queries, config.retrieval.documents)):
        raise InputError("Say which queries and documents: source in the section [retrieval], or --data.")
    return config, notes


def told_of(request: Request) -> tuple[ExperimentConfig, list[str]]:
    """`resolve_retrieval` in the words of recordings and of the window, see `told_as`; its data are called as their
    file or folder is. Loads no torch and reads no data."""
    config, notes = resolve_retrieval(request)
    return told_as(config, data_name(config.retrieval)), notes


def preset_told(told: ExperimentConfig) -> str:
    """The preset over queries and documents that a run equals, as `told_of` tells of both; empty where none."""
    return next((name for name in retrieval_preset_names() if told_of(Request(preset=name))[0] == told), "")


def _refuse(request: Request) -> None:
    """What only runs over classes have."""
    if request.device not in (None, "cpu"):
        raise InputError(f"--device {request.device} is not allowed: queries and documents are trained on the cpu.")
    if request.checkpoint_every:
        raise InputError("--checkpoint-every is not allowed: runs over queries and documents keep no checkpoints.")


def _base(request: Request) -> tuple[dict[str, Any], str]:
    """What the file or the preset says, complete, and what to call it."""
    if request.preset is not None:
        path: Path = retrieval_preset_path(request.preset)
    else:
        assert request.config is not None, "see hnm_core.spec.request.over_documents"
        path = request.config
    return retrieval_config(configuration.read_toml(path), str(path)).to_dict(), "command line"


def _lanes(first: Mapping[str, Any], negatives: tuple[str, ...]) -> list[dict[str, Any]]:
    """Copies of the first lane, one for each way to negatives at its default options."""
    lanes = []
    for place, name in enumerate(negatives):
        earlier = negatives[:place].count(name)
        lanes.append({**first, "name": f"{name}-{earlier + 1}" if earlier else name, "negatives": name, "options": {}})
    return lanes
