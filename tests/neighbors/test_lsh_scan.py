"""Hashing against its theory, and the scan against the exact search."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.neighbors.hashing import Hash, directions
from hnm_core.neighbors.lsh_scan import TARGET_RECALL, LshScan
from hnm_core.neighbors.options import LshScanOptions
from hnm_core.neighbors.probing import PROBE_EVERY
from hnm_core.relevance import Query, SameClass

from .oracle import assert_exact, bank_of, distances


def recall(search: LshScan, bank: Bank, k: int, distance: Distance) -> float:
    anchors = torch.arange(len(bank))
    found = search.nearest_negatives(anchors, k).distance
    truth = distances(bank, anchors, distance)
    truth[bank.labels[:, None] == bank.labels[None]] = torch.inf
    limit = truth.sort(1).values[:, k - 1 : k] * (1 + 1e-4)
    return float((found <= limit).double().mean())


def scan(distance: Distance | None = None, **options: object) -> LshScan:
    return LshScan(LshScanOptions.model_validate(options), distance)


def loose(dim: int, n: int = 1_200) -> Bank:
    source = torch.Generator().manual_seed(8)
    labels = torch.randint(12, (n,), generator=source)
    return Bank(torch.randn(12, dim, generator=source)[labels] + torch.randn(n, dim, generator=source), labels)


@pytest.mark.parametrize(("bits", "dim"), [(5, 8), (8, 8), (20, 8), (256, 3), (64, 128)])
def test_that_directions_are_orthonormal_within_each_block(bits: int, dim: int) -> None:
    drawn = directions(bits, dim, 4)
    assert drawn.shape == (bits, dim)
    for start in range(0, bits, dim):
        block = drawn[start : start + dim]
        assert torch.allclose(block @ block.T, torch.eye(len(block), dtype=torch.float64), atol=1e-12)


def test_that_directions_depend_on_the_seed_only() -> None:
    torch.set_num_threads(2)
    two = directions(512, 64, 7)
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)
    assert torch.equal(directions(512, 64, 7), two)
    assert not torch.equal(directions(512, 64, 8), two)


def test_that_sign_bits_collide_as_often_as_the_angle_says() -> None:
    """P[bit agrees] = 1 - angle / pi; orthonormal directions vary less than the independent ones of the bound."""
    bits, dim = 4_096, 16
    for angle in (0.1, 0.5, 1.0, 2.0, 3.0):
        hashed = Hash("sign", bits, dim, 1)
        pair = torch.zeros(2, dim)
        pair[0, 0], pair[1, 0], pair[1, 1] = 1, math.cos(angle), math.sin(angle)
        hashed.fit(pair, center=False)
        left, right = hashed.bits_of(pair)
        expected = 1 - angle / math.pi
        spread = math.sqrt(expected * (1 - expected) / bits)
        assert abs(float((left == right).double().mean()) - expected) < 3 * spread


@pytest.mark.thorough
def test_that_affine_bits_differ_as_often_as_the_ranks_of_the_projections() -> None:
    """P[differ | direction] = |F(a x) - F(a y)| with F the distribution of the projected data."""
    points = torch.randn(2_000, 3, generator=torch.Generator().manual_seed(2))
    hashed = Hash("affine", 4_096, 3, 5)
    hashed.fit(points, center=True)
    ranks = hashed.project(points).argsort(0).argsort(0).double() / len(points)
    bits = hashed.bits_of(points)
    for x, y in ((0, 1), (2, 3), (4, 5)):
        chance = (ranks[x] - ranks[y]).abs()
        spread = float((chance * (1 - chance)).sum().sqrt()) / 4_096
        differing = float((bits[x] != bits[y]).double().mean())
        assert abs(differing - float(chance.mean())) < 3 * spread


def test_that_length_about_the_center_changes_affine_bits_but_no_sign_bit() -> None:
    source = torch.Generator().manual_seed(3)
    half = torch.randn(200, 4, generator=source).double()
    points = torch.cat([half, -half])  # mean 0, and scaling both halves alike leaves it there
    scale = (0.2 + 3 * torch.rand(200, 1, generator=source)).repeat(2, 1)
    for family, same in (("sign", True), ("affine", False)):
        hashed = Hash(family, 128, 4, 6)
        hashed.fit(points, center=True)
        assert torch.equal(hashed.bits_of(points), hashed.bits_of(points * scale)) is same


@pytest.mark.parametrize("metric", ["euclidean", "squared-euclidean", "cosine", "inner-product"])
@pytest.mark.parametrize("compiled", [True, False])
def test_that_as_many_candidates_as_rows_make_the_scan_exact(
    metric: str, compiled: bool, request: pytest.FixtureRequest
) -> None:
    if not compiled:
        request.getfixturevalue("no_kernels")
    distance = Distance(metric)
    for dim, kind in ((3, "clustered"), (20, "imbalanced"), (3, "collapsed")):
        bank, anchors = bank_of(kind, dim), torch.arange(0, 300, 7)
        search = scan(distance, rescore=300, bits=24)
        search.build(bank)
        for k in (1, 10):
            assert_exact(search.nearest_negatives(anchors, k), bank, anchors, k, distance, False)
            assert_exact(search.farthest_positives(anchors, k), bank, anchors, k, distance, True)


def test_that_more_candidates_never_lower_the_recall() -> None:
    bank, distance = loose(24), Distance()
    recalls = []
    for candidates in (0, 40, 160, 640, 1_200):
        search = scan(rescore=candidates, bits=64)
        search.build(bank)
        recalls.append(recall(search, bank, 10, distance))
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.8 < recalls[-1] == 1


@pytest.mark.parametrize("bits", [48, 200])
@pytest.mark.parametrize(
    "kind", ["random", "small classes", "alike classes", "one left", "two codes", "one code", "near sample"]
)
def test_that_the_fewest_differing_bits_of_a_large_bank_are_found_whatever_is_guessed_and_left_out(
    kind: str, bits: int
) -> None:
    from hnm_core.neighbors.cpu.hamming_kernels import nearest_codes, pack_bits

    source, rows, wanted = np.random.default_rng(5), 9_005, 20
    sides = source.random((rows, bits)) < 0.5
    size = {"small classes": 9, "alike classes": 40, "one left": rows - 3}.get(kind, 900)
    if kind == "small classes":
        sides = sides[np.arange(rows) // size] ^ (source.random((rows, bits)) < 0.05)
    elif kind == "alike classes":  # whole blocks of rows are too far away to be looked at; blocks reach over borders
        sides = sides[np.arange(rows) // size % 60] ^ (source.random((rows, bits)) < 0.03)
    elif kind == "one left":  # almost all rows are of the anchors' class, and near them
        sides = sides[0] ^ (source.random((rows, bits)) < 0.05)
        sides[size:] = ~sides[0]
    elif kind == "two codes":
        sides[:] = sides[0]
        sides[rows // 3 :: 2] = ~sides[0]
    elif kind == "one code":
        sides[:] = sides[0]
    elif kind == "near sample":  # the sample, which is every m-th row, holds all that is near: too little
        sides[:size] = sides[0]
        sides[np.arange(12) * 30 * (int(np.sqrt(rows)) // 6) + 2 * size] = sides[0]
    codes = pack_bits(sides.astype(np.float64), np.full(bits, 0.5))
    anchors = source.choice(size if kind == "near sample" else rows, 50, replace=False).astype(np.int32)
    low = (anchors // size * size).astype(np.int32)
    high = np.minimum(low + size, rows).astype(np.int32)
    found = np.empty((len(anchors), wanted), np.int32)
    nearest_codes(codes, rows, bits, codes, anchors, low, high, wanted, found)
    for anchor, start, end, answer in zip(anchors, low, high, found, strict=True):
        differing = (sides[anchor] ^ sides).sum(1)
        differing[start:end] = bits + 1
        nearest = np.argsort(differing, kind="stable")[: min(wanted, rows - (end - start))]  # of equal ones the first
        assert np.array_equal(answer[: len(nearest)], np.sort(nearest))
        assert (answer[len(nearest) :] == -1).all()


def test_that_blocks_that_are_too_far_away_are_left_out() -> None:
    from hnm_core.neighbors.cpu.hamming_kernels import pack_bits
    from hnm_core.neighbors.cpu.hull_kernels import filled_up, hulls, limit_by_centers, near_blocks

    source, bits = np.random.default_rng(1), 128
    sides = (source.random((100, bits)) < 0.5)[np.arange(6_400) // 64] ^ (source.random((6_400, bits)) < 0.03)
    codes = pack_bits(sides.astype(np.float64), np.full(bits, 0.5))
    centers, radius = hulls(codes, 6_400)
    near, own, away = np.empty(400, np.int64), codes[0, :, 0], np.empty(filled_up(400), np.int16)
    scratch = np.empty(bits + 1, np.int64), np.empty(16, np.int64)
    limit = limit_by_centers(codes, centers, away, 6_400, bits, own, 0, 16, 40, *scratch)
    assert limit == np.sort((sides[0] ^ sides[16:]).sum(1))[39] + 1
    count = near_blocks(away, radius, limit, near)
    assert near[:count].tolist() == [1, 2, 3], "of 400 blocks those of the only 48 other rows that differ in few bits"
    differing = (sides.reshape(400, 16, bits) ^ _bits(centers, bits)[:, None]).sum(2)
    assert np.array_equal(differing.max(1), radius[:400])


def _bits(centers: np.ndarray, bits: int) -> np.ndarray:
    """(blocks, bits) from centers packed like codes."""
    words = centers.transpose(0, 2, 1).reshape(-1, centers.shape[1]).copy()
    return np.unpackbits(words.view(np.uint8), axis=1, bitorder="little")[:, :bits].astype(bool)


@pytest.mark.parametrize("metric", ["euclidean", "cosine", "inner-product"])
def test_that_a_scan_of_many_rows_brings_alike_classes_together_and_finds_what_brute_force_finds(metric: str) -> None:
    source, rows = torch.Generator().manual_seed(2), 8_400
    labels = torch.randint(0, 300, (rows,), generator=source) * -1_000_003 + 5
    groups, classes = torch.randn(30, 20, generator=source), torch.unique(labels, return_inverse=True)[1]
    points = groups[classes % 30] + 0.2 * torch.randn(rows, 20, generator=source)
    points[100:120] = points[100]
    bank, anchors, distance = Bank(points, labels), torch.arange(100, rows, 211), Distance(metric)
    search = scan(distance, rescore=rows, bits=64)
    search.build(bank)
    of_place = classes[search._index.arranged.rows] % 30
    assert (of_place[1:] == of_place[:-1]).float().mean() > 0.98, "by label it would be 0.96: borders of classes"
    for k in (1, 10):
        assert_exact(search.nearest_negatives(anchors, k), bank, anchors, k, distance, False)
        assert_exact(search.farthest_positives(anchors, k), bank, anchors, k, distance, True)


def spread_in_few_directions(rows: int) -> tuple[Bank, torch.Tensor]:
    """Wide classes in 64 dimensions that lie near a space of four, as trained embeddings do; anchors among them."""
    source = torch.Generator().manual_seed(11)
    labels = torch.randint(6, (rows,), generator=source) * 7 - 12
    inside = torch.randn(rows, 4, generator=source) + 0.5 * labels[:, None] / 7
    points = inside @ torch.randn(4, 64, generator=source) + 0.05 * torch.randn(rows, 64, generator=source)
    return Bank(points, labels), torch.randint(rows, (300,), generator=source)


@pytest.mark.parametrize("distance", [Distance(), Distance("cosine")])
def test_that_near_rows_of_a_class_stand_together_so_that_blocks_can_be_left_out(
    distance: Distance, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hnm_core.neighbors.cpu.hull_kernels import hulls

    bank, _ = spread_in_few_directions(9_000)
    search = scan(distance, bits=128)
    search.build(bank)
    rows, places, low, high = search._index.arranged
    assert torch.equal(rows[places], torch.arange(9_000))
    at = bank.labels[rows]
    assert torch.equal(at[low], bank.classes)
    assert torch.equal(at[high - 1], bank.classes)
    assert torch.equal(high - low, bank.sizes)
    monkeypatch.setattr("hnm_core.neighbors.code_index._WORTH_ORDER", 10_000)
    mixed = scan(distance, bits=128)
    mixed.build(bank)
    apart, together = (hulls(made._index._codes, 9_000)[1].mean() for made in (mixed, search))
    assert together < 0.6 * apart


@pytest.mark.parametrize("distance", [Distance(), Distance("cosine")])
def test_that_neither_threads_nor_company_change_what_a_scan_of_many_rows_finds(distance: Distance) -> None:
    bank, anchors = spread_in_few_directions(9_000)
    answers = []
    for threads, company in ((1, 300), (2, 300), (2, 20)):
        torch.set_num_threads(threads)
        search = scan(distance, bits=96, rescore=50)
        search.build(bank)
        answers.append(search.nearest_negatives(anchors[:company], 10))
    torch.set_num_threads(1)
    for answer in answers[1:]:
        assert torch.equal(answer.row, answers[0].row[: len(answer.row)])
        assert torch.equal(answer.distance, answers[0].distance[: len(answer.row)])


def test_that_principal_coordinates_keep_the_directions_of_most_spread() -> None:
    bank, _ = spread_in_few_directions(3_000)
    hashed = Hash("affine", 64, 64, 1)
    hashed.fit(bank.embeddings, center=True)
    found = hashed.principal(bank.embeddings, 4).double()
    centered = bank.embeddings.double() - bank.embeddings.double().mean(0)
    best = torch.linalg.svdvals(centered)[:4].square().sum()
    assert found.square().sum() > 0.999 * best
    assert hashed.principal(bank.embeddings, 100).shape == (3_000, 64)


def test_that_equal_scores_of_a_scan_stand_by_row() -> None:
    bank = Bank(torch.ones(90, 3), torch.arange(90) % 2)
    search = scan(rescore=90, bits=16)
    search.build(bank)
    found = search.nearest_negatives(torch.tensor([0, 7]), 50)
    assert found.row[:, :45].tolist() == [list(range(1, 90, 2)), list(range(0, 90, 2))]
    assert (found.row[:, 45:] == -1).all()
    assert found.distance[:, 45:].isinf().all()


@pytest.mark.parametrize("bits", [8, 64, 100, 256])
def test_that_compiled_scan_and_products_of_codes_find_the_same_distances(
    bits: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Candidates of equal Hamming distance at the last place may differ; with candidates for all ties they do not."""
    bank, anchors = bank_of("random", 6), torch.arange(300)
    compiled = scan(bits=bits, rescore=60)
    compiled.build(bank)
    monkeypatch.setattr("hnm_core.neighbors.code_index.compiled", lambda: False)
    plain = scan(bits=bits, rescore=60)
    plain.build(bank)
    assert "by products of codes" in plain.description
    bits_of = compiled._hash.bits_of(bank.embeddings)
    hamming = (bits_of[:, None] != bits_of[None]).sum(2)
    hamming[bank.labels[:, None] == bank.labels[None]] = bits + 1
    placed, slots = SameClass(bank).query(anchors).by_place()
    hamming = hamming[slots]
    packed = compiled._index._scan_packed(compiled._index.own, placed, 60)
    products = plain._index._scan(plain._index.own, placed, 60)[1]
    for found in (torch.from_numpy(packed).long(), products):
        rows = bank.order[found]
        assert torch.equal(hamming.gather(1, rows).sort(1).values, hamming.sort(1).values[:, :60])


