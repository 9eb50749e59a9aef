"""Fashion-MNIST: idx files, the places it is looked for, the download, the choice of items."""

from __future__ import annotations

import gzip
import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from hnm_core import data
from hnm_core.data import downloads
from hnm_core.data.base import LoadCancelled
from hnm_core.data.downloads import FILES, fashion_mnist
from hnm_core.data.fetch import RemoteFile
from hnm_core.data.idx import read_idx
from hnm_core.data.options import FashionMnistOptions
from hnm_core.errors import InputError

DEBIAN = downloads.DEBIAN_FOLDER
needs_debian = pytest.mark.skipif(not DEBIAN.is_dir(), reason="the package dataset-fashion-mnist is not installed")
GZIP_TIMES = {"train": 1504176606, "t10k": 1504176627}
"""Time stamps in the official files; Debian has another and leaves the name out, the compressed bytes are the same."""


def as_idx(array: np.ndarray) -> bytes:
    """The array in the idx format, written by the book."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def small_set() -> dict[str, bytes]:
    """Forty training and twenty test items; every picture holds its own place in the whole set."""
    pictures = np.zeros((60, 28, 28), np.uint8)
    pictures[:, 0, 0] = np.arange(60)
    pictures[:, 5, 7] = 255
    labels = (np.arange(60) % 10).astype(np.uint8)
    arrays = (pictures[:40], labels[:40], pictures[40:], labels[40:])
    return {file.name: gzip.compress(as_idx(array)) for file, array in zip(FILES, arrays, strict=True)}


def put(folder: Path, files: dict[str, bytes], plain: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (name.removesuffix(".gz") if plain else name)
        path.write_bytes(gzip.decompress(content) if plain else content)
    return folder


@pytest.fixture
def nowhere(tmp_path, monkeypatch) -> Path:
    """No copy of the set in any usual place; returns the user's folder."""
    user = tmp_path / "user" / "fashion-mnist"
    monkeypatch.setattr(downloads, "user_folder", lambda: user)
    monkeypatch.setattr(downloads, "DEBIAN_FOLDER", tmp_path / "no debian")
    return user


