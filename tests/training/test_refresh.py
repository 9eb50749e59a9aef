"""Refresh policies: when lanes see new embeddings, and that a background build never changes a number."""

from __future__ import annotations

import math
import threading
import time

import pytest
import torch

from hnm_core.bank import Bank
from hnm_core.distances import Distance
from hnm_core.errors import InputError
from hnm_core.miners.base import MiningContext
from hnm_core.miners.whole_set.drift import drift
from hnm_core.miners.whole_set.searching import SearchingMiner
from hnm_core.run.events import Alarm, Event, RunFinished, StepRecord
from hnm_core.spec import config
from hnm_core.spec.config import ExperimentConfig
from hnm_core.training import lane_bank
from hnm_core.training.experiment import Experiment
from hnm_core.training.lane_bank import LaneBank

BASE = {
    "steps": 24,
    "eval_every": 1,
    "frame_every": 1000,
    "data": {"name": "near-classes", "options": {"groups": 4, "classes_per_group": 3, "points_per_class": 20}},
    "model": {"options": {"widths": [16, 8], "embedding": 3}},
    "sampler": {"batch": 40},
}


def experiment(*lanes: dict, **fields: object) -> ExperimentConfig:
    filled = [{"miner": "knn", "loss_options": {"margin": 0.5}, **lane} for lane in lanes]
    return config.from_dict({**BASE, "lanes": filled, **fields})


def run(*lanes: dict, **fields: object) -> list[Event]:
    return list(Experiment(experiment(*lanes, **fields)).run(frames=False))


def records(events: list[Event], lane: str = "a") -> list[StepRecord]:
    return [event for event in events if isinstance(event, StepRecord) and event.lane == lane]


def losses(events: list[Event], lane: str = "a") -> list[float]:
    return [record.loss for record in records(events, lane)]


def ages(events: list[Event], lane: str = "a") -> list[int]:
    return [int(record.metrics["bank_age"]) for record in records(events, lane)]


def test_that_the_bank_is_renewed_every_so_many_steps() -> None:
    assert ages(run({"name": "a", "refresh_every": 5}))[:12] == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]


def test_that_the_bank_is_renewed_at_the_start_of_each_epoch() -> None:
    """180 training items in batches of 40 are five steps an epoch."""
    events = run({"name": "a", "refresh": "epoch", "refresh_every": 2})
    assert ages(events) == [step % 5 for step in range(24)]


@pytest.mark.thorough
def test_that_drift_calls_for_a_refresh_only_once_it_reaches_the_threshold() -> None:
    never = run({"name": "a", "refresh": "drift", "refresh_every": 2, "drift_threshold": 1000})
    assert ages(never) == list(range(24))
    drifts = [record.metrics["drift"] for record in records(never)]
    # A look before step s sees the weights that the record of step s - 1 was measured with.
    threshold = (drifts[5] + drifts[7]) / 2
    assert 0 < max(drifts[:6]) < threshold < drifts[7], "the drift grows in this run"
    once = run({"name": "a", "refresh": "drift", "refresh_every": 2, "drift_threshold": threshold})
    assert ages(once)[:9] == [0, 1, 2, 3, 4, 5, 6, 7, 0]
    always = run({"name": "a", "refresh": "drift", "refresh_every": 1, "drift_threshold": 1e-9})
    assert ages(always) == [0] * 24
    assert losses(always) == losses(run({"name": "a", "refresh_every": 1}))


BACKGROUND = {"name": "a", "refresh": "background", "refresh_every": 6, "refresh_lag": 4}


def test_that_a_background_bank_takes_effect_exactly_at_its_lag() -> None:
    got = ages(run(BACKGROUND))
    # Snapshots at steps 1, 7, 13, 19; the first is used at once, the others four steps later.
    assert got == [*range(10), *range(4, 10), *range(4, 10), 4, 5]


