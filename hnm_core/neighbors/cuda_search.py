"""Which exact search serves a bank whose tensors are on a CUDA device."""

from __future__ import annotations

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.neighbors.base import QuerySearch
from hnm_core.neighbors.cuda import kernels
from hnm_core.neighbors.cuda.low_dim import CudaLowDim
from hnm_core.neighbors.cuda.products import CudaProducts
from hnm_core.neighbors.dense import Dense
from hnm_core.neighbors.euclidean import MAX_TREE_DIM


def pick(bank: Bank, distance: Distance) -> tuple[QuerySearch, str]:
    """The exact search for a bank on a CUDA device, not built, and why it is the one."""
    reason = kernels.why_absent(bank.device)
    if reason:
        return Dense(distance=distance), f", by torch's own operations: {reason}"
    if distance.metric == "inner-product":
        return CudaProducts(distance), ": the metric is a product itself"
    if bank.dim > MAX_TREE_DIM:
        return CudaProducts(distance), f": {bank.dim} dimensions are many"
    return CudaLowDim(distance), f": {bank.dim} dimensions are few"