@pytest.fixture
def small_server(server, nowhere, monkeypatch):
    """A server of the small set, with the sizes and checksums to match."""
    server.files = small_set()
    known = [
        RemoteFile(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in server.files.items()
    ]
    monkeypatch.setattr(downloads, "FILES", tuple(known))
    return server


def load(base_url: str = "http://127.0.0.1:9/", progress=None, **options) -> data.Dataset:
    return fashion_mnist(FashionMnistOptions(**options), seed=0, progress=progress, base_url=base_url)


@pytest.mark.parametrize("plain", (False, True))
def test_that_a_folder_of_the_users_is_read_gzipped_or_plain(tmp_path, nowhere, plain):
    dataset = load(path=str(put(tmp_path / "mine", small_set(), plain)), points=100)
    assert dataset.x.shape == (60, 784) and dataset.x.dtype == np.float32
    assert np.array_equal(dataset.ids, np.arange(60)) and np.array_equal(dataset.y, np.arange(60) % 10)
    assert np.array_equal(dataset.images[:, 0, 0], np.arange(60))
    assert np.array_equal(np.rint(dataset.x * 255).astype(int), dataset.images.reshape(60, -1))
    assert dataset.x.max() == 1 and dataset.class_names[9] == "Ankle boot"


def test_that_a_part_has_the_same_number_of_each_class_and_keeps_its_places(tmp_path, nowhere):
    dataset = load(path=str(put(tmp_path / "mine", small_set())), points=20)
    assert np.array_equal(np.bincount(dataset.y), np.full(10, 2))
    assert (np.diff(dataset.ids) > 0).all()
    assert np.array_equal(dataset.images[:, 0, 0], dataset.ids)
    assert np.array_equal(dataset.y, dataset.ids % 10)


def test_that_the_users_folder_comes_before_debian_and_debian_before_a_download(nowhere, monkeypatch, tmp_path):
    with pytest.raises(InputError, match="cannot be fetched"):
        load()
    monkeypatch.setattr(downloads, "DEBIAN_FOLDER", put(tmp_path / "debian", small_set()))
    assert len(load().x) == 60
    other = small_set()
    for file in (FILES[1], FILES[3]):
        labels = np.frombuffer(gzip.decompress(other[file.name]), np.uint8)[8:]
        other[file.name] = gzip.compress(as_idx((labels + 1) % 10))
    put(nowhere, other)
    assert load().y[0] == 1


def test_that_a_download_brings_the_set_once(small_server, nowhere):
    seen = []
    dataset = load(small_server.url, progress=lambda *step: seen.append(step))
    assert np.array_equal(dataset.y, np.arange(60) % 10)
    total = sum(len(content) for content in small_server.files.values())
    fetched = [step for step in seen if step[2].startswith("downloading")]
    assert fetched[-1][:2] == (total, total) and all(step[1] == total for step in fetched)
    assert [step[0] for step in fetched] == sorted(step[0] for step in fetched)
    assert sorted(path.name for path in nowhere.iterdir()) == sorted(small_server.files)
    small_server.requests.clear()
    assert np.array_equal(load(small_server.url).x, dataset.x)
    assert not small_server.requests


def test_that_a_cancelled_download_keeps_what_came(small_server, nowhere):
    third = downloads.FILES[2].name
    with pytest.raises(LoadCancelled):
        load(small_server.url, progress=lambda done, total, what: third not in what)
    small_server.requests.clear()
    load(small_server.url)
    assert {name for name, _ in small_server.requests} == {file.name for file in downloads.FILES[2:]}


def test_that_without_a_connection_the_sentence_says_what_to_do(nowhere):
    with pytest.raises(InputError) as caught:
        load()
    message = str(caught.value)
    assert "127.0.0.1:9" in message and str(nowhere) in message and "dataset-fashion-mnist" in message
    assert all(file.name in message for file in FILES) and "\n" not in message


def test_that_download_off_makes_no_connection(small_server, nowhere):
    with pytest.raises(InputError, match=r"download is off.*dataset-fashion-mnist"):
        load(small_server.url, download=False)
    assert not small_server.requests and not nowhere.exists()


def test_that_a_folder_that_lacks_files_is_refused_even_where_there_is_another_copy(tmp_path, nowhere):
    put(nowhere, small_set())
    mine = put(tmp_path / "mine", small_set())
    (mine / FILES[1].name).unlink()
    with pytest.raises(InputError, match=r"mine' lacks train-labels-idx1-ubyte\.gz \(with or without \.gz\)"):
        load(path=str(mine))
    with pytest.raises(InputError, match="There is no folder"):
        load(path=str(tmp_path / "missing"))


@pytest.mark.parametrize(
    ("place", "array", "word"),
    [
        (0, np.zeros((40, 27, 28), np.uint8), "28 x 28"),
        (0, np.zeros(40, np.uint8), "28 x 28"),
        (0, np.zeros((39, 28, 28), np.uint8), "39 pictures"),
        (3, np.zeros((20, 1), np.uint8), "20 pictures"),
        (3, np.full(20, 10, np.uint8), "label 10"),
    ],
)
def test_that_files_that_do_not_fit_together_are_refused(tmp_path, nowhere, place, array, word):
    files = small_set() | {FILES[place].name: gzip.compress(as_idx(array))}
    with pytest.raises(InputError, match=word):
        load(path=str(put(tmp_path / "mine", files)))


def test_that_an_idx_file_comes_back_as_it_was_written(tmp_path):
    array = np.random.default_rng(0).integers(0, 256, (3, 4, 5), np.uint8)
    for name, content in (("plain", as_idx(array)), ("zipped", gzip.compress(as_idx(array)))):
        (tmp_path / name).write_bytes(content)
        assert np.array_equal(read_idx(tmp_path / name), array)


GOOD = as_idx(np.arange(12, dtype=np.uint8).reshape(3, 4))


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "nothing"),
        (b"\0\0", "0000"),
        (b"<html>not found</html>", "3c68746d"),
        (b"\0\0\x08\0", "00000800"),
        (b"\0\0\x0d\x01\0\0\0\x01" + bytes(4), "type 0x0d"),
        (GOOD[:9], "inside its header"),
        (GOOD[:-1], "only 11"),
        (GOOD + b"\0", "holds more"),
        (b"\0\0\x08\x04" + b"\xff" * 16, "too large"),
        (gzip.compress(GOOD)[:-12], "cut off"),
        (gzip.compress(GOOD)[:5], "cut off"),
        (gzip.compress(GOOD)[:-8] + bytes(8), "damaged"),
        (b"\x1f\x8b" + b"nonsense" * 4, "damaged"),
    ],
)
def test_that_a_damaged_idx_file_gets_a_sentence_that_names_it(tmp_path, content, word):
    (tmp_path / "bad-idx").write_bytes(content)
    with pytest.raises(InputError, match=word) as caught:
        read_idx(tmp_path / "bad-idx")
    assert str(tmp_path / "bad-idx") in str(caught.value)


def test_that_a_missing_idx_file_is_named(tmp_path):
    with pytest.raises(InputError, match="missing-idx"):
        read_idx(tmp_path / "missing-idx")


@needs_debian
def test_that_the_real_set_is_read_and_sampled(nowhere):
    dataset = data.create("fashion-mnist", path=str(DEBIAN), points=2_000, seed=1)
    assert np.array_equal(np.bincount(dataset.y), np.full(10, 200))
    assert dataset.images.shape == (2_000, 28, 28) and dataset.ids[-1] < 70_000
    assert np.count_nonzero(dataset.ids >= 60_000) == pytest.approx(2_000 / 7, abs=60)
    brightness = [dataset.x[dataset.y == label].mean() for label in range(10)]
    assert np.argmin(brightness) == dataset.class_names.index("Sandal")
    assert dataset.x.mean() == pytest.approx(0.286, abs=0.01)  # published for the training part
    assert dataset.x.std() == pytest.approx(0.353, abs=0.01)
    other = data.create("fashion-mnist", path=str(DEBIAN), points=2_000, seed=2)
    assert not np.array_equal(dataset.ids, other.ids)


@needs_debian
def test_that_the_official_files_have_the_checksums_and_download_whole(server, nowhere):
    for file in FILES:
        packed = (DEBIAN / file.name).read_bytes()
        stamp = struct.pack("<I", GZIP_TIMES[file.name.split("-")[0]])
        name = file.name.removesuffix(".gz").encode() + b"\0"
        server.files[file.name] = b"\x1f\x8b\x08\x08" + stamp + b"\x00\x03" + name + packed[10:]
    server.cuts = [10_000_000]
    dataset = load(server.url, points=20)
    assert len(dataset.x) == 20
    assert server.requests[1] == (FILES[0].name, "bytes=10000000-")
    for file in FILES:
        assert (nowhere / file.name).stat().st_size == file.size
