"""Questions about paths: answers, or one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hnm_core.errors import InputError
from hnm_core.system import paths


def test_that_what_lies_at_a_path_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "nowhere").symlink_to(tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    found = [paths.kind(tmp_path / name) for name in ("", "file", "link", "nowhere", "pipe", "gone", "file/deeper")]
    assert found == ["folder", "file", "file", "missing", "other", "missing", "missing"]


@pytest.mark.parametrize("path", ["n" * 300, "zero\0byte", "n" * 300 + "/below"])
def test_that_a_path_that_cannot_be_asked_about_is_a_sentence(path: str):
    for question in (paths.kind, paths.exists, paths.is_file, paths.is_folder):
        with pytest.raises(InputError, match="cannot be looked at: "):
            question(path)


def test_that_a_link_in_a_circle_is_a_sentence(tmp_path: Path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(InputError, match=r"cannot be looked at: Too many levels of symbolic links\.$"):
        paths.is_file(tmp_path / "a")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may look everywhere")
def test_that_a_closed_folder_is_a_sentence(tmp_path: Path):
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(InputError, match="Permission denied"):
        paths.is_file(tmp_path / "closed" / "a")


def test_that_any_name_survives_as_text(tmp_path: Path):
    for raw in (b"plain", "größe".encode(), b"caf\xe9", b"\xff\x80"):
        path = tmp_path / os.fsdecode(raw)
        path.touch()
        text = paths.text_of(path)
        assert text.encode() and paths.path_of(text) == path


def test_that_nobodys_home_is_a_sentence():
    with pytest.raises(InputError, match="'~nobody-of-this-name/a'"):
        paths.path_of("~nobody-of-this-name/a")
