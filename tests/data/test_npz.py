"""The user's `.npz` files: what is read, and one clear sentence for what cannot be."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hnm_core import data
from hnm_core.data.base import Dataset, LoadCancelled
from hnm_core.errors import InputError

X = np.arange(12.0).reshape(6, 2)
Y = np.array([0, 0, 1, 1, 2, 2])


def write(path: Path, **arrays) -> str:
    np.savez(path, **arrays)
    return str(path)


def read(path: Path, **arrays) -> Dataset:
    return data.create("file", path=write(path / "set.npz", **arrays))


def refusal(name: str | Path) -> str:
    """The message for a file that cannot be used; it names the file and is one or two sentences on one line."""
    with pytest.raises(InputError) as caught:
        data.create("file", path=str(name))
    message = str(caught.value)
    assert str(name) in message and "\n" not in message and message.endswith(".")
    return message


def test_that_features_and_labels_come_back_as_they_were_saved(tmp_path):
    dataset = read(tmp_path, x=X, y=Y)
    assert np.array_equal(dataset.x, X) and dataset.x.dtype == np.float32
    assert np.array_equal(dataset.y, Y) and dataset.y.dtype == np.int64
    assert np.array_equal(dataset.ids, np.arange(6))
    assert dataset.class_names == ("0", "1", "2") and dataset.name == "set.npz"
    assert dataset.images is None and dataset.y_true is None and dataset.held_out is None


@pytest.mark.parametrize(
    "dtype", ("float16", "float32", "float64", "longdouble", "int8", "uint8", "int64", "uint64", "?")
)
def test_that_every_kind_of_real_number_is_a_feature(tmp_path, dtype):
    dataset = read(tmp_path, x=np.eye(6).astype(dtype), y=Y)
    assert dataset.x.dtype == np.float32 and np.array_equal(dataset.x, np.eye(6))


@pytest.mark.parametrize("order", ("C", "F"))
@pytest.mark.parametrize("byte_order", (">f8", "<f4"))
def test_that_byte_order_and_memory_order_do_not_matter(tmp_path, order, byte_order):
    dataset = read(tmp_path, x=np.asarray(X, dtype=byte_order, order=order), y=Y.astype(">i4"))
    assert np.array_equal(dataset.x, X) and dataset.x.flags.c_contiguous and dataset.x.dtype.isnative
    assert np.array_equal(dataset.y, Y)


@pytest.mark.parametrize(
    ("labels", "expected", "names"),
    [
        (np.array([-5, -5, 10**12, 7]), [0, 0, 2, 1], ("-5", "7", "1000000000000")),
        (np.array([2**64 - 1, 2**64 - 1, 2**63, 3], np.uint64), [2, 2, 1, 0], ("3", str(2**63), str(2**64 - 1))),
        (np.array([3.0, 3.0, -1.0, 3.0]), [1, 1, 0, 1], ("-1", "3")),
        (np.array([True, False, True, True]), [1, 0, 1, 1], ("0", "1")),
        (np.array([1, 1, 2, 3], np.uint8), [0, 0, 1, 2], ("1", "2", "3")),
    ],
)
def test_that_labels_of_any_value_are_numbered_and_keep_their_text(tmp_path, labels, expected, names):
    dataset = read(tmp_path, x=X[:4], y=labels)
    assert np.array_equal(dataset.y, expected) and dataset.class_names == names


def test_that_a_class_of_one_item_is_allowed(tmp_path):
    assert np.array_equal(np.bincount(read(tmp_path, x=X[:3], y=Y[:3]).y), [2, 1])


def test_that_items_are_put_in_the_order_of_their_ids(tmp_path):
    pictures = np.arange(6, dtype=np.uint8).reshape(6, 1, 1)
    ids = np.array([40, 10, 30, 0, 2**31 - 1, 20])
    dataset = read(tmp_path, x=X, y=Y, ids=ids, images=pictures, y_true=Y[::-1])
    order = [3, 1, 5, 2, 0, 4]
    assert np.array_equal(dataset.ids, ids[order]) and np.array_equal(dataset.x, X[order])
    assert np.array_equal(dataset.y, Y[order]) and np.array_equal(dataset.y_true, Y[::-1][order])
    assert np.array_equal(dataset.images[:, 0, 0], order)


def test_that_noisy_and_true_labels_share_their_numbers(tmp_path):
    dataset = read(tmp_path, x=X, y=[30, 30, 10, 10, 30, 10], y_true=[30, 20, 10, 10, 30, 20])
    assert dataset.class_names == ("10", "20", "30")
    assert np.array_equal(dataset.y, [2, 2, 0, 0, 2, 0])
    assert np.array_equal(dataset.y_true, [2, 1, 0, 0, 2, 1])


def test_that_huge_unsigned_and_negative_labels_share_numbers_without_rounding(tmp_path):
    big = np.array([2**64 - 1, 2**64 - 1, 2**64 - 2, 5, 5, 5], np.uint64)
    dataset = read(tmp_path, x=X, y=big, y_true=np.array([-1, 5, 5, 5, 5, 5]))
    assert dataset.class_names == ("-1", "5", str(2**64 - 2), str(2**64 - 1))
    assert np.array_equal(dataset.y, [3, 3, 2, 1, 1, 1]) and np.array_equal(dataset.y_true, [0, 1, 1, 1, 1, 1])


@pytest.mark.parametrize(
    ("pictures", "expected"),
    [
        (np.full((6, 2, 3), 200, np.uint8), (6, 2, 3)),
        (np.full((6, 2, 3, 1), 200, np.int64), (6, 2, 3)),
        (np.full((6, 2, 3, 3), 200 / 255), (6, 2, 3, 3)),
        (np.full((6, 2, 3, 4), 200, np.uint8), (6, 2, 3, 3)),
    ],
)
def test_that_pictures_become_bytes(tmp_path, pictures, expected):
    images = read(tmp_path, x=X, y=Y, images=pictures).images
    assert images.shape == expected and images.dtype == np.uint8 and (images == 200).all()


def test_that_standardized_features_have_mean_0_and_deviation_1(tmp_path):
    x = np.random.default_rng(0).normal([5, -1e6, 3], [2, 1e3, 0], (200, 3)).astype(np.float32)
    path = write(tmp_path / "set.npz", x=x, y=np.arange(200) % 4)
    dataset = data.create("file", path=path, standardize=True)
    assert dataset.x.dtype == np.float32
    assert np.abs(dataset.x.mean(axis=0, dtype=float)).max() < 1e-5
    assert dataset.x[:, :2].std(axis=0, dtype=float) == pytest.approx(1, abs=1e-5)
    assert not dataset.x[:, 2].any()
    assert np.array_equal(data.create("file", path=path).x, x)


def test_that_compressed_files_and_other_arrays_are_no_trouble(tmp_path):
    path = tmp_path / "packed.NPZ"
    with path.open("wb") as file:
        np.savez_compressed(file, x=X, y=Y, names=np.array(["a", "b"]))
    assert np.array_equal(data.create("file", path=str(path)).x, X)


def test_that_a_path_in_the_home_folder_is_found(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write(tmp_path / "set.npz", x=X, y=Y)
    assert len(data.create("file", path="~/set.npz").x) == 6


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"y": Y}, ("no array 'x'", "only: y")),
        ({"a": X, "b": Y}, ("no array 'x' and 'y'", "a, b")),
        ({"X": X, "embeddings": X, "y": Y}, ("'X' and 'embeddings'", "call one of them 'x'")),
        ({}, ("no array 'x' and 'y'", "only: nothing")),
        ({"x": X.astype(str), "y": Y}, ("'x'", "text", "real numbers")),
        ({"x": X.astype("S"), "y": Y}, ("'x'", "text")),
        ({"x": X + 1j, "y": Y}, ("'x'", "complex")),
        ({"x": X.astype("M8[s]"), "y": Y}, ("'x'", "dates")),
        ({"x": np.zeros(6, [("a", "f4")]), "y": Y}, ("'x'", "records")),
        ({"x": X[:, 0], "y": Y}, ("(6,)", "(items, features)")),
        ({"x": np.float64(3), "y": Y}, ("shape ()",)),
        ({"x": X.reshape(6, 2, 1), "y": Y}, ("(6, 2, 1)", "'images'")),
        ({"x": X[:0], "y": Y[:0]}, ("0 items", "at least 2")),
        ({"x": X[:1], "y": Y[:1]}, ("1 item;", "at least 2")),
        ({"x": X[:, :0], "y": Y}, ("6 items without a single feature",)),
        ({"x": np.where(X == 5, np.nan, X), "y": Y}, ("'x'", "NaN or infinity in row 2", "1 of 6 rows")),
        ({"x": np.where(X >= 8, -np.inf, X), "y": Y}, ("NaN or infinity in row 4", "2 of 6 rows")),
        ({"x": np.where(X == 3, 1e300, X), "y": Y}, ("too large", "row 1", "1 of 6 rows")),
        ({"x": X, "y": Y[:5]}, ("'y'", "5 values for 6 items")),
        ({"x": X, "y": Y.reshape(6, 1)}, ("'y'", "(6, 1)", "(6,)")),
        ({"x": X, "y": Y * 0.5}, ("'y'", "whole numbers", "row 2", "0.5")),
        ({"x": X, "y": np.where(Y == 2, np.nan, Y)}, ("'y'", "row 4", "nan")),
        ({"x": X, "y": np.where(Y == 2, np.inf, Y)}, ("'y'", "row 4", "inf")),
        ({"x": X, "y": np.where(Y == 2, 1e20, Y)}, ("'y'", "row 4", "1e+20")),
        ({"x": X, "y": Y.astype(str)[:5]}, ("'y'", "(5,)")),
        ({"x": X, "y": ["a", "b", " ", "a", "b", "a"]}, ("'y'", "no label in row 2")),
        ({"x": X, "y": np.eye(6)[Y] * 0.5}, ("'y'", "(6, 6)", "row 0", "0 and 1")),
        ({"x": X, "y": np.ones((6, 2))}, ("several labels each", "one class", "audit")),
        ({"x": X, "y": Y.astype(str), "y_true": Y}, ("'y_true'", "of one kind")),
        ({"x": X, "y": Y + 0j}, ("'y'", "complex")),
        ({"x": X, "y": Y * 0 + 7}, ("one class only, 7")),
        ({"x": X, "y": np.arange(6)}, ("6 different classes", "no positives")),
        ({"x": X, "y": Y, "ids": [1, 2, 3, 4, 5, 5]}, ("'ids'", "5 more than once")),
        ({"x": X, "y": Y, "ids": [1, 2, 3, 4, 5, -6]}, ("'ids'", "-6", "0 .. 2,147,483,647")),
        ({"x": X, "y": Y, "ids": [1, 2, 3, 4, 5, 2**31]}, ("'ids'", "2147483648")),
        ({"x": X, "y": Y, "ids": np.arange(5)}, ("'ids'", "5 values for 6 items")),
        ({"x": X, "y": Y, "y_true": Y[:4]}, ("'y_true'", "4 values for 6 items")),
        ({"x": X, "y": Y, "y_true": Y * 0.5}, ("'y_true'", "0.5")),
        ({"x": X, "y": Y, "images": np.zeros((5, 2, 2), "u1")}, ("'images'", "5 pictures for 6 items")),
        ({"x": X, "y": Y, "images": np.zeros((6, 2, 2, 2), "u1")}, ("'images'", "(6, 2, 2, 2)")),
        ({"x": X, "y": Y, "images": np.zeros((6, 0, 2), "u1")}, ("'images'", "(6, 0, 2)")),
        ({"x": X, "y": Y, "images": np.full((6, 2, 2), 300)}, ("'images'", "300", "0 .. 255")),
        ({"x": X, "y": Y, "images": np.full((6, 2, 2), 2.5)}, ("'images'", "2.5", "0 .. 1")),
        ({"x": X, "y": Y, "images": np.full((6, 2, 2), np.nan)}, ("'images'", "nan")),
    ],
)
def test_that_wrong_arrays_get_a_sentence_that_names_them(tmp_path, arrays, words):
    message = refusal(write(tmp_path / "bad.npz", **arrays))
    for word in words:
        assert word in message


class Trap:
    """Makes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("name", ("x", "y", "images"))
