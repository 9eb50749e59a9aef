"""The data set `images`: a folder of the user's pictures, by class."""

from __future__ import annotations

import numpy as np

from hnm_core.data.base import Dataset, Progress, report
from hnm_core.data.options import ImagesOptions
from hnm_core.data.pictures import broken, find_pictures, read_picture
from hnm_core.data.split import thinned
from hnm_core.errors import InputError
from hnm_core.system import memory, paths


def build(options: ImagesOptions, *, seed: int, progress: Progress | None = None) -> Dataset:
    """Pictures as rows of pixels: x (N, C * size * size) in 0..1, one channel after the other.

    The ids count the pictures of the folder, class by class, by name.

    Args:
        options: where, and how large.
        seed: of the choice of `options.points` pictures.
        progress: counts pictures.

    Raises:
        InputError: no such folder, no classes in it, a file that is no picture, or more than fits into the memory.
        LoadCancelled: the progress callback returned False.
    """
    found = find_pictures(paths.path_of(options.path))
    rows = thinned(found.y, options.points, seed)
    channels = 3 if options.colour == "rgb" else 1
    shape = (options.size, options.size, 3) if channels == 3 else (options.size, options.size)
    memory.require(
        len(rows) * channels * options.size**2 * (np.dtype(np.float32).itemsize + 1),
        f"{len(rows):,} pictures of {options.size} x {options.size}",
        "make size or points smaller, or take features of them with `hnm-lab features`",
    )
    images = np.empty((len(rows), *shape), np.uint8)
    what = f"reading {found.folder.name}"
    for place, row in enumerate(rows):
        report(progress, place, len(rows), what)
        try:
            images[place] = read_picture(found.files[row], options.size, options.colour)
        except InputError:
            rest = [found.files[other] for other in rows[place:]]
            raise broken(rest, lambda file: read_picture(file, options.size, options.colour)) from None
    report(progress, len(rows), len(rows), what)
    planes = images.transpose(0, 3, 1, 2) if channels == 3 else images
    return Dataset(
        found.folder.name or "images",
        x=planes.reshape(len(rows), -1).astype(np.float32) / np.float32(255),
        y=found.y[rows],
        ids=rows,
        class_names=found.class_names,
        images=images,
        image_shape=(channels, options.size, options.size),
        held_out=None if found.held_out is None else found.held_out[rows],
        as_read=found.as_read,
    )
