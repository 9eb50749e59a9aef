"""What cannot be synced is no error; what is lost is."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from hnm_core.system.whole_files import whole_folder

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
