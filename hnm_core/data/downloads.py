"""Known sets that are fetched once: Fashion-MNIST, from a local copy where there is one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import platformdirs
from numpy.typing import NDArray

from hnm_core.data.base import Dataset, Progress, report
from hnm_core.data.fetch import FetchError, RemoteFile, fetch
from hnm_core.data.idx import read_idx
from hnm_core.data.options import FashionMnistOptions
from hnm_core.data.split import stratified_sample
from hnm_core.errors import InputError

BASE_URL = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")
"""Where Debian's package dataset-fashion-mnist puts the files."""

FILES = (
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
)
"""Images, then labels, of the training part and of the test part."""

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)


def fashion_mnist(
    options: FashionMnistOptions, *, seed: int, progress: Progress | None = None, base_url: str = BASE_URL
) -> Dataset:
    """Pictures of clothes: x (N, 784) in 0..1, images (N, 28, 28).

    The ids are places in the whole set, its 60,000 training items first, then the 10,000 of its test part.

    Args:
        options: `path`, if given, is the only place looked at; else the user's data folder, then Debian's package, then
            a download into the user's data folder.
        seed: of the choice of `options.points` items.
        progress: see `Progress`; counts bytes of a download, else files read.
        base_url: where the four files are, with a slash at the end.

    Raises:
        InputError: no copy and no connection, a damaged file, or files that do not fit together.
        LoadCancelled: the progress callback returned False; what was fetched so far is kept.
    """
    paths = _local_copy(options) or _download(base_url, user_folder(), progress)
    images, y = _read(paths, progress)
    rows = stratified_sample(y, options.points, seed)
    pictures = images[rows]
    return Dataset(
        "fashion-mnist",
        x=pictures.reshape(len(rows), -1).astype(np.float32) / np.float32(255),
        y=y[rows],
        ids=rows,
        class_names=CLASS_NAMES,
        images=pictures,
    )


def user_folder() -> Path:
    """Where the files are looked for and downloaded to."""
    return Path(platformdirs.user_data_dir("hnm-lab", appauthor=False)) / "datasets" / "fashion-mnist"


def _local_copy(options: FashionMnistOptions) -> list[Path] | None:
    """The four files where they are complete; None when a download is called for."""
    if options.path:
        folder = Path(options.path).expanduser() if options.path.startswith("~/") else Path(options.path)
        if not folder.is_dir():
            raise InputError(f"There is no folder '{folder}'; path is the folder with the four files of Fashion-MNIST.")
        paths = _files_in(folder)
        missing = [file.name for file, path in zip(FILES, paths, strict=True) if path is None]
        if missing:
            raise InputError(f"The folder '{folder}' lacks {', '.join(missing)} (with or without .gz).")
        return [path for path in paths if path is not None]
    for folder in (user_folder(), DEBIAN_FOLDER):
        found = [path for path in _files_in(folder) if path is not None]
        if len(found) == len(FILES):
            return found
    if options.download:
        return None
    raise InputError(f"There is no copy of Fashion-MNIST here, and download is off. {_by_hand()}")


def _files_in(folder: Path) -> list[Path | None]:
    """Path of each of `FILES` in the folder, gzipped or plain; None where there is none."""
    return [
        next((path for path in (folder / file.name, folder / file.name.removesuffix(".gz")) if path.is_file()), None)
        for file in FILES
    ]


def _download(base_url: str, folder: Path, progress: Progress | None) -> list[Path]:
    total = sum(file.size for file in FILES)
    paths, before = [], 0
    for file in FILES:
        what = f"downloading Fashion-MNIST, {file.name}"

        def tell(done: int, before: int = before, what: str = what) -> None:
            report(progress, before + done, total, what)

        path = folder / file.name
        if not path.is_file():
            try:
                fetch(base_url, file, folder, tell)
            except FetchError as error:
                raise InputError(
                    f"Fashion-MNIST cannot be fetched from {base_url}: {error}. What came so far is kept. {_by_hand()}"
                ) from None
        paths.append(path)
        before += file.size
    return paths


def _by_hand() -> str:
    names = ", ".join(file.name for file in FILES)
    return f"Put {names} into '{user_folder()}', or install Debian's package dataset-fashion-mnist."


def _read(paths: list[Path], progress: Progress | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (N, 28, 28) and labels (N,), training part first."""
    arrays = []
    for done, path in enumerate(paths):
        report(progress, done, len(paths), f"reading {path.name}")
        arrays.append(read_idx(path))
    report(progress, len(paths), len(paths), "reading Fashion-MNIST")
    for part in (0, 2):
        images, labels = arrays[part], arrays[part + 1]
        if images.ndim != 3 or images.shape[1:] != (28, 28):
            raise InputError(f"'{paths[part]}' has the shape {images.shape}; it must hold pictures of 28 x 28.")
        if labels.shape != images.shape[:1]:
            raise InputError(
                f"'{paths[part + 1]}' has the shape {labels.shape}, but there are {len(images):,} pictures beside it."
            )
        if labels.max(initial=0) >= len(CLASS_NAMES):
            raise InputError(f"'{paths[part + 1]}' holds the label {labels.max()}; labels are 0 .. 9.")
    y = np.concatenate([arrays[1], arrays[3]]).astype(np.int64)
    if len(np.unique(y)) < 2:
        raise InputError(f"'{paths[1]}' and '{paths[3]}' hold fewer than two classes.")
    return np.concatenate([arrays[0], arrays[2]]), y
