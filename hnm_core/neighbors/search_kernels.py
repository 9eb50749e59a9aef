"""Every compiled kernel of the neighbour searches, for `hnm_core.kernels`: one name to ask for, one warm-up."""

from __future__ import annotations

from hnm_core.neighbors import amx, filtering, hamming, keys, simd, tree
from hnm_core.neighbors.filtering import filter_bfloat16, filter_tile, settle
from hnm_core.neighbors.hamming import nearest_codes, pack_bits, rescore
from hnm_core.neighbors.tree import build_tree, search_tree

SOURCES = (amx, filtering, hamming, keys, simd, tree)
KERNELS = (build_tree, search_tree, nearest_codes, pack_bits, rescore, filter_bfloat16, filter_tile, settle)


def warm_up() -> None:
    """Compile all of them."""
    tree.warm_up()
    hamming.warm_up()
    filtering.warm_up()
