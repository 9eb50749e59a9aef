from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hnm_core import kernels

SEARCHES = ("tree", "hamming", "rescore", "chain", "filter", "guess", "pair", "routing", "bucket")

SOURCE = """
from numba import njit

@njit(cache=True)
def double(x):
    return 2 * x

def warm_up():
    assert double(3) == 6
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module with one kernel, and an empty cache folder."""
    name = f"kernels_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return name


def test_that_kernels_are_ready_once_a_process_has_compiled_them(module: str) -> None:
    assert not kernels.ready(module)
    process = kernels.compile_in_background(module)
    assert process is not None
    assert kernels.compile_in_background(module) is process  # no second compiler
    assert process.wait(60) == 0
    assert kernels.ready(module)
    assert kernels.compile_in_background(module) is None


def test_that_a_changed_source_is_compiled_again(module: str, tmp_path: Path) -> None:
    check = f"from hnm_core import kernels; print(kernels.ready({module!r}))"

    def ready() -> str:
        done = subprocess.run(
            [sys.executable, "-c", check], capture_output=True, text=True, env=environment, check=True
        )
        return done.stdout.strip()

    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parent.parent)])}
    assert ready() == "False"
    subprocess.run([sys.executable, "-m", "hnm_core.kernels", module], env=environment, check=True)
    assert ready() == "True"
    time.sleep(0.01)
    (tmp_path / f"{module}.py").write_text(SOURCE.replace("3) == 6", "4) == 8"))
    assert ready() == "False"


def test_that_a_module_whose_kernels_do_not_compile_never_becomes_ready(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("def warm_up():\n    raise SystemExit(3)\n")
    process = kernels.compile_in_background(module)
    assert process is not None
    assert process.wait(60) == 3
    assert not kernels.ready(module)
    assert kernels.compile_in_background(module) is process  # tried once, not for ever


def test_that_a_program_may_end_before_its_compiler_which_goes_on(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text(SOURCE.replace("def warm_up():", "def warm_up():\n    time.sleep(2)"))
    (tmp_path / f"{module}.py").write_text("import time\n" + (tmp_path / f"{module}.py").read_text())
    code = f"from hnm_core import kernels; assert kernels.compile_in_background({module!r}).poll() is None"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parent.parent)])}
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    assert not kernels.ready(module)
    deadline = time.monotonic() + 60
    while not kernels.ready(module) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert kernels.ready(module)


def test_that_compilers_that_start_together_compile_once(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text(
        SOURCE + "    import pathlib, time\n    with pathlib.Path(__file__).with_name('calls').open('a') as file:\n"
        "        file.write('x')\n    time.sleep(1)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parent.parent)])}
    command = [sys.executable, "-m", "hnm_core.kernels", module]
    together = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [process.wait(60) for process in together] == [0, 0, 0]
    assert (tmp_path / "calls").read_text() == "x"


def test_that_the_search_kernels_cover_tree_scan_and_filter() -> None:
    from hnm_core.neighbors.cpu import search_kernels

    compiled = {kernel.py_func.__module__ for kernel in search_kernels.KERNELS}
    assert {f"hnm_core.neighbors.cpu.{name}_kernels" for name in SEARCHES} == compiled
    sources = {Path(name).stem for name in kernels._sources(search_kernels)}
    assert {f"{name}_kernels" for name in (*SEARCHES, "hull")} | {"simd", "keys", "blocks", "fma"} <= sources


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere numba chooses its threads by itself")
def test_that_kernels_run_on_a_system_without_openmp() -> None:
    script = """
import sys
sys.modules["numba.np.ufunc.omppool"] = None  # importing it fails, as it does where libgomp is missing
from hnm_core import kernels
import numba, numpy
@numba.njit(parallel=True)
def total(x):
    s = 0
    for i in numba.prange(len(x)):
        s += x[i]
    return s
print(total(numpy.arange(5)), numba.threading_layer())
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_THREADING")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == ["10", "workqueue"]
