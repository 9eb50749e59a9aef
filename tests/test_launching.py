"""Searches in a process that was forked from one that has searched, and asked by several threads at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from hnm_core import kernels, miners, neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.launching import launching
from hnm_core.miners.base import MiningContext, Triplets
from hnm_core.spec.registry import NEIGHBORS
from tests.families import across, one_in

ROOT = str(Path(__file__).parents[1])

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing forks here")


@pytest.fixture(scope="module", autouse=True)
def compiled(compile_kernels) -> None:
    compile_kernels(kernels.SEARCH_KERNELS)


def bank(dim: int = 24) -> Bank:
    source = torch.Generator().manual_seed(3)
    return Bank(torch.randn(600, dim, generator=source), torch.arange(600) % 20)


FORKED = """
import os, signal, sys, torch
torch.set_num_threads(2)
from hnm_core import neighbors
from tests.test_launching import bank

def asked(search, dim):
    search.build(bank(dim))
    return search.nearest_negatives(torch.arange(600), 5)

def in_a_child(work):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(work())
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

for name, dim in [pair.split(":") for pair in sys.argv[1:]]:
    search = neighbors.create(name)
    first = asked(search, int(dim))

    def again():
        same = torch.equal(search.nearest_negatives(torch.arange(600), 5).row, first.row)
        anew = torch.equal(asked(neighbors.create(name), int(dim)).row, first.row)
        return 0 if same and anew and torch.get_num_threads() == 2 else 3

    print(name, dim, in_a_child(again), in_a_child(lambda: in_a_child(again)), flush=True)
    assert torch.equal(asked(search, int(dim)).row, first.row)
"""


@pytest.mark.parametrize(("layer", "names"), one_in(2, [("omp", NEIGHBORS.names()), ("workqueue", ["dense"])]))
def test_that_a_forked_process_and_its_own_child_search_as_the_first_did(layer: str, names: list[str]) -> None:
    asked = [f"{name}:{8 if name == 'kdtree' else 24}" for name in names]
    command = [sys.executable, "-c", FORKED, *asked]
    environment = {**os.environ, "PYTHONPATH": ROOT, "NUMBA_THREADING_LAYER": layer, "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert [line.split()[2:] for line in done.stdout.splitlines()] == [["0", "0"]] * len(asked), done.stdout


def test_that_a_fork_while_a_kernel_runs_leaves_the_child_free_to_launch() -> None:
    with launching():
        child = os.fork()
        if child == 0:
            signal.alarm(60)  # a child that waits for a lock that nobody holds is ended
            with launching():
                os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


class Mined(Dataset):
    """A data set each of whose items is mined where it is asked for."""

    def __init__(self, miner: miners.base.DatasetMiner) -> None:
        self.miner = miner

    def __len__(self) -> int:
        return 8

    def __getitem__(self, item: int) -> Tensor:
        return torch.stack(self._mined(torch.arange(item, 600, 60)))

    def _mined(self, anchors: Tensor) -> Triplets:
        context = MiningContext(0, 0, torch.Generator().manual_seed(int(anchors[0])), Distance())
        return self.miner.mine(anchors, context)


@pytest.mark.parametrize("name", ["knn", "lsh", "lsh-buckets", "routed"])
def test_that_the_workers_of_a_loader_mine_what_the_program_would(name: str) -> None:
    miner = miners.create(name)
    context = MiningContext(0, 0, torch.Generator().manual_seed(0), Distance())
    miner.refresh(bank(), context)
    data = Mined(miner)
    expected = [data[item] for item in range(len(data))]
    loader = DataLoader(data, batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60)
    assert all(torch.equal(*pair) for pair in zip(loader, expected, strict=True))


@pytest.mark.parametrize(("dim", "name"), across([3, 24], [*NEIGHBORS.names(), "tiles"]))
def test_that_threads_that_ask_a_fresh_search_get_the_same_rows(
    name: str, dim: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if name == "tiles":
        monkeypatch.setattr(kernels, "ready", lambda _module: False)
        name = "dense"
    if name == "kdtree" and dim > 8:
        pytest.skip("the tree is for few dimensions")
    there, anchors = bank(dim), torch.arange(600)

    def fresh() -> neighbors.base.QuerySearch:
        search = neighbors.create(name)
        search.build(there)
        return search

    def asked(search: neighbors.base.QuerySearch) -> list[Tensor]:
        return [search.nearest_negatives(anchors, 5).row, search.farthest_positives(anchors, 2).row]

    expected = asked(fresh())
    switching = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(3):
            search, begin, answers = fresh(), threading.Barrier(4), [[] for _ in range(4)]

            def ask(place: int, search=search, begin=begin, answers=answers) -> None:
                begin.wait()
                answers[place] = asked(search)

            threads = [threading.Thread(target=ask, args=(place,)) for place in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            for answer in answers:
                assert len(answer) == 2
                assert all(torch.equal(*pair) for pair in zip(answer, expected, strict=True))
    finally:
        sys.setswitchinterval(switching)
