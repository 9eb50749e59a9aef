"""Options of BM25; loads no torch."""

from __future__ import annotations

from pydantic import Field

from hnm_core.spec.traits import Options


class Bm25Options(Options):
    """Options of `Bm25`."""

    k1: float = Field(1.5, ge=0, le=100, description="how much a word counts that occurs again; 0 counts it once")
    b: float = Field(0.75, ge=0, le=1, description="how much a long document's words count for less")
