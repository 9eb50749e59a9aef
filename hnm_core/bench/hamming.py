"""The scan of packed codes alone, without labels, beside FAISS's binary index; both find the same distances."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hnm_core.bench.limits import limits
from hnm_core.bench.table import Bound, Case, Row, Settings
from hnm_core.bench.timing import Contender, take_turns

WANTED = 40


def cases(settings: Settings) -> list[Case]:
    """Rows: `hamming` at several numbers of bits."""
    rows, queries = (2_000, 256) if settings.quick else (20_000, 4_096)
    return [_case(rows, queries, bits, settings) for bits in ((256,) if settings.quick else (128, 256, 512, 1_024))]


def _case(rows: int, queries: int, bits: int, settings: Settings) -> Case:
    size = f"{bits:,} bits, {rows:,} codes, {queries:,} queries, {WANTED} nearest"

    def measure() -> Row:
        from hnm_core.launching import launching
        from hnm_core.neighbors.cpu.hamming_kernels import nearest_codes, pack_bits

        projected = np.random.default_rng(1).standard_normal((rows, bits))
        codes = pack_bits(projected, np.zeros(bits))
        packed = np.packbits(projected > 0, axis=1, bitorder="little")
        anchors, nothing = np.arange(queries, dtype=np.int32), np.zeros(queries, np.int32)

        def ours() -> NDArray[np.int32]:
            found = np.empty((queries, WANTED), np.int32)
            with launching():
                nearest_codes(codes, rows, bits, codes, anchors, nothing, nothing, WANTED, found)
            return found

        built: list[Any] = []

        def theirs() -> NDArray[np.int64]:
            import faiss

            if not built:  # at the first call, which is not timed
                built.append(faiss.IndexBinaryFlat(bits))
                built[0].add(packed)
            row: NDArray[np.int64] = built[0].search(packed[:queries], WANTED)[1]
            return row

        contenders: list[Contender[NDArray[np.integer]]] = [
            Contender("hnm Hamming scan", ours),
            Contender("FAISS BinaryFlat", theirs, "faiss"),
        ]
        outcomes = take_turns(contenders, settings)
        exact = [_distances(packed, outcome.answer) for outcome in outcomes if outcome.answer is not None]
        same = all(np.array_equal(exact[0], other) for other in exact)
        check = "same distances" if same else "other distances"
        mine, *peers = [outcome.rated(check=check) for outcome in outcomes]
        compared = rows * queries * -(-bits // 64)
        share = compared / limits(settings.threads, quick=settings.quick).words / (mine.seconds or 1.0)
        return Row("mining", "hamming", size, mine, tuple(peers), Bound("arithmetic (comparing words)", share))

    return Case("hamming", size, measure)


def _distances(packed: NDArray[np.uint8], found: NDArray[np.integer]) -> NDArray[np.int64]:
    """(Q, WANTED) ascending numbers of differing bits of what was found."""
    counted = [
        np.unpackbits(packed[row] ^ packed[query], axis=1).sum(1, dtype=np.int64)
        for query, row in enumerate(found[:256])
    ]
    return np.sort(np.stack(counted), axis=1)