def test_that_pickled_objects_are_refused_and_never_run(tmp_path, name):
    sprung = tmp_path / "sprung"
    trap = np.array([Trap(sprung)] * 6, dtype=object)
    message = refusal(write(tmp_path / "trap.npz", **{"x": X, "y": Y, name: trap}))
    assert f"'{name}'" in message and "Python objects" in message
    assert not sprung.exists()


def test_that_a_pickle_with_the_ending_npz_is_refused_and_never_run(tmp_path):
    import pickle

    sprung = tmp_path / "sprung"
    (tmp_path / "trap.npz").write_bytes(pickle.dumps(Trap(sprung)))
    assert "no .npz file" in refusal(tmp_path / "trap.npz")
    assert not sprung.exists()


def test_that_files_that_are_no_npz_are_refused(tmp_path):
    np.save(tmp_path / "single.npy", X)
    (tmp_path / "single.npy").rename(tmp_path / "single.npz")
    (tmp_path / "empty.npz").write_bytes(b"")
    (tmp_path / "text.npz").write_text("x,y\n1,2\n")
    for name in ("single.npz", "empty.npz", "text.npz"):
        assert "no .npz file" in refusal(tmp_path / name)


def test_that_a_zip_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as archive:
        archive.writestr("x", "hello")
        archive.writestr("y.npy", "hello")
    message = refusal(tmp_path / "zip.npz")
    assert "'x'" in message


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(("names", "words"), [(("x.npy", "x.npy"), "'x.npy' twice"), (("x.npy", "x"), "of one name")])
def test_that_an_array_that_is_there_twice_is_refused_not_read_from_one_of_both(tmp_path, names, words):
    for file, scale in (("one.npz", 1), ("two.npz", 2)):
        np.savez(tmp_path / file, x=scale * np.eye(4), y=np.array([0, 1, 0, 1]))
    with zipfile.ZipFile(tmp_path / "both.npz", "w") as both:
        for file, name in zip(("one.npz", "two.npz"), names, strict=True):
            both.writestr(name, one_array(tmp_path / file, "x.npy"))
        both.writestr("y.npy", one_array(tmp_path / "one.npz", "y.npy"))
    assert words in refusal(tmp_path / "both.npz")


