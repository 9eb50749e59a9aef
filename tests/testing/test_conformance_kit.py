"""The conformance kit passes what is right, and says what is wrong with what is not."""

from __future__ import annotations

import itertools
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from hnm_core import miners, neighbors
from hnm_core.distances import Distance
from hnm_core.miners.base import Pairs, Triplets
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.found import Neighbors
from hnm_core.relevance import VectorQuery
from hnm_core.spec.registry import NEIGHBORS
from hnm_core.testing import check_batch_miner, check_dataset_miner, check_neighbors
from hnm_core.testing.neighbors import DISTANCES
from tests.families import one_in
from tests.miners.names import SEARCHING, WHOLE_SET

NO_TREE = {"distances": [d for d in DISTANCES if d.metric != "inner-product"], "dims": (1, 8)}
SEARCHES = {
    "exact": {"dims": (3, 20)},
    "auto": {"dims": (20,)},
    "kdtree": NO_TREE,
    "dense": {"dims": (2,)},
    "lsh-scan": {"approximate": True, "dims": (3,)},
    "lsh-buckets": {"approximate": True, "dims": (20,)},
    "routed": {"approximate": True, "dims": (3, 20)},
}


@pytest.mark.parametrize("name", one_in(6, [name for name in SEARCHES if name in NEIGHBORS.names()]))
def test_that_every_search_keeps_its_promises(name: str) -> None:
    check_neighbors(partial(neighbors.create, name), **SEARCHES[name])


@pytest.mark.parametrize("name", WHOLE_SET)
def test_that_every_whole_set_miner_keeps_its_promises(name: str) -> None:
    check_dataset_miner(partial(miners.create, name), dims=(1, 3, 20) if name == "knn" else (3, 20))


@pytest.mark.parametrize(
    "options",
    [
        {"select": "hardest", "positives": "hardest", "negatives": 3},
        {"select": "semi-hard", "margin": 0.5, "candidates": 20},
        {"select": "rank-window", "rank_min": 2, "absolute_margin": 0.0, "guard": "nearest"},
        {"relative_margin": 0.1, "min_distance": 0.05, "max_distance": 5.0},
    ],
    ids=str,
)
def test_that_a_miner_keeps_its_promises_with_any_choice(options: dict) -> None:
    check_dataset_miner(partial(miners.create, "knn", **options), dims=(2, 5))
    check_dataset_miner(partial(miners.create, "knn", fill=False, **options), dims=(2,), complete=False)


def test_that_the_choice_by_distance_keeps_its_promises_on_the_sphere() -> None:
    on_sphere = [Distance("cosine"), Distance(normalized=True), Distance("inner-product", True)]
    check_dataset_miner(partial(miners.create, "knn", select="distance-weighted"), distances=on_sphere, dims=(1, 2, 9))


class Wrong(Dense):
    """An exact search with one fault."""

    fault = ""

    def nearest_negatives(self, anchors, k, progress=None):
        if self.fault == "asks for little" and self._bank is not None and k > len(self._bank):
            return super().nearest_negatives(anchors, len(self._bank), progress)
        if self.fault == "own class":
            return Neighbors(*self.farthest_positives(anchors, k))
        if self.fault == "silent":
            return super().nearest_negatives(anchors, k)
        found = super().nearest_negatives(anchors, k, progress)
        match self.fault:
            case "unsorted":
                return Neighbors(found.distance.flip(1), found.row.flip(1))
            case "second best":
                wider = super().nearest_negatives(anchors, k + 1)
                return Neighbors(wider.distance[:, 1:].contiguous(), wider.row[:, 1:].contiguous())
            case "squared":
                return Neighbors(found.distance.square(), found.row)
            case "double":
                return Neighbors(found.distance.double(), found.row)
            case "padding":
                return Neighbors(found.distance, found.row.clamp(min=0))
            case "twice":
                return Neighbors(found.distance[:, :1].expand(-1, k), found.row[:, :1].expand(-1, k))
            case "chance":
                torch.rand(1)  # the global generator
            case "order of anchors":
                return Neighbors(*(part[anchors.argsort()] for part in found))
            case "threads":
                torch.set_num_threads(3)
        return found

    def _nearest(self, query, k, progress):
        if isinstance(query, VectorQuery) and self.fault == "vectors without labels":
            return super()._nearest(VectorQuery(query.relevance, query.vectors, query.classes * 0 - 2), k, progress)
        if isinstance(query, VectorQuery) and self.fault == "moved vectors" and len(query):
            return super()._nearest(VectorQuery(query.relevance, query.vectors + 1e-3, query.classes), k, progress)
        return super()._nearest(query, k, progress)

    def farthest_positives(self, anchors, k, progress=None):
        found = super().farthest_positives(anchors, k, progress)
        if self.fault == "itself" and len(anchors):
            rows = found.row.clone()
            rows[:, 0] = anchors
            return Neighbors(found.distance, rows)
        return found

    def build(self, bank):
        if self.fault == "first bank for ever" and self._bank is not None:
            return
        super().build(bank)
        if self.fault == "writes":
            bank.embeddings[0] += 1

    def __deepcopy__(self, memo):
        if self.fault == "shared copy":
            return self
        twin = type(self)(self._options, self._distance)
        twin.__dict__.update(self.__dict__)
        return twin


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("asks for little", "shapes must be"),
        ("own class", "a row of the anchor's own class was found"),
        ("silent", "progress was never called"),
        ("unsorted", "missing neighbours must stand last|must stand in order"),
        ("second best", "brute force finds a better neighbour|a neighbour is missing"),
        ("squared", "a distance is not the distance of its row"),
        ("double", "must be float32 and int64"),
        ("padding", "none is row -1|own class|found twice"),
        ("twice", "found twice"),
        ("chance", "torch's global random generator was used"),
        ("order of anchors", "not the distance of its row|own class"),
        ("threads", "number of threads"),
        ("itself", "its own positive|not the distance of its row"),
        ("first bank for ever", "must replace the first bank|rows of the old one"),
        ("writes", r"bank\.embeddings was changed"),
        ("shared copy", "a deep copy must not follow"),
        ("vectors without labels", "nearest to vectors, .*: a row of the anchor's own class was found"),
        ("moved vectors", "nearest to vectors, .*: a distance is not the distance of its row"),
    ],
)
def test_that_a_broken_search_is_found_out(fault: str, words: str) -> None:
    kind = type("Broken", (Wrong,), {"fault": fault})
    threads = torch.get_num_threads()
    try:
        with pytest.raises(AssertionError, match=words):
            check_neighbors(lambda distance: kind(None, distance), distances=DISTANCES[:1], dims=(2,))
    finally:
        torch.set_num_threads(threads)


