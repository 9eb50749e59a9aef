"""The wheel: what is in it, and that it works where nothing else of the checkout is."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The built wheel. Built without isolation: the build back end is installed, the network need not be there."""
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    (built,) = folder.glob("*.whl")
    return built


def test_that_the_wheel_holds_two_packages_with_the_resources_inside(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    top = {name.split("/")[0] for name in names}
    shipped = {
        path.relative_to(ROOT / "resources").as_posix() for path in (ROOT / "resources").rglob("*") if path.is_file()
    }
    inside = {name.removeprefix("hnm_core/_resources/") for name in names if name.startswith("hnm_core/_resources/")}
    assert {name for name in top if not name.endswith(".dist-info")} == {"app", "hnm_core"}
    assert inside == shipped
    assert {"presets/near-classes.toml", "presets/digits.toml"} <= inside
    assert "hnm_core/py.typed" in names
    kernels = {path.name for path in (ROOT / "hnm_core/neighbors/cuda").glob("*.cu*")}
    assert len(kernels) >= 4
    assert kernels <= {name.removeprefix("hnm_core/neighbors/cuda/") for name in names}


def test_that_an_installed_wheel_lists_presets_and_trains(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    programs = environment / ("Scripts" if os.name == "nt" else "bin")
    python = next(programs.glob("python*"))
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True, text=True)
    site = next(environment.glob("**/site-packages"))
    # What it depends on is taken from the environment of the tests. A folder that a .pth file adds has its own .pth
    # files left alone, so the editable install of the checkout does not come along.
    dependencies = next(path for path in map(Path, sys.path) if (path / "torch").is_dir())
    (site / "dependencies.pth").write_text(f"{dependencies}\n")
    clean = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PYTHONHOME")}

    def lab(*arguments: str) -> str:
        command = [str(programs / "hnm-lab"), *arguments]
        done = subprocess.run(command, cwd=tmp_path, env=clean, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    rows = [line.split("\t") for line in lab("list", "presets").splitlines()]
    assert rows[0][0] == "near-classes"
    assert all(Path(row[2]).is_relative_to(site / "hnm_core" / "_resources") for row in rows)
    table = lab("run", "--preset", "near-classes", "--steps", "3", "--miner", "random")
    assert table.splitlines()[1].split()[:2] == ["random", "3"]


def test_that_every_dependency_is_pinned() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            pin = Requirement(line)
            pins[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    wanted = [*project["dependencies"], *project["optional-dependencies"]["test"]]
    for requirement in map(Requirement, wanted):
        pinned = pins.get(canonicalize_name(requirement.name))
        assert pinned is not None, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(pinned), f"{requirement} does not allow the pinned {pinned}"


def imported() -> Iterator[str]:
    """Top names of all modules that the two packages import."""
    for path in (path for package in ("app", "hnm_core") for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                yield node.module.partition(".")[0]


def test_that_what_is_imported_is_declared_or_comes_with_what_is_declared() -> None:
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *(line for name in extras if name != "test" for line in extras[name])]
    declared = {canonicalize_name(Requirement(line).name) for line in wanted}
    there = set(declared)
    for name in declared:
        try:
            needs = [Requirement(line) for line in requires(name) or ()]
        except PackageNotFoundError:
            continue
        there |= {canonicalize_name(need.name) for need in needs if "extra" not in str(need.marker)}
    providers = packages_distributions()
    for module in sorted(set(imported()) - set(sys.stdlib_module_names) - {"app", "hnm_core"}):
        named = [canonicalize_name(provider) for provider in providers.get(module, [module])]
        assert any(one in there or any(name.startswith(f"{one}-") for name in declared) for one in named), module
