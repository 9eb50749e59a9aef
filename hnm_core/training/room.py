"""What a run will take of the memory, estimated before it takes it."""

from __future__ import annotations

from hnm_core.spec.config import ExperimentConfig
from hnm_core.system import memory
from hnm_core.training.setup import Shared

FLOAT, DOUBLE = 4, 8
COPIES_OF_A_BANK = 2
"""Embeddings of the whole set as the network gives them, and as a search arranges them."""
COPIES_OF_A_FRAME = FLOAT + 3 * DOUBLE
"""Bytes for each number that is shown: embedded, and projected in 64 bits."""
COPIES_OF_A_SQUARE = 3 * DOUBLE
"""Bytes for each pair of dimensions while a frame finds its axes."""
COPIES_OF_A_BATCH = 12
"""Anchors, positives and negatives, with what their gradient needs."""
COPIES_OF_PAIRS = 4
"""Distances of a batch, with what their gradient needs."""


def require(shared: Shared, *, frames: bool) -> None:
    """Refuse a run whose embeddings, pairs and copies of the network do not fit; `frames`: whether clouds are made.

    Raises:
        InputError: which names the option that takes most.
    """
    config, width = shared.config, shared.problem.embedding
    banks = sum(not lane.in_batch and lane.mines for lane in config.lanes)
    batch = min(config.sampler.batch, shared.trained)
    in_batch = any(lane.in_batch for lane in config.lanes)
    rows = banks * COPIES_OF_A_BANK * shared.trained + COPIES_OF_A_BATCH * batch
    embeddings = width * FLOAT * rows
    if frames:
        embeddings += width * COPIES_OF_A_FRAME * len(shared.shown_row)
        embeddings += width**2 * COPIES_OF_A_SQUARE * (width > 3)
    weights = sum(parameter.numel() for parameter in shared.model.parameters())
    taken = {
        f"model.options.embedding = {width:,}": embeddings,
        f"sampler.batch = {config.sampler.batch:,}": in_batch * FLOAT * COPIES_OF_PAIRS * batch**2,
        f"the model '{config.model.name}' in {len(config.lanes)} lanes": FLOAT * weights * copies_of_weights(config),
    }
    if shared.device.type == "cpu":
        memory.require(sum(taken.values()), max(taken, key=lambda what: taken[what]), "make it smaller")


def copies_of_weights(config: ExperimentConfig) -> int:
    """Of each weight in a run: for each lane itself, its gradient, and what the optimiser keeps."""
    kept = 2 if config.optimizer.name.startswith("adam") else int(config.optimizer.options.get("momentum", 0) > 0)
    return len(config.lanes) * (2 + kept)
