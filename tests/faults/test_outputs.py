"""Every command with standard output full, closed, narrow and in other encodings; and as a user without a home."""

from __future__ import annotations

import fcntl
import os
import pty
import shutil
import struct
import sys
import tempfile
import termios
import threading
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path

import pytest

import app
import hnm_core
from hnm_core.kernels import SEARCH_KERNELS
from hnm_core.recording import open_recording
from tests.families import across, one_in
from tests.faults.commands import COMMANDS, Command, Things
from tests.forked import CLOSED, Ended, Forks

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="devices and processes as Linux has them")

NARROW = 20
ODD_TITLE = "Müller → 97 ± 2 % · \u4e2d\u6587 \x1b[31m"
"""In every encoding of these tests something of it is missing; and a terminal would obey its end."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def compiled(compile_kernels: Callable[[str], None]) -> None:
    """Nobody waits for a compiler."""
    for module in ("app.picture.raster", "hnm_core.miners.in_batch.kernels", SEARCH_KERNELS):
        compile_kernels(module)


@pytest.fixture(scope="module")
def things(lab: Forks, folder: Path) -> Things:
    made = Things.made_in(folder)
    made.config.write_text(f'title = "{ODD_TITLE[:-5]}\\u001b[31m"\n' + made.config.read_text())
    ended = lab.run("run", made.config, "--record", made.run, cwd=folder)
    assert ended.status == 0, ended.err
    return made


@pytest.fixture
def called(lab: Forks, things: Things, tmp_path: Path, user_folders: Path) -> object:
    """Calls a command in an empty folder."""

    def call(command: Command, out: str | Path, **env: str | None) -> Ended:
        places = {"XDG_DATA_HOME": str(user_folders / "data"), "XDG_CONFIG_HOME": str(user_folders / "config")}
        arguments = command.arguments(things, tmp_path / "new")
        return lab.run(*arguments, cwd=tmp_path, out=out, env={"COLUMNS": None, **places, **env})

    return call


def assert_is_told(ended: Ended, command: Command, why: str) -> None:
    """One sentence and status 1 where there was something to print."""
    assert ended.err.count(f"Error: Standard output cannot be written: {why}.\n") == command.prints, ended
    assert ended.status == command.prints, ended
    assert_is_no_bug(ended)


def assert_is_no_bug(ended: Ended) -> None:
    for word in ("bug", "Traceback", "Exception ignored", "Internal error"):
        assert word not in ended.err, ended.err


commands = pytest.mark.parametrize(
    "command",
    [pytest.param(command, marks=pytest.mark.thorough if command.slow else ()) for command in COMMANDS],
    ids=lambda command: command.name,
)
QUICK = [command for command in COMMANDS if not command.slow]
"""The others go the same ways: they are slow, and called once."""
quick_commands = pytest.mark.parametrize("command", one_in(2, QUICK), ids=lambda command: command.name)
the_other_commands = pytest.mark.parametrize(
    "command", one_in(2, QUICK[1:] + QUICK[:1]), ids=lambda command: command.name
)


@commands
@pytest.mark.usefixtures("compiled")
def test_that_a_full_standard_output_is_told_in_a_sentence(called, command: Command) -> None:
    assert_is_told(called(command, "/dev/full"), command, "No space left on device")


@quick_commands
@pytest.mark.usefixtures("compiled")
def test_that_a_closed_standard_output_is_told_in_a_sentence(called, command: Command, tmp_path: Path) -> None:
    assert_is_told(called(command, CLOSED), command, "it is closed")


def test_that_a_recording_is_whole_whatever_standard_output_is(called, tmp_path: Path) -> None:
    for place, out in enumerate(("/dev/full", CLOSED)):
        called(Command(f"run {{config}} --json --record {{new}}{place}"), out)
        assert open_recording(tmp_path / f"new{place}").finished is not None
        called(Command(f"run {{config}} --record {{new}}{place}-too"), out)
        recording = open_recording(tmp_path / f"new{place}-too")
        assert recording.summary()["state"] == "finished"


@pytest.mark.parametrize(
    ("command", "encoding"),
    across(QUICK, ["utf-8", "latin-1", "cp1252"]),
    ids=lambda value: getattr(value, "name", value),
)
@pytest.mark.usefixtures("compiled")
def test_that_output_is_text_in_the_encoding_that_is_asked_for(
    called, command: Command, encoding: str, tmp_path: Path
) -> None:
    (tmp_path / "out").touch()
    ended = called(command, tmp_path / "out", PYTHONIOENCODING=encoding)
    assert ended.status == 0, ended
    text = (tmp_path / "out").read_bytes().decode(encoding)
    assert bool(text) == command.prints and "\x1b" not in text
    if command.name == "inspect":
        assert (ODD_TITLE[:-5] in text) == (encoding == "utf-8") and "Müller" in text


class Terminal:
    """A terminal, and what was written to it."""

    def __init__(self, columns: int) -> None:
        self._ours, self._theirs = pty.openpty()
        fcntl.ioctl(self._theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        self.path, self.text = os.ttyname(self._theirs), b""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def close(self) -> None:
        os.close(self._theirs)
        self._reader.join()
        os.close(self._ours)

    def _read(self) -> None:
        try:
            while some := os.read(self._ours, 4096):
                self.text += some
        except OSError:
            pass  # nobody has it open any more


@the_other_commands
@pytest.mark.usefixtures("compiled")
def test_that_every_command_works_on_a_narrow_terminal_that_knows_ascii_alone(called, command: Command) -> None:
    terminal = Terminal(NARROW)
    try:
        ended = called(command, terminal.path, PYTHONIOENCODING="ascii", TERM="xterm")
    finally:
        terminal.close()
    assert ended.status == 0, ended
    assert_is_no_bug(ended)
    assert terminal.text or not command.prints
    terminal.text.decode("ascii")
    assert b"\x1b[31m" not in terminal.text


HOMELESS = {"HOME": None, "XDG_DATA_HOME": None, "XDG_CONFIG_HOME": None}
"""The cache stays: nobody waits for a compiler."""
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")


@quick_commands
@pytest.mark.usefixtures("compiled")
def test_that_every_command_works_where_the_home_cannot_be_written(called, command: Command, tmp_path: Path) -> None:
    (tmp_path / "home").write_text("a file")
    (tmp_path / "tmp").mkdir()
    places = {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp"), "XDG_CACHE_HOME": str(CACHE)}
    ended = called(command, os.devnull, **HOMELESS | places)
    assert ended.status == 0, ended
    assert_is_no_bug(ended)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes somebody else")
@the_other_commands
@pytest.mark.usefixtures("compiled")
def test_that_every_command_works_as_a_user_whom_the_system_does_not_know(
    lab: Forks, things: Things, command: Command, strangers_folder: Path, strangers_cache: Path
) -> None:
    arguments = command.arguments(things.moved_to(strangers_folder), strangers_folder / "new")
    env = HOMELESS | {"TMPDIR": str(strangers_folder), "XDG_CACHE_HOME": str(strangers_cache)}
    ended = lab.run(*arguments, cwd=strangers_folder, env=env, user=STRANGER)
    assert ended.status == 0, ended
    assert_is_no_bug(ended)


STRANGER = 54_321


def give_away(folder: Path) -> None:
    for place in (folder, *folder.rglob("*")):
        os.chown(place, STRANGER, STRANGER)


@pytest.fixture
def strangers_folder(things: Things) -> Iterator[Path]:
    """A folder that somebody else owns, with copies of the things."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        shutil.copytree(things.run, folder / things.run.name)
        for file in (things.data, things.config, things.pairs):
            shutil.copy(file, folder)
        give_away(folder)
        yield folder


@pytest.fixture(scope="module")
def strangers_cache(compiled: None) -> Iterator[Path]:
    """The stranger's cache, with all kernels: our folders are closed to strangers, so numba looks here."""
    from numba.core.caching import UserWideCacheLocator as Stranger

    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o777)
        packages = [Path(package.__file__).parent for package in (hnm_core, app)]
        for kept in chain.from_iterable(package.rglob("__pycache__/*.*") for package in packages):
            numbas = folder / "numba" / Stranger.get_suitable_cache_subpath(str(kept.parent.with_name("any.py")))
            places = {".json": folder / "hnm-lab" / "kernels", ".nbi": numbas, ".nbc": numbas}
            if place := places.get(kept.suffix):
                place.mkdir(parents=True, exist_ok=True)
                shutil.copy2(kept, place)
        give_away(folder)
        yield folder
