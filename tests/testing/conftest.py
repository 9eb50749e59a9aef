from tests.neighbors.conftest import search_kernels

__all__ = ["search_kernels"]
