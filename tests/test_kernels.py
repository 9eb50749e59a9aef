from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.picture.raster import RASTER_KERNELS
from hnm_core import compilers, kernels
from hnm_core.miners.in_batch.batch import KERNELS
from tests.forked import Forks

Python = Callable[[str], str]
Compile = Callable[[str], str]
Ready = Callable[[str], bool]

ROOT = str(Path(__file__).parents[1])

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


def test_that_a_changed_source_is_compiled_again(
    module: str, tmp_path: Path, compile_now: Compile, is_ready: Ready
) -> None:
    assert not is_ready(module)
    compile_now(module)
    assert is_ready(module)
    (tmp_path / f"{module}.py").write_text(SOURCE.replace("3) == 6", "40) == 80"))
    assert not is_ready(module)


def test_that_a_module_whose_kernels_do_not_compile_never_becomes_ready(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("def warm_up():\n    raise SystemExit(3)\n")
    process = kernels.compile_in_background(module)
    assert process is not None
    assert process.wait(60) == 3
    assert not kernels.ready(module)
    assert kernels.compile_in_background(module) is process  # tried once, not for ever


def test_that_what_a_compiler_had_done_that_was_broken_off_is_kept(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text(
        SOURCE + "    import pathlib\n    pathlib.Path(__file__).with_name('on').stat()\n"
    )
    with pytest.raises(FileNotFoundError):
        kernels.compile_now(module)
    (kept,) = tmp_path.rglob(f"{module}.double*.nbc")
    made = kept.stat()
    (tmp_path / "on").touch()
    kernels.compile_now(module)
    assert kernels.ready(module) and os.path.samestat(kept.stat(), made) and kept.stat().st_mtime_ns == made.st_mtime_ns
    os.utime(tmp_path / f"{module}.py", (1, 1))
    (tmp_path / "on").unlink()
    with pytest.raises(FileNotFoundError):
        kernels.compile_now(module)
    assert not kept.exists(), "of other sources nothing is kept"


def test_that_a_program_may_end_before_its_compiler_which_goes_on(module: str, tmp_path: Path) -> None:
    go_on = tmp_path / "go on"
    wait = f"    import pathlib, time\n    while not pathlib.Path({str(go_on)!r}).exists():\n        time.sleep(0.01)\n"
    (tmp_path / f"{module}.py").write_text(SOURCE + wait)
    code = f"from hnm_core import kernels; assert kernels.compile_in_background({module!r}).poll() is None"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), ROOT])}
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert ended.stderr == ""
    assert not kernels.ready(module)
    go_on.touch()
    deadline = time.monotonic() + 60
    while not kernels.ready(module) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert kernels.ready(module)


