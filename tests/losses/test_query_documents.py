"""InfoNCE over queries and documents against its definition in float64, one query after the other."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from hnm_core.errors import InputError
from hnm_core.losses.query_documents import QueryDocumentLoss, QueryDocumentOptions

B, M, D = 9, 14, 20


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Queries, documents, positives (two queries share one), and what else is relevant."""
    generator = torch.Generator().manual_seed(seed)
    positive = torch.randperm(M, generator=generator)[:B]
    positive[1] = positive[0]
    relevant = torch.rand((B, M), generator=generator) < 0.2
    queries, documents = (torch.randn((count, D), generator=generator) for count in (B, M))
    return queries, documents, positive, relevant


def by_hand(
    queries: Tensor, documents: Tensor, positive: Tensor, relevant: Tensor, temperature: float, symmetric: bool
) -> float:
    """Queries x documents as lists of float64."""
    q, d = (table.double() / table.double().norm(dim=1, keepdim=True) for table in (queries, documents))
    s = (q @ d.T / temperature).tolist()
    rows, columns = [], []
    for i, p in enumerate(positive.tolist()):
        row = [s[i][j] for j in range(len(documents)) if j != p and not relevant[i, j]]
        rows.append(math.log1p(sum(math.exp(v - s[i][p]) for v in row)))
        column = [s[j][p] for j in range(len(queries)) if positive[j] != p and not relevant[j, p]]
        columns.append(math.log1p(sum(math.exp(v - s[i][p]) for v in column)))
    mean = sum(rows) / len(rows)
    return (mean + sum(columns) / len(columns)) / 2 if symmetric else mean


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("temperature", [1.0, 0.05])
def test_that_the_loss_is_its_definition_with_relevant_documents_masked(symmetric: bool, temperature: float) -> None:
    for seed in range(5):
        given = batch(seed)
        loss = QueryDocumentLoss(QueryDocumentOptions(temperature=temperature, symmetric=symmetric))
        assert loss(*given).item() == pytest.approx(by_hand(*given, temperature, symmetric), rel=1e-5)
        own = torch.zeros_like(given[3])
        assert loss(*given[:3]).item() == pytest.approx(by_hand(*given[:3], own, temperature, symmetric), rel=1e-5)


def test_that_relevant_documents_of_other_queries_are_counted_and_get_no_gradient() -> None:
    queries, documents, positive, _ = batch()
    relevant = torch.zeros((B, M), dtype=torch.bool)
    spare = next(row for row in range(M) if row not in positive)
    relevant[2:, spare] = True
    relevant[0, positive[0]] = True  # its own positive is no other
    documents.requires_grad_()
    loss = QueryDocumentLoss()
    terms = loss.terms(queries[2:], documents, positive[2:], relevant[2:])
    assert terms.masked == B - 2
    loss.reduce(terms, queries[2:]).backward()
    assert documents.grad is not None
    assert documents.grad[spare].count_nonzero() == 0
    assert documents.grad[positive[3]].count_nonzero() == D
    assert loss.terms(queries, documents, positive).masked == 0, "a document that two share is the positive of both"


def test_that_gradients_are_those_of_finite_differences() -> None:
    queries, documents, positive, relevant = batch(3)
    loss = QueryDocumentLoss(QueryDocumentOptions(symmetric=True, temperature=0.3))
    q, d = queries.double().requires_grad_(), documents.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda q, d: loss(q, d, positive, relevant), (q, d))


def test_that_a_temperature_is_learned_and_shows_itself() -> None:
    loss = QueryDocumentLoss(QueryDocumentOptions(learn_temperature=True, temperature=0.2))
    optimizer = torch.optim.SGD(loss.parameters(), lr=0.1)
    before = loss(*batch())
    before.backward()
    optimizer.step()
    assert loss(*batch()) < before
    assert loss.terms(*batch()).temperature.item() != pytest.approx(0.2)
    assert not list(QueryDocumentLoss().parameters())


def test_that_low_temperatures_and_autocast_change_nothing() -> None:
    given = batch()
    sharp = QueryDocumentLoss(QueryDocumentOptions(temperature=1e-4))
    assert sharp(*given).item() == pytest.approx(by_hand_sharp(given), rel=1e-5)
    loss = QueryDocumentLoss()
    plain = loss(*given)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(loss(*given), plain)
    assert loss(given[0].bfloat16(), *given[1:]).dtype == torch.float32


def by_hand_sharp(given: tuple[Tensor, Tensor, Tensor, Tensor]) -> float:
    """At a temperature of 1e-4 the largest term is all of a sum."""
    queries, documents, positive, relevant = given
    q, d = (torch.nn.functional.normalize(table.double()) for table in (queries, documents))
    s = q @ d.T
    of_positive = s.gather(1, positive[:, None])
    s = s.masked_fill(relevant, -torch.inf).scatter(1, positive[:, None], -torch.inf)
    return float(((s - of_positive) / 1e-4).logsumexp(1).clamp(min=0).mean())


def test_that_a_query_without_negatives_has_no_loss_and_no_gradient() -> None:
    queries, documents, positive, relevant = batch()
    relevant[4] = True
    queries.requires_grad_()
    loss = QueryDocumentLoss(QueryDocumentOptions(symmetric=True))
    terms = loss.terms(queries, documents, positive, relevant)
    assert terms.to_documents[4] == 0
    loss.reduce(terms, queries).backward()
    assert queries.grad is not None and bool(queries.grad.isfinite().all())
    alone = QueryDocumentLoss()(queries[:1], documents[:1], torch.tensor([0]))
    assert alone == 0
    nobody = QueryDocumentLoss()(queries[:0], documents, positive[:0])
    nobody.backward()
    assert nobody == 0


@pytest.mark.parametrize(
    ("place", "value", "says"),
    [
        (0, torch.full((B, D), torch.nan), "NaN"),
        (1, torch.ones((M, D + 1)), "columns"),
        (2, torch.full((B,), M), "rows of the 14 documents"),
        (2, torch.zeros(B), "9 integers"),
        (3, torch.ones((B, M)), "bool tensor"),
    ],
)
def test_that_wrong_input_is_refused_in_a_sentence(place: int, value: Tensor, says: str) -> None:
    given = [*batch()]
    given[place] = value
    with pytest.raises(InputError, match=says):
        QueryDocumentLoss()(*given)