def test_that_the_kit_passes_the_search_that_the_broken_ones_are_made_of() -> None:
    check_neighbors(lambda distance: Wrong(None, distance), distances=DISTANCES[:1], dims=(2,))


def test_that_a_search_that_claims_to_be_exact_must_say_so() -> None:
    with pytest.raises(AssertionError, match="approximate must be True"):
        check_neighbors(partial(neighbors.create, "dense"), approximate=True)


class WrongMiner:
    """A random miner with one fault."""

    seen = None

    def __init__(self, fault: str, generator: torch.Generator, distance: Distance) -> None:
        self.fault = fault
        self.inner = miners.create("random", generator, distance=distance)

    def refresh(self, bank, context):
        if self.fault == "shares":
            WrongMiner.seen = bank
        self.bank = bank
        self.inner.refresh(bank, context)
        if self.fault == "writes":
            bank.labels[0] += 1

    def mine(self, anchors, context):
        if self.fault == "mines early" and self.inner._bank is None:
            return Triplets(*[torch.zeros(0, dtype=torch.int64)] * 3)
        if self.fault == "shares" and WrongMiner.seen is not None:
            self.inner._bank = WrongMiner.seen
        found = self.inner.mine(anchors, context)
        match self.fault:
            case "int32":
                return Triplets(*(vector.int() for vector in found))
            case "swapped":
                return Triplets(found.anchor, found.negative, found.positive)
            case "itself":
                return Triplets(found.anchor, found.anchor, found.negative)
            case "lengths":
                return Triplets(found.anchor, found.positive, found.negative[1:])
            case "list":
                return list(found)
            case "none":
                return Triplets(*(vector[:0] for vector in found))
            case "others":
                everyone = torch.arange(len(self.bank))
                return self.inner.mine(everyone, context) if len(anchors) else found
            case "chance":
                np.random.rand()  # noqa: NPY002 - what must not be done
            case "clock" if context.clock is not None:
                return Triplets(*(vector.flip(0) for vector in found))
            case "state":
                keep = torch.randperm(len(found.anchor), generator=torch.Generator())[: len(found.anchor)]
                WrongMiner.calls = getattr(WrongMiner, "calls", 0) + 1
                return Triplets(*(vector.roll(WrongMiner.calls) for vector in found)) if len(keep) else found
        return found


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("mines early", "mining before a refresh must raise InputError"),
        ("shares", "must not share what they have seen|no row of the bank"),
        ("writes", r"bank\.labels was changed"),
        ("int32", "must be int64, not torch.int32"),
        ("swapped", "a positive is of another class"),
        ("itself", "an anchor is its own positive"),
        ("lengths", "do not fit together"),
        ("list", "must give Triplets or Pairs, not list"),
        ("none", "has partners but gave no tuple"),
        ("others", "a tuple's anchor was not asked for"),
        ("chance", "numpy's global random generator was used"),
        ("clock", "a clock must not change what is mined"),
        ("state", "must give the same tuples|must not share|other tuples|must not change"),
    ],
)
def test_that_a_broken_miner_is_found_out(fault: str, words: str) -> None:
    def factory(generator: torch.Generator, distance: Distance) -> WrongMiner:
        return WrongMiner(fault, generator, distance)

    state = np.random.get_state()  # noqa: NPY002 - the fault "chance" moves it
    try:
        with pytest.raises(AssertionError, match=words):
            check_dataset_miner(factory, dims=(3,))
    finally:
        WrongMiner.seen = None
        np.random.set_state(state)  # noqa: NPY002