def test_that_compilers_that_start_together_compile_once(module: str, tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text(
        SOURCE + "    import pathlib, time\n    with pathlib.Path(__file__).with_name('calls').open('a') as file:\n"
        "        file.write('x')\n    time.sleep(1)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), ROOT])}
    command = [sys.executable, "-m", "hnm_core.kernels", module]
    together = [subprocess.Popen(command, env=environment) for _ in range(3)]
    assert [process.wait(60) for process in together] == [0, 0, 0]
    assert (tmp_path / "calls").read_text() == "x"


@pytest.fixture
def package(module: str, tmp_path: Path) -> str:
    """A package of a kernel and of two helpers: one with a cache of its own and one that is always a part of others."""
    name = module.replace("kernels", "package")
    texts = {
        "__init__": "",
        "kernel": f"""
from numba import njit
from {name}.cached import plus

@njit(cache=True)
def added(x):
    return plus(x)

def warm_up():
    added(1)
""",
        "cached": """
from numba import njit
from . import inlined

@njit(cache=True)
def plus(x):
    return x + inlined.constant()
""",
        "inlined": INLINED,
    }
    for file, text in texts.items():
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / f"{file}.py").write_text(text)
    return name


INLINED = """
from numba import njit

@njit
def constant():
    return 10
"""


def python(folder: Path, *arguments: str) -> str:
    """What a process of its own prints; it finds what lies in `folder`."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), ROOT])}
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def run(forks: Forks, tmp_path: Path) -> Python:
    """What code prints in a process of its own, which finds what lies in `tmp_path`."""

    def run(code: str) -> str:
        places = {name: os.environ.get(name) for name in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME")}
        folder = tmp_path / "elsewhere"  # no process of ours looks into the folder that it is started in
        folder.mkdir(exist_ok=True)
        return forks.python(f"sys.path.insert(0, {str(tmp_path)!r})\n{code}", cwd=folder, env=places).strip()

    return run


@pytest.fixture
def compile_now(run: Python) -> Compile:
    """Compiles the kernels of a module in a process of its own."""
    return lambda module: run(f"from hnm_core import kernels; kernels.compile_once({module!r})")


@pytest.fixture
def is_ready(run: Python) -> Ready:
    """Whether a process of its own finds the kernels of a module compiled."""
    return lambda module: run(f"from hnm_core import kernels; print(kernels.ready({module!r}))") == "True"


@pytest.mark.parametrize("named", ["", ".kernel"])
def test_that_a_change_of_what_a_kernel_calls_ends_up_in_the_kernel(
    package: str, named: str, tmp_path: Path, run: Python, compile_now: Compile
) -> None:
    added = f"from {package}.kernel import added; print(added(1), *added.stats.cache_hits.values())"
    compile_now(package + named)
    assert run(added) == "11 1"
    (tmp_path / package / "inlined.py").write_text(INLINED.replace("10", "2000"))
    compile_now(package + named)
    assert run(added) == "2001 1"


@pytest.mark.thorough
def test_that_a_new_file_of_a_package_is_compiled_too(
    package: str, tmp_path: Path, run: Python, compile_now: Compile, is_ready: Ready
) -> None:
    compile_now(package)
    assert is_ready(package)
    (tmp_path / package / "another.py").write_text(SOURCE)
    assert not is_ready(package)
    compile_now(package)
    code = f"from {package}.another import double; double(3); print(*double.stats.cache_hits.values())"
    assert run(code) == "1"


def test_that_parts_are_compiled_side_by_side_and_told_of(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = []
    for mine, others in (("one", "two"), ("two", "one")):
        wait = f"    import pathlib, time\n    pathlib.Path(__file__).with_name('{mine}').touch()\n"
        wait += f"    while not pathlib.Path(__file__).with_name('{others}').exists():\n        time.sleep(0.01)\n"
        (tmp_path / package / f"{mine}_kernels.py").write_text(SOURCE + wait)
        parts.append(importlib.import_module(f"{package}.{mine}_kernels"))
    monkeypatch.setattr(compilers, "_cores", lambda: 2)
    told = []
    compilers.compile_parts(parts, parts, lambda done, at: told.append((done, at)))  # neither ends without the other
    assert told[-1] == ({f"{package}.one_kernels.double", f"{package}.two_kernels.double"}, "")
    at = {at for _, at in told} - {""}
    assert at and at <= {"double", "one_kernels", "two_kernels"}, "the kernel, or its part while none is compiled yet"


def test_that_a_part_that_fails_is_told_when_the_others_are_compiled(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / package / "bad.py").write_text("def warm_up():\n    raise ValueError('as it should')\n")
    parts = [importlib.import_module(f"{package}.{name}") for name in ("bad", "kernel")]
    monkeypatch.setattr(compilers, "_cores", lambda: 2)
    told = []
    with pytest.raises(RuntimeError, match="a compiler of kernels failed"):
        compilers.compile_parts(parts, parts, lambda done, at: told.append((done, at)))
    assert told[-1] == ({f"{package}.kernel.added"}, "")
    assert "ValueError: as it should" in capfd.readouterr().err


def test_that_a_compiler_that_cannot_be_started_is_told(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else kernels that nobody has compiled would count as compiled."""

    def none_left(*_command: object, **_options: object) -> None:
        raise BlockingIOError("no more processes")

    parts = [importlib.import_module(f"{package}.{name}") for name in ("cached", "kernel")]
    monkeypatch.setattr(compilers, "_cores", lambda: 2)
    monkeypatch.setattr(compilers.subprocess, "Popen", none_left)
    with pytest.raises(RuntimeError, match="a compiler of kernels failed"):
        compilers.compile_parts(parts, parts, lambda done, at: None)


def test_that_who_shares_the_kernels_finds_them_compiled(
    module: str, tmp_path: Path, compile_now: Compile, is_ready: Ready, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else they would be cleared away and compiled anew by one user after the other."""
    compile_now(module)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "another"))
    assert is_ready(module)


def test_that_what_is_saved_while_kernels_are_compiled_does_not_count_as_compiled(
    package: str, tmp_path: Path, compile_now: Compile, is_ready: Ready
) -> None:
    inlined = tmp_path / package / "inlined.py"
    with (tmp_path / package / "kernel.py").open("a") as kernel:
        kernel.write(
            f"    import pathlib; pathlib.Path({str(inlined)!r}).write_text({INLINED.replace('10', '2000')!r})\n"
        )
    compile_now(package)
    assert not is_ready(package)


def test_that_what_another_python_keeps_of_the_same_kernels_stays(
    module: str, tmp_path: Path, compile_now: Compile
) -> None:
    compile_now(module)
    (own,) = tmp_path.rglob(f"{module}.*.nbi")
    other = own.with_name(own.name.replace(f"py3{sys.version_info.minor}", "py37"))
    other.write_bytes(b"of another")
    (tmp_path / f"{module}.py").write_text(SOURCE + "\n")
    compile_now(module)
    assert other.read_bytes() == b"of another"


def test_that_kernels_beside_the_module_that_warms_them_up_are_followed(
    package: str, tmp_path: Path, run: Python, compile_now: Compile
) -> None:
    """As the raster's: the module that was asked for calls kernels and holds none."""
    front = f"{package}.front"
    (tmp_path / package / "front.py").write_text(f"from {package}.kernel import added\ndef warm_up():\n    added(1)\n")
    added = f"from {package}.front import added; print(added(1), *added.stats.cache_hits.values())"
    compile_now(front)
    assert run(added) == "11 1"
    (tmp_path / package / "inlined.py").write_text(INLINED.replace("10", "2000"))
    compile_now(front)
    assert run(added) == "2001 1"


def test_that_caches_of_kernels_that_are_gone_are_cleared_away(
    module: str, tmp_path: Path, compile_now: Compile
) -> None:
    compile_now(module)
    (tmp_path / f"{module}.py").write_text("\n\n" + SOURCE)  # two lines further down, so with files of other names
    compile_now(module)
    assert len([*tmp_path.rglob(f"{module}.*.nbi")]) == len([*tmp_path.rglob(f"{module}.*.nbc")]) == 1


def test_that_a_compiler_runs_nothing_of_the_current_folder(
    module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "filelock.py").write_text("raise SystemExit(7)")
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    process = kernels.compile_in_background(module)
    assert process is not None
    assert process.wait(60) == 0


def test_that_a_program_that_found_us_in_the_current_folder_has_a_compiler_that_finds_us(
    module: str, tmp_path: Path
) -> None:
    code = (
        f"import sys; sys.path = ['' if path == {ROOT!r} else path for path in sys.path]; sys.path.append({ROOT!r});"
        f"from hnm_core import kernels; sys.path.remove({ROOT!r});"
        f"print(kernels.compile_in_background({module!r}).wait())"
    )
    assert python(tmp_path, "-c", code) == "0"


def test_that_the_search_kernels_are_all_that_the_searches_compile() -> None:
    package = kernels.SEARCH_KERNELS.replace(".", "/")
    parts = kernels._parts(kernels.SEARCH_KERNELS)
    sources = {kernels._file(source) for source in kernels._sources(parts)}
    written = {path for path in (Path(ROOT) / package).glob("*.py") if "numba" in path.read_text()}
    assert sources == {*written, Path(ROOT) / "hnm_core" / "simd.py"}
    assert {path.stem for path in written} == {part.__name__.rpartition(".")[2] for part in parts} - {"cpu"}


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


@pytest.mark.thorough
@pytest.mark.parametrize("module", [kernels.SEARCH_KERNELS, KERNELS, RASTER_KERNELS])
def test_that_no_kernel_leaves_its_arrays_while_it_is_compiled(module: str, tmp_path: Path) -> None:
    """A compiler that writes behind an array breaks at some other time and place."""
    environment = {**os.environ, "NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(tmp_path)}
    command = [sys.executable, "-P", "-m", "hnm_core.kernels", module]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