def test_that_a_background_lane_is_the_same_twice_and_beside_others_however_slow_the_builder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lanes = (
        BACKGROUND,
        {**BACKGROUND, "name": "b", "miner": "lsh", "miner_options": {"bits": 64}, "refresh_lag": None},
        {"name": "c", "refresh_every": 3},
    )
    together = run(*lanes, eval_every=8)
    on_threads: set[str] = set()
    build = SearchingMiner.refresh

    def slow(self: SearchingMiner, bank: Bank, context: object) -> None:
        on_threads.add(threading.current_thread().name)
        time.sleep(0.03)
        build(self, bank, context)

    monkeypatch.setattr(SearchingMiner, "refresh", slow)
    again = run(*lanes, eval_every=8)
    assert on_threads == {threading.current_thread().name, "hnm-refresh"}
    for lane in lanes:
        alone = run(lane, eval_every=8)
        assert losses(together, lane["name"]) == losses(again, lane["name"]) == losses(alone, lane["name"])
        for one, other in zip(records(together, lane["name"]), records(alone, lane["name"]), strict=True):
            assert dict(one.metrics) == dict(other.metrics)


def test_that_the_random_stream_of_a_background_build_comes_from_the_experiments_seed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = SearchingMiner.refresh

    def seeds(seed: int) -> list[int]:
        found: list[int] = []

        def refresh(miner: SearchingMiner, bank: Bank, context: MiningContext) -> None:
            if threading.current_thread() is not threading.main_thread():
                found.append(context.generator.initial_seed())
            own(miner, bank, context)

        monkeypatch.setattr(SearchingMiner, "refresh", refresh)
        run(BACKGROUND, seed=seed)
        return found

    first = seeds(0)
    assert len(first) > 1
    assert first == seeds(0)
    assert len({*first, *seeds(1)}) == 2 * len(first), "of each build of each experiment another"


def test_that_a_background_lane_is_another_than_a_lane_that_waits() -> None:
    assert losses(run(BACKGROUND)) != losses(run({"name": "a", "refresh_every": 6}))


def test_that_a_background_build_after_a_warm_up_starts_with_fresh_weights() -> None:
    events = run({**BACKGROUND, "warmup": 7})
    assert [int(record.metrics.get("bank_age", -1)) for record in records(events)][6:10] == [-1, 0, 1, 2]


def test_that_the_miner_that_is_asked_is_never_the_one_that_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    building: set[int] = set()
    asked_while_built = []
    refresh, mine = SearchingMiner.refresh, SearchingMiner.mine

    def watched_refresh(self: SearchingMiner, *arguments: object) -> None:
        building.add(id(self))
        time.sleep(0.02)
        refresh(self, *arguments)
        building.discard(id(self))

    def watched_mine(self: SearchingMiner, *arguments: object) -> object:
        asked_while_built.append(id(self) in building)
        return mine(self, *arguments)

    monkeypatch.setattr(SearchingMiner, "refresh", watched_refresh)
    monkeypatch.setattr(SearchingMiner, "mine", watched_mine)
    run({**BACKGROUND, "refresh_every": 2, "refresh_lag": 2})
    assert len(asked_while_built) > 24 and not any(asked_while_built)


def test_that_what_goes_wrong_in_the_background_stops_the_lane_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    bank = lane_bank.Bank

    def broken(embeddings: torch.Tensor, labels: torch.Tensor, *, step: int) -> Bank:
        if threading.current_thread().name == "hnm-refresh":
            embeddings = embeddings * math.nan
        return bank(embeddings, labels, step=step)

    monkeypatch.setattr(lane_bank, "Bank", broken)
    events = run(BACKGROUND, {"name": "b"})
    (alarm,) = (event for event in events if isinstance(event, Alarm) and event.fatal)
    assert (alarm.lane, alarm.step, alarm.fatal) == ("a", 11, True)
    assert "embeddings hold NaN or infinity" in alarm.message
    assert isinstance(events[-1], RunFinished) and events[-1].steps["b"] == 24


def test_that_a_lag_longer_than_the_time_between_refreshes_is_refused() -> None:
    with pytest.raises(InputError, match=r"lane 'a': refresh_lag = 7 must not be larger than refresh_every = 6"):
        experiment({**BACKGROUND, "refresh_lag": 7})
    assert experiment({**BACKGROUND, "refresh": "steps", "refresh_lag": 7}).lanes[0].refresh_lag == 7


