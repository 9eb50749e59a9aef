"""Two programs at once: they list, prune and make room, render and export to one place, and record side by side."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from app.video.encoder import Encoder
from app.video.formats import VideoFormat, video_format
from hnm_core.errors import InputError
from hnm_core.recording import (
    EXPORT_KINDS,
    export,
    header,
    list_runs,
    make_room,
    new_run_dir,
    open_recording,
    prune,
    record,
    room,
    runs,
)  # fmt: skip
from hnm_core.recording.lock import lock
from hnm_core.run.events import RunStarted
from hnm_core.system import whole_files
from hnm_core.system.locks import try_lock
from hnm_core.system.whole_files import check_writable, whole_file
from tests.recording import made_up
from tests.video.test_encoder import pictures

ROOT = Path(__file__).resolve().parents[2]
PRUNERS, LISTERS, RUNS = 6, 4, 40


def recorded(root: Path, count: int = 1, first: int = 0) -> list[Path]:
    """So many recordings, the newest first."""
    folders = []
    for place in range(first, first + count):
        folder = root / f"run-{place:03d}"
        list(record(made_up.run(1, 8), folder))
        made_up.edit_run_file(folder, started=f"2026-01-01T00:{place:04d}")
        folders.append(folder)
    return folders[::-1]


def program(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A Python of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


AT_ONCE = """
import sys
from pathlib import Path
from hnm_core.recording import list_runs, open_recording, prune, room
from hnm_core.errors import InputError
root = Path(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
if sys.argv[1] == "prune":
    print(len(prune(keep=3, root=root)))
else:
    while Path(sys.argv[3]).exists():
        for folder in list_runs(root):
            try:
                open_recording(folder)
            except InputError as error:
                assert "does not exist" in str(error) or "cannot be read" in str(error) or "has no" in str(error), error
"""


@pytest.mark.thorough
def test_that_many_prune_and_list_at_once(tmp_path: Path) -> None:
    """A recording that a lister looks into stays, for whoever prunes next."""
    root, going_on = tmp_path / "runs", tmp_path / "going on"
    going_on.touch()
    kept = recorded(root, RUNS)[:3]
    programs = [program(AT_ONCE, kind, root, going_on) for kind in ["prune"] * PRUNERS + ["list"] * LISTERS]
    for each in programs:
        assert each.stdout is not None and each.stdout.readline() == "ready\n"
    for each in programs:
        assert each.stdin is not None
        each.stdin.write("\n")
        each.stdin.flush()
    ended = [(each.communicate(timeout=60), each.returncode) for each in programs[:PRUNERS]]
    going_on.unlink()
    ended += [(each.communicate(timeout=60), each.returncode) for each in programs[PRUNERS:]]
    assert [(err, status) for (_, err), status in ended if status] == []
    left = list_runs(root)
    assert sum(int(out) for (out, _), _ in ended[:PRUNERS]) == RUNS - len(left)  # each is deleted by one
    assert left[:3] == kept and len(left) < RUNS // 2
    assert prune(keep=3, root=root) == left[3:]
    assert sorted(root.iterdir()) == sorted(kept)


def test_that_nothing_goes_that_somebody_writes_or_shows(tmp_path: Path) -> None:
    recorded(tmp_path, 3, first=10)
    going_on = record(made_up.run(), tmp_path / "written")
    while not (tmp_path / "written" / "run.json").exists():
        next(going_on)
    shown = open_recording(*recorded(tmp_path))
    elsewhere = program(
        "import sys; from hnm_core.recording import open_recording; kept = open_recording(sys.argv[1]);"
        "print('open', flush=True); sys.stdin.read()",
        *recorded(tmp_path, first=1),
    )
    assert elsewhere.stdout is not None and elsewhere.stdout.readline() == "open\n"
    prune(keep=1, root=tmp_path)
    assert {folder.name for folder in list_runs(tmp_path)} == {"written", "run-000", "run-001"}
    assert len(shown.steps("knn"))
    going_on.close()
    elsewhere.communicate()
    del shown
    prune(keep=1, root=tmp_path)
    assert list_runs(tmp_path) == [tmp_path / "written"], "the newest"


def test_that_a_recording_that_goes_while_it_is_opened_is_not_told_as_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is thrown away as soon as its `run.json` is read, by somebody who looked before we were at it."""
    (folder,) = recorded(tmp_path)
    read_run_file = header.read_run_file

    def read_and_lose(run: Path) -> object:
        content = read_run_file(run)
        shutil.rmtree(run)
        return content

    monkeypatch.setattr(header, "read_run_file", read_and_lose)
    with pytest.raises(InputError, match=r"run-000' does not exist\.$"):
        open_recording(folder)


def test_that_who_looks_into_a_recording_for_a_moment_does_not_keep_it_from_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, old = recorded(tmp_path, 2)
    looking = [os.open(old, os.O_RDONLY)]
    try_lock(looking[0], shared=True)
    monkeypatch.setattr("hnm_core.recording.lock.time.sleep", lambda _s: os.close(looking.pop()) if looking else None)
    assert prune(keep=1, root=tmp_path) == [old]


def test_that_what_goes_by_itself_was_named_a_day_before(tmp_path: Path) -> None:
    newest, older, oldest = recorded(tmp_path, 3)
    assert make_room(keep=2, root=tmp_path) == [oldest]
    assert "run-000" in room.in_words([oldest]) and "from tomorrow on" in room.in_words([oldest])
    assert make_room(keep=2, root=tmp_path) == [oldest], "it was named just now"
    assert make_room(keep=3, root=tmp_path) == [], "there is room again, and nothing is named any more"
    assert make_room(keep=2, root=tmp_path) == [oldest]
    mark = oldest / runs.LEAVING_FILE
    os.utime(oldest / "run.json", (time.time() - 90_000,) * 2)
    os.utime(mark, (time.time() - 86_401,) * 2)
    held = open_recording(oldest)
    assert make_room(keep=2, root=tmp_path) == [oldest], "somebody looks at it"
    del held
    assert make_room(keep=2, root=tmp_path) == []
    assert list_runs(tmp_path) == [newest, older]
    assert room.in_words([]) == ""


@pytest.mark.parametrize("written", [-40 * 365 * 86_400.0, 40 * 365 * 86_400.0])
def test_that_a_notice_by_a_clock_that_was_wrong_is_given_anew(tmp_path: Path, written: float) -> None:
    newest, old = recorded(tmp_path, 2)
    begun = time.time() - 100 * 86_400.0
    os.utime(old / "run.json", (begun, begun))
    assert make_room(keep=1, root=tmp_path) == [old]
    mark = old / runs.LEAVING_FILE
    os.utime(mark, (time.time() + written,) * 2)
    assert make_room(keep=1, root=tmp_path) == [old], "nobody can have read it for a day"
    assert abs(mark.stat().st_mtime - time.time()) < 60
    os.utime(mark, (time.time() - 86_401,) * 2)
    assert make_room(keep=1, root=tmp_path) == []
    assert list_runs(tmp_path) == [newest]


def test_that_one_long_run_takes_no_other_with_it_unsaid(tmp_path: Path) -> None:
    newest, long = recorded(tmp_path, 2)
    (large, *_) = long.glob("*/frames.bin")
    with large.open("ab") as file:
        file.write(bytes(1_000_000))
    assert make_room(max_bytes=500_000, root=tmp_path) == [long]
    with large.open("r+b") as file:
        file.truncate(1 << 40)  # a hole takes no room
    assert make_room(max_bytes=5_000_000, root=tmp_path) == []
    assert list_runs(tmp_path) == [newest, long]


HEADER_FILES = {"writing.lock": b"", "labels.npy": b"x" * 500, "run.json.part": b"{", "00-one/steps.bin": b""}


def litter(folder: Path, **more: bytes) -> Path:
    """What a run leaves that was killed while it wrote its header."""
    for name, content in {**HEADER_FILES, **more}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    return folder


def test_that_what_was_killed_before_it_began_makes_room(tmp_path: Path) -> None:
    (kept,) = recorded(tmp_path)
    litter(tmp_path / "20260101-000000-killed")
    litter(tmp_path / "by-record")
    (tmp_path / "20260101-000000-reset").mkdir()
    (tmp_path / "my own").mkdir()
    foreign = [
        litter(tmp_path / "mine", **{"thesis.txt": b"mine"}),
        litter(tmp_path / "steps", **{"00-one/steps.bin": b"x" * 900}),
    ]
    held = lock(litter(tmp_path / "20260101-000000-begins"))
    waiting = new_run_dir("waits", tmp_path)
    (tmp_path / ".deleted-half").mkdir()
    assert make_room(root=tmp_path) == []
    stay = [kept, tmp_path / "my own", *foreign, tmp_path / "20260101-000000-begins", waiting]
    assert sorted(tmp_path.iterdir()) == sorted(stay)
    held.close()


def test_that_the_same_folder_can_be_recorded_into_after_a_kill_in_the_header(tmp_path: Path) -> None:
    folder = litter(tmp_path / "run")
    (folder / "old-01-lane").mkdir()
    with pytest.raises(InputError, match="not empty"):
        record(made_up.run(), folder)
    (folder / "old-01-lane").rmdir()
    events = list(record(made_up.run(2, 8), folder))
    assert isinstance(events[0], RunStarted) and len(open_recording(folder).steps("knn")) == 2
    assert not (folder / "00-one").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="kills as Linux has them")
