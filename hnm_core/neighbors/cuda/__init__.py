"""Searches on CUDA devices: kernels in CUDA C++, beside this file, and what compiles, loads and launches them."""
