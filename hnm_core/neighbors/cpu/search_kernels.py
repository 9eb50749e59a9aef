"""Every compiled kernel of the neighbour searches, for `hnm_core.kernels`: one name to ask for, one warm-up."""

from __future__ import annotations

from hnm_core import simd
from hnm_core.neighbors.cpu import (
    amx,
    blocks,
    bucket_kernels,
    chain_kernels,
    filter_kernels,
    fma,
    guess_kernels,
    hamming_kernels,
    hull_kernels,
    keys,
    pair_kernels,
    rescore_kernels,
    routing_kernels,
    tree_kernels,
)
from hnm_core.neighbors.cpu.bucket_kernels import bucket_keys, collect
from hnm_core.neighbors.cpu.chain_kernels import chain
from hnm_core.neighbors.cpu.filter_kernels import filter_products, settle
from hnm_core.neighbors.cpu.guess_kernels import guess_limits
from hnm_core.neighbors.cpu.hamming_kernels import nearest_codes, pack_bits
from hnm_core.neighbors.cpu.pair_kernels import filter_pairs
from hnm_core.neighbors.cpu.rescore_kernels import rescore
from hnm_core.neighbors.cpu.routing_kernels import by_cell, gather, nearest_centers, segment_means, sift
from hnm_core.neighbors.cpu.routing_kernels import settle as settle_routed
from hnm_core.neighbors.cpu.tree_kernels import build_tree, search_tree

SOURCES = (
    amx,
    blocks,
    bucket_kernels,
    chain_kernels,
    filter_kernels,
    fma,
    guess_kernels,
    hamming_kernels,
    hull_kernels,
    keys,
    pair_kernels,
    rescore_kernels,
    routing_kernels,
    simd,
    tree_kernels,
)
KERNELS = (
    build_tree,
    search_tree,
    nearest_codes,
    pack_bits,
    rescore,
    filter_products,
    settle,
    guess_limits,
    filter_pairs,
    by_cell,
    gather,
    nearest_centers,
    segment_means,
    settle_routed,
    sift,
    bucket_keys,
    collect,
    chain,
)


def warm_up() -> None:
    """Compile all of them."""
    tree_kernels.warm_up()
    hamming_kernels.warm_up()
    rescore_kernels.warm_up()
    filter_kernels.warm_up()
    guess_kernels.warm_up()
    pair_kernels.warm_up()
    routing_kernels.warm_up()
    bucket_kernels.warm_up()
    chain_kernels.warm_up()
