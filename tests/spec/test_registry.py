"""Registries: names, help, and what a third party's package can add."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hnm_core.errors import InputError
from hnm_core.spec.registry import DATASETS, LOSSES, MINERS, MODELS, NEIGHBORS, SAMPLERS, Options, Registry

ALL = (MINERS, LOSSES, DATASETS, MODELS, NEIGHBORS, SAMPLERS)


@pytest.mark.parametrize("registry", ALL, ids=lambda registry: registry.kind)
def test_that_every_entry_has_help_and_a_factory_that_exists(registry: Registry) -> None:
    assert registry.names()
    for name in registry.names():
        entry = registry.entry(name)
        assert entry.help.endswith((".", ")"))
        assert callable(entry.load())
        for field in entry.options.model_fields.values():
            assert field.description


def test_that_a_name_cannot_be_taken_twice_by_different_targets() -> None:
    registry = Registry("thing", "hnm_core.errors")
    registry.register("a", target="one:A")(Options)
    registry.register("a", target="one:A")(Options)
    with pytest.raises(ValueError, match="already registered by one:A"):
        registry.register("a", target="two:B")(Options)


@pytest.mark.parametrize("name", ["KNN", "knm", "", None, 3])
def test_that_an_unknown_name_lists_the_known_ones(name: object) -> None:
    with pytest.raises(InputError, match=r"Known: .*knn, lsh, .*random"):
        MINERS.entry(name)


def test_that_the_engine_loads_neither_torch_nor_qt_nor_scikit_learn_to_validate_a_configuration() -> None:
    code = """
import sys
import hnm_core, hnm_core.config, hnm_core.recording, hnm_core.events, hnm_core.run.channel, hnm_core.control
from hnm_core.spec.resources import preset_names, preset_path
for name in preset_names():
    hnm_core.spec.config.load(preset_path(name))
heavy = {"torch", "PyQt6", "pyqtgraph", "sklearn", "numba", "scipy"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


PLUGIN = '''
"""A miner from somebody else's package."""
from pydantic import Field
from hnm_core.spec.registry import MINERS, Options


@MINERS.register("farthest", target="third_party:build", scope="dataset")
class FarthestOptions(Options):
    """The farthest item of another class."""

    count: int = Field(1, ge=1, description="unused by the test")


def build(options, generator=None, distance=None):
    return ("built", options.count)
'''


def test_that_an_installed_plug_in_shows_up_and_can_be_built(tmp_path: Path) -> None:
    (tmp_path / "third_party.py").write_text(PLUGIN)
    info = tmp_path / "third_party-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: third-party\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[hnm_core.plugins]\nfarthest = third_party\n")
    code = f"""
import sys
sys.path.insert(0, {str(tmp_path)!r})
from hnm_core import miners
from hnm_core.spec.registry import MINERS
assert "farthest" in MINERS.names()
assert MINERS.entry("farthest").help == "The farthest item of another class."
assert miners.create("farthest", count=4) == ("built", 4)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    (tmp_path / "third_party.py").write_text("1 / 0")
    broken = subprocess.run(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(tmp_path)!r})\nfrom hnm_core.registry import MINERS\nMINERS.names()",
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "The plug-in 'farthest' (third_party) cannot be loaded: division by zero." in broken.stderr
    assert "or uninstall it." in broken.stderr
