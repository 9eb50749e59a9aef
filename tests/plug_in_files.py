"""A miner in a file of its own that fails in its third step, and what makes the registries forget it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hnm_core.spec.plug_ins import REGISTRIES

BROKEN = '''
from hnm_core.spec.registry import MINERS, MinerOptions


@MINERS.register("broken", target=f"{__name__}:Broken", scope="dataset")
class BrokenOptions(MinerOptions):
    """Fails."""

    depth: int = 3


class Broken:
    def __init__(self, options, generator=None, distance=None):
        self.options = options

    def refresh(self, bank, context):
        pass

    def mine(self, anchors, context):
        raise ArithmeticError("seven")
'''


def write(folder: Path, text: str = BROKEN, name: str = "own_miner.py") -> Path:
    (folder / name).write_text(text)
    return folder / name


@pytest.fixture
def forgotten() -> Iterator[None]:
    """After the test nothing is registered that was not before, nor imported, nor found by imports."""
    for registry in REGISTRIES:
        registry.names()
    before = [(dict(registry._entries), dict(registry._absent)) for registry in REGISTRIES]
    modules, path = set(sys.modules), list(sys.path)
    yield
    for registry, (entries, absent) in zip(REGISTRIES, before, strict=True):
        registry._entries, registry._absent = entries, absent
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if "pytest-of" in file:
            del sys.modules[name]
