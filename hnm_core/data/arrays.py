"""Named arrays, whatever file they come from: features and labels, and what may stand beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hnm_core.data import checks, item_labels
from hnm_core.data.base import Dataset, Progress, report
from hnm_core.data.item_labels import ItemLabels
from hnm_core.errors import InputError
from hnm_core.spec.data_files import WITHOUT

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
    name: str,
    file: str,
    names: Sequence[str],
    load: Callable[[str], NDArray[Any]],
    progress: Progress | None,
    separator: str = "",
) -> Dataset:
    """Read x (N, D) and y (N,), and where they are there ids, y_true, held_out (N,) and images (N, H, W[, C]).

    Labels may be any integers, or text; they are numbered 0 .. C-1 and their text becomes the class name. With
    class_names (C,) integers are 0 .. C-1 already, and these are the names. Labels (N, C) with a single 1 in each row
    say by its place which class it is; with several, or none, in some rows an item has as many labels. Items are put in
    the order of their ids. Grey pictures with as many pixels as
    there are features are taken for what the features are.

    Args:
        name: of the data set.
        file: the file, for messages.
        names: of all its arrays.
        load: gives an array by its name in the file.
        progress: counts arrays.
        separator: what stands between several labels in one text; empty where a text is one.

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
    found = labelled(arrays, len(x), where, separator)
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
        found.y[order],
        ids[order],
        found.names,
        y_true=ordered(found.y_true),
        images=ordered(pictures),
        image_shape=_shape_of_rows(x, pictures),
        held_out=ordered(held_out),
        several=None if found.several is None else found.several.at(by_id),
        as_read=f"{in_words(chosen, names)} {found.said}".strip(),
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


class Labelled(NamedTuple):
    """Labels as a `Dataset` has them."""

    y: NDArray[np.int64]
    y_true: NDArray[np.int64] | None
    names: tuple[str, ...]
    several: ItemLabels | None = None
    said: str = ""
    """What is to be said of how they were read"""


def with_several(several: ItemLabels, names: tuple[str, ...], said: str = "") -> Labelled:
    """Labels of items that have several each, or none; where all have one it is their class."""
    if len(several.label) and bool((several.sizes == 1).all()):
        return Labelled(several.label, None, names, None, said)
    y = several.rarest()
    return Labelled(y, None, (*names, WITHOUT) if (y == several.count).any() else names, several, said)


def labelled(arrays: dict[str, NDArray[Any]], items: int, where: Callable[[str], str], separator: str = "") -> Labelled:
    """The labels among some arrays. Arguments and errors as of `dataset_of`."""
    labels, truth = _as_text(arrays["y"], where("y")), arrays.get("y_true")
    truth = None if truth is None else _as_text(truth, where("y_true"))
    if separator and labels.dtype.kind != "U":
        raise InputError(f"{where('y')} holds no text: label_separator = '{separator}' is for several labels in one.")
    if labels.dtype.kind == "U":
        if separator:
            _refuse_truth(truth, where)
            lists = [label.split(separator) for label in _text(labels, items, where("y"), may_lack=True)]
            return with_several(*item_labels.named(lists, where("y"), separated=True))
        if truth is not None and truth.dtype.kind != "U":
            raise InputError(f"{where('y')} holds text and {where('y_true')} does not; both must be of one kind.")
        y = _text(labels, items, where("y"))
        true = [] if truth is None else _text(truth, items, where("y_true"))
        numbers, names = checks.named_classes([*y, *true], where("y"))
        said = checks.said_of_blanks(map(str, [*labels.tolist(), *([] if truth is None else truth.tolist())]))
        return Labelled(numbers[:items], None if truth is None else numbers[items:], names, None, said)
    if labels.ndim == 2 and labels.shape[0] == items and 2 <= labels.shape[1] <= MOST_CLASSES:
        ones = _places_of_ones(labels, where("y"))
        if isinstance(ones, ItemLabels):
            _refuse_truth(truth, where)
            return with_several(ones, _names_of_columns(ones.count, arrays.get("class_names"), where))
        labels = ones
    labels = checks.whole_numbers(labels, items, where("y"), "whole numbers or text")
    true_labels = None if truth is None else checks.whole_numbers(truth, items, where("y_true"))
    numbers, true_numbers, names = checks.classes(labels, true_labels)
    if "class_names" in arrays:
        names = _named(names, arrays["class_names"], where)
    return Labelled(numbers, true_numbers, names)


def _refuse_truth(truth: object | None, where: Callable[[str], str]) -> None:
    if truth is not None:
        raise InputError(f"{where('y_true')} is not understood where items have several labels; leave it out.")


def _names_of_columns(count: int, class_names: NDArray[Any] | None, where: Callable[[str], str]) -> tuple[str, ...]:
    """The names of columns of labels; their numbers where they have none."""
    numbers = tuple(map(str, range(count)))
    if class_names is None:
        return numbers
    if class_names.ndim == 1 and len(class_names) != count:
        raise InputError(f"{where('class_names')} has {len(class_names):,} names for {count:,} columns of labels.")
    return _named(numbers, class_names, where)


def _as_text(labels: NDArray[Any], where: str) -> NDArray[Any]:
    """Bytes of text as text; anything else as it is."""
    if labels.dtype.kind != "S":
        return labels
    try:
        return np.char.decode(labels, "utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{where} holds bytes that are no text in UTF-8.") from None


def _text(labels: NDArray[Any], items: int, where: str, *, may_lack: bool = False) -> list[str]:
    if labels.shape != (items,):
        raise InputError(f"{where} has the shape {labels.shape}; it must be ({items},), one label an item.")
    names = [str(label).strip() for label in labels.tolist()]
    if "" in names and not may_lack:
        raise InputError(f"{where} has no label in row {names.index('')} (counted from 0).")
    return names


def _places_of_ones(labels: NDArray[Any], where: str) -> NDArray[np.int64] | ItemLabels:
    """(N,) the place of the one 1 in each row of (N, C); of rows with several, or none, all of them."""
    if labels.dtype.kind in "fiub":
        found = item_labels.of_table(labels, where)
        return found.label if bool((found.sizes == 1).all()) else found
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
