"""What the harness's clock counts, by a clock that only named work moves."""

from __future__ import annotations

from typing import Any

import pytest

from hnm_core.run.events import StepRecord
from hnm_core.run.timing import Phase, PhaseClock
from hnm_core.training import trainer
from hnm_core.training.experiment import Experiment
from hnm_core.training.metrics import LaneMetrics
from hnm_core.training.pathologies import Watch
from tests.training.test_refresh import BACKGROUND, experiment


def records(lane: dict, **fields: object) -> list[StepRecord]:
    events = Experiment(experiment(lane, **fields)).run(frames=False)
    return [event for event in events if isinstance(event, StepRecord)]


def test_that_all_of_a_step_but_evaluation_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(trainer, "phase_clock", lambda _: PhaseClock(lambda: now, lambda start, end: end - start))

    def takes(owner: Any, name: str, ms: float) -> None:
        function = getattr(owner, name)

        def slow(*given: Any) -> Any:
            nonlocal now
            now += ms
            return function(*given)

        monkeypatch.setattr(owner, name, slow)

    takes(trainer.Trainer, "_batches", 1)
    takes(trainer.Trainer, "_forward", 10)
    takes(trainer.Trainer, "_counts", 100)
    takes(Watch, "see", 1_000)
    takes(LaneMetrics, "measure", 10_000)
    told = [record.phase_ms for record in records({"name": "a"}, steps=6, eval_every=3)]
    assert [ms[Phase.FORWARD] for ms in told] == [10] * 6
    assert [ms[Phase.OTHER] for ms in told] == [101, 100, 1_100, 100, 1_100, 1_101], "five steps an epoch, looks at 5"
    assert all(sum(ms.values()) == ms[Phase.FORWARD] + ms[Phase.OTHER] for ms in told)


def test_that_the_first_search_of_a_sampler_is_a_first_call_and_its_work_is_mining() -> None:
    told = records({"name": "a", "miner": "batch-hard"}, sampler={"name": "neighbours", "batch": 40}, steps=14)
    built = [record.step for record in told if Phase.BUILD in record.phase_ms]
    assert len(built) > 1, "every epoch but the first"
    assert [record.step for record in told if record.first_call] == [1, built[0]]
    later = next(record.phase_ms for record in told if record.step == built[1])
    assert min(later[phase] for phase in (Phase.EMBED, Phase.BUILD, Phase.SEARCH, Phase.SELECT)) > 0


def test_that_the_step_that_takes_up_a_bank_tells_what_was_done_for_it_in_the_background() -> None:
    told = records(BACKGROUND)
    assert [record.step for record in told if Phase.BACKGROUND in record.phase_ms] == [11, 17, 23]
    assert all(record.phase_ms.get(Phase.BACKGROUND, 1) > 0 for record in told)
