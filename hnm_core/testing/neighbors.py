"""`check_neighbors`: what every neighbour search promises (`hnm_core.neighbors.base.NeighborSearch`)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.base import NeighborSearch, QuerySearch
from hnm_core.neighbors.found import Neighbors, SearchCancelled, SearchProgress
from hnm_core.relevance import Judged, SameClass
from hnm_core.testing.banks import KINDS, bank_of, judgements_for, of_same_class, true_distances, vectors_for
from hnm_core.testing.expect import expect, expect_refused, torch_threads, unchanged

DISTANCES = (
    Distance(),
    Distance("squared-euclidean"),
    Distance("cosine"),
    Distance("inner-product"),
    Distance(normalized=True),
)

RELATIVE, ABSOLUTE = 2e-5, 1e-12
"""How far a float32 distance may be off."""
ABSOLUTE_ON_SPHERE = 1e-6
"""The same on the sphere, where float32 coordinates alone move 1 - s by 1e-7."""

SearchFactory = Callable[..., NeighborSearch]


def check_neighbors(
    factory: SearchFactory,
    *,
    approximate: bool = False,
    distances: Sequence[Distance] = DISTANCES,
    dims: Sequence[int] = (1, 3, 20),
) -> None:
    """Raises `AssertionError` with a sentence where a search breaks a promise.

    Args:
        factory: called as factory(distance=...), a search without a bank.
        approximate: whether it may miss neighbours. An exact one is held against brute force in float64.
        distances: that it supports.
        dims: that it supports.
    """
    distance, dim = distances[0], dims[-1]
    with torch_threads(1):
        search = factory(distance=distance)
        expect(search.approximate == approximate, f"approximate must be {approximate}, not {search.approximate!r}")
        expect_refused(lambda: search.nearest_negatives(torch.tensor([0]), 1), "a question before a bank was built")
        for each in distances:
            for columns in dims:
                for kind in KINDS:
                    _check_answers(factory(distance=each), kind, columns, each, approximate)
        _check_inputs(factory, distance, dim)
        _check_storage(factory, distance, dim)
        _check_rebuilding(factory, distance, dim)
        _check_progress(factory(distance=distance), dim)
    _check_repeatable(factory, distance, dim)
    _check_queries(factory(distance=distance), dim)


def _asks(search: NeighborSearch) -> list[tuple[str, Callable[..., Neighbors]]]:
    return [("nearest_negatives", search.nearest_negatives), ("farthest_positives", search.farthest_positives)]


def _check_answers(search: NeighborSearch, kind: str, dim: int, distance: Distance, approximate: bool) -> None:
    embeddings = bank_of(kind, dim).embeddings.clone().requires_grad_()
    bank = Bank(embeddings, bank_of(kind, dim).labels)
    anchors = torch.arange(len(bank)).flip(0)[::2]
    rows = _Asked(bank.embeddings[anchors], of_same_class(bank, anchors), anchors)
    vectors, labels = vectors_for(bank)
    strangers = _Asked(vectors, labels[:, None] == bank.labels[None], torch.full_like(labels, -1))
    positives, excluded = judgements_for(bank, len(vectors))
    judged = Judged(bank, positives, excluded)
    nobody, listed = torch.full_like(labels, -1), torch.zeros(len(vectors), len(bank), dtype=torch.bool)
    relevant, barred = listed.clone(), listed
    relevant[positives.anchor, positives.row] = True
    barred[judged.barred.anchor, judged.barred.row] = True
    answers = []
    with unchanged(bank, f"'{kind}' bank"):
        search.build(bank)
        for k in (1, 5, len(bank) + 3):
            answers += [(name, k, rows, ask(anchors, k)) for name, ask in _asks(search)]
        if isinstance(search, QuerySearch):
            query = SameClass(bank).of_vectors(vectors, labels)
            answers.append(("nearest to vectors", 5, strangers, search.nearest(query, 5)))
            answers.append(("farthest of vectors", 5, strangers, search.farthest(query, 5)))
            queries, of = judged.query(vectors), "of judged queries"
            for k in (1, 5, len(bank) + 3):
                answers.append((f"nearest {of}", k, _Asked(vectors, barred, nobody), search.nearest(queries, k)))
                answers.append((f"farthest {of}", k, _Asked(vectors, relevant, nobody), search.farthest(queries, k)))
    expect(bool(search.description), "description must say in words how it searches")
    for name, k, asked, found in answers:
        where = f"{name}, k = {k}, {distance}, '{kind}' bank of {len(bank)} points in {dim}-D"
        _check_answer(found, bank, asked, k, name.startswith("farthest"), distance, approximate, where)


@dataclass(frozen=True)
class _Asked:
    """Anchors as brute force sees them."""

    vectors: Tensor
    """(Q, D)."""
    relevant: Tensor
    """(Q, N) bool, itself included; of the nearest ones of judged queries all that may not come back."""
    row: Tensor
    """(Q,) the row that each of them is, or -1."""


def _check_answer(
    found: Neighbors,
    bank: Bank,
    asked: _Asked,
    k: int,
    farthest: bool,
    distance: Distance,
    approximate: bool,
    where: str,
) -> None:
    d, row = found
    count, truth = len(asked.row), true_distances(bank, asked.vectors, distance)
    expect(d.shape == row.shape == (count, k), f"{where}: shapes must be ({count}, {k}), not {d.shape}")
    expect(d.dtype == torch.float32 and row.dtype == torch.int64, f"{where}: must be float32 and int64")
    expect(not d.requires_grad, f"{where}: distances must carry no gradient")
    there = row >= 0
    expect(bool((row[~there] == -1).all() and d[~there].isposinf().all()), f"{where}: none is row -1, distance inf")
    expect(bool((there[:, 1:] <= there[:, :-1]).all()), f"{where}: missing neighbours must stand last")
    expect(bool((row < len(bank)).all()), f"{where}: there is no such row")
    safe = row.clamp(min=0)
    same = asked.relevant.gather(1, safe)
    if farthest:
        expect(bool(same[there].all()), f"{where}: a row that is not relevant was found")
        expect(bool((row != asked.row[:, None])[there].all()), f"{where}: an anchor was found as its own positive")
    else:
        expect(not bool(same[there].any()), f"{where}: a row of the anchor's own class was found")
    ordered = row.masked_fill(~there, len(bank)).sort(1).values
    twice = (ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] < len(bank))
    expect(not bool(twice.any()), f"{where}: a row was found twice for one anchor")

    on_sphere = distance.normalized or distance.metric == "cosine"
    slack: Tensor | float = ABSOLUTE_ON_SPHERE if on_sphere else ABSOLUTE
    if distance.metric == "inner-product":  # a sum whose terms may cancel is as exact as its terms
        norm = bank.embeddings.double().norm(dim=1)
        slack = slack + 1e-6 * asked.vectors.double().norm(dim=1)[:, None] * norm.max()
    own = truth.gather(1, safe)
    off = (d.double() - own).abs() - RELATIVE * own.abs() - slack
    expect(not bool((off[there] > 0).any()), f"{where}: a distance is not the distance of its row")
    sign = -1.0 if farthest else 1.0
    step = sign * (d[:, 1:] - d[:, :-1])
    expect(not bool((step[there[:, 1:]] < 0).any()), f"{where}: neighbours must stand in order")

    if approximate:
        return
    itself = asked.row[:, None] == torch.arange(len(bank))
    allowed = asked.relevant & ~itself if farthest else ~asked.relevant
    best = (sign * truth).masked_fill(~allowed, torch.inf).sort(1).values
    best = pad(best, (0, max(0, k - best.shape[1])), value=torch.inf)[:, :k]
    expect(torch.equal(there, best.isfinite()), f"{where}: a neighbour is missing although there is one")
    worse = (sign * own - best - RELATIVE * best.abs() - 2 * slack)[there]
    expect(not bool((worse > 0).any()), f"{where}: brute force finds a better neighbour")


def _check_inputs(factory: SearchFactory, distance: Distance, dim: int) -> None:
    bank, search = bank_of("random", dim), factory(distance=distance)
    search.build(bank)
    for name, ask in _asks(search):
        plain = ask(torch.arange(0, 100, 2), 3)
        for dtype in (torch.uint8, torch.int16, torch.int32):
            got = ask(torch.arange(100).to(dtype)[::2], 3)
            expect(torch.equal(got.row, plain.row), f"{name}: anchors as non-contiguous {dtype} give other rows")
        mixed = torch.tensor([7, 3, 7, 99, 0, 3])
        every = ask(torch.arange(len(bank)), 3)
        got = ask(mixed, 3)
        same = torch.equal(got.row, every.row[mixed]) and torch.equal(got.distance, every.distance[mixed])
        expect(same, f"{name}: the order and repetition of anchors must not matter")
        none = ask(torch.zeros(0, dtype=torch.int64), 3)
        expect(none.row.shape == none.distance.shape == (0, 3), f"{name}: no anchors must give shape (0, k)")
        for anchors, k, what in (
            (torch.tensor([len(bank)]), 3, "an anchor beyond the bank"),
            (torch.tensor([0, -1]), 3, "a negative anchor"),
            (torch.tensor([0]), 0, "k = 0"),
            (torch.tensor([0.0]), 3, "a floating-point anchor"),
            (torch.tensor([[0]]), 3, "a table of anchors"),
            (torch.ones(len(bank), dtype=torch.bool), 3, "a mask for anchors"),
        ):
            expect_refused(lambda ask=ask, anchors=anchors, k=k: ask(anchors, k), f"{name}: {what}")  # type: ignore[misc]


def _check_queries(search: NeighborSearch, dim: int) -> None:
    """A search that takes queries answers them as it answers rows, and refuses those about another bank."""
    if not isinstance(search, QuerySearch):
        return
    bank, anchors = bank_of("random", dim), torch.tensor([7, 3, 7, 99, 0, 3])
    search.build(bank)
    query, other = SameClass(bank).query(anchors), SameClass(bank_of("random", dim)).query(anchors)
    for (name, ask), answer in zip(_asks(search), (search.nearest, search.farthest), strict=True):
        rows, found = ask(anchors, 3), answer(query, 3)
        same = torch.equal(rows.row, found.row) and torch.equal(rows.distance, found.distance)
        expect(same, f"{name}: a query for the rows' classes must give the same answer")
        expect_refused(lambda answer=answer: answer(other, 3), f"{name}: a query about another bank")  # type: ignore[misc]
    vectors, labels = bank.embeddings[anchors], bank.labels[anchors]
    by_row, by_vector = search.nearest_negatives(anchors, 3), search.nearest_to(vectors, 3, labels)
    same = torch.equal(by_row.distance, by_vector.distance)
    expect(same, "nearest_to: vectors that equal rows must get what these rows get, with their labels")
    none = search.nearest_to(vectors[:0], 3)
    expect(none.row.shape == none.distance.shape == (0, 3), "nearest_to: no vectors must give shape (0, k)")
    _check_judged_queries(search, bank)
    nothing = search.farthest(SameClass(bank).of_vectors(vectors), 3)
    expect(bool((nothing.row == -1).all()), "farthest: of vectors to which nothing is relevant nothing may be found")


def _check_judged_queries(search: QuerySearch, bank: Bank) -> None:
    """Queries whose positives are listed get what they get alone, in any order, also none of them; they are about the
    bank of the search."""
    vectors, _ = vectors_for(bank)
    positives, excluded = judgements_for(bank, len(vectors))
    judged, mixed = Judged(bank, positives, excluded), torch.tensor([7, 3, 7, 19, 0, 3])
    other = Judged(bank_of("random", bank.dim), positives, excluded).query(vectors)
    for name, answer in (("nearest", search.nearest), ("farthest", search.farthest)):
        every, some = answer(judged.query(vectors), 3), answer(judged.query(vectors[mixed], mixed), 3)
        same = torch.equal(some.row, every.row[mixed]) and torch.equal(some.distance, every.distance[mixed])
        expect(same, f"{name} of judged queries: their order and repetition must not matter")
        nobody = torch.zeros(0, dtype=torch.int64)
        none = answer(judged.query(vectors[:0], nobody), 3)
        expect(none.row.shape == none.distance.shape == (0, 3), f"{name}: no judged queries must give shape (0, k)")
        expect_refused(lambda answer=answer: answer(other, 3), f"{name}: judged queries about another bank")  # type: ignore[misc]
        calls: list[tuple[int, int]] = []
        answer(judged.query(vectors), 3, lambda done, total, calls=calls: calls.append((done, total)))  # type: ignore[misc]
        if name == "nearest":
            expect(bool(calls) and calls[-1] == (20, 20), "nearest of judged queries: progress must end with the total")


def _check_repeatable(factory: SearchFactory, distance: Distance, dim: int) -> None:
    bank = bank_of("clustered", dim, n=400)
    anchors = torch.arange(400)
    answers = []
    for threads in (1, 2, 1):
        with torch_threads(threads):
            search = factory(distance=distance)
            search.build(bank)
            answers.append([ask(anchors, 7) for _, ask in _asks(search)])
            expect(torch.get_num_threads() == threads, "a search must leave torch's number of threads alone")
    for answer, words in ((answers[1], "two threads and one"), (answers[2], "two searches made alike")):
        for got, first in zip(answer, answers[0], strict=True):
            same = torch.equal(got.row, first.row) and torch.equal(got.distance, first.distance)
            expect(same, f"{words} must give the same answer")


def _check_storage(factory: SearchFactory, distance: Distance, dim: int) -> None:
    """Half, double and non-contiguous embeddings, labels at both ends of int64."""
    source = torch.Generator().manual_seed(1)
    points = torch.randn(60, dim, generator=source).half()  # values that each of the types can hold
    classes = torch.randint(3, (60,), generator=source)
    odd = torch.tensor([-(2**63), 0, 2**63 - 1])[classes]
    wide = torch.zeros(60, 2 * dim)
    wide[:, ::2] = points.float()
    forms = {
        "half": (points, classes),
        "double": (points.double(), classes.to(torch.int32)),
        "non-contiguous": (wide[:, ::2], classes),
        "with labels at the ends of int64": (points.float(), odd),
    }
    plain = _answers(factory, distance, Bank(points.float(), classes))
    for name, (embeddings, labels) in forms.items():
        for got, first in zip(_answers(factory, distance, Bank(embeddings, labels)), plain, strict=True):
            expect(torch.equal(got.row, first.row), f"embeddings {name} give other rows than plain float32")
    spoilt = points.float().clone()
    spoilt[3, 0] = torch.nan
    expect_refused(lambda: factory(distance=distance).build(Bank(spoilt, classes)), "NaN in the embeddings")


def _answers(factory: SearchFactory, distance: Distance, bank: Bank) -> list[Neighbors]:
    search = factory(distance=distance)
    search.build(bank)
    return [ask(torch.arange(len(bank)), 4) for _, ask in _asks(search)]


def _check_rebuilding(factory: SearchFactory, distance: Distance, dim: int) -> None:
    first, second = bank_of("random", dim), bank_of("clustered", dim, n=40, seed=3)
    search = factory(distance=distance)
    search.build(first)
    anchors = torch.arange(40)
    before = [ask(anchors, 4) for _, ask in _asks(search)]
    twin = copy.deepcopy(search)
    search.build(second)
    for (name, ask), old in zip(_asks(search), before, strict=True):
        got = ask(anchors, 4)
        expect(bool((got.row < 40).all()), f"{name}: after building on a smaller bank rows of the old one were found")
        expect(not torch.equal(got.distance, old.distance), f"{name}: a second build must replace the first bank")
    for (name, ask), old in zip(_asks(twin), before, strict=True):
        expect(torch.equal(ask(anchors, 4).row, old.row), f"{name}: a deep copy must not follow the original's builds")


def _check_progress(search: NeighborSearch, dim: int) -> None:
    bank = bank_of("random", dim)
    search.build(bank)
    anchors = torch.arange(len(bank))
    for name, ask in _asks(search):
        calls: list[tuple[int, int]] = []

        def follow(done: int, total: int, calls: list[tuple[int, int]] = calls) -> None:
            calls.append((done, total))

        plain, followed = ask(anchors, 3), ask(anchors, 3, follow)
        expect(torch.equal(plain.row, followed.row), f"{name}: progress must not change the answer")
        expect(bool(calls), f"{name}: progress was never called")
        expect({total for _, total in calls} == {len(anchors)}, f"{name}: progress counts anchors")
        done = [count for count, _ in calls]
        expect(done == sorted(done) and done[-1] == len(anchors), f"{name}: progress must grow and end with the total")
        expect(_cancelled(ask, anchors, lambda _done, _total: False), f"{name}: returning False must cancel the search")
        again = ask(anchors, 3)
        expect(torch.equal(again.row, plain.row), f"{name}: after a cancelled search the answer must be the same")


def _cancelled(ask: Callable[..., Neighbors], anchors: Tensor, progress: SearchProgress) -> bool:
    try:
        ask(anchors, 3, progress)
    except SearchCancelled:
        return True
    return False
