"""Options of the loss over queries and documents; loads no torch."""

from __future__ import annotations

from pydantic import Field

from hnm_core.spec.traits import Options


class QueryDocumentOptions(Options):
    """Options of `QueryDocumentLoss`."""

    temperature: float = Field(0.05, ge=1e-4, le=1e4, description="divides the similarities; lower is sharper")
    learn_temperature: bool = Field(False, description="train the temperature as its logarithm, from that value on")
    symmetric: bool = Field(
        False, description="also tell each positive's query from the other queries of the batch; the mean of both"
    )
