"""Fashion-MNIST and its kin: idx files, the places they are looked for, the download, the choice of items."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hnm_core import data
from hnm_core.data.base import Dataset, LoadCancelled
from hnm_core.data.downloads import Source
from hnm_core.data.fetch import RemoteFile
from hnm_core.data.idx import read_idx
from hnm_core.data.idx_sets import (
    EMNIST,
    FASHION_MNIST,
    KMNIST,
    MNIST,
    emnist,
    emnist_files,
    fashion_mnist,
    kmnist,
    mnist,
)
from hnm_core.data.options import EmnistOptions, FashionMnistOptions, KmnistOptions, MnistOptions
from hnm_core.errors import InputError

FILES = FASHION_MNIST.downloads
DEBIAN = FASHION_MNIST.elsewhere[0]
needs_debian = pytest.mark.skipif(not DEBIAN.is_dir(), reason="the package dataset-fashion-mnist is not installed")
GZIP_TIMES = {"train": 1504176606, "t10k": 1504176627}
"""Time stamps in the official files; Debian has another and leaves the name out, the compressed bytes are the same."""


def as_idx(array: np.ndarray) -> bytes:
    """The array in the idx format, written by the book."""
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def small_arrays() -> tuple[np.ndarray, ...]:
    """Forty training and twenty test items; every picture holds its own place in the whole set."""
    pictures = np.zeros((60, 28, 28), np.uint8)
    pictures[:, 0, 0] = np.arange(60)
    pictures[:, 5, 7] = 255
    labels = (np.arange(60) % 10).astype(np.uint8)
    return pictures[:40], labels[:40], pictures[40:], labels[40:]


def small_set() -> dict[str, bytes]:
    """The small arrays as files."""
    return {file.name: gzip.compress(as_idx(array)) for file, array in zip(FILES, small_arrays(), strict=True)}


def put(folder: Path, files: dict[str, bytes], plain: bool = False) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        path = folder / (name.removesuffix(".gz") if plain else name)
        path.write_bytes(gzip.decompress(content) if plain else content)
    return folder


def known(files: dict[str, bytes]) -> tuple[RemoteFile, ...]:
    return tuple(RemoteFile(name, len(content), hashlib.sha256(content).hexdigest()) for name, content in files.items())


NOWHERE = "http://127.0.0.1:9/"
HERE = dataclasses.replace(FASHION_MNIST, urls=(NOWHERE,), elsewhere=())
"""Fashion-MNIST without a copy in any usual place and without a server."""


@pytest.fixture
def small(server) -> Source:
    """The small set on a server, with the sizes and checksums to match."""
    server.files = small_set()
    return dataclasses.replace(HERE, urls=(server.url,), downloads=known(server.files))


def load(source: Source = HERE, progress=None, **options) -> Dataset:
    return fashion_mnist(FashionMnistOptions(**options), seed=0, progress=progress, source=source)


@pytest.mark.parametrize("plain", (False, True))
def test_that_a_folder_of_the_users_is_read_gzipped_or_plain(tmp_path, plain):
    dataset = load(path=str(put(tmp_path / "mine", small_set(), plain)), points=100)
    assert dataset.x.shape == (60, 784) and dataset.x.dtype == np.float32
    assert np.array_equal(dataset.ids, np.arange(60)) and np.array_equal(dataset.y, np.arange(60) % 10)
    assert np.array_equal(dataset.images[:, 0, 0], np.arange(60))
    assert np.array_equal(np.rint(dataset.x * 255).astype(int), dataset.images.reshape(60, -1))
    assert dataset.x.max() == 1 and dataset.class_names[9] == "Ankle boot"
    assert np.array_equal(dataset.official, np.arange(60) >= 40)


def test_that_a_part_has_the_same_number_of_each_class_and_keeps_its_places(tmp_path):
    dataset = load(path=str(put(tmp_path / "mine", small_set())), points=20)
    assert np.array_equal(np.bincount(dataset.y), np.full(10, 2))
    assert (np.diff(dataset.ids) > 0).all()
    assert np.array_equal(dataset.images[:, 0, 0], dataset.ids)
    assert np.array_equal(dataset.y, dataset.ids % 10)
    assert np.array_equal(dataset.official, dataset.ids >= 40)


def test_that_the_users_folder_comes_before_debian_and_debian_before_a_download(tmp_path):
    with pytest.raises(InputError, match="cannot be fetched"):
        load()
    source = dataclasses.replace(HERE, elsewhere=(put(tmp_path / "debian", small_set()),))
    assert len(load(source).x) == 60
    other = small_set()
    for file in (FILES[1], FILES[3]):
        labels = np.frombuffer(gzip.decompress(other[file.name]), np.uint8)[8:]
        other[file.name] = gzip.compress(as_idx((labels + 1) % 10))
    put(source.user_folder, other)
    assert load(source).y[0] == 1


def test_that_a_download_brings_the_set_once(server, small):
    seen = []
    dataset = load(small, progress=lambda *step: seen.append(step))
    assert np.array_equal(dataset.y, np.arange(60) % 10)
    total = sum(len(content) for content in server.files.values())
    fetched = [step for step in seen if step[2].startswith("downloading")]
    assert fetched[-1][:2] == (total, total) and all(step[1] == total for step in fetched)
    assert [step[0] for step in fetched] == sorted(step[0] for step in fetched)
    assert sorted(path.name for path in small.user_folder.iterdir()) == sorted(server.files)
    server.requests.clear()
    assert np.array_equal(load(small).x, dataset.x)
    assert not server.requests


def test_that_a_cancelled_download_keeps_what_came(server, small):
    third = FILES[2].name
    with pytest.raises(LoadCancelled):
        load(small, progress=lambda done, total, what: third not in what)
    server.requests.clear()
    load(small)
    assert {name for name, _ in server.requests} == {file.name for file in FILES[2:]}


def test_that_without_a_connection_the_sentence_says_what_to_do():
    with pytest.raises(InputError) as caught:
        load()
    message = str(caught.value)
    assert "127.0.0.1:9" in message and str(HERE.user_folder) in message and "dataset-fashion-mnist" in message
    assert all(file.name in message for file in FILES) and "\n" not in message


def test_that_a_second_address_serves_where_the_first_does_not(server, small):
    source = dataclasses.replace(small, urls=(NOWHERE, f"{server.url}wrong/", server.url))
    assert len(load(source).x) == 60
    with pytest.raises(InputError, match=r"127.0.0.1:9/: .*; nor from .*wrong/: the server answers 404"):
        load(dataclasses.replace(source, urls=source.urls[:2], folder="other"))


def test_that_download_off_makes_no_connection(server, small):
    with pytest.raises(InputError, match=r"download is off.*dataset-fashion-mnist"):
        load(small, download=False)
    assert not server.requests and not small.user_folder.exists()


def test_that_a_folder_that_lacks_files_is_refused_even_where_there_is_another_copy(tmp_path):
    put(HERE.user_folder, small_set())
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
def test_that_files_that_do_not_fit_together_are_refused(tmp_path, place, array, word):
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
        (gzip.compress(GOOD, mtime=0)[:-12], "cut off"),
        (gzip.compress(GOOD, mtime=0)[:5], "cut off"),
        (gzip.compress(GOOD, mtime=0)[:-8] + bytes(8), "damaged"),
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
def test_that_the_real_set_is_read_and_sampled():
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
def test_that_the_official_files_have_the_checksums_and_download_whole(server):
    for file in FILES:
        packed = (DEBIAN / file.name).read_bytes()
        stamp = struct.pack("<I", GZIP_TIMES[file.name.split("-")[0]])
        name = file.name.removesuffix(".gz").encode() + b"\0"
        server.files[file.name] = b"\x1f\x8b\x08\x08" + stamp + b"\x00\x03" + name + packed[10:]
    server.cuts = [10_000_000]
    source = dataclasses.replace(HERE, urls=(server.url,))
    dataset = load(source, points=20)
    assert len(dataset.x) == 20
    assert server.requests[1] == (FILES[0].name, "bytes=10000000-")
    for file in FILES:
        assert (source.user_folder / file.name).stat().st_size == file.size


@pytest.mark.parametrize(
    ("build", "options", "source", "name"), [(mnist, MnistOptions, MNIST, "3"), (kmnist, KmnistOptions, KMNIST, "tsu")]
)
def test_that_the_kin_of_fashion_mnist_are_fetched_and_read_the_same_way(server, build, options, source, name):
    server.files = small_set()
    assert [file.name for file in source.downloads] == list(server.files)
    source = dataclasses.replace(source, urls=(server.url,), downloads=known(server.files))
    dataset = build(options(), seed=0, source=source)
    assert dataset.name == source.folder and dataset.class_names[3] == name
    assert np.array_equal(dataset.y, np.arange(60) % 10) and np.array_equal(dataset.images[:, 0, 0], np.arange(60))
    assert np.array_equal(build(options(path=str(source.user_folder)), seed=0).x, dataset.x)


def emnist_set(split: str, classes: int, first: int) -> dict[str, bytes]:
    """Two items of each class, half of them test items; every picture has one bright spot, right and high up."""
    labels = np.tile(np.arange(classes), 2)
    pictures = np.zeros((2 * classes, 28, 28), np.uint8)
    pictures[:, 20, 3] = 200  # the files hold pictures on their side
    pictures[:, 0, 0] = np.arange(2 * classes)
    parts = [part for half in (slice(0, classes), slice(classes, None)) for part in (pictures[half], labels[half])]
    arrays = (parts[0], parts[1] + first, parts[2], parts[3] + first)
    names = emnist_files(split)
    return {name: gzip.compress(as_idx(array.astype(np.uint8))) for name, array in zip(names, arrays, strict=True)}


def emnist_zip() -> bytes:
    """Both splits as the real archive has them, and a file that must stay inside."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("gzip/emnist-digits-mapping.txt", b"0 48")
        for name, content in (emnist_set("letters", 26, 1) | emnist_set("balanced", 47, 0)).items():
            file.writestr(f"gzip/{name}", content)
    return buffer.getvalue()


