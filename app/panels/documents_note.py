"""What stands in the place of the form for a run over queries and documents, whose settings come from its file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from PyQt6.QtCore import Qt
from PyQt6.QtWidgets import QSizePolicy

from app.plain import Label
from hnm_core.errors import InputError
from hnm_core.spec.config import ExperimentConfig, LaneConfig
from hnm_core.spec.registry import OVER_DOCUMENTS, is_over_documents
from hnm_core.training.retrieval_config import asked_as

SENTENCE = (
    "A run over queries and documents, trained as it stands. Other settings come from a configuration with a section "
    "[retrieval]: open or drop one, or a folder or a file with other data."
)


def refusal_of(config: ExperimentConfig) -> str:
    """Why a run over queries and documents cannot be trained, in a sentence; empty if it can."""
    try:
        asked_as(config)
    except InputError as error:
        return str(error)
    return ""


class DocumentsNote(Label):
    """Says what the run is. Hidden for runs over classes."""

    def __init__(self) -> None:
        super().__init__()
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Minimum)
        self.hide()

    def show_run(self, config: ExperimentConfig) -> bool:
        """Say it if there is something to say. Returns whether there is."""
        over_documents = is_over_documents(config.data.name)
        self.setText(words(config) if over_documents else "")
        self.setVisible(over_documents)
        return over_documents


def words(config: ExperimentConfig) -> str:
    """The run as lines of text."""
    optimizer, held_out = config.optimizer, config.data.held_out
    parts = [
        SENTENCE,
        f"Data: {_name(config.data.name)}, {held_out:.0%} of the queries held out",
        f"Network: two towers, {_with_options(config.model.name, config.model.options)}",
        f"Loss: {_with_options(config.lanes[0].loss, config.lanes[0].loss_options)}",
        f"Training: {optimizer.name} {optimizer.lr:g}, batches of {config.sampler.batch:,} queries, "
        f"{config.steps:,} steps, seed {config.seed}",
        *(f"{lane.name}: {_negatives(lane)}" for lane in config.lanes),
    ]
    return "\n\n".join(parts)


def _negatives(lane: LaneConfig) -> str:
    """Where a lane's negatives come from."""
    found = "the batch alone" if lane.miner == "none" else _with_options(lane.miner, lane.miner_options)
    more = [f"from step {lane.warmup + 1:,} on"] if lane.warmup else []
    return ", ".join([f"negatives of {found}", *more])


def _with_options(name: str, options: Mapping[str, Any]) -> str:
    told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in options.items() if value is not None)
    return f"{_name(name)} ({told})" if told else _name(name)


def _name(name: str) -> str:
    return name.removesuffix(OVER_DOCUMENTS)
