"""What no loss can use, said in one sentence: wrong shapes, rows that are not there, NaN, margins of the wrong kind."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError, described
from hnm_core.labels import INTEGERS, asked_for, check_batch_labels, check_of_one_kind

IndicesTuple = Sequence[Tensor]
"""Three vectors (anchor, positive, negative) or four (anchor1, positive, anchor2, negative); rows."""


def nothing(embeddings: Tensor) -> Tensor:
    """Exactly 0, with gradient 0, connected to the graph, even where the embeddings hold NaN."""
    return wide(embeddings[:0]).sum()


def wide(tensor: Tensor) -> Tensor:
    """The tensor in float32 at least. A gradient that half precision cannot hold comes back as the largest that it can:
    at a zero row or between far ones it is finite in float32 and would be infinite in float16."""
    if tensor.dtype not in (torch.float16, torch.bfloat16):
        return tensor
    largest = torch.finfo(tensor.dtype).max
    widened = tensor.float()
    if widened.requires_grad:
        widened.register_hook(lambda gradient: gradient.clamp(-largest, largest))
    return widened


def check_input(
    embeddings: Tensor, labels: Tensor, ref_emb: Tensor | None, ref_labels: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The reference set (the batch itself when none is given). Raises `InputError` on what no loss can use."""
    if (ref_emb is None) != (ref_labels is None):
        raise InputError("ref_emb and ref_labels go together: give both or neither.")
    for name, emb, lab in (("embeddings", embeddings, labels), ("ref_emb", ref_emb, ref_labels)):
        if emb is None or lab is None:
            continue
        for what, given in ((name, emb), (f"labels of {name}", lab)):
            if not isinstance(given, Tensor):
                raise InputError(f"{what} must be a tensor, not {described(given)}.")
        if emb.ndim != 2:
            raise InputError(f"{name} must have shape (B, D), not {tuple(emb.shape)}.")
        if not emb.is_floating_point():
            raise InputError(f"{name} must be floating-point numbers, not {emb.dtype}.")
        if lab.ndim == 2:
            check_batch_labels(lab, len(emb), f"labels of {name}")
        elif lab.shape != emb.shape[:1]:
            raise InputError(f"labels of {name} must have shape ({len(emb)},), not {tuple(lab.shape)}.")
        if lab.dtype not in (*INTEGERS, torch.bool):
            raise InputError(f"labels of {name} must be {asked_for(lab)}, not {lab.dtype}.")
        check_rows(name, emb)
    if ref_emb is None or ref_labels is None:
        return embeddings, labels
    check_of_one_kind(labels, ref_labels)
    return ref_emb, ref_labels


def check_rows(name: str, rows: Tensor) -> None:
    """Raises `InputError` unless every number is finite and its square can be summed up."""
    if not rows.numel():
        return
    rows = wide(rows.detach()).reshape(len(rows), -1)
    limit = (torch.finfo(rows.dtype).max / (8 * rows.shape[1])) ** 0.5
    if bool(rows.abs().amax() <= limit):  # False for NaN too
        return
    bad = ~torch.isfinite(rows).all(1)
    if not bool(bad.any()):
        raise InputError(f"{name} hold numbers beyond {limit:.0e}: distances would become NaN or infinity.")
    raise InputError(
        f"{int(bad.sum())} of {len(rows)} rows of {name} hold NaN or infinity; a loss needs finite numbers. "
        f"The first is row {int(bad.to(torch.uint8).argmax())}."
    )


def checked_tuples(
    indices_tuple: IndicesTuple | None, n: int, n_ref: int, device: torch.device, what: str = "indices_tuple"
) -> tuple[Tensor, ...] | None:
    """The vectors in int64 on `device`. Raises `InputError`, which calls them `what`, on rows that are not there or
    vectors that do not match."""
    if indices_tuple is None:
        return None
    names: dict[int, tuple[str, ...]] = {
        3: ("anchor", "positive", "negative"),
        4: ("anchor1", "positive", "anchor2", "negative"),
    }
    if not isinstance(indices_tuple, (Sequence, Tensor)):
        called = "call the miner: miner(embeddings, labels)" if callable(indices_tuple) else "a miner returns one"
        raise InputError(f"{what} must be a tuple of vectors, not {described(indices_tuple)}; {called}.")
    if len(indices_tuple) not in names:
        raise InputError(f"{what} must hold three or four vectors, not {len(indices_tuple)}.")
    for name, rows in zip(names[len(indices_tuple)], indices_tuple, strict=True):
        if not isinstance(rows, Tensor):
            raise InputError(f"{what}: {name} must be a tensor, not {described(rows)}.")
        if rows.ndim != 1 or rows.dtype not in INTEGERS:
            given = f"{rows.dtype} {list(rows.shape)}"
            raise InputError(f"{what}: {name} must be a vector of {asked_for(rows)}, not {given}.")
        known = n if name.startswith("anchor") else n_ref
        if not len(rows):
            continue
        lowest, highest = torch.aminmax(rows)
        if int(lowest) < 0 or int(highest) >= known:
            raise InputError(f"{what}: {name} holds rows outside 0 ... {known - 1}.")
    for group in (indices_tuple,) if len(indices_tuple) == 3 else (indices_tuple[:2], indices_tuple[2:]):
        if len({len(rows) for rows in group}) > 1:
            raise InputError(f"{what}: vectors that belong together differ in length: {[*map(len, group)]}.")
    return tuple(rows.to(device, torch.int64) for rows in indices_tuple)


def margins(name: str, distance: Distance, positive: float, negative: float) -> tuple[float, float]:
    """The margins of a loss over pairs on `distance`, where smaller is nearer.

    inner-product is a similarity: its margins are similarities, so their signs turn. Raises `InputError` where the
    margins are of the wrong kind, because positives would be pushed away.
    """
    if distance.metric == "inner-product":
        if positive <= negative:
            raise InputError(
                f"Loss '{name}': margins are for distances and inner-product is a similarity; "
                f"use pos_margin 1, neg_margin 0 instead of {positive:g} and {negative:g}."
            )
        return -positive, -negative
    if positive >= negative or positive < 0:
        raise InputError(
            f"Loss '{name}': on the {distance.metric} distance 0 <= pos_margin < neg_margin must hold, "
            f"for instance 0 and 1, not {positive:g} and {negative:g}."
        )
    return positive, negative


def needs(name: str, distance: Distance, *metrics: str, raw: bool = False) -> None:
    """Raises `InputError` unless `distance` has one of these metrics (and does not normalise, if `raw`)."""
    if distance.metric not in metrics or (raw and distance.normalized):
        has = f"{'normalised ' if distance.normalized else ''}{distance.metric}"
        wanted = " or ".join(metrics) + (" without normalising" if raw else "")
        raise InputError(f"Loss '{name}' needs the distance {wanted}, not {has}.")


def class_rows(name: str, labels: Tensor, classes: int) -> Tensor:
    """The labels as rows of a table of `classes` rows. Raises `InputError` unless they are 0 ... classes - 1, one of
    each row."""
    one_class(name, labels)
    if labels.numel() and (int(labels.min()) < 0 or int(labels.max()) >= classes):
        raise InputError(
            f"Loss '{name}' was made for labels 0 ... {classes - 1}, not {int(labels.min())} ... {int(labels.max())}."
        )
    return labels.long()


def one_class(name: str, labels: Tensor) -> None:
    """Raises `InputError` where rows have several labels each, and the loss is of classes."""
    if labels.ndim != 1:
        raise InputError(f"Loss '{name}' is made for one class a row, not for a table of several labels.")
