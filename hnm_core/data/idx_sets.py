"""The MNIST family: Fashion-MNIST, MNIST, Kuzushiji-MNIST, EMNIST. Pictures of 28 x 28 in idx files."""

from __future__ import annotations

import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import Dataset, Progress, report
from hnm_core.data.downloads import Source, find_files
from hnm_core.data.fetch import RemoteFile
from hnm_core.data.idx import read_idx
from hnm_core.data.options import EmnistOptions, FashionMnistOptions, KmnistOptions, MnistOptions
from hnm_core.data.split import stratified_sample
from hnm_core.errors import InputError

SIDE = 28
DIGITS = tuple(string.digits)
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
KUZUSHIJI = ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo")
EMNIST_CLASSES = {
    "balanced": tuple(string.digits + string.ascii_uppercase + "abdefghnqrt"),
    "letters": tuple(string.ascii_lowercase),
}
"""Balanced keeps the small letters that do not look like their capitals; letters puts both cases into one class."""

FASHION_MNIST = Source(
    title="Fashion-MNIST",
    folder="fashion-mnist",
    urls=("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",),
    downloads=(
        RemoteFile(
            "train-images-idx3-ubyte.gz",
            26_421_880,
            "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz",
            29_515,
            "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            4_422_102,
            "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            5_148,
            "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    elsewhere=(Path("/usr/share/datasets/fashion-mnist"),),  # where Debian's package puts the files
    advice=", or install Debian's package dataset-fashion-mnist",
)
MNIST = Source(
    title="MNIST",
    folder="mnist",
    urls=("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
    downloads=(
        RemoteFile(
            "train-images-idx3-ubyte.gz",
            9_912_422,
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz",
            28_881,
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            1_648_877,
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            4_542,
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
)
KMNIST = Source(
    title="Kuzushiji-MNIST",
    folder="kmnist",
    urls=("http://codh.rois.ac.jp/kmnist/dataset/kmnist/",),
    downloads=(
        RemoteFile(
            "train-images-idx3-ubyte.gz",
            18_165_135,
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
        ),
        RemoteFile(
            "train-labels-idx1-ubyte.gz",
            29_497,
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
        ),
        RemoteFile(
            "t10k-images-idx3-ubyte.gz",
            3_041_136,
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
        ),
        RemoteFile(
            "t10k-labels-idx1-ubyte.gz",
            5_120,
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        ),
    ),
)


def emnist_files(split: str) -> tuple[str, ...]:
    """Images, then labels, of the training part and of the test part."""
    return tuple(
        f"emnist-{split}-{part}-{kind}-ubyte.gz"
        for part in ("train", "test")
        for kind in ("images-idx3", "labels-idx1")
    )


EMNIST = Source(
    title="EMNIST",
    folder="emnist",
    urls=("https://biometrics.nist.gov/cs_links/EMNIST/",),
    downloads=(
        RemoteFile("gzip.zip", 561_753_746, "fb9bb67e33772a9cc0b895e4ecf36d2cf35be8b709693c3564cea2a019fcda8e"),
    ),
    archive_folder="gzip",
    members=tuple(name for split in EMNIST_CLASSES for name in emnist_files(split)),
)


def fashion_mnist(
    options: FashionMnistOptions, *, seed: int, progress: Progress | None = None, source: Source = FASHION_MNIST
) -> Dataset:
    """Pictures of clothes; see `load`."""
    return _four_files("fashion-mnist", options, source, CLOTHES, seed, progress)


def mnist(options: MnistOptions, *, seed: int, progress: Progress | None = None, source: Source = MNIST) -> Dataset:
    """Handwritten digits; see `load`."""
    return _four_files("mnist", options, source, DIGITS, seed, progress)


def kmnist(options: KmnistOptions, *, seed: int, progress: Progress | None = None, source: Source = KMNIST) -> Dataset:
    """Cursive Japanese characters; see `load`."""
    return _four_files("kmnist", options, source, KUZUSHIJI, seed, progress)


def emnist(options: EmnistOptions, *, seed: int, progress: Progress | None = None, source: Source = EMNIST) -> Dataset:
    """Handwritten letters, and digits in the split "balanced"; see `load`.

    The files hold every picture lying on its side, and count letters from 1; both are put right.
    """
    paths = find_files(
        source, emnist_files(options.split), path=options.path, download=options.download, progress=progress
    )
    first = 1 if options.split == "letters" else 0
    pictures, y, trained = read_parts(paths, EMNIST_CLASSES[options.split], progress, first_label=first)
    return load("emnist", pictures.transpose(0, 2, 1), y, trained, EMNIST_CLASSES[options.split], options.points, seed)


def _four_files(
    name: str,
    options: FashionMnistOptions | MnistOptions | KmnistOptions,
    source: Source,
    class_names: tuple[str, ...],
    seed: int,
    progress: Progress | None,
) -> Dataset:
    names = [file.name for file in source.downloads]
    paths = find_files(source, names, path=options.path, download=options.download, progress=progress)
    pictures, y, trained = read_parts(paths, class_names, progress)
    return load(name, pictures, y, trained, class_names, options.points, seed)


def load(
    name: str,
    pictures: NDArray[np.uint8],
    y: NDArray[np.int64],
    trained: int,
    class_names: tuple[str, ...],
    points: int,
    seed: int,
) -> Dataset:
    """A stratified part of a set: x (points, H * W) in 0..1, images (points, H, W).

    The ids are places in the whole set, its `trained` training items first, then those of its test part.
    """
    rows = stratified_sample(y, points, seed)
    chosen = np.ascontiguousarray(pictures[rows])
    return Dataset(
        name,
        x=chosen.reshape(len(rows), -1).astype(np.float32) / np.float32(255),
        y=y[rows],
        ids=rows,
        class_names=class_names,
        images=chosen,
        image_shape=(1, *chosen.shape[1:]),
        official=rows >= trained,
    )


def read_parts(
    paths: Sequence[Path], class_names: tuple[str, ...], progress: Progress | None, first_label: int = 0
) -> tuple[NDArray[np.uint8], NDArray[np.int64], int]:
    """Images (N, 28, 28) and labels (N,) from 0, training part first, and how many items that part has.

    Args:
        paths: images, then labels, of the training part and of the test part.
        class_names: one for each label.
        progress: counts files.
        first_label: what the files call the first class.

    Raises:
        InputError: a damaged file, or files that do not fit together.
    """
    arrays = []
    for done, path in enumerate(paths):
        report(progress, done, len(paths), f"reading {path.name}")
        arrays.append(read_idx(path))
    report(progress, len(paths), len(paths), f"reading {paths[-1].name}")
    last_label = first_label + len(class_names) - 1
    for part in (0, 2):
        images, labels = arrays[part], arrays[part + 1]
        if images.ndim != 3 or images.shape[1:] != (SIDE, SIDE):
            raise InputError(f"'{paths[part]}' has the shape {images.shape}; it must hold pictures of {SIDE} x {SIDE}.")
        if labels.shape != images.shape[:1]:
            raise InputError(
                f"'{paths[part + 1]}' has the shape {labels.shape}, but there are {len(images):,} pictures beside it."
            )
        wrong = labels[(labels < first_label) | (labels > last_label)]
        if len(wrong):
            raise InputError(
                f"'{paths[part + 1]}' holds the label {wrong[0]}; labels are {first_label} .. {last_label}."
            )
    y = np.concatenate([arrays[1], arrays[3]]).astype(np.int64) - first_label
    if len(np.unique(y)) < 2:
        raise InputError(f"'{paths[1]}' and '{paths[3]}' hold fewer than two classes.")
    return np.concatenate([arrays[0], arrays[2]]), y, len(arrays[1])