@pytest.mark.parametrize(("split", "classes", "fifth"), [("balanced", 47, "4"), ("letters", 26, "e")])
def test_that_emnist_is_unpacked_once_turned_upright_and_counted_from_0(server, split, classes, fifth):
    server.files = {"gzip.zip": emnist_zip()}
    source = dataclasses.replace(EMNIST, urls=(server.url,), downloads=known(server.files))
    dataset = emnist(EmnistOptions(split=split), seed=0, source=source)
    assert len(dataset.class_names) == classes and dataset.class_names[4] == fifth
    assert np.array_equal(dataset.y, np.tile(np.arange(classes), 2))
    assert np.array_equal(dataset.official, dataset.ids >= classes)
    assert (dataset.images[:, 3, 20] == 200).all() and np.array_equal(dataset.images[:, 0, 0], dataset.ids)
    assert np.array_equal(np.rint(dataset.x * 255).astype(int), dataset.images.reshape(len(dataset.y), -1))
    there = {path.relative_to(source.user_folder).as_posix() for path in source.user_folder.rglob("*.*")}
    assert there == {f"gzip/{name}" for other in ("balanced", "letters") for name in emnist_files(other)}
    server.requests.clear()
    other = "letters" if split == "balanced" else "balanced"
    assert len(emnist(EmnistOptions(split=other), seed=0, source=source).x) == 2 * (73 - classes)
    assert not server.requests


