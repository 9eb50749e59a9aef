"""Sets of queries and documents with judgements: `read` takes them from files of any kind that people keep them in."""

from hnm_core.data.retrieval.reading import read

__all__ = ["read"]
