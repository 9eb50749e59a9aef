"""What near means: one object shared by a lane's loss, miner, metrics and view. Smaller is nearer, always."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from hnm_core.errors import InputError, unknown_name
from hnm_core.isolation import in_full_precision

# The first roots of a process must be taken by one thread: where two begin at once, the library behind torch on x86
# now and then gives one of them its coarse variant, and half of a large tensor is off by up to 3e-4.
torch.ones(16).sqrt()
torch.ones(16, dtype=torch.float64).sqrt()

Metric = Literal["euclidean", "squared-euclidean", "cosine", "inner-product"]

METRICS: tuple[Metric, ...] = get_args(Metric)

UNIT_EPS = 1e-3
"""x / max(|x|, eps): exact for longer rows, and the gradient of normalising a zero row is 1 / eps, not infinite."""

UNIT_RANGE = 1e-12, 1e18
"""Lengths whose squares float32 holds: other rows are scaled before they are measured."""

EXACT_DIFFERENCE_DIM = 16
"""Up to this dimension distances are formed from coordinate differences; the product form loses digits far from 0."""

NEAR = 1e-3
"""Where the squared distance is a smaller share of the rows' squares, the product form has lost too many digits."""

VERY_NEAR = 1e-5
"""What is nearer than this has lost most of them: it is mended whatever that costs."""

MOST_NEAR = 8
"""Numbers for each distance that differences for near rows may need; for more, only very near ones are mended."""

MOST_LISTED = 0.25
"""Share of the distances from which on it takes less time to form all of them anew than to gather their rows."""

ROOM = 8
"""How much less than the largest number of float32 a distance may be: sums on the way to it are larger."""

LEAST_PRODUCT = 1e-30
"""Where the largest inner product, or squared distance, is less, float32 loses digits of the others."""

FEW = 1 << 11
"""Roots up to which four operations of torch take less time than a function of our own, and their backward too."""

NUMBERS_AT_ONCE = 1 << 20
"""Differences formed at once."""


def normalize(embeddings: Tensor) -> Tensor:
    """(N, D) rows projected onto the unit sphere; a zero row stays zero with a gradient of at most 1 / UNIT_EPS."""
    norm: Tensor = torch.linalg.vector_norm(embeddings, dim=-1, keepdim=True)
    return embeddings / norm.clamp_min(UNIT_EPS)


def on_sphere(rows: Tensor, out: Tensor | None = None) -> Tensor:
    """(N, D) rows projected onto the unit sphere, however short or long they are; a zero row stays zero. `out` takes
    them, where it is given.

    For all that nobody asks a gradient of: its slope at a short row is as steep as the row is short.
    """
    norm: Tensor = torch.linalg.vector_norm(rows, dim=-1, keepdim=True)
    shortest, longest = UNIT_RANGE
    if rows.device.type == "cpu" and norm.numel():
        least, most = torch.aminmax(norm)
        if shortest <= float(least) and float(most) <= longest:
            return torch.div(rows, norm, out=out)
    usual = (norm >= shortest) & (norm <= longest)
    unit = rows / norm.clamp_min(shortest)
    tiny = torch.finfo(rows.dtype).tiny
    scaled = rows / rows.abs().amax(-1, keepdim=True).clamp_min(tiny)
    scaled /= torch.linalg.vector_norm(scaled, dim=-1, keepdim=True).clamp_min(tiny)
    return torch.where(usual, unit, scaled, out=out)


@dataclass(frozen=True)
class Distance:
    """A metric and whether embeddings are normalised first. cosine is 1 - s, inner-product is -s."""

    metric: Metric = "euclidean"
    normalized: bool = False

    def __post_init__(self) -> None:
        """Raises `InputError` for a metric that there is not."""
        if self.metric not in METRICS:
            raise unknown_name("distance", self.metric, METRICS)

    @property
    def scale_free(self) -> bool:
        """Whether the length of a row does not matter: `normalized` or cosine."""
        return self.normalized or self.metric == "cosine"

    def prepare(self, embeddings: Tensor) -> Tensor:
        """The embeddings as the metric sees them, for losses: on the unit sphere if `scale_free`, but for rows that are
        shorter than `UNIT_EPS`."""
        return normalize(embeddings) if self.scale_free else embeddings

    def prepare_exactly(self, embeddings: Tensor, out: Tensor | None = None) -> Tensor:
        """The same without a gradient, for searches, miners and metrics: every row but 0 lies on the sphere. `out`
        takes them, where it is given."""
        if self.scale_free:
            return on_sphere(embeddings, out)
        return embeddings if out is None or out is embeddings else out.copy_(embeddings)

    @in_full_precision
    def rowwise(self, left: Tensor, right: Tensor) -> Tensor:
        """(M,) distance of each row of `left` (M, D) to the same row of `right`, differentiable, gradient 0 at 0."""
        return self.prepared_rowwise(self.prepare(left), self.prepare(right))

    @in_full_precision
    def pairwise(self, left: Tensor, right: Tensor) -> Tensor:
        """(L, R) distances between all rows, differentiable, gradient 0 at distance 0."""
        return self.prepared_pairwise(self.prepare(left), self.prepare(right))

    def prepared_rowwise(self, left: Tensor, right: Tensor) -> Tensor:
        """`rowwise` of embeddings that went through `prepare` already."""
        match self.metric:
            case "euclidean":
                return safe_sqrt((left - right).square().sum(-1))
            case "squared-euclidean":
                return (left - right).square().sum(-1)
            case "cosine":
                return 1 - (left * right).sum(-1)
            case "inner-product":
                return -(left * right).sum(-1)

    def prepared_pairwise(self, left: Tensor, right: Tensor, *, mend: bool = False) -> Tensor:
        """`pairwise` of embeddings that went through `prepare` already.

        `mend` forms anew what rounding spoils between rows close by, for losses: their slopes divide by it.
        """
        match self.metric:
            case "euclidean":
                return safe_sqrt(_squared(left, right, mend))
            case "squared-euclidean":
                return _squared(left, right, mend).clamp_min(0)
            case "cosine":
                return 1 - left @ right.T
            case "inner-product":
                return -(left @ right.T)