def one_array(path, name):
    with zipfile.ZipFile(path) as stored:
        return stored.read(name)


def test_that_an_array_that_claims_more_than_the_memory_is_refused(tmp_path):
    header = str({"descr": "<f8", "fortran_order": False, "shape": (2**45, 8)}).ljust(117) + "\n"
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
        archive.writestr("y.npy", b"")
    assert "'x'" in refusal(tmp_path / "huge.npz")


def test_that_no_cut_and_no_flipped_bit_of_a_file_gets_past_as_a_crash(tmp_path):
    whole = tmp_path / "whole.npz"
    np.savez_compressed(whole, x=np.random.default_rng(0).random((40, 3)), y=np.arange(40) % 4)
    content = whole.read_bytes()
    damaged = tmp_path / "damaged.npz"
    for cut in range(0, len(content), 37):
        damaged.write_bytes(content[:cut])
        refusal(damaged)
    rng = np.random.default_rng(1)
    for _ in range(300):
        flipped = bytearray(content)
        flipped[rng.integers(len(flipped))] ^= 1 << int(rng.integers(8))
        damaged.write_bytes(flipped)
        try:
            dataset = data.create("file", path=str(damaged))
        except InputError as error:
            assert str(damaged) in str(error)
        else:  # a bit that means nothing, such as one of the time stamp
            assert dataset.x.shape == (40, 3)