def test_that_a_run_killed_in_its_header_leaves_a_folder_that_can_be_used_again(tmp_path: Path) -> None:
    """Killed as each of its files appears."""
    code = (
        "import os, signal, sys; from pathlib import Path; from hnm_core.recording import record;"
        "from tests.recording import made_up; import hnm_core.recording.writer as writer\n"
        "left = int(sys.argv[2])\n"
        "def traced(event, arguments):\n"
        "    global left\n"
        "    if event in ('open', 'os.mkdir', 'os.rename') and sys.argv[1] in str(arguments[0]):\n"
        "        left -= 1\n"
        "        if left < 0: os.kill(os.getpid(), signal.SIGKILL)\n"
        "sys.addaudithook(traced)\n"
        "for event in record(made_up.run(2, 8), sys.argv[1]): pass\n"
    )
    killed = 0
    for after in range(0, 24, 4):
        folder = tmp_path / f"run-{after}"
        each = program(code, folder, after)
        _, err = each.communicate(timeout=60)
        assert each.returncode in (0, -signal.SIGKILL), err
        killed += each.returncode != 0
        if not (folder / "run.json").exists():
            list(record(made_up.run(2, 8), folder))
        assert open_recording(folder)
    assert killed > 3


def video(out: Path) -> Iterator[None]:
    """Writes a video, as far as it is asked to."""
    form = video_format(out, (96, 64), 10)
    with Encoder(out, form) as writer:
        for pixels in pictures(4, form.size):
            writer.write(pixels)
            yield


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
def test_that_the_second_of_two_videos_to_one_place_is_refused(tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"out{suffix}"
    first = video(out)
    next(first)
    with pytest.raises(InputError, match="another program is writing it"):
        video_format(out, (96, 64), 10)
    form = VideoFormat(suffix, (96, 64), Fraction(10))
    with pytest.raises(InputError, match="another program is writing it"), Encoder(out, form):
        pass
    list(first)
    with av.open(str(out)) as file:
        assert sum(1 for _ in file.decode(video=0)) == 4
    list(video(out))  # and now there is nobody any more
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_that_what_a_killed_program_left_hinders_nobody(tmp_path: Path) -> None:
    (tmp_path / "out.mp4.part").write_bytes(b"half a video")
    list(video(tmp_path / "out.mp4"))
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]


