"""The theory of hashing against simulation, closed forms and the searches themselves."""

from __future__ import annotations

import math

import pytest
import torch

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.neighbors import theory
from hnm_core.neighbors.hashing import Hash
from hnm_core.neighbors.lsh_scan import LshScan
from hnm_core.neighbors.options import LshScanOptions
from hnm_core.neighbors.probing import probe_places

from .oracle import distances


def one(value: float) -> torch.Tensor:
    return torch.tensor([value], dtype=torch.float64)


def keys(angles: list[float], bits: int, draws: int, seed: int = 0) -> torch.Tensor:
    """(draws, len(angles), bits) signs of projections of unit vectors, each turned into an axis of its own."""
    source = torch.Generator().manual_seed(seed)
    rows = torch.zeros(len(angles), 1 + len(angles), dtype=torch.float64)
    rows[:, 0] = torch.tensor(angles).cos()
    rows[:, 1:] = torch.tensor(angles).sin().diag()
    normal = torch.randn(draws * bits, 1 + len(angles), generator=source, dtype=torch.float64)
    return (normal @ rows.T > 0).view(draws, bits, len(angles)).transpose(1, 2)


@pytest.mark.parametrize("angle", [0.1, 0.7, 1.5, 2.9])
def test_that_signs_differ_as_often_as_the_angle_says(angle: float) -> None:
    draws = 100_000
    drawn = keys([0, angle], 1, draws)
    p = float(theory.sign_differs(one(angle)))
    share = float((drawn[:, 0] != drawn[:, 1]).double().mean())
    assert abs(share - p) < 4 * math.sqrt(p * (1 - p) / draws)


def test_that_buckets_are_hit_as_often_as_predicted() -> None:
    """12 bits, 8 tables, angle .35: .891, and .9994 with every key one flip away probed as well."""
    bits, tables, draws = 12, 8, 4_000
    p = theory.sign_differs(one(0.35))
    plain, ball = theory.bucket_hit(p, bits, tables, 0), theory.bucket_hit(p, bits, tables, bits)
    assert float(plain) == pytest.approx(0.891, abs=5e-4)
    assert float(ball) == pytest.approx(0.9994, abs=5e-5)
    drawn = keys([0, 0.35], bits * tables, draws).view(draws, 2, tables, bits)
    flips = (drawn[:, 0] != drawn[:, 1]).sum(2)
    for most, predicted in ((0, float(plain)), (1, float(ball))):
        share = float((flips <= most).any(1).double().mean())
        assert abs(share - predicted) < 4 * math.sqrt(predicted * (1 - predicted) / draws)


def test_that_a_ball_is_a_sum_of_binomial_terms() -> None:
    p = torch.tensor([0.0, 0.2, 1.0], dtype=torch.float64)
    assert torch.allclose(theory.bucket_hit(p, 5, 1, 0), (1 - p) ** 5)
    assert float(theory.bucket_hit(one(0.2), 5, 1, 5)) == pytest.approx(0.8**5 + 5 * 0.2 * 0.8**4)
    everything = theory.bucket_hit(p, 5, 1, 2**5 - 1)
    assert torch.allclose(everything, torch.ones(3, dtype=torch.float64))
    assert float(theory.bucket_hit(one(0.2), 5, 1, 3)) == pytest.approx(0.8**5 + 3 * 0.2 * 0.8**4)


def test_that_quantile_cuts_separate_rows_by_their_rank() -> None:
    source = torch.Generator().manual_seed(4)
    points = torch.randn(3_000, 6, generator=source) * torch.arange(1, 7)
    left, right = points[:40], points[40:80]
    predicted = torch.zeros(40, dtype=torch.float64)
    share = torch.zeros(40, dtype=torch.float64)
    for seed in range(20):
        hashed = Hash("affine", 200, 6, seed)
        hashed.fit(points, center=True)
        predicted += hashed.differs(left, right, points) / 20
        share += (hashed.bits_of(left) != hashed.bits_of(right)).double().mean(1) / 20
    assert float((share - predicted).abs().max()) < 0.03


@pytest.mark.parametrize(("family", "within"), [("sign", 0.06), ("affine", 0.1)])
@pytest.mark.parametrize("bits", [64, 128])
def test_that_the_recall_of_a_scan_is_predicted(family: str, within: float, bits: int) -> None:
    source = torch.Generator().manual_seed(5)
    labels = torch.randint(30, (1_500,), generator=source)
    points = torch.randn(30, 128, generator=source)[labels] + 0.5 * torch.randn(1_500, 128, generator=source)
    bank = Bank(points - points.mean(0), labels)
    distance = Distance("cosine") if family == "sign" else Distance()
    search = LshScan(LshScanOptions(bits=bits, family=family, rescore=128), distance)
    search.build(bank)
    anchors = probe_places(1_500)
    found = search.nearest_negatives(anchors, 32).row
    truth = distances(bank, anchors, distance)
    truth[bank.labels[anchors, None] == bank.labels[None]] = torch.inf
    exact = truth.sort(1).indices[:, :32]
    share = float((found[:, :, None] == exact[:, None, :]).any(1).double().mean())
    assert abs(search.predicted_recall(32) - share) < within


def test_that_more_candidates_are_predicted_to_find_more() -> None:
    source = torch.Generator().manual_seed(7)
    search = LshScan(LshScanOptions(bits=64))
    search.build(Bank(torch.randn(600, 8, generator=source), torch.randint(5, (600,), generator=source)))
    few, some, all_of_them = (search.predicted_recall(10, candidates) for candidates in (10, 50, 600))
    assert few < some < all_of_them == pytest.approx(1, abs=1e-3)


def test_that_equal_rows_are_surely_found() -> None:
    zero = torch.zeros(1, 1)
    assert float(theory.scan_recall(zero, zero, torch.tensor([0]))) == 1
    assert float(theory.scan_recall(zero + 9, zero, torch.tensor([3]))) == 0


def test_that_a_prediction_needs_a_bank_and_may_lack_negatives() -> None:
    search = LshScan()
    with pytest.raises(InputError, match="Build the search"):
        search.predicted_recall(3)
    search.build(
        Bank(torch.randn(20, 4, generator=torch.Generator().manual_seed(0)), torch.zeros(20, dtype=torch.int64))
    )
    assert search.predicted_recall(3) == 1


def test_that_cuts_at_known_quantiles_separate_as_often_as_simulated() -> None:
    source = torch.Generator().manual_seed(6)
    for gap in (0.1, 0.6):
        low = torch.rand(100_000, generator=source, dtype=torch.float64) * (1 - gap)
        for cut in (0.03, 0.3, 0.5, 0.95):
            share = float(((low < cut) & (cut <= low + gap)).double().mean())
            assert float(theory.quantile_differs(one(gap), one(cut))) == pytest.approx(share, abs=0.007)
    uniform = torch.linspace(0, 1, 10_001, dtype=torch.float64)
    for gap in (0.0, 0.25, 1.0):
        assert float(theory.quantile_differs(one(gap), uniform).mean()) == pytest.approx(gap, abs=1e-3)
