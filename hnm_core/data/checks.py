"""What every file of the user's must hold, whatever its format: finite features, whole labels, something to mine."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.data.base import MAX_ID
from hnm_core.errors import InputError, shortened

LONGEST_LABEL = 1_000
"""Characters."""

LARGEST_EXACT_FLOAT = 2.0**53
"""Above this, neighbouring whole numbers are one and the same float64."""


def features(values: NDArray[Any], where: str) -> NDArray[np.float32]:
    """(N, D) real numbers as finite float32.

    Args:
        values: what the file holds.
        where: its name for messages, such as "'x' of 'set.npz'".

    Raises:
        InputError: text, complex numbers, another shape, nothing in it, or NaN, infinity or a number beyond float32.
    """
    _refuse_odd_types(values, where, "real numbers")
    if values.ndim != 2:
        hint = "; give every item one row of numbers (pictures go into 'images')" if values.ndim > 2 else ""
        raise InputError(f"{where} has the shape {values.shape}; it must be (items, features){hint}.")
    items, dim = values.shape
    if items < 1:
        raise InputError(f"{where} holds 0 items; at least 2 are needed.")
    if dim == 0:
        raise InputError(f"{where} holds {items:,} items without a single feature; at least 1 is needed.")
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is told below
        x = np.ascontiguousarray(values, dtype=np.float32)
    good = np.isfinite(x).all(axis=1)
    if not good.all():
        bad_row = np.flatnonzero(~good)
        first = values[bad_row[0]]
        what = "a number too large for 32 bits" if np.isfinite(first).all() else "NaN or infinity"
        raise InputError(
            f"{where} holds {what} in row {bad_row[0]} (counted from 0), and {len(bad_row):,} of {items:,} rows are "
            "like that; every feature must be a finite number."
        )
    return x


def whole_numbers(values: NDArray[Any], n_items: int, where: str, allowed: str = "whole numbers") -> NDArray[Any]:
    """(n_items,) integers, booleans or floats that are whole numbers, as an integer array; `allowed` says what could
    stand there.

    Raises:
        InputError: another shape or length, or a value that is no whole number; the message names the first.
    """
    _refuse_odd_types(values, where, allowed)
    if values.ndim != 1:
        raise InputError(f"{where} has the shape {values.shape}; it must be ({n_items},), one value an item.")
    if len(values) != n_items:
        raise InputError(f"{where} has {count(len(values), 'value')} for {count(n_items, 'item')}; give each item one.")
    if values.dtype.kind == "b":
        return values.astype(np.int64)
    if values.dtype.kind == "f":
        whole = np.isfinite(values) & (np.abs(values) <= LARGEST_EXACT_FLOAT) & (values == np.rint(values))
        if not whole.all():
            row = int(np.flatnonzero(~whole)[0])
            raise InputError(f"{where} must hold {allowed}, but row {row} (counted from 0) holds {values[row]}.")
        return values.astype(np.int64)
    return values


def classes(
    labels: NDArray[Any], true_labels: NDArray[Any] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64] | None, tuple[str, ...]]:
    """Number the labels 0 .. C-1 in ascending order.

    Args:
        labels: (N,) integers, of any value.
        true_labels: (N,) integers or None; they share the numbering.

    Returns:
        y, y_true (or None), and the text of each class.
    """
    values = labels if true_labels is None else np.concatenate([_wide(labels), _wide(true_labels)])
    found, numbers = np.unique(values, return_inverse=True)
    numbers = numbers.reshape(-1).astype(np.int64)
    names = tuple(str(value) for value in found.tolist())
    y = numbers[: len(labels)]
    return y, None if true_labels is None else numbers[len(labels) :], names


def label_length(label: str, where: str) -> None:
    """Raises `InputError` where a label is too long to be one; `where` begins the sentence."""
    if len(label) > LONGEST_LABEL:
        raise InputError(
            f"{where}: the label '{shortened(label)}' is too long; labels have up to {LONGEST_LABEL:,} characters."
        )


def named_classes(labels: Sequence[str], where: str) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Number class names 0 .. C-1: in numerical order if all of them are numbers, else in alphabetical order.

    Returns:
        (N,) y, and the names.

    Raises:
        InputError: a label is too long to be one.
    """
    names = sorted(set(labels))
    label_length(max(names, key=len, default=""), where)
    if all(is_number(name) for name in names):
        names.sort(key=float)
    numbers = {name: number for number, name in enumerate(names)}
    return np.array([numbers[label] for label in labels], np.int64), tuple(names)


