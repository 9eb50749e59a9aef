"""Any miner of pytorch-metric-learning by its class name, behind the contract of our own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Generator, Tensor, nn

from hnm_core import seeding
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.isolation import isolated
from hnm_core.miners.base import Pairs, Triplets
from hnm_core.miners.in_batch.miner import UNIT_EUCLIDEAN
from hnm_core.miners.pml_options import PmlMinerOptions
from hnm_core.pml import REFUSALS, calling, check_rows, library_class, library_distance, of_one_kind


def build(options: PmlMinerOptions, generator: Generator | None = None, distance: Distance | None = None) -> PmlMiner:
    """The miner that `options` describe; without a distance the library's own default.

    Raises:
        InputError: the library is missing or lacks the class, or the miner takes no such distance.
    """
    name = options.library_name
    if options.gone:
        raise InputError(options.gone)
    library = library_class("miners", name)
    if options.unit_euclidean_only and distance is not None and distance != UNIT_EUCLIDEAN:
        raise InputError(
            f"The miner '{name}' needs Euclidean distance on normalised embeddings; set distance = \"euclidean\" and "
            "normalize = true."
        )
    arguments = options.model_dump()
    if distance is not None:
        arguments["distance"] = library_distance(distance)
    return PmlMiner(library(**arguments), options, generator)


class PmlMiner(nn.Module):
    """One of the library's miners. It draws under the seed of its generator and leaves the global one alone."""

    scope = "batch"

    def __init__(self, miner: Any, options: PmlMinerOptions, generator: Generator | None = None) -> None:
        super().__init__()
        self.miner = miner
        self.options = options
        self.generator = generator if generator is not None else seeding.generator(0, "in-batch miner")

    @isolated
    def forward(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None = None, ref_labels: Tensor | None = None
    ) -> Triplets | Pairs:
        """See `hnm_core.miners.base.BatchMiner`.

        Raises:
            InputError: wrong shapes, NaN or infinity, or what the library refuses.
        """
        if ref_emb is embeddings:
            ref_emb = ref_labels = None  # the batch itself, whose rows are no partners of themselves
        self._check(embeddings, labels, ref_emb, ref_labels)
        triplets = self.options.gives == "triplets"
        if not len(embeddings) or (ref_emb is not None and not len(ref_emb)):
            nothing = torch.zeros((3 if triplets else 4, 0), dtype=torch.int64, device=embeddings.device)
            return Triplets(*nothing) if triplets else Pairs(*nothing)
        # The library compares angles of the points as they are; they are meant to lie on the sphere.
        rows, ref_rows = self._rows(embeddings), None if ref_emb is None else self._rows(ref_emb)
        if ref_rows is not None:
            rows, ref_rows = of_one_kind(rows, ref_rows)
        with calling(self.generator, embeddings.device):
            try:
                found = self.miner(rows, labels, ref_rows, ref_labels)
            except REFUSALS as error:
                name = self.options.library_name
                raise InputError(f"pytorch-metric-learning's {name} cannot mine this batch: {error}") from error
        vectors = [vector.to(embeddings.device, torch.int64) for vector in found]
        return Triplets(*vectors) if triplets else Pairs(*vectors)

    def state(self) -> dict[str, Any]:
        """See `hnm_core.miners.base.TellsState`. The library's miners are made anew by each call."""
        return {"generator": self.generator.get_state()}

    def restore(self, state: Mapping[str, Any], bank: Bank | None = None) -> None:
        """See `hnm_core.miners.base.TellsState`."""
        self.generator.set_state(state["generator"])

    def _rows(self, rows: Tensor) -> Tensor:
        rows = rows.detach()
        rows = rows if rows.dtype == torch.float64 else rows.float()
        return torch.nn.functional.normalize(rows) if self.options.library_name == "AngularMiner" else rows

    def _check(self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None, ref_labels: Tensor | None) -> None:
        check_rows("embeddings", embeddings, labels)
        if (ref_emb is None) != (ref_labels is None):
            raise InputError("ref_emb and ref_labels go together: give both or neither.")
        if ref_emb is not None and ref_labels is not None:
            check_rows("ref_emb", ref_emb, ref_labels)
        if self.options.library_name == "EmbeddingsAlreadyPackagedAsTriplets" and len(embeddings) % 3:
            raise InputError(
                f"{len(embeddings)} rows are no triplets: rows must come in the order anchor, positive, negative."
            )
