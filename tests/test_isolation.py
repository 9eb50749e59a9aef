"""Whatever the program around has done to torch, every public entry answers as it does elsewhere."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from hnm_core import kernels, losses, miners, neighbors
from hnm_core.bank import Bank
from hnm_core.data.judged import Items, Judgements
from hnm_core.distances import METRICS, Distance
from hnm_core.evaluation.codes import code_retrieval
from hnm_core.evaluation.document_metrics import document_scores
from hnm_core.evaluation.mining_quality import compare
from hnm_core.evaluation.ranked_documents import rank_documents
from hnm_core.evaluation.ranking import ranking
from hnm_core.evaluation.retrieval import retrieval
from hnm_core.evaluation.spread import class_spread
from hnm_core.evaluation.suspects import voted
from hnm_core.losses.base import Problem
from hnm_core.losses.query_documents import QueryDocumentLoss, QueryDocumentOptions
from hnm_core.miners.base import MiningContext
from hnm_core.miners.in_batch.batch import KERNELS
from hnm_core.miners.in_batch.memory_bank import MemoryBank
from hnm_core.miners.whole_set.drift import drift
from hnm_core.miners.whole_set.for_queries import QueryMiner
from hnm_core.miners.whole_set.options import KnnOptions
from hnm_core.negatives.mining import mine
from hnm_core.negatives.to_file import LabelledSet
from hnm_core.relevance import Judged
from hnm_core.row_lists import RowLists
from hnm_core.spec.registry import LOSSES, MINERS, NEIGHBORS
from hnm_core.studies.auditing import audit, request
from tests.families import across

ROWS, DIM, CLASSES = 60, 24, 6
"""More than 16 dimensions, where distances are made of products."""
ANCHORS = torch.arange(ROWS)
SOURCE, OTHER = torch.Generator(), torch.Generator()
"""Made here, where they lie on the CPU whatever a test does."""

IN_BATCH = [
    name
    for name in MINERS.names()
    if MINERS.entry(name).scope == "batch" and not getattr(MINERS.entry(name).options, "gone", "")
]
WHOLE_SET = [name for name in MINERS.names() if MINERS.entry(name).scope == "dataset"]


@contextmanager
def coarse_products() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision("highest")


@contextmanager
def double_by_default() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


SURROUNDINGS: dict[str, Callable[[], AbstractContextManager[Any]]] = {
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "coarse products": coarse_products,
    "double by default": double_by_default,
    "inference mode": torch.inference_mode,
    "another default device": lambda: torch.device("meta"),
}


def points(kind: torch.dtype = torch.float32) -> tuple[Tensor, Tensor]:
    """Rows in any order whose numbers half precision holds, too."""
    source = torch.Generator().manual_seed(5)
    labels = torch.randint(CLASSES, (ROWS,), generator=source)
    rows = torch.randn(ROWS, DIM, generator=source, dtype=torch.float32) + 0.3 * labels[:, None].float()
    return rows.bfloat16().to(kind), labels


def mined_in_batch(name: str, rows: Tensor, labels: Tensor) -> Any:
    return miners.create(name, SOURCE.manual_seed(1))(rows, labels)


def mined_of_whole_set(name: str, rows: Tensor, labels: Tensor) -> Any:
    miner = miners.create(name, SOURCE.manual_seed(1))
    context = MiningContext(0, 0, OTHER.manual_seed(2), Distance())
    miner.refresh(Bank(rows, labels), context)
    return miner.mine(ANCHORS, context)


def found(name: str, metric: str, rows: Tensor, labels: Tensor) -> Any:
    if (name, metric) == ("kdtree", "inner-product"):
        return ()
    if name == "kdtree":
        rows = rows[:, :8]
    search = neighbors.create(name, distance=Distance(metric))
    search.build(Bank(rows, labels))
    asked = search.nearest_to(rows.flip(0)[:20], 5, labels[:20])
    return search.nearest_negatives(ANCHORS, 5), search.farthest_positives(ANCHORS, 3), asked


def lost(name: str, rows: Tensor, labels: Tensor) -> Any:
    with torch.device("cpu"):  # weights lie where the user wants them
        loss = losses.create(name, problem=Problem(CLASSES, DIM))
    if name == "VICRegLoss":
        return loss(rows, labels, ref_emb=rows.flip(0), ref_labels=labels)
    return loss(rows, labels)


def remembered(rows: Tensor, labels: Tensor) -> Any:
    memory = MemoryBank(40)
    memory.add(rows, labels, ANCHORS, step=0)
    return memory.reference(3, without=ANCHORS[:5])


def ranked(rows: Tensor, labels: Tensor) -> Any:
    """The first 20 rows are queries about the others, one of which is relevant to each."""
    place = np.arange(20)
    blocks = list(rank_documents(rows[:20], rows[20:], depth=10))
    return tuple(blocks), document_scores(blocks, Judgements(place, place, np.ones(20, np.float32)), 20, 40)


def lost_of_queries(rows: Tensor, labels: Tensor) -> Any:
    with torch.device("cpu"):
        loss = QueryDocumentLoss(QueryDocumentOptions(symmetric=True, learn_temperature=True))
    return loss(rows[:20], rows[20:], ANCHORS[:20], labels[:20, None] == labels[20:])


def mined_for_queries(rows: Tensor, labels: Tensor) -> Any:
    place = ANCHORS[:20]
    judged = Judged(Bank(rows[20:]), RowLists.of_pairs(place, place, 20, 40), RowLists.empty(20, 40, rows.device))
    miner = QueryMiner(KnnOptions(relative_margin=0.05, candidates=8), neighbors.create("exact"))
    miner.refresh(judged.bank, MiningContext())
    return miner.mine_for(judged.query(rows[:20]), place, MiningContext())


def mined_negatives(rows: Tensor, labels: Tensor) -> Any:
    listed, of_classes = mine(rows, rows.flip(0), absolute_margin=0.01), mine(rows, labels=labels)
    return tuple(torch.from_numpy(part) for each in (listed, of_classes) for part in (each.negative, each.score))


def audited(rows: Tensor, labels: Tensor) -> Any:
    items = Items(np.arange(len(rows)), None, rows.float().numpy())
    made = audit(LabelledSet("set", items, labels.numpy()), request({"routed": ("routed", {})}))
    figures = [(row.similarity, row.lead, row.kept, row.suspected, row.recall) for row in made.rows]
    return tuple(value for row in figures for value in row)


ENTRIES: dict[str, Callable[[Tensor, Tensor], Any]] = {
    **{f"miner {name}": lambda x, y, name=name: mined_in_batch(name, x, y) for name in IN_BATCH},
    **{f"whole-set miner {name}": lambda x, y, name=name: mined_of_whole_set(name, x, y) for name in WHOLE_SET},
    **{
        f"search {name}, {metric}": lambda x, y, name=name, metric=metric: found(name, metric, x, y)
        for name in NEIGHBORS.names()
        for metric in METRICS
    },
    **{
        f"loss {name}": lambda x, y, name=name: lost(name, x, y)
        for name in LOSSES.names()
        if not getattr(LOSSES.entry(name).options, "bug", "")
    },
    "memory bank": remembered,
    "mined negatives": mined_negatives,
    "audit": audited,
    "votes": lambda x, y: voted(x, y, ANCHORS[:20]),
    "retrieval": retrieval,
    "retrieval, cosine": lambda x, y: retrieval(x, y, Distance("cosine")),
    "ranking": ranking,
    "ranked documents": ranked,
    "query-document loss": lost_of_queries,
    "negatives for queries": mined_for_queries,
    "codes": code_retrieval,
    "class spread": class_spread,
    "mining quality": lambda x, y: compare(found("lsh-scan", "euclidean", x, y)[0], found("exact", "cosine", x, y)[0]),
    "drift": lambda x, y: drift(x, x.flip(0), y, Distance()),
    **{
        f"distance {metric}": lambda x, y, metric=metric: (
            Distance(metric).pairwise(x.float(), x.float().flip(0)),
            Distance(metric).rowwise(x.float(), x.float().flip(0)),
        )
        for metric in METRICS
    },
}


def numbers(answer: Any) -> list[Any]:
    """All tensors and numbers of an answer, in order."""
    if isinstance(answer, Tensor):
        return [answer.detach()]
    if dataclasses.is_dataclass(answer):
        return [value for field in dataclasses.fields(answer) for value in numbers(getattr(answer, field.name))]
    if isinstance(answer, tuple):
        return [value for part in answer for value in numbers(part)]
    return [answer]


def assert_equal(one: list[Any], other: list[Any]) -> None:
    assert len(one) == len(other)
    for left, right in zip(one, other, strict=True):
        if isinstance(left, Tensor):
            assert left.dtype == right.dtype
            assert torch.equal(left, right)
        else:
            assert left == right or (left != left and right != right)


@pytest.fixture(scope="module", autouse=True)
def compiled(compile_kernels: Callable[[str], None]) -> None:
    compile_kernels(kernels.SEARCH_KERNELS)
    compile_kernels(KERNELS)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(("entry", "surroundings"), across([*ENTRIES], [*SURROUNDINGS]))
def test_that_the_surroundings_change_no_answer(entry: str, surroundings: str) -> None:
    if "default" in surroundings and entry.startswith("loss ") and not entry.islower():
        pytest.skip("the library's losses make weights and tables of torch's default")
    rows, labels = points()
    expected = numbers(ENTRIES[entry](rows, labels))
    with SURROUNDINGS[surroundings]():
        answer = numbers(ENTRIES[entry](rows, labels))
    assert_equal(answer, expected)


@pytest.mark.parametrize("name", [name for name in LOSSES.names() if name.islower()])
def test_that_the_gradient_of_a_loss_is_the_same_in_autocast_and_with_another_default_device(name: str) -> None:
    slopes = []
    for surroundings in (nullcontext(), torch.autocast("cpu", torch.bfloat16), torch.device("meta")):
        rows, labels = points()
        rows.requires_grad_()
        with surroundings:
            value = lost(name, rows, labels)
        slopes.append(torch.autograd.grad(value, rows)[0])
    assert torch.equal(slopes[1], slopes[0])
    assert torch.equal(slopes[2], slopes[0])


@pytest.mark.parametrize(
    ("entry", "kind"),
    across([entry for entry in ENTRIES if not entry.startswith("distance ")], [torch.float16, torch.bfloat16]),
)
def test_that_half_precision_is_computed_in_single(entry: str, kind: torch.dtype) -> None:
    if kind == torch.float16 and not entry.islower():
        pytest.skip("the library's are seen with one kind")
    rows, labels = points(kind)
    expected = numbers(ENTRIES[entry](rows.float(), labels))
    answer = numbers(ENTRIES[entry](rows, labels))
    if entry == "memory bank":
        answer[0], expected[0] = answer[0].float(), expected[0]  # keeps what it was given
    assert_equal(answer, expected)


@pytest.mark.parametrize("name", NEIGHBORS.names())
@pytest.mark.parametrize("surroundings", SURROUNDINGS)
def test_that_a_search_without_kernels_heeds_its_surroundings_no_more(
    name: str, surroundings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "ready", lambda _module: False)
    monkeypatch.setattr(kernels, "compile_in_background", lambda *_modules: None if name == "kdtree" else _Busy())
    rows, labels = points()
    expected = numbers(found(name, "cosine", rows, labels))
    with SURROUNDINGS[surroundings]():
        answer = numbers(found(name, "cosine", rows, labels))
    assert_equal(answer, expected)


class _Busy:
    def poll(self) -> None:
        return None

    def wait(self) -> int:
        return 1


@pytest.mark.parametrize("name", NEIGHBORS.names())
@pytest.mark.parametrize("without_kernels", [False, True])
def test_that_what_was_built_in_inference_mode_can_be_asked_outside(
    name: str, without_kernels: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if without_kernels:
        monkeypatch.setattr(kernels, "ready", lambda _module: False)
        monkeypatch.setattr(kernels, "compile_in_background", lambda *_modules: None if name == "kdtree" else _Busy())
    rows, labels = points()
    rows = rows[:, :8] if name == "kdtree" else rows

    def asked(building: AbstractContextManager[Any]) -> list[Any]:
        with building:
            search, bank = neighbors.create(name), Bank(rows * 2, labels)
            search.build(bank)
            search.nearest_negatives(torch.arange(3), 2)
        return numbers((search.nearest_negatives(torch.arange(ROWS), 5), search.nearest_to(rows, 3, labels)))

    assert_equal(asked(torch.inference_mode()), asked(nullcontext()))


def test_that_a_memory_filled_in_inference_mode_can_be_filled_further_and_read_outside() -> None:
    rows, labels = points()
    memory = MemoryBank(40)
    with torch.inference_mode():
        memory.add(rows[:30] * 1, labels[:30], torch.arange(30), step=0)
    memory.add(rows[30:], labels[30:], torch.arange(30, ROWS), step=1)
    reference = memory.reference(1)
    assert torch.equal(reference.embeddings, rows[20:])
    weight = torch.ones(DIM, requires_grad=True)
    (reference.embeddings * weight).sum().backward()
    assert torch.equal(weight.grad, rows[20:].sum(0))
