"""A recording as one file and back: equal, whole or not at all, and nothing of a stranger's that no recording has."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hnm_core.errors import InputError
from hnm_core.recording import checkpoints, disk, open_recording, pack, packed, packing, record, unpack
from hnm_core.recording.layout import is_part
from hnm_core.run.events import Checkpoint
from tests.recording import made_up

Members = list[tuple[zipfile.ZipInfo, bytes]]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packing") / "run"
    list(record(made_up.run(3, 8), folder))
    (folder / "checkpoints").mkdir()
    checkpoints.write(folder / "checkpoints", Checkpoint(3, (), {"a": np.arange(3)}), 9)
    (folder / "export").mkdir()
    (folder / "export" / "mine.csv").write_text("not for others")
    (folder / "camera.json").write_text("[]")
    (folder / "leaving.txt").write_text("a mark of the program's")
    return folder


@pytest.fixture(scope="module")
def file(run: Path) -> Path:
    made = pack(run, run.parent / "run.hnmlab")
    assert made is not None
    return made


def contents(folder: Path) -> dict[str, bytes]:
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return {name: data for name, data in files.items() if name != "writing.lock"}


def leftovers(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in tmp_path.iterdir() if path.suffix != ".hnmlab")


def test_that_a_recording_comes_back_as_it_was_and_nothing_else_does(run: Path, file: Path, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    again = unpack(file, tmp_path / "again", progress=lambda *now: told.append(now))
    assert again == tmp_path / "again" and leftovers(tmp_path) == ["again"] and told[-1][0] == told[-1][1]
    wanted = {name: data for name, data in contents(run).items() if is_part(name)}
    assert contents(again) == {name: data for name, data in wanted.items() if not name.startswith("checkpoints/")}
    assert open_recording(again).losses == () and not open_recording(again).is_being_written
    with zipfile.ZipFile(file) as stored:  # any program for archives opens it
        assert stored.testzip() is None and stored.namelist()[-1] == "manifest.json"
    pack(run, tmp_path / "all.hnmlab", checkpoints=True)
    whole = unpack(tmp_path / "all.hnmlab", tmp_path / "whole")
    assert whole is not None and contents(whole) == wanted and checkpoints.newest_step(whole) == 3
    pack(again, tmp_path / "once-more.hnmlab")
    assert (tmp_path / "once-more.hnmlab").read_bytes() == file.read_bytes(), "equal recordings give equal bytes"


def test_that_a_run_that_goes_on_is_packed_as_it_is_now(tmp_path: Path) -> None:
    going_on = record(made_up.run(), tmp_path / "run")
    for _ in range(20):
        next(going_on)
    pack(tmp_path / "run", tmp_path / "now.hnmlab")
    original = open_recording(tmp_path / "run")
    steps = {lane: original.steps(lane).tobytes() for lane in original.lanes}
    list(going_on)
    copy = unpack(tmp_path / "now.hnmlab", tmp_path / "now")
    assert copy is not None and open_recording(copy).losses == ()
    assert {lane: open_recording(copy).steps(lane).tobytes() for lane in original.lanes} == steps


def test_that_nothing_is_left_of_what_is_called_off_or_finds_no_room(
    run: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert unpack(file, tmp_path / "new", progress=lambda _done, _total: False) is None
    assert pack(run, tmp_path / "new.hnmlab", progress=lambda _done, _total: False) is None
    with pytest.raises(InputError, match=r"ends in \.hnmlab"):
        pack(run, tmp_path / "new.zip")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").touch()
    something = "there is something at"
    for where, why in ((tmp_path / "full", something), (Path("/"), something), (file / "x", "cannot be written")):
        with pytest.raises(InputError, match=why):
            unpack(file, where)
    monkeypatch.setattr(disk, "free_bytes", lambda _folder: packing.SPARE_BYTES + 1000)
    with pytest.raises(InputError, match=r"cannot be unpacked: it needs 1\.\d MB, and there are 1\.0 MB free at"):
        unpack(file, tmp_path / "new")
    assert leftovers(tmp_path) == ["full"] and not list(tmp_path.glob("*.hnmlab*"))


def test_that_what_a_killed_program_left_is_cleared_away(file: Path, tmp_path: Path) -> None:
    (tmp_path / "new.part" / "00-knn").mkdir(parents=True)
    (tmp_path / "new.part" / "writing.lock").touch()
    (tmp_path / "new.part" / "00-knn" / "steps.bin").write_bytes(bytes(1000))
    assert unpack(file, tmp_path / "new") is not None
    assert leftovers(tmp_path) == ["new"]


def made(path: Path, members: Members, manifest: dict[str, Any] | None = None) -> Path:
    """A file as `pack` writes it, of any members, whose manifest is right unless another is given."""
    files = [
        {"path": member.filename, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        for member, data in members
    ]
    told = {"kind": packed.KIND, "format": 1, "files": files} | (manifest or {})
    with zipfile.ZipFile(path, "w") as out:
        for member, data in [*members, (entry("manifest.json"), json.dumps(told).encode())]:
            out.writestr(member, data)
    return path


def entry(name: str, **fields: Any) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name)
    member.create_system = 3
    member.external_attr = packed.MODE << 16
    for field, value in fields.items():
        setattr(member, field, value)
    return member


EVIL: dict[str, tuple[Callable[[Members], Members], str]] = {
    "a path up": (lambda all_: [*all_, (entry("../evil.bin"), b"x")], "no recording has a file of that name"),
    "an absolute path": (lambda all_: [*all_, (entry("/tmp/evil.bin"), b"x")], "no recording has a file"),
    "a path up in a lane": (lambda all_: [*all_, (entry("00-knn/../../steps.bin"), b"")], "no recording has a file"),
    "a drive": (lambda all_: [*all_, (entry("C:/steps.bin"), b"")], "no recording has a file"),
    "a backslash": (lambda all_: [*all_, (entry("00-knn\\steps.bin"), b"")], "no recording has a file"),
    "a line break": (lambda all_: [*all_, (entry("00-knn\n/steps.bin"), b"")], "no recording has a file"),
    "code": (lambda all_: [*all_, (entry("plugin.py"), b"1 / 0")], "no recording has a file"),
    "another case": (lambda all_: [*all_, (entry("RUN.json"), b"{}")], "no recording has a file"),
    "the lock": (lambda all_: [*all_, (entry("writing.lock"), b"")], "no recording has a file"),
    "a link": (lambda all_: [*all_, (entry("99-x/edges.bin", external_attr=0o120777 << 16), b"/etc")], "no plain file"),
    "a folder": (lambda all_: [*all_, (entry("00-x/"), b"")], "no recording has a file"),
    "a program": (lambda all_: [*all_, (entry("99-x/edges.bin", external_attr=0o100755 << 16), b"")], "no plain file"),
    "a bomb": (
        lambda all_: [*all_, (entry("99-bomb/frames.bin", compress_type=zipfile.ZIP_DEFLATED), bytes(1 << 20))],
        "is compressed in it",
    ),
    "no header": (lambda all_: [one for one in all_ if one[0].filename != "run.json"], "it has no run.json"),
    "nothing": (lambda all_: [], "it has no run.json"),
    "a foreign header": (
        lambda all_: [(one, b"{}" if one.filename == "run.json" else data) for one, data in all_],
        "is not a recording of HNM Lab",
    ),
}


@pytest.fixture(scope="module")
def members(file: Path) -> Members:
    with zipfile.ZipFile(file) as stored:
        return [(entry(member.filename), stored.read(member)) for member in stored.infolist()[:-1]]


@pytest.mark.parametrize("evil", EVIL)
def test_that_a_strangers_file_is_refused_in_a_sentence_and_nothing_is_left(
    evil: str, members: Members, tmp_path: Path
) -> None:
    change, why = EVIL[evil]
    path = made(tmp_path / "evil.hnmlab", change(list(members)))
    with pytest.raises(InputError, match=why) as refused:
        unpack(path, tmp_path / "new")
    assert str(refused.value).startswith(f"'{path}' cannot be unpacked: ") and str(refused.value).count("\n") == 0
    assert leftovers(tmp_path) == []


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_that_a_manifest_that_lies_is_refused(members: Members, file: Path, tmp_path: Path) -> None:
    path, (first, data) = tmp_path / "evil.hnmlab", members[0]
    good = json.loads(zipfile.ZipFile(file).read("manifest.json"))["files"]
    lies: list[tuple[Members, dict[str, Any], str]] = [
        (members, {}, ""),
        ([*members, (entry(first.filename), data)], {}, "two files of one name"),
        (members, {"files": good[:-1]}, "other files than its manifest"),
        (members, {"files": [{**good[0], "size": 1 << 40}, *good[1:]]}, "other files than its manifest"),
        (members, {"files": [{**good[0], "sha256": "0" * 64}, *good[1:]]}, "another checksum"),
        (members, {"files": [{**good[0], "size": -1}, *good[1:]]}, "damaged"),
        (members, {"files": [{**good[0], "link": "/"}, *good[1:]]}, "damaged"),
        (members, {"kind": "holiday"}, "does not say so"),
        (members, {"format": 2}, "newer version"),
    ]
    for files, manifest, why in lies:
        made(path, files, manifest)
        if not why:
            assert unpack(path, tmp_path / "good") is not None, "what is made here is right where nothing is wrong"
            continue
        with pytest.raises(InputError, match=why):
            unpack(path, tmp_path / "new")
        assert leftovers(tmp_path) == ["good"]


def test_that_flipped_bits_and_cuts_are_refused_or_change_nothing(file: Path, tmp_path: Path) -> None:
    whole, rng = file.read_bytes(), np.random.default_rng(0)
    unpacked = unpack(file, tmp_path / "good")
    assert unpacked is not None
    good = contents(unpacked)
    with zipfile.ZipFile(file) as stored:
        told, members = stored.start_dir, stored.infolist()
    data = [(one.header_offset + 30 + len(one.filename), one.file_size) for one in members]
    ends = len(whole) - 22  # there begins the last record, of which no program looks at the numbers of disks
    places = [*rng.integers(0, told, 24).tolist(), *rng.integers(told, ends, 36).tolist()]
    path, right = tmp_path / "broken.hnmlab", 0
    broken: list[tuple[bytes, bool]] = []
    for place in places:
        flipped = bytearray(whole)
        flipped[place] ^= 1 << int(rng.integers(8))
        # Nobody looks at what stands before a member and is said once more in the list of them, its time for one.
        telling = place >= told or any(start <= place < start + size for start, size in data)
        broken.append((bytes(flipped), telling))
    broken += [(whole[:cut], True) for cut in rng.integers(0, len(whole), 12).tolist()]
    broken += [(odd, True) for odd in (b"x" + whole, whole + b"x", whole + whole, b"")]
    for place, (odd, telling) in enumerate(broken):
        path.write_bytes(odd)
        try:
            again = unpack(path, tmp_path / f"{place}")
        except InputError as error:
            assert str(error).startswith(f"'{path}' cannot be unpacked: ") and "\n" not in str(error)
        else:
            right += 1
            assert again is not None and contents(again) == good and not telling
        assert not list(tmp_path.glob("*.part"))
    assert right < 5
