"""What a run will take of the memory, estimated before it takes it."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hnm_core.evaluation.nearest import TILE_ENTRIES
from hnm_core.evaluation.projection import MAX_EXACT
from hnm_core.spec.config import ExperimentConfig
from hnm_core.system import memory
from hnm_core.training.lane_bank import EMBED_ROWS
from hnm_core.training.setup import Shared

FLOAT, DOUBLE = 4, 8
COPIES_OF_A_BANK = 2
"""Embeddings of the whole set as the network gives them, and as a search arranges them."""
COPIES_OF_A_FRAME = FLOAT + 3 * DOUBLE
"""Bytes for each number that is shown: embedded, and projected in 64 bits."""
COPIES_OF_A_SQUARE = 3 * DOUBLE
"""Bytes for each pair of dimensions, or of points where they are fewer, while a frame finds its axes."""
COPIES_OF_THE_MEASURED = FLOAT + 4 * DOUBLE
"""Bytes for each number that retrieval is measured by: as it is, in 64 bits, as the distance has it, and centred."""
COPIES_OF_A_RANKING = 5 * DOUBLE
"""Bytes for each pair of a query and another item that are ranked at a time: their scores, and the order of these."""
COPIES_IN_PASSING = 3
"""Of what the largest layer gives for the items that are embedded at a time."""
COPIES_OF_A_BATCH = 12
"""Anchors, positives and negatives, with what their gradient needs."""
COPIES_OF_PAIRS = 4
"""Distances of a batch, with what their gradient needs."""


def require(shared: Shared, *, frames: bool) -> None:
    """Refuse a run whose embeddings, pairs, layers and copies of the network do not fit; `frames`: whether clouds are
    made.

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
        side = min(width, len(shared.shown_row))
        embeddings += side**2 * COPIES_OF_A_SQUARE * (width > 3 and side <= MAX_EXACT)
    weights = sum(parameter.numel() for parameter in shared.model.parameters())
    layers = layers_of(shared.model, shared.x[:1])
    passing = min(EMBED_ROWS, shared.trained) * COPIES_IN_PASSING * layers.largest
    taken = {
        f"model.options.embedding = {width:,}": embeddings + of_measuring(shared, width),
        f"sampler.batch = {config.sampler.batch:,}": FLOAT
        * (in_batch * COPIES_OF_PAIRS * batch**2 + batch * (layers.together + 2 * layers.largest)),
        f"the model '{config.model.name}' in {len(config.lanes)} lanes": FLOAT
        * (weights * copies_of_weights(config) + passing),
    }
    if shared.device.type == "cpu":
        memory.require(sum(taken.values()), max(taken, key=lambda what: taken[what]), "make it smaller")


def of_measuring(shared: Shared, width: int) -> int:
    """Bytes that retrieval takes among the items that are measured, by `width` numbers of each."""
    items = len(shared.evaluated_row)
    at_once = min(len(shared.query_place) * items, TILE_ENTRIES)
    return items * width * COPIES_OF_THE_MEASURED + at_once * COPIES_OF_A_RANKING


class Layers(NamedTuple):
    """How many numbers the layers of a network give for one item."""

    together: int
    largest: int


def layers_of(model: nn.Module, row: Tensor) -> Layers:
    """The layers of a network by what they make of one (1, D) row; nothing where it takes no single row."""
    twin, found = copy.deepcopy(model).eval(), [0]
    for layer in twin.modules():
        if not any(True for _ in layer.children()):
            layer.register_forward_hook(
                lambda _layer, _given, made: found.append(made.numel() if isinstance(made, Tensor) else 0)
            )
    try:
        with torch.no_grad():
            twin(row)
    except Exception:  # noqa: BLE001 - code of the user's, which training will ask in its own way
        return Layers(0, 0)
    return Layers(sum(found), max(found))


def copies_of_weights(config: ExperimentConfig) -> int:
    """Of each weight in a run: for each lane itself, its gradient, and what the optimiser keeps."""
    kept = 2 if config.optimizer.name.startswith("adam") else int(config.optimizer.options.get("momentum", 0) > 0)
    return len(config.lanes) * (2 + kept)
