"""Compiled kernels of the neighbour searches; only `hnm_core.neighbors` imports them."""