def test_that_a_path_that_is_no_file_is_refused(tmp_path):
    assert "There is no file" in refusal(tmp_path / "missing.npz")
    assert "There is no file" in refusal(tmp_path / "missing.npz" / "deeper.npz")
    assert "is a folder" in refusal(tmp_path)
    os.mkfifo(tmp_path / "pipe.npz")
    assert "no ordinary file" in refusal(tmp_path / "pipe.npz")
    for name, word in (("set.txt", "'.txt'"), ("set", "no ending"), ("set.npz.gz", "'.gz'")):
        (tmp_path / name).write_bytes(b"")
        assert word in refusal(tmp_path / name)
    assert "cannot be looked at: File name too long" in refusal(tmp_path / ("long" * 200 + ".npz"))
    assert "cannot be looked at" in refusal("zero\0byte.npz")
    with pytest.raises(InputError, match="path"):
        data.create("file", path="")
    with pytest.raises(InputError, match="path"):
        data.create("file")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_that_a_file_without_permission_is_refused(tmp_path):
    path = Path(write(tmp_path / "locked.npz", x=X, y=Y))
    path.chmod(0)
    assert "cannot be read" in refusal(path)


def test_that_reading_an_npz_tells_its_progress_and_can_be_cancelled(tmp_path):
    path = write(tmp_path / "set.npz", x=X, y=Y)
    seen = []
    data.create("file", path=path, progress=lambda *step: seen.append(step))
    assert seen == [(0, 2, "reading set.npz"), (1, 2, "reading set.npz"), (2, 2, "reading set.npz")]
    with pytest.raises(LoadCancelled):
        data.create("file", path=path, progress=lambda done, total, what: done < 1)


