"""CIFAR-10 from its binary version, which is plain bytes; the Python version is pickled and never read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import Dataset, Progress, report
from hnm_core.data.downloads import Source, find_files
from hnm_core.data.fetch import RemoteFile
from hnm_core.data.options import Cifar10Options
from hnm_core.data.split import stratified_sample
from hnm_core.errors import InputError
from hnm_core.system.paths import why
from hnm_core.system.regular_files import open_regular

SHAPE = (3, 32, 32)
"""Channels, height, width of a picture in the files."""
RECORD_BYTES = 1 + 3 * 32 * 32
"""A label, then the red, the green and the blue bytes."""
FILES = (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin")
CLASS_NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CIFAR10 = Source(
    title="CIFAR-10",
    folder="cifar10",
    urls=("https://www.cs.toronto.edu/~kriz/",),
    downloads=(
        RemoteFile(
            "cifar-10-binary.tar.gz", 170_052_171, "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
        ),
    ),
    archive_folder="cifar-10-batches-bin",
    members=FILES,
    advice=" (the binary version: the Python version is pickled and could run code)",
)


def cifar10(
    options: Cifar10Options, *, seed: int, progress: Progress | None = None, source: Source = CIFAR10
) -> Dataset:
    """Small photographs: x (N, 3072) in 0..1, one colour after the other, images (N, 32, 32, 3).

    The ids are places in the whole set, its 50,000 training items first, then the 10,000 of its test part.

    Raises:
        InputError: no copy and no connection, or a damaged file.
        LoadCancelled: the progress callback returned False; what was fetched so far is kept.
    """
    paths = find_files(source, FILES, path=options.path, download=options.download, progress=progress)
    records, trained = _read(paths, progress)
    y = records[:, 0].astype(np.int64)
    rows = stratified_sample(y, options.points, seed)
    pixels = records[rows, 1:]
    return Dataset(
        "cifar10",
        x=pixels.astype(np.float32) / np.float32(255),
        y=y[rows],
        ids=rows,
        class_names=CLASS_NAMES,
        images=np.ascontiguousarray(pixels.reshape(-1, *SHAPE).transpose(0, 2, 3, 1)),
        image_shape=SHAPE,
        official=rows >= trained,
    )


def _read(paths: Sequence[Path], progress: Progress | None) -> tuple[NDArray[np.uint8], int]:
    """(N, RECORD_BYTES) of all files, and how many of these come before the test part, which is the last."""
    parts = []
    for done, path in enumerate(paths):
        report(progress, done, len(paths), f"reading {path.name}")
        try:
            with open_regular(path) as file:
                content = np.fromfile(file, np.uint8)
        except OSError as error:
            raise InputError(f"'{path}' cannot be read: {why(error)}.") from None
        if len(content) == 0 or len(content) % RECORD_BYTES:
            raise InputError(
                f"'{path}' has {len(content):,} bytes, which is no whole number of pictures of {RECORD_BYTES:,}; "
                "it was cut off, or is another file."
            )
        records = content.reshape(-1, RECORD_BYTES)
        if records[:, 0].max() >= len(CLASS_NAMES):
            raise InputError(f"'{path}' holds the label {records[:, 0].max()}; labels are 0 .. 9.")
        parts.append(records)
    report(progress, len(paths), len(paths), f"reading {paths[-1].name}")
    records = np.concatenate(parts)
    if len(np.unique(records[:, 0])) < 2:
        raise InputError(f"The files beside '{paths[0]}' hold fewer than two classes.")
    return records, len(records) - len(parts[-1])