def check_distance(distance: object) -> None:
    """Raises `InputError` unless `distance` is a `Distance`, or None for the usual one."""
    if distance is not None and not isinstance(distance, Distance):
        raise InputError(
            f'distance must be a Distance, for instance hnm_core.distances.Distance("cosine"), not {distance!r}.'
        )


def check_range(distance: Distance, rows: Tensor, longest: float | None = None, *, what: str = "embeddings") -> float:
    """The length of the longest of rows (N, D), or a little more; 0 where lengths do not matter.

    Args:
        distance: between rows, or between these and others.
        rows: in single precision or better; distances are of single precision.
        longest: the same of the others; None for distances between the rows.
        what: the rows are, in words.

    Raises:
        InputError: some distance may not fit float32.
    """
    if distance.scale_free or not rows.numel():
        return 0.0
    length = length_bound(rows)
    other = length if longest is None else longest
    product = distance.metric == "inner-product"
    if product:
        largest, kind = length * other, "inner products"
    elif distance.metric == "squared-euclidean":
        largest, kind = (length + other) ** 2, "squared distances"
    else:
        largest, kind = length + other, "distances"
    if not largest <= torch.finfo(torch.float32).max / ROOM:
        raise InputError(
            f"The {what} are up to {max(length, other):.3g} long: {kind} do not fit float32; scale or normalise them."
        )
    if kind != "distances" and 0 < largest < LEAST_PRODUCT:
        raise InputError(
            f"The {what} are at most {min(length, other):.3g} long: {kind} vanish in float32; scale or normalise them."
        )
    return length


def length_bound(rows: Tensor) -> float:
    """An upper bound of the rows' lengths, and where that is large or tiny the largest length itself."""
    least, most = torch.aminmax(rows)
    bound: float = float(torch.maximum(-least, most).double()) * rows.shape[1] ** 0.5
    if 0 < bound < 1e-12 or bound > 1e12:
        return float(torch.linalg.vector_norm(rows.double(), dim=1).max())
    return bound


def safe_sqrt(squared: Tensor) -> Tensor:
    """Square root with gradient 0 where the argument is 0; 0 also where it is below."""
    if squared.numel() <= FEW:
        positive = squared > 0
        return torch.where(positive, squared, 1.0).sqrt() * positive
    root: Tensor = _SafeSqrt.apply(squared)  # type: ignore[no-untyped-call]  # torch's has no types
    return root


class _SafeSqrt(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, squared: Tensor) -> Tensor:
        root = squared.clamp_min(0).sqrt_()
        ctx.save_for_backward(root)
        return root

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> Tensor:
        (root,) = ctx.saved_tensors
        slope: Tensor = root.sign().mul_(weight)  # 0 at 0, without a mask, which would cost twice as much
        return slope.div_((2 * root).clamp_min_(torch.finfo(root.dtype).tiny))


def _squared(left: Tensor, right: Tensor, mend: bool) -> Tensor:
    """(L, R); by rounding it may fall below 0."""
    if left.shape[-1] <= EXACT_DIFFERENCE_DIM:
        total = left.new_zeros((left.shape[0], right.shape[0]))
        for column in range(left.shape[-1]):
            total = total + (left[:, column, None] - right[None, :, column]).square()
        return total
    same, center = left is right, right.detach().mean(0)
    right = right - center
    left = right if same else left - center
    squares = left.square().sum(1)[:, None] + right.square().sum(1)
    squared = torch.addmm(squares, left, right.T, alpha=-2)
    with torch.no_grad():
        if mend:
            if same:
                squared.fill_diagonal_(torch.inf)  # known, nothing to mend
            _mend(squared, squares, left, right)
        if same:
            squared.fill_diagonal_(0)
    return squared


def _mend(squared: Tensor, squares: Tensor, left: Tensor, right: Tensor) -> None:
    """Form in place, from differences, those squared distances of which rounding left little: duplicates are at 0."""
    near, count = _below(squared, NEAR * squares)
    if count * left.shape[1] > max(MOST_NEAR * squared.numel(), NUMBERS_AT_ONCE):
        near, count = _below(squared, VERY_NEAR * squares)
    if count > MOST_LISTED * squared.numel():
        squared.copy_(torch.cdist(left, right, compute_mode="donot_use_mm_for_euclid_dist").square_())
    elif count:
        at_once = max(1, NUMBERS_AT_ONCE // left.shape[1])
        row, column = near.nonzero(as_tuple=True)
        for a, b in zip(row.split(at_once), column.split(at_once), strict=True):
            squared[a, b] = (left.index_select(0, a) - right.index_select(0, b)).square_().sum(1)


def _below(numbers: Tensor, limits: Tensor) -> tuple[Tensor, float]:
    """1 where a number is below its limit, else 0; and how often."""
    below = torch.lt(numbers, limits, out=torch.empty_like(numbers))  # three times as fast as into bool
    return below, float(below.sum())
