"""Reads `.npz` files: arrays `x` and `y`, and what may come beside them. Never unpickles anything."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.data.base import Dataset, Progress, report
from hnm_core.errors import InputError

REQUIRED = ("x", "y")
OPTIONAL = ("ids", "images", "y_true", "class_names")


def read_npz(path: Path, progress: Progress | None = None) -> Dataset:
    """Read x (N, D) and y (N,), and where they are there ids (N,), images (N, H, W[, C]) and y_true (N,).

    Labels may be any integers; they are numbered 0 .. C-1 and their text becomes the class name. With class_names (C,)
    labels are 0 .. C-1 already, and these are the names. Items are put in the order of their ids. Grey pictures with
    as many pixels as there are features are taken for what the features are. Other arrays are left alone.

    Raises:
        InputError: the file is no `.npz`, damaged, lacks an array, or an array is not what it must be.
        LoadCancelled: the progress callback returned False.
    """
    arrays = _arrays(path, progress)

    def where(array: str) -> str:
        return f"'{array}' of '{path}'"

    x = checks.features(arrays["x"], where("x"))
    n_items = len(x)
    labels = checks.whole_numbers(arrays["y"], n_items, where("y"))
    truth = checks.whole_numbers(arrays["y_true"], n_items, where("y_true")) if "y_true" in arrays else None
    y, y_true, names = checks.classes(labels, truth, where("y"))
    if "class_names" in arrays:
        names = _named(names, arrays["class_names"], where)
    pictures = checks.images(arrays["images"], n_items, where("images")) if "images" in arrays else None
    shape = _shape_of_rows(x, pictures)
    if "ids" not in arrays:
        return Dataset(path.name, x, y, np.arange(n_items), names, y_true=y_true, images=pictures, image_shape=shape)
    ids = checks.ids(arrays["ids"], n_items, where("ids"))
    order = np.argsort(ids)
    return Dataset(
        path.name,
        x[order],
        y[order],
        ids[order],
        names,
        y_true=None if y_true is None else y_true[order],
        images=None if pictures is None else pictures[order],
        image_shape=shape,
    )


def _named(labels: tuple[str, ...], class_names: NDArray[Any], where: Callable[[str], str]) -> tuple[str, ...]:
    """The names of the classes that occur; `labels` are their numbers as text."""
    if class_names.ndim != 1 or class_names.dtype.kind != "U":
        raise InputError(
            f"{where('class_names')} holds {class_names.dtype} of the shape {class_names.shape}; it must be text of "
            "the shape (classes,)."
        )
    for label in labels:
        if not 0 <= int(label) < len(class_names):
            raise InputError(
                f"{where('y')} holds {label}; with class_names of {len(class_names):,} names labels are "
                f"0 .. {len(class_names) - 1}."
            )
    return tuple(str(class_names[int(label)]) for label in labels)


def _shape_of_rows(x: NDArray[np.float32], pictures: NDArray[np.uint8] | None) -> tuple[int, int, int] | None:
    """(1, H, W) where grey pictures have as many pixels as there are features.

    Colours are not guessed: rows may hold them one after the other, or pixel by pixel.
    """
    if pictures is None or pictures.ndim != 3 or pictures[0].size != x.shape[1]:
        return None
    return 1, pictures.shape[1], pictures.shape[2]


def _arrays(path: Path, progress: Progress | None) -> dict[str, NDArray[Any]]:
    """The arrays of the file that we know, by name."""
    with path.open("rb") as raw:  # ours, because numpy leaves a damaged file open
        if not zipfile.is_zipfile(raw):
            raise InputError(f"'{path}' is no .npz file, or it is damaged; write one with numpy.savez(path, x=x, y=y).")
        raw.seek(0)
        try:
            file = np.load(raw, allow_pickle=False)
        except Exception as error:  # noqa: BLE001 - a damaged archive breaks zipfile in any way it likes
            raise InputError(f"'{path}' is no .npz file, or it is damaged: {checks.reason(error)}.") from None
        with file:
            missing = " and ".join(f"'{name}'" for name in REQUIRED if name not in file.files)
            if missing:
                raise InputError(
                    f"'{path}' has no array {missing}, only: {checks.shown_names(file.files)}. "
                    "It must hold x (items, features) and y (items,)."
                )
            names = [name for name in (*REQUIRED, *OPTIONAL) if name in file.files]
            arrays = {}
            for done, name in enumerate(names):
                report(progress, done, len(names), f"reading {path.name}")
                arrays[name] = _array(file, name, path)
            report(progress, len(names), len(names), f"reading {path.name}")
            return arrays


def _array(file: Any, name: str, path: Path) -> NDArray[Any]:
    try:
        value = file[name]
    except MemoryError:
        raise InputError(f"'{name}' of '{path}' is larger than the memory, or the file is damaged.") from None
    except Exception as error:  # noqa: BLE001 - as above, and numpy's own errors
        if "allow_pickle" in str(error):
            raise InputError(
                f"'{name}' of '{path}' holds Python objects, which are never loaded because they can run code. "
                "Save plain numbers of one shape."
            ) from None
        raise InputError(f"'{name}' of '{path}' is damaged: {checks.reason(error)}.") from None
    if not isinstance(value, np.ndarray):
        raise InputError(f"'{name}' of '{path}' is no numpy array.")
    return value