def test_that_filled_and_filtered_negatives_are_counted_in_the_records() -> None:
    strict = {"relative_margin": 3.0, "select": "hardest"}
    events = run({"name": "a", "miner_options": strict, "hard_share": 1.0}, steps=5)
    counted = [record.tuples for record in records(events)]
    assert all(0 < counts["filled"] <= counts["mined"] for counts in counted)
    assert all(counts["filtered"] >= 64 * counts["filled"] for counts in counted)
    assert "filled" not in records(run({"name": "a", "miner": "random"}))[0].tuples


def points(n: int = 512, dim: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=source), torch.randint(6, (n,), generator=source)


@pytest.mark.parametrize("distance", [Distance(), Distance("cosine"), Distance("inner-product")])
def test_that_what_has_not_moved_has_not_drifted(distance: Distance) -> None:
    x, y = points()
    assert drift(x, x.clone(), y, distance) == (0, 0, 0)
    assert drift(torch.ones(40, 3), torch.ones(40, 3), y[:40], distance) == (0, 0, 0)
    assert drift(x[:1], x[:1], y[:1], distance) == (0, 0, 0)


def test_that_a_turn_of_nine_degrees_flips_five_percent_of_the_bits() -> None:
    x, y = points()
    x = x - x.mean(0)
    # Every vector turned by nine degrees, each towards a direction of its own.
    aside = torch.nn.functional.normalize(torch.linalg.cross(x, points(seed=1)[0]))
    angle = math.radians(9)
    turned = x * math.cos(angle) + aside * x.norm(dim=1, keepdim=True) * math.sin(angle)
    turned = turned - turned.mean(0)
    found = drift(x, turned, y, Distance())
    assert found.flips == pytest.approx(0.05, abs=0.006)
    assert found.move == pytest.approx(
        float(2 * math.sin(angle / 2) * x.norm(dim=1).mean() / torch.pdist(x).mean()), rel=0.05
    )
    assert found.of_limit >= 0.9


def test_that_a_shift_of_everything_moves_but_flips_and_loses_nothing() -> None:
    x, y = points()
    found = drift(x, x + 10.0, y, Distance())
    assert found.flips == found.lost == 0
    assert found.move == pytest.approx(math.sqrt(300) / float(torch.pdist(x).mean()), rel=1e-4)


def test_that_lost_is_the_share_of_nearest_negatives_that_are_others() -> None:
    x, y = points(60)
    now = x + 0.3 * points(60, seed=2)[0]

    def lists(z: torch.Tensor) -> list[set[int]]:
        table = torch.cdist(z.double(), z.double())
        return [set(sorted((j for j in range(60) if y[j] != y[i]), key=lambda j: table[i, j])[:10]) for i in range(60)]

    kept = sum(len(then & later) for then, later in zip(lists(x), lists(now), strict=True))
    assert drift(x, now, y, Distance()).lost == pytest.approx(1 - kept / 600, abs=1e-12)


def test_that_a_cloud_fallen_onto_one_spot_is_as_stale_as_can_be() -> None:
    x, y = points()
    assert drift(x, torch.zeros_like(x), y, Distance()).of_limit == math.inf


def test_that_random_pairs_do_not_pay_for_embedding_a_set_that_nobody_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does a warm-up; and no number hangs on it."""
    lanes = (
        {"name": "a", "miner": "random"},
        {"name": "b", "warmup": 5, "refresh_every": 100},
        {"name": "c", "miner": "random", "miner_options": {"positives": "hardest"}, "refresh_every": 100},
    )
    make, made = LaneBank._make_now, list[tuple[int, bool]]()

    def counted(bank: LaneBank, own: object, others: object, context: MiningContext) -> None:
        make(bank, own, others, context)
        made.append((context.step, bank.embedded))

    monkeypatch.setattr(LaneBank, "_make_now", counted)
    lazy = run(*lanes)
    assert made == [(1, False), (1, False), (1, True), (6, True)]
    made.clear()
    monkeypatch.setattr(lane_bank, "_looks", lambda _miner: True)
    eager = run(*lanes)
    assert made and all(embedded for _, embedded in made)
    for lane in "abc":
        told = [[(record.loss, record.tuples, record.metrics) for record in records(of, lane)] for of in (lazy, eager)]
        assert told[0] == told[1] and "used_recall" in told[0][-1][2]
