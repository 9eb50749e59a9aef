"""What every search takes and refuses."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from hnm_core import kernels, neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.neighbors.found import Neighbors
from hnm_core.relevance import SameClass
from hnm_core.spec.registry import NEIGHBORS

from .conftest import Compiler
from .oracle import assert_exact, bank_of

every_search = pytest.mark.parametrize("name", [n for n in NEIGHBORS.names() if NEIGHBORS.entry(n).scope != "optional"])


@every_search
def test_that_anchors_may_be_of_any_integer_type_and_layout(name: str) -> None:
    bank = bank_of("random", 3)
    search = neighbors.create(name)
    search.build(bank)
    expected = search.nearest_negatives(torch.arange(0, 100, 2), 4)
    for kind in (torch.uint8, torch.int16, torch.int32, torch.int64):
        anchors = torch.arange(100).to(kind)[::2]
        assert torch.equal(search.nearest_negatives(anchors, 4).row, expected.row)


@every_search
def test_that_k_may_be_an_integer_of_numpy(name: str) -> None:
    search = neighbors.create(name)
    search.build(bank_of("random", 3))
    anchors = torch.arange(20)
    assert torch.equal(search.nearest_negatives(anchors, np.int64(4)).row, search.nearest_negatives(anchors, 4).row)


@every_search
def test_that_the_order_and_the_repetition_of_anchors_do_not_matter(name: str) -> None:
    bank = bank_of("clustered", 3)
    search = neighbors.create(name)
    search.build(bank)
    alone = search.nearest_negatives(torch.arange(300), 4)
    mixed = torch.randint(300, (500,), generator=torch.Generator().manual_seed(2))
    again = search.nearest_negatives(mixed, 4)
    assert torch.equal(again.row, alone.row[mixed])
    assert torch.equal(again.distance, alone.distance[mixed])


@every_search
def test_that_no_anchors_give_no_lines(name: str) -> None:
    search = neighbors.create(name)
    search.build(bank_of("random", 3))
    for ask in (search.nearest_negatives, search.farthest_positives):
        found = ask(torch.empty(0, dtype=torch.int64), 4)
        assert found.distance.shape == found.row.shape == (0, 4)


@every_search
def test_that_a_bank_of_one_row_and_a_bank_of_one_class_have_no_negatives(name: str) -> None:
    for bank in (Bank(torch.ones(1, 3), torch.tensor([9])), bank_of("one", 3)):
        search = neighbors.create(name)
        search.build(bank)
        found = search.nearest_negatives(torch.tensor([0]), 3)
        assert (found.row == -1).all()
        assert found.distance.isposinf().all()


@every_search
@pytest.mark.parametrize(
    ("anchors", "k", "words"),
    [
        (torch.tensor([300]), 3, "Anchor 300 is no row of the bank; its rows are 0 to 299"),
        (torch.tensor([5, -1]), 3, "Anchor -1 is no row"),
        (torch.tensor([5]), 0, "k = 0"),
        (torch.tensor([5]), 2.5, "k = 2.5 .* whole number"),
        (torch.tensor([5]), "3", "k = 3 .* whole number"),
        (torch.tensor([5]), True, "k = True .* whole number"),
        (torch.tensor([5.0]), 3, "integer rows"),
        (torch.tensor([[5]]), 3, "one-dimensional"),
        (torch.tensor([True]), 3, "not a mask"),
    ],
)
def test_that_wrong_anchors_are_refused_in_a_sentence(name: str, anchors: torch.Tensor, k: int, words: str) -> None:
    search = neighbors.create(name)
    search.build(bank_of("random", 3))
    for ask in (search.nearest_negatives, search.farthest_positives):
        with pytest.raises(InputError, match=words):
            ask(anchors, k)


@every_search
def test_that_a_query_about_another_bank_is_refused(name: str) -> None:
    search, query = neighbors.create(name), SameClass(bank_of("random", 3)).query(torch.arange(3))
    for build, words in ((False, "Build the search on a bank"), (True, "about another bank than the one the search")):
        if build:
            search.build(bank_of("random", 3))
        for ask in (search.nearest, search.farthest):
            with pytest.raises(InputError, match=words):
                ask(query, 1)


@every_search
def test_that_a_copied_search_answers_queries_about_the_same_bank(name: str) -> None:
    bank, search = bank_of("random", 3), neighbors.create(name)
    search.build(bank)
    query = SameClass(bank).query(torch.arange(20))
    assert torch.equal(copy.deepcopy(search).nearest(query, 4).row, search.nearest(query, 4).row)


@every_search
def test_that_embeddings_alone_are_no_bank(name: str) -> None:
    with pytest.raises(InputError, match=r"A bank is needed, Bank\(embeddings, labels\), not torch.float32 of shape"):
        neighbors.create(name).build(torch.ones(4, 3))


@every_search
def test_that_a_search_without_a_bank_says_so(name: str) -> None:
    with pytest.raises(InputError, match="Build the search on a bank"):
        neighbors.create(name).nearest_negatives(torch.tensor([0]), 1)


@every_search
def test_that_neither_bank_nor_gradient_is_touched(name: str) -> None:
    points = torch.randn(200, 3, generator=torch.Generator().manual_seed(1), requires_grad=True)
    labels = torch.arange(200) % 7
    bank = Bank(points, labels)
    before = {key: value.clone() for key, value in vars(bank).items() if isinstance(value, torch.Tensor)}
    search = neighbors.create(name)
    search.build(bank)
    found = search.nearest_negatives(torch.arange(200), 3)
    search.farthest_positives(torch.arange(200), 3)
    assert not found.distance.requires_grad
    assert all(torch.equal(vars(bank)[key], value) for key, value in before.items())


@every_search
def test_that_a_search_can_be_copied_and_built_again(name: str) -> None:
    search = neighbors.create(name)
    search.build(bank_of("random", 3))
    expected = search.nearest_negatives(torch.arange(50), 4)
    search.farthest_positives(torch.arange(50), 4)
    twin = copy.deepcopy(search)
    search.build(bank_of("offset", 5, n=120))
    assert search.nearest_negatives(torch.arange(50), 4).row.max() < 120
    assert torch.equal(twin.nearest_negatives(torch.arange(50), 4).row, expected.row)


def test_that_the_tree_refuses_what_it_cannot_search() -> None:
    with pytest.raises(InputError, match="inner product"):
        neighbors.create("kdtree", distance=Distance("inner-product"))
    with pytest.raises(InputError, match="up to 8 dimensions, not 9"):
        neighbors.create("kdtree").build(bank_of("random", 9))


@pytest.mark.parametrize(
    ("dim", "metric", "words"),
    [
        (3, "euclidean", "exact, by a label-aware KD-tree: 3 dimensions are few"),
        (9, "euclidean", "9 dimensions are too many for a KD-tree"),
        (3, "inner-product", "a KD-tree cannot search by inner product"),
    ],
)
def test_that_exact_says_which_method_it_took_and_why(dim: int, metric: str, words: str) -> None:
    search = neighbors.create("exact", distance=Distance(metric))
    search.build(bank_of("random", dim))
    assert words in search.description


def test_that_exact_answers_by_tiles_until_the_tree_is_compiled_and_waits_for_nobody(no_kernels: Compiler) -> None:
    bank, anchors = bank_of("clustered", 3), torch.arange(40)
    search = neighbors.create("exact")
    search.build(bank)
    assert search.description == "exact, by tiles of distances until the KD-tree is compiled"
    assert_exact(search.nearest_negatives(anchors, 5), bank, anchors, 5, Distance(), False)
    assert not no_kernels.waited_for


@pytest.mark.parametrize("name", ["lsh-scan", "lsh-buckets", "routed"])
def test_that_an_approximate_search_finds_the_same_whether_its_kernels_were_compiled_before(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank, anchors, compiled = bank_of("random", 40, n=2_000), torch.arange(200), False

    class Slow:
        def wait(self) -> int:
            nonlocal compiled
            compiled = True
            return 0

        def poll(self) -> int | None:
            return 0 if compiled else None

    def found() -> Neighbors:
        search = neighbors.create(name)
        search.build(bank)
        return search.nearest_negatives(anchors, 5)

    expected = found()
    monkeypatch.setattr(kernels, "ready", lambda _module: compiled)
    monkeypatch.setattr(kernels, "compile_in_background", lambda *_modules: None if compiled else Slow())
    first = found()
    assert torch.equal(first.row, expected.row) and torch.equal(first.distance, expected.distance)


@pytest.mark.parametrize(("rows", "waits"), [(1_000, False), (32_000, True)])
def test_that_exact_waits_for_the_compiler_only_where_tiles_would_take_longer(
    rows: int, waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Compiler:
        status: int | None = None

        def poll(self) -> int | None:
            return self.status

        def wait(self) -> int:
            self.status = 0
            return 0

    compiler = Compiler()
    monkeypatch.setattr(kernels, "ready", lambda _module: compiler.status == 0)
    monkeypatch.setattr(kernels, "compile_in_background", lambda *_modules: compiler)
    search = neighbors.create("exact")
    search.build(bank_of("random", 3, n=rows))
    assert search.description.startswith("exact, by a label-aware KD-tree") is waits


def test_that_exact_says_when_the_tree_could_not_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    class Failed:
        def poll(self) -> int:
            return 1

    monkeypatch.setattr(kernels, "ready", lambda _module: False)
    monkeypatch.setattr(kernels, "compile_in_background", lambda *_modules: Failed())
    search = neighbors.create("exact")
    search.build(bank_of("random", 3))
    assert search.description == "exact, by tiles of distances: the KD-tree could not be compiled on this machine"
