"""A third party's package: installed by pip, its miner is listed, checked by the kit, and mines in a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

PYPROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "hnm-farthest"
version = "1.2"
dependencies = ["hnm-lab"]

[project.entry-points."hnm_core.plugins"]
farthest = "hnm_farthest.options"
"""

OPTIONS = '''
"""What the plug-in registers; loads no torch."""
from pydantic import Field
from hnm_core.spec.registry import MINERS
from hnm_core.miners.whole_set.options import WholeSetOptions


@MINERS.register("farthest", target="hnm_farthest.mining:FarthestMiner", scope="dataset")
class FarthestOptions(WholeSetOptions):
    """One of the farthest items of another class: easy negatives."""

    share: float = Field(0.1, gt=0, le=1, description="share of the other classes' items to draw from")
'''

MINING = """
import torch
from hnm_core.errors import InputError
from hnm_core.miners.base import Triplets
from hnm_core.miners.whole_set.random_pairs import choose_positives, usable


class FarthestMiner:
    def __init__(self, options, generator=None, distance=None):
        self.options, self.bank = options, None

    def refresh(self, bank, context):
        self.bank = bank

    def mine(self, anchors, context):
        bank = self.bank
        if bank is None:
            raise InputError("Refresh the miner before it is asked.")
        table = context.distance.pairwise(bank.embeddings[anchors], bank.embeddings)
        table = table.masked_fill(bank.labels[anchors, None] == bank.labels[None], -torch.inf)
        others = table.isfinite().sum(1)
        order = table.argsort(dim=1, descending=True, stable=True)
        pool = (others * self.options.share).ceil()
        place = (torch.rand(len(anchors), generator=context.generator, dtype=torch.float64) * pool).long()
        negative = order.gather(1, place[:, None])[:, 0].where(others > 0, -1)
        return usable(anchors, choose_positives(bank, anchors, self.options.positives, context), negative)
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that pip installed the package into; nothing is downloaded."""
    source = tmp_path_factory.mktemp("source")
    package = source / "hnm_farthest"
    package.mkdir()
    (source / "pyproject.toml").write_text(PYPROJECT)
    (package / "__init__.py").write_text("")
    (package / "options.py").write_text(OPTIONS)
    (package / "mining.py").write_text(MINING)
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--no-index", "--no-deps", "--no-build-isolation", "--quiet"]
    subprocess.run(
        [*pip, "--disable-pip-version-check", "--target", str(target), str(source)],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return target


def python(site: Path, *arguments: str) -> str:
    path = os.pathsep.join([str(site), str(ROOT)])
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path}, cwd=site, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_that_an_installed_miner_is_listed_with_its_help(site: Path) -> None:
    rows = [line.split("\t") for line in python(site, "-m", "hnm_core", "list", "miners").splitlines()]
    assert ["farthest", "One of the farthest items of another class: easy negatives."] in [row[:2] for row in rows]


def test_that_an_installed_miner_mines_in_a_run(site: Path, tmp_path: Path) -> None:
    lanes = "\n".join(
        f'[[lanes]]\nname = "{name}"\nminer = "{name}"\nhard_share = 1.0\nminer_options = {options}'
        for name, options in (("farthest", "{ share = 0.05 }"), ("knn", "{}"))
    )
    (tmp_path / "mine.toml").write_text(
        f'steps = 6\neval_every = 6\n[data]\nname = "blobs"\n[sampler]\nbatch = 64\n{lanes}\n'
    )
    table = python(site, "-m", "hnm_core", "run", str(tmp_path / "mine.toml")).splitlines()
    assert [line.split()[:2] for line in table[1:3]] == [["farthest", "6"], ["knn", "6"]]


@pytest.mark.thorough
def test_that_an_installed_miner_passes_the_conformance_kit(site: Path) -> None:
    code = (
        "from functools import partial; from hnm_core import miners; from hnm_core.testing import check_dataset_miner;"
        "check_dataset_miner(partial(miners.create, 'farthest', share=0.3), dims=(2,)); print('passed')"
    )
    assert python(site, "-c", code) == "passed\n"