def test_that_auto_takes_the_fewest_candidates_that_reach_the_target_and_says_so() -> None:
    bank, distance = loose(16), Distance("cosine")
    search = scan(distance, bits=128)
    search.build(bank)
    assert search.candidates is None
    search.nearest_negatives(torch.tensor([3]), 10)
    assert search.candidates is not None
    assert search.candidates > 10
    assert search.probe_recall >= TARGET_RECALL
    assert recall(search, bank, 10, distance) >= TARGET_RECALL - 0.03
    fewer = scan(distance, bits=128, rescore=search.candidates // 2)
    fewer.build(bank)
    assert recall(fewer, bank, 10, distance) < TARGET_RECALL + 0.03
    assert f"{search.candidates} candidates re-scored" in search.description


@pytest.mark.parametrize("bits", [16, 128])
@pytest.mark.parametrize("compiled", [True, False])
def test_that_one_candidate_fewer_would_miss_the_target(
    bits: int, compiled: bool, request: pytest.FixtureRequest
) -> None:
    if not compiled:
        request.getfixturevalue("no_kernels")
    bank, distance = loose(12, 500), Distance()
    search = scan(distance, bits=bits)
    search.build(bank)
    search.nearest_negatives(torch.arange(3), 6)
    enough, reached = search.candidates, []
    for candidates in (enough - 1, enough):
        fixed = scan(distance, bits=bits, rescore=candidates)
        fixed.build(bank)
        reached.append(recall(fixed, bank, 6, distance))
    if compiled:  # codes as near stand in no certain order elsewhere
        assert reached[0] < TARGET_RECALL + 0.001, "rows that are nearly as near as the last may count too"
        assert reached[0] < reached[1]
    assert reached[1] == pytest.approx(search.probe_recall)
    assert reached[1] >= TARGET_RECALL


def test_that_a_collapsed_cloud_needs_few_candidates() -> None:
    bank = Bank(torch.ones(9_000, 20), torch.arange(9_000) % 7)
    search = scan(bits=64)
    search.build(bank)
    assert search.nearest_negatives(torch.arange(9_000), 10).distance.eq(0).all()
    assert search.candidates == 10
    assert search.probe_recall == 1


def test_that_the_candidates_are_chosen_again_only_when_due(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = []
    original = LshScan._scan

    def counted(self: LshScan, query: Query, *rest: object) -> object:
        chosen.append(len(query))
        return original(self, query, *rest)

    monkeypatch.setattr(LshScan, "_scan", counted)
    bank, other = loose(3, 400), loose(3, 500)
    search = scan()
    for build in range(2 * PROBE_EVERY + 1):
        search.build(bank)
        before = len(chosen)
        search.nearest_negatives(torch.tensor([0, 1]), 5)
        assert (len(chosen) > before + 1) is (build % PROBE_EVERY == 0)
    search.build(other)
    before = len(chosen)
    search.nearest_negatives(torch.tensor([0, 1]), 5)
    assert len(chosen) > before + 1


@pytest.mark.parametrize(
    ("distance", "family"),
    [(Distance(), "affine"), (Distance("cosine"), "sign"), (Distance("euclidean", True), "sign")],
)
def test_that_auto_hashes_unit_vectors_by_sign_and_others_by_affine_cuts(distance: Distance, family: str) -> None:
    assert scan(distance).family == family


def test_that_affine_cuts_see_the_radius_that_signs_are_blind_to() -> None:
    """Classes on concentric spheres, k = 32, un-normalised: many bits help affine cuts and cannot help signs."""
    source = torch.Generator().manual_seed(9)
    labels = torch.randint(6, (1_200,), generator=source)
    sphere = torch.nn.functional.normalize(torch.randn(1_200, 3, generator=source))
    bank = Bank(sphere * (1 + labels[:, None]), labels)
    found = {}
    for family in ("sign", "affine"):
        search = scan(family=family, bits=1_024, rescore=0)
        search.build(bank)
        found[family] = recall(search, bank, 32, Distance())
    assert found["affine"] > found["sign"] + 0.2


def test_that_the_same_seed_gives_the_same_answer_and_another_seed_another() -> None:
    bank, anchors = loose(10), torch.arange(1_200)
    answers = []
    for seed in (1, 1, 2):
        search = scan(seed=seed, bits=64, rescore=20)
        search.build(bank)
        answers.append(search.nearest_negatives(anchors, 10).row)
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])


def test_that_wrong_options_are_refused() -> None:
    for options in ({"bits": 7}, {"bits": 5_000}, {"rescore": -1}, {"family": "simhash"}):
        with pytest.raises(InputError):
            neighbors.create("lsh-scan", **options)