def test_that_names_of_classes_are_read_and_belong_to_the_labels(tmp_path):
    path = tmp_path / "named.npz"
    names = np.array(["ant", "bee", "cat", "dog"])
    np.savez(path, x=np.ones((4, 2)), y=[3, 1, 1, 3], y_true=[0, 1, 1, 3], class_names=names)
    dataset = data.create("file", path=str(path))
    assert dataset.class_names == ("ant", "bee", "dog")
    assert [dataset.class_names[label] for label in dataset.y] == ["dog", "bee", "bee", "dog"]
    assert dataset.class_names[dataset.y_true[0]] == "ant"


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (np.array(["a", "b"]), r"holds 2; with class_names of 2 names labels are 0 \.\. 1"),
        (np.array([["a", "b", "c"]]), r"shape \(1, 3\)"),
        (np.arange(3), "must be text"),
        (np.array(["a", "b", None], object), "Python objects"),
    ],
)
def test_that_names_that_do_not_fit_the_labels_are_refused(tmp_path, names, word):
    path = tmp_path / "named.npz"
    np.savez(path, x=np.ones((4, 2)), y=[0, 2, 2, 0], class_names=names)
    with pytest.raises(InputError, match=word):
        data.create("file", path=str(path))


def test_that_grey_pictures_of_as_many_pixels_say_the_shape_of_the_rows(tmp_path):
    path = tmp_path / "pictures.npz"
    for shape, expected in (((4, 2, 3), (1, 2, 3)), ((4, 3, 3), None), ((4, 1, 2, 3), None)):
        np.savez(path, x=np.ones((4, 6)), y=[0, 1, 1, 0], images=np.zeros(shape, np.uint8))
        assert data.create("file", path=str(path)).image_shape == expected
