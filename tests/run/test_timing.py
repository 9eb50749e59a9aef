"""The clock of a step's phases."""

from __future__ import annotations

import time

import pytest
import torch

from hnm_core.devices import phase_clock
from hnm_core.run.timing import Phase, PhaseClock, wall_clock


def test_that_an_outer_phase_stands_still_while_an_inner_one_runs() -> None:
    now = 0.0
    clock = PhaseClock(lambda: now, lambda start, end: end - start)
    with clock(Phase.SEARCH):
        now += 1
        with clock(Phase.EMBED):
            now += 10
        with clock(Phase.EMBED):
            now += 20
        now += 100
    now += 1_000  # nobody's
    with clock(Phase.SEARCH):
        now += 10_000
    assert list(clock.take().items()) == [(Phase.EMBED, 30), (Phase.SEARCH, 10_101)]
    assert clock.take() == {}


def test_that_a_phase_ends_where_its_work_fails() -> None:
    now = 0.0
    clock = PhaseClock(lambda: now, lambda start, end: end - start)
    with pytest.raises(ZeroDivisionError), clock(Phase.LOSS):
        now += 1
        _ = 1 / 0
    now += 50
    with clock(Phase.STEP):
        now += 2
    assert clock.take() == {Phase.LOSS: 1, Phase.STEP: 2}


def test_that_milliseconds_are_told() -> None:
    clock = wall_clock()
    with clock(Phase.BUILD):
        time.sleep(0.02)
    assert 20 <= clock.take()[Phase.BUILD] < 2_000


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device, and torch finds none")
def test_that_work_of_the_device_counts_for_the_phase_that_gave_it() -> None:
    device = torch.device("cuda")
    torch.cuda._sleep(1)  # what a first call sets up
    clock = phase_clock(device)
    start = time.perf_counter()
    with clock(Phase.SEARCH):
        torch.cuda._sleep(200_000_000)  # 0.1 s at 2 GHz, for which nobody waits here
    with clock(Phase.LOSS):
        asked = (time.perf_counter() - start) * 1e3
    with clock(Phase.STEP):
        time.sleep(0.3)  # the device waits
    ms = clock.take()
    assert 50 < ms[Phase.SEARCH] < 1_000
    assert asked < ms[Phase.SEARCH] / 2
    assert ms[Phase.LOSS] < ms[Phase.SEARCH] / 2
    assert 290 - ms[Phase.SEARCH] <= ms[Phase.STEP] < 1_000