class WrongBatchMiner:
    """Takes every triplet of a batch, with one fault."""

    calls = itertools.count()

    def __init__(self, fault: str, generator: torch.Generator) -> None:
        self.fault, self.generator = fault, generator
        self.inner = miners.create("all-triplets", generator)

    def __call__(self, embeddings, labels, ref_emb=None, ref_labels=None):
        if self.fault == "nan" and not torch.isfinite(embeddings).all():
            return None
        found = self.inner(embeddings, labels, ref_emb, ref_labels)
        anchor, positive, negative = found
        match self.fault:
            case "writes":
                embeddings.detach()[:1] += 1
            case "list":
                return list(found)
            case "int32":
                return Triplets(*(vector.int() for vector in found))
            case "gradient":
                return Triplets(*(vector * embeddings.sum() for vector in found))
            case "lengths":
                return Triplets(anchor, positive[1:], negative)
            case "ends":
                return Pairs(anchor, positive[1:], anchor, negative)
            case "beyond":
                return Triplets(anchor + len(labels), positive, negative)
            case "swapped":
                return Triplets(anchor, negative, positive)
            case "own class":
                return Pairs(anchor, positive, anchor, positive)
            case "itself" if ref_emb is None:
                return Triplets(anchor, anchor, negative)
            case "order":
                call = next(WrongBatchMiner.calls)
                return Triplets(*(vector.roll(call) for vector in found))
            case "sometimes":
                return found if next(WrongBatchMiner.calls) % 2 else None
            case "chance":
                torch.rand(1)
            case "nothing":
                return None
        return found


BATCH_FAULTS = {
    "writes": "the batch was changed",
    "list": "must give Triplets, Pairs or None, not list",
    "int32": "one-dimensional int64",
    "gradient": "one-dimensional int64|rows with gradient",
    "lengths": "vectors of triplets differ in length",
    "ends": "the two ends of pairs differ in number",
    "beyond": "no such row",
    "swapped": "a positive of another class",
    "own class": "a negative of the anchor's class",
    "itself": "a row is a positive of itself",
    "order": "the same generator gave different tuples",
    "sometimes": "the same generator gave different tuples",
    "chance": "the global generator was used",
    "nan": "a row with nan must raise InputError",
}


@pytest.mark.parametrize("fault", BATCH_FAULTS)
def test_that_a_broken_batch_miner_is_found_out(fault: str) -> None:
    with pytest.raises(AssertionError, match=BATCH_FAULTS[fault]):
        check_batch_miner(partial(WrongBatchMiner, fault), dims=(2,))


def test_that_the_kit_passes_the_batch_miner_that_the_broken_ones_are_made_of() -> None:
    check_batch_miner(partial(WrongBatchMiner, ""), dims=(2,))


def test_that_a_batch_miner_may_leave_the_choice_to_the_loss() -> None:
    check_batch_miner(partial(miners.create, "none"), dims=(2,))
    check_batch_miner(partial(WrongBatchMiner, "nothing"), dims=(2,))


@pytest.mark.thorough
def test_that_the_kit_needs_neither_pytest_nor_assert() -> None:
    code = """
import sys
from functools import partial
from hnm_core import losses, miners, neighbors
from hnm_core.miners.base import Pairs
from hnm_core.testing import check_batch_miner, check_dataset_miner, check_loss, check_neighbors

class Swapping:
    def __init__(self, generator):
        self.inner = miners.create("all-pairs", generator)
    def __call__(self, *batch):
        return Pairs(*(vector.flip(0) for vector in reversed(self.inner(*batch))))

class Detached:
    def __init__(self):
        self.inner = losses.create("triplet-margin")
    def __call__(self, *batch):
        return self.inner(*batch).detach()

check_dataset_miner(partial(miners.create, "random"), dims=(2,))
check_batch_miner(partial(miners.create, "all-pairs"), dims=(2,))
broken = {
    "refresh(bank, context)": lambda: check_dataset_miner(lambda generator, distance: object(), dims=(2,)),
    "a positive of another class": lambda: check_batch_miner(Swapping, dims=(2,)),
    "not connected": lambda: check_loss(Detached),
    "approximate must be True": lambda: check_neighbors(partial(neighbors.create, "dense"), approximate=True),
}
for words, check in broken.items():
    try:
        check()
    except AssertionError as error:
        print(words in str(error))
print("pytest" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-O", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "True", "True", "True", "False"]


def test_that_the_names_of_searching_miners_are_all_there() -> None:
    assert {"knn", "lsh"} <= set(SEARCHING)
