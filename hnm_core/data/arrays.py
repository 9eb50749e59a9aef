"""Named arrays, whatever file they come from: features and labels, and what may stand beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks
from hnm_core.data.base import Dataset, Progress, report
from hnm_core.errors import InputError

NAMES: dict[str, tuple[str, ...]] = {
    "x": ("x", "X", "embeddings", "embedding", "features", "feature", "vectors", "emb"),
    "y": ("y", "Y", "labels", "label", "targets", "target", "classes", "class"),
    "ids": ("ids", "id"),
    "images": ("images",),
    "y_true": ("y_true",),
    "class_names": ("class_names",),
    "held_out": ("held_out",),
}
"""What each array may be called; the first name wins."""

MOST_CLASSES = 10_000
"""Columns of labels that are looked through for a single 1 in each row."""


def choose(names: Sequence[str], file: str) -> dict[str, str]:
    """The name in the file of each array of `NAMES` that is there.

    Raises:
        InputError: there are no features or no labels, or several arrays that could be, none of the usual name.
    """
    chosen = {}
    for role, usual in NAMES.items():
        found = [name for name in usual if name in names]
        if len(found) > 1 and role not in found:
            raise InputError(f"'{file}' has {' and '.join(map(repr, found))}; call one of them '{role}'.")
        if found:
            chosen[role] = role if role in found else found[0]
    missing = " and ".join(f"'{role}'" for role in ("x", "y") if role not in chosen)
    if missing:
        raise InputError(
            f"'{file}' has no array {missing}, only: {checks.shown_names(names)}. It must hold x (items, features) and "
            "y (items,); embeddings and labels are understood too."
        )
    return chosen


def dataset_of(
    name: str, file: str, names: Sequence[str], load: Callable[[str], NDArray[Any]], progress: Progress | None
) -> Dataset:
    """Read x (N, D) and y (N,), and where they are there ids, y_true, held_out (N,) and images (N, H, W[, C]).

    Labels may be any integers, or text; they are numbered 0 .. C-1 and their text becomes the class name. With
    class_names (C,) integers are 0 .. C-1 already, and these are the names. Labels (N, C) with a single 1 in each row
    say by its place which class it is. Items are put in the order of their ids. Grey pictures with as many pixels as
    there are features are taken for what the features are.

    Args:
        name: of the data set.
        file: the file, for messages.
        names: of all its arrays.
        load: gives an array by its name in the file.
        progress: counts arrays.

    Raises:
        InputError: the file lacks an array, or an array is not what it must be.
        LoadCancelled: the progress callback returned False.
    """
    chosen = choose(names, file)
    arrays = {}
    for done, role in enumerate(chosen):
        report(progress, done, len(chosen), f"reading {name}")
        arrays[role] = load(chosen[role])
    report(progress, len(chosen), len(chosen), f"reading {name}")

    def where(role: str) -> str:
        return f"'{chosen[role]}' of '{file}'"

    x = checks.features(arrays["x"], where("x"))
    y, y_true, class_names = labelled(arrays, len(x), where)
    pictures = checks.images(arrays["images"], len(x), where("images")) if "images" in arrays else None
    held_out = None
    if "held_out" in arrays:
        held_out = _flags(arrays["held_out"], len(x), where("held_out"))
    ids = checks.ids(arrays["ids"], len(x), where("ids")) if "ids" in arrays else np.arange(len(x))
    by_id = np.argsort(ids)
    order = slice(None) if (np.diff(by_id) == 1).all() else by_id  # no copy where they are in order

    def ordered(values: Any) -> Any:
        return None if values is None else values[order]

    return Dataset(
        name,
        x[order],
        y[order],
        ids[order],
        class_names,
        y_true=ordered(y_true),
        images=ordered(pictures),
        image_shape=_shape_of_rows(x, pictures),
        held_out=ordered(held_out),
        as_read=in_words(chosen, names),
    )


def in_words(chosen: dict[str, str], names: Sequence[str]) -> str:
    """Which array is what, and which are left out; empty where all are there under their own names."""
    if all(role == name for role, name in chosen.items()) and set(names) == set(chosen):
        return ""
    parts = [f"features '{chosen['x']}'", f"labels '{chosen['y']}'"]
    parts += [f"'{checks.shown(name)}'" for role, name in chosen.items() if role not in ("x", "y")]
    left_out = [name for name in names if name not in chosen.values()]
    if left_out:
        parts.append(f"left out: {checks.shown_names(left_out)}")
    return f"Arrays: {'; '.join(parts)}."


def labelled(
    arrays: dict[str, NDArray[Any]], items: int, where: Callable[[str], str]
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, tuple[str, ...]]:
    """(N,) y, y_true or None, and the names of the classes. Raises `InputError` as `dataset_of`."""
    labels, truth = _as_text(arrays["y"], where("y")), arrays.get("y_true")
    truth = None if truth is None else _as_text(truth, where("y_true"))
    if labels.dtype.kind == "U":
        if truth is not None and truth.dtype.kind != "U":
            raise InputError(f"{where('y')} holds text and {where('y_true')} does not; both must be of one kind.")
        y = _text(labels, items, where("y"))
        true = [] if truth is None else _text(truth, items, where("y_true"))
        numbers, names = checks.named_classes([*y, *true], where("y"))
        return numbers[:items], None if truth is None else numbers[items:], names
    if labels.ndim == 2 and labels.shape[0] == items and 2 <= labels.shape[1] <= MOST_CLASSES:
        labels = _places_of_ones(labels, where("y"))
    labels = checks.whole_numbers(labels, items, where("y"), "whole numbers or text")
    true_labels = None if truth is None else checks.whole_numbers(truth, items, where("y_true"))
    numbers, true_numbers, names = checks.classes(labels, true_labels)
    if "class_names" in arrays:
        names = _named(names, arrays["class_names"], where)
    return numbers, true_numbers, names


def _as_text(labels: NDArray[Any], where: str) -> NDArray[Any]:
    """Bytes of text as text; anything else as it is."""
    if labels.dtype.kind != "S":
        return labels
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{where} holds bytes that are no text in UTF-8.") from None


def _text(labels: NDArray[Any], items: int, where: str) -> list[str]:
    if labels.shape != (items,):
        raise InputError(f"{where} has the shape {labels.shape}; it must be ({items},), one label an item.")
    names = [str(label).strip() for label in labels.tolist()]
    if "" in names:
        raise InputError(f"{where} has no label in row {names.index('')} (counted from 0).")
    return names


def _places_of_ones(labels: NDArray[Any], where: str) -> NDArray[np.int64]:
    """(N,) the place of the one 1 in each row of (N, C)."""
    if labels.dtype.kind in "fiub":
        wrong = np.flatnonzero(((labels != 0).sum(axis=1) != 1) | (labels.max(axis=1) != 1))
        if not len(wrong):
            return np.asarray(labels.argmax(axis=1), np.int64)
        raise InputError(
            f"{where} has the shape {labels.shape}, but row {wrong[0]} (counted from 0) is not a single 1 among zeros; "
            f"labels are ({len(labels)},), or have a 1 at the place of the class."
        )
    raise InputError(f"{where} has the shape {labels.shape}; it must be ({len(labels)},), one label an item.")


def _flags(values: NDArray[Any], items: int, where: str) -> NDArray[np.bool_]:
    """(N,) yes or no. Raises `InputError` for other numbers than 0 and 1, such as a list of places."""
    numbers = checks.whole_numbers(values, items, where)
    wrong = np.flatnonzero((numbers != 0) & (numbers != 1))
    if len(wrong):
        raise InputError(
            f"{where} must hold 0 or 1, or False or True, for each item, but row {wrong[0]} (counted from 0) holds "
            f"{numbers[wrong[0]]}."
        )
    return np.asarray(numbers != 0)


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
    names = tuple(str(class_names[int(label)]) for label in labels)
    if not all(map(str.strip, names)):
        raise InputError(
            f"{where('class_names')} has no name at place {labels[list(map(str.strip, names)).index('')]}."
        )
    return names


def _shape_of_rows(x: NDArray[np.float32], pictures: NDArray[np.uint8] | None) -> tuple[int, int, int] | None:
    """(1, H, W) where grey pictures have as many pixels as there are features.

    Colours are not guessed: rows may hold them one after the other, or pixel by pixel.
    """
    if pictures is None or pictures.ndim != 3 or pictures[0].size != x.shape[1]:
        return None
    return 1, pictures.shape[1], pictures.shape[2]
