"""The folder with all recordings: names, order, making room, copies."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest

from hnm_core.errors import InputError
from hnm_core.recording import copy_run, find_run, list_runs, new_run_dir, open_recording, prune, record, runs, runs_dir
from hnm_core.recording.lock import is_being_written
from tests.recording import made_up


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Five recordings, a-started first; by their dates e is the newest."""
    for place, name in enumerate("abcde"):
        list(record(made_up.run(2, 8), tmp_path / name))
        made_up.edit_run_file(tmp_path / name, started=f"2026-01-{place + 10}T03:04:05Z")
    (tmp_path / "holiday").mkdir()
    (tmp_path / "holiday" / "run.json").write_text('{"kind": "jogging"}')
    (tmp_path / "link").symlink_to(tmp_path / "a")
    return tmp_path


def names(folders: list[Path]) -> str:
    return "".join(folder.name for folder in folders)


def test_that_recordings_are_listed_newest_first_and_nothing_else(root: Path) -> None:
    assert names(list_runs(root)) == "edcba"
    assert list_runs(root / "none") == []


def test_that_pruning_keeps_the_newest_and_what_is_no_recording(root: Path) -> None:
    assert names(prune(keep=3, root=root)) == "ba"
    assert names(list_runs(root)) == "edc"
    assert (root / "holiday" / "run.json").exists() and (root / "link").is_symlink()


def test_that_pruning_keeps_within_the_bytes_but_never_deletes_the_newest(root: Path) -> None:
    size = sum(path.stat().st_size for path in (root / "e").rglob("*") if path.is_file())
    assert names(prune(max_bytes=int(size * 2.5), root=root)) == "cba"
    assert names(prune(max_bytes=1, root=root)) == "d"
    assert names(list_runs(root)) == "e"


def test_that_pruning_never_deletes_the_run_that_is_being_written(root: Path) -> None:
    shutil.rmtree(root / "a")
    going_on = record(made_up.run(), root / "a")  # 2026-01-02: the oldest of all
    next(going_on)
    assert names(prune(keep=1, root=root)) == "dcb"
    assert len(list(going_on)) == len(list(made_up.run())) - 1
    assert names(prune(keep=1, root=root)) == "a"


def test_that_new_folders_never_collide(tmp_path: Path) -> None:
    folders = [new_run_dir("Digits: hardest / hurts?", tmp_path / "runs") for _ in range(3)]
    assert len(set(folders)) == 3 and all("digits-hardest-hurts" in folder.name for folder in folders)
    list(record(made_up.run(1), folders[0]))
    assert list_runs(tmp_path / "runs") == [folders[0]]


def test_that_a_run_is_found_by_its_path_and_by_its_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "runs_dir", lambda: root)
    assert find_run(root / "c") == root / "c" and find_run("c") == root / "c"
    with pytest.raises(InputError, match="Unknown recording 'x'"):
        find_run("x")


def test_that_recordings_are_kept_in_the_users_data_folder() -> None:
    assert runs_dir().parts[-2:] == ("hnm-lab", "runs")


def test_that_a_run_can_be_copied_while_it_goes_on(tmp_path: Path) -> None:
    going_on = record(made_up.run(), tmp_path / "run")
    for _ in range(20):
        next(going_on)
    copy = open_recording(copy_run(tmp_path / "run", tmp_path / "copy"))
    original = open_recording(tmp_path / "run")
    assert not copy.is_being_written
    for lane in original.lanes:
        assert copy.steps(lane).tobytes() == original.steps(lane).tobytes()
        assert copy.frame_steps(lane).tolist() == original.frame_steps(lane).tolist()
    going_on.close()


def test_that_a_copy_overwrites_nothing_and_copies_no_foreign_folder(root: Path) -> None:
    with pytest.raises(InputError, match="not empty"):
        copy_run(root / "a", root / "b")
    with pytest.raises(InputError, match="into itself"):
        copy_run(root / "a", root / "a" / "copy")
    with pytest.raises(InputError, match="not a recording"):
        copy_run(root / "holiday", root / "copy")
    assert not (root / "copy").exists()


def test_that_a_copy_holds_its_place_and_leaves_nothing_where_it_is_broken_off(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_one, target = runs.copy_regular, tmp_path / "copy"

    def meanwhile(*args: Any) -> None:
        assert is_being_written(target), "so that nobody takes it for what a killed run left"
        for taken in (lambda: record(made_up.run(), target), lambda: copy_run(root / "b", target)):
            with pytest.raises(InputError, match=r"not empty|recorded or copied into it"):
                taken()
        copy_one(*args)
        if len(list(target.rglob("*"))) > 4:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(runs, "copy_regular", meanwhile)
    for there in (False, True):
        target.mkdir() if there else None
        with pytest.raises(InputError, match=r"Cannot copy to '.*copy': No space left on device\.$"):
            copy_run(root / "a", target)
        assert list(target.iterdir()) == [] if there else not target.exists()


@pytest.mark.parametrize("copied", [0, 1, 3])
def test_that_a_copy_lacks_nothing_however_the_run_goes_on_meanwhile(
    copied: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    going = record(made_up.run(steps=4), tmp_path / "run")
    for _ in range(8):
        next(going)
    copy_one, calls = runs.copy_regular, itertools.count()

    def while_it_ends(*args: Any) -> None:
        if next(calls) == copied:
            list(going)
        copy_one(*args)

    monkeypatch.setattr(runs, "copy_regular", while_it_ends)
    copy = open_recording(copy_run(tmp_path / "run", tmp_path / "copy"))
    list(going)
    copy.check()
    assert copy.losses == ()