def test_that_an_archive_in_a_folder_of_the_users_is_taken_and_left_there(tmp_path):
    (tmp_path / "gzip.zip").write_bytes(emnist_zip())
    assert len(emnist(EmnistOptions(path=str(tmp_path)), seed=0).x) == 94
    assert [path.name for path in tmp_path.iterdir()] == ["gzip.zip"]


@pytest.mark.parametrize(("keep", "word"), [(slice(None, -30), "damaged"), (slice(0, 0), "damaged")])
def test_that_a_damaged_archive_is_named(tmp_path, keep, word):
    (tmp_path / "gzip.zip").write_bytes(emnist_zip()[keep])
    with pytest.raises(InputError, match=word) as caught:
        emnist(EmnistOptions(path=str(tmp_path)), seed=0)
    assert str(tmp_path / "gzip.zip") in str(caught.value)


def test_that_an_archive_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "gzip.zip", "w") as file:
        file.writestr("gzip/readme", b"")
    with pytest.raises(InputError, match=r"holds no file gzip/emnist-balanced.*not the archive of EMNIST"):
        emnist(EmnistOptions(path=str(tmp_path)), seed=0)


def test_that_letters_that_are_counted_from_0_are_refused(tmp_path):
    put(tmp_path, emnist_set("letters", 26, 0))
    with pytest.raises(InputError, match=r"holds the label 0; labels are 1 \.\. 26"):
        emnist(EmnistOptions(path=str(tmp_path), split="letters"), seed=0)