def said_of_blanks(labels: Iterable[str]) -> str:
    """A sentence on the labels that are written with and without blanks around them, which are no part of a label;
    empty where there are none."""
    written: dict[str, set[str]] = {}
    for label in set(labels):
        written.setdefault(label.strip(), set()).add(label)
    joined = sorted(name for name, ways in written.items() if name and len(ways) > 1)
    if not joined:
        return ""
    return (
        f"Blanks around a label are no part of it: {count(len(joined), 'label')} written with and without, or with "
        f"others, {'is' if len(joined) == 1 else 'are'} one class each: {shown_names(joined)}."
    )


def is_number(text: str) -> bool:
    """Whether the text is a finite number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def check_minable(y: NDArray[np.int64], names: tuple[str, ...], where: str) -> None:
    """Raises `InputError` unless two classes occur and one of them twice: there must be a negative and a positive."""
    counts = np.bincount(y)
    if len(y) < 2:
        raise InputError(f"{where} holds {count(len(y), 'item')}; at least 2 are needed.")
    if np.count_nonzero(counts) < 2:
        raise InputError(
            f"{where} holds one class only, {shown(names[y[0]])}; without a second one there are no negatives."
        )
    if counts.max() < 2:
        raise InputError(
            f"{where} holds {len(y):,} items of {len(y):,} different classes; without two items of one class there "
            "are no positives. Labels must name classes, not items."
        )


def ids(values: NDArray[Any], n_items: int, where: str) -> NDArray[np.int64]:
    """(n_items,) distinct whole numbers, 0 .. MAX_ID. Raises `InputError` when they are not."""
    numbers = whole_numbers(values, n_items, where)
    wrong = np.flatnonzero((numbers < 0) | (numbers > MAX_ID))
    if len(wrong):
        raise InputError(f"{where} holds {numbers[wrong[0]]}; an id is 0 .. {MAX_ID:,}.")
    distinct, counts = np.unique(numbers, return_counts=True)
    if len(distinct) < n_items:
        raise InputError(f"{where} holds {distinct[counts > 1][0]} more than once; every item needs an id of its own.")
    return numbers.astype(np.int64)


def images(values: NDArray[Any], n_items: int, where: str) -> NDArray[np.uint8]:
    """Pictures as (N, H, W) or (N, H, W, 3) bytes.

    Takes (N, H, W) or (N, H, W, C) with 1, 3 or 4 channels (transparency is dropped), either in 0..255 or, for floats
    and booleans, in 0..1.

    Raises:
        InputError: another shape, length or range.
    """
    _refuse_odd_types(values, where, "numbers")
    channels = values.shape[3] if values.ndim == 4 else 1
    if values.ndim not in (3, 4) or channels not in (1, 3, 4) or 0 in values.shape[1:]:
        raise InputError(f"{where} has the shape {values.shape}; pictures are (N, H, W) or (N, H, W, 1, 3 or 4).")
    if len(values) != n_items:
        raise InputError(
            f"{where} has {count(len(values), 'picture')} for {count(n_items, 'item')}; give each item one."
        )
    if values.ndim == 4:
        values = values[..., 0] if channels == 1 else values[..., :3]
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    low, high = values.min(), values.max()
    top = 1 if values.dtype.kind in "fb" else 255
    if not (low >= 0 and high <= top):  # in this form it catches NaN too
        raise InputError(f"{where} holds {values.dtype} in {low} .. {high}; {values.dtype} pictures are in 0 .. {top}.")
    return np.rint(values * (255.0 / top)).astype(np.uint8)


def shown(text: str) -> str:
    """A value of the user's as part of a sentence: short, on one line, without control characters."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text.strip())
    return text if len(text) <= 40 else text[:37] + "..."


def shown_names(names: Sequence[str]) -> str:
    """The first names of a list, for a sentence."""
    return (", ".join(shown(name) for name in names[:10]) or "nothing") + (", ..." if len(names) > 10 else "")


def count(n: int, noun: str) -> str:
    """A number of things: "1 item", "2,000 items"."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def reason(error: Exception) -> str:
    """What a library says about a damaged file, or the system about any: the first line of it, without a full stop."""
    said = getattr(error, "strerror", None) or str(error)
    return (said.splitlines() or [""])[0][:200].rstrip(". ") or type(error).__name__


def _refuse_odd_types(values: NDArray[Any], where: str, wanted: str) -> None:
    if values.dtype.kind in "fiub":
        return
    found = {"c": "complex numbers", "U": "text", "S": "text", "M": "dates", "m": "time spans", "V": "records"}
    raise InputError(f"{where} holds {found.get(values.dtype.kind, str(values.dtype))}; it must hold {wanted}.")


def _wide(labels: NDArray[Any]) -> NDArray[Any]:
    """As int64, or as Python integers where that would not hold them: int64 with uint64 would become float."""
    fits = labels.dtype != np.uint64 or len(labels) == 0 or int(labels.max()) <= np.iinfo(np.int64).max
    return labels.astype(np.int64 if fits else object)
