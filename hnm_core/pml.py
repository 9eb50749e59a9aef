"""The bridge to pytorch-metric-learning, an optional package: its classes, its distances, chance under our seeds."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from hnm_core.distances import Distance
from hnm_core.errors import InputError, described
from hnm_core.labels import check_labels

PACKAGE = "pytorch_metric_learning"

REFUSALS = (ValueError, AssertionError, IndexError, TypeError, RuntimeError)
"""What the library raises where it cannot work with what it was given."""


def library_class(kind: Literal["miners", "losses", "distances"], name: str) -> Callable[..., Any]:
    """The library's class `name`.

    Raises:
        InputError: the library is not installed, or its version has no such class.
    """
    try:
        module = importlib.import_module(f"{PACKAGE}.{kind}")
    except ImportError as error:
        if error.name is not None and error.name.partition(".")[0] != PACKAGE:
            raise
        raise InputError(
            f"'{name}' belongs to pytorch-metric-learning, which is not installed: pip install \"hnm-lab[pml]\"."
        ) from None
    found: Callable[..., Any] | None = getattr(module, name, None)
    if found is None:
        version = importlib.import_module(PACKAGE).__version__
        raise InputError(f"pytorch-metric-learning {version}, which is installed, has no '{name}'.")
    return found


def library_distance(distance: Distance) -> object:
    """The library's form of a distance. cosine and inner-product become similarities there: larger is nearer."""
    match distance.metric:
        case "euclidean" | "squared-euclidean":
            power = 1 if distance.metric == "euclidean" else 2
            return library_class("distances", "LpDistance")(normalize_embeddings=distance.normalized, p=2, power=power)
        case "cosine":
            return library_class("distances", "CosineSimilarity")()
        case "inner-product":
            return library_class("distances", "DotProductSimilarity")(normalize_embeddings=distance.normalized)


@contextmanager
def calling(generator: Generator, device: torch.device) -> Iterator[None]:
    """Inside, torch's global generators follow `generator`; afterwards they are as they were.

    The library draws from the global generators; nothing else here does. What it does in ways that newer versions of
    torch and numpy deprecate is none of the user's business.
    """
    seed = int(torch.randint(2**63 - 1, (1,), generator=generator, device=generator.device))
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Using a non-tuple sequence", UserWarning)  # HistogramLoss
        warnings.filterwarnings(
            "ignore", "__array_wrap__", DeprecationWarning
        )  # LargeMarginSoftmaxLoss, SphereFaceLoss
        torch.random.set_rng_state(Generator().manual_seed(seed).get_state())
        if cuda:
            torch.cuda.set_rng_state(Generator(device).manual_seed(seed).get_state(), device)
        yield


def check_rows(name: str, rows: Tensor, labels: Tensor) -> None:
    """Raise `InputError` unless rows are (B, D), floating point and finite, and labels are (B,) integers."""
    if not isinstance(rows, Tensor) or rows.ndim != 2 or not rows.is_floating_point():
        raise InputError(f"{name} must be a floating-point tensor of shape (B, D), not {described(rows)}.")
    if not rows.shape[1]:
        raise InputError(f"{name} need at least one column, not shape {tuple(rows.shape)}.")
    check_labels(labels, len(rows), f"labels of {name}")
    bad = int((~torch.isfinite(rows).all(1)).sum())
    if bad:
        raise InputError(f"{bad} of {len(rows)} rows of {name} hold NaN or infinity.")


def of_one_kind(rows: Tensor, ref_rows: Tensor) -> tuple[Tensor, Tensor]:
    """Both in the wider of their kinds of floats, because the library multiplies them. Raises `InputError` where their
    widths differ."""
    if rows.shape[1] != ref_rows.shape[1]:
        raise InputError(f"embeddings have {rows.shape[1]} columns and ref_emb {ref_rows.shape[1]}; they must agree.")
    kind = torch.promote_types(rows.dtype, ref_rows.dtype)
    return rows.to(kind), ref_rows.to(kind)
