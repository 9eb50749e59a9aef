"""InfoNCE over queries and documents: each query's positive against the other documents of the batch, the positives of
other queries and whatever negatives were mined (van den Oord 2018; DPR, Karpukhin 2020)."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from hnm_core.distances import Distance
from hnm_core.errors import InputError, described
from hnm_core.isolation import in_full_precision
from hnm_core.labels import INTEGERS
from hnm_core.losses.checks import check_rows, wide
from hnm_core.losses.query_document_options import QueryDocumentOptions
from hnm_core.losses.softmax import TEMPERATURES

COSINE = Distance("cosine")


class QueryDocumentTerms(NamedTuple):
    """What the loss of a batch is made of."""

    to_documents: Tensor
    """(B,) of each query among the documents, with gradient"""
    to_queries: Tensor | None
    """(B,) of each query's positive among the queries; None unless the loss is symmetric"""
    masked: int
    """documents of the batch, pairs with a query, that are relevant to it beside its positive and were left out"""
    temperature: Tensor
    """scalar without gradient"""


class QueryDocumentLoss(nn.Module):
    """log(1 + sum of exp((s_n - s_p) / temperature) over the documents that are not relevant to the query), the mean
    over queries. Similarities are cosines, or negative distances of whatever distance is given.

    A document of the batch that is relevant to a query beside its positive is neither its positive nor a negative: it
    is masked, and counted. A query without any negative has the loss 0, and no gradient.
    """

    def __init__(self, options: QueryDocumentOptions | None = None, distance: Distance | None = None) -> None:
        super().__init__()
        self.options = options or QueryDocumentOptions()
        self.distance = distance or COSINE
        start = torch.tensor(math.log(self.options.temperature), dtype=torch.float64)
        self.log_temperature: Tensor
        if self.options.learn_temperature:
            self.log_temperature = nn.Parameter(start.float())
        else:
            self.register_buffer("log_temperature", start, persistent=False)

    def forward(self, queries: Tensor, documents: Tensor, positive: Tensor, relevant: Tensor | None = None) -> Tensor:
        """The loss, a scalar in float32 or better. Arguments and errors are those of `terms`."""
        return self.reduce(self.terms(queries, documents, positive, relevant), queries)

    @in_full_precision
    def terms(
        self, queries: Tensor, documents: Tensor, positive: Tensor, relevant: Tensor | None = None
    ) -> QueryDocumentTerms:
        """The terms behind the loss.

        Args:
            queries: (B, D), finite.
            documents: (M, D), finite and all different documents: the positives, and any negatives.
            positive: (B,) integers, the row of `documents` that is each query's positive.
            relevant: (B, M) bool, documents that are relevant to each query; its positive need not be among them. None
                says that of the positives alone, so that another query's positive is a negative unless it is the same
                document.

        Raises:
            InputError: shapes do not match, a positive is no row of `documents`, or NaN or infinity in the embeddings.
        """
        self._check(queries, documents, positive, relevant)
        queries, documents = wide(queries), wide(documents)
        kind = torch.promote_types(queries.dtype, documents.dtype)
        temperature = self._temperature(kind, queries.device)
        logits = self.distance.pairwise(queries.to(kind), documents.to(kind)) / -temperature
        own = functional.one_hot(positive.long(), len(documents)).bool()
        of_positive = logits.gather(1, positive.long()[:, None])[:, 0]
        left_out = own if relevant is None else own | relevant
        to_documents = _beyond(logits, of_positive, ~left_out)
        to_queries = None
        if self.options.symmetric:  # column by column, of those that are some query's positive
            to_queries = _beyond(logits.T[positive], of_positive, ~left_out.T[positive])
        masked = int(left_out.sum()) - len(queries)
        return QueryDocumentTerms(to_documents, to_queries, masked, temperature.detach())

    def reduce(self, terms: QueryDocumentTerms, queries: Tensor) -> Tensor:
        """The mean of the terms; 0 and connected to the graph where there is no query."""
        if not len(queries):
            return wide(queries).sum()
        mean = terms.to_documents.mean()
        return mean if terms.to_queries is None else (mean + terms.to_queries.mean()) / 2

    def parameter_groups(self, lr: float) -> list[dict[str, Any]]:
        """The temperature, where it is learned, as an optimiser group without weight decay; else nothing."""
        parameters = list(self.parameters())
        return [{"params": parameters, "lr": lr, "weight_decay": 0.0}] if parameters else []

    def _temperature(self, kind: torch.dtype, device: torch.device) -> Tensor:
        if not self.options.learn_temperature:
            return torch.tensor(self.options.temperature, dtype=kind, device=device)
        return self.log_temperature.to(device, kind).exp().clamp(*TEMPERATURES)

    def _check(self, queries: Tensor, documents: Tensor, positive: Tensor, relevant: Tensor | None) -> None:
        for name, table in (("queries", queries), ("documents", documents)):
            if not isinstance(table, Tensor) or table.ndim != 2 or not table.is_floating_point():
                raise InputError(f"{name} must be a floating-point tensor (rows, D), not {described(table)}.")
            check_rows(name, table)
        if queries.shape[1] != documents.shape[1]:
            raise InputError(
                f"queries have {queries.shape[1]} columns and documents {documents.shape[1]}; they must agree."
            )
        if not isinstance(positive, Tensor) or positive.shape != queries.shape[:1] or positive.dtype not in INTEGERS:
            raise InputError(
                f"positive must be a tensor of {len(queries)} integers, a row of documents for each query, not "
                f"{described(positive)}."
            )
        if len(positive) and not 0 <= int(positive.min()) <= int(positive.max()) < len(documents):
            raise InputError(f"positive must be rows of the {len(documents):,} documents, 0 or more.")
        wanted = (len(queries), len(documents))
        if relevant is not None and (relevant.shape != wanted or relevant.dtype != torch.bool):
            raise InputError(f"relevant must be a bool tensor of shape {wanted}, not {described(relevant)}.")


def _beyond(logits: Tensor, of_positive: Tensor, negative: Tensor) -> Tensor:
    """(B,) softplus of the log sum of exp over the negatives, (B, M) bool, less the positive; 0 where there is none."""
    some = negative.any(1)
    usable = negative | ~some[:, None]  # a row without negatives is summed as if it had them, so that it is finite
    lse = torch.logsumexp(logits.masked_fill(~usable, -torch.inf), 1)
    return torch.where(some, functional.softplus(lse - of_positive), 0.0)
