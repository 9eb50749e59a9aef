"""Hash tables: the buckets are right, the answer is the best of their rows, and theory tells how much that is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from hnm_core import neighbors
from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.neighbors.cpu.bucket_kernels import probe_masks
from hnm_core.neighbors.found import SearchCancelled
from hnm_core.neighbors.lsh_buckets import LshBuckets

from .oracle import KINDS, assert_exact, bank_of, distances

METRICS = ("euclidean", "squared-euclidean", "cosine", "inner-product")


def built(bank: Bank, distance: Distance | None = None, **options: object) -> LshBuckets:
    search = neighbors.create("lsh-buckets", distance=distance, **options)
    search.build(bank)
    assert isinstance(search, LshBuckets)
    return search


def loose(rows: int = 3_000, dim: int = 16) -> Bank:
    source = torch.Generator().manual_seed(2)
    labels = torch.randint(20, (rows,), generator=source)
    points = torch.randn(20, dim, generator=source)[labels] + 0.7 * torch.randn(rows, dim, generator=source)
    return Bank(points, labels)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["sign", "affine"])
def test_that_searching_every_bucket_is_exact(kind: str, family: str) -> None:
    bank = bank_of(kind, 12)
    search = built(bank, tables=1, bits=4, probes=15, family=family)
    for k in (1, 10, 350):
        for anchors in (torch.arange(70), torch.tensor([3])):
            assert_exact(search.nearest_negatives(anchors, k), bank, anchors, k, Distance(), False)
            assert_exact(search.farthest_positives(anchors, k), bank, anchors, k, Distance(), True)
    others = (bank.labels[:, None] != bank.labels).double().mean()
    search.nearest_negatives(torch.arange(len(bank)), 1)
    assert search.candidate_rate == pytest.approx(float(others))


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("family", ["sign", "affine"])
def test_that_the_answer_is_the_best_of_the_rows_that_share_a_bucket(metric: str, family: str) -> None:
    bank, k = loose(800), 6
    search = built(bank, Distance(metric), tables=3, bits=5, probes=0, family=family)
    found = search.nearest_negatives(torch.arange(800), k)
    bucket = torch.stack([search.bucket_of_row(table) for table in range(3)])
    shared = (bucket[:, :, None] == bucket[:, None, :]).any(0) & (bank.labels[:, None] != bank.labels)
    truth = distances(bank, torch.arange(800), Distance(metric)).masked_fill(~shared, torch.inf)
    best = truth.sort(1).values[:, :k]
    there = best.isfinite()
    assert torch.equal(found.row >= 0, there)
    assert torch.allclose(found.distance[there].double(), best[there], rtol=2e-5, atol=2e-5)
    assert shared.gather(1, found.row.clamp_min(0))[there].all()
    assert search.candidate_rate == pytest.approx(float(shared.double().mean()))
    assert search.without_candidate == pytest.approx(float((~shared.any(1)).double().mean()))


def test_that_probes_flip_the_bits_with_the_smallest_margins_first() -> None:
    source = np.random.default_rng(0)
    for bits in (1, 4, 7):
        margin = source.random(bits).astype(np.float32)
        sums = sorted(
            (float(sum(margin[list(flips)])), sum(1 << bit for bit in flips))
            for count in range(bits + 1)
            for flips in itertools.combinations(range(bits), count)
        )
        for wanted in (1, 3, 2**bits, 2**bits + 5):
            masks = np.zeros(wanted, np.int64)
            used = probe_masks(margin, masks)
            assert used == min(wanted, 2**bits)
            assert masks[:used].tolist() == [mask for _, mask in sums[:used]]


def test_that_more_tables_and_more_probes_find_no_less() -> None:
    bank, anchors = loose(), torch.arange(0, 3_000, 3)
    for key in ("tables", "probes"):
        answers = [
            built(bank, **{"bits": 8, "tables": 4, "probes": 2, key: n}).nearest_negatives(anchors, 5).distance
            for n in ((4, 5, 9) if key == "probes" else (4,))
        ]
        for fewer, more in itertools.pairwise(answers):
            assert (more <= fewer).all()
    few, many = (built(bank, bits=8, tables=n).nearest_negatives(anchors, 5).distance for n in (2, 16))
    assert (many.mean() < few.mean()) and many.isfinite().all()


@pytest.mark.parametrize(("family", "distance"), [("sign", Distance("cosine")), ("affine", Distance())])
def test_that_candidates_and_recall_are_near_the_prediction(family: str, distance: Distance) -> None:
    search = built(loose(), distance, tables=8, bits=8, probes=0, family=family)
    predicted = search.predict(10)
    assert abs(predicted.recall - predicted.measured_recall) < 0.1
    assert abs(predicted.candidate_rate - predicted.measured_candidate_rate) < 0.05
    probed = built(loose(), distance, tables=8, bits=8, probes=6, family=family).predict(10)
    assert probed.recall > predicted.recall
    assert probed.measured_recall > predicted.measured_recall


def test_that_occupancy_counts_the_buckets_as_they_are() -> None:
    bank = loose()
    search = built(bank, bits=6, tables=2)
    for table in range(2):
        sizes = np.bincount(search.bucket_of_row(table).numpy())
        filled = search.occupancy(table)
        assert (filled.buckets, filled.used, filled.largest) == (64, len(sizes), sizes.max())
        assert filled.empty_share == pytest.approx(1 - len(sizes) / 64)
        for power, count in enumerate(filled.histogram):
            assert count == ((sizes >= 2**power) & (sizes < 2 ** (power + 1))).sum()
    for table in (-1, 2):
        with pytest.raises(InputError, match=f"There is no table {table}; tables are 0 to 1"):
            search.bucket_of_row(table)


def test_that_a_full_bucket_is_cut_by_the_seed_and_counted() -> None:
    bank, anchors = loose(), torch.arange(3_000)
    answers = []
    for seed in (0, 0, 1):
        search = built(bank, tables=1, bits=1, probes=0, cap=50, seed=seed)
        answers.append(search.nearest_negatives(anchors, 5).row)
        assert search.capped == 1
        assert search.candidate_rate == pytest.approx(50 / 3_000)
        assert (bank.labels[answers[-1]] != bank.labels[:, None]).all()
    assert torch.equal(answers[0], answers[1])
    assert not torch.equal(answers[0], answers[2])
    whole = built(bank, tables=1, bits=1, probes=0, cap=3_000)
    whole.nearest_negatives(anchors, 5)
    assert whole.capped == 0


def test_that_neither_threads_nor_company_change_the_answer() -> None:
    bank, answers = loose(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        answers.append(built(bank, cap=20).nearest_negatives(torch.arange(3_000), 7))
    torch.set_num_threads(1)
    assert torch.equal(answers[0].row, answers[1].row)
    assert torch.equal(answers[0].distance, answers[1].distance)
    alone = built(bank, cap=20).nearest_negatives(torch.tensor([2_999, 4]), 7)
    assert torch.equal(alone.row, answers[0].row[[2_999, 4]])


@pytest.mark.parametrize("distance", [Distance("cosine"), Distance()])
def test_that_automatic_bits_find_the_share_asked_for_and_no_fewer_bits_are_taken(distance: Distance) -> None:
    source = torch.Generator().manual_seed(0)
    bank = Bank(torch.randn(6_000, 8, generator=source), torch.randint(10, (6_000,), generator=source))
    chosen = []
    for target in (0.5, 0.9, 0.99):
        search = neighbors.create("lsh-buckets", distance=distance, recall=target, cap=6_000)
        search.build(bank)
        prediction = search.predict(10)
        assert prediction.measured_recall > target - 0.05
        chosen.append(search.bits)
        assert "predicted recall" in search.description
        assert "hardly tell" not in search.description
    assert chosen == sorted(chosen, reverse=True)
    assert len(set(chosen)) > 1


def test_that_automatic_bits_never_compare_too_much_and_say_where_buckets_do_not_help() -> None:
    source = torch.Generator().manual_seed(1)
    bank = Bank(torch.randn(20_000, 64, generator=source), torch.randint(100, (20_000,), generator=source))
    search = built(bank)
    search.nearest_negatives(torch.arange(0, 20_000, 40), 10)
    assert search.candidate_rate is not None
    assert search.candidate_rate * 20_000 < 2_500
    assert "exact or routed may suit better" in search.description


def test_that_automatic_bits_are_chosen_where_there_is_little_or_nothing_to_find() -> None:
    for labels in ([4], [4, 4, 4], [1, 2, 3]):
        bank = Bank(torch.ones(len(labels), 3), torch.tensor(labels))
        found = built(bank).nearest_negatives(torch.arange(len(labels)), 2)
        assert ((found.row >= 0).sum(1) == min(2, len(set(labels)) - 1)).all()


def test_that_a_search_can_be_watched_and_cancelled() -> None:
    search, seen = built(loose()), []
    search.nearest_negatives(torch.arange(3_000), 3, lambda done, total: seen.append((done, total)))
    assert (seen[0], seen[-1]) == ((0, 3_000), (3_000, 3_000))
    with pytest.raises(SearchCancelled):
        search.nearest_negatives(torch.arange(3_000), 3, lambda done, _total: done == 0)


def test_that_it_answers_exactly_where_its_kernels_cannot_be_compiled(no_kernels: object) -> None:
    bank, anchors = bank_of("clustered", 20), torch.arange(60)
    search = built(bank)
    assert_exact(search.nearest_negatives(anchors, 5), bank, anchors, 5, Distance(), False)
    assert "hash tables are for the CPU, with compiled kernels" in search.description
    with pytest.raises(InputError, match="There are no hash tables"):
        search.bucket_of_row(0)


def test_that_wrong_options_are_refused() -> None:
    for options in ({"tables": 0}, {"bits": 31}, {"probes": -1}, {"cap": 0}, {"family": "simhash"}):
        with pytest.raises(InputError):
            neighbors.create("lsh-buckets", **options)
