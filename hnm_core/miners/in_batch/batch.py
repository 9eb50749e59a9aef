"""One batch as miners see it: anchors, partners, the distances between them, and who is a positive of whom."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from hnm_core import kernels
from hnm_core.distances import EXACT_DIFFERENCE_DIM, Distance
from hnm_core.errors import InputError, described
from hnm_core.labels import INTEGERS, asked_for, check_batch_labels, check_of_one_kind, share_a_label
from hnm_core.miners.in_batch.buffer import Buffer

KERNELS = "hnm_core.miners.in_batch.kernels"

SMALL = 1 << 18
"""Up to so many values nobody waits for torch, so that small batches never start a compiler."""

LARGEST = 1e18
"""Coordinates beyond this overflow a squared distance in float32."""

MOST_LISTED = 0.25
"""Share of the distances from which on it takes less time to form all of them anew than to gather their rows."""

AT_ONCE = 1 << 12
"""Rows gathered at once."""


class NonFiniteError(InputError):
    """The embeddings hold NaN, infinity, or numbers whose squares are."""


class Batch:
    """B rows as anchors and R rows as their partners, with all distances between them; without gradient.

    Attributes:
        points, ref_points: (B, D) and (R, D), as the metric sees them.
        metric: of the distances.
        labels, ref_labels: (B,) and (R,) int64; or (B, L) and (R, L) bool, which of L labels each row has.
        same_set: whether partners are the batch itself, so that row i is no partner of row i.
        buffer: memory for long lists of tuples.
    """

    def __init__(
        self,
        embeddings: Tensor,
        labels: Tensor,
        ref_emb: Tensor | None,
        ref_labels: Tensor | None,
        distance: Distance,
        *,
        ids: Tensor | None = None,
        ref_ids: Tensor | None = None,
        buffer: Buffer | None = None,
    ) -> None:
        self.buffer = buffer or Buffer()
        if (ref_emb is None) != (ref_labels is None):
            raise InputError("ref_emb and ref_labels go together: give both or neither.")
        if ref_ids is not None and ref_emb is None:
            raise InputError("ref_ids are the ids of a reference set: give ref_emb and ref_labels too.")
        self.same_set = ref_emb is None or ref_emb is embeddings
        prepare = distance.prepare_exactly
        rows, self.labels = checked_rows("embeddings", embeddings, labels)
        self.points = prepare(rows)
        if ref_emb is None or ref_labels is None:
            self.ref_points, self.ref_labels = self.points, self.labels
        else:
            ref_rows, known = checked_rows("ref_emb", ref_emb, ref_labels)
            ref_rows, self.ref_labels = ref_rows.to(rows.device), known.to(rows.device)
            if ref_rows.shape[1] != rows.shape[1]:
                raise InputError(f"embeddings have {rows.shape[1]} columns but ref_emb has {ref_rows.shape[1]}.")
            check_of_one_kind(self.labels, self.ref_labels)
            self.ref_points = prepare(ref_rows.to(rows.dtype))
        self.metric = distance.metric
        self._distance = distance
        self._ids = None if ids is None else _checked_ids("ids", ids, self.points)
        self._ref_ids = None if ref_ids is None else _checked_ids("ref_ids", ref_ids, self.ref_points)
        if self.same_set:
            self._ref_ids = self._ids

    @cached_property
    def distances(self) -> Tensor:
        """(B, R); smaller is nearer."""
        return pairwise(self._distance, self.points, self.ref_points)

    @cached_property
    def positive(self) -> Tensor:
        """(B, R) bool: same class, or a label in common; another item."""
        if self._ids is not None and self._ref_ids is not None:
            return self._same_class & (self._ids[:, None] != self._ref_ids[None, :])
        return self._same_class.clone().fill_diagonal_(False) if self.same_set else self._same_class

    @cached_property
    def negative(self) -> Tensor:
        """(B, R) bool: another class, or no label in common."""
        if self._ids is not None and self._ref_ids is not None:
            return ~self._same_class & (self._ids[:, None] != self._ref_ids[None, :])
        return ~self._same_class

    @cached_property
    def _same_class(self) -> Tensor:
        return share_a_label(self.labels, self.ref_labels, same_set=self.same_set)

    @cached_property
    def _by_label(self) -> bool:
        """Whether labels alone tell positives and negatives, and compiled kernels can read them."""
        without_ids = (self._ids is None or self._ref_ids is None) and self.labels.ndim == 1
        return without_ids and kernels_usable(self.points.device, len(self.labels) * len(self.ref_labels))

    @cached_property
    def positive_pairs(self) -> tuple[Tensor, Tensor]:
        """Anchor and positive of every positive pair, by anchor, then positive."""
        if not self._by_label:
            anchor, positive = self.positive.nonzero(as_tuple=True)
            return anchor, positive
        from hnm_core.miners.in_batch.kernels import positive_pairs

        anchor, positive = positive_pairs(self.labels.numpy(), self.ref_labels.numpy(), self.same_set)
        return torch.from_numpy(anchor), torch.from_numpy(positive)

    @cached_property
    def unordered_pairs(self) -> tuple[Tensor, Tensor]:
        """Every positive pair once, smaller row first; with a reference set the pairs are what they are."""
        anchor, positive = self.positive_pairs
        if not self.same_set:
            return anchor, positive
        once = anchor < positive
        return anchor[once], positive[once]

    @cached_property
    def negative_distances(self) -> Tensor:
        """(B, R) distances, NaN where a row is no negative of the anchor, so that no comparison holds."""
        if not self._by_label:
            return self.distances.masked_fill(~self.negative, torch.nan)
        from hnm_core.miners.in_batch.kernels import masked

        negatives = torch.empty_like(self.distances)
        masked(self.distances.numpy(), self.labels.numpy(), self.ref_labels.numpy(), negatives.numpy())
        return negatives

    def partner_distances(self) -> Tensor:
        """(R, R) distances between the partners."""
        return pairwise(self._distance, self.ref_points, self.ref_points)


def pairwise(distance: Distance, left: Tensor, right: Tensor) -> Tensor:
    """(L, R) distances of prepared rows, right to single precision wherever these lie.

    In few dimensions they are formed from differences. Elsewhere from products in float64, about the mean, and again
    from differences where, by a bound, these leave fewer digits than single precision has.
    """
    if distance.metric in ("cosine", "inner-product"):
        return distance.prepared_pairwise(left.double(), right.double()).to(left.dtype)
    root, usable = distance.metric == "euclidean", kernels_usable(left.device, len(left) * len(right))
    if left.shape[1] > EXACT_DIFFERENCE_DIM:
        return _of_products(left, right, root, usable)
    if not usable:
        return distance.prepared_pairwise(left, right)
    from hnm_core.miners.in_batch.kernels import squared_distances

    squared = torch.empty((len(left), len(right)), dtype=left.dtype)
    squared_distances(left.contiguous().numpy(), right.T.contiguous().numpy(), squared.numpy())
    return squared.sqrt_() if root else squared


def _of_products(left: Tensor, right: Tensor, root: bool, compiled: bool) -> Tensor:
    """(L, R) Euclidean distances, or their squares; the kernel gives what torch gives, in one pass."""
    precision, same, wide = left.dtype, left is right, right.double()
    center = wide.mean(0)
    right = wide - center
    left = right if same else left.double() - center
    products, right_squares = left @ right.T, right.square().sum(1)
    left_squares = right_squares if same else left.square().sum(1)
    # Products over D terms are off by (D + 8) 2^-51 of the squares at most.
    share = (left.shape[1] + 8) * 2.0**-27
    if compiled:
        from hnm_core.miners.in_batch.kernels import distances_of_products

        distances = torch.empty(products.shape, dtype=precision)
        distances_of_products(
            products.numpy(),
            left.numpy(),
            right.numpy(),
            left_squares.numpy(),
            right_squares.numpy(),
            share,
            root,
            distances.numpy(),
        )
        return distances
    squares = left_squares[:, None] + right_squares
    squared = squares - 2 * products
    near = squared < share * squares
    if float(near.sum()) > MOST_LISTED * near.numel():
        squared = torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist").square_()
    else:
        at, other = near.nonzero(as_tuple=True)
        for a, b in zip(at.split(AT_ONCE), other.split(AT_ONCE), strict=True):
            squared[a, b] = (left[a] - right[b]).square_().sum(1)
    return (squared.sqrt_() if root else squared).to(precision)


def kernels_usable(device: torch.device, values: int) -> bool:
    """Whether the compiled kernels can be used. Where they are not there yet, a large batch starts their compiler."""
    if device.type != "cpu":
        return False
    if kernels.ready(KERNELS):
        return True
    if values > SMALL:
        kernels.compile_in_background(KERNELS)
    return False


def checked_rows(name: str, rows: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Rows in at least single precision, and their labels on the same device as int64, or as a table of bool; both
    without gradient."""
    if not isinstance(rows, Tensor) or rows.ndim != 2 or not rows.is_floating_point():
        raise InputError(f"{name} must be a floating-point tensor of shape (B, D), not {described(rows)}.")
    if rows.shape[1] == 0:
        raise InputError(f"{name} need at least one column, not shape {tuple(rows.shape)}.")
    if isinstance(labels, Tensor) and labels.ndim == 2:
        check_batch_labels(labels, len(rows), f"labels of {name}")
        labels = labels.detach().to(rows.device, torch.bool)
    else:
        labels = _checked_ids(f"labels of {name}", labels, rows)
    rows = rows.detach()
    if rows.dtype not in (torch.float32, torch.float64):
        rows = rows.float()
    largest = rows.abs().amax(1) if len(rows) else rows.new_zeros(0)
    bad = int((~torch.isfinite(largest)).sum())
    if bad:
        raise NonFiniteError(f"{bad} of {len(rows)} rows of {name} hold NaN or infinity; mining needs finite numbers.")
    if bool((largest > LARGEST).any()):
        raise NonFiniteError(f"{name} reach {float(largest.max()):.3g}; distances between numbers above 1e18 overflow.")
    return rows, labels


def _checked_ids(name: str, ids: Tensor | None, rows: Tensor) -> Tensor:
    if not isinstance(ids, Tensor) or ids.shape != rows.shape[:1] or ids.dtype not in INTEGERS:
        fits = isinstance(ids, Tensor) and ids.shape == rows.shape[:1]
        hint = "; .long() makes integers of whole numbers" if fits else ""
        raise InputError(f"{name} must be {len(rows)} {asked_for(ids)}, one for each row, not {described(ids)}{hint}.")
    return ids.detach().to(rows.device, torch.int64)