def test_that_a_link_stays_a_link_and_what_is_no_file_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    link = tmp_path / "out.mp4"
    link.symlink_to(Path("disk", "real.mp4"))
    list(video(link))
    assert link.is_symlink() and (tmp_path / "disk" / "real.mp4").stat().st_size > 100
    os.mkfifo(tmp_path / "pipe.mp4")
    (tmp_path / "nothing.mp4").symlink_to("/dev/null")
    for name in ("pipe.mp4", "nothing.mp4"):
        with pytest.raises(InputError, match="only regular files are written"):
            video_format(tmp_path / name, (96, 64), 10)
    assert not Path("/dev/null").is_file()


def test_that_a_file_takes_its_place_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    check_writable(path)
    with pytest.raises(KeyboardInterrupt), whole_file(path) as part:
        part.write_text("half")
        assert path.read_text() == "before"
        raise KeyboardInterrupt
    assert path.read_text() == "before" and list(tmp_path.iterdir()) == [path]
    with whole_file(path) as part:
        part.write_text("after")
    assert path.read_text() == "after" and list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def test_that_a_folder_gets_its_name_when_all_in_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced, fsync, move = list[int](), os.fsync, whole_files.put

    def sync(handle: int) -> None:
        fsync(handle)
        synced.append(os.fstat(handle).st_ino)

    def put(part: Path, target: Path) -> None:
        assert {path.stat().st_ino for path in (part, *part.rglob("*"))} <= set(synced)
        move(part, target)

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(whole_files, "put", put)
    with whole_files.whole_folder(tmp_path / "new") as folder:
        (folder / "qrels").mkdir()
        for name in ("a.npy", "qrels/test.tsv"):
            (folder / name).write_text(name)
    assert (tmp_path / "new" / "qrels" / "test.tsv").read_text() == "qrels/test.tsv"


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


@pytest.mark.parametrize("kind", ["csv", "npz", "parquet"])
def test_that_an_export_to_a_full_disk_leaves_what_was_there(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (run,) = recorded(tmp_path)
    paths = export(run, kind)
    before = {path: path.read_bytes() for path in paths}
    written, write = list[Path](), EXPORT_KINDS[kind]

    def full(path: Path, table: dict[str, np.ndarray]) -> None:
        write(path, table)
        written.append(path)
        if len(written) == len(paths):
            os.truncate(path, 20)
            raise OSError(28, "No space left on device")

    monkeypatch.setitem(EXPORT_KINDS, kind, full)
    with pytest.raises(InputError, match="No space left on device"):
        export(run, kind)
    assert {path: path.read_bytes() for path in (run / "export").iterdir()} == before


def test_that_two_exports_to_one_place_do_not_mix(tmp_path: Path) -> None:
    (run,) = recorded(tmp_path)
    first, *_ = export(run, "csv", tmp_path / "out")
    with whole_file(first), pytest.raises(InputError, match="another program is writing it"):
        export(run, "csv", tmp_path / "out")
