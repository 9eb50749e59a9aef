"""Names and options of the neighbour searches; loads no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hnm_core.spec.registry import NEIGHBORS, Options, SearchOptions

Family = Literal["auto", "sign", "affine"]


@NEIGHBORS.register("exact", target="hnm_core.neighbors.exact:Exact")
class ExactOptions(SearchOptions):
    """Exact search; picks the KD-tree or the tiled products and says which and why."""


@NEIGHBORS.register("kdtree", target="hnm_core.neighbors.kdtree:KdTree")
class KdTreeOptions(SearchOptions):
    """Exact search by a label-aware KD-tree, for up to 8 dimensions on the CPU."""


@NEIGHBORS.register("dense", target="hnm_core.neighbors.dense:Dense")
class DenseOptions(SearchOptions):
    """Exact search by tiled distances on the class-sorted bank, any dimension, any device."""


class ScanOptions(Options):
    """What there is to choose of `lsh-scan`, also for a miner that searches so."""

    bits: int = Field(256, ge=8, le=4_096, description="bits a point is hashed to")
    family: Family = Field(
        "auto",
        description="sign: the side of a hyper-plane through the centre (angles); affine: cuts at random quantiles "
        "(distances); auto takes sign on unit vectors, affine otherwise",
    )
    rescore: Annotated[int, Field(ge=0)] | Literal["auto"] = Field(
        "auto",
        description="candidates to re-score exactly, never fewer than are asked for; auto takes the fewest that reach "
        "recall 0.95, as a probe tells",
    )
    center: bool = Field(True, description="hash about the mean")


@NEIGHBORS.register("lsh-scan", target="hnm_core.neighbors.lsh_scan:LshScan")
class LshScanOptions(ScanOptions, SearchOptions):
    """Approximate search: hash to bits, scan by Hamming distance, re-score the best candidates exactly."""

    approximate = True

    seed: int = Field(0, ge=0, lt=2**63, description="seed of the hash directions")


class RoutingOptions(Options):
    """What there is to choose of `routed`, also for a miner that searches so."""

    recall: float = Field(
        0.9, gt=0, le=1, description="share of the true nearest negatives to find, reached on a probe of 512 anchors"
    )
    classes: Annotated[int, Field(ge=1, le=1_000_000)] | Literal["auto"] = Field(
        "auto", description="classes (or parts of wide ones) an anchor searches; auto takes as many as the recall needs"
    )


@NEIGHBORS.register("routed", target="hnm_core.neighbors.routed:Routed")
class RoutedOptions(RoutingOptions, SearchOptions):
    """Approximate search: only the classes with the nearest centres are searched; the fastest in many dimensions."""

    approximate = True

    seed: int = Field(0, ge=0, lt=2**63, description="seed of the split of wide classes")


@NEIGHBORS.register("auto", target="hnm_core.neighbors.auto:Auto")
class AutoOptions(SearchOptions):
    """Exact search, or the routed one where less recall will do and it should be faster; says which, and why."""

    approximate = True

    recall: float = Field(
        1.0, gt=0, le=1, description="share of the true nearest negatives to find; 1 always searches exactly"
    )


class BucketOptions(Options):
    """What there is to choose of `lsh-buckets`, also for a miner that searches so."""

    tables: int = Field(16, ge=1, le=256, description="hash tables; each has bits of its own")
    bits: Annotated[int, Field(ge=1, le=30)] | Literal["auto"] = Field(
        "auto",
        description="bits of a table's key; auto takes the most that reach `recall` by theory, if no anchor is then "
        "compared with more than some 2,000",
    )
    recall: float = Field(0.9, gt=0, lt=1, description="share of the true nearest ones to be found, where bits is auto")
    probes: int = Field(4, ge=0, le=1_000, description="further buckets searched in each table, the likeliest first")
    family: Family = Field(
        "auto",
        description="sign: the side of a hyper-plane through the centre (angles); affine: cuts at random quantiles "
        "(distances); auto takes sign on unit vectors, affine otherwise",
    )
    center: bool = Field(True, description="hash about the mean")


@NEIGHBORS.register("lsh-buckets", target="hnm_core.neighbors.lsh_buckets:LshBuckets")
class LshBucketsOptions(BucketOptions, SearchOptions):
    """Approximate search: hash tables with multi-probe; compares rows that share a bucket, never all pairs."""

    approximate = True

    cap: int = Field(1_000, ge=1, description="rows searched in one bucket at most, drawn with the seed")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of the hash directions")


@NEIGHBORS.register("faiss", target="hnm_core.neighbors.faiss_search:Faiss", scope="optional")
class FaissOptions(SearchOptions):
    """FAISS, for comparison: knows no labels, so it is asked for ever more; needs the package faiss."""

    approximate = True

    index: Literal["flat", "ivf", "hnsw", "binary"] = Field(
        "ivf", description="flat: all rows; ivf: inverted lists; hnsw: a graph; binary: 256-bit codes, re-scored"
    )
    probes: int = Field(16, ge=1, description="lists that ivf searches")
    effort: int = Field(64, ge=1, description="least size of the list that hnsw keeps while it searches")
    seed: int = Field(0, ge=0, lt=2**63, description="seed of ivf's training and of binary's hash")
