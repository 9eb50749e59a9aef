"""Every compiled kernel of the neighbour searches, for `hnm_core.kernels`: one name to ask for, one warm-up."""

from __future__ import annotations

from hnm_core.neighbors import (
    amx,
    blocks,
    buckets,
    chaining,
    filtering,
    fma,
    guessing,
    hamming,
    hulls,
    keys,
    pairing,
    rescoring,
    routing,
    simd,
    tree,
)
from hnm_core.neighbors.buckets import bucket_keys, collect
from hnm_core.neighbors.chaining import chain
from hnm_core.neighbors.filtering import filter_products, settle
from hnm_core.neighbors.guessing import guess_limits
from hnm_core.neighbors.hamming import nearest_codes, pack_bits
from hnm_core.neighbors.pairing import filter_pairs
from hnm_core.neighbors.rescoring import rescore
from hnm_core.neighbors.routing import by_cell, gather, nearest_centers, segment_means, sift
from hnm_core.neighbors.routing import settle as settle_routed
from hnm_core.neighbors.tree import build_tree, search_tree

SOURCES = (
    amx,
    blocks,
    buckets,
    chaining,
    filtering,
    fma,
    guessing,
    hamming,
    hulls,
    keys,
    pairing,
    rescoring,
    routing,
    simd,
    tree,
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
    tree.warm_up()
    hamming.warm_up()
    rescoring.warm_up()
    filtering.warm_up()
    guessing.warm_up()
    pairing.warm_up()
    routing.warm_up()
    buckets.warm_up()
    chaining.warm_up()
