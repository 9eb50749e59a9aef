"""What cannot be synced is no error; what is lost is."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
from pathlib import Path

import pytest

from hnm_core.data.fetch import RemoteFile, fetch
from hnm_core.system.whole_files import whole_folder, write_whole

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="syncs no folder")


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_that_a_folder_is_written_where_the_disk_syncs_no_folders(
    code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, synced = os.fsync, []

    def fsync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(code, os.strerror(code))
        real(handle)
        synced.append(os.fstat(handle).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    with whole_folder(tmp_path / "made") as folder:
        (folder / "inside").mkdir()
        (folder / "inside" / "file").write_text("text")
    assert (tmp_path / "made" / "inside" / "file").stat().st_ino in synced


def test_that_a_folder_that_is_not_on_the_disk_does_not_get_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fsync(_handle: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OSError, match=os.strerror(errno.EIO)), whole_folder(tmp_path / "made") as folder:
        (folder / "file").write_text("text")
    assert not (tmp_path / "made").exists()


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was done to the disk, in order: a file or a folder synced, something given its name."""
    done, sync, move = [], os.fsync, Path.replace

    def fsync(handle: int) -> None:
        sync(handle)
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")

    def replace(old: Path, new: Path) -> Path:
        done.append("name")
        return move(old, new)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    return done


def test_that_a_file_is_on_the_disk_before_its_name_and_its_name_before_anything_else_is_done(
    done: list[str], tmp_path: Path
) -> None:
    write_whole(tmp_path / "file", "text")
    assert done == ["file", "name", "folder"]


def test_that_the_name_of_a_whole_folder_is_on_the_disk_before_anything_else_is_done(
    done: list[str], tmp_path: Path
) -> None:
    with whole_folder(tmp_path / "made") as folder:
        (folder / "file").write_text("text")
    assert done == ["file", "folder", "name", "folder"]


def test_that_a_download_is_on_the_disk_before_it_has_its_name(done: list[str], tmp_path: Path) -> None:
    (tmp_path / "set.gz.part").write_bytes(b"all of it")
    known = RemoteFile("set.gz", 9, hashlib.sha256(b"all of it").hexdigest())
    fetch("http://nobody.invalid/", known, tmp_path, lambda _: None)
    assert done == ["file", "name", "folder"]
