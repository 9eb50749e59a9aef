"""CIFAR-10: the binary version from an archive, from a folder, and what is refused."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pytest

from hnm_core.data.base import Dataset
from hnm_core.data.cifar import CIFAR10, FILES, cifar10
from hnm_core.data.fetch import RemoteFile
from hnm_core.data.options import Cifar10Options
from hnm_core.errors import InputError


def small_files() -> dict[str, bytes]:
    """Six files of ten items, by the published layout: label, then 1,024 red, green and blue bytes, row by row."""
    files = {}
    for number, name in enumerate(FILES):
        records = np.zeros((10, 3073), np.uint8)
        records[:, 0] = np.arange(10)
        records[:, 1] = 10 * number + np.arange(10)  # red, row 0, column 0: the place in the whole set
        records[:, 1 + 1024 + 2 * 32 + 5] = 111  # green, row 2, column 5
        records[:, 1 + 2048 + 31 * 32 + 30] = 222  # blue, row 31, column 30
        files[name] = records.tobytes()
    return files


def archive(files: dict[str, bytes], *extra: tarfile.TarInfo) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tape:
        for name, content in reversed(files.items()):  # the real one is in no order either
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            tape.addfile(member, io.BytesIO(content))
        for member in extra:
            tape.addfile(member)
    return buffer.getvalue()


def put(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def load(**options) -> Dataset:
    return cifar10(Cifar10Options(**options), seed=0)


def test_that_colours_rows_and_columns_end_up_where_they_belong(tmp_path):
    dataset = load(path=str(put(tmp_path / "mine", small_files())))
    assert dataset.x.shape == (60, 3072) and dataset.x.dtype == np.float32 and dataset.image_shape == (3, 32, 32)
    assert np.array_equal(dataset.y, np.tile(np.arange(10), 6)) and np.array_equal(dataset.ids, np.arange(60))
    assert np.array_equal(dataset.images[:, 0, 0, 0], np.arange(60))
    assert (dataset.images[:, 2, 5] == (0, 111, 0)).all() and (dataset.images[:, 31, 30] == (0, 0, 222)).all()
    rows = dataset.x.reshape(60, 3, 32, 32)
    assert np.array_equal(np.rint(rows * 255).transpose(0, 2, 3, 1).astype(np.uint8), dataset.images)
    assert dataset.class_names[6] == "frog"


def test_that_a_part_has_the_same_number_of_each_class(tmp_path):
    dataset = load(path=str(put(tmp_path / "mine", small_files())), points=20)
    assert np.array_equal(np.bincount(dataset.y), np.full(10, 2))
    assert np.array_equal(dataset.official, dataset.ids >= 50)
    assert np.array_equal(dataset.images[:, 0, 0, 0], dataset.ids)


def test_that_the_archive_is_fetched_unpacked_and_removed(server):
    content = archive(small_files())
    server.files = {"cifar-10-binary.tar.gz": content}
    server.cuts = [len(content) // 2]
    known = RemoteFile("cifar-10-binary.tar.gz", len(content), hashlib.sha256(content).hexdigest())
    source = dataclasses.replace(CIFAR10, urls=(server.url,), downloads=(known,))
    seen = []
    dataset = cifar10(Cifar10Options(), seed=0, progress=lambda *step: seen.append(step), source=source)
    assert np.array_equal(dataset.images[:, 0, 0, 0], np.arange(60))
    assert {what.split()[0] for _, _, what in seen} == {"downloading", "unpacking", "reading"}
    assert sorted(path.name for path in source.user_folder.rglob("*.*")) == sorted(FILES)
    assert [wanted for _, wanted in server.requests] == [None, f"bytes={len(content) // 2}-"]
    assert np.array_equal(load(path=str(source.user_folder)).x, dataset.x)


def test_that_only_the_named_ordinary_files_leave_the_archive(tmp_path):
    files = small_files()
    evil = tarfile.TarInfo("../../evil.bin")
    link = tarfile.TarInfo(f"cifar-10-batches-bin/{FILES[0]}")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    del files[FILES[0]]
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(archive(files, evil, link))
    with pytest.raises(InputError, match=rf"holds no file cifar-10-batches-bin/{FILES[0]}"):
        load(path=str(tmp_path))
    assert not list(tmp_path.rglob("evil.bin")) and not (CIFAR10.user_folder.parent.parent / "evil.bin").exists()


def test_that_without_a_copy_the_sentence_says_which_archive_and_why(tmp_path):
    with pytest.raises(InputError, match=r"download is off.*cifar-10-binary\.tar\.gz.*pickled"):
        load(download=False)
    with pytest.raises(InputError, match=r"lacks data_batch_1\.bin"):
        load(path=str(tmp_path))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "0 bytes"),
        (bytes(3072), "no whole number of pictures"),
        (bytes([10]) + bytes(3072), "label 10"),
    ],
)
def test_that_a_wrong_file_is_named(tmp_path, content, word):
    put(tmp_path, small_files() | {FILES[2]: content})
    with pytest.raises(InputError, match=word) as caught:
        load(path=str(tmp_path))
    assert str(tmp_path / FILES[2]) in str(caught.value)


def test_that_one_class_alone_is_refused(tmp_path):
    with pytest.raises(InputError, match="fewer than two classes"):
        load(path=str(put(tmp_path, dict.fromkeys(FILES, bytes(2 * 3073)))))


@pytest.mark.parametrize("cut", [10, 3000])
def test_that_a_damaged_archive_is_named(tmp_path, cut):
    content = archive({name: np.random.default_rng(0).bytes(3073) for name in FILES})
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(content[:cut])
    with pytest.raises(InputError, match=r"cifar-10-binary\.tar\.gz' is damaged"):
        load(path=str(tmp_path))
